"""What prices must be before anything is computed from them. Nothing is ever repaired."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from volbal.domain.money import MONEY, PRICE
from volbal.domain.wording import few
from volbal.errors import InvalidInput
from volbal.market.model import BAR_COLUMNS, PriceHistory
from volbal.market.sessions import EXCHANGE

RANGE_TOLERANCE = 1e-6
"""Relative: sources round open, high, low and close apart."""

SMALLEST_TOLD_SPLIT = 1.05
"""A ratio nearer to 1 is no larger than an ordinary day's move (GOOG 2015-04-27: 1.0027)."""

SPLIT_JUMP_SLACK = 0.25
"""Part of the split, in logarithms, by which the market may have moved on the same day.

A fixed 2 % would miss AAPL's 4:1 of 2020-08-31, when the stock rose 3.4 %; this is 2 % for a
ratio of 1.08, 17 % for 2:1."""

MOST: Final = float(MONEY.limit)
LEAST: Final = float(PRICE.step) / 2.0
"""From LEAST to below MOST a price, dividend or ratio is > 0 in the ledger, and a share of that
price or dividend fits into its money."""

FIRST_TO_CHANGE_DATE: Final = ZoneInfo("Pacific/Kiritimati")
ANNOUNCED_AHEAD: Final = np.timedelta64(730, "D")
"""Dividends and splits are announced weeks ahead; a date beyond this is a slip of the pen."""

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: where it stands in its source, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where each row of a history stands in its source, such as "line 7", for messages."""

    bars: Sequence[str]
    dividends: Sequence[str]
    splits: Sequence[str]


class InvalidPrices(InvalidInput):
    """Rows of a price series cannot be used; `rows` has them all, the sentence the first five."""

    def __init__(self, name: str, rows: Sequence[BadRow]) -> None:
        self.rows = tuple(rows)
        count = len(self.reasons)
        super().__init__(
            "prices",
            f"{count} {'row' if count == 1 else 'rows'} of {name} cannot be used: {_listing(self)}",
            "correct that at its source; nothing was read from it",
        )

    @property
    def reasons(self) -> dict[str, list[str]]:
        """All reasons of each row, by its place."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            found.setdefault(row.place, []).append(row.reason)
        return found


class UnadjustedPrices(InvalidPrices):
    """The price jumps by the ratio of a split where the split happened."""

    def __init__(self, name: str, rows: Sequence[BadRow]) -> None:
        self.rows = tuple(rows)
        InvalidInput.__init__(
            self,
            "prices",
            f"unadjusted data, {name} is not split-adjusted: {_listing(self)}",
            "divide every price and dividend before a split by its ratio, or take split-adjusted "
            "ones (yfinance with auto_adjust=False)",
        )


def validate(history: PriceHistory, name: str, places: Places | None = None) -> None:
    """Refuse a history that breaks what its docstring promises, or that no market produces.

    Times rise, and have come where the symbol trades; closes are finite and > 0; where they exist,
    open, high and low are too, and high and low enclose open and close; volumes and dividends are
    finite and >= 0; one dividend a day; ratios are finite and > 0; the ledger can hold all of them
    but volumes. `name` and `places` say in the message what and where; rows
    without places are named by their dates. A dividend or split needs no bar on its date.
    Raises InvalidPrices listing every bad row, UnadjustedPrices where a split shows as a jump.
    """
    bars, dividends, splits = history.bars, history.dividends, history.splits
    if bars.empty:
        raise InvalidInput("prices", f"{name} has no bar", "at least one is needed")
    bar_places = places.bars if places else _DatesOf(bars.index)
    dividend_places = places.dividends if places else _DatesOf(dividends["ex_date"])
    split_places = places.splits if places else _DatesOf(splits["date"])
    bad = [
        *_bad_rows(_bar_checks(bars, _present(history)), bar_places),
        *_bad_rows(_dividend_checks(dividends), dividend_places),
        *_bad_rows(_split_checks(splits), split_places),
    ]
    if bad:
        raise InvalidPrices(name, bad)
    jumps = _split_jumps(bars, splits, bar_places)
    if jumps:
        raise UnadjustedPrices(name, jumps)


def validate_actions(
    dividends: pd.DataFrame, splits: pd.DataFrame, name: str, places: Places
) -> None:
    """The part of `validate` that needs no bars. Raises InvalidPrices listing every bad row."""
    bad = [
        *_bad_rows(_dividend_checks(dividends), places.dividends),
        *_bad_rows(_split_checks(splits), places.splits),
    ]
    if bad:
        raise InvalidPrices(name, bad)


def bad_values(
    bars: pd.DataFrame, dividends: pd.DataFrame, splits: pd.DataFrame, places: Places
) -> list[BadRow]:
    """The part of `validate` that looks at one value beside another of its row.

    Also dates of bars that stand twice, one below the other, or have come nowhere yet. Bars may
    lack any value: what could not be read is told already.
    """
    return [
        *_bad_rows(_bar_time_checks(bars), places.bars),
        *_bad_rows(_bar_value_checks(bars), places.bars),
        *_bad_rows(_dividend_value_checks(dividends), places.dividends),
        *_bad_rows(_split_value_checks(splits), places.splits),
    ]


Check = tuple[Mask, Callable[[int], str]]
"""Which rows are bad, and the reason for the row at a position."""


def _bar_checks(bars: pd.DataFrame, present: np.datetime64) -> Iterator[Check]:
    times = bars.index.to_numpy()
    yield _rising(times, "")
    yield times > present, lambda at: f"{_stamp(times[at])} has not come yet"
    yield bars["close"].isna().to_numpy(), lambda at: "close nan is not a price above 0"
    yield from _bar_value_checks(bars)


def _bar_time_checks(bars: pd.DataFrame) -> Iterator[Check]:
    """Of bars of an unknown symbol, from old to new or from new to old."""
    if bars["close"].isna().all():  # dividends or splits alone: they are announced ahead
        return
    times = bars.index.to_numpy()
    twice: Mask = np.zeros(len(times), dtype=np.bool_)
    twice[1:] = times[1:] == times[:-1]
    yield twice, lambda at: f"{_stamp(times[at])} appears twice"
    yield (
        times > _wall_clock(FIRST_TO_CHANGE_DATE),
        lambda at: f"{_stamp(times[at])} has not come yet",
    )


def _present(history: PriceHistory) -> np.datetime64:
    """The wall clock where a symbol trades: in New York for one without a suffix, where its source
    does not say; for others as late as it is anywhere."""
    zone = FIRST_TO_CHANGE_DATE if "." in history.symbol else EXCHANGE
    if history.listing is not None:
        zone = ZoneInfo(history.listing.timezone)
    return _wall_clock(zone)


def _wall_clock(zone: ZoneInfo) -> np.datetime64:
    return np.datetime64(datetime.now(UTC).astimezone(zone).replace(tzinfo=None), "s")


def _bar_value_checks(bars: pd.DataFrame) -> Iterator[Check]:
    open_, high, low, close, volume = (bars[name].to_numpy() for name in BAR_COLUMNS)
    for name, prices in (("close", close), ("open", open_), ("high", high), ("low", low)):
        yield _price_or_nothing(name, prices)
        yield _beyond_ledger(name, prices)
    highest = np.fmax(np.fmax(open_, close), low)
    yield (
        high < highest * (1.0 - RANGE_TOLERANCE),
        lambda at: f"high {high[at]:.10g} is below {highest[at]:.10g} of the same bar",
    )
    lowest = np.fmin(np.fmin(open_, close), high)
    yield (
        low > lowest * (1.0 + RANGE_TOLERANCE),
        lambda at: f"low {low[at]:.10g} is above {lowest[at]:.10g} of the same bar",
    )
    yield (
        (volume < 0.0) | np.isinf(volume),
        lambda at: f"volume {volume[at]:.10g} is not a number >= 0",
    )


def _dividend_checks(dividends: pd.DataFrame) -> Iterator[Check]:
    days = dividends["ex_date"].to_numpy()
    yield _rising(days, "dividend of ")
    yield _far_ahead(days, "dividend of ")
    yield _far_ahead(dividends["pay_date"].to_numpy(), "pay date ")
    yield from _dividend_value_checks(dividends)


def _dividend_value_checks(dividends: pd.DataFrame) -> Iterator[Check]:
    amounts = dividends["amount"].to_numpy()
    yield (
        ~(np.isfinite(amounts) & (amounts >= 0.0)),
        lambda at: f"dividend {amounts[at]:.10g} is not an amount >= 0",
    )
    yield _beyond_ledger("dividend", amounts)
    paid = dividends["pay_date"].to_numpy()
    yield (
        paid < dividends["ex_date"].to_numpy(),
        lambda at: f"pay date {_stamp(paid[at])} is before the ex-date",
    )


def _split_checks(splits: pd.DataFrame) -> Iterator[Check]:
    days = splits["date"].to_numpy()
    yield _rising(days, "split of ")
    yield _far_ahead(days, "split of ")
    yield from _split_value_checks(splits)


def _split_value_checks(splits: pd.DataFrame) -> Iterator[Check]:
    ratios = splits["ratio"].to_numpy()
    yield ~_positive(ratios), lambda at: f"split ratio {ratios[at]:.10g} is not above 0"
    yield _beyond_ledger("split ratio", ratios)


def _rising(times: Times, what: str) -> Check:
    bad: Mask = np.isnat(times)
    bad[1:] |= ~(times[1:] > times[:-1])

    def reason(at: int) -> str:
        if np.isnat(times[at]):
            return f"{what}no date"
        if times[at] == times[at - 1]:
            return f"{what}{_stamp(times[at])} appears twice"
        return f"{what}{_stamp(times[at])} stands after {_stamp(times[at - 1])}, dates must rise"

    return bad, reason


def _price_or_nothing(name: str, prices: Numbers) -> Check:
    bad = ~(_positive(prices) | np.isnan(prices))
    return bad, lambda at: f"{name} {prices[at]:.10g} is not a price above 0"


def _beyond_ledger(name: str, values: Numbers) -> Check:
    """Numbers > 0 that the ledger has no room for, or would round to 0."""

    def reason(at: int) -> str:
        told = f"{name} {values[at]:.10g}"
        if values[at] >= MOST:
            return f"{told} is more than the ledger holds, below {MOST:.0e}"
        return f"{told} is 0 with the {PRICE.decimals} decimals that the ledger holds"

    return _positive(values) & ~((values >= LEAST) & (values < MOST)), reason


def _far_ahead(days: Times, what: str) -> Check:
    latest = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "s") + ANNOUNCED_AHEAD
    return days > latest, lambda at: f"{what}{_stamp(days[at])} is more than two years ahead"


def _positive(prices: Numbers) -> Mask:
    return np.isfinite(prices) & (prices > 0.0)


def _split_jumps(
    bars: pd.DataFrame, splits: pd.DataFrame, places: "Sequence[str] | _DatesOf"
) -> list[BadRow]:
    """The bars whose close differs from the one before by the ratio of a split between them."""
    closes = bars["close"].to_numpy()
    jumps = []
    for date, ratio in zip(splits["date"], splits["ratio"], strict=True):
        at = int(bars.index.searchsorted(date))
        if 0 < at < len(closes) and _shows_split(closes[at - 1], closes[at], ratio):
            reason = (
                f"close goes from {closes[at - 1]:.10g} to {closes[at]:.10g} "
                f"at the split of {date:%Y-%m-%d} with ratio {ratio:.10g}"
            )
            jumps.append(BadRow(places[at], reason))
    return jumps


def _shows_split(before: float, after: float, ratio: float) -> bool:
    split = math.log(ratio)
    told = abs(split) >= math.log(SMALLEST_TOLD_SPLIT) * (1.0 - RANGE_TOLERANCE)
    return told and abs(math.log(before / after) - split) <= SPLIT_JUMP_SLACK * abs(split)


def _bad_rows(checks: Iterator[Check], places: "Sequence[str] | _DatesOf") -> list[BadRow]:
    found = [(int(at), reason) for bad, reason in checks if bad.any() for at in np.flatnonzero(bad)]
    found.sort(key=lambda row: row[0])
    return [BadRow(places[at], reason(at)) for at, reason in found]


def _listing(error: InvalidPrices) -> str:
    """The first rows with all their reasons."""
    return "; ".join(few([f"{place}: {', '.join(why)}" for place, why in error.reasons.items()]))


@dataclass(frozen=True, slots=True)
class _DatesOf:
    """Names rows by their dates, only when asked: valid data pays nothing for it."""

    times: "pd.Index | pd.Series"

    def __getitem__(self, at: int) -> str:
        time = self.times.to_numpy()[at]
        return f"row {at + 1}" if np.isnat(time) else _stamp(time)


def _stamp(time: np.datetime64) -> str:
    if np.isnat(time):
        return "no date"
    stamp = pd.Timestamp(time)
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.normalize() else f"{stamp:%Y-%m-%d %H:%M:%S}"

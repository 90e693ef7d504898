"""What a source of prices hands over: bars, dividends, splits, and where they come from."""

import datetime
import re
from dataclasses import dataclass, replace
from typing import Final, Protocol

import pandas as pd

from volbal.errors import InvalidInput, PriceUnavailable

BAR_COLUMNS = ("open", "high", "low", "close", "volume")
BASIS = "split-adjusted, not dividend-adjusted"
"""The one basis volbal computes with: dividends are credited, splits never happen."""

EDGE_DAYS = 6
"""Calendar days a date may lie outside the bars and still mean their edge: a weekend with
holidays. The longest closure in living memory, 2001-09-11, ended on the sixth day."""

FEWEST_BARS = 2
"""One bar has no return."""

DAILY: Final = "1d"
SYMBOL: Final = re.compile(r"[A-Z0-9^][A-Z0-9.^=-]{0,19}")


def as_symbol(text: str, field: str = "symbol") -> str:
    """A symbol as Yahoo spells it, upper case; raises InvalidInput naming `field`."""
    symbol = text.strip().upper()
    if not SYMBOL.fullmatch(symbol):
        raise InvalidInput(
            field, f"{text!r} is no symbol", "allowed: 1 to 20 letters, digits and . - ^ ="
        )
    return symbol


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where prices come from, what was adjusted in them and how far they reach.

    interval: spacing of the bars, "1d" or intraday as "1h", "30m". as_of: session date of the
    last bar the source has, also where only a part of its bars is used.
    """

    source: str
    basis: str
    interval: str
    as_of: datetime.date


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a symbol trades.

    exchange: the source's code of it, such as Yahoo's "NMS". timezone: IANA name of its zone.
    currency: of its prices and dividends, "GBp" being pence.
    """

    exchange: str
    timezone: str
    currency: str


@dataclass(frozen=True, slots=True, eq=False)
class PriceHistory:
    """Prices of one symbol with the dividends and splits of the same time.

    bars: at least one row; index "time" (datetime64[s], strictly increasing), midnight of the
    session date for daily bars, exchange-local naive bar start for intraday ones; columns open,
    high, low, close, volume (float64; all but close may be NaN).
    dividends: ex_date and pay_date (datetime64[s] midnights; NaT where the pay date is unknown),
    amount (float64, per share, split-adjusted), by rising ex_date.
    splits: date (datetime64[s]), ratio (new shares per old). The bars are adjusted for them.
    notes: sentences a user should read beside any result of these prices.
    listing: where it trades; None where the source does not say.
    """

    symbol: str
    bars: pd.DataFrame
    dividends: pd.DataFrame
    splits: pd.DataFrame
    provenance: Provenance
    notes: tuple[str, ...] = ()
    listing: Listing | None = None

    @property
    def has_ohlc(self) -> bool:
        """Whether every bar has an open, a high and a low."""
        return bool(self.bars[["open", "high", "low"]].notna().all(axis=None))

    @property
    def first_date(self) -> datetime.date:
        return self._session(0)

    @property
    def last_date(self) -> datetime.date:
        return self._session(-1)

    def between(
        self, start: datetime.date | None = None, end: datetime.date | None = None
    ) -> "PriceHistory":
        """The part from session date `start` to `end`, both included; None means the edge.

        A date without a session moves inwards and a note says so; dividends and splits dated
        outside the sessions that are left are dropped. Raises PriceUnavailable where a date lies
        more than EDGE_DAYS outside the bars, InvalidInput where start is after end or fewer than
        two bars are left.
        """
        if start is not None and end is not None and start > end:
            raise InvalidInput(
                "dates", f"start {start} is after end {end}", "start must not be after end"
            )
        self._require_covered("start", start)
        self._require_covered("end", end)
        first = 0 if start is None else self._bars_before(start)
        stop = len(self.bars) if end is None else self._bars_before(_day_after(end))
        if stop - first < FEWEST_BARS:
            raise InvalidInput(
                "dates",
                f"{start or self.first_date} to {end or self.last_date} holds "
                f"{_counted_bars(max(stop - first, 0))} of {self.symbol}",
                f"choose a longer range, at least {FEWEST_BARS} bars",
            )
        return self._part(first, stop, start, end)

    def _part(
        self, first: int, stop: int, start: datetime.date | None, end: datetime.date | None
    ) -> "PriceHistory":
        first_date, last_date = self._session(first), self._session(stop - 1)
        moves = _move("start", start, first_date) + _move("end", end, last_date)
        return replace(
            self,
            bars=self.bars.iloc[first:stop],
            dividends=_dated(self.dividends, "ex_date", first_date, last_date),
            splits=_dated(self.splits, "date", first_date, last_date),
            notes=self.notes + moves,
        )

    def _require_covered(self, name: str, date: datetime.date | None) -> None:
        if date is None:
            return
        early = (self.first_date - date).days
        late = (date - self.last_date).days
        # A start after the last bar, or an end before the first, has nothing to move inwards to.
        allowed_early, allowed_late = (EDGE_DAYS, 0) if name == "start" else (0, EDGE_DAYS)
        if early > allowed_early or late > allowed_late:
            raise PriceUnavailable(
                f"{self.symbol} has bars from {self.first_date} to {self.last_date} here; "
                f"{name} {date} is outside, choose dates within that range."
            )

    def _bars_before(self, date: datetime.date) -> int:
        return int(self.bars.index.searchsorted(pd.Timestamp(date)))

    def _session(self, position: int) -> datetime.date:
        return pd.Timestamp(self.bars.index[position]).date()


class PriceSource(Protocol):
    """Anything that can give prices by symbol."""

    @property
    def name(self) -> str:
        """One word for people: which source this is."""

    def symbols(self) -> tuple[str, ...]:
        """Symbols that `history` can give, in alphabetical order."""

    def history(self, symbol: str) -> PriceHistory:
        """All prices of `symbol`, validated. Raises PriceUnavailable where there are none."""


def _day_after(date: datetime.date) -> datetime.date:
    return date + datetime.timedelta(days=1)


def _counted_bars(count: int) -> str:
    return {0: "no bar", 1: "only 1 bar"}[count]


def _move(name: str, asked: datetime.date | None, session: datetime.date) -> tuple[str, ...]:
    if asked is None or asked == session:
        return ()
    return (f"{name} {asked} is no session; moved to {session}",)


def _dated(
    frame: pd.DataFrame, column: str, first: datetime.date, last: datetime.date
) -> pd.DataFrame:
    inside = frame[column].between(pd.Timestamp(first), pd.Timestamp(last))
    return frame.loc[inside].reset_index(drop=True)

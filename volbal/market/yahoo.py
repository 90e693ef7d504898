"""Prices from Yahoo, through yfinance: bars with dividends and splits, quotes, the next dividend.

For personal use, as Yahoo's terms say; what is fetched must not be published again.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from volbal.domain.money import PRICE, from_float
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.model import BAR_COLUMNS, BASIS, Listing, PriceHistory, Provenance
from volbal.market.validation import validate

if TYPE_CHECKING:
    from volbal.market.yahoo_session import Conversation

Session = Literal["pre", "regular", "post", "closed"]

SESSIONS: Final[tuple[Session, ...]] = ("pre", "regular", "post")

DAILY: Final = "1d"

REACH: Final[Mapping[str, timedelta | None]] = {
    DAILY: None,
    "1h": timedelta(days=730),
    "30m": timedelta(days=60),
    "15m": timedelta(days=60),
    "5m": timedelta(days=60),
    "1m": timedelta(days=30),
}
"""How far back from now Yahoo has bars of an interval; None: as long as the symbol trades."""

LONGEST_WINDOW: Final = {"1m": 7}
"""Days in one request; Yahoo refuses more."""

ZONE_SLACK: Final = timedelta(days=2)
"""Yahoo counts from this very moment; whole days are within its reach in every time zone."""

LATEST: Final = timedelta(minutes=30)
"""Trades reach Yahoo within seconds from the US, within 20 minutes from elsewhere. A bar counts as
finished once a later trade is known, or this time after its end."""

FIRST_DAY: Final = date(1927, 12, 30)
"""No bar of Yahoo's is older."""

GRANULARITIES: Final = {"30m": {"15m"}, "1h": {"1h", "60m"}}
"""How Yahoo names the bars behind an interval, where it is not the interval's own name."""

SYMBOL: Final = re.compile(r"[A-Z0-9.^=&-]{1,24}")
ISIN: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")


@dataclass(frozen=True, slots=True)
class YahooSettings:
    """base_url: a server that speaks Yahoo's format; empty means Yahoo itself.

    timeout: seconds > 0 that one request may take. An answer takes two to four requests.
    """

    base_url: str = ""
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class MarketQuote:
    """The last price of a regular session, and what the exchange was doing when it was asked.

    price, previous_close: in `currency`, as Yahoo names it ("USD"; "GBp" is pence).
    made_at: when the price was made, with a time zone. session: of the exchange at asking.
    """

    symbol: str
    price: Decimal
    made_at: datetime
    session: Session
    currency: str
    previous_close: Decimal | None


@dataclass(frozen=True, slots=True)
class UpcomingDividend:
    """The dates that Yahoo names for a symbol's next dividend, or its last one until it knows."""

    ex_on: date | None
    pay_on: date | None


class Offline(PriceUnavailable):
    """Yahoo cannot be reached, or does not answer in time."""


class RateLimited(PriceUnavailable):
    """Yahoo wants no more requests for `wait_seconds`; until then none is sent."""

    code = "rate_limited"

    def __init__(self, wait_seconds: int) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(f"Yahoo wants no more requests now; try again in {wait_seconds} seconds.")


class UnknownSymbol(PriceUnavailable):
    """Yahoo knows no such symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(
            f"Yahoo knows no symbol {symbol}, or not any more; check its spelling. Shares outside "
            f"the US carry the suffix of their exchange, such as SAP.DE or VOD.L."
        )


class RangeUnavailable(PriceUnavailable):
    """Yahoo has no bars for what was asked; `reason` says why, in its words where it gave any."""

    def __init__(self, symbol: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{symbol}: {reason.rstrip('.')}; choose other dates or another interval.")


class UpstreamBroken(PriceUnavailable):
    """Yahoo answered with something that is no answer."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"Yahoo {problem}; nothing was taken from it, try again later.")


def earliest(interval: str, today: date) -> date | None:
    """The first date whose bars of `interval` can be asked for today; None: no limit.

    Raises InvalidInput for an interval that is not in REACH.
    """
    if interval not in REACH:
        raise InvalidInput("interval", f"got {interval!r}", f"Yahoo has {', '.join(REACH)}")
    reach = REACH[interval]
    return None if reach is None else today - reach + ZONE_SLACK


class YahooPrices:
    """Prices of one symbol a call, fetched anew. Threads may share it, and take turns.

    Keep one in a process: it remembers how long Yahoo wants no requests.
    Every method raises Offline, RateLimited, UnknownSymbol, RangeUnavailable or UpstreamBroken,
    and InvalidInput for what is no symbol.
    """

    name = "Yahoo"

    def __init__(
        self, settings: YahooSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._clock = clock

    @cached_property
    def _conversation(self) -> "Conversation":
        from volbal.market.yahoo_session import Conversation

        return Conversation(self._settings, self._clock)

    def fetch(
        self,
        symbol: str,
        interval: str = DAILY,
        start: date | None = None,
        end: date | None = None,
    ) -> PriceHistory:
        """Finished bars from session date `start` to `end`, both included; None: all there are.

        Validated; with its `listing` and the dividends and splits from `start` on, of which the
        newest may be dated after the last bar. A bar that is still being made is left out.
        Raises RangeUnavailable also where `start` lies before `earliest`; InvalidInput for an
        interval not in REACH or a start after the end; InvalidPrices or UnadjustedPrices for rows
        that cannot be used.
        """
        symbol = _symbol(symbol)
        now = self._clock()
        first = _first(symbol, interval, start, now)
        if end is not None and end < first:
            raise InvalidInput("dates", f"start {first} is after end {end}", "swap them")
        windows = _windows(interval, first, end, now)
        rows, metadata = self._conversation.bars(symbol, interval, windows)
        history = _history(symbol, interval, rows, metadata, now)
        validate(history, f"Yahoo's {symbol}")
        return history

    def quote(self, symbol: str) -> MarketQuote:
        """The last price."""
        symbol = _symbol(symbol)
        return _quote(symbol, self._conversation.chart(symbol), self._clock())

    def upcoming_dividend(self, symbol: str) -> UpcomingDividend:
        """The next ex-date and pay date, as far as Yahoo names them."""
        events = self._conversation.calendar(_symbol(symbol))
        return UpcomingDividend(_day(events, "exDividendDate"), _day(events, "dividendDate"))


def _symbol(text: str) -> str:
    symbol = text.strip().upper()
    if not SYMBOL.fullmatch(symbol) or ISIN.fullmatch(symbol):
        raise InvalidInput(
            "symbol", f"{text!r} is no symbol of Yahoo's", "give one such as KO, BRK-B or SAP.DE"
        )
    return symbol


def _first(symbol: str, interval: str, start: date | None, now: datetime) -> date:
    limit = earliest(interval, now.date())
    if limit is not None and start is not None and start < limit:
        raise RangeUnavailable(symbol, f"Yahoo has {interval} bars from {limit} on only")
    return start or limit or FIRST_DAY


def _windows(
    interval: str, first: date, end: date | None, now: datetime
) -> list[tuple[date, date | None]]:
    """The parts of a range that can be asked for at once: start included, stop not, None is now.

    They are about equally long, so that none is only a day that has not begun everywhere.
    """
    stop = None if end is None else end + timedelta(days=1)
    days = ((end or now.date()) - first).days + 1
    parts = max(1, math.ceil(days / LONGEST_WINDOW.get(interval, days or 1)))
    length = timedelta(days=math.ceil(days / parts))
    starts = [first + part * length for part in range(parts)]
    return list(zip(starts, [*starts[1:], stop], strict=True))


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What the metadata of a chart says of the exchange; times are local and naive.

    opens, closes: of its current or next session. reached: the moment that the bars stand for.
    """

    listing: Listing
    opens: pd.Timestamp
    closes: pd.Timestamp
    reached: pd.Timestamp


def _exchange(symbol: str, metadata: Mapping[str, Any], now: datetime) -> _Exchange:
    """The facts of yfinance's metadata; raises UpstreamBroken where one is missing."""
    try:
        zone = str(metadata["exchangeTimezoneName"])
        regular = metadata["currentTradingPeriod"]["regular"]
        wall = pd.Timestamp(now).tz_convert(zone)
        return _Exchange(
            Listing(str(metadata["exchangeName"]), zone, str(metadata["currency"])),
            opens=regular["start"].tz_localize(None),
            closes=regular["end"].tz_localize(None),
            reached=max(metadata["regularMarketTime"], wall - LATEST).tz_localize(None),
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise UpstreamBroken(f"does not say when {symbol} trades") from error


def _history(
    symbol: str, interval: str, rows: pd.DataFrame, metadata: Mapping[str, Any], now: datetime
) -> PriceHistory:
    """yfinance's rows as a history, without what is not finished."""
    granularity = metadata.get("dataGranularity")
    if granularity not in GRANULARITIES.get(interval, {interval}):
        raise RangeUnavailable(symbol, f"Yahoo has {granularity} bars there, not {interval}")
    exchange = _exchange(symbol, metadata, now)
    times = pd.DatetimeIndex(rows.index).tz_localize(None).as_unit("s").rename("time")
    prices = rows[["Open", "High", "Low", "Close", "Volume"]].astype("float64").set_index(times)
    bars = prices.set_axis(list(BAR_COLUMNS), axis="columns")
    # yfinance puts a dividend or split of a day without a bar into a row of its own.
    bars = bars[bars[["open", "high", "low", "close"]].notna().any(axis="columns")]
    bars = bars[: _finished(pd.DatetimeIndex(bars.index), interval, exchange)]
    if bars.empty:
        raise RangeUnavailable(symbol, f"Yahoo has no finished {interval} bar there")
    bars, notes = _without_zeros(bars)
    return PriceHistory(
        symbol,
        bars,
        _dividends(times, rows["Dividends"]),
        _actions(times, rows["Stock Splits"], "date", "ratio"),
        Provenance("Yahoo", BASIS, interval, pd.Timestamp(bars.index[-1]).date()),
        notes,
        exchange.listing,
    )


def _finished(times: pd.DatetimeIndex, interval: str, exchange: _Exchange) -> int:
    """How many of the bars, oldest first, had ended at the moment they stand for."""
    reached, closes = exchange.reached, exchange.closes
    if interval == DAILY:
        has_closed = exchange.opens.date() == reached.date() and reached >= closes
        return int(times.searchsorted(reached.normalize(), "right" if has_closed else "left"))
    ends = times + pd.Timedelta(interval)
    # The last bar of a session may be cut short by the close.
    is_cut = (times >= exchange.opens) & (times < closes) & (ends > closes)
    return int(ends.where(~is_cut, closes).searchsorted(reached, "right"))


def _without_zeros(bars: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Yahoo writes 0 for the open, high or low of old bars of which it knows the close only."""
    edges = bars[["open", "high", "low"]]
    unknown = (edges == 0.0).any(axis="columns")
    if not unknown.any():
        return bars, ()
    times = bars.index[unknown]
    note = (
        f"Yahoo lacks open, high or low in {len(times)} of {len(bars)} bars, "
        f"{times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}: only their closes can be used"
    )
    return bars.assign(**edges.mask(edges == 0.0)), (note,)


def _actions(
    times: pd.DatetimeIndex, column: pd.Series, date_name: str, value_name: str
) -> pd.DataFrame:
    """The entries of a column of dividends or splits: yfinance writes 0 on every other row."""
    values = column.to_numpy(dtype="float64")
    entered = (values != 0.0) & ~np.isnan(values)
    return pd.DataFrame({date_name: times[entered].normalize(), value_name: values[entered]})


def _dividends(times: pd.DatetimeIndex, column: pd.Series) -> pd.DataFrame:
    """Pay dates are not in Yahoo's charts."""
    dividends = _actions(times, column, "ex_date", "amount")
    dividends["pay_date"] = pd.Series(pd.NaT, index=dividends.index, dtype="datetime64[s]")
    return dividends


def _quote(symbol: str, metadata: Mapping[str, Any], now: datetime) -> MarketQuote:
    price = _price(metadata.get("regularMarketPrice"))
    if price is None:
        raise UpstreamBroken(f"gave no price of {symbol}")
    try:
        return MarketQuote(
            symbol,
            price,
            datetime.fromtimestamp(metadata["regularMarketTime"], UTC),
            _session(metadata["currentTradingPeriod"], now.timestamp()),
            str(metadata["currency"]),
            _price(metadata.get("chartPreviousClose")),
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise UpstreamBroken(f"does not say when {symbol} trades") from error


def _price(value: object) -> Decimal | None:
    """A price above 0 in the ledger's unit; None for anything else."""
    if not isinstance(value, int | float) or not 0 < value < float(PRICE.limit):
        return None
    return from_float(PRICE, float(value)) or None


def _session(periods: Mapping[str, Any], at: float) -> Session:
    for name in SESSIONS:
        if periods[name]["start"] <= at < periods[name]["end"]:
            return name
    return "closed"


def _day(events: Mapping[str, Any], name: str) -> date | None:
    """The date of an event, which Yahoo stamps in Greenwich time."""
    stamp = events.get(name)
    return datetime.fromtimestamp(stamp, UTC).date() if isinstance(stamp, int) else None

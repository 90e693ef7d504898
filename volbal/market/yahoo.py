"""Prices from Yahoo, through yfinance: bars with dividends and splits, quotes, the next dividend.

yfinance keeps one session, one cookie and one cache of answers per process, so all instances of
`YahooPrices` take turns. Nothing is fetched again by itself: what fails says so, once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from volbal.errors import PriceUnavailable
from volbal.market.model import PriceHistory

Session = Literal["pre", "regular", "post", "closed"]


@dataclass(frozen=True, slots=True)
class YahooSettings:
    """base_url: a server that speaks Yahoo's format; empty means Yahoo itself.

    timeout: seconds > 0 that one request may take.
    """

    base_url: str = ""
    timeout: float = 5.0


REACH: Final[Mapping[str, timedelta | None]] = {
    "1d": None,
    "1h": timedelta(days=730),
    "30m": timedelta(days=60),
    "15m": timedelta(days=60),
    "5m": timedelta(days=60),
    "1m": timedelta(days=30),
}
"""How far back from now Yahoo has bars of an interval; None: as long as the symbol trades."""


@dataclass(frozen=True, slots=True)
class MarketQuote:
    """The last price of a regular session, and what the exchange is doing while it was asked.

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
    """The dates that Yahoo names for a symbol's next (or, until it knows it, last) dividend."""

    ex_on: date | None
    pay_on: date | None


class Offline(PriceUnavailable):
    """Yahoo cannot be reached, or does not answer in time."""


class RateLimited(PriceUnavailable):
    """Yahoo wants no more requests for `wait_seconds`; until then none is sent."""

    code = "rate_limited"

    def __init__(self, wait_seconds: int) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(
            f"Yahoo wants no more requests for now; try again in {wait_seconds} seconds."
        )


class UnknownSymbol(PriceUnavailable):
    """Yahoo knows no such symbol."""


class RangeUnavailable(PriceUnavailable):
    """Yahoo has no bars for the range asked; `reason` says why, in its words where it gave any."""

    def __init__(self, symbol: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{symbol}: {reason}")


class UpstreamBroken(PriceUnavailable):
    """Yahoo answered with something that is no answer."""


def earliest(interval: str, today: date) -> date | None:
    """The first date for which bars of `interval` can be asked today; None: no limit.

    Raises InvalidInput for an interval that is not in REACH.
    """
    raise NotImplementedError


class YahooPrices:
    """Prices of one symbol a call, fetched anew. Safe to share between threads, which take turns.

    Every method raises Offline, RateLimited, UnknownSymbol or UpstreamBroken.
    """

    name = "Yahoo"

    def __init__(
        self, settings: YahooSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._clock = clock

    def fetch(
        self, symbol: str, interval: str = "1d", start: date | None = None, end: date | None = None
    ) -> PriceHistory:
        """Finished bars from session date `start` to `end`, both included; None: all there are.

        Validated; with the dividends and splits of the same dates and its `listing`. A bar that
        is still being made is left out. Raises RangeUnavailable where there are none, or where
        the start lies before `earliest`; InvalidInput for an interval not in REACH or a start
        after the end; InvalidPrices, UnadjustedPrices for rows that cannot be used.
        """
        raise NotImplementedError

    def quote(self, symbol: str) -> MarketQuote:
        """The last price, from the metadata of one chart."""
        raise NotImplementedError

    def upcoming_dividend(self, symbol: str) -> UpcomingDividend:
        """The next ex-date and pay date, as far as Yahoo names them."""
        raise NotImplementedError

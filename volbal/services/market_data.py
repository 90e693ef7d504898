"""Use cases of prices: what is known, how fresh it is, fetching more, the last price seen.

Prices come from the store first, then from those bundled with volbal; only `refresh`,
`refresh_quote` and `upcoming_dividend` ask the network, and never inside a transaction. Whatever
is handed out says where it comes from and how old it is. `now` is the moment of the call, aware.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from volbal.config import Settings
from volbal.domain.money import PRICE, from_float
from volbal.domain.quotes import Quote
from volbal.errors import PriceUnavailable
from volbal.market.bundled import BundledPrices
from volbal.market.model import DAILY, PriceHistory, Provenance, as_symbol
from volbal.market.sessions import EXCHANGE, SESSION_CLOSES, is_in_session
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import StoredClose, StoredQuote, StoredSeries

if TYPE_CHECKING:
    from volbal.market.yahoo import UpcomingDividend, YahooPrices

BUNDLED: Final = BundledPrices()

LIVE_FOR: Final = timedelta(minutes=15)
"""How long after it was fetched a quote may be called live."""

OVERLAP_SESSIONS: Final = 5
"""Stored sessions that are fetched again, to see whether the source still says the same."""

SAME_PRICE: Final = 1e-6
"""Relative: what a price may differ by and still be the same one, as sources round."""


@lru_cache(maxsize=4)
def _yahoo_of(settings: Settings) -> "YahooPrices":
    from volbal.market.yahoo import YahooPrices  # slow to import: not before the first fetch

    return YahooPrices(settings.yahoo_url)


def yahoo() -> "YahooPrices":
    """Yahoo as the environment names it; one per process. Raises InvalidInput."""
    return _yahoo_of(Settings.from_environment())


def known_symbols(database: Database) -> tuple[str, ...]:
    """Symbols with daily prices, stored or bundled, in alphabetical order."""
    stored = {symbol for symbol, interval in revisions(database) if interval == DAILY}
    return tuple(sorted(stored | set(BUNDLED.symbols())))


def revisions(database: Database) -> dict[tuple[str, str], int]:
    """The revision of every stored series, by symbol and interval.

    A series keeps its revision as long as none of its rows changes; bundled prices never change.
    """
    with database.read() as connection:
        return {
            (series.symbol, series.interval): series.revision
            for series in records.all_series(connection)
        }


def history(database: Database, symbol: str, interval: str = DAILY) -> PriceHistory:
    """The stored prices of `symbol`, else the bundled ones; its provenance says which.

    Raises PriceUnavailable where there are neither, InvalidInput for what is no symbol.
    """
    name = as_symbol(symbol)
    with database.read() as connection:
        found = _stored_history(connection, name, interval)
    if found is not None:
        return found
    if interval == DAILY and name in BUNDLED.symbols():
        return BUNDLED.history(name)
    there = ", ".join(
        f"{one.symbol} {one.interval} ({one.first_date} to {one.last_date})"
        for one in coverage(database)
    )
    raise PriceUnavailable(
        f"There are no {interval} prices of {name} here, only {there}. "
        f"Fetch or import them on the Data page, or with python -m volbal prices refresh {name}."
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one series has. fetched_at: None for bundled prices.

    gaps: sessions between its first and last date without a bar. has_ohlc: every bar has an
    open, a high and a low.
    """

    symbol: str
    interval: str
    source: str
    basis: str
    fetched_at: datetime | None
    first_date: date
    last_date: date
    bars: int
    gaps: tuple[date, ...]
    dividends: int
    splits: int
    has_ohlc: bool

    @property
    def is_stored(self) -> bool:
        """In the records, so that it can be refreshed and deleted."""
        return self.fetched_at is not None

    def age(self, today: date) -> int:
        """Calendar days from the last bar to `today`."""
        return (today - self.last_date).days


def coverage(database: Database) -> list[Coverage]:
    """Every series that `history` gives, by symbol and interval; a stored one hides a bundled."""
    with database.read() as connection:
        stored = [
            _coverage(_assembled(connection, series), series.source, series.fetched_at)
            for series in records.all_series(connection)
        ]
    hidden = {one.symbol for one in stored if one.interval == DAILY}
    bundled = [
        _coverage(BUNDLED.history(symbol), "bundled", None)
        for symbol in BUNDLED.symbols()
        if symbol not in hidden
    ]
    return sorted(stored + bundled, key=lambda one: (one.symbol, one.interval))


def _coverage(history: PriceHistory, source: str, fetched_at: datetime | None) -> Coverage:
    return Coverage(
        history.symbol,
        history.provenance.interval,
        source,
        history.provenance.basis,
        fetched_at,
        history.first_date,
        history.last_date,
        len(history.bars),
        (),
        len(history.dividends),
        len(history.splits),
        history.has_ohlc,
    )


def _stored_history(connection: Connection, symbol: str, interval: str) -> PriceHistory | None:
    series = records.find_series(connection, symbol, interval)
    return None if series is None else _assembled(connection, series)


def _assembled(connection: Connection, series: StoredSeries) -> PriceHistory:
    key = (series.symbol, series.interval)
    bars = records.bars_of(connection, *key).set_index("time")
    source = f"stored: {series.source}, fetched {series.fetched_at:%Y-%m-%d %H:%M} UTC"
    return PriceHistory(
        series.symbol,
        bars,
        records.price_dividends_of(connection, *key),
        records.price_splits_of(connection, *key),
        Provenance(source, series.basis, series.interval, bars.index[-1].date()),
    )


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a fetch brought. refetched: why all of it was fetched again, empty where it was not.

    findings: what is odd about the new rows; they are stored as they came.
    """

    symbol: str
    interval: str
    first_date: date
    last_date: date
    new_bars: int
    new_dividends: int
    new_splits: int
    refetched: str
    findings: tuple[str, ...]


def refresh(
    database: Database, yahoo: "YahooPrices", symbol: str, interval: str, now: datetime
) -> Refreshed:
    """Fetch what the stored series lacks, or all of it where there is none yet.

    The last stored sessions are fetched again: where one differs, or a new split appears, the
    whole series is fetched and replaced, as a split rescales all of it. Stores all or nothing.
    Raises PriceUnavailable (Offline, RateLimited, UnknownSymbol, RangeUnavailable,
    UpstreamBroken), InvalidPrices for rows that cannot be used, InvalidInput for a series that
    was imported from a file.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """The last price known of a symbol: a quote of the market, or a close of its bars.

    is_live: a quote fetched at most LIVE_FOR ago; never a close of stored or bundled bars.
    age: from made_at to the moment it was asked for. session and previous_close: of a quote.
    """

    symbol: str
    price: Decimal
    source: str
    made_at: datetime
    age: timedelta
    is_live: bool
    is_close: bool
    session: str | None = None
    currency: str | None = None
    previous_close: Decimal | None = None

    def as_quote(self, *, confirmed: bool = False) -> Quote:
        """What `trading.evaluate` takes; a close comes from a validated series."""
        return Quote(
            self.price,
            self.source,
            self.made_at,
            in_session=is_in_session(self.made_at),
            confirmed=confirmed,
            validated=self.is_close,
        )


def latest_price(database: Database, symbol: str, now: datetime) -> SeenPrice:
    """The newest of the last quote seen and the last daily close; never asks the network.

    Raises PriceUnavailable where there is neither.
    """
    name = as_symbol(symbol)
    with database.read() as connection:
        quote = records.find_quote(connection, name)
    try:
        close = _last_close(history(database, name), now)
    except PriceUnavailable:
        if quote is None:
            raise
        return _seen_quote(quote, now)
    if quote is None or quote.made_at < close.made_at:
        return close
    return _seen_quote(quote, now)


def newest(
    symbol: str, quote: StoredQuote | None, close: StoredClose | None, now: datetime
) -> SeenPrice | None:
    """`latest_price` of a symbol whose last quote and last stored close are read already."""
    seen = None
    if close is not None:
        seen = _seen_close(symbol, close.on, close.close, f"stored: {close.source}", now)
    elif symbol in BUNDLED.symbols():
        seen = _last_close(BUNDLED.history(symbol), now)
    if quote is not None and (seen is None or quote.made_at >= seen.made_at):
        return _seen_quote(quote, now)
    return seen


def _seen_quote(quote: StoredQuote, now: datetime) -> SeenPrice:
    return SeenPrice(
        quote.symbol,
        quote.price,
        quote.source,
        quote.made_at,
        now - quote.made_at,
        is_live=now - quote.fetched_at <= LIVE_FOR,
        is_close=False,
        session=quote.session,
        currency=quote.currency,
        previous_close=quote.previous_close,
    )


def _last_close(history: PriceHistory, now: datetime) -> SeenPrice:
    close, told = float(history.bars["close"].iloc[-1]), history.provenance.source
    return _seen_close(history.symbol, history.last_date, close, told, now)


def _seen_close(symbol: str, on: date, close: float, told: str, now: datetime) -> SeenPrice:
    made_at = datetime.combine(on, SESSION_CLOSES, EXCHANGE)
    price, source = from_float(PRICE, close), f"close of {on}, {told}"
    return SeenPrice(symbol, price, source, made_at, now - made_at, is_live=False, is_close=True)


def refresh_quote(
    database: Database, yahoo: "YahooPrices", symbol: str, now: datetime
) -> SeenPrice:
    """Ask Yahoo for a quote and remember it. Raises PriceUnavailable; nothing changes then."""
    name = as_symbol(symbol)
    seen = yahoo.quote(name)
    quote = StoredQuote(
        name,
        from_float(PRICE, seen.price),
        seen.made_at,
        seen.session,
        seen.currency,
        None if seen.previous_close is None else from_float(PRICE, seen.previous_close),
        "Yahoo",
        now,
    )
    with database.write() as connection:
        records.store_quote(connection, quote)
    return _seen_quote(quote, now)


def upcoming_dividend(yahoo: "YahooPrices", symbol: str) -> "UpcomingDividend | None":
    """The next announced dividend, None where none is. Raises PriceUnavailable."""
    return yahoo.upcoming_dividend(as_symbol(symbol))


def delete(database: Database, symbol: str, interval: str = DAILY) -> None:
    """Forget a stored series; bundled prices of the symbol show again.

    Raises PriceUnavailable where nothing is stored.
    """
    name = as_symbol(symbol)
    with database.write() as connection:
        if records.find_series(connection, name, interval) is None:
            raise PriceUnavailable(f"No {interval} prices of {name} are stored.")
        records.delete_series(connection, name, interval)
        records.delete_bars(connection, name, interval)
        records.delete_price_dividends(connection, name, interval)
        records.delete_price_splits(connection, name, interval)


@dataclass(frozen=True, slots=True)
class Import:
    """A file read for a symbol, checked, and not yet saved.

    kind: "prices", "dividends" or "splits". history: the series as saving leaves it. replaced:
    the stored series that saving replaces or adds to. notes: sentences to read before saving.
    """

    name: str
    kind: str
    history: PriceHistory
    rows: int
    replaced: Coverage | None
    notes: tuple[str, ...]


def import_preview(
    database: Database, name: str, content: bytes, symbol: str, dates: str | None = None
) -> Import:
    """Read a CSV or Parquet file of prices, dividends or splits; nothing is saved.

    dates: "day first" or "month first" for dates such as 03/04/2020 that can mean either.
    Raises InvalidPrices with the line and reason of every bad row, AmbiguousDates where `dates`
    is needed, InvalidInput for what is no such file.
    """
    raise NotImplementedError


def import_save(database: Database, preview: Import, now: datetime) -> Coverage:
    """Save a previewed file, all of it at once; a stored series of its kind is replaced."""
    raise NotImplementedError

"""Use cases of prices: what is known, how fresh it is, fetching more, the last price seen.

Prices come from the store first, then from those bundled with volbal; only `refresh`,
`refresh_quote` and `upcoming_dividend` ask the network, and never inside a transaction. Whatever
is handed out says where it comes from and how old it is. `now` is the moment of the call, aware.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from volbal.config import Settings
from volbal.domain.money import PRICE, from_float
from volbal.domain.quotes import Quote
from volbal.domain.wording import age, few
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.bundled import BundledPrices
from volbal.market.inspection import calendar_for, ends_at, missing_sessions
from volbal.market.model import DAILY, PriceHistory, as_symbol
from volbal.market.sessions import NEW_YORK, Calendar, calendar_of, close_of
from volbal.services import price_fetch, price_store
from volbal.services.price_fetch import Refreshed
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import StoredClose, StoredQuote

if TYPE_CHECKING:  # yfinance is slow to import: not before the first fetch
    from volbal.market.yahoo import UpcomingDividend, YahooPrices

BUNDLED: Final = BundledPrices()

YAHOO: Final = "Yahoo"
"""The source of series that `refresh` made, `YahooPrices.name`."""

LIVE_FOR: Final = timedelta(minutes=15)
"""How long after it was fetched a quote may be called live."""


@lru_cache(maxsize=4)
def _yahoo_of(settings: Settings) -> "YahooPrices":
    from volbal.market.yahoo import YahooPrices, YahooSettings

    return YahooPrices(YahooSettings(base_url=settings.yahoo_url))


def yahoo() -> "YahooPrices":
    """Yahoo as the environment names it; one per process. Raises InvalidInput."""
    return _yahoo_of(Settings.from_environment())


def known_symbols(database: Database) -> tuple[str, ...]:
    """Symbols with daily prices, stored or bundled, in alphabetical order."""
    stored = {symbol for symbol, interval in revisions(database) if interval == DAILY}
    return tuple(sorted(stored | set(BUNDLED.symbols())))


def fetched_series(database: Database) -> tuple[tuple[str, str], ...]:
    """Symbol and interval of every stored series that was fetched: `refresh` can lengthen it."""
    with database.read() as connection:
        return tuple(
            (series.symbol, series.interval)
            for series in records.all_series(connection)
            if series.source == YAHOO
        )


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
        found = price_store.find(connection, name, interval)
    if found is not None:
        return found
    if interval == DAILY and name in BUNDLED.symbols():
        return BUNDLED.history(name)
    raise PriceUnavailable(
        f"There are no {interval} prices of {name} here; there are daily ones of "
        f"{', '.join(known_symbols(database))}. Fetch or import more on the Data page, or with "
        f"python -m volbal prices refresh {name}."
    )


def fallback(database: Database, symbols: Sequence[str], interval: str, now: datetime) -> str:
    """What `history` gives of `symbols` while nothing can be fetched, and how old it is.

    A sentence each for the stored ones, the bundled ones, and those of which nothing is here.
    """
    there: dict[str, list[PriceHistory]] = {}
    nothing = []
    for symbol in symbols:
        try:
            known = history(database, symbol, interval)
        except (PriceUnavailable, InvalidInput):
            nothing.append(symbol.strip().upper())
        else:
            there.setdefault(known.provenance.source.partition(":")[0], []).append(known)
    told = [_still_used(kind, known, now) for kind, known in there.items()]
    if nothing:
        told.append(f"There are no {interval} prices of {_listed(nothing)} here.")
    return " ".join(told)


def _still_used(kind: str, known: Sequence[PriceHistory], now: datetime) -> str:
    oldest = min(known, key=lambda one: one.last_date)
    which = "they end" if len(known) == 1 else "the oldest end"
    return (
        f"The {kind} {oldest.provenance.interval} prices of "
        f"{_listed([one.symbol for one in known])} go on being used: {which} on "
        f"{oldest.last_date}, {age(ends_at(oldest), now)} ago."
    )


def _listed(symbols: Sequence[str]) -> str:
    return ", ".join(few(symbols))


def is_behind(database: Database, symbol: str, now: datetime) -> bool:
    """May there be a daily close that is not here yet: did a session finish since the last one?"""
    try:
        known = history(database, symbol)
    except PriceUnavailable:
        return True
    calendar = calendar_for(known)
    if calendar is None or not calendar.knows(calendar.date_of(now)):
        return known.last_date < now.date()
    return known.last_date < calendar.last_finished(now)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one series has. fetched_at: None for bundled prices; ends_at: moment of its last bar.

    gaps: sessions between its first and last date without a bar. calendar: of where it trades,
    None where nothing is known of its sessions. has_ohlc: every bar has an open, a high and a low.
    """

    symbol: str
    interval: str
    source: str
    basis: str
    fetched_at: datetime | None
    first_date: date
    last_date: date
    ends_at: datetime
    bars: int
    gaps: tuple[date, ...]
    dividends: int
    splits: int
    has_ohlc: bool
    calendar: Calendar | None

    @property
    def is_stored(self) -> bool:
        """In the records, so that it can be refreshed and deleted."""
        return self.fetched_at is not None

    def behind(self, now: datetime) -> int | None:
        """Sessions that have closed since the last bar; None where they are not known."""
        if self.calendar is None or not self.calendar.knows(self.calendar.date_of(now)):
            return None
        finished = self.calendar.last_finished(now)
        return len(self.calendar.missing((self.last_date,), self.last_date, finished))


def coverage(database: Database) -> list[Coverage]:
    """Every series that `history` gives, by symbol and interval; a stored one hides a bundled."""
    with database.read() as connection:
        stored = [
            replace(
                _coverage_of(database, one.symbol, one.interval, one.source, one.revision),
                fetched_at=one.fetched_at,
            )
            for one in records.all_series(connection)
        ]
    hidden = {one.symbol for one in stored if one.interval == DAILY}
    bundled = [
        _coverage(BUNDLED.history(symbol), BUNDLED.name)
        for symbol in BUNDLED.symbols()
        if symbol not in hidden
    ]
    return sorted(stored + bundled, key=lambda one: (one.symbol, one.interval))


@lru_cache(maxsize=1024)
def _coverage_of(
    database: Database, symbol: str, interval: str, source: str, revision: int
) -> Coverage:
    """Of a stored series; as long as its revision is the same, so is this."""
    return _coverage(history(database, symbol, interval), source)


def _coverage(history: PriceHistory, source: str) -> Coverage:
    return Coverage(
        history.symbol,
        history.provenance.interval,
        source,
        history.provenance.basis,
        None,
        history.first_date,
        history.last_date,
        ends_at(history),
        len(history.bars),
        missing_sessions(history),
        len(history.dividends),
        len(history.splits),
        history.has_ohlc,
        calendar_for(history),
    )


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
    name = as_symbol(symbol)
    while True:
        with database.read() as connection:
            series = records.find_series(connection, name, interval)
            stored = None if series is None else price_store.assembled(connection, series)
        if series is not None and series.source != YAHOO:
            raise InvalidInput(
                "symbol",
                f"the {interval} prices of {name} were imported from {series.source}",
                "import a longer file, or delete them first to fetch them from Yahoo",
            )
        if stored is None:
            update = price_fetch.whole(yahoo, name, interval)
        else:
            update = price_fetch.lengthened(yahoo, stored, now)
        with database.write() as connection:
            # Another thread may have refreshed it meanwhile: then look again at what is stored.
            if records.find_series(connection, name, interval) == series:
                update.store(connection, YAHOO, now)
                return update.told


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
        """What `trading.evaluate` takes.

        Quotes and closes are of regular sessions, even where their stamp is a moment later. A
        doubtful one waits to be confirmed: an old close may be from before a split.
        """
        return Quote(self.price, self.source, self.made_at, confirmed=confirmed)


def latest_price(database: Database, symbol: str, now: datetime) -> SeenPrice:
    """The newest of the last quote seen and the last daily close; never asks the network.

    Raises PriceUnavailable where there is neither.
    """
    name = as_symbol(symbol)
    with database.read() as connection:
        quote = records.find_quote(connection, name)
        close = _stored_close(connection, name, now)
    seen = _newest(name, quote, close, now)
    if seen is None:
        raise PriceUnavailable(
            f"No price of {name} is known here; fetch or import some on the Data page."
        )
    return seen


def newest(
    symbol: str, quote: StoredQuote | None, close: StoredClose | None, now: datetime
) -> SeenPrice | None:
    """`latest_price` of a symbol whose last quote and last stored close are read already."""
    told = None
    if close is not None:
        origin = f"stored, {close.source}"
        calendar = calendar_of(close.exchange or NEW_YORK)
        told = _close(symbol, close.close, close.on, calendar, origin, now)
    return _newest(symbol, quote, told, now)


def _newest(
    symbol: str, quote: StoredQuote | None, stored: SeenPrice | None, now: datetime
) -> SeenPrice | None:
    close = stored
    if close is None and symbol in BUNDLED.symbols():
        bundled = BUNDLED.history(symbol)
        price = float(bundled.bars["close"].iloc[-1])
        close = _close(symbol, price, bundled.last_date, calendar_of(), "bundled", now)
    if quote is not None and (close is None or quote.made_at >= close.made_at):
        return _seen_quote(quote, now)
    return close


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


def _stored_close(connection: Connection, symbol: str, now: datetime) -> SeenPrice | None:
    series = records.find_series(connection, symbol, DAILY)
    bar = records.last_bar(connection, symbol, DAILY)
    if series is None or bar is None:
        return None
    day, close = bar[0].date(), bar[1]
    calendar = calendar_of(series.exchange or NEW_YORK)
    return _close(symbol, close, day, calendar, f"stored, {series.source}", now)


def _close(
    symbol: str, price: float, day: date, calendar: Calendar | None, origin: str, now: datetime
) -> SeenPrice:
    made_at = close_of(day, calendar)
    return SeenPrice(
        symbol,
        from_float(PRICE, price),
        f"close of {day} ({origin})",
        made_at,
        now - made_at,
        is_live=False,
        is_close=True,
    )


def refresh_quote(
    database: Database, yahoo: "YahooPrices", symbol: str, now: datetime
) -> SeenPrice:
    """Ask Yahoo for a quote and remember it. Raises PriceUnavailable; nothing changes then."""
    name = as_symbol(symbol)
    seen = yahoo.quote(name)
    quote = StoredQuote(
        name,
        seen.price,
        seen.made_at,
        seen.session,
        seen.currency,
        seen.previous_close,
        YAHOO,
        now,
    )
    with database.write() as connection:
        records.store_quote(connection, quote)
    return _seen_quote(quote, now)


def upcoming_dividend(yahoo: "YahooPrices", symbol: str) -> "UpcomingDividend":
    """The next ex-date and pay date, as far as Yahoo names them. Raises PriceUnavailable."""
    return yahoo.upcoming_dividend(as_symbol(symbol))


def without_stored(symbol: str, interval: str) -> str:
    """What is used where none are stored, in one sentence; empty where there is nothing."""
    name = as_symbol(symbol)
    if interval != DAILY or name not in BUNDLED.symbols():
        return ""
    return f"The bundled ones take their place: they end on {BUNDLED.history(name).last_date}."


def delete(database: Database, symbol: str, interval: str = DAILY) -> str:
    """Forget a stored series; bundled prices of the symbol are used again, if there are any.

    Returns what became of them, in sentences. Raises PriceUnavailable where nothing is stored.
    """
    name, then = as_symbol(symbol), without_stored(symbol, interval)
    with database.write() as connection:
        if records.find_series(connection, name, interval) is None:
            raise PriceUnavailable(f"No {interval} prices of {name} are stored.")
        price_store.delete(connection, name, interval)
    return " ".join(filter(None, (f"The stored {interval} prices of {name} are deleted.", then)))

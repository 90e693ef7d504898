"""Price histories in the store: read whole, replaced whole, or made longer.

Functions take the connection of a `Database.read()` or `Database.write()` block.
"""

from datetime import datetime

import pandas as pd

from volbal.market.model import Listing, PriceHistory, Provenance
from volbal.storage import records
from volbal.storage.records import Connection
from volbal.storage.rows import StoredSeries


def find(connection: Connection, symbol: str, interval: str) -> PriceHistory | None:
    """The stored history; its provenance names the source and the time of the fetch."""
    series = records.find_series(connection, symbol, interval)
    return None if series is None else assembled(connection, series)


def assembled(connection: Connection, series: StoredSeries) -> PriceHistory:
    """The history of a stored series."""
    key = (series.symbol, series.interval)
    bars = records.bars_of(connection, *key).set_index("time")
    return PriceHistory(
        series.symbol,
        bars,
        records.price_dividends_of(connection, *key),
        records.price_splits_of(connection, *key),
        Provenance(source_text(series), series.basis, series.interval, bars.index[-1].date()),
        series.notes,
        _listing(series),
    )


def source_text(series: StoredSeries) -> str:
    """Where stored prices come from, and since when."""
    done = "imported" if series.source.startswith("file ") else "fetched"
    return f"stored: {series.source}, {done} {series.fetched_at:%Y-%m-%d %H:%M} UTC"


def replace(connection: Connection, history: PriceHistory, source: str, now: datetime) -> None:
    """Put a validated `history` in the place of what is stored of its symbol and interval."""
    records.delete_bars(connection, history.symbol, history.provenance.interval)
    _store(connection, history, history.bars, source, now)


def append(
    connection: Connection, history: PriceHistory, since: pd.Timestamp, source: str, now: datetime
) -> None:
    """Store the bars of `history` later than `since`, the last stored one, and all its actions.

    history: the whole series, validated, its stored bars unchanged.
    """
    _store(connection, history, history.bars[history.bars.index > since], source, now)


def checked(connection: Connection, history: PriceHistory, now: datetime) -> None:
    """The source had nothing new: only the time of the fetch changes."""
    records.store_fetched_at(connection, history.symbol, history.provenance.interval, now)


def delete(connection: Connection, symbol: str, interval: str) -> None:
    """Forget the series."""
    records.delete_series(connection, symbol, interval)
    records.delete_bars(connection, symbol, interval)
    records.delete_price_dividends(connection, symbol, interval)
    records.delete_price_splits(connection, symbol, interval)


def _store(
    connection: Connection,
    history: PriceHistory,
    new_bars: pd.DataFrame,
    source: str,
    now: datetime,
) -> None:
    key = (history.symbol, history.provenance.interval)
    records.insert_bars(connection, *key, new_bars.reset_index())
    records.delete_price_dividends(connection, *key)
    records.insert_price_dividends(connection, *key, history.dividends)
    records.delete_price_splits(connection, *key)
    records.insert_price_splits(connection, *key, history.splits)
    records.store_series(connection, _series(history, source, now))


def _series(history: PriceHistory, source: str, now: datetime) -> StoredSeries:
    listing = history.listing
    return StoredSeries(
        history.symbol,
        history.provenance.interval,
        source,
        history.provenance.basis,
        now,
        history.notes,
        listing.exchange if listing else None,
        listing.timezone if listing else None,
        listing.currency if listing else None,
    )


def _listing(series: StoredSeries) -> Listing | None:
    if series.exchange is None or series.timezone is None or series.currency is None:
        return None
    return Listing(series.exchange, series.timezone, series.currency)

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
    return f"stored: {series.source}, fetched {series.fetched_at:%Y-%m-%d %H:%M} UTC"


def replace(connection: Connection, history: PriceHistory, source: str, now: datetime) -> None:
    """Put a validated `history` in the place of what is stored of its symbol and interval."""
    symbol, interval = history.symbol, history.provenance.interval
    _delete_rows(connection, symbol, interval)
    _store_later(connection, history, pd.Timestamp.min)
    records.store_series(connection, _series(history, source, now))


def append(
    connection: Connection, history: PriceHistory, since: pd.Timestamp, source: str, now: datetime
) -> None:
    """Store what of `history` is later than `since`, the last bar of the stored part.

    history: the whole series, validated, its stored part unchanged.
    """
    if history.bars.index[-1] == since:
        records.store_fetched_at(connection, history.symbol, history.provenance.interval, now)
        return
    _store_later(connection, history, since)
    records.store_series(connection, _series(history, source, now))


def delete(connection: Connection, symbol: str, interval: str) -> None:
    """Forget the series."""
    records.delete_series(connection, symbol, interval)
    _delete_rows(connection, symbol, interval)


def _store_later(connection: Connection, history: PriceHistory, since: pd.Timestamp) -> None:
    key = (history.symbol, history.provenance.interval)
    bars, dividends, splits = history.bars, history.dividends, history.splits
    records.insert_bars(connection, *key, bars[bars.index > since].reset_index())
    records.insert_price_dividends(connection, *key, dividends[dividends["ex_date"] > since])
    records.insert_price_splits(connection, *key, splits[splits["date"] > since])


def _delete_rows(connection: Connection, symbol: str, interval: str) -> None:
    records.delete_bars(connection, symbol, interval)
    records.delete_price_dividends(connection, symbol, interval)
    records.delete_price_splits(connection, symbol, interval)


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

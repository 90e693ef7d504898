"""Rows of market data: series, bars, dividends, splits, quotes.

Bars come and go as frames, shaped as in `market.model.PriceHistory`.
"""

from datetime import datetime

import pandas as pd

from volbal.storage.records.values import Connection, Row, aware, number, stored
from volbal.storage.rows import StoredQuote, StoredSeries


def store_series(connection: Connection, series: StoredSeries) -> int:
    """The head of a series, new or changed; returns its new revision."""
    row = connection.execute(
        """
        insert or replace into price_series (
            symbol, interval, source, basis, fetched_at, notes, exchange, timezone, currency,
            revision
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, nextval('price_revisions'))
        returning revision
        """,
        [
            series.symbol,
            series.interval,
            series.source,
            series.basis,
            stored(series.fetched_at),
            list(series.notes),
            series.exchange,
            series.timezone,
            series.currency,
        ],
    ).fetchone()
    return number(row)


def find_series(connection: Connection, symbol: str, interval: str) -> StoredSeries | None:
    row = connection.execute(
        """
        select
            symbol, interval, source, basis, fetched_at, notes, exchange, timezone, currency,
            revision
        from price_series
        where symbol = ? and interval = ?
        """,
        [symbol, interval],
    ).fetchone()
    return None if row is None else _series(row)


def all_series(connection: Connection) -> list[StoredSeries]:
    """By symbol and interval."""
    rows = connection.execute(
        """
        select
            symbol, interval, source, basis, fetched_at, notes, exchange, timezone, currency,
            revision
        from price_series
        order by symbol, interval
        """
    ).fetchall()
    return [_series(row) for row in rows]


def store_fetched_at(
    connection: Connection, symbol: str, interval: str, fetched_at: datetime
) -> None:
    """The source was asked and had nothing new: the rows and their revision stay."""
    connection.execute(
        "update price_series set fetched_at = ? where symbol = ? and interval = ?",
        [stored(fetched_at), symbol, interval],
    )


def last_bar(connection: Connection, symbol: str, interval: str) -> tuple[datetime, float] | None:
    """Start and close of the newest bar."""
    row = connection.execute(
        """
        select starts_at, close
        from bars
        where symbol = ? and interval = ?
        order by starts_at desc
        limit 1
        """,
        [symbol, interval],
    ).fetchone()
    return None if row is None else (row[0], row[1])


def delete_series(connection: Connection, symbol: str, interval: str) -> None:
    connection.execute(
        "delete from price_series where symbol = ? and interval = ?", [symbol, interval]
    )


def insert_bars(connection: Connection, symbol: str, interval: str, given: pd.DataFrame) -> None:
    """given: columns time, open, high, low, close, volume."""
    connection.execute(
        """
        insert into bars (symbol, interval, starts_at, open, high, low, close, volume)
        select ?, ?, time, open, high, low, close, volume from given
        """,
        [symbol, interval],
    )


def bars_of(connection: Connection, symbol: str, interval: str) -> pd.DataFrame:
    """By time, as a PriceHistory has them but for the index: time is a column."""
    return connection.execute(
        """
        select cast(starts_at as timestamp_s) as time, open, high, low, close, volume
        from bars
        where symbol = ? and interval = ?
        order by starts_at
        """,
        [symbol, interval],
    ).df()


def delete_bars(connection: Connection, symbol: str, interval: str) -> None:
    connection.execute("delete from bars where symbol = ? and interval = ?", [symbol, interval])


def insert_price_dividends(
    connection: Connection, symbol: str, interval: str, given: pd.DataFrame
) -> None:
    """given: columns ex_date, amount, pay_date."""
    connection.execute(
        """
        insert into price_dividends (symbol, interval, ex_on, amount, pay_on)
        select ?, ?, ex_date, amount, pay_date from given
        """,
        [symbol, interval],
    )


def price_dividends_of(connection: Connection, symbol: str, interval: str) -> pd.DataFrame:
    """By ex-date, as a PriceHistory has them."""
    return connection.execute(
        """
        select
            cast(ex_on as timestamp_s) as ex_date, amount, cast(pay_on as timestamp_s) as pay_date
        from price_dividends
        where symbol = ? and interval = ?
        order by ex_on
        """,
        [symbol, interval],
    ).df()


def delete_price_dividends(connection: Connection, symbol: str, interval: str) -> None:
    connection.execute(
        "delete from price_dividends where symbol = ? and interval = ?", [symbol, interval]
    )


def insert_price_splits(
    connection: Connection, symbol: str, interval: str, given: pd.DataFrame
) -> None:
    """given: columns date, ratio."""
    connection.execute(
        """
        insert into price_splits (symbol, interval, split_on, ratio)
        select ?, ?, date, ratio from given
        """,
        [symbol, interval],
    )


def price_splits_of(connection: Connection, symbol: str, interval: str) -> pd.DataFrame:
    """By date, as a PriceHistory has them."""
    return connection.execute(
        """
        select cast(split_on as timestamp_s) as date, ratio
        from price_splits
        where symbol = ? and interval = ?
        order by split_on
        """,
        [symbol, interval],
    ).df()


def delete_price_splits(connection: Connection, symbol: str, interval: str) -> None:
    connection.execute(
        "delete from price_splits where symbol = ? and interval = ?", [symbol, interval]
    )


def store_quote(connection: Connection, quote: StoredQuote) -> None:
    """The last quote of its symbol; the one before it is forgotten."""
    connection.execute(
        """
        insert or replace into quotes (
            symbol, price, made_at, session, currency, previous_close, source, fetched_at
        )
        values (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            quote.symbol,
            quote.price,
            stored(quote.made_at),
            quote.session,
            quote.currency,
            quote.previous_close,
            quote.source,
            stored(quote.fetched_at),
        ],
    )


def find_quote(connection: Connection, symbol: str) -> StoredQuote | None:
    row = connection.execute(
        """
        select price, made_at, session, currency, previous_close, source, fetched_at
        from quotes
        where symbol = ?
        """,
        [symbol],
    ).fetchone()
    if row is None:
        return None
    price, made_at, session, currency, previous_close, source, fetched_at = row
    return StoredQuote(
        symbol,
        price,
        aware(made_at),
        session,
        currency,
        previous_close,
        source,
        aware(fetched_at),
    )


def _series(row: Row) -> StoredSeries:
    symbol, interval, source, basis, fetched_at, notes, exchange, timezone, currency, revision = row
    return StoredSeries(
        symbol,
        interval,
        source,
        basis,
        aware(fetched_at),
        tuple(notes),
        exchange,
        timezone,
        currency,
        revision,
    )

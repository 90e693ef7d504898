"""Rows of dividends."""

from datetime import date
from decimal import Decimal

from volbal.domain.dividends import Dividend, DividendState
from volbal.storage.records.values import Connection, Row, number
from volbal.storage.rows import DividendAccrual


def insert_dividend(
    connection: Connection, position_id: int, ex_on: date, pay_on: date | None, per_share: Decimal
) -> int:
    row = connection.execute(
        """
        insert into dividends (position_id, ex_on, pay_on, per_share, state)
        values (?, ?, ?, ?, 'announced')
        returning dividend_id
        """,
        [position_id, ex_on, pay_on, per_share],
    ).fetchone()
    return number(row)


def store_announcement(
    connection: Connection, dividend_id: int, pay_on: date | None, per_share: Decimal
) -> None:
    connection.execute(
        "update dividends set pay_on = ?, per_share = ? where dividend_id = ?",
        [pay_on, per_share, dividend_id],
    )


def delete_dividend(connection: Connection, dividend_id: int) -> None:
    connection.execute("delete from dividends where dividend_id = ?", [dividend_id])


def find_dividend(connection: Connection, dividend_id: int) -> Dividend | None:
    row = connection.execute(
        """
        select dividend_id, position_id, ex_on, pay_on, per_share, state, net
        from dividends
        where dividend_id = ?
        """,
        [dividend_id],
    ).fetchone()
    return None if row is None else _dividend(row)


def find_dividend_on(connection: Connection, position_id: int, ex_on: date) -> Dividend | None:
    row = connection.execute(
        """
        select dividend_id, position_id, ex_on, pay_on, per_share, state, net
        from dividends
        where position_id = ? and ex_on = ?
        """,
        [position_id, ex_on],
    ).fetchone()
    return None if row is None else _dividend(row)


def dividends_of(connection: Connection, position_id: int) -> list[Dividend]:
    """By ex-date."""
    rows = connection.execute(
        """
        select dividend_id, position_id, ex_on, pay_on, per_share, state, net
        from dividends
        where position_id = ?
        order by ex_on
        """,
        [position_id],
    ).fetchall()
    return [_dividend(row) for row in rows]


def unpaid_dividends(connection: Connection, position_id: int, day: date) -> list[Dividend]:
    """Announced or accrued ones whose ex-date has come by `day`, by ex-date."""
    rows = connection.execute(
        """
        select dividend_id, position_id, ex_on, pay_on, per_share, state, net
        from dividends
        where position_id = ? and ex_on <= ? and state <> 'paid'
        order by ex_on
        """,
        [position_id, day],
    ).fetchall()
    return [_dividend(row) for row in rows]


def store_accrual(connection: Connection, dividend_id: int, accrual: DividendAccrual) -> None:
    connection.execute(
        """
        update dividends
        set state = 'accrued', held = ?, gross = ?, withheld = ?, net = ?, accrual_entry_id = ?
        where dividend_id = ?
        """,
        [
            accrual.held,
            accrual.gross,
            accrual.withheld,
            accrual.net,
            accrual.entry_id,
            dividend_id,
        ],
    )


def store_payment(connection: Connection, dividend_id: int, entry_id: int) -> None:
    connection.execute(
        "update dividends set state = 'paid', payment_entry_id = ? where dividend_id = ?",
        [entry_id, dividend_id],
    )


def dividend_entries(connection: Connection) -> list[tuple[Dividend, int | None, int | None]]:
    """All dividends with the numbers of their accrual and payment entries."""
    rows = connection.execute(
        """
        select
            dividend_id, position_id, ex_on, pay_on, per_share, state, net, accrual_entry_id,
            payment_entry_id
        from dividends
        order by dividend_id
        """
    ).fetchall()
    return [(_dividend(row[:7]), row[7], row[8]) for row in rows]


def _dividend(row: Row) -> Dividend:
    return Dividend(
        dividend_id=row[0],
        position_id=row[1],
        ex_on=row[2],
        pay_on=row[3],
        per_share=row[4],
        state=DividendState(row[5]),
        net=row[6],
    )

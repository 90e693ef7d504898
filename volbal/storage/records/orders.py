"""Rows of orders and fills."""

from datetime import date, datetime
from decimal import Decimal

from volbal.domain.order_states import OrderState
from volbal.domain.orders import Execution, FillRecord, Order, OrderRecord, Side
from volbal.storage.records.values import Connection, Row, aware, number, stored


def insert_order(
    connection: Connection,
    position_id: int,
    key: str,
    order: Order,
    submitted_at: datetime,
    submitted_on: date,
) -> int:
    row = connection.execute(
        """
        insert into orders (
            position_id, idempotency_key, fingerprint, side, quantity, state, filled,
            submitted_at, submitted_on
        )
        values (?, ?, ?, ?, ?, ?, 0, ?, ?)
        returning order_id
        """,
        [
            position_id,
            key,
            order.fingerprint,
            order.side.value,
            order.quantity,
            OrderState.SUBMITTED.value,
            stored(submitted_at),
            submitted_on,
        ],
    ).fetchone()
    return number(row)


def find_order(connection: Connection, order_id: int) -> OrderRecord | None:
    row = connection.execute(
        """
        select
            order_id, position_id, idempotency_key, fingerprint, side, quantity, state, filled,
            submitted_at, reason
        from orders
        where order_id = ?
        """,
        [order_id],
    ).fetchone()
    return None if row is None else _order(row)


def find_order_by_key(connection: Connection, position_id: int, key: str) -> OrderRecord | None:
    row = connection.execute(
        """
        select
            order_id, position_id, idempotency_key, fingerprint, side, quantity, state, filled,
            submitted_at, reason
        from orders
        where position_id = ? and idempotency_key = ?
        """,
        [position_id, key],
    ).fetchone()
    return None if row is None else _order(row)


def orders_of(connection: Connection, position_id: int) -> list[OrderRecord]:
    """Newest first."""
    rows = connection.execute(
        """
        select
            order_id, position_id, idempotency_key, fingerprint, side, quantity, state, filled,
            submitted_at, reason
        from orders
        where position_id = ?
        order by order_id desc
        """,
        [position_id],
    ).fetchall()
    return [_order(row) for row in rows]


def all_orders(connection: Connection) -> list[OrderRecord]:
    rows = connection.execute(
        """
        select
            order_id, position_id, idempotency_key, fingerprint, side, quantity, state, filled,
            submitted_at, reason
        from orders
        order by order_id
        """
    ).fetchall()
    return [_order(row) for row in rows]


def orders_today_and_open(
    connection: Connection, position_id: int, day: date
) -> tuple[int, int | None]:
    """Orders that count for the daily cap on `day`, and the number of an open order if any."""
    row = connection.execute(
        """
        select
            count(*) filter (where submitted_on = ? and (filled > 0 or closed_at is null)),
            min(order_id) filter (where closed_at is null)
        from orders
        where position_id = ?
        """,
        [day, position_id],
    ).fetchone()
    return (0, None) if row is None else (row[0], row[1])


def store_order_state(
    connection: Connection,
    order_id: int,
    state: OrderState,
    filled: Decimal,
    closed_at: datetime | None,
    reason: str | None,
) -> None:
    connection.execute(
        "update orders set state = ?, filled = ?, closed_at = ?, reason = ? where order_id = ?",
        [
            state.value,
            filled,
            None if closed_at is None else stored(closed_at),
            reason,
            order_id,
        ],
    )


def insert_fill(connection: Connection, fill: FillRecord, entry_id: int) -> int:
    """Stores `fill` under a new number, which is returned."""
    row = connection.execute(
        """
        insert into fills (
            order_id, position_id, entry_id, fill_key, fingerprint, side, price, quantity,
            commission, filled_at, outside_guardrails
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        returning fill_id
        """,
        [
            fill.order_id,
            fill.position_id,
            entry_id,
            fill.key,
            fill.fingerprint,
            fill.side.value,
            fill.execution.price,
            fill.execution.quantity,
            fill.execution.commission,
            stored(fill.filled_at),
            fill.outside_guardrails,
        ],
    ).fetchone()
    return number(row)


def find_fill_by_key(connection: Connection, order_id: int, key: str) -> FillRecord | None:
    row = connection.execute(
        """
        select
            fill_id, order_id, position_id, fill_key, fingerprint, side, price, quantity,
            commission, filled_at, outside_guardrails
        from fills
        where order_id = ? and fill_key = ?
        """,
        [order_id, key],
    ).fetchone()
    return None if row is None else _fill(row)


def fills_of(connection: Connection, position_id: int) -> list[FillRecord]:
    """Newest first."""
    rows = connection.execute(
        """
        select
            fill_id, order_id, position_id, fill_key, fingerprint, side, price, quantity,
            commission, filled_at, outside_guardrails
        from fills
        where position_id = ?
        order by fill_id desc
        """,
        [position_id],
    ).fetchall()
    return [_fill(row) for row in rows]


def fills_with_entries(connection: Connection) -> list[tuple[FillRecord, int]]:
    """All fills, each with the number of its ledger entry."""
    rows = connection.execute(
        """
        select
            fill_id, order_id, position_id, fill_key, fingerprint, side, price, quantity,
            commission, filled_at, outside_guardrails, entry_id
        from fills
        order by fill_id
        """
    ).fetchall()
    return [(_fill(row[:11]), row[11]) for row in rows]


def _order(row: Row) -> OrderRecord:
    return OrderRecord(
        order_id=row[0],
        position_id=row[1],
        key=row[2],
        fingerprint=row[3],
        order=Order(Side(row[4]), row[5]),
        state=OrderState(row[6]),
        filled=row[7],
        submitted_at=aware(row[8]),
        reason=row[9],
    )


def _fill(row: Row) -> FillRecord:
    return FillRecord(
        fill_id=row[0],
        order_id=row[1],
        position_id=row[2],
        key=row[3],
        fingerprint=row[4],
        side=Side(row[5]),
        execution=Execution(row[6], row[7], row[8]),
        filled_at=aware(row[9]),
        outside_guardrails=row[10],
    )

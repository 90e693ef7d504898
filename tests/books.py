"""What tests of the ledger share: a moment, a cell, orders, and a dump of every table."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from volbal.domain.position import Position
from volbal.domain.quotes import Quote
from volbal.market.sessions import quote
from volbal.services import positions, trading
from volbal.services.trading import Evaluation, Filled
from volbal.storage.database import Database
from volbal.storage.records import studies as study_rows

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)  # a Monday, 10:00 in New York
DAY = timedelta(days=1)

TABLES = (
    "positions",
    "configurations",
    "presets",
    "entries",
    "orders",
    "fills",
    "dividends",
    "decisions",
    "valuations",
    "events",
    "transfer_keys",
    "autopilots",
    "samples",
)


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    """A ledger at `path`, leased for the whole block: writes do not reopen the file."""
    database = Database(path, timeout=20.0)
    database.open()
    try:
        with database.lease():
            yield database
    finally:
        database.close()


def tried(database: Database, symbol: str) -> int:
    """Cells ever simulated on `symbol` by any study."""
    with database.read() as connection:
        return study_rows.trials(connection).get(symbol, 0)


def a_cell(database: Database, **changes: Any) -> Position:
    """50 shares and 5,000 cash at anchor 100, unless told otherwise."""
    given = {"quantity": 50, "cash": 5000, "anchor_price": 100, "now": NOW} | changes
    return positions.open_position(database, "ACME", **given)


def at(price: float | str | Decimal, **more: Any) -> Quote:
    return quote(price, **more)


def carried_out(
    database: Database, position_id: int, price: float | str | Decimal, now: datetime
) -> tuple[Evaluation, Filled | None]:
    """Evaluate, and if an order is proposed submit and fill it as proposed."""
    evaluation = trading.evaluate(database, position_id, at(price), now)
    proposal = evaluation.proposal
    if proposal is None:
        return evaluation, None
    submission = trading.submit(
        database,
        position_id,
        key=proposal.key,
        side=proposal.order.side,
        quantity=proposal.order.quantity,
        now=now,
    )
    filled = trading.fill(
        database,
        submission.order.order_id,
        price=price,
        quantity=proposal.order.quantity,
        commission=evaluation.decision.commission,
        now=now,
    )
    return evaluation, filled


def filled_at(
    database: Database,
    position_id: int,
    side: str,
    quantity: float | str,
    price: float | str,
    now: datetime = NOW,
    **more: Any,
) -> Filled:
    """An order by hand, submitted with a key of its own and filled."""
    key = f"by hand {now.isoformat()} {side} {quantity} {price}"
    order = trading.submit(
        database, position_id, key=key, side=side, quantity=quantity, now=now
    ).order
    return trading.fill(database, order.order_id, price=price, quantity=quantity, now=now, **more)


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, sorted."""
    with database.read() as connection:
        return {
            table: sorted(connection.execute(f"from {table}").fetchall(), key=repr)
            for table in TABLES
        }


def event_types(database: Database, position_id: int) -> list[str]:
    """Oldest first."""
    return [event.type for event in reversed(positions.events(database, position_id))]

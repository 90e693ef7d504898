"""What the ledger's use cases share: the unit of work, posting an entry, valuing a position."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from volbal.domain import entries
from volbal.domain.ledger import Entry, Refused, equity, fold
from volbal.domain.money import NO_MONEY, NO_SHARES, ZERO
from volbal.domain.orders import OrderRecord
from volbal.domain.performance import Valuation
from volbal.domain.position import Position, PositionClosed, PositionNotFound
from volbal.errors import VolbalError
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import Event

Details = Mapping[str, object]


class OrderNotFound(VolbalError):
    """No order has this number."""

    code = "order_not_found"

    def __init__(self, order_id: int) -> None:
        super().__init__(f"There is no order {order_id}; list the position's orders to see them.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tries, told well enough for a `refused` event."""

    what: str
    now: datetime
    position_id: int
    inputs: Details


@contextlib.contextmanager
def unit_of_work(database: Database, attempt: Attempt) -> Iterator[Connection]:
    """One write: all of the block is stored, or nothing. A refusal leaves one event."""
    try:
        with database.write() as connection:
            yield connection
    except Refused as refusal:
        with database.write() as connection:
            _record_refusal(connection, attempt, refusal)
        raise


def _record_refusal(connection: Connection, attempt: Attempt, refusal: Refused) -> None:
    inputs = {"attempt": attempt.what, **attempt.inputs}
    outputs = {"code": refusal.code}
    records.insert_event(
        connection,
        Event(attempt.position_id, attempt.now, "refused", inputs, outputs, str(refusal)),
    )


def position(connection: Connection, position_id: int) -> Position:
    """The stored position; raises PositionNotFound."""
    found = records.find_position(connection, position_id)
    if found is None:
        raise PositionNotFound(position_id)
    return found


def open_position(connection: Connection, position_id: int) -> Position:
    """The stored position; raises PositionNotFound, PositionClosed for an archived one."""
    found = position(connection, position_id)
    if not found.balance.is_open:
        raise PositionClosed(position_id)
    return found


def order(connection: Connection, order_id: int) -> OrderRecord:
    """The stored order; raises OrderNotFound."""
    found = records.find_order(connection, order_id)
    if found is None:
        raise OrderNotFound(order_id)
    return found


def position_of_order(database: Database, order_id: int) -> int:
    """The position an order belongs to, which never changes; raises OrderNotFound."""
    with database.read() as connection:
        return order(connection, order_id).position_id


def post(
    connection: Connection, position: Position, entry: Entry, now: datetime
) -> tuple[Position, int]:
    """Append `entry`; returns the position after it and the number of the entry."""
    entry_id = records.insert_entry(connection, position.position_id, entry, now)
    balance = fold(position.balance, entry)
    records.store_balance(connection, position.position_id, balance)
    return replace(position, balance=balance), entry_id


def see_price(
    connection: Connection, position: Position, price: Decimal, made_at: datetime, day: date
) -> tuple[Position, Decimal]:
    """Accept a price; the first one is what opening shares without a price have cost.

    Returns the position and the money that those shares turn out to have brought in.
    """
    records.store_price(connection, position.position_id, price, made_at)
    position = replace(position, last_price=price, last_price_at=made_at)
    return price_opening_shares(connection, position, price, made_at, day)


def price_opening_shares(
    connection: Connection, position: Position, price: Decimal, now: datetime, day: date
) -> tuple[Position, Decimal]:
    """What opening shares without a price have cost, and the money they so brought in."""
    if position.balance.average_cost is not None:
        return position, NO_MONEY
    entry = entries.opening_price(position.balance, price, day)
    position, _ = post(connection, position, entry, now)
    return position, -entry.legs.external


@dataclass(frozen=True, slots=True)
class Since:
    """What happened since the last valuation. dividend: net per share; split: new per old."""

    flow: Decimal = NO_MONEY
    dividend: Decimal = NO_SHARES
    split: Decimal = field(default_factory=lambda: Decimal(1))


def value(
    connection: Connection,
    position: Position,
    now: datetime,
    price: Decimal | None,
    since: Since,
) -> None:
    """Store what the position is worth at `price`; without one only if it holds no shares."""
    balance = position.balance
    known = price is not None or balance.quantity == 0
    worth = equity(balance, price if price is not None else ZERO) if known else None
    valuation = Valuation(now, worth, since.flow, price, since.dividend, since.split)
    records.insert_valuation(connection, position.position_id, balance, valuation)


def tell(
    connection: Connection,
    position_id: int,
    now: datetime,
    kind: str,
    sentence: str,
    inputs: Details,
    outputs: Details,
) -> int:
    """Append to the "why" log; returns the number of the event."""
    event = Event(position_id, now, kind, inputs, outputs, sentence)
    return records.insert_event(connection, event)

"""Recompute everything that the ledger also stores, and name every row that disagrees."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal

from volbal.domain.dividends import DividendState
from volbal.domain.ledger import EMPTY, Balance, Kind, equity, fold
from volbal.domain.money import ZERO
from volbal.domain.order_states import OrderState
from volbal.domain.orders import FillRecord, OrderRecord, Side
from volbal.domain.position import Position
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import StoredEntry


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One stored value that is not what its sources say."""

    table: str
    row: int
    field: str
    stored: object
    recomputed: object

    def __str__(self) -> str:
        return (
            f"{self.table} {self.row}: {self.field} is stored as {self.stored}, "
            f"the ledger says {self.recomputed}."
        )


def verify(database: Database) -> list[Disagreement]:
    """Every disagreement in one committed state; an empty list means that all is in order."""
    with database.read() as connection:
        entries = records.entries_after(connection, 0)
        return [
            *_balances(records.all_positions(connection), entries),
            *_configurations(connection),
            *_orders(connection),
            *_fills(connection, entries),
            *_dividends(connection, entries),
            *_valuations(connection),
        ]


def _balances(positions: list[Position], entries: list[StoredEntry]) -> Iterator[Disagreement]:
    """Stored balances are the fold of their entries."""
    folded: dict[int, Balance] = {}
    for line in entries:
        folded[line.position_id] = fold(folded.get(line.position_id, EMPTY), line.entry)
    for position in positions:
        expected = folded.get(position.position_id, EMPTY)
        for field in fields(Balance):
            stored = getattr(position.balance, field.name)
            recomputed = getattr(expected, field.name)
            yield from _differ("positions", position.position_id, field.name, stored, recomputed)


def _configurations(connection: Connection) -> Iterator[Disagreement]:
    """The configuration in force is the last one of the history."""
    for position in records.all_positions(connection):
        history = records.configurations(connection, position.position_id)
        last = history[-1].configuration if history else None
        stored = position.configuration
        yield from _differ("positions", position.position_id, "configuration", stored, last)


def _orders(connection: Connection) -> Iterator[Disagreement]:
    """An order's filled shares, state and fingerprint follow from its fills and its content."""
    filled: dict[int, Decimal] = {}
    for fill, _ in records.fills_with_entries(connection):
        filled[fill.order_id] = filled.get(fill.order_id, ZERO) + fill.execution.quantity
    for order in records.all_orders(connection):
        done = filled.get(order.order_id, ZERO)
        yield from _differ("orders", order.order_id, "filled", order.filled, done)
        expected = _state(order, done)
        yield from _differ("orders", order.order_id, "state", order.state, expected)
        print_of = order.order.fingerprint
        yield from _differ("orders", order.order_id, "fingerprint", order.fingerprint, print_of)


def _state(order: OrderRecord, filled: Decimal) -> OrderState:
    """What the fills say; an order ended by hand may have any part filled but the whole."""
    if filled == order.order.quantity:
        return OrderState.FILLED
    if order.state in (OrderState.CANCELLED, OrderState.REJECTED):
        return order.state
    return OrderState.PARTIALLY_FILLED if filled > 0 else OrderState.SUBMITTED


def _fills(connection: Connection, entries: list[StoredEntry]) -> Iterator[Disagreement]:
    """Every fill has its own entry with its numbers, and every fill entry its fill."""
    lines = {line.entry_id: line for line in entries if line.entry.kind is Kind.FILL}
    for fill, entry_id in records.fills_with_entries(connection):
        line = lines.pop(entry_id, None)
        recorded = None if line is None else _moved(line)
        yield from _differ("fills", fill.fill_id, "entry", _executed(fill), recorded)
    for entry_id in lines:
        yield Disagreement("entries", entry_id, "fill", "a fill entry", "no fill")


def _executed(fill: FillRecord) -> tuple[int, Decimal, Decimal | None, Decimal]:
    done = fill.execution
    signed = done.quantity if fill.side is Side.BUY else -done.quantity
    return fill.position_id, signed, done.price, done.commission


def _moved(line: StoredEntry) -> tuple[int, Decimal, Decimal | None, Decimal]:
    entry = line.entry
    return line.position_id, entry.quantity, entry.price, entry.legs.commission


def _dividends(connection: Connection, entries: list[StoredEntry]) -> Iterator[Disagreement]:
    """A dividend stands where its entries say, and they carry its net amount."""
    accrued = _by_number(entries, Kind.DIVIDEND_ACCRUAL)
    paid = _by_number(entries, Kind.DIVIDEND_PAYMENT)
    for dividend, accrual_id, payment_id in records.dividend_entries(connection):
        row = dividend.dividend_id
        accrual = accrued.pop(accrual_id or 0, None)
        payment = paid.pop(payment_id or 0, None)
        state = _dividend_state(accrual, payment)
        yield from _differ("dividends", row, "state", dividend.state, state)
        net = None if accrual is None else accrual.entry.legs.receivable
        yield from _differ("dividends", row, "net", dividend.net, net)
        if payment is not None:
            cash = payment.entry.legs.cash
            yield from _differ("dividends", row, "payment", dividend.net, cash)
    for entry_id in (*accrued, *paid):
        yield Disagreement("entries", entry_id, "dividend", "a dividend entry", "no dividend")


def _dividend_state(accrual: StoredEntry | None, payment: StoredEntry | None) -> DividendState:
    if payment is not None:
        return DividendState.PAID
    return DividendState.ANNOUNCED if accrual is None else DividendState.ACCRUED


def _by_number(entries: list[StoredEntry], kind: Kind) -> dict[int, StoredEntry]:
    return {line.entry_id: line for line in entries if line.entry.kind is kind}


def _valuations(connection: Connection) -> Iterator[Disagreement]:
    """Equity is what its own row adds up to, and flows are what the ledger says came in."""
    flows: dict[int, Decimal] = {}
    for one in records.all_valuations(connection):
        flows[one.position_id] = flows.get(one.position_id, ZERO) + one.flow
        if one.price is None and one.quantity != 0:
            expected = None
        else:
            cell = Balance(quantity=one.quantity, cash=one.cash, receivable=one.receivable)
            expected = equity(cell, one.price or ZERO)
        yield from _differ("valuations", one.valuation_id, "equity", one.equity, expected)
    for position in records.all_positions(connection):
        row, came_in = position.position_id, flows.get(position.position_id, ZERO)
        yield from _differ("positions", row, "flows", came_in, position.balance.contributed)


def _differ(
    table: str, row: int, field: str, stored: object, recomputed: object
) -> Iterator[Disagreement]:
    if stored != recomputed:
        yield Disagreement(table, row, field, stored, recomputed)

"""How a position went: its prices, anchor, trigger levels and stock share, fills and dividends."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import pandas as pd

from volbal.domain.decision import levels
from volbal.domain.position import Position
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.sessions import EXCHANGE, SESSION_CLOSES, exchange_date
from volbal.services import autopilot, book, market_data
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """days: date (New York, naive), price, anchor, buy_level, sell_level, stock_share, what is not
    known NaN. fills: time, side, price. dividends: time, price (of the stock), per_share.
    """

    days: pd.DataFrame
    fills: pd.DataFrame
    dividends: pd.DataFrame


def course(database: Database, position_id: int, now: datetime) -> Course:
    """From its opening to now: every valuation, and the daily closes between them.

    Raises PositionNotFound.
    """
    with database.read() as connection:
        position = book.position(connection, position_id)
        held = records.holdings_of(connection, position_id)
        anchors = [
            (line.recorded_at, line.entry.anchor)
            for line in records.entries_of(connection, position_id)
            if line.entry.anchor is not None
        ]
        policies = [
            (one.configured_at, one.configuration.policy)
            for one in records.configurations(connection, position_id)
        ]
        fills = _fills(connection, position_id)
        paid = records.dividends_of(connection, position_id)
    prices = sorted(
        [(at, price) for at, price, *_ in held if price is not None]
        + _closes(database, position, now)
    )
    cells = [(at, (quantity, cash, owed)) for at, _, quantity, cash, owed in held]
    rows = []
    for at in sorted({at for at, _ in (*prices, *anchors, *policies)}):
        price, anchor = _at(prices, at), _at(anchors, at)
        policy, cell = _at(policies, at), _at(cells, at)
        buy, sell = levels(anchor, policy) if anchor and policy else (None, None)
        rows.append((_naive(at), price, anchor, buy, sell, _share(cell, price)))
    names = ["date", "price", "anchor", "buy_level", "sell_level", "stock_share"]
    days = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[1:], "float64"))
    marks = [
        (datetime.combine(one.ex_on, SESSION_CLOSES, EXCHANGE), one)
        for one in paid
        if one.net is not None and one.ex_on > exchange_date(position.opened_at)
    ]
    dividends = pd.DataFrame(
        [(_naive(at), _at(prices, at), float(one.per_share)) for at, one in marks],
        columns=["time", "price", "per_share"],
    )
    return Course(days, fills, dividends.astype({"price": "float64"}))


def _closes(
    database: Database, position: Position, now: datetime
) -> list[tuple[datetime, Decimal]]:
    """None where there are no prices, or none that can be used."""
    try:
        history = market_data.history(database, position.ticker)
        bars = list(autopilot.bars_after(history, position.opened_at, now))
    except (PriceUnavailable, InvalidInput):
        return []
    return [(bar.closed_at, bar.close) for bar in bars]


def _at(steps: Sequence[tuple[datetime, T]], at: datetime) -> T | None:
    """The value in force at a moment, of steps by rising time."""
    place = bisect_right(steps, at, key=lambda step: step[0])
    return steps[place - 1][1] if place else None


def _share(cell: tuple[Decimal, Decimal, Decimal] | None, price: Decimal | None) -> float | None:
    if cell is None or price is None:
        return None
    quantity, cash, owed = cell
    worth = quantity * price + cash + owed
    return float(quantity * price / worth) if worth > 0 else None


def _fills(connection: Connection, position_id: int) -> pd.DataFrame:
    rows = [
        (_naive(one.filled_at), one.side.value, float(one.execution.price))
        for one in reversed(records.fills_of(connection, position_id))
    ]
    return pd.DataFrame(rows, columns=["time", "side", "price"])


def _naive(at: datetime) -> datetime:
    return at.astimezone(EXCHANGE).replace(tzinfo=None)

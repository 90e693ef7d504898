"""Rows of decisions and events."""

import json
from collections.abc import Sequence
from decimal import Decimal

from volbal.domain import configuration as settings
from volbal.domain.decision import Action, Decision, Reason, Sizing
from volbal.domain.orders import Order, Side
from volbal.domain.position import Position
from volbal.domain.quotes import Quote
from volbal.storage.records.values import Connection, as_json, aware, number, stored
from volbal.storage.rows import Event, StoredDecision


def insert_decision(
    connection: Connection,
    position: Position,
    quote: Quote,
    orders_today: int,
    made: StoredDecision,
) -> int:
    decision, sizing, order = made.decision, made.decision.sizing, made.decision.order
    row = connection.execute(
        """
        insert into decisions (
            position_id, decided_at, action, reason, price, price_source, price_made_at,
            price_age, confirmed, anchor, distance, buy_level, sell_level, held, cash,
            receivable, orders_today, policy, equity, stock_share, stock_share_after, wish,
            capped, guarded, funded, rounded, side, quantity, notional, commission,
            proposal_key, sentence
        )
        values (
            ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
            ?, ?, ?, ?
        )
        returning decision_id
        """,
        [
            position.position_id,
            stored(made.decided_at),
            decision.action.value,
            decision.reason.value,
            decision.price,
            decision.price_source,
            None if quote.made_at is None else stored(quote.made_at),
            decision.price_age,
            quote.confirmed,
            decision.anchor,
            decision.distance,
            decision.buy_level,
            decision.sell_level,
            position.balance.quantity,
            position.balance.cash,
            position.balance.receivable,
            orders_today,
            settings.to_json(position.configuration.policy),
            decision.equity,
            decision.stock_share,
            decision.stock_share_after,
            sizing.wish,
            sizing.capped,
            sizing.guarded,
            sizing.funded,
            sizing.rounded,
            None if order is None else order.side.value,
            Decimal(0) if order is None else order.quantity,
            decision.notional,
            decision.commission,
            made.proposal_key,
            decision.sentence,
        ],
    ).fetchone()
    return number(row)


def last_decision(connection: Connection, position_id: int) -> StoredDecision | None:
    """The newest one; None before any."""
    row = connection.execute(
        """
        select
            decided_at, proposal_key, side, quantity, wish, capped, guarded, funded, rounded,
            action, reason, price, price_source, price_age, anchor, distance, buy_level,
            sell_level, equity, stock_share, stock_share_after, notional, commission
        from decisions
        where position_id = ?
        order by decision_id desc
        limit 1
        """,
        [position_id],
    ).fetchone()
    if row is None:
        return None
    decision = Decision(
        Action(row[9]),
        Reason(row[10]),
        price=row[11],
        price_source=row[12],
        price_age=row[13],
        anchor=row[14],
        distance=row[15],
        buy_level=row[16],
        sell_level=row[17],
        equity=row[18],
        stock_share=row[19],
        stock_share_after=row[20],
        sizing=Sizing(*row[4:9]),
        order=None if row[2] is None else Order(Side(row[2]), row[3]),
        notional=row[21],
        commission=row[22],
    )
    return StoredDecision(decision, aware(row[0]), row[1])


def insert_event(connection: Connection, event: Event) -> int:
    row = connection.execute(
        """
        insert into events (position_id, happened_at, type, inputs, outputs, sentence)
        values (?, ?, ?, ?, ?, ?)
        returning event_id
        """,
        [
            event.position_id,
            stored(event.happened_at),
            event.type,
            as_json(event.inputs),
            as_json(event.outputs),
            event.sentence,
        ],
    ).fetchone()
    return number(row)


def events_of(connection: Connection, position_id: int, limit: int) -> list[Event]:
    """The newest `limit`, newest first."""
    rows = connection.execute(
        """
        select position_id, happened_at, type, inputs, outputs, sentence, event_id
        from events
        where position_id = ?
        order by event_id desc
        limit ?
        """,
        [position_id, limit],
    ).fetchall()
    return [
        Event(position, aware(at), kind, json.loads(inputs), json.loads(outputs), text, number)
        for position, at, kind, inputs, outputs, text, number in rows
    ]


def last_event(connection: Connection, position_id: int, types: Sequence[str]) -> int:
    """Number of the newest event of `types`; 0 where there is none."""
    row = connection.execute(
        """
        select coalesce(max(event_id), 0)
        from events
        where position_id = ? and type in ?
        """,
        [position_id, list(types)],
    ).fetchone()
    return number(row)

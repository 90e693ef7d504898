"""Every statement of the ledger: one a function, bound parameters, listed columns.

Functions take the connection of a `Database.read()` or `Database.write()` block. Moments are
stored as UTC without a zone and come back aware.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from duckdb import DuckDBPyConnection

from volbal.domain import configuration as settings
from volbal.domain.configuration import Configuration, ConfigurationRecord
from volbal.domain.dividends import Dividend, DividendState
from volbal.domain.ledger import LEGS, Balance, Entry, Kind, Legs
from volbal.domain.order_states import OrderState
from volbal.domain.orders import Execution, FillRecord, Order, OrderRecord, Side
from volbal.domain.performance import Valuation
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.domain.quotes import Quote
from volbal.storage.rows import DividendAccrual, Event, StoredDecision, StoredEntry, StoredValuation

Connection = DuckDBPyConnection
"""What services pass on and never look into."""

Row = tuple[Any, ...]

# Positions


def insert_position(
    connection: Connection, ticker: str, opened_at: datetime, configuration: Configuration
) -> int:
    """A position with nothing in it yet; returns its number."""
    row = connection.execute(
        """
        insert into positions (
            ticker, opened_at, quantity, cash, receivable, fees, dividends, withheld,
            contributed, average_cost, is_open, policy, strict
        )
        values (?, ?, 0, 0, 0, 0, 0, 0, 0, 0, false, ?, ?)
        returning position_id
        """,
        [
            ticker,
            _stored(opened_at),
            settings.to_json(configuration.policy),
            configuration.strict,
        ],
    ).fetchone()
    return _number(row)


def find_position(connection: Connection, position_id: int) -> Position | None:
    row = connection.execute(
        """
        select
            position_id, ticker, opened_at, quantity, cash, receivable, fees, dividends,
            withheld, contributed, average_cost, anchor, anchor_on, is_open, policy, strict,
            last_price, last_price_at
        from positions
        where position_id = ?
        """,
        [position_id],
    ).fetchone()
    return None if row is None else _position(row)


def all_positions(connection: Connection) -> list[Position]:
    rows = connection.execute(
        """
        select
            position_id, ticker, opened_at, quantity, cash, receivable, fees, dividends,
            withheld, contributed, average_cost, anchor, anchor_on, is_open, policy, strict,
            last_price, last_price_at
        from positions
        order by position_id
        """
    ).fetchall()
    return [_position(row) for row in rows]


def store_balance(connection: Connection, position_id: int, balance: Balance) -> None:
    connection.execute(
        """
        update positions
        set
            quantity = ?, cash = ?, receivable = ?, fees = ?, dividends = ?, withheld = ?,
            contributed = ?, average_cost = ?, anchor = ?, anchor_on = ?, is_open = ?
        where position_id = ?
        """,
        [
            balance.quantity,
            balance.cash,
            balance.receivable,
            balance.fees,
            balance.dividends,
            balance.withheld,
            balance.contributed,
            balance.average_cost,
            balance.anchor,
            balance.anchor_on,
            balance.is_open,
            position_id,
        ],
    )


def store_price(
    connection: Connection, position_id: int, price: Decimal, made_at: datetime
) -> None:
    connection.execute(
        "update positions set last_price = ?, last_price_at = ? where position_id = ?",
        [price, _stored(made_at), position_id],
    )


# Configurations and presets


def insert_configuration(
    connection: Connection, position_id: int, record: ConfigurationRecord
) -> None:
    connection.execute(
        """
        insert into configurations (
            position_id, number, configured_at, configured_by, note, policy, strict
        )
        values (?, ?, ?, ?, ?, ?, ?)
        """,
        [
            position_id,
            record.number,
            _stored(record.configured_at),
            record.configured_by,
            record.note,
            settings.to_json(record.configuration.policy),
            record.configuration.strict,
        ],
    )


def configurations(connection: Connection, position_id: int) -> list[ConfigurationRecord]:
    """Oldest first."""
    rows = connection.execute(
        """
        select number, configured_at, configured_by, note, policy, strict
        from configurations
        where position_id = ?
        order by number
        """,
        [position_id],
    ).fetchall()
    return [
        ConfigurationRecord(
            number, _aware(at), who, note, Configuration(settings.from_json(policy), strict)
        )
        for number, at, who, note, policy, strict in rows
    ]


def store_configuration(
    connection: Connection, position_id: int, configuration: Configuration
) -> None:
    connection.execute(
        "update positions set policy = ?, strict = ? where position_id = ?",
        [settings.to_json(configuration.policy), configuration.strict, position_id],
    )


def store_preset(connection: Connection, name: str, policy: Policy, saved_at: datetime) -> None:
    """Saves under a new name or replaces what was saved under it."""
    connection.execute(
        """
        insert into presets (name, policy, saved_at) values (?, ?, ?)
        on conflict (name) do update set policy = excluded.policy, saved_at = excluded.saved_at
        """,
        [name, settings.to_json(policy), _stored(saved_at)],
    )


def delete_preset(connection: Connection, name: str) -> None:
    connection.execute("delete from presets where name = ?", [name])


def presets(connection: Connection) -> dict[str, Policy]:
    """The user's own, by name."""
    rows = connection.execute("select name, policy from presets order by name").fetchall()
    return {name: settings.from_json(policy) for name, policy in rows}


# Entries


def insert_entry(
    connection: Connection, position_id: int, entry: Entry, recorded_at: datetime
) -> int:
    row = connection.execute(
        """
        insert into entries (
            position_id, recorded_at, entry_on, kind, leg_cash, leg_shares, leg_receivable,
            leg_commission, leg_withholding, leg_income, leg_external, quantity, price, anchor,
            anchor_on, new_shares, old_shares
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        returning entry_id
        """,
        [
            position_id,
            _stored(recorded_at),
            entry.on,
            entry.kind.value,
            *(getattr(entry.legs, name) for name in LEGS),
            entry.quantity,
            entry.price,
            entry.anchor,
            entry.anchor_on,
            entry.new_shares,
            entry.old_shares,
        ],
    ).fetchone()
    return _number(row)


def entries(connection: Connection, after_entry: int = 0) -> list[StoredEntry]:
    """Of all positions, oldest first, from the one after number `after_entry` on."""
    rows = connection.execute(
        """
        select
            entry_id, position_id, recorded_at, kind, entry_on, leg_cash, leg_shares,
            leg_receivable, leg_commission, leg_withholding, leg_income, leg_external, quantity,
            price, anchor, anchor_on, new_shares, old_shares
        from entries
        where entry_id > ?
        order by entry_id
        """,
        [after_entry],
    ).fetchall()
    return [_entry(row) for row in rows]


def quantity_before(connection: Connection, position_id: int, day: date) -> Decimal:
    """Shares held at the close before `day`."""
    row = connection.execute(
        """
        select coalesce(sum(quantity), 0)
        from entries
        where position_id = ? and entry_on < ?
        """,
        [position_id, day],
    ).fetchone()
    return Decimal(row[0]) if row else Decimal(0)


# Orders and fills


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
            _stored(submitted_at),
            submitted_on,
        ],
    ).fetchone()
    return _number(row)


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
            None if closed_at is None else _stored(closed_at),
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
            _stored(fill.filled_at),
            fill.outside_guardrails,
        ],
    ).fetchone()
    return _number(row)


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


# Dividends


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
    return _number(row)


def store_announcement(
    connection: Connection, dividend_id: int, pay_on: date | None, per_share: Decimal
) -> None:
    connection.execute(
        "update dividends set pay_on = ?, per_share = ? where dividend_id = ?",
        [pay_on, per_share, dividend_id],
    )


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


# Decisions


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
            _stored(made.decided_at),
            decision.action.value,
            decision.reason.value,
            decision.price,
            decision.price_source,
            None if quote.made_at is None else _stored(quote.made_at),
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
    return _number(row)


# Valuations


def insert_valuation(
    connection: Connection, position_id: int, balance: Balance, valuation: Valuation
) -> int:
    row = connection.execute(
        """
        insert into valuations (
            position_id, valued_at, price, quantity, cash, receivable, equity, flow, dividend,
            split
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        returning valuation_id
        """,
        [
            position_id,
            _stored(valuation.valued_at),
            valuation.price,
            balance.quantity,
            balance.cash,
            balance.receivable,
            valuation.equity,
            valuation.flow,
            valuation.dividend,
            valuation.split,
        ],
    ).fetchone()
    return _number(row)


def valuations_of(connection: Connection, position_id: int) -> list[Valuation]:
    """Oldest first."""
    rows = connection.execute(
        """
        select valued_at, equity, flow, price, dividend, split
        from valuations
        where position_id = ?
        order by valuation_id
        """,
        [position_id],
    ).fetchall()
    return [Valuation(_aware(at), *rest) for at, *rest in rows]


def all_valuations(connection: Connection) -> list[StoredValuation]:
    rows = connection.execute(
        """
        select valuation_id, position_id, price, quantity, cash, receivable, equity
        from valuations
        order by valuation_id
        """
    ).fetchall()
    return [StoredValuation(*row) for row in rows]


# Events


def insert_event(connection: Connection, event: Event) -> int:
    row = connection.execute(
        """
        insert into events (position_id, happened_at, type, inputs, outputs, sentence)
        values (?, ?, ?, ?, ?, ?)
        returning event_id
        """,
        [
            event.position_id,
            _stored(event.happened_at),
            event.type,
            _json(event.inputs),
            _json(event.outputs),
            event.sentence,
        ],
    ).fetchone()
    return _number(row)


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
        Event(position, _aware(at), kind, json.loads(inputs), json.loads(outputs), text, number)
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
    return _number(row)


def _number(row: Row | None) -> int:
    if row is None:
        raise RuntimeError("The statement gave no row back.")
    return int(row[0])


def _stored(moment: datetime) -> datetime:
    """UTC without a zone, as the columns hold it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _aware(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC)


def _json(content: Mapping[str, object]) -> str:
    """Decimals, dates and the like become texts: no digit is lost."""
    return json.dumps(content, default=str)


def _position(row: Row) -> Position:
    last_price_at = row[17]
    return Position(
        position_id=row[0],
        ticker=row[1],
        opened_at=_aware(row[2]),
        balance=Balance(*row[3:14]),
        configuration=Configuration(settings.from_json(row[14]), row[15]),
        last_price=row[16],
        last_price_at=None if last_price_at is None else _aware(last_price_at),
    )


def _entry(row: Row) -> StoredEntry:
    kind, on, rest = Kind(row[3]), row[4], row[12:]
    legs = dict(zip(LEGS, row[5:12], strict=True))
    return StoredEntry(row[0], row[1], _aware(row[2]), Entry(kind, on, Legs(**legs), *rest))


def _order(row: Row) -> OrderRecord:
    return OrderRecord(
        order_id=row[0],
        position_id=row[1],
        key=row[2],
        fingerprint=row[3],
        order=Order(Side(row[4]), row[5]),
        state=OrderState(row[6]),
        filled=row[7],
        submitted_at=_aware(row[8]),
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
        filled_at=_aware(row[9]),
        outside_guardrails=row[10],
    )


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

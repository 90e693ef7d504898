"""Use cases of decisions, orders and fills. Each is one unit of work on the ledger.

`now` is the moment of the call, aware; nothing here looks at a clock. Refusals (subclasses of
`Refused`) leave one `refused` event and nothing else; every other error leaves nothing at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Final

from volbal.domain import entries, guardrails, order_states, orders
from volbal.domain.decision import Circumstances, Decision, Reason, commission, decide
from volbal.domain.ledger import Entry, fold
from volbal.domain.money import MONEY, NO_SHARES, Number, multiplied
from volbal.domain.order_states import OrderState, Step
from volbal.domain.orders import Execution, FillRecord, Order, OrderRecord, Side
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.domain.quotes import Quote, require_aware
from volbal.domain.wording import percent, price, share_count, shares
from volbal.errors import InvalidInput
from volbal.market.sessions import exchange_date
from volbal.services import book, income
from volbal.services.book import Attempt, Since
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import StoredDecision

CHANGES_THAT_RENEW_PROPOSALS: Final = (
    "fill",
    "cancel",
    "reject",
    "deposit",
    "withdrawal",
    "configuration",
)
"""After one of these events the same order may be proposed, and approved, again."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An order that waits for approval: `submit` it with this key."""

    key: str
    order: Order
    price: Decimal


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A recorded decision and the order it proposes, if any."""

    decision_id: int
    decision: Decision
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class LatestEvaluation:
    """The last decision on record. proposal: its order, unless something happened since."""

    decision: Decision
    decided_at: datetime
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted order. replayed: it had been accepted before, with this key."""

    order: OrderRecord
    replayed: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """A recorded fill with its order and position as they stand. replayed: as recorded before."""

    fill: FillRecord
    order: OrderRecord
    position: Position
    replayed: bool


def preview(database: Database, position_id: int, quote: Quote, now: datetime) -> Decision:
    """What `evaluate` would decide now; nothing is recorded. Raises PositionNotFound."""
    with database.read() as connection:
        position, _ = worked_off(connection, book.position(connection, position_id), quote, now)
        return decide(position, quote, _circumstances(connection, position_id, now))


def worked_off(
    connection: Connection, position: Position, quote: Quote, now: datetime
) -> tuple[Position, Decimal]:
    """The position as the rule would find it: dividends that are due by the quote's day done.

    With the net dividend per share that goes ex by that.
    """
    if quote.is_suspect(position.reference_price):
        return position, NO_SHARES
    steps = list(income.due(connection, position, income.Day(_day(quote, now), quote.price)))
    balance = reduce(fold, (one.entry for one in steps), position.balance)
    return replace(position, balance=balance), income.net_per_share(steps, position)


def evaluate(database: Database, position_id: int, quote: Quote, now: datetime) -> Evaluation:
    """Show the rule a price: work off what the day brings, decide, record, propose.

    Raises PositionNotFound, PositionClosed.
    """
    with database.write() as connection:
        return evaluated(connection, position_id, quote, now)


def evaluated(connection: Connection, position_id: int, quote: Quote, now: datetime) -> Evaluation:
    """`evaluate` within a unit of work."""
    position = book.open_position(connection, position_id)
    circumstances = _circumstances(connection, position_id, now)
    if quote.is_suspect(position.reference_price):
        decision = decide(position, quote, circumstances)
        return _record_decision(connection, position, quote, circumstances, decision)
    position, since = _arrive(connection, position, quote, now)
    decision = decide(position, quote, circumstances)
    result = _record_decision(connection, position, quote, circumstances, decision)
    if decision.reason is Reason.FIRST_PRICE:
        position = _anchor_at_first_price(connection, position, quote, now)
    book.value(connection, position, now, quote.price, since)
    return result


def _arrive(
    connection: Connection, position: Position, quote: Quote, now: datetime
) -> tuple[Position, Since]:
    """The work before the rule is asked: pay dates, ex-dates, the price itself."""
    day = _day(quote, now)
    position, dividend = income.work_off(connection, position, income.Day(day, quote.price), now)
    seen_at = quote.seen_at(now)
    position, flow = book.see_price(connection, position, quote.price, seen_at, day)
    return position, Since(flow, dividend)


def _day(quote: Quote, now: datetime) -> date:
    """The exchange-local date a price belongs to."""
    return exchange_date(quote.seen_at(now))


def _circumstances(connection: Connection, position_id: int, now: datetime) -> Circumstances:
    today, open_order = records.orders_today_and_open(connection, position_id, exchange_date(now))
    return Circumstances(now, today, open_order is not None)


def _record_decision(
    connection: Connection,
    position: Position,
    quote: Quote,
    circumstances: Circumstances,
    decision: Decision,
) -> Evaluation:
    now, position_id = circumstances.asked_at, position.position_id
    proposal = _proposal(connection, position_id, decision)
    key = None if proposal is None else proposal.key
    decision_id = records.insert_decision(
        connection,
        position,
        quote,
        circumstances.orders_today,
        StoredDecision(decision, now, key),
    )
    book.tell(
        connection,
        position_id,
        now,
        "evaluation",
        decision.sentence,
        {"price": quote.price, "source": quote.source, "made_at": quote.made_at},
        {
            "decision_id": decision_id,
            "action": decision.action.value,
            "reason": decision.reason.value,
            "trims": [
                {"step": trim.step.value, "before": trim.before, "after": trim.after}
                for trim in decision.trims
            ],
            "proposal_key": key,
        },
    )
    return Evaluation(decision_id, decision, proposal)


def _proposal(connection: Connection, position_id: int, decision: Decision) -> Proposal | None:
    if decision.order is None:
        return None
    last = records.last_event(connection, position_id, CHANGES_THAT_RENEW_PROPOSALS)
    key = orders.proposal_key(position_id, last, decision.order, decision.price)
    return Proposal(key, decision.order, decision.price)


def _anchor_at_first_price(
    connection: Connection, position: Position, quote: Quote, now: datetime
) -> Position:
    entry = entries.anchor(quote.price, _day(quote, now))
    position, entry_id = book.post(connection, position, entry, now)
    book.tell(
        connection,
        position.position_id,
        now,
        "anchor",
        f"The first price {price(quote.price)} becomes the anchor.",
        {"price": quote.price, "source": quote.source},
        {"entry_id": entry_id},
    )
    return position


def submit(
    database: Database,
    position_id: int,
    *,
    key: str | None,
    side: str,
    quantity: Number,
    now: datetime,
) -> Submission:
    """Accept an order once: the same key with the same order gives the same order again.

    Raises MissingIdempotencyKey, InvalidInput, PositionNotFound, PositionClosed,
    IdempotencyConflict, DailyOrderCap.
    """
    used = orders.key(key)
    order = orders.order(side, quantity)
    inputs = {"key": used, "side": order.side.value, "quantity": order.quantity}
    attempt = Attempt("submission", now, position_id, inputs)
    with book.unit_of_work(database, attempt) as connection:
        return submitted(connection, position_id, used, order, now)


def submitted(
    connection: Connection, position_id: int, key: str, order: Order, now: datetime
) -> Submission:
    """`submit` within a unit of work."""
    known = records.find_order_by_key(connection, position_id, key)
    if known is not None:
        first, second = (known.fingerprint, known.order), (order.fingerprint, order)
        orders.require_same(key, first, second)
        return Submission(known, replayed=True)
    position = book.open_position(connection, position_id)
    day = exchange_date(now)
    today, _ = records.orders_today_and_open(connection, position_id, day)
    cap = position.configuration.policy.max_orders_per_day
    if today >= cap:
        raise orders.DailyOrderCap(cap)
    order_id = records.insert_order(connection, position_id, key, order, now, day)
    inputs = {"key": key, "side": order.side.value, "quantity": order.quantity}
    outputs = {"order_id": order_id, "fingerprint": order.fingerprint}
    sentence = f"Order {order_id} is submitted: {order} of {position.ticker}."
    book.tell(connection, position_id, now, "submission", sentence, inputs, outputs)
    state, filled = OrderState.SUBMITTED, NO_SHARES
    accepted = OrderRecord(order_id, position_id, key, order.fingerprint, order, state, filled, now)
    return Submission(accepted, replayed=False)


def approve(database: Database, position_id: int, key: str, now: datetime) -> Submission:
    """Submit what the position's latest evaluation proposes under `key`, once.

    Approving again gives the same order again. Raises PositionNotFound, PositionClosed,
    ProposalOutdated where the latest evaluation proposes something else or something happened
    since, OrderOpen, DailyOrderCap.
    """
    attempt = Attempt("approval", now, position_id, {"key": key})
    with book.unit_of_work(database, attempt) as connection:
        known = records.find_order_by_key(connection, position_id, key)
        if known is not None:
            return Submission(known, replayed=True)
        latest = _latest_evaluation(connection, position_id)
        proposal = None if latest is None else latest.proposal
        if proposal is None or proposal.key != key:
            raise orders.ProposalOutdated
        _, open_order = records.orders_today_and_open(connection, position_id, exchange_date(now))
        if open_order is not None:
            raise orders.OrderOpen(open_order, "approving another one")
        return submitted(connection, position_id, key, proposal.order, now)


def latest_evaluation(database: Database, position_id: int) -> LatestEvaluation | None:
    """The last recorded decision; None before any. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return _latest_evaluation(connection, position_id)


def _latest_evaluation(connection: Connection, position_id: int) -> LatestEvaluation | None:
    latest = records.last_decision(connection, position_id)
    if latest is None:
        return None
    return LatestEvaluation(
        latest.decision, latest.decided_at, _still_proposed(connection, position_id, latest)
    )


def _still_proposed(
    connection: Connection, position_id: int, latest: StoredDecision
) -> Proposal | None:
    order, at = latest.decision.order, latest.decision.price
    if order is None or latest.proposal_key is None:
        return None
    last = records.last_event(connection, position_id, CHANGES_THAT_RENEW_PROPOSALS)
    key = orders.proposal_key(position_id, last, order, at)
    return Proposal(key, order, at) if key == latest.proposal_key else None


def cancel(database: Database, order_id: int, now: datetime, reason: str = "") -> OrderRecord:
    """Take back what is not filled yet. Raises OrderNotFound, OrderClosed."""
    return _end(database, order_id, Step.CANCEL, reason, now)


def reject(database: Database, order_id: int, reason: str, now: datetime) -> OrderRecord:
    """The broker does not take it, or its rest. Raises OrderNotFound, OrderClosed, InvalidInput."""
    if not reason.strip():
        raise InvalidInput("reason", "it is blank", "say why the broker rejected the order")
    return _end(database, order_id, Step.REJECT, reason, now)


def _end(database: Database, order_id: int, step: Step, reason: str, now: datetime) -> OrderRecord:
    position_id = book.position_of_order(database, order_id)
    inputs = {"order_id": order_id, "reason": reason}
    attempt = Attempt(step.value, now, position_id, inputs)
    with book.unit_of_work(database, attempt) as connection:
        order = book.order(connection, order_id)
        state = order_states.after(order_id, order.state, step)
        records.store_order_state(connection, order_id, state, order.filled, now, reason or None)
        because = f": {reason}" if reason else ""
        sentence = (
            f"Order {order_id} is {state} with {shares(order.filled)} of "
            f"{share_count(order.order.quantity)} filled{because}."
        )
        book.tell(
            connection, position_id, now, step.value, sentence, inputs, {"state": state.value}
        )
        return replace(order, state=state, reason=reason or None)


def fill(
    database: Database,
    order_id: int,
    *,
    price: Number,
    quantity: Number,
    commission: Number = 0,
    key: str | None = None,
    filled_at: datetime | None = None,
    now: datetime,
) -> Filled:
    """Record what the broker executed; with a key, once. The fill price becomes the anchor.

    Raises InvalidInput, OrderNotFound, IdempotencyConflict, OrderClosed, Overfill,
    InsufficientCash, InsufficientShares, GuardrailBreach (strict positions).
    """
    execution = orders.execution(price, quantity, commission)
    used = None if key is None else orders.key(key)
    happened_at = _past("filled_at", filled_at or now, now)
    position_id = book.position_of_order(database, order_id)
    inputs = _fill_inputs(order_id, used, execution, happened_at)
    with book.unit_of_work(database, Attempt("fill", now, position_id, inputs)) as connection:
        return executed(connection, order_id, execution, used, happened_at, now)


def executed(
    connection: Connection,
    order_id: int,
    execution: Execution,
    key: str | None,
    filled_at: datetime,
    now: datetime,
) -> Filled:
    """`fill` within a unit of work."""
    order = book.order(connection, order_id)
    known = None if key is None else records.find_fill_by_key(connection, order_id, key)
    if known is not None:
        first = (known.fingerprint, known.execution)
        orders.require_same(known.key or "", first, (execution.fingerprint, execution))
        return Filled(known, order, book.position(connection, order.position_id), replayed=True)
    made = FillRecord(
        0,
        order_id,
        order.position_id,
        key,
        execution.fingerprint,
        order.order.side,
        execution,
        filled_at,
        outside_guardrails=False,
    )
    return _record_fill(connection, order, made, now)


def expected_fee(policy: Policy, price: Number, quantity: Number) -> Decimal:
    """What the policy expects a fill to cost, in account currency. Raises InvalidInput."""
    done = orders.execution(price, quantity)
    return commission(policy, multiplied(MONEY, done.quantity, done.price))


def _fill_inputs(
    order_id: int, key: str | None, execution: Execution, filled_at: datetime
) -> Mapping[str, object]:
    return {
        "order_id": order_id,
        "key": key,
        "price": execution.price,
        "quantity": execution.quantity,
        "commission": execution.commission,
        "filled_at": filled_at,
    }


def _record_fill(
    connection: Connection, order: OrderRecord, fill: FillRecord, now: datetime
) -> Filled:
    state = _state_after(order, fill.execution)
    position = book.position(connection, order.position_id)
    day = exchange_date(fill.filled_at)
    at = fill.execution.price
    position, flow = book.see_price(connection, position, at, fill.filled_at, day)
    before = position
    position, entry_id = book.post(connection, position, _fill_entry(position, fill), now)
    fill = _checked_against_guardrails(before, position, fill)
    fill_id = records.insert_fill(connection, fill, entry_id)
    filled = order.filled + fill.execution.quantity
    closed_at = now if state is OrderState.FILLED else None
    records.store_order_state(connection, order.order_id, state, filled, closed_at, None)
    book.value(connection, position, now, at, Since(flow))
    flag = " It left the guardrails." if fill.outside_guardrails else ""
    book.tell(
        connection,
        position.position_id,
        now,
        "fill",
        f"Order {order.order_id}: {fill.side} {fill.execution}; {price(at)} is the new anchor."
        f"{flag}",
        _fill_inputs(order.order_id, fill.key, fill.execution, fill.filled_at),
        {
            "fill_id": fill_id,
            "entry_id": entry_id,
            "state": state.value,
            "outside_guardrails": fill.outside_guardrails,
        },
    )
    after = replace(order, state=state, filled=filled)
    return Filled(replace(fill, fill_id=fill_id), after, position, replayed=False)


def _state_after(order: OrderRecord, execution: Execution) -> OrderState:
    """Raises OrderClosed, Overfill."""
    whole = execution.quantity >= order.left
    step = Step.FILL_REST if whole else Step.FILL_PART
    state = order_states.after(order.order_id, order.state, step)
    if execution.quantity > order.left:
        raise orders.Overfill(order.order_id, execution.quantity, order.left)
    return state


def _fill_entry(position: Position, fill: FillRecord) -> Entry:
    """Raises InsufficientCash, InsufficientShares."""
    make = entries.purchase if fill.side is Side.BUY else entries.sale
    done = fill.execution
    day = exchange_date(fill.filled_at)
    return make(position.balance, done.quantity, done.price, done.commission, day)


def _checked_against_guardrails(before: Position, after: Position, fill: FillRecord) -> FillRecord:
    """Flagged where it left them; raises GuardrailBreach for a strict position."""
    policy, at = after.configuration.policy, fill.execution.price
    if not guardrails.is_breach(before.balance, after.balance, at, policy):
        return fill
    if after.configuration.strict:
        raise orders.GuardrailBreach(
            percent(guardrails.stock_share(after.balance, at)),
            f"{percent(policy.min_stock_share)} to {percent(policy.max_stock_share)}",
        )
    return replace(fill, outside_guardrails=True)


def list_orders(database: Database, position_id: int) -> list[OrderRecord]:
    """Newest first. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.orders_of(connection, position_id)


def list_fills(database: Database, position_id: int) -> list[FillRecord]:
    """Newest first. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.fills_of(connection, position_id)


def _past(field: str, moment: datetime, now: datetime) -> datetime:
    require_aware(field, moment)
    if moment > now:
        raise InvalidInput(field, f"{moment} lies in the future", f"allowed: up to {now}")
    return moment

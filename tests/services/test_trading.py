from datetime import timedelta
from decimal import Decimal

import pytest
from books import DAY, NOW, a_cell, at, carried_out, contents, event_types, filled_at

from volbal.domain.decision import Action, Reason
from volbal.domain.entries import InsufficientCash, InsufficientShares
from volbal.domain.ledger import Refused
from volbal.domain.order_states import OrderClosed, OrderState
from volbal.domain.orders import (
    DailyOrderCap,
    GuardrailBreach,
    IdempotencyConflict,
    MissingIdempotencyKey,
    Overfill,
)
from volbal.domain.position import PositionNotFound
from volbal.errors import InvalidInput, VolbalError
from volbal.services import income, positions, settings, trading, verify
from volbal.services.book import OrderNotFound
from volbal.storage.database import Database

# SPEC 3.4: start 50 shares + 5,000 cash, defaults
GOLDEN_CLOSES = (100, 100, 96, 96, 100, 104, 100, 97, 97)
GOLDEN_FILLS = (
    ("BUY", "7.08926", 96, "4319.36278"),
    ("SELL", "6.68566", 100, "4987.86189"),
    ("SELL", "6.30550", 104, "5643.56818"),
    ("BUY", "6.70239", 100, "4973.26252"),
    ("BUY", "5.26151", 97, "4462.84508"),
)


def submitted(database: Database, position_id: int, side: str, quantity: float) -> int:
    key = f"key {len(trading.list_orders(database, position_id))}"
    return trading.submit(
        database, position_id, key=key, side=side, quantity=quantity, now=NOW
    ).order.order_id


def test_the_golden_run_of_the_specification(database: Database) -> None:
    cell = a_cell(database, anchor_price=None)
    made = []
    for days, price in enumerate(GOLDEN_CLOSES):
        _, filled = carried_out(database, cell.position_id, price, NOW + days * DAY)
        if filled is not None:
            made.append(filled)
    rounded = tuple(
        (
            one.fill.side.value,
            f"{one.fill.execution.quantity:.5f}",
            one.fill.execution.price,
            f"{one.position.balance.cash:.5f}",
        )
        for one in made
    )
    assert rounded == GOLDEN_FILLS
    assert f"{made[0].fill.execution.commission:.5f}" == "0.06806"
    assert f"{made[-1].position.balance.quantity:.3f}" == "56.062"
    assert verify.verify(database) == []


def test_an_evaluation_records_every_number_it_used(database: Database) -> None:
    cell = a_cell(database)
    made = trading.evaluate(database, cell.position_id, at(97, source="broker"), NOW)
    with database.read() as connection:
        row = connection.execute(
            "select action, reason, price, price_source, anchor, held, cash, orders_today,"
            " quantity, proposal_key, decision_id from v_decisions"
        ).fetchone()
    assert made.proposal is not None
    assert row == (
        "BUY",
        "triggered",
        97,
        "broker",
        100,
        50,
        5000,
        0,
        made.proposal.order.quantity,
        made.proposal.key,
        made.decision_id,
    )
    assert event_types(database, cell.position_id)[-1] == "evaluation"


def test_a_preview_decides_the_same_and_records_nothing(database: Database) -> None:
    cell = a_cell(database)
    income.announce(
        database,
        cell.position_id,
        ex_on=(NOW + DAY).date(),
        per_share=2,
        now=NOW,
    )
    before = contents(database)
    preview = trading.preview(database, cell.position_id, at(95), NOW + DAY)
    assert contents(database) == before
    assert preview == trading.evaluate(database, cell.position_id, at(95), NOW + DAY).decision


def test_approving_a_proposal_twice_is_one_order(database: Database) -> None:
    cell = a_cell(database)
    first = trading.evaluate(database, cell.position_id, at(97), NOW).proposal
    second = trading.evaluate(database, cell.position_id, at(97), NOW).proposal
    assert first is not None
    assert first == second
    made = [
        trading.submit(
            database,
            cell.position_id,
            key=first.key,
            side=first.order.side,
            quantity=first.order.quantity,
            now=NOW,
        )
        for _ in range(2)
    ]
    assert [one.replayed for one in made] == [False, True]
    assert made[0].order == made[1].order


def test_a_cancelled_order_can_be_proposed_and_approved_again(database: Database) -> None:
    cell = a_cell(database)
    first = trading.evaluate(database, cell.position_id, at(97), NOW).proposal
    assert first is not None
    order = trading.submit(
        database,
        cell.position_id,
        key=first.key,
        side="BUY",
        quantity=first.order.quantity,
        now=NOW,
    ).order
    trading.cancel(database, order.order_id, NOW)
    again = trading.evaluate(database, cell.position_id, at(97), NOW).proposal
    assert again is not None
    assert again.order == first.order
    assert again.key != first.key


@pytest.mark.parametrize("change", ["deposit", "withdrawal", "configuration"])
def test_money_and_configuration_renew_the_proposal_key(database: Database, change: str) -> None:
    cell = a_cell(database, quantity=100, cash=1)  # rebalances down whatever the cash
    position_id = cell.position_id
    before = trading.evaluate(database, position_id, at(97), NOW).proposal
    assert before is not None
    if change == "deposit":
        positions.deposit(database, position_id, "0.000001", NOW)
    elif change == "withdrawal":
        positions.withdraw(database, position_id, "0.000001", NOW)
    else:
        settings.configure(database, position_id, {"cash_rate": 0.01}, by="ann", now=NOW)
    after = trading.evaluate(database, position_id, at(97), NOW).proposal
    assert after is not None
    assert after.key != before.key


def test_while_an_order_is_open_the_rule_holds(database: Database) -> None:
    cell = a_cell(database)
    submitted(database, cell.position_id, "BUY", 1)
    decision = trading.evaluate(database, cell.position_id, at(97), NOW).decision
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.OPEN_ORDER)


def test_a_suspect_price_changes_nothing_until_it_is_confirmed(database: Database) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    held = trading.evaluate(database, cell.position_id, at(48), NOW + DAY)
    assert held.decision.reason is Reason.SUSPECT_PRICE
    assert positions.find_position(database, cell.position_id).last_price == 100
    confirmed = trading.evaluate(database, cell.position_id, at(48, confirmed=True), NOW + DAY)
    assert confirmed.decision.action is Action.BUY
    assert positions.find_position(database, cell.position_id).last_price == 48


def test_after_hours_is_judged_by_the_time_of_the_price(database: Database) -> None:
    cell = a_cell(database)
    night = NOW + timedelta(hours=12)
    stale = at(97, made_at=NOW)
    assert trading.evaluate(database, cell.position_id, stale, night).decision.action is Action.BUY
    late = at(97, made_at=night)
    held = trading.evaluate(database, cell.position_id, late, night)
    assert held.decision.reason is Reason.AFTER_HOURS


def test_the_same_key_and_order_give_the_same_order_and_write_nothing(
    database: Database,
) -> None:
    cell = a_cell(database)
    first = trading.submit(
        database, cell.position_id, key="k1", side="BUY", quantity="1.5", now=NOW
    )
    before = contents(database)
    again = trading.submit(
        database, cell.position_id, key=" k1 ", side="buy", quantity="1.50", now=NOW + DAY
    )
    assert again.replayed
    assert again.order == first.order
    assert contents(database) == before


def test_another_order_with_a_used_key_is_a_conflict_with_one_event(database: Database) -> None:
    cell = a_cell(database)
    trading.submit(database, cell.position_id, key="k1", side="BUY", quantity="1.5", now=NOW)
    before = contents(database)
    with pytest.raises(IdempotencyConflict, match=r"already stands for 'BUY 1\.5 shares'"):
        trading.submit(database, cell.position_id, key="k1", side="SELL", quantity=2, now=NOW)
    after = contents(database)
    assert len(after["events"]) == len(before["events"]) + 1
    assert after | {"events": []} == before | {"events": []}
    refused = positions.events(database, cell.position_id)[0]
    assert refused.type == "refused"
    assert refused.outputs == {"code": "idempotency_signature_mismatch"}


def test_a_key_belongs_to_its_position(database: Database) -> None:
    one, two = a_cell(database), a_cell(database)
    made = [
        trading.submit(database, cell.position_id, key="k", side="BUY", quantity=1, now=NOW)
        for cell in (one, two)
    ]
    assert made[0].order.order_id != made[1].order.order_id


def test_a_key_is_remembered_after_the_order_ended_and_the_position_closed(
    database: Database,
) -> None:
    cell = a_cell(database)
    order = trading.submit(
        database, cell.position_id, key="k", side="BUY", quantity=1, now=NOW
    ).order
    trading.cancel(database, order.order_id, NOW)
    positions.close_position(database, cell.position_id, NOW)
    again = trading.submit(database, cell.position_id, key="k", side="BUY", quantity=1, now=NOW)
    assert again.replayed
    assert again.order.order_id == order.order_id


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"key": None}, MissingIdempotencyKey),
        ({"key": "  "}, MissingIdempotencyKey),
        ({"quantity": 0}, InvalidInput),
        ({"quantity": "1.0000000000001"}, InvalidInput),
        ({"side": "HOLD"}, InvalidInput),
        ({"position_id": 99}, PositionNotFound),
    ],
)
def test_what_is_no_order_writes_nothing_and_can_be_corrected(
    database: Database, request_: dict[str, object], error: type[VolbalError]
) -> None:
    cell = a_cell(database)
    before = contents(database)
    given = {"position_id": cell.position_id, "key": "k", "side": "BUY", "quantity": 1}
    with pytest.raises(error):
        trading.submit(database, **(given | request_), now=NOW)  # type: ignore[arg-type]
    assert contents(database) == before
    assert not trading.submit(database, **given, now=NOW).replayed  # type: ignore[arg-type]


def test_the_daily_cap_counts_accepted_orders_of_the_new_york_day(database: Database) -> None:
    cell = a_cell(database)
    settings.configure(database, cell.position_id, {"max_orders_per_day": 2}, by="a", now=NOW)

    def submit(key: str, now: object = NOW) -> trading.Submission:
        return trading.submit(
            database,
            cell.position_id,
            key=key,
            side="BUY",
            quantity=1,
            now=now,  # type: ignore[arg-type]
        )

    first = submit("a")
    submit("a")  # a replay does not count
    submit("b")
    with pytest.raises(DailyOrderCap, match="2 orders of today"):
        submit("c")
    trading.cancel(database, first.order.order_id, NOW)  # ended with nothing filled
    submit("c")
    with pytest.raises(DailyOrderCap):
        submit("d", NOW + timedelta(hours=13))  # 23:00 in New York
    assert not submit("d", NOW + timedelta(hours=15)).replayed  # 01:00 the next day


def test_a_partly_filled_then_cancelled_order_counts_for_the_cap(database: Database) -> None:
    cell = a_cell(database)
    settings.configure(database, cell.position_id, {"max_orders_per_day": 1}, by="a", now=NOW)
    order_id = submitted(database, cell.position_id, "BUY", 2)
    trading.fill(database, order_id, price=100, quantity=1, now=NOW)
    trading.cancel(database, order_id, NOW)
    decision = trading.evaluate(database, cell.position_id, at(96), NOW).decision
    assert decision.reason is Reason.DAILY_CAP
    with pytest.raises(DailyOrderCap):
        submitted(database, cell.position_id, "BUY", 1)


def test_partial_fills_add_up_to_filled(database: Database) -> None:
    cell = a_cell(database)
    order_id = submitted(database, cell.position_id, "BUY", 3)
    part = trading.fill(database, order_id, price=100, quantity=1, commission="0.5", now=NOW)
    assert part.order.state is OrderState.PARTIALLY_FILLED
    rest = trading.fill(database, order_id, price=101, quantity=2, now=NOW)
    assert rest.order.state is OrderState.FILLED
    assert rest.position.balance.quantity == 53
    assert rest.position.balance.cash == Decimal("4697.5")  # 5000 - 100 - 0.5 - 202
    assert rest.position.balance.anchor == 101
    stored = trading.list_orders(database, cell.position_id)[0]
    assert (stored.state, stored.filled, stored.left) == (OrderState.FILLED, 3, 0)
    assert verify.verify(database) == []


def refusals(database: Database, position_id: int) -> list[tuple[type[Refused], str, dict]]:
    """Fills that must be refused, as (error, code, arguments); orders 1 to 4 are made here."""
    big = submitted(database, position_id, "BUY", 100)
    sale = submitted(database, position_id, "SELL", 60)
    gone = submitted(database, position_id, "BUY", 1)
    trading.cancel(database, gone, NOW)
    return [
        (InsufficientCash, "insufficient_cash", {"order_id": big, "quantity": "50.01"}),
        (Overfill, "overfill", {"order_id": big, "quantity": "100.000000000001"}),
        (InsufficientShares, "insufficient_shares", {"order_id": sale, "quantity": "50.01"}),
        (OrderClosed, "order_closed", {"order_id": gone, "quantity": 1}),
    ]


def test_a_refused_fill_moves_nothing_and_leaves_one_event(database: Database) -> None:
    cell = a_cell(database)
    for error, code, request in refusals(database, cell.position_id):
        before = contents(database)
        with pytest.raises(error) as refusal:
            trading.fill(database, **request, price=100, now=NOW)
        assert refusal.value.code == code
        after = contents(database)
        assert len(after["events"]) == len(before["events"]) + 1
        assert after | {"events": []} == before | {"events": []}
        assert positions.events(database, cell.position_id)[0].outputs == {"code": code}


def test_a_fill_outside_the_guardrails_is_recorded_and_flagged(database: Database) -> None:
    cell = a_cell(database)
    filled = filled_at(database, cell.position_id, "BUY", 40, 100)
    assert filled.fill.outside_guardrails
    assert trading.list_fills(database, cell.position_id)[0].outside_guardrails
    assert "left the guardrails" in positions.events(database, cell.position_id)[0].sentence


def test_a_strict_position_refuses_a_fill_outside_the_guardrails(database: Database) -> None:
    cell = a_cell(database)
    settings.configure(database, cell.position_id, {"strict": True}, by="ann", now=NOW)
    order_id = submitted(database, cell.position_id, "BUY", 40)
    before = contents(database)
    with pytest.raises(GuardrailBreach) as refusal:
        trading.fill(database, order_id, price=100, quantity=40, now=NOW)
    assert refusal.value.code == "guardrail_breach"
    assert contents(database) | {"events": []} == before | {"events": []}
    assert not trading.fill(
        database, order_id, price=100, quantity=20, now=NOW
    ).fill.outside_guardrails


def test_a_fill_with_a_key_is_recorded_once(database: Database) -> None:
    cell = a_cell(database)
    order_id = submitted(database, cell.position_id, "BUY", 3)
    first = trading.fill(database, order_id, price=100, quantity=3, key="f", now=NOW)
    before = contents(database)
    again = trading.fill(database, order_id, price="100.0", quantity=3, key="f", now=NOW)
    assert again.replayed
    assert again.fill == first.fill
    assert contents(database) == before
    with pytest.raises(IdempotencyConflict):
        trading.fill(database, order_id, price=101, quantity=3, key="f", now=NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"price": 0}, "price"),
        ({"quantity": 0}, "filled_qty"),
        ({"commission": -1}, "commission"),
        ({"filled_at": NOW + DAY}, "filled_at"),
        ({"filled_at": NOW.replace(tzinfo=None)}, "filled_at"),
    ],
)
def test_a_fill_that_cannot_be_writes_nothing(
    database: Database, changes: dict[str, object], field: str
) -> None:
    cell = a_cell(database)
    order_id = submitted(database, cell.position_id, "BUY", 1)
    before = contents(database)
    with pytest.raises(InvalidInput) as refusal:
        trading.fill(database, order_id, **({"price": 1, "quantity": 1, "now": NOW} | changes))  # type: ignore[arg-type]
    assert refusal.value.code == f"invalid_{field}"
    assert contents(database) == before


def test_unknown_orders_are_not_found(database: Database) -> None:
    with pytest.raises(OrderNotFound):
        trading.fill(database, 3, price=1, quantity=1, now=NOW)
    with pytest.raises(OrderNotFound):
        trading.cancel(database, 3, NOW)


def test_a_rejection_needs_a_reason_and_ends_the_order(database: Database) -> None:
    cell = a_cell(database)
    order_id = submitted(database, cell.position_id, "BUY", 1)
    with pytest.raises(InvalidInput, match="reason"):
        trading.reject(database, order_id, " ", NOW)
    rejected = trading.reject(database, order_id, "no margin", NOW)
    assert (rejected.state, rejected.reason) == (OrderState.REJECTED, "no margin")
    with pytest.raises(OrderClosed):
        trading.cancel(database, order_id, NOW)
    assert verify.verify(database) == []


def test_the_why_log_tells_the_whole_story_in_order(database: Database) -> None:
    cell = a_cell(database)
    carried_out(database, cell.position_id, 97, NOW)
    positions.set_anchor(database, cell.position_id, 98, NOW)
    assert event_types(database, cell.position_id) == [
        "opened",
        "evaluation",
        "submission",
        "fill",
        "anchor",
    ]
    assert all(event.sentence for event in positions.events(database, cell.position_id))

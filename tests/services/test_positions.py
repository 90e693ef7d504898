from datetime import timedelta
from decimal import Decimal

import pytest
from books import DAY, NOW, a_cell, at, contents, event_types, filled_at

from volbal.domain.entries import InsufficientCash
from volbal.domain.orders import OrderOpen
from volbal.domain.position import PositionClosed, PositionNotFound
from volbal.errors import InvalidInput
from volbal.services import income, positions, price_import, trading, verify
from volbal.storage.database import Database


def test_a_position_opens_with_its_shares_cash_and_anchor(database: Database) -> None:
    made = a_cell(database)
    found = positions.find_position(database, made.position_id)
    assert found == made
    assert (found.balance.quantity, found.balance.cash, found.balance.anchor) == (50, 5000, 100)
    assert event_types(database, made.position_id) == ["opened"]


def test_a_second_position_of_a_ticker_is_another_position(database: Database) -> None:
    assert a_cell(database).position_id != a_cell(database).position_id
    assert [one.ticker for one in positions.list_positions(database)] == ["ACME", "ACME"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quantity": -1}, "qty"),
        ({"cash": "0.0000001"}, "cash"),
        ({"anchor_price": 0}, "anchor_price"),
        ({"cash": float("nan")}, "cash"),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(
    database: Database, changes: dict[str, object], field: str
) -> None:
    before = contents(database)
    with pytest.raises(InvalidInput) as refusal:
        a_cell(database, **changes)
    assert refusal.value.code == f"invalid_{field}"
    assert contents(database) == before


@pytest.mark.parametrize("ticker", ["", "A B", "X" * 21, "'; drop table entries"])
def test_a_ticker_is_a_symbol(database: Database, ticker: str) -> None:
    with pytest.raises(InvalidInput, match="ticker"):
        positions.open_position(database, ticker, now=NOW)


def test_an_unknown_position_is_not_found(database: Database) -> None:
    with pytest.raises(PositionNotFound, match="no position 7"):
        positions.find_position(database, 7)


def test_money_in_and_out_is_never_profit(database: Database) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    positions.deposit(database, cell.position_id, 10_000, NOW + DAY)
    positions.withdraw(database, cell.position_id, 3_000, NOW + 2 * DAY)
    trading.evaluate(database, cell.position_id, at(100), NOW + 3 * DAY)
    earned = positions.returns(database, cell.position_id)
    assert earned.time_weighted == 0.0
    assert earned.money_weighted == pytest.approx(0.0, abs=1e-9)
    assert positions.find_position(database, cell.position_id).balance.cash == 12_000


def test_a_deposit_before_any_price_waits_and_is_no_profit_later(database: Database) -> None:
    cell = a_cell(database, anchor_price=None)
    positions.deposit(database, cell.position_id, 1000, NOW)
    assert positions.returns(database, cell.position_id).unvalued_flow == 6000
    trading.evaluate(database, cell.position_id, at(80), NOW + DAY)
    trading.evaluate(database, cell.position_id, at(88), NOW + 2 * DAY)
    earned = positions.returns(database, cell.position_id)
    # 50 · 80 + 6000 = 10,000, then 50 · 88 + 6000 = 10,400
    assert earned.time_weighted == pytest.approx(0.04, abs=1e-12)
    assert earned.unvalued_flow == 0


def test_a_deposit_before_any_price_is_valued_at_a_stored_close(database: Database) -> None:
    cell = a_cell(database, anchor_price=None)
    file = price_import.preview(database, "acme.csv", b"Date,Close\n2026-01-02,80\n", "ACME")
    price_import.save(database, file, NOW)
    positions.deposit(database, cell.position_id, 1000, NOW)
    assert positions.returns(database, cell.position_id).unvalued_flow == 0
    trading.evaluate(database, cell.position_id, at(88), NOW + DAY)
    # 50 · 80 + 6000 = 10,000, then 50 · 88 + 6000 = 10,400
    earned = positions.returns(database, cell.position_id)
    assert earned.time_weighted == pytest.approx(0.04, abs=1e-12)
    assert verify.verify(database) == []


def test_more_than_the_cash_is_refused_with_one_event_and_nothing_else(
    database: Database,
) -> None:
    cell = a_cell(database)
    before = contents(database)
    with pytest.raises(InsufficientCash):
        positions.withdraw(database, cell.position_id, "5000.000001", NOW)
    after = contents(database)
    assert event_types(database, cell.position_id) == ["opened", "refused"]
    assert after | {"events": []} == before | {"events": []}


def test_the_anchor_can_be_set_by_hand(database: Database) -> None:
    cell = a_cell(database)
    moved = positions.set_anchor(database, cell.position_id, "95.5", NOW + DAY)
    assert moved.balance.anchor == Decimal("95.5")
    assert str(moved.balance.anchor_on) == "2026-01-06"
    last = positions.events(database, cell.position_id)[0]
    assert last.sentence == "The anchor is moved from 100.00 to 95.50 by hand."


def test_an_adjustment_corrects_shares_and_cash_and_is_no_profit(database: Database) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    moved = positions.adjust(
        database, cell.position_id, quantity="-0.5", cash="12.34", note="rounding", now=NOW
    )
    assert (moved.balance.quantity, moved.balance.cash) == (Decimal("49.5"), Decimal("5012.34"))
    assert positions.returns(database, cell.position_id).time_weighted == pytest.approx(0.0)


def test_an_adjustment_of_shares_without_any_price_asks_for_one(database: Database) -> None:
    cell = a_cell(database, anchor_price=None)
    with pytest.raises(InvalidInput, match="give a price"):
        positions.adjust(database, cell.position_id, quantity=1, note="gift", now=NOW)
    moved = positions.adjust(
        database, cell.position_id, quantity=50, price=10, note="gift", now=NOW
    )
    assert moved.balance.average_cost == 10
    trading.evaluate(database, cell.position_id, at(11, confirmed=True), NOW + DAY)
    # 100 · 10 + 5000 = 6,000, then 100 · 11 + 5000 = 6,100
    earned = positions.returns(database, cell.position_id)
    assert earned.time_weighted == pytest.approx(100 / 6000, abs=1e-12)
    assert verify.verify(database) == []


def test_an_adjustment_of_nothing_or_without_a_reason_is_refused(database: Database) -> None:
    cell = a_cell(database)
    with pytest.raises(InvalidInput, match="nothing changes"):
        positions.adjust(database, cell.position_id, note="why", now=NOW)
    with pytest.raises(InvalidInput, match="note"):
        positions.adjust(database, cell.position_id, cash=1, note=" ", now=NOW)


def test_a_split_multiplies_shares_divides_anchor_cost_and_last_price(
    database: Database,
) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(102), NOW)
    moved = positions.split(database, cell.position_id, 3, 2, NOW + DAY)
    assert moved.balance.quantity == 75
    assert moved.balance.anchor == moved.balance.average_cost == Decimal("66.666666666667")
    assert moved.last_price == 68
    assert positions.find_position(database, cell.position_id) == moved
    held = trading.evaluate(database, cell.position_id, at(68), NOW + DAY)
    assert held.decision.reason.value == "no_trigger"
    assert positions.returns(database, cell.position_id).time_weighted == pytest.approx(0.01)
    assert positions.returns(database, cell.position_id).stock == pytest.approx(0.02)


def test_a_split_waits_for_the_open_order(database: Database) -> None:
    cell = a_cell(database)
    trading.submit(database, cell.position_id, key="k", side="BUY", quantity=1, now=NOW)
    with pytest.raises(OrderOpen, match="Order 1 is open"):
        positions.split(database, cell.position_id, 2, 1, NOW)


def test_a_closed_position_keeps_everything_and_takes_nothing_until_it_reopens(
    database: Database,
) -> None:
    cell = a_cell(database)
    closed = positions.close_position(database, cell.position_id, NOW)
    assert not closed.balance.is_open
    for act in (
        lambda: trading.evaluate(database, cell.position_id, at(97), NOW),
        lambda: positions.deposit(database, cell.position_id, 1, NOW),
        lambda: positions.close_position(database, cell.position_id, NOW),
        lambda: trading.submit(
            database, cell.position_id, key="k", side="BUY", quantity=1, now=NOW
        ),
    ):
        with pytest.raises(PositionClosed):
            act()
    reopened = positions.reopen_position(database, cell.position_id, NOW + DAY)
    assert reopened.balance == cell.balance
    assert verify.verify(database) == []


def test_a_position_with_an_open_order_cannot_be_closed(database: Database) -> None:
    cell = a_cell(database)
    trading.submit(database, cell.position_id, key="k", side="BUY", quantity=1, now=NOW)
    with pytest.raises(OrderOpen):
        positions.close_position(database, cell.position_id, NOW)
    assert event_types(database, cell.position_id)[-1] == "refused"
    trading.cancel(database, 1, NOW)
    assert not positions.close_position(database, cell.position_id, NOW).balance.is_open


def test_excess_compares_with_the_stock_including_its_net_dividends(
    database: Database,
) -> None:
    cell = a_cell(database, cash=0)
    trading.evaluate(database, cell.position_id, at(100, validated=True), NOW)
    positions.find_position(database, cell.position_id)
    held = positions.find_position(database, cell.position_id).balance.quantity
    income.announce(database, cell.position_id, ex_on=(NOW + DAY).date(), per_share=2, now=NOW)
    trading.evaluate(database, cell.position_id, at(98), NOW + DAY)
    earned = positions.returns(database, cell.position_id)
    # 98 and 1.5 net on each share bought for 100
    assert earned.stock == pytest.approx(-0.005, abs=1e-12)
    assert earned.time_weighted == pytest.approx(-0.005, abs=1e-12)
    assert earned.excess == pytest.approx(0.0, abs=1e-12)
    assert held == 50


def test_a_fill_as_the_first_price_gives_opening_shares_their_cost(database: Database) -> None:
    cell = a_cell(database, anchor_price=None)
    filled = filled_at(database, cell.position_id, "BUY", 10, 40, NOW + timedelta(hours=1))
    assert filled.position.balance.average_cost == 40
    assert filled.position.balance.anchor == 40
    assert verify.verify(database) == []

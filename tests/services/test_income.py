from datetime import date
from decimal import Decimal

import pytest
from books import DAY, NOW, a_cell, at, contents, event_types, filled_at

from volbal.domain.dividends import DividendNotAccrued, DividendState
from volbal.errors import InvalidInput
from volbal.services import (
    course,
    income,
    overview,
    payouts,
    positions,
    settings,
    trading,
    verify,
)
from volbal.services.income import DividendNotFound
from volbal.storage import records
from volbal.storage.database import Database

EX = (NOW + 2 * DAY).date()
PAY = (NOW + 4 * DAY).date()


def announced(database: Database, position_id: int, per_share: float = 1) -> int:
    return income.announce(
        database, position_id, ex_on=EX, pay_on=PAY, per_share=per_share, now=NOW
    ).dividend_id


def test_a_dividend_accrues_on_its_ex_date_and_is_paid_on_its_pay_date(
    database: Database,
) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id)
    seen = []
    for days in range(6):
        trading.evaluate(database, cell.position_id, at(100), NOW + days * DAY)
        balance = positions.find_position(database, cell.position_id).balance
        seen.append((balance.cash, balance.receivable, balance.anchor))
    # 50 shares · 1 less 25 % = 37.5; the anchor falls by the gross amount
    before, accrued, paid = (5000, 0, 100), (5000, Decimal("37.5"), 99), (Decimal("5037.5"), 0, 99)
    assert seen == [before, before, accrued, accrued, paid, paid]
    assert event_types(database, cell.position_id).count("dividend_accrued") == 1
    assert event_types(database, cell.position_id).count("dividend_paid") == 1


def test_the_stock_earned_no_dividend_that_went_ex_before_the_position_was_opened(
    database: Database,
) -> None:
    cell = a_cell(database)
    ex_on = (NOW - 2 * DAY).date()
    income.announce(database, cell.position_id, ex_on=ex_on, per_share=1, now=NOW)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    trading.evaluate(database, cell.position_id, at(100), NOW + DAY)
    (row,) = overview.overview(database, NOW + DAY).open
    assert row.performance.stock == 0.0
    assert course.course(database, cell.position_id, NOW + DAY).dividends.empty
    assert positions.find_position(database, cell.position_id).balance.anchor == 100


def test_what_is_expected_counts_the_shares_held_before_the_ex_date(database: Database) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id)
    too_early = NOW.date()
    income.announce(database, cell.position_id, ex_on=too_early, per_share=1, now=NOW)
    filled_at(database, cell.position_id, "SELL", 10, 100, NOW + DAY)
    filled_at(database, cell.position_id, "SELL", 10, 100, NOW + 2 * DAY)
    first, second = payouts.payouts(database).upcoming
    assert (first.ex_on, first.held, first.net) == (too_early, 0, 0)
    assert (second.ex_on, second.held, second.net) == (EX, 40, 30)
    income.accrue(database, cell.position_id, NOW + 2 * DAY)
    found = payouts.payouts(database)
    assert [one.ex_on for one in found.receivable] == [EX]
    told = [one for one in positions.events(database, 1) if one.type == "dividend_accrued"]
    assert [one.inputs["held"] for one in told] == ["40", "0"]
    assert found.upcoming == []


def test_an_ex_date_gap_fires_no_trigger(database: Database) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id, per_share=4)
    gapped = trading.evaluate(database, cell.position_id, at(96), NOW + 2 * DAY)
    assert gapped.decision.reason.value == "no_trigger"


def test_a_day_without_a_tick_is_made_up_at_the_next_one_in_order(database: Database) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id)
    late = NOW + 30 * DAY
    trading.evaluate(database, cell.position_id, at(100), late)
    assert positions.find_position(database, cell.position_id).balance.receivable == 37.5
    trading.evaluate(database, cell.position_id, at(100), late)
    assert positions.find_position(database, cell.position_id).balance.cash == 5037.5


def test_shares_sold_on_the_ex_date_still_get_the_dividend(database: Database) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id)
    filled_at(database, cell.position_id, "SELL", 50, 100, NOW + 2 * DAY)
    trading.evaluate(database, cell.position_id, at(100), NOW + 2 * DAY)
    balance = positions.find_position(database, cell.position_id).balance
    assert (balance.quantity, balance.receivable) == (0, Decimal("37.5"))
    assert balance.anchor == 100  # set on the ex-date by the fill


def test_shares_bought_on_the_ex_date_get_none(database: Database) -> None:
    cell = a_cell(database, quantity=0)
    announced(database, cell.position_id)
    filled_at(database, cell.position_id, "BUY", 10, 100, NOW + 2 * DAY)
    trading.evaluate(database, cell.position_id, at(100), NOW + 2 * DAY)
    assert positions.find_position(database, cell.position_id).balance.receivable == 0


def test_a_position_without_anchor_accrues_and_takes_its_first_price(database: Database) -> None:
    cell = a_cell(database, anchor_price=None)
    announced(database, cell.position_id)
    trading.evaluate(database, cell.position_id, at(80), NOW + 2 * DAY)
    balance = positions.find_position(database, cell.position_id).balance
    assert (balance.receivable, balance.anchor) == (Decimal("37.5"), 80)


def test_a_special_dividend_above_the_anchor_restarts_it_at_the_price(
    database: Database,
) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id, per_share=100)
    quote = at(9, confirmed=True)
    trading.evaluate(database, cell.position_id, quote, NOW + 2 * DAY)
    balance = positions.find_position(database, cell.position_id).balance
    assert (balance.anchor, balance.anchor_on) == (9, EX)
    assert balance.receivable == 3750


def test_withholding_is_the_positions_own(database: Database) -> None:
    cell = a_cell(database)
    settings.configure(database, cell.position_id, {"withholding_rate": 0.1}, by="ann", now=NOW)
    announced(database, cell.position_id)
    income.accrue(database, cell.position_id, NOW + 2 * DAY)
    balance = positions.find_position(database, cell.position_id).balance
    assert (balance.receivable, balance.withheld, balance.dividends) == (45, 5, 45)


def test_announcing_twice_is_one_dividend(database: Database) -> None:
    cell = a_cell(database)
    first = announced(database, cell.position_id)
    before = contents(database)
    assert announced(database, cell.position_id) == first
    assert contents(database) == before


def test_an_announcement_can_be_corrected_until_its_ex_date_is_worked_off(
    database: Database,
) -> None:
    cell = a_cell(database)
    first = announced(database, cell.position_id)
    assert announced(database, cell.position_id, per_share=2) == first
    income.accrue(database, cell.position_id, NOW + 2 * DAY)
    assert positions.find_position(database, cell.position_id).balance.receivable == 75
    with pytest.raises(InvalidInput, match=r"is accrued with 2\.00 per share"):
        announced(database, cell.position_id, per_share=3)


def test_a_pay_date_learned_after_the_ex_date_can_still_be_added(database: Database) -> None:
    cell = a_cell(database)
    income.announce(database, cell.position_id, ex_on=EX, per_share=1, now=NOW)
    income.accrue(database, cell.position_id, NOW + 30 * DAY)
    assert positions.find_position(database, cell.position_id).balance.receivable == 37.5
    announced(database, cell.position_id)
    income.accrue(database, cell.position_id, NOW + 30 * DAY)
    assert positions.find_position(database, cell.position_id).balance.receivable == 0


def test_one_announced_after_its_pay_date_is_accrued_and_paid_at_once(database: Database) -> None:
    cell = a_cell(database)
    announced(database, cell.position_id)
    (moved,) = income.accrue(database, cell.position_id, NOW + 30 * DAY)
    assert moved.state is DividendState.PAID
    balance = positions.find_position(database, cell.position_id).balance
    assert (balance.receivable, balance.cash) == (0, Decimal("5037.5"))
    assert verify.verify(database) == []


def test_paying_twice_pays_once(database: Database) -> None:
    cell = a_cell(database)
    dividend_id = announced(database, cell.position_id)
    with pytest.raises(DividendNotAccrued):
        income.pay(database, dividend_id, NOW)
    income.accrue(database, cell.position_id, NOW + 2 * DAY)
    assert income.pay(database, dividend_id, NOW + 3 * DAY).state is DividendState.PAID
    before = contents(database)
    assert income.pay(database, dividend_id, NOW + 3 * DAY).state is DividendState.PAID
    assert contents(database) == before
    assert positions.find_position(database, cell.position_id).balance.cash == 5037.5


def test_a_closed_position_is_still_paid_what_it_is_owed(database: Database) -> None:
    cell = a_cell(database)
    dividend_id = announced(database, cell.position_id)
    income.accrue(database, cell.position_id, NOW + 2 * DAY)
    positions.close_position(database, cell.position_id, NOW + 3 * DAY)
    income.pay(database, dividend_id, NOW + 4 * DAY)
    assert positions.find_position(database, cell.position_id).balance.cash == 5037.5
    assert verify.verify(database) == []


def test_an_unknown_dividend_is_not_found_and_a_bad_one_not_announced(
    database: Database,
) -> None:
    cell = a_cell(database)
    with pytest.raises(DividendNotFound):
        income.pay(database, 5, NOW)
    with pytest.raises(InvalidInput, match="per_share"):
        announced(database, cell.position_id, per_share=0)
    with pytest.raises(InvalidInput, match="pay_on"):
        income.announce(
            database,
            cell.position_id,
            ex_on=EX,
            pay_on=date(2026, 1, 6),
            per_share=1,
            now=NOW,
        )


def test_a_split_after_the_close_before_an_ex_date_keeps_the_shares_of_that_close(
    database: Database,
) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    announced(database, cell.position_id)
    split = positions.split(database, cell.position_id, 2, 1, NOW + 2 * DAY)
    # worked off before the split: 50 · 1 · 0.75, anchor (100 - 1) / 2
    assert split.balance.receivable == Decimal("37.5")
    assert split.balance.anchor == Decimal("49.5")


def test_a_dividend_that_the_ledger_cannot_hold_is_not_announced(database: Database) -> None:
    cell = a_cell(database)
    before = contents(database)
    # 10,000 is there already, so 50 shares have room for (10¹² − 10,000) / 50.
    with pytest.raises(InvalidInput, match=r"1000000000000000 on 50 shares .* 19,999,999,800\.00"):
        announced(database, cell.position_id, 1e15)
    assert contents(database) == before


def test_one_announced_before_that_was_refused_leaves_the_other_amounts_and_can_be_withdrawn(
    database: Database,
) -> None:
    cell = a_cell(database)
    with database.write() as connection:
        absurd = records.insert_dividend(connection, cell.position_id, EX, PAY, Decimal(10**15))
    (line,) = payouts.payouts(database).upcoming
    assert (line.held, line.gross, line.net) == (50, None, None)
    with pytest.raises(InvalidInput, match="more than the ledger holds"):
        trading.evaluate(database, cell.position_id, at(100), NOW + 2 * DAY)
    income.withdraw(database, absurd, NOW)
    assert payouts.payouts(database).upcoming == []
    trading.evaluate(database, cell.position_id, at(100), NOW + 2 * DAY)


def test_an_announcement_is_withdrawn_until_its_ex_date_is_worked_off(database: Database) -> None:
    cell = a_cell(database)
    wrong = announced(database, cell.position_id)
    income.withdraw(database, wrong, NOW)
    assert income.list_dividends(database, cell.position_id) == []
    told = positions.events(database, cell.position_id)[0]
    assert told.type == "dividend_withdrawn"
    assert told.sentence == f"The announcement of 1.00 per share with ex-date {EX} is withdrawn."
    with pytest.raises(DividendNotFound):
        income.withdraw(database, wrong, NOW)
    again = announced(database, cell.position_id)
    income.accrue(database, cell.position_id, NOW + 2 * DAY)
    before = contents(database)
    with pytest.raises(InvalidInput, match="is accrued already"):
        income.withdraw(database, again, NOW + 2 * DAY)
    assert contents(database) == before
    assert verify.verify(database) == []


def test_a_dividend_announced_after_the_split_of_its_ex_date_counts_old_shares(
    database: Database,
) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    positions.split(database, cell.position_id, 2, 1, NOW + 2 * DAY)
    announced(database, cell.position_id)
    trading.evaluate(database, cell.position_id, at("49.5"), NOW + 2 * DAY)
    balance = positions.find_position(database, cell.position_id).balance
    # as above: 50 · 1 · 0.75, anchor 100 / 2 - 1 / 2; the stock lost 0.5 of 50 and paid 0.375
    assert (balance.receivable, balance.anchor) == (Decimal("37.5"), Decimal("49.5"))
    (row,) = overview.overview(database, NOW + 2 * DAY).open
    assert row.performance.stock == pytest.approx((49.5 + 0.375) / 50 - 1)

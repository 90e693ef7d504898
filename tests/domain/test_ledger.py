from datetime import date
from decimal import Decimal

import pytest

from volbal.domain import entries
from volbal.domain.entries import InsufficientCash, InsufficientShares
from volbal.domain.ledger import EMPTY, Balance, Entry, Legs, equity, fold
from volbal.errors import InvalidInput

DAY = date(2026, 1, 5)


def D(text: str | int) -> Decimal:  # noqa: N802  (short, as decimals are everywhere here)
    return Decimal(text)


def after(*made: Entry) -> Balance:
    balance = EMPTY
    for entry in made:
        balance = fold(balance, entry)
    return balance


def cell() -> Balance:
    return after(entries.opening(DAY, D(10), D(1000), D(100)))


def test_legs_that_do_not_sum_to_zero_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"sum to 0\.01"):
        Legs(cash=D("5.01"), external=D(-5))


def test_opening_brings_shares_at_the_opening_price_and_cash() -> None:
    balance = cell()
    assert (balance.quantity, balance.cash, balance.contributed) == (10, 1000, 2000)
    assert (balance.average_cost, balance.anchor, balance.anchor_on) == (100, 100, DAY)
    assert balance.is_open


def test_a_purchase_pays_notional_and_commission_and_becomes_the_anchor() -> None:
    balance = fold(cell(), entries.purchase(cell(), D(5), D(90), D("0.5"), DAY))
    assert balance.cash == D("549.5")  # 1000 - 5·90 - 0.5
    assert balance.quantity == 15
    assert balance.fees == D("0.5")
    assert balance.anchor == 90
    # (10·100 + 450 + 0.5) / 15 = 96.7
    assert balance.average_cost == D("96.7")


def test_a_sale_brings_notional_less_commission_and_leaves_the_average_cost() -> None:
    balance = fold(cell(), entries.sale(cell(), D(4), D(110), D(1), DAY))
    assert (balance.cash, balance.quantity) == (1439, 6)  # 1000 + 440 - 1
    assert balance.average_cost == 100


def test_the_average_cost_is_zero_once_everything_is_sold() -> None:
    balance = fold(cell(), entries.sale(cell(), D(10), D(110), D(0), DAY))
    assert balance.average_cost == 0


def test_a_purchase_to_the_last_cent_is_possible_and_one_step_more_is_not() -> None:
    assert fold(cell(), entries.purchase(cell(), D(10), D(99), D(10), DAY)).cash == 0
    with pytest.raises(InsufficientCash, match=r"needs 1,000\.01 and the position has 1,000\.00"):
        entries.purchase(cell(), D(10), D(99), D("10.01"), DAY)


def test_more_than_all_shares_cannot_be_sold() -> None:
    with pytest.raises(InsufficientShares, match="at most 10"):
        entries.sale(cell(), D("10.000000000001"), D(100), D(0), DAY)


def test_a_commission_above_proceeds_and_cash_is_refused() -> None:
    with pytest.raises(InsufficientCash):
        entries.sale(cell(), D(1), D(1), D("1001.000001"), DAY)


def test_deposits_and_withdrawals_move_cash_and_contribution_alike() -> None:
    balance = fold(cell(), entries.deposit(D(50), DAY))
    balance = fold(balance, entries.withdrawal(balance, D(20), DAY))
    assert (balance.cash, balance.contributed) == (1030, 2030)


def test_more_than_the_cash_cannot_be_withdrawn() -> None:
    with pytest.raises(InsufficientCash):
        entries.withdrawal(cell(), D("1000.000001"), DAY)


def test_a_split_multiplies_shares_and_divides_anchor_and_average_cost() -> None:
    balance = fold(cell(), entries.split(cell(), D(7), D(1), DAY))
    assert balance.quantity == 70
    assert balance.anchor == balance.average_cost == D("14.285714285714")  # 100 / 7
    assert balance.cash == 1000


def test_a_reverse_split_leaves_a_fraction_of_a_share() -> None:
    balance = fold(cell(), entries.split(cell(), D(1), D(3), DAY))
    assert balance.quantity == D("3.333333333333")
    assert balance.anchor == 300


def test_a_split_that_leaves_no_anchor_is_refused() -> None:
    cheap = after(entries.opening(DAY, D(0), D(0), D("0.000001")))
    with pytest.raises(InvalidInput, match="ratio"):
        entries.split(cheap, D(10_000_000), D(1), DAY)


def test_opening_shares_without_a_price_cost_what_the_first_price_says() -> None:
    balance = after(entries.opening(DAY, D(10), D(0), None))
    assert balance.average_cost is None
    balance = fold(balance, entries.opening_price(balance, D("12.5"), DAY))
    assert balance.average_cost == D("12.5")
    assert balance.contributed == 125


def test_an_adjustment_of_shares_needs_a_price_and_is_no_profit() -> None:
    with pytest.raises(InvalidInput, match="price"):
        entries.adjustment(cell(), D(1), D(0), None, DAY)
    balance = fold(cell(), entries.adjustment(cell(), D(1), D(-5), D(120), DAY))
    assert (balance.quantity, balance.cash, balance.contributed) == (11, 995, 2115)


def test_an_adjustment_cannot_leave_less_than_nothing() -> None:
    with pytest.raises(InsufficientShares):
        entries.adjustment(cell(), D(-11), D(0), D(1), DAY)
    with pytest.raises(InsufficientCash):
        entries.adjustment(cell(), D(0), D(-1001), None, DAY)


def test_equity_counts_stock_cash_and_receivable() -> None:
    balance = Balance(quantity=D(3), cash=D(10), receivable=D("0.5"))
    assert equity(balance, D("1.5")) == 15


def test_a_closed_position_keeps_its_balance_and_can_open_again() -> None:
    closed = fold(cell(), entries.closing(DAY))
    assert not closed.is_open
    assert closed.quantity == 10
    assert fold(closed, entries.reopening(DAY)) == cell()

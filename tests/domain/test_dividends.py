from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from volbal.domain import dividends
from volbal.domain.dividends import Dividend, DividendNotAccrued, DividendState
from volbal.domain.ledger import Balance

EX, PAY = date(2026, 2, 6), date(2026, 2, 12)
CELL = Balance(quantity=Decimal(10), anchor=Decimal(100), anchor_on=date(2026, 2, 5))


def dividend(**changes: Any) -> Dividend:
    given = {
        "dividend_id": 1,
        "position_id": 1,
        "ex_on": EX,
        "pay_on": PAY,
        "per_share": Decimal("0.25"),
        "state": DividendState.ANNOUNCED,
    }
    return Dividend(**(given | changes))


def test_gross_is_shares_held_times_amount_less_withholding() -> None:
    entry = dividends.accrual(CELL, dividend(), Decimal(10), 0.25, price=None, on=EX)
    # 10 · 0.25 = 2.5 gross, 0.625 withheld, 1.875 net
    assert -entry.legs.income == Decimal("2.5")
    assert entry.legs.withholding == Decimal("0.625")
    assert entry.legs.receivable == Decimal("1.875")


def test_the_anchor_falls_by_the_gross_amount_and_keeps_its_date() -> None:
    entry = dividends.accrual(CELL, dividend(), Decimal(10), 0.25, price=None, on=EX)
    assert (entry.anchor, entry.anchor_on) == (Decimal("99.75"), date(2026, 2, 5))


def test_an_anchor_set_on_the_ex_date_does_not_move() -> None:
    cell = Balance(anchor=Decimal(100), anchor_on=EX)
    entry = dividends.accrual(cell, dividend(), Decimal(10), 0.25, price=None, on=EX)
    assert entry.anchor is None


def test_a_position_without_anchor_gets_none_from_a_dividend() -> None:
    entry = dividends.accrual(Balance(), dividend(), Decimal(10), 0.25, price=Decimal(5), on=EX)
    assert entry.anchor is None


@pytest.mark.parametrize("per_share", ["100", "120"])
def test_an_anchor_that_would_vanish_restarts_at_the_price(per_share: str) -> None:
    special = dividend(per_share=Decimal(per_share))
    entry = dividends.accrual(CELL, special, Decimal(10), 0.0, price=Decimal(7), on=EX)
    assert (entry.anchor, entry.anchor_on) == (Decimal(7), EX)


def test_no_shares_accrue_nothing() -> None:
    entry = dividends.accrual(CELL, dividend(), Decimal(0), 0.25, price=None, on=EX)
    assert entry.legs.receivable == 0


def test_nothing_is_paid_before_it_accrued() -> None:
    with pytest.raises(DividendNotAccrued, match="goes ex on 2026-02-06"):
        dividends.payment(dividend(), PAY)


def test_what_is_due_depends_on_state_and_day() -> None:
    accrued = dividend(state=DividendState.ACCRUED, net=Decimal(1))
    unknown = dividend(state=DividendState.ACCRUED, net=Decimal(1), pay_on=None)
    before = date(2026, 2, 5)
    assert dividends.accruals_due([dividend()], before) == []
    assert dividends.accruals_due([dividend(), accrued], EX) == [dividend()]
    assert dividends.payments_due([accrued, unknown], date(2026, 2, 11)) == []
    assert dividends.payments_due([accrued, unknown, dividend()], PAY) == [accrued]

from decimal import Decimal

from volbal.domain.guardrails import is_breach
from volbal.domain.ledger import Balance
from volbal.domain.policy import Policy

PRICE = Decimal(1)


def cell(stock: str, cash: str) -> Balance:
    return Balance(quantity=Decimal(stock), cash=Decimal(cash))


def test_a_fill_onto_the_guardrail_is_no_breach_and_one_beyond_it_is() -> None:
    before = cell("50", "50")
    assert not is_breach(before, cell("75", "25"), PRICE, Policy())
    assert is_breach(before, cell("75.01", "24.99"), PRICE, Policy())
    assert is_breach(before, cell("24.99", "75.01"), PRICE, Policy())


def test_a_fill_that_moves_a_drifted_cell_toward_its_guardrail_is_no_breach() -> None:
    assert not is_breach(cell("90", "10"), cell("80", "20"), PRICE, Policy())
    assert is_breach(cell("80", "20"), cell("90", "10"), PRICE, Policy())


def test_an_emptied_cell_breaks_nothing() -> None:
    assert not is_breach(cell("1", "0"), cell("0", "0"), PRICE, Policy())

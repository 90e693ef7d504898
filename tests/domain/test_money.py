from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volbal.domain.money import (
    MONEY,
    PRICE,
    SHARES,
    divided,
    divided_up,
    from_float,
    multiplied,
    not_negative,
    parsed,
    plain,
    positive,
    round_to,
    whole_lots,
)
from volbal.errors import InvalidInput


def test_money_holds_six_decimals_and_refuses_a_seventh() -> None:
    assert parsed("cash", "0.000001", MONEY) == Decimal("0.000001")
    with pytest.raises(InvalidInput, match="too many decimals"):
        parsed("cash", "0.0000001", MONEY)


def test_quantities_hold_twelve_decimals_and_refuse_a_thirteenth() -> None:
    assert parsed("qty", "0.000000000001", SHARES) == Decimal("1e-12")
    with pytest.raises(InvalidInput, match="qty"):
        parsed("qty", "0.0000000000001", SHARES)


def test_trailing_zeros_are_no_decimals() -> None:
    assert parsed("cash", "1.5000000000000", MONEY) == Decimal("1.5")


def test_a_float_means_the_number_that_is_printed_for_it() -> None:
    assert parsed("price", 0.1, PRICE) == Decimal("0.1")


@pytest.mark.parametrize("value", ["nan", "inf", float("nan"), float("-inf"), "x", "", True, None])
def test_what_is_no_finite_number_is_refused_without_an_echo(value: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parsed("cash", value, MONEY)  # type: ignore[arg-type]
    assert "nan" not in str(refusal.value)
    assert "inf" not in str(refusal.value).replace("finite", "")


def test_money_ends_below_a_million_millions() -> None:
    assert parsed("cash", "999999999999.999999", MONEY) == Decimal("999999999999.999999")
    with pytest.raises(InvalidInput, match="too large"):
        parsed("cash", "1e12", MONEY)


def test_zero_is_not_positive_and_minus_zero_is_zero() -> None:
    with pytest.raises(InvalidInput, match="not above 0"):
        positive("qty", 0, SHARES)
    assert str(not_negative("cash", "-0", MONEY)) == "0.000000"
    with pytest.raises(InvalidInput, match="below 0"):
        not_negative("cash", "-0.01", MONEY)


def test_rounding_is_half_away_from_zero() -> None:
    assert round_to(MONEY, Decimal("0.0000005")) == Decimal("0.000001")
    assert round_to(MONEY, Decimal("-0.0000005")) == Decimal("-0.000001")


def test_products_are_rounded_once_from_the_exact_value() -> None:
    # 3333333.333333333333 · 299.999999999999 = 999999999.999996566666...; 28 digits would do,
    # 999999999999 · 1.000000000001 = 999999999999.999999999999 must not become 1e12.
    assert multiplied(SHARES, Decimal("999999999999"), Decimal("1.000000000001")) == Decimal(
        "999999999999.999999999999"
    )


def test_a_result_too_large_for_the_ledger_is_refused() -> None:
    with pytest.raises(InvalidInput, match="more than the ledger holds"):
        multiplied(MONEY, Decimal("1000000"), Decimal("1000000"))


def test_division_rounds_to_nearest_or_up() -> None:
    assert divided(SHARES, Decimal(1), Decimal(3)) == Decimal("0.333333333333")
    assert divided_up(SHARES, Decimal(1), Decimal(3)) == Decimal("0.333333333334")


def test_floats_of_the_rule_land_on_the_nearest_step() -> None:
    assert from_float(SHARES, 0.1 + 0.2) == Decimal("0.3")
    assert from_float(SHARES, 0.29999999999999993) == Decimal("0.3")


def test_whole_lots_are_cut_off_never_added() -> None:
    assert whole_lots(Decimal("0.999999999999"), Decimal("0.1")) == Decimal("0.9")
    assert whole_lots(Decimal(7), Decimal(7)) == Decimal(7)


@settings(deadline=None)  # the machine may be busy
@given(st.decimals(min_value=0, max_value=10**15, places=12))
def test_one_number_has_one_plain_text(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert plain(Decimal(text + ("0" if "." in text else ".0"))) == text
    assert "E" not in text

"""The policy: every bound, default, preset and refusal of SPEC §2."""

from dataclasses import FrozenInstanceError
from math import inf, nan, nextafter
from typing import Any

import pytest

from volbal.domain import policy as policy_module
from volbal.domain.policy import PRESETS, SWEEPABLE, Policy
from volbal.errors import InvalidInput

ABOVE_0, BELOW_0 = nextafter(0.0, 1.0), nextafter(0.0, -1.0)
ABOVE_1, BELOW_1 = nextafter(1.0, 2.0), nextafter(1.0, 0.0)

SPEC_DEFAULTS = {
    "trigger_up": 0.03,
    "trigger_down": 0.03,
    "sizing": "proportional",
    "min_stock_share": 0.25,
    "max_stock_share": 0.75,
    "auto_rebalance": True,
    "max_trade_share": 0.20,
    "min_notional": 100.0,
    "lot_size": 0.0,
    "max_orders_per_day": 5,
    "commission_rate": 0.0001,
    "commission_min": 0.0,
    "slippage": 0.0,
    "withholding_rate": 0.25,
    "cash_rate": 0.0,
    "after_hours": False,
}

NOT_NEGATIVE = ("min_notional", "lot_size", "commission_rate", "commission_min", "cash_rate")
ALLOWED = [
    *((name, value) for name in ("trigger_up", "trigger_down") for value in (ABOVE_0, BELOW_1)),
    *((name, value) for name in NOT_NEGATIVE for value in (0.0, ABOVE_0, 1e12)),
    ("rebalance_ratio", ABOVE_0),
    ("rebalance_ratio", 1e6),
    ("min_stock_share", 0.0),
    ("min_stock_share", nextafter(0.75, 0.0)),
    ("max_stock_share", 1.0),
    ("max_stock_share", nextafter(0.25, 1.0)),
    ("max_trade_share", ABOVE_0),
    ("max_trade_share", 1.0),
    ("max_orders_per_day", 1),
    ("max_orders_per_day", 10_000),
    ("slippage", 0.0),
    ("slippage", BELOW_1),
    ("withholding_rate", 0.0),
    ("withholding_rate", 1.0),
]
REFUSED = [
    *((name, value, "(0, 1)") for name in ("trigger_up", "trigger_down") for value in (0.0, 1.0)),
    *((name, BELOW_0, ">= 0") for name in NOT_NEGATIVE),
    ("rebalance_ratio", 0.0, "> 0"),
    ("rebalance_ratio", -1.5, "> 0"),
    ("min_stock_share", BELOW_0, "[0, 1]"),
    ("min_stock_share", ABOVE_1, "[0, 1]"),
    ("max_stock_share", BELOW_0, "[0, 1]"),
    ("max_stock_share", ABOVE_1, "[0, 1]"),
    ("max_trade_share", 0.0, "(0, 1]"),
    ("max_trade_share", ABOVE_1, "(0, 1]"),
    ("max_orders_per_day", 0, ">= 1"),
    ("max_orders_per_day", -3, ">= 1"),
    ("max_orders_per_day", 2.5, "1, 2, 3"),
    ("slippage", BELOW_0, "[0, 1)"),
    ("slippage", 1.0, "[0, 1)"),
    ("withholding_rate", BELOW_0, "[0, 1]"),
    ("withholding_rate", ABOVE_1, "[0, 1]"),
    ("sizing", "martingale", "proportional, fixed_percentage, original"),
]
NUMBERS = [
    name for name in SPEC_DEFAULTS if name not in ("sizing", "auto_rebalance", "after_hours")
]
NUMBERS.append("rebalance_ratio")


def refusal_of(**fields: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        Policy(**fields)
    return refused.value


@pytest.mark.parametrize(("name", "default"), SPEC_DEFAULTS.items())
def test_every_default_is_the_printed_one(name, default):
    value = getattr(Policy(), name)
    assert value == default
    assert type(value) is type(default)


def test_every_field_of_the_table_is_a_policy_field_and_no_other():
    assert set(Policy.__dataclass_fields__) == {*SPEC_DEFAULTS, "rebalance_ratio"}


@pytest.mark.parametrize(("name", "value"), ALLOWED)
def test_a_value_just_inside_its_bounds_is_accepted(name, value):
    assert getattr(Policy(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value", "allowed"), REFUSED)
def test_a_value_just_outside_its_bounds_is_refused_by_field_value_and_range(name, value, allowed):
    refusal = refusal_of(**{name: value})
    assert refusal.field == name
    assert refusal.code == f"invalid_{name}"
    assert str(refusal).startswith(f"{name}: ")
    assert str(value) in str(refusal)
    assert allowed in str(refusal)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_number_that_is_not_finite_is_refused_without_being_echoed(name, value):
    refusal = refusal_of(**{name: value})
    assert refusal.field == name
    words = str(refusal).lower().replace("not a finite number", "").replace(name, "")
    assert "nan" not in words
    assert "inf" not in words


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [True, False, "0.5", "", [0.5], {}])
def test_a_number_field_takes_no_boolean_text_or_list(name, value):
    refusal = refusal_of(**{name: value})
    assert refusal.field == name
    assert "not a number" in str(refusal)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name != "rebalance_ratio"])
def test_only_rebalance_ratio_may_be_none(name):
    assert refusal_of(**{name: None}).field == name


@pytest.mark.parametrize("name", ["trigger_up", "min_notional", "max_orders_per_day"])
def test_a_whole_number_too_large_for_a_float_is_refused(name):
    assert refusal_of(**{name: 10**400}).field == name


@pytest.mark.parametrize("name", ["auto_rebalance", "after_hours"])
@pytest.mark.parametrize("value", [0, 1, 1.0, "true", None])
def test_a_boolean_field_takes_only_true_and_false(name, value):
    refusal = refusal_of(**{name: value})
    assert refusal.field == name
    assert repr(value) in str(refusal)


@pytest.mark.parametrize("value", [None, 0, True, ["proportional"], {"a": 1}, "", "Proportional"])
def test_sizing_takes_only_its_three_names(value):
    refusal = refusal_of(sizing=value)
    assert refusal.field == "sizing"
    assert "original" in str(refusal)


@pytest.mark.parametrize(("lower", "upper"), [(0.5, 0.5), (0.6, 0.4), (1.0, 1.0), (0.0, 0.0)])
def test_the_lower_guardrail_must_be_below_the_upper(lower, upper):
    refusal = refusal_of(min_stock_share=lower, max_stock_share=upper)
    assert f"{lower:g}" in str(refusal)
    assert f"{upper:g}" in str(refusal)
    assert "max_stock_share" in str(refusal)


def test_guardrails_may_leave_the_whole_range_free():
    policy = Policy(min_stock_share=0, max_stock_share=1)
    assert (policy.min_stock_share, policy.max_stock_share) == (0.0, 1.0)


def test_percent_in_place_of_a_fraction_is_refused_with_a_hint():
    for name in ("trigger_up", "max_stock_share", "withholding_rate", "slippage"):
        assert "3 % is 0.03" in str(refusal_of(**{name: 3}))
    assert "50 % is 0.5" in str(refusal_of(min_stock_share=50))


@pytest.mark.parametrize(
    ("sizing", "ratio"), [("proportional", 1.6667), ("original", 1.6667), ("fixed_percentage", 0.1)]
)
def test_the_rebalance_ratio_not_given_follows_the_sizing(sizing, ratio):
    policy = Policy(sizing=sizing)
    assert policy.ratio == ratio
    assert policy.terms.rebalance_ratio == ratio
    assert Policy().changed({"sizing": sizing}).ratio == ratio


def test_a_given_rebalance_ratio_survives_a_change_of_sizing():
    changed = Policy(rebalance_ratio=0.5).changed({"sizing": "fixed_percentage"})
    assert changed.ratio == 0.5


def test_fixed_percentage_trades_at_most_all():
    assert Policy(sizing="fixed_percentage", rebalance_ratio=1.0).ratio == 1.0
    refusal = refusal_of(sizing="fixed_percentage", rebalance_ratio=1.6667)
    assert refusal.field == "rebalance_ratio"
    assert "1.6667" in str(refusal)
    assert "(0, 1]" in str(refusal)


def test_trigger_threshold_sets_both_triggers():
    policy = Policy().changed({"trigger_threshold": 0.05})
    assert (policy.trigger_up, policy.trigger_down) == (0.05, 0.05)


@pytest.mark.parametrize("other", ["trigger_up", "trigger_down"])
def test_trigger_threshold_beside_a_trigger_it_sets_is_refused(other):
    with pytest.raises(InvalidInput, match=f"{other} is set twice"):
        Policy().changed({"trigger_threshold": 0.05, other: 0.04})


def test_a_trigger_threshold_out_of_range_is_refused():
    with pytest.raises(InvalidInput, match=r"5 is out of range.*\(0, 1\)"):
        Policy().changed({"trigger_threshold": 5})


def test_an_unknown_field_is_refused_by_name_with_the_known_ones():
    with pytest.raises(InvalidInput) as refused:
        Policy().changed({"triger_up": 0.05})
    assert "'triger_up'" in str(refused.value)
    for name in (*SPEC_DEFAULTS, "rebalance_ratio", "trigger_threshold"):
        assert name in str(refused.value)


def test_a_change_leaves_the_original_and_every_other_field_alone():
    policy = Policy(lot_size=1.0)
    changed = policy.changed({"min_notional": 5})
    assert (changed.lot_size, changed.min_notional) == (1.0, 5.0)
    assert policy == Policy(lot_size=1.0)


def test_a_policy_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Policy().trigger_up = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("preset", "threshold", "ratio", "lower", "upper", "largest"),
    [
        ("conservative", 0.05, 1.2, 0.30, 0.70, 0.10),
        ("standard", 0.03, 1.6667, 0.25, 0.75, 0.20),
        ("aggressive", 0.02, 2.0, 0.20, 0.80, 0.30),
    ],
)
def test_presets_are_the_printed_ones(preset, threshold, ratio, lower, upper, largest):
    policy = PRESETS[preset]
    assert (policy.trigger_up, policy.trigger_down) == (threshold, threshold)
    assert policy.ratio == ratio
    assert (policy.min_stock_share, policy.max_stock_share) == (lower, upper)
    assert policy.max_trade_share == largest
    named = {"trigger_up", "trigger_down", "rebalance_ratio", "min_stock_share", "max_stock_share"}
    for name in SPEC_DEFAULTS.keys() - named - {"max_trade_share"}:
        assert getattr(policy, name) == SPEC_DEFAULTS[name]
    assert len(PRESETS) == 3


def test_every_field_but_after_hours_can_be_swept():
    assert set(SWEEPABLE) == {*SPEC_DEFAULTS, "rebalance_ratio"} - {"after_hours"}


def test_bounds_are_stated_for_every_number():
    assert set(policy_module.BOUNDS) == set(NUMBERS)


def test_order_shares_are_what_the_rule_wishes_at_its_triggers():
    # SPEC §3.2: of 19,700 it buys 1,015.48 at 97, of 20,300 it sells 9.56754 at 103.
    assert Policy().order_shares == pytest.approx((9.56754 * 103 / 20_300, 1_015.48 / 19_700), 1e-5)
    assert Policy(sizing="fixed_percentage").order_shares == pytest.approx((0.1, 0.1))
    original = Policy(sizing="original", rebalance_ratio=0.5)
    assert original.order_shares == pytest.approx((0.5 / 1.03, 0.5 / 0.97))

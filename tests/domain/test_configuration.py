import pytest

from volbal.domain.configuration import Change, Configuration, difference, from_json, to_json
from volbal.domain.policy import Policy
from volbal.errors import InvalidInput


def test_the_difference_names_what_changed_before_and_after() -> None:
    before = Configuration()
    after = before.changed({"trigger_threshold": 0.05, "strict": True})
    assert difference(before, after) == (
        Change("trigger_up", 0.03, 0.05),
        Change("trigger_down", 0.03, 0.05),
        Change("strict", False, True),
    )


def test_a_ratio_left_empty_is_told_as_the_one_in_force() -> None:
    before = Configuration(Policy(sizing="fixed_percentage"))
    after = before.changed({"rebalance_ratio": 0.5})
    assert difference(before, after) == (Change("rebalance_ratio", "0.1 (from sizing)", 0.5),)


def test_a_policy_survives_storage() -> None:
    policy = Policy(sizing="fixed_percentage", lot_size=1.0, after_hours=True)
    assert from_json(to_json(policy)) == policy


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(InvalidInput, match="not a policy field"):
        Configuration().changed({"threshold": 1})
    with pytest.raises(InvalidInput, match="strict"):
        Configuration().changed({"strict": "yes"})

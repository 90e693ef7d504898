"""Every field that a study may sweep changes what its cells find."""

from typing import Any

import numpy as np
import pytest
from samples import random_sample

from volbal.domain.policy import Policy
from volbal.engine.bounds import valid
from volbal.engine.grid import SWEPT, Grid, Parameter, Value, evaluate
from volbal.engine.paths import Paths

VALUES: dict[str, tuple[Value, Value]] = {
    "trigger_threshold": (0.02, 0.05),
    "trigger_up": (0.02, 0.05),
    "trigger_down": (0.02, 0.05),
    "sizing": ("proportional", "original"),
    "rebalance_ratio": (0.5, 2.0),
    "min_stock_share": (0.1, 0.5),
    "max_stock_share": (0.55, 0.9),
    "auto_rebalance": (True, False),
    "max_trade_share": (0.01, 0.5),
    "min_notional": (0.0, 400.0),
    "lot_size": (0.0, 5.0),
    "max_orders_per_day": (1.0, 5.0),
    "commission_rate": (0.0, 0.01),
    "commission_min": (0.0, 5.0),
    "slippage": (0.0, 0.01),
    "withholding_rate": (0.0, 0.5),
    "cash_rate": (0.0, 0.05),
    "ticks": ("close", "limit"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "auto_rebalance": {"min_stock_share": 0.45, "max_stock_share": 0.55}
}
"""Where a field matters only beside others."""


@pytest.fixture(scope="module")
def paths() -> Paths:
    """Both tick models of a path with dividends."""
    sample = random_sample(np.random.default_rng(8), days=90)
    return Paths({"close": sample.path, "limit": sample.limit_path}, 10_000.0, 0.5)


def test_every_field_that_can_be_swept_is_tried_here() -> None:
    assert set(VALUES) == set(SWEPT)


@pytest.mark.parametrize("name", SWEPT)
def test_another_value_of_a_swept_field_is_another_result(name: str, paths: Paths) -> None:
    policy = Policy(min_notional=0.0, **SETTINGS.get(name, {}))
    grid = Grid(policy, (Parameter(name, VALUES[name]),), "limit")
    assert valid(grid.terms(np.arange(2))).all()
    first, second = evaluate(grid, np.arange(2), paths).T
    assert not np.array_equal(first, second, equal_nan=True)

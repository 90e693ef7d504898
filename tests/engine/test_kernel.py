"""The kernel: same bits whatever the batch, real vector code, every field of the policy felt."""

import platform
import re
from typing import Any

import numba
import numpy as np
import pytest
from samples import Sample, random_policy, random_sample

from volbal.domain.policy import SWEEPABLE, Policy
from volbal.engine import kernel
from volbal.engine.kernel import LANES, replay
from volbal.engine.metrics import streamed_metrics
from volbal.engine.paths import Dividend, PricePath, price_path


def many_terms(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([Policy(**random_policy(rng)).terms for _ in range(count)]).T


@pytest.mark.parametrize("ticks", ["close", "limit"])
@pytest.mark.parametrize("pieces", [1, 7, 63, 64, 65, 200])
def test_batch_size_never_changes_a_bit(pieces: int, ticks: str) -> None:
    sample = random_sample(np.random.default_rng(5))
    path = sample.limit_path if ticks == "limit" else sample.path
    terms = many_terms(200)
    whole = replay(path, terms, 40.0, 5_000.0)
    parts = [
        replay(path, np.ascontiguousarray(terms[:, at : at + pieces]), 40.0, 5_000.0)
        for at in range(0, 200, pieces)
    ]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_metrics_of_a_cell_do_not_depend_on_its_neighbours() -> None:
    path = random_sample(np.random.default_rng(6)).path
    terms = many_terms(130)
    whole = streamed_metrics(path, terms, replay(path, terms, 40.0, 5_000.0), 40.0, 5_000.0)
    for cell in (0, LANES, 129):
        one = np.ascontiguousarray(terms[:, cell : cell + 1])
        alone = streamed_metrics(path, one, replay(path, one, 40.0, 5_000.0), 40.0, 5_000.0)
        for name, values in whole.items():
            assert values[cell : cell + 1].tobytes() == alone[name].tobytes(), name


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 vector instructions"
)
def test_lanes_are_compiled_to_vector_instructions() -> None:
    kernel.warm_up()
    # The lane loops hold this many divisions; a handful of scalar ones stands once per day.
    assert_vector_code(kernel._replay, 10)
    assert_vector_code(kernel._walk, 9)


def assert_vector_code(compiled: Any, divisions: int) -> None:
    fresh = numba.njit(nogil=True, error_model="numpy")(compiled.py_func)
    fresh.compile(compiled.signatures[0])
    (assembly,) = fresh.inspect_asm().values()
    vector = len(re.findall(r"vdivpd\s.*[yz]mm|\sdivpd\s", assembly))
    scalar = len(re.findall(r"v?divsd\s", assembly))
    assert vector >= divisions, f"only {vector} vector divisions: the lane loops are not vectorised"
    assert scalar <= 6, f"{scalar} scalar divisions: a lane loop fell back to scalar code"


EFFECTS: dict[str, tuple[Any, dict[str, Any]]] = {
    # field: (another value, the rest of the policy that makes it matter)
    "trigger_up": (0.05, {}),
    "trigger_down": (0.05, {}),
    "sizing": ("original", {}),
    "rebalance_ratio": (0.8, {}),
    "min_stock_share": (0.45, {}),
    "max_stock_share": (0.55, {}),
    "auto_rebalance": (False, {"min_notional": 0.0}),
    "max_trade_share": (0.02, {}),
    "min_notional": (600.0, {}),
    "lot_size": (5.0, {}),
    "max_orders_per_day": (1, {"trigger_up": 0.01, "trigger_down": 0.01}),
    "commission_rate": (0.01, {}),
    "commission_min": (5.0, {}),
    "slippage": (0.01, {}),
    "withholding_rate": (0.0, {}),
    "cash_rate": (0.05, {}),
}


def test_effects_cover_every_sweepable_field() -> None:
    assert set(EFFECTS) == set(SWEEPABLE)


@pytest.mark.parametrize("field", SWEEPABLE)
def test_every_sweepable_field_changes_a_run_in_which_it_matters(field: str) -> None:
    other, rest = EFFECTS[field]
    path = swinging_path()
    policies = [Policy(**rest), Policy(**{**rest, field: other})]
    terms = np.array([policy.terms for policy in policies]).T
    equity = replay(path, terms, 50.0, 5_000.0)[kernel.STATE.index("equity_now")]
    assert equity[0] != equity[1]


def swinging_path() -> PricePath:
    """Three ticks a day that swing, then fall far and recover, with one dividend."""
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").astype("datetime64[s]")
    times = (days[:, None] + np.arange(3) * np.timedelta64(1, "h")).reshape(-1)
    swing = 100.0 * (1.0 + 0.06 * np.sin(np.arange(len(times))))
    trend = np.interp(np.arange(len(times)), [0, 60, 120, len(times)], [1.0, 1.1, 0.4, 1.2])
    ex_on = days[30].item().date()
    return price_path(times, np.round(swing * trend, 2), [Dividend(ex_on, 1.5)])


def test_a_lane_without_dividends_or_moves_keeps_its_capital() -> None:
    sample = Sample(
        closes=[100.0, 100.0, 100.0],
        times=[np.datetime64(f"2024-01-0{day}", "s") for day in (1, 2, 3)],
        dividends=[],
        policy={},
        capital=10_000.0,
        stock_share=0.5,
    )
    terms = np.array([Policy().terms]).T
    ended = replay(sample.path, terms, *sample.start)
    state = dict(zip(kernel.STATE, ended[:, 0], strict=True))
    assert (state["equity_now"], state["fills"], state["drawdown"]) == (10_000.0, 0.0, 0.0)

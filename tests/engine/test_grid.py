"""Grids: exact values, cells and their policies, invalid cells, chunks."""

import numpy as np
import pytest
from samples import random_sample

from volbal.domain.policy import Policy
from volbal.engine import simulation
from volbal.engine.bounds import EVERY_BOUND, first_broken, valid
from volbal.engine.grid import (
    Grid,
    Parameter,
    chunks,
    evaluate,
    evaluate_blocks,
    exact_range,
    no_valid_cell,
    reasons,
)
from volbal.engine.metrics import METRICS
from volbal.engine.paths import Paths, price_path
from volbal.errors import InvalidInput


def test_range_1_to_3_by_a_tenth_has_21_exact_values() -> None:
    values = exact_range("rebalance_ratio", "1.0", "3.0", "0.1").values
    assert len(values) == 21
    assert values[3] == 1.3
    assert values[-1] == 3.0


def test_last_value_is_kept_only_where_the_step_reaches_it() -> None:
    assert exact_range("trigger_up", "0.01", "0.10", "0.04").values == (0.01, 0.05, 0.09)


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [("0.1", "0.01", "0.01"), ("0.01", "0.1", "0"), ("0.01", "0.1", "-0.01"), ("a", "1", "1"),
     ("nan", "1", "1"), ("0", "inf", "1"), ("0", "1", "0.000001")],
)  # fmt: skip
def test_a_range_that_makes_no_sense_is_refused_by_name(low: str, high: str, step: str) -> None:
    with pytest.raises(InvalidInput, match=r"^trigger_up: "):
        exact_range("trigger_up", low, high, step)


@pytest.mark.parametrize(
    ("name", "values"),
    [("after_hours", (True,)), ("nonsense", (1.0,)), ("sizing", ("wild",)), ("lot_size", ("x",)),
     ("auto_rebalance", (1.0,)), ("lot_size", ()), ("lot_size", (1.0, 1.0))],
)  # fmt: skip
def test_a_parameter_that_cannot_be_swept_is_refused(name: str, values: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInput):
        Parameter(name, values)  # type: ignore[arg-type]


def test_one_field_cannot_be_swept_by_two_names() -> None:
    thresholds = exact_range("trigger_threshold", "0.01", "0.02", "0.01")
    ups = exact_range("trigger_up", "0.01", "0.02", "0.01")
    with pytest.raises(InvalidInput, match="trigger_up is swept twice"):
        Grid(Policy(), (thresholds, ups))


def test_a_grid_of_millions_is_counted_and_its_cells_are_named_one_by_one() -> None:
    ups = exact_range("trigger_up", "0.0001", "0.2", "0.0001")
    grid = Grid(Policy(), (ups, exact_range("rebalance_ratio", "0.01", "10", "0.01")))
    assert len(grid) == 2_000_000
    assert grid.cell(1_999_999) == {"trigger_up": 0.2, "rebalance_ratio": 10.0}
    assert grid.terms(np.array([1_234_567]))[0, 0] == grid.cell_policy(1_234_567).trigger_up


def test_more_cells_than_can_be_numbered_are_refused_with_what_to_do() -> None:
    names = ("trigger_up", "trigger_down", "min_notional", "lot_size")
    many = tuple(exact_range(name, "0.0001", "1", "0.0001") for name in names)
    told = "10,000,000,000,000,000 combinations; at most .* sweep fewer parameters"
    with pytest.raises(InvalidInput, match=told):
        Grid(Policy(), many)


def test_cells_are_the_product_with_the_last_parameter_fastest() -> None:
    grid = Grid(
        Policy(),
        (Parameter("trigger_threshold", (0.01, 0.02)), Parameter("sizing", ("original",)),
         Parameter("auto_rebalance", (True, False))),
    )  # fmt: skip
    assert len(grid) == 4
    assert grid.cell(1) == {
        "trigger_threshold": 0.01,
        "sizing": "original",
        "auto_rebalance": False,
    }
    policy = grid.cell_policy(2)
    assert (policy.trigger_up, policy.trigger_down, policy.sizing) == (0.02, 0.02, "original")


def test_terms_of_a_cell_are_those_of_its_policy() -> None:
    grid = Grid(
        Policy(),
        (Parameter("sizing", ("proportional", "fixed_percentage", "original")),
         exact_range("trigger_down", "0.01", "0.05", "0.01"),
         Parameter("auto_rebalance", (False, True))),
    )  # fmt: skip
    terms = grid.terms(np.arange(len(grid)))
    for cell_id in range(len(grid)):
        assert tuple(terms[:, cell_id]) == grid.cell_policy(cell_id).terms


def test_invalid_cells_are_those_whose_policy_is_refused() -> None:
    grid = Grid(
        Policy(),
        (Parameter("sizing", ("proportional", "fixed_percentage")),
         Parameter("rebalance_ratio", (0.5, 1.5)),
         Parameter("min_stock_share", (0.2, 0.75, 0.9)),
         Parameter("max_trade_share", (0.0, 0.5)),
         Parameter("max_orders_per_day", (1.0, 1.5))),
    )  # fmt: skip
    terms = grid.terms(np.arange(len(grid)))
    flags, broken = valid(terms), first_broken(terms)
    for cell_id in range(len(grid)):
        refused = ""
        try:
            grid.cell_policy(cell_id)
        except InvalidInput as error:
            refused = error.field
        assert flags[cell_id] == (not refused), grid.cell(cell_id)
        place = broken[cell_id]
        assert refused == ("" if place == len(EVERY_BOUND) else EVERY_BOUND[place].fields[0])


def test_an_invalid_cell_has_its_reason_in_the_names_that_were_swept() -> None:
    grid = Grid(
        Policy(),
        (Parameter("trigger_threshold", (0.0, 0.03)), Parameter("min_stock_share", (0.2, 0.8))),
    )
    assert reasons(grid, np.array([3, 2, 1, 0])) == [
        "min_stock_share is not below max_stock_share",
        "",
        "trigger_threshold is not in (0, 1)",
        "trigger_threshold is not in (0, 1)",
    ]
    assert reasons(grid, np.array([3]), str.upper) == [
        "MIN_STOCK_SHARE is not below MAX_STOCK_SHARE"
    ]


def test_a_grid_without_a_valid_cell_says_which_bound_which_value_and_what_is_allowed() -> None:
    grid = Grid(Policy(), (Parameter("min_stock_share", (0.8, 0.9)),))
    assert str(no_valid_cell(grid)) == (
        "parameters: all 2 combinations break a bound, the first one because min_stock_share 0.8 "
        "is not below max_stock_share 0.75; 0 <= min_stock_share < max_stock_share <= 1; sweep "
        "other values or change the base policy."
    )


def three_closes() -> Paths:
    times = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[s]")
    path = price_path(times, np.array([100.0, 95.0, 101.0]))
    return Paths({"close": path}, 10_000.0, 0.5)


def test_chunks_cover_every_cell_once() -> None:
    pieces = chunks(100_000, three_closes())
    covered = [cell for piece in pieces for cell in range(piece.start, piece.stop)]
    assert covered == list(range(100_000))
    assert len(chunks(100_000_000, three_closes())) > 1


def test_invalid_cells_have_no_metric_and_valid_ones_have_a_return() -> None:
    grid = Grid(Policy(), (Parameter("min_stock_share", (0.2, 0.8)),))
    results = evaluate(grid, np.arange(2), three_closes())
    assert np.isfinite(results[0, 0])
    assert np.isnan(results[:, 1]).all()


def test_any_cells_in_any_order_get_what_they_get_in_the_whole_grid() -> None:
    grid = Grid(Policy(), (exact_range("trigger_threshold", "0.01", "0.9", "0.01"),))
    whole = evaluate(grid, np.arange(len(grid)), three_closes())
    some = np.array([88, 3, 41, 4])
    assert evaluate(grid, some, three_closes()).tobytes() == whole[:, some].tobytes()


def both_models() -> tuple[Grid, Paths]:
    """A grid over the policy and the tick model, on a path with dividends and interest."""
    sample = random_sample(np.random.default_rng(8), days=90)
    policy = Policy(cash_rate=0.03, min_notional=0.0)
    grid = Grid(
        policy,
        (exact_range("trigger_threshold", "0.005", "0.05", "0.005"),
         Parameter("ticks", ("limit", "close")), Parameter("min_stock_share", (0.2, 0.8))),
    )  # fmt: skip
    by_ticks = {"close": sample.path, "limit": sample.limit_path}
    return grid, Paths(by_ticks, 10_000.0, 0.5)


def test_the_tick_model_is_a_parameter_like_any_other() -> None:
    grid, paths = both_models()
    assert grid.tick_models == ("limit", "close")
    results = evaluate(grid, np.arange(len(grid)), paths)
    for cell_id in range(0, len(grid), 2):
        ticks, policy = grid.cell_ticks(cell_id), grid.cell_policy(cell_id)
        assert grid.cell(cell_id)["ticks"] == ticks
        path, start = paths.by_ticks[ticks], paths.start(ticks)
        mirrored = simulation.record(path.mirrored, policy.terms, *start)
        run = simulation.record(path, policy.terms, *start)
        wanted = simulation.metrics(run, mirrored if ticks == "limit" else None)
        expected = [wanted[metric.name] for metric in METRICS]
        np.testing.assert_allclose(results[:, cell_id], expected, rtol=1e-11, atol=1e-11)


def test_a_grid_that_does_not_sweep_the_tick_model_has_the_one_it_is_given() -> None:
    values = (Parameter("trigger_up", (0.02, 0.04)),)
    assert Grid(Policy(), values).tick_models == ("close",)
    assert Grid(Policy(), values, "limit").cell_ticks(1) == "limit"
    with pytest.raises(InvalidInput, match="'hourly' is unknown; choose from close, limit"):
        Grid(Policy(), values, "hourly")


@pytest.mark.parametrize("blocks", [1, 2, 16])
def test_block_moments_are_those_of_the_recorded_daily_excess(blocks: int) -> None:
    grid, paths = both_models()
    moments = evaluate_blocks(grid, np.arange(len(grid)), paths, blocks)
    for cell_id in range(0, len(grid), 2):
        ticks = grid.cell_ticks(cell_id)
        run = simulation.record(
            paths.by_ticks[ticks], grid.cell_policy(cell_id).terms, *paths.start(ticks)
        )
        equity = run.daily_equity
        excess = equity[1:] / equity[:-1] - 1.0 - simulation.matched_returns(run)
        parts = np.split(excess, np.arange(1, blocks) * len(excess) // blocks)
        assert moments.days[:, cell_id].tolist() == [len(part) for part in parts]
        means = [part.mean() for part in parts]
        squares = [((part - part.mean()) ** 2).sum() for part in parts]
        np.testing.assert_allclose(moments.mean[:, cell_id], means, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(moments.squares[:, cell_id], squares, rtol=1e-9, atol=1e-15)
    assert np.isnan(moments.mean[:, 1]).all()


def test_more_blocks_than_days_are_refused() -> None:
    grid = Grid(Policy(), (Parameter("trigger_up", (0.02, 0.04)),))
    with pytest.raises(InvalidInput, match="3 blocks of 2 days"):
        evaluate_blocks(grid, np.arange(2), three_closes(), 3)

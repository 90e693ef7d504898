"""Samples of large grids: distinct, even over every parameter, the same every time."""

import subprocess
import sys

import numpy as np
import pytest

from volbal.domain.policy import Policy
from volbal.engine.grid import Grid, Parameter, exact_range
from volbal.engine.sampling import sample
from volbal.errors import InvalidInput


def grid_of(*counts: int) -> Grid:
    names = ("trigger_up", "trigger_down", "min_notional", "lot_size", "commission_min", "slippage")
    parameters = (
        Parameter(name, tuple(float(value) for value in range(count)))
        for name, count in zip(names, counts, strict=False)
    )
    return Grid(Policy(), tuple(parameters))


@pytest.mark.parametrize(
    ("counts", "size"),
    [((7,), 3), ((10, 10), 1), ((10, 10), 49), ((10, 10), 50), ((10, 10), 51), ((10, 10), 99),
     ((101, 103, 97), 100_000), ((1, 3, 1, 2), 2), ((1000, 1000, 1000, 1000, 1000), 5_000)],
)  # fmt: skip
def test_a_sample_holds_exactly_as_many_distinct_cells_in_order(
    counts: tuple[int, ...], size: int
) -> None:
    grid = grid_of(*counts)
    cells = sample(grid, size)
    assert cells.dtype == np.int64
    assert len(cells) == size
    assert (np.diff(cells) > 0).all()
    assert 0 <= cells[0] <= cells[-1] < len(grid)


def test_a_grid_that_is_not_larger_is_taken_whole() -> None:
    assert sample(grid_of(4, 3), 12).tolist() == list(range(12))
    assert sample(grid_of(4, 3), 99).tolist() == list(range(12))


@pytest.mark.parametrize("counts", [(10, 7, 33, 128), (1000, 1000, 1000, 1000, 1000)])
def test_every_value_of_every_parameter_gets_its_share(counts: tuple[int, ...]) -> None:
    grid = grid_of(*counts)
    cells = sample(grid, 20_000)
    for count, indexes in zip(counts, grid.value_indexes(cells), strict=True):
        expected = len(cells) / count
        seen = np.bincount(indexes, minlength=count)
        # Chance alone would stray by 4 sqrt(expected) somewhere; the sequence stays within 1.
        assert np.abs(seen - expected).max() <= 1.0 + np.sqrt(expected), count


def test_two_parameters_together_are_covered_far_more_evenly_than_by_chance() -> None:
    # 32 x 32 pairs, 8,192 cells: 8 each. A net in base 2 gives nearly every pair its 8.
    cells = sample(grid_of(32, 32, 1000, 1000), 8_192)
    first, second, *_ = grid_of(32, 32, 1000, 1000).value_indexes(cells)
    pairs = np.bincount(first * 32 + second, minlength=1024)
    chance = np.random.default_rng(0).multinomial(8_192, [1 / 1024] * 1024)
    assert pairs.min() > 0
    assert pairs.std() < 0.5 * chance.std()


def test_the_same_seed_gives_the_same_cells_and_another_seed_others() -> None:
    grid = grid_of(1000, 1000, 1000)
    assert sample(grid, 500, seed=3).tolist() == sample(grid, 500, seed=3).tolist()
    assert sample(grid, 500, seed=3).tolist() != sample(grid, 500, seed=4).tolist()


def test_values_of_all_kinds_are_sampled() -> None:
    grid = Grid(
        Policy(),
        (Parameter("ticks", ("close", "limit")), Parameter("auto_rebalance", (True, False)),
         exact_range("trigger_threshold", "0.001", "0.5", "0.001")),
    )  # fmt: skip
    cells = sample(grid, 200)
    assert {grid.cell_ticks(int(cell)) for cell in cells} == {"close", "limit"}


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a sample of 0"):
        sample(grid_of(4, 3), 0)


def test_scipys_statistics_are_not_loaded_before_something_is_sampled() -> None:
    code = "import sys, volbal.engine.sampling; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

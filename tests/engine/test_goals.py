"""Plateaus of few cells in a large grid, and Pareto fronts, against loops over every pair."""

from itertools import product

import numpy as np
import pytest

from volbal.engine import goals
from volbal.engine.goals import (
    Constraint,
    Kind,
    met_by,
    pareto_front,
    plateau,
    plateau_of_some,
)
from volbal.engine.paths import Floats

Place = tuple[int, ...]


def around(
    at: tuple[int, ...], shape: tuple[int, ...], numeric: list[int]
) -> list[tuple[int, ...]]:
    """The block of a cell, itself included."""
    reach = [
        range(max(i - 1, 0), min(i + 2, n)) if axis in numeric else [i]
        for axis, (i, n) in enumerate(zip(at, shape, strict=True))
    ]
    return list(product(*reach))


@pytest.mark.parametrize("most_dense", [5_000_000, 20, 1])
@pytest.mark.parametrize("seed", range(6))
def test_the_plateau_of_some_cells_is_that_of_the_grid_with_the_others_missing(
    seed: int, most_dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = np.random.default_rng(seed)
    shape = tuple(int(n) for n in chance.integers(1, 7, 4))
    numeric = [axis for axis in range(4) if chance.random() < 0.8]
    size = int(np.prod(shape))
    cells = np.flatnonzero(chance.random(size) < 0.45)  # fewer than half: laid out by need
    score = np.where(chance.random(len(cells)) < 0.9, chance.random(len(cells)), np.nan)
    monkeypatch.setattr(goals, "MOST_DENSE", most_dense)
    found = plateau_of_some(cells, score, shape, numeric)
    known = np.full(size, np.nan)
    known[cells] = score
    grid = known.reshape(shape)
    for place, cell in enumerate(cells):
        at = tuple(int(i) for i in np.unravel_index(cell, shape))
        block = np.array([grid[one] for one in around(at, shape, numeric)])
        kept = ~np.isnan(grid[at]) and 2 * np.isfinite(block).sum() >= len(block)
        mean, fragility = (np.nanmean(block), grid[at] - np.nanmin(block)) if kept else [np.nan] * 2
        assert found.mean[place] == pytest.approx(mean, abs=1e-12, nan_ok=True)
        assert found.fragility[place] == pytest.approx(fragility, abs=1e-12, nan_ok=True)
    whole = plateau(grid, numeric).mean.ravel()[cells]
    np.testing.assert_allclose(found.mean, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("metric", "kind", "value", "met"),
    [
        ("max_drawdown", "min_value", 5.0, "none"),
        ("max_drawdown", "min_value", 0.0, "some"),
        ("max_drawdown", "max_value", 5.0, "all"),
        ("max_drawdown", "equal", 0.2, "none"),
        ("max_drawdown", "not_equal", 0.2, "all"),
        ("win_rate", "in_range", (20.0, 60.0), "none"),
        ("win_rate", "in_range", (0.2, 60.0), "some"),
        ("win_rate", "in_range", (-1.0, 2.0), "all"),
        ("win_rate", "out_of_range", (-1.0, 2.0), "none"),
        ("win_rate", "out_of_range", (0.2, 0.6), "some"),
        ("fill_count", "min_value", 1e6, "some"),
        ("fill_count", "max_value", -1.0, "none"),
        ("cagr", "min_value", -1.0, "all"),
        ("excess_return", "in_range", (-1e9, 1e9), "some"),
    ],
)
def test_a_constraint_that_no_or_every_value_of_its_metric_keeps_is_known(
    metric: str, kind: Kind, value: float | tuple[float, float], met: str
) -> None:
    assert met_by(Constraint(metric, kind, value)) == met


def test_a_grid_far_beyond_memory_has_plateaus_where_cells_stand_together() -> None:
    shape, middle = (100_000,) * 3, (500, 500, 500)
    together = sorted(
        int(np.ravel_multi_index(at, shape)) for at in around(middle, shape, [0, 1, 2])
    )
    cells = np.array([0, *together])
    found = plateau_of_some(cells, np.linspace(0.0, 1.0, len(cells)), shape, [0, 1, 2])
    centre = int(np.flatnonzero(cells == np.ravel_multi_index(middle, shape))[0])
    assert found.mean[centre] == pytest.approx(np.linspace(0.0, 1.0, len(cells))[1:].mean())
    assert np.isnan(found.mean[0])  # alone in a corner of eight


def unbeaten(points: Floats) -> list[int]:
    """Who is not beaten, by comparing everybody with everybody."""
    return [
        place
        for place, own in enumerate(points)
        if not ((points >= own).all(axis=1) & (points > own).any(axis=1)).any()
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@pytest.mark.parametrize("goals_asked", [1, 2, 3, 5])
@pytest.mark.parametrize("steps", [3, 10_000])  # many ties, none
def test_the_front_is_whoever_nobody_beats(count: int, goals_asked: int, steps: int) -> None:
    chance = np.random.default_rng(count + goals_asked)
    points = np.floor(chance.random((count, goals_asked)) * steps) / steps
    assert pareto_front(points).tolist() == unbeaten(points)


def test_a_front_of_thousands_is_found_at_once() -> None:
    angle = np.linspace(0.0, np.pi / 2.0, 3_000)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    inner = np.repeat(circle, 30, axis=0) * 0.999_999
    front = pareto_front(np.concatenate((inner, circle)))
    assert front.tolist() == list(range(90_000, 93_000))


def test_a_front_of_conflicting_goals_looks_at_few_pairs() -> None:
    """On a sphere nobody beats anybody; each point stands twice, and once a little further in."""
    directions = np.abs(np.random.default_rng(4).standard_normal((4_000, 4)))
    sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    front = pareto_front(np.concatenate((sphere * 0.999_999, sphere, sphere)))
    assert front.tolist() == list(range(4_000, 12_000))

"""Distinct cells of a grid that is too large to run whole: a seeded Sobol sample of it."""

import math

import numpy as np

from volbal.engine.grid import Grid
from volbal.engine.paths import Ints
from volbal.errors import InvalidInput

DRAWN_AT_ONCE = 2**16
"""Points of the sequence; it keeps its balance in powers of two."""


def sample(grid: Grid, count: int, seed: int = 0) -> Ints:
    """`count` distinct cell ids of `grid`, rising, shape (count,); all where it has no more.

    The points of a scrambled Sobol sequence spread over the grid's parameters far more evenly
    than chance would: every value of a parameter gets its share of the cells. The same grid,
    count and seed give the same cells. Memory grows with `count`, not with the grid.
    Raises InvalidInput.
    """
    if count < 1:
        raise InvalidInput("cells", f"a sample of {count}", "take at least 1")
    if count >= len(grid):
        return np.arange(len(grid))
    if 2 * count > len(grid):
        # Few cells would be left to hit: draw those to leave out.
        kept = np.ones(len(grid), dtype=np.bool_)
        kept[_drawn(grid, len(grid) - count, seed)] = False
        return np.flatnonzero(kept)
    return _drawn(grid, count, seed)


def _drawn(grid: Grid, count: int, seed: int) -> Ints:
    """The first `count` different cells that the sequence meets, at most half the grid's."""
    from scipy.stats import qmc

    shape = tuple(len(parameter.values) for parameter in grid.parameters)
    sequence = qmc.Sobol(len(shape), rng=seed)
    cells = np.empty(0, dtype=np.int64)
    at_once = min(DRAWN_AT_ONCE, 2 ** math.ceil(math.log2(count)))
    while len(cells) < count:
        met = [cells]
        for _ in range(math.ceil((count - len(cells)) / at_once)):
            indexes = (sequence.random(at_once) * shape).astype(np.int64)
            met.append(np.ravel_multi_index(tuple(indexes.T), shape))
        drawn = np.concatenate(met)
        cells = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return np.sort(cells[:count])

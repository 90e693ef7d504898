"""How a study is worked off: its cells, cut into chunks, and their rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from volbal.domain.policy import SIZINGS
from volbal.domain.rule import Terms
from volbal.engine.bounds import valid
from volbal.engine.grid import Grid
from volbal.engine.metrics import METRICS
from volbal.engine.paths import Flags, Floats, Ints, Paths
from volbal.engine.sampling import sample
from volbal.services.study_request import StudyRequest

if TYPE_CHECKING:
    import pyarrow as pa

STEPS_PER_CHUNK = 40_000_000
"""About a fifth of a second of one core."""

MOST_PER_CHUNK = 16_384
LEAST_PER_CHUNK = 1_024
AT_ONCE = 65_536
"""Cells whose policies are laid out at the same time."""


@dataclass(frozen=True)
class Plan:
    """The chunks of a study: the same whenever it is resumed.

    paths: by symbol; all symbols share the cells and where they are cut.
    """

    request: StudyRequest
    paths: Mapping[str, Paths]

    @cached_property
    def grid(self) -> Grid:
        return self.request.grid

    @cached_property
    def cells(self) -> Ints:
        """Ids of the cells in ascending order: all of the grid, or the sample."""
        return cells_of(self.request)

    @cached_property
    def size(self) -> int:
        """Cells of a chunk; its last one may be smaller."""
        steps = max(paths.steps for paths in self.paths.values())
        return min(max(STEPS_PER_CHUNK // steps, LEAST_PER_CHUNK), MOST_PER_CHUNK)

    @cached_property
    def valid_before(self) -> Ints:
        """Of the first n cells how many are valid, shape (cells + 1,)."""
        return np.concatenate(([0], np.cumsum(valid_cells(self.grid, self.cells))))

    @property
    def valid(self) -> int:
        """Cells of each symbol that are simulated."""
        return int(self.valid_before[-1])

    @property
    def invalid(self) -> int:
        """Cells of all symbols that break a bound."""
        return len(self.paths) * (len(self.cells) - self.valid)

    @property
    def chunks(self) -> list[tuple[str, int]]:
        """(symbol, place of the first cell), in the order of work: cells that are pooled over the
        symbols are there from the start."""
        places = range(0, len(self.cells), self.size)
        return [(symbol, place) for place in places for symbol in self.paths]

    def chunk(self, first_place: int) -> Ints:
        return self.cells[first_place : first_place + self.size]

    def valid_in(self, first_place: int) -> int:
        """Cells of a chunk that are simulated."""
        last = min(first_place + self.size, len(self.cells))
        return int(self.valid_before[last] - self.valid_before[first_place])


def cells_of(request: StudyRequest) -> Ints:
    """Ids of a study's cells in ascending order."""
    return sample(request.grid, request.max_cells, request.seed)


def valid_cells(grid: Grid, cells: Ints) -> Flags:
    """Which of `cells` keep every bound."""
    pieces = range(0, len(cells), AT_ONCE)
    return np.concatenate([valid(grid.terms(cells[at : at + AT_ONCE])) for at in pieces])


def rows(study_id: int, symbol: str, grid: Grid, cells: Ints, metrics: Floats) -> "pa.Table":
    """Cells as the database stores them; metrics: shape (len(METRICS), m), NaN becomes null."""
    import pyarrow as pa  # slow to import

    terms = grid.terms(cells)
    columns = {
        "study_id": pa.repeat(study_id, len(cells)),
        "symbol": pa.repeat(symbol, len(cells)),
        "cell_id": cells,
        "valid": valid(terms),
        "ticks": _named(dict(enumerate(grid.tick_models)), _models(grid, cells)),
    }
    columns |= dict(zip(Terms._fields, terms, strict=True))
    sizings = {code: name for name, code in SIZINGS.items()}
    columns["sizing"] = _named(sizings, columns["sizing"])
    columns["auto_rebalance"] = columns["auto_rebalance"] != 0.0
    for metric, values in zip(METRICS, metrics, strict=True):
        columns[metric.name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def _models(grid: Grid, cells: Ints) -> Ints:
    chosen = np.zeros(len(cells), dtype=np.int64)
    for code, name in enumerate(grid.tick_models):
        chosen[grid.ticked(cells, name)] = code
    return chosen


def _named(names: Mapping[float, str], codes: Floats | Ints) -> "pa.Array":
    """Codes as texts."""
    import pyarrow as pa

    known = sorted(names)
    places = np.searchsorted(known, codes).astype(np.int32)
    return pa.DictionaryArray.from_arrays(places, [names[code] for code in known]).cast(pa.string())

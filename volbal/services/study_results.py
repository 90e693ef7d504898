"""What a study found: ranked, filtered, drawn, compared, exported, applied.

Works on whatever is stored, while the study runs too. A `View` says how it is looked at; nothing
of it re-runs a cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import pandas as pd

from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Value
from volbal.services.research import Aggregate, Simulation
from volbal.storage.database import Database

Status = Literal["feasible", "rejected", "unranked", "invalid"]
Format = Literal["csv", "xlsx", "parquet", "json"]
Part = Literal["whole", "search", "select", "vault"]
"""unranked: feasible, but a goal metric is undefined. whole: the range of an unsplit study."""

SCORES = ("score", "rank", "plateau", "fragility")
"""Columns that a view computes; they sort, filter and colour like metrics."""


@dataclass(frozen=True, slots=True)
class View:
    """symbol: None for the only one, or all of them pooled (metrics: means over the symbols;
    score: mean of the symbols' scores; feasible: in every symbol). goals, constraints: None for
    those of the request. Raises InvalidInput for goals that do not work."""

    symbol: str | None = None
    goals: tuple[Goal, ...] | None = None
    constraints: tuple[Constraint, ...] | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a table shows. status: these only; ranges: column to (low, high), ends included, None
    where open; values: parameter to the values kept."""

    status: tuple[Status, ...] = ()
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """rows: columns cell_id, the parameters, status, rejected_by (metric or None), score, rank
    (1 is best), plateau, fragility, every metric; undefined is NaN. total: rows that match."""

    rows: pd.DataFrame
    total: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Cells of a view. stored: those computed so far; rejected_by: constraint (as text) to the
    cells that fail it (one cell may fail several). best: cell with the best plateau, None where
    none has one; peak: cell with the best score. default: cell nearest to the request's policy."""

    total: int
    stored: int
    invalid: int
    feasible: int
    unranked: int
    rejected: int
    rejected_by: Mapping[str, int]
    best: int | None
    peak: int | None
    default: int

    @property
    def sentence(self) -> str:
        """Such as "312 of 400 rejected: 290 by max_drawdown >= -0.3, 60 by …"."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell. metrics: NaN where undefined; undefined: why."""

    cell_id: int
    symbol: str | None
    parameters: Mapping[str, Value]
    status: Status
    rejected_by: tuple[str, ...]
    score: float
    rank: int | None
    plateau: float
    fragility: float
    metrics: Mapping[str, float]
    undefined: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the shown values of a heatmap, rejected ones included; NaN where there is none."""

    min: float
    max: float
    mean: float
    median: float
    count: int
    valid_count: int
    invalid_count: int


@dataclass(frozen=True, slots=True)
class Heatmap:
    """cells: one row per pair of values: x and y (named as the parameters), value, cell_id (the
    cell shown; for median and mean the nearest), status of that cell, count of cells behind it.
    Pairs not stored yet (or not sampled) have no row."""

    cells: pd.DataFrame
    x_values: tuple[Value, ...]
    y_values: tuple[Value, ...]
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class Pareto:
    """front: the cells nobody beats in all goals, best first by the first goal: cell_id, the
    parameters, the goals' metrics, score. knee: the cell where giving up one goal for another
    stops paying; None for an empty front. cloud: a sample of the other feasible cells."""

    front: pd.DataFrame
    knee: int | None
    cloud: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Selection:
    """The best 1 % on the search part, ranked again on the select part: cell_id, the parameters,
    search_score, select_score, search_rank, select_rank, every metric on the select part."""

    rows: pd.DataFrame
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Vault:
    """What the vault part said of one cell: opened once, metrics per symbol."""

    cell_id: int
    opened_at: datetime
    first: str
    last: str
    metrics: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """settings: one row per setting that differs, one column per study; cells: one row per study
    with its best cell: study_id, name, cell_id, the parameters, score, plateau, every metric."""

    settings: pd.DataFrame
    cells: pd.DataFrame


def counts(database: Database, study_id: int, view: View = View()) -> Counts:
    """Raises StudyNotFound, InvalidInput."""
    raise NotImplementedError


def page(
    database: Database,
    study_id: int,
    view: View = View(),
    *,
    sort: str = "plateau",
    descending: bool | None = None,
    limit: int = 50,
    offset: int = 0,
    filters: Filters = Filters(),
) -> Page:
    """A page of the table. sort: a metric, a parameter, cell_id or one of SCORES; descending:
    None for best first; rows without a value come last. Raises StudyNotFound, InvalidInput."""
    raise NotImplementedError


def cell(database: Database, study_id: int, cell_id: int, view: View = View()) -> CellResult:
    """Raises StudyNotFound, InvalidInput where the study has no such cell."""
    raise NotImplementedError


def cell_policy(database: Database, study_id: int, cell_id: int) -> Policy:
    """Raises StudyNotFound, InvalidInput where the cell is invalid."""
    raise NotImplementedError


def simulate_cell(
    database: Database, study_id: int, cell_id: int, symbol: str | None = None
) -> Simulation:
    """The full simulation of a cell on the range its metrics are of. Never the vault."""
    raise NotImplementedError


def heatmap(
    database: Database,
    study_id: int,
    x: str,
    y: str,
    metric: str,
    view: View = View(),
    *,
    fixed: Mapping[str, Value] | None = None,
    aggregate: Aggregate = "best",
) -> Heatmap:
    """Any two parameters by a metric or one of SCORES; the others are held at `fixed` or
    aggregated (best in the goal's direction if the metric is one, else its natural one)."""
    raise NotImplementedError


def pareto(
    database: Database,
    study_id: int,
    view: View = View(),
    *,
    most: int = 2_000,
) -> Pareto:
    """The front of the view's goals (weights do not matter), and its knee."""
    raise NotImplementedError


def slices(
    database: Database, study_id: int, cell_id: int, metric: str, view: View = View()
) -> pd.DataFrame:
    """What each parameter alone does from this cell: parameter, value, metric, cell_id, status."""
    raise NotImplementedError


def parallel_sample(
    database: Database, study_id: int, view: View = View(), *, most: int = 1_000
) -> pd.DataFrame:
    """The best cells and an even sample of the others, as rows of a page."""
    raise NotImplementedError


def selection(database: Database, study_id: int, view: View = View()) -> Selection:
    """Raises InvalidInput for a study without a split."""
    raise NotImplementedError


def open_vault(database: Database, study_id: int, cell_id: int, now: datetime) -> Vault:
    """Simulate one cell on the vault part and stamp it; again for the same cell it gives what is
    stored, for another cell it is refused (VaultOpened)."""
    raise NotImplementedError


def vault(database: Database, study_id: int) -> Vault | None:
    """What the vault said, None while it is closed."""
    raise NotImplementedError


def compare(database: Database, study_ids: tuple[int, ...]) -> Comparison:
    """Studies side by side. Raises StudyNotFound."""
    raise NotImplementedError


def export(database: Database, study_id: int, format: Format, view: View = View()) -> bytes:
    """Every cell as a file; xlsx: sheets values, heatmap, parameters, summary."""
    raise NotImplementedError


def apply_to_position(
    database: Database, study_id: int, cell_id: int, position_id: int, now: datetime
) -> Position:
    """Make a cell's policy the position's, as a step of its configuration history.

    Raises StudyNotFound, PositionNotFound, PositionClosed, InvalidInput.
    """
    raise NotImplementedError

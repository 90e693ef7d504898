"""What a study found: ranked, filtered, drawn, compared, exported, applied.

Works on whatever is stored, while the study runs too. A `View` says how it is looked at; nothing
of it re-runs a cell.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isnan
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from volbal.domain.policy import SHORTHANDS, Policy
from volbal.domain.position import Position
from volbal.engine.goals import knee, pareto_front
from volbal.engine.grid import Parameter, Value
from volbal.engine.metrics import METRIC, METRICS, good_sign
from volbal.engine.paths import Floats, Ints
from volbal.engine.simulation import undefined_metrics
from volbal.errors import InvalidInput
from volbal.services.research import Aggregate, Simulation
from volbal.services.study_ranking import STATUSES, Ranking, Status, View, ranked
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database
from volbal.storage.records import cells as cell_rows
from volbal.storage.records.cells import Condition, Source

__all__ = ["Status", "View"]

Format = Literal["csv", "xlsx", "parquet", "json"]

SCORES: Final = ("score", "rank", "plateau", "fragility")
"""Columns that a view computes; they sort, filter and colour like metrics."""

ASCENDING: Final = ("rank", "fragility")
"""Of these less is better."""

AS_ASKED: Final = View()
NAMES: Final = tuple(metric.name for metric in METRICS)
MOST_NAMED: Final = 40
"""Choices that an error lists."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a table shows. status: these only; ranges: column to (low, high), ends included, None
    where open; values: parameter, or cell_id, to the values kept."""

    status: tuple[Status, ...] = ()
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


ALL: Final = Filters()


@dataclass(frozen=True, slots=True)
class Page:
    """rows: columns cell_id, the parameters, status, rejected_by (metric of the first constraint
    that fails, or None), score, rank (1 is best), plateau, fragility, every metric; undefined is
    NaN. total: rows that match."""

    rows: pd.DataFrame
    total: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Cells of a view. total: those to be computed; stored: those computed so far, each of which
    is invalid, feasible, unranked or rejected. rejected_by: constraint (as text) to the cells that
    fail it (one cell may fail several). best: cell with the best plateau, None where none has one;
    peak: cell with the best score. default: cell nearest to the request's policy."""

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
        """Such as "312 of 400 rejected: 290 by max_drawdown >= -0.3, 60 by …"; 400 are the cells
        simulated."""
        failing = sorted(self.rejected_by.items(), key=lambda one: -one[1])
        told = ", ".join(f"{cells:,} by {constraint}" for constraint, cells in failing if cells)
        simulated = self.stored - self.invalid
        return f"{self.rejected:,} of {simulated:,} rejected{': ' if told else ''}{told}"


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell. symbol: None where several are pooled. rejected_by: the constraints it fails, as
    text. metrics: NaN where undefined; undefined: why."""

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
    """Of the shown values of a heatmap, rejected ones included; NaN where there is none. count:
    pairs shown, of which the cells of invalid_count break a bound."""

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


def counts(database: Database, study_id: int, view: View = AS_ASKED) -> Counts:
    """Raises StudyNotFound, InvalidInput."""
    ranking = ranked(database, study_id, view)
    of_status = dict(zip(STATUSES, np.bincount(ranking.status, minlength=4).tolist(), strict=True))
    failing = ranking.fails.sum(axis=1).tolist()
    request = ranking.request
    return Counts(
        total=min(request.combinations, request.max_cells),
        stored=len(ranking.cell_id),
        rejected_by=dict(zip(map(str, ranking.constraints), failing, strict=True)),
        best=ranking.best,
        peak=ranking.peak,
        default=_default(ranking),
        **of_status,
    )


def _default(ranking: Ranking) -> int:
    """Of a sample the nearest that is stored. Distances count in steps of each parameter."""
    request = ranking.request
    wanted = [_distances(request, parameter) for parameter in request.parameters]
    if not request.sampled or not len(ranking.cell_id):
        shape = tuple(len(parameter.values) for parameter in request.parameters)
        return int(np.ravel_multi_index(tuple(int(one.argmin()) for one in wanted), shape))
    indexes = ranking.grid.value_indexes(ranking.cell_id)
    far = np.sum([one[index] for one, index in zip(wanted, indexes, strict=True)], axis=0)
    return int(ranking.cell_id[np.argmin(far)])


def _distances(request: StudyRequest, parameter: Parameter) -> Floats:
    """How far each value of a parameter is from what the request's policy has; a numeric one in
    mean steps."""
    if parameter.name == "ticks":
        given: list[Any] = [request.setup.ticks]
    elif parameter.name == "rebalance_ratio":
        given = [request.policy.ratio]
    else:
        fields = SHORTHANDS.get(parameter.name, (parameter.name,))
        given = [getattr(request.policy, one) for one in fields]
    if not parameter.numeric:
        return np.array([float(value != given[0]) for value in parameter.values])
    known = np.array(parameter.values, dtype=np.float64)
    step = (known[-1] - known[0]) / max(len(known) - 1, 1) or 1.0
    far: Floats = np.sum([np.abs(known - one) for one in given], axis=0) / step
    return far


def page(
    database: Database,
    study_id: int,
    view: View = AS_ASKED,
    *,
    sort: str = "plateau",
    descending: bool | None = None,
    limit: int = 50,
    offset: int = 0,
    filters: Filters = ALL,
) -> Page:
    """A page of the table. sort: a metric, a parameter, cell_id or one of SCORES; descending:
    None for best first; rows without a value come last. Raises StudyNotFound, InvalidInput."""
    for name, value in (("limit", limit), ("offset", offset)):
        if value < 0:
            raise InvalidInput(name, f"{value} is negative", "allowed: 0 and more")
    ranking = ranked(database, study_id, view)
    column = _column(ranking, "sort", sort)
    where = _conditions(ranking, filters)
    if descending is None:
        descending = (sort in METRIC or sort in SCORES) and _sign(ranking, sort) > 0.0
    source, table = _source(ranking), ranking.table
    if "cell_id" in filters.values:
        known = ranking.places_of(np.unique(_whole_numbers(filters.values["cell_id"])))
        table = table.take(known)
    with database.read() as connection:
        total = cell_rows.count_cells(connection, source, table, where)
        cells = cell_rows.ids_of_cells(
            connection, source, table, where, column, descending, limit, offset
        )
    return Page(_rows(database, ranking, cells), total)


def cell(database: Database, study_id: int, cell_id: int, view: View = AS_ASKED) -> CellResult:
    """Raises StudyNotFound, InvalidInput where the study has no such cell."""
    ranking = ranked(database, study_id, view)
    _require_cell(ranking, cell_id)
    places = ranking.places_of(np.array([cell_id]))
    if not len(places):
        raise InvalidInput(
            "cell_id", f"cell {cell_id} is not computed", "choose one that the table shows"
        )
    (place,) = places.tolist()
    (row,) = _rows(database, ranking, np.array([cell_id])).to_dict("records")
    metrics = {name: row[name] for name in NAMES}
    undefined = undefined_metrics(metrics)
    if row["status"] == "invalid":
        undefined = dict.fromkeys(NAMES, "the cell breaks a bound and is not simulated")
    failing = zip(ranking.constraints, ranking.fails[:, place], strict=True)
    return CellResult(
        cell_id=cell_id,
        symbol=ranking.symbol,
        parameters=ranking.grid.cell(cell_id),
        status=row["status"],
        rejected_by=tuple(str(constraint) for constraint, fails in failing if fails),
        score=row["score"],
        rank=None if isnan(row["rank"]) else int(row["rank"]),
        plateau=row["plateau"],
        fragility=row["fragility"],
        metrics=metrics,
        undefined=undefined,
    )


def cell_policy(database: Database, study_id: int, cell_id: int) -> Policy:
    """Raises StudyNotFound, InvalidInput where the cell is invalid."""
    ranking = ranked(database, study_id, View())
    _require_cell(ranking, cell_id)
    return ranking.grid.cell_policy(cell_id)


def simulate_cell(
    database: Database, study_id: int, cell_id: int, symbol: str | None = None
) -> Simulation:
    """The full simulation of a cell on the range its metrics are of. Never the vault.

    symbol: None for the first. Raises StudyNotFound, PriceUnavailable, InvalidInput;
    PricesChanged where the prices are no longer those of the metrics.
    """
    raise NotImplementedError


def heatmap(
    database: Database,
    study_id: int,
    x: str,
    y: str,
    metric: str,
    view: View = AS_ASKED,
    *,
    fixed: Mapping[str, Value] | None = None,
    aggregate: Aggregate = "best",
) -> Heatmap:
    """Any two parameters by a metric or one of SCORES; the others are held at `fixed` or
    aggregated (best in the goal's direction if the metric is one, else its natural one).

    Of a pair's cells only those of the best status count: a rejected one never stands for a
    feasible one. Raises StudyNotFound, InvalidInput.
    """
    ranking = ranked(database, study_id, view)
    known = {parameter.name: parameter.values for parameter in ranking.request.parameters}
    _choice("x", x, known)
    _choice("y", y, known)
    if x == y:
        raise InvalidInput("y", f"{y} is on the other axis", "choose two different parameters")
    if metric not in METRIC and metric not in SCORES:
        raise InvalidInput("metric", f"{metric!r} is unknown", _one_of(SCORES, NAMES))
    _choice("aggregate", aggregate, get_args(Aggregate))
    for name in fixed or {}:
        if name in (x, y):
            raise InvalidInput("fixed", f"{name} is on an axis", "hold other parameters only")
    held = {name: (value,) for name, value in (fixed or {}).items()}
    with database.read() as connection:
        pairs = cell_rows.pairs_of_cells(
            connection,
            _source(ranking),
            ranking.table,
            (_field(x), _field(y)),
            metric,
            _conditions(ranking, Filters(values=held)),
            aggregate,
            _sign(ranking, metric) > 0.0,
        )
    cells = pd.DataFrame(
        {
            x: pairs["x"],
            y: pairs["y"],
            "value": pairs["value"].astype(np.float64),
            "cell_id": pairs["cell_id"],
            "status": np.array(STATUSES, dtype=object)[pairs["status"].to_numpy()],
            "count": pairs["cells"],
        }
    )
    return Heatmap(cells, known[x], known[y], _statistics(cells))


def _statistics(cells: pd.DataFrame) -> Statistics:
    values = cells["value"].dropna()
    invalid = int((cells["status"] == "invalid").sum())
    return Statistics(
        min=float(values.min()),
        max=float(values.max()),
        mean=float(values.mean()),
        median=float(values.median()),
        count=len(cells),
        valid_count=len(cells) - invalid,
        invalid_count=invalid,
    )


def pareto(
    database: Database,
    study_id: int,
    view: View = AS_ASKED,
    *,
    most: int = 2_000,
) -> Pareto:
    """The front of the view's goals (weights do not matter), and its knee."""
    ranking = ranked(database, study_id, view)
    goals = [goal.metric for goal in ranking.goals]
    columns = _metrics(database, ranking, goals)
    points = np.column_stack([goal.sign * columns[goal.metric] for goal in ranking.goals])
    usable = np.flatnonzero(
        np.isin(ranking.status, [STATUSES.index("feasible"), STATUSES.index("unranked")])
        & ~np.isnan(points).any(axis=1)
    )
    front = pareto_front(points[usable])
    front = front[np.argsort(-points[usable[front], 0], kind="stable")]
    others = np.delete(usable, front)
    shown = ["cell_id", *(one.name for one in ranking.request.parameters), *goals, "score"]
    rows = _rows(database, ranking, ranking.cell_id[usable[front]])[shown]
    cloud = _rows(database, ranking, ranking.cell_id[_evenly(others, most)])[shown]
    place = knee(points[usable[front]]) if len(front) else None
    return Pareto(rows, None if place is None else int(rows["cell_id"].iloc[place]), cloud)


def slices(
    database: Database, study_id: int, cell_id: int, metric: str, view: View = AS_ASKED
) -> pd.DataFrame:
    """What each parameter alone does from this cell: columns parameter, value, the metric (or one
    of SCORES) by its name, cell_id, status; a row per value whose cell is stored.

    Raises StudyNotFound, InvalidInput.
    """
    ranking = ranked(database, study_id, view)
    _require_cell(ranking, cell_id)
    if metric not in METRIC and metric not in SCORES:
        raise InvalidInput("metric", f"{metric!r} is unknown", _one_of(SCORES, NAMES))
    parts = []
    stride = len(ranking.grid)
    for parameter in ranking.request.parameters:
        count = len(parameter.values)
        stride //= count
        at = cell_id // stride % count
        cells = cell_id + (np.arange(count) - at) * stride
        rows = _rows(database, ranking, ranking.cell_id[ranking.places_of(cells)])
        values = [parameter.values[cell // stride % count] for cell in rows["cell_id"]]
        parts.append(
            pd.DataFrame(
                {
                    "parameter": parameter.name,
                    "value": pd.Series(values, dtype=object),
                    metric: rows[metric],
                    "cell_id": rows["cell_id"],
                    "status": rows["status"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def parallel_sample(
    database: Database, study_id: int, view: View = AS_ASKED, *, most: int = 1_000
) -> pd.DataFrame:
    """The best cells and an even sample of the others, as rows of a page, best first: half of
    `most` each. Invalid cells are left out."""
    ranking = ranked(database, study_id, view)
    by_rank = np.argsort(
        np.where(ranking.rank > 0, ranking.rank, np.iinfo(np.int64).max), kind="stable"
    )
    usable = by_rank[ranking.status[by_rank] != STATUSES.index("invalid")]
    best, others = usable[: most // 2], usable[most // 2 :]
    chosen = np.concatenate((best, _evenly(others, most - len(best))))
    return _rows(database, ranking, ranking.cell_id[chosen])


def _evenly(places: Ints, most: int) -> Ints:
    """At most so many of `places`, at even distances."""
    if len(places) <= most:
        return places
    return places[np.arange(most) * len(places) // most]


def _rows(database: Database, ranking: Ranking, cells: Ints) -> pd.DataFrame:
    """These stored cells, in this order, with the columns of a page."""
    fields = {one.name: _field(one.name) for one in ranking.request.parameters}
    with database.read() as connection:
        found = cell_rows.rows_of_cells(
            connection, _source(ranking), ranking.table.take(ranking.places_of(cells)), fields
        )
    found = found.iloc[found["cell_id"].searchsorted(cells)].reset_index(drop=True)
    metrics = [one.metric for one in ranking.constraints]
    failed = found.pop("failed")
    status = np.array(STATUSES, dtype=object)[found["status"].to_numpy()]
    rejected_by = [None if pd.isna(place) else metrics[int(place)] for place in failed]
    columns = {
        "cell_id": found["cell_id"],
        **{name: found[name] for name in fields},
        "status": pd.Series(status, dtype=object),
        "rejected_by": pd.Series(rejected_by, dtype=object),
        **{name: found[name].astype(np.float64) for name in (*SCORES, *NAMES)},
    }
    return pd.DataFrame(columns)


def _metrics(database: Database, ranking: Ranking, names: Sequence[str]) -> dict[str, Floats]:
    """Metrics of every cell of a ranking, in its order; means over its symbols."""
    found = {name: np.zeros(len(ranking.cell_id)) for name in names}
    for symbol in ranking.symbols:
        with database.read() as connection:
            columns = cell_rows.cell_columns(connection, ranking.study_id, symbol, names)
        places = np.searchsorted(columns["cell_id"], ranking.cell_id)
        for name in names:
            found[name] += columns[name][places]
    return {name: values / len(ranking.symbols) for name, values in found.items()}


def _source(ranking: Ranking) -> Source:
    return Source(ranking.study_id, ranking.symbol, NAMES)


def _field(parameter: str) -> str:
    """The column that holds a parameter's value."""
    return SHORTHANDS.get(parameter, (parameter,))[0]


def _sign(ranking: Ranking, name: str) -> float:
    """+1 where more is better: by the goal, else by the metric's nature."""
    if name in SCORES:
        return -1.0 if name in ASCENDING else 1.0
    signs = {goal.metric: goal.sign for goal in ranking.goals}
    return signs.get(name, good_sign(name))


def _column(ranking: Ranking, field: str, name: str) -> str:
    parameters = [parameter.name for parameter in ranking.request.parameters]
    if name in parameters:
        return _field(name)
    if name in METRIC or name in SCORES or name == "cell_id":
        return name
    raise InvalidInput(
        field, f"{name!r} is no column", _one_of(("cell_id", *parameters), SCORES, NAMES)
    )


def _conditions(ranking: Ranking, filters: Filters) -> list[Condition]:
    """All but that on the numbers of cells."""
    where = []
    for status in filters.status:
        _choice("status", status, STATUSES)
    if filters.status:
        where.append(Condition("status", tuple(map(STATUSES.index, filters.status))))
    for name, (low, high) in filters.ranges.items():
        column = _column(ranking, "ranges", name)
        if any(end is not None and isnan(end) for end in (low, high)):
            raise InvalidInput(name, "an end is not a number", "give numbers, or leave it open")
        if low is not None and high is not None and low > high:
            raise InvalidInput(name, f"low {low:g} is above high {high:g}", "low <= high")
        where.append(Condition(column, low=low, high=high))
    known = {parameter.name: parameter.values for parameter in ranking.request.parameters}
    for name, values in filters.values.items():
        if name == "cell_id":
            continue
        _choice("values", name, known)
        for value in values:
            _choice(name, value, known[name])
        where.append(Condition(_field(name), values))
    return where


def _whole_numbers(values: tuple[Value, ...]) -> Ints:
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise InvalidInput("cell_id", "not a whole number", "give numbers of cells")
    return np.array(values, dtype=np.int64)


def _require_cell(ranking: Ranking, cell_id: int) -> None:
    if not 0 <= cell_id < ranking.request.combinations:
        raise InvalidInput(
            "cell_id",
            f"there is no cell {cell_id}",
            f"allowed: 0 to {ranking.request.combinations - 1:,}",
        )


def _choice(field: str, value: object, known: Collection[object]) -> None:
    if value not in known:
        raise InvalidInput(field, f"{value!r} is not one of them", _one_of(known))


def _one_of(*names: Iterable[object]) -> str:
    shown = [str(name) for group in names for name in group]
    more = ", …" if len(shown) > MOST_NAMED else ""
    return f"choose one of {', '.join(shown[:MOST_NAMED])}{more}"


def selection(database: Database, study_id: int, view: View = AS_ASKED) -> Selection:
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


def export(database: Database, study_id: int, format: Format, view: View = AS_ASKED) -> bytes:
    """Every cell as a file; xlsx: sheets values, heatmap, parameters, summary."""
    raise NotImplementedError


def apply_to_position(
    database: Database, study_id: int, cell_id: int, position_id: int, now: datetime
) -> Position:
    """Make a cell's policy the position's, as a step of its configuration history.

    Raises StudyNotFound, PositionNotFound, PositionClosed, InvalidInput.
    """
    raise NotImplementedError

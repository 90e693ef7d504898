"""What a study found: ranked, filtered, drawn, compared, exported, applied.

Works on whatever is stored, while the study runs too. A `View` says how it is looked at; nothing
of it re-runs a cell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import isnan
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from volbal.domain.policy import SHORTHANDS, Policy
from volbal.domain.position import Position
from volbal.engine.goals import Constraint, Goal, knee, pareto_front
from volbal.engine.grid import Parameter, Value, reasons
from volbal.engine.metrics import CENTRES, METRIC
from volbal.engine.paths import Ints
from volbal.engine.simulation import undefined_metrics
from volbal.errors import InvalidInput
from volbal.formatting import UNDEFINED, value_text
from volbal.services import exports, positions, settings, study_life, study_prices
from volbal.services.research import Simulation, simulate
from volbal.services.study_ranking import (
    AS_ASKED,
    STATUSES,
    Ranking,
    Status,
    View,
    distances,
    prepare,
    ranked,
    request_of,
)
from volbal.services.study_request import SETUP_NAMES, StudyRequest, range_of
from volbal.services.study_split import (
    Selection,
    Vault,
    VaultOpened,
    open_vault,
    prepared_as_run,
    seen_before,
    selection,
    vault,
)
from volbal.services.study_table import (
    NAMES,
    SCORES,
    Filters,
    column_of,
    field_of,
    filtered,
    metrics_of,
    require_cell,
    require_one_of,
    rows_of,
    sign_of,
    source_of,
)
from volbal.storage.database import Database
from volbal.storage.records import cells as cell_rows
from volbal.storage.records import studies as study_rows
from volbal.storage.records.cells import Aggregate

__all__ = [
    "SCORES",
    "Aggregate",
    "Filters",
    "Selection",
    "Status",
    "Vault",
    "VaultOpened",
    "View",
    "open_vault",
    "prepare",
    "seen_before",
    "selection",
    "vault",
]

Format = Literal["csv", "xlsx", "parquet", "json"]
ALL: Final = Filters()
AT_ONCE: Final = 65_536
"""Rows of a file that are read together."""


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
    peak: cell with the best score. default: cell nearest to the request's policy, which it has
    exactly where `on_grid`."""

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
    on_grid: bool

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
    """One cell. symbol: None where several are pooled. rejected_by: the constraints it fails.
    alike: other cells of the same score. metrics: NaN where undefined; undefined: why."""

    cell_id: int
    symbol: str | None
    parameters: Mapping[str, Value]
    status: Status
    rejected_by: tuple[Constraint, ...]
    score: float
    rank: int | None
    alike: int
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
    parameters, the goals' metrics, score; of many an even sample with the knee, of `size`. knee:
    the cell where giving up one goal for another stops paying; None for an empty front. cloud: a
    sample of the other feasible cells."""

    front: pd.DataFrame
    size: int
    knee: int | None
    cloud: pd.DataFrame


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
    default, on_grid = _default(ranking)
    return Counts(
        total=min(request.combinations, request.max_cells),
        stored=len(ranking.cell_id),
        rejected_by=dict(zip(map(str, ranking.constraints), failing, strict=True)),
        best=ranking.best,
        peak=ranking.peak,
        default=default,
        on_grid=on_grid,
        **of_status,
    )


def reached(
    database: Database, study_id: int, view: View = AS_ASKED
) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each constraint's metric among the simulated cells; of pooled
    ones of their means. Without those that are undefined everywhere.

    Raises StudyNotFound, InvalidInput.
    """
    ranking = ranked(database, study_id, view)
    names = list(dict.fromkeys(constraint.metric for constraint in ranking.constraints))
    found = metrics_of(database, ranking, names)
    known = {name: values[~np.isnan(values)] for name, values in found.items()}
    return {
        name: (float(values.min()), float(values.max()))
        for name, values in known.items()
        if len(values)
    }


def _default(ranking: Ranking) -> tuple[int, bool]:
    """The cell nearest to the request's policy, of a sample the nearest that is stored, and
    whether it has that policy. Distances count in steps of each parameter."""
    request = ranking.request
    if not request.sampled or not len(ranking.cell_id):
        wanted = [distances(request, parameter) for parameter in request.parameters]
        shape = tuple(len(parameter.values) for parameter in request.parameters)
        nearest = tuple(int(one.argmin()) for one in wanted)
        return int(np.ravel_multi_index(nearest, shape)), not any(one.min() for one in wanted)
    far = ranking.far_of(ranking.cell_id)
    return int(ranking.cell_id[np.argmin(far)]), not far.min()


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
    column = column_of(ranking, "sort", sort)
    table, where = filtered(ranking, filters)
    if descending is None:
        descending = (sort in METRIC or sort in SCORES) and sign_of(ranking, sort) > 0.0
    source = source_of(ranking)
    with database.read() as connection:
        total = cell_rows.count_cells(connection, source, table, where)
        cells = cell_rows.ids_of_cells(
            connection, source, table, where, column, descending, limit, offset
        )
    return Page(rows_of(database, ranking, cells), total)


def cell(database: Database, study_id: int, cell_id: int, view: View = AS_ASKED) -> CellResult:
    """Raises StudyNotFound, InvalidInput where the study has no such cell."""
    ranking = ranked(database, study_id, view)
    require_cell(ranking.request, cell_id)
    places = ranking.places_of(np.array([cell_id]))
    if not len(places):
        raise InvalidInput(
            "cell_id", f"cell {cell_id} is not computed", "choose one that the table shows"
        )
    (place,) = places.tolist()
    (row,) = rows_of(database, ranking, np.array([cell_id])).to_dict("records")
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
        rejected_by=tuple(constraint for constraint, fails in failing if fails),
        score=row["score"],
        rank=None if isnan(row["rank"]) else int(row["rank"]),
        alike=max(int((ranking.score == row["score"]).sum()) - 1, 0),
        plateau=row["plateau"],
        fragility=row["fragility"],
        metrics=metrics,
        undefined=undefined,
    )


def cell_policy(database: Database, study_id: int, cell_id: int) -> Policy:
    """Raises StudyNotFound, InvalidInput where the cell is invalid."""
    request = request_of(database, study_id)
    require_cell(request, cell_id)
    return request.grid.cell_policy(cell_id)


def simulate_cell(
    database: Database, study_id: int, cell_id: int, symbol: str | None = None
) -> Simulation:
    """The full simulation of a cell on the range its metrics are of. Never the vault.

    symbol: None for the first. Raises StudyNotFound, PriceUnavailable, InvalidInput;
    PricesChanged where the prices are no longer those of the metrics.
    """
    policy = cell_policy(database, study_id, cell_id)
    request = request_of(database, study_id)
    symbol = request.symbols[0] if symbol is None else symbol
    require_one_of("symbol", symbol, request.symbols)
    prepared = prepared_as_run(database, study_id, study_prices.searched(request))[symbol]
    ticks = request.grid.cell_ticks(cell_id)
    setup = replace(request.setup, start=None, end=None, ticks=ticks)  # it is cut already
    return simulate(prepared.history, policy, setup)


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
    require_one_of("x", x, known)
    require_one_of("y", y, known)
    if x == y:
        raise InvalidInput("y", f"{y} is on the other axis", "choose two different parameters")
    require_one_of("metric", metric, (*SCORES, *NAMES))
    require_one_of("aggregate", aggregate, get_args(Aggregate))
    for name in fixed or {}:
        if name in (x, y):
            raise InvalidInput("fixed", f"{name} is on an axis", "hold other parameters only")
    held = Filters(values={name: (value,) for name, value in (fixed or {}).items()})
    table, where = filtered(ranking, held)
    with database.read() as connection:
        pairs = cell_rows.pairs_of_cells(
            connection,
            source_of(ranking),
            table,
            (field_of(x), field_of(y)),
            metric,
            where,
            aggregate,
            sign_of(ranking, metric) > 0.0,
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
    columns = metrics_of(database, ranking, goals)
    points = np.column_stack([goal.sign * columns[goal.metric] for goal in ranking.goals])
    usable = ranking.having("feasible", "unranked")
    usable = usable[~np.isnan(points[usable]).any(axis=1)]
    front = pareto_front(points[usable])
    front = front[np.argsort(-points[usable[front], 0], kind="stable")]
    others = np.delete(usable, front)
    shown = ["cell_id", *(one.name for one in ranking.request.parameters), *goals, "score"]
    best = usable[front]
    bend = knee(points[best]) if len(best) else None
    seen = np.union1d(_evenly(np.arange(len(best)), most), [] if bend is None else [bend])
    rows = rows_of(database, ranking, ranking.cell_id[best[seen.astype(np.int64)]])[shown]
    cloud = rows_of(database, ranking, ranking.cell_id[_evenly(others, most)])[shown]
    corner = None if bend is None else int(ranking.cell_id[best[bend]])
    return Pareto(rows, len(best), corner, cloud)


def slices(
    database: Database, study_id: int, cell_id: int, metric: str, view: View = AS_ASKED
) -> pd.DataFrame:
    """What each parameter alone does from this cell: columns parameter, value, the metric (or one
    of SCORES) by its name, cell_id, status; a row per value whose cell is stored.

    Raises StudyNotFound, InvalidInput.
    """
    ranking = ranked(database, study_id, view)
    require_cell(ranking.request, cell_id)
    require_one_of("metric", metric, (*SCORES, *NAMES))
    parts = []
    stride = len(ranking.grid)
    for parameter in ranking.request.parameters:
        count = len(parameter.values)
        stride //= count
        at = cell_id // stride % count
        cells = cell_id + (np.arange(count) - at) * stride
        rows = rows_of(database, ranking, ranking.cell_id[ranking.places_of(cells)])
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
    return rows_of(database, ranking, ranking.cell_id[chosen])


def _evenly(places: Ints, most: int) -> Ints:
    """At most so many of `places`, at even distances."""
    if len(places) <= most:
        return places
    return places[np.arange(most) * len(places) // most]


def compare(database: Database, study_ids: tuple[int, ...]) -> Comparison:
    """Studies side by side, each in the view of its own request. Raises StudyNotFound."""
    rankings = [ranked(database, study_id, AS_ASKED) for study_id in study_ids]
    asked = {f"{one.study_id} · {one.request.name}": _settings(one.request) for one in rankings}
    table = pd.DataFrame(asked, dtype=object).fillna(UNDEFINED)
    differs = table.nunique(axis=1) > 1
    cells = [_best_row(database, one) for one in rankings]
    parameters = dict.fromkeys(name for one in rankings for name in _names(one.request))
    columns = ["study_id", "name", "cell_id", *parameters, "score", "plateau", *NAMES]
    return Comparison(
        table[differs].rename_axis("setting"), pd.DataFrame(cells).reindex(columns=columns)
    )


def _settings(request: StudyRequest) -> dict[str, str]:
    """Everything that is asked, as text by name."""
    content = {"start": "the first price", "end": "the last price"} | request.as_mapping()
    plain = (*SETUP_NAMES, "max_cells", "seed", "split")
    return {
        "symbols": ", ".join(request.symbols),
        **{name: _said(content[name]) for name in plain},
        **{f"policy {name}": _said(value) for name, value in _policy(request).items()},
        **{f"parameter {one.name}": _values_text(one) for one in request.parameters},
        **{f"goal {goal.metric}": _goal_text(goal) for goal in request.goals},
        "constraints": "; ".join(map(str, request.constraints)) or "none",
    }


def _policy(request: StudyRequest) -> dict[str, Value]:
    """The policy on which the parameters are swept, without the fields that they set."""
    swept = {field for one in request.parameters for field in SHORTHANDS.get(one.name, (one.name,))}
    policy = asdict(request.policy) | {"rebalance_ratio": request.policy.ratio}
    return {name: value for name, value in policy.items() if name not in swept}


def _values_text(parameter: Parameter) -> str:
    found = range_of(parameter)
    if found is not None:
        return "{} to {} by {}".format(*found)
    return ", ".join(map(_said, parameter.values))


def _said(value: Value) -> str:
    """A value as people say it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return value_text(value)


def _goal_text(goal: Goal) -> str:
    return f"weight {goal.weight:g}, {'more' if goal.sign > 0.0 else 'less'} is better"


def _names(request: StudyRequest) -> list[str]:
    return [parameter.name for parameter in request.parameters]


def _best_row(database: Database, ranking: Ranking) -> dict[str, Any]:
    """The best cell of a study, by its score where no cell has a plateau."""
    known = {"study_id": ranking.study_id, "name": ranking.request.name}
    best = ranking.peak if ranking.best is None else ranking.best
    if best is None:
        return known
    (row,) = rows_of(database, ranking, np.array([best])).to_dict("records")
    return {str(name): value for name, value in (known | row).items()}


def export(database: Database, study_id: int, format: Format, view: View = AS_ASKED) -> bytes:
    """Every cell as a file; xlsx: sheets values, heatmap, parameters, summary.

    Besides the columns of a page: symbol (or "mean over …") and invalid_because. Raises
    StudyNotFound, InvalidInput for another format and for more than Excel holds.
    """
    require_one_of("format", format, get_args(Format))
    ranking = ranked(database, study_id, view)
    if format == "xlsx":
        exports.require_room(
            len(ranking.cell_id), len(ranking.request.parameters) + 5 + len(SCORES) + len(NAMES)
        )
    if format != "xlsx":
        return exports.blocks_bytes(_blocks(database, ranking), format)
    return exports.table_bytes(
        {
            "values": pd.concat(_blocks(database, ranking), ignore_index=True),
            "heatmap": _map(database, ranking, view),
            "parameters": _parameters(ranking.request),
            "summary": _summary(database, ranking, view),
        },
        format,
    )


def _blocks(database: Database, ranking: Ranking) -> Iterator[pd.DataFrame]:
    """The whole table, some rows at a time; one block without a row where there is none."""
    types = {"rank": "Int64", "status": "str", "rejected_by": "str"}
    of = ranking.symbol or f"mean over {', '.join(ranking.symbols)}"
    for first in range(0, max(len(ranking.cell_id), 1), AT_ONCE):
        cells = ranking.cell_id[first : first + AT_ONCE]
        rows = rows_of(database, ranking, cells).astype(types)
        rows.insert(1, "symbol", of)
        because = pd.Series(pd.NA, index=rows.index, dtype="str")
        invalid = rows["status"] == "invalid"
        because[invalid] = reasons(ranking.grid, rows.loc[invalid, "cell_id"].to_numpy())
        rows.insert(rows.columns.tolist().index("rejected_by") + 1, "invalid_because", because)
        yield rows


def _map(database: Database, ranking: Ranking, view: View) -> exports.Heatmap:
    """The first goal over the first two parameters, the others at their best."""
    metric = ranking.goals[0].metric
    more_is_better = ranking.goals[0].sign > 0.0
    x, *others = _names(ranking.request)
    if others:
        cells = heatmap(database, ranking.study_id, x, others[0], metric, view).cells
        frame = cells.pivot(index=others[0], columns=x, values="value")
        frame = frame.rename_axis(index=f"{others[0]} \\ {x}")
    else:
        cells = rows_of(database, ranking, ranking.cell_id)
        frame = cells.set_index(x)[[metric]].T.rename_axis(index=x)
    centre = CENTRES.get(metric)
    values = frame.to_numpy(dtype=np.float64)
    parted = centre is not None and np.nanmin(values) < centre < np.nanmax(values)
    return exports.Heatmap(frame, centre if parted else None, more_is_better)


def _parameters(request: StudyRequest) -> pd.DataFrame:
    rows: list[tuple[str, bool, int, str]] = [
        (one.name, True, len(one.values), _values_text(one)) for one in request.parameters
    ]
    rows += [(name, False, 1, _said(value)) for name, value in _policy(request).items()]
    return pd.DataFrame(rows, columns=["parameter", "swept", "values", "text"])


def _summary(database: Database, ranking: Ranking, view: View) -> pd.DataFrame:
    found = counts(database, ranking.study_id, view)
    with database.read() as connection:
        stored = study_life.find(connection, ranking.study_id)
        trials = study_rows.trials(connection)
    request = ranking.request
    told = {
        "study": f"{ranking.study_id} · {request.name}",
        "symbol": ranking.symbol or f"{', '.join(ranking.symbols)}: means over the symbols",
        **{f"goal {goal.metric}": _goal_text(goal) for goal in ranking.goals},
        "cells": found.total,
        "computed": found.stored,
        "invalid": found.invalid,
        "feasible": found.feasible,
        "unranked": found.unranked,
        "rejected": found.rejected,
        **{f"fails {constraint}": cells for constraint, cells in found.rejected_by.items()},
        "best cell": found.best,
        "peak cell": found.peak,
        "cell nearest to the policy": found.default,
        "heatmap": f"best {ranking.goals[0].metric} of each pair of values",
    }
    evidence = study_prices.evidence(request, stored.prices, trials)
    rows = [*told.items(), *(("evidence", sentence) for sentence in evidence)]
    return pd.DataFrame(rows, columns=["what", "value"], dtype=object)


def policy_for(database: Database, study_id: int, cell_id: int, position: Position) -> Policy:
    """A cell's policy as a position would have it: what a study never asks (after hours) stays.

    Raises StudyNotFound, InvalidInput where the cell is invalid.
    """
    policy = cell_policy(database, study_id, cell_id)
    return replace(policy, after_hours=position.configuration.policy.after_hours)


def apply_to_position(
    database: Database, study_id: int, cell_id: int, position_id: int, now: datetime
) -> Position:
    """Make a cell's policy the position's (see `policy_for`), as a step of its configuration
    history.

    Raises StudyNotFound, PositionNotFound, PositionClosed, InvalidInput.
    """
    position = positions.find_position(database, position_id)
    policy = policy_for(database, study_id, cell_id, position)
    note = f"cell {cell_id} of study {study_id}"
    return settings.apply_policy(database, position_id, policy, by="user", note=note, now=now)

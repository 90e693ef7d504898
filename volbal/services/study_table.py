"""The table of a ranking: its columns, their good direction, its rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from numbers import Integral
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from volbal.domain.policy import SHORTHANDS
from volbal.engine.grid import Value
from volbal.engine.metrics import METRICS, good_sign
from volbal.engine.paths import Floats, Ints
from volbal.errors import InvalidInput
from volbal.services.study_ranking import STATUSES, Ranking, Status
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database
from volbal.storage.records import cells as cell_rows
from volbal.storage.records.cells import Condition, Source

if TYPE_CHECKING:
    import pyarrow as pa

SCORES: Final = ("score", "rank", "plateau", "fragility")
"""Columns that a view computes; they sort, filter and colour like metrics."""

ASCENDING: Final = ("rank", "fragility")
"""Of these less is better."""

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


def rows_of(database: Database, ranking: Ranking, cells: Ints) -> pd.DataFrame:
    """These stored cells, in this order, with the columns of a page."""
    fields = {one.name: field_of(one.name) for one in ranking.request.parameters}
    part = ranking.table.take(ranking.places_of(cells))
    ends = (int(cells.min()), int(cells.max())) if len(cells) else (0, 0)
    with database.read() as connection:
        found = cell_rows.rows_of_cells(connection, source_of(ranking), part, fields, ends)
    there = cells[np.isin(cells, found["cell_id"])]  # the study may be deleted meanwhile
    found = found.iloc[found["cell_id"].searchsorted(there)].reset_index(drop=True)
    statuses = np.array(STATUSES, dtype=object)
    rejecting = np.array([*(one.metric for one in ranking.constraints), None], dtype=object)
    failed = found["failed"].fillna(len(ranking.constraints)).to_numpy(dtype=np.int64)
    columns = {
        "cell_id": found["cell_id"],
        **{name: found[name] for name in fields},
        "status": pd.Series(statuses[found["status"].to_numpy()], dtype=object),
        "rejected_by": pd.Series(rejecting[failed], dtype=object),
        **{name: found[name].astype(np.float64) for name in (*SCORES, *NAMES)},
    }
    return pd.DataFrame(columns)


def metrics_of(database: Database, ranking: Ranking, names: Sequence[str]) -> dict[str, Floats]:
    """Metrics of every cell of a ranking, in its order; means over its symbols."""
    found = {name: np.zeros(len(ranking.cell_id)) for name in names}
    for symbol in ranking.symbols:
        with database.read() as connection:
            columns = cell_rows.cell_columns(connection, ranking.study_id, symbol, names)
        places = np.searchsorted(columns["cell_id"], ranking.cell_id)
        for name in names:
            found[name] += columns[name][places]
    return {name: values / len(ranking.symbols) for name, values in found.items()}


def source_of(ranking: Ranking) -> Source:
    return Source(ranking.study_id, ranking.symbol, NAMES)


def field_of(parameter: str) -> str:
    """The column that holds a parameter's value."""
    return SHORTHANDS.get(parameter, (parameter,))[0]


def sign_of(ranking: Ranking, name: str) -> float:
    """+1 where more is better: by the goal, else by the metric's nature."""
    if name in SCORES:
        return -1.0 if name in ASCENDING else 1.0
    signs = {goal.metric: goal.sign for goal in ranking.goals}
    return signs.get(name, good_sign(name))


def column_of(ranking: Ranking, field: str, name: str) -> str:
    """The column that the database knows by another name, for a parameter. Raises InvalidInput."""
    parameters = [parameter.name for parameter in ranking.request.parameters]
    require_one_of(field, name, ("cell_id", *parameters, *SCORES, *NAMES))
    return field_of(name)


def filtered(ranking: Ranking, filters: Filters) -> tuple["pa.Table", list[Condition]]:
    """What the database is to join and to ask of it. Raises InvalidInput."""
    table = ranking.table
    known = {parameter.name: parameter.values for parameter in ranking.request.parameters}
    where = []
    for name, values in filters.values.items():
        if name == "cell_id":
            table = table.take(ranking.places_of(_whole_numbers(values)))
            continue
        require_one_of("values", name, ("cell_id", *known))
        for value in values:
            require_one_of(name, value, known[name])
        kept = tuple(one for one in known[name] if one in values)  # of the parameter's own type
        where.append(Condition(field_of(name), kept))
    for status in filters.status:
        require_one_of("status", status, STATUSES)
    if filters.status:
        where.append(Condition("status", tuple(map(STATUSES.index, filters.status))))
    for name, (low, high) in filters.ranges.items():
        column = column_of(ranking, "ranges", name)
        if any(end is not None and isnan(end) for end in (low, high)):
            raise InvalidInput(name, "an end is not a number", "give numbers, or leave it open")
        if low is not None and high is not None and low > high:
            raise InvalidInput(name, f"low {low:g} is above high {high:g}", "low <= high")
        where.append(Condition(column, low=low, high=high))
    return table, where


def _whole_numbers(values: tuple[Value, ...]) -> Ints:
    if not all(isinstance(value, Integral) and not isinstance(value, bool) for value in values):
        raise InvalidInput("cell_id", "not a whole number", "give numbers of cells")
    return np.unique(np.array(values, dtype=np.int64))


def require_cell(request: StudyRequest, cell_id: int) -> None:
    """Raises InvalidInput where the grid has no such cell."""
    if not 0 <= cell_id < request.combinations:
        raise InvalidInput(
            "cell_id",
            f"there is no cell {cell_id}",
            f"allowed: 0 to {request.combinations - 1:,}",
        )


def require_one_of(field: str, value: object, known: Collection[object]) -> None:
    """Raises InvalidInput that lists what is known."""
    if value not in known:
        names = [str(name) for name in known]
        more = ", …" if len(names) > MOST_NAMED else ""
        raise InvalidInput(
            field,
            f"{value!r} is not known here",
            f"choose one of {', '.join(names[:MOST_NAMED])}{more}",
        )

"""Rows of cells: stored by the chunk, read by the column, the page and the pair of axes.

A ranking is an Arrow table with one row per cell: cell_id, status (0 feasible, 1 unranked,
2 rejected, 3 invalid), failed, score, rank, plateau, fragility. It is computed from the stored
metrics for one way of looking at a study and joined to the cells here, so that sorting, filtering
and paging stay with the database.

Names of columns cannot be bound; `_column` lets nothing but an identifier through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volbal.storage.records.values import Connection, number

if TYPE_CHECKING:
    import pyarrow as pa

Aggregate = Literal["best", "median", "mean"]
POLICY = (
    "ticks", "trigger_up", "trigger_down", "sizing", "rebalance_ratio", "min_stock_share",
    "max_stock_share", "auto_rebalance", "max_trade_share", "min_notional", "lot_size",
    "max_orders_per_day", "commission_rate", "commission_min", "slippage", "withholding_rate",
    "cash_rate",
)  # fmt: skip
RANKED = ("status", "failed", "score", "rank", "plateau", "fragility")


@dataclass(frozen=True, slots=True)
class Source:
    """Which rows: of one symbol, or of all pooled (metrics: their mean, null where one is; summed
    up for the cells of the ranking only)."""

    study_id: int
    symbol: str | None
    metrics: tuple[str, ...]

    @property
    def sql(self) -> str:
        if self.symbol is not None:
            return "(from cells where study_id = $study_id and symbol = $symbol)"
        fields = ", ".join(f"any_value({name}) as {name}" for name in ("valid", *POLICY))
        means = ", ".join(
            f"if(count({name}) = count(*), avg({name}), null) as {name}"
            for name in map(_column, self.metrics)
        )
        return (
            f"(select cell_id, {fields}, {means} from cells semi join ranking using (cell_id) "
            "where study_id = $study_id group by cell_id)"
        )

    @property
    def bound(self) -> dict[str, Any]:
        pooled = self.symbol is None
        return {"study_id": self.study_id} | ({} if pooled else {"symbol": self.symbol})


@dataclass(frozen=True, slots=True)
class Condition:
    """column in values, or low <= column <= high where an end is given."""

    column: str
    values: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None


def insert_cells(connection: Connection, arriving: "pa.Table") -> None:
    """arriving: the columns of the table by name."""
    connection.execute("insert into cells by name select * from arriving")


def delete_cells(connection: Connection, study_id: int) -> None:
    connection.execute("delete from cells where study_id = ?", [study_id])


def cell_columns(
    connection: Connection, study_id: int, symbol: str, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """cell_id, valid and the metrics `names` of every stored cell, by cell_id; NaN for null."""
    columns = ", ".join(map(_column, names))
    found = connection.execute(
        f"""
        select cell_id, valid{", " if columns else ""}{columns}
        from cells
        where study_id = ? and symbol = ?
        """,
        [study_id, symbol],
    ).fetchnumpy()
    order = np.argsort(found["cell_id"], kind="stable")  # nearly sorted already
    return {name: _plain(values)[order] for name, values in found.items()}


def count_cells(
    connection: Connection, source: Source, ranking: "pa.Table", where: Sequence[Condition]
) -> int:
    """ranking: the statement scans it by its name."""
    conditions, bound = _where(where)
    needed, given = _needed(source, where)
    row = connection.execute(
        f"""
        select count(*)
        from {needed}
        where {conditions}
        """,
        given | bound,
    ).fetchone()
    return number(row)


def ids_of_cells(
    connection: Connection,
    source: Source,
    ranking: "pa.Table",
    where: Sequence[Condition],
    sort: str,
    descending: bool,
    limit: int,
    offset: int,
) -> NDArray[np.int64]:
    """A page of cells in order; those without the sorted value last."""
    conditions, bound = _where(where)
    needed, given = _needed(source, where, sort)
    direction = "desc" if descending else "asc"
    found = connection.execute(
        f"""
        select cell_id
        from {needed}
        where {conditions}
        order by {_column(sort)} {direction} nulls last, cell_id
        limit $limit offset $offset
        """,
        given | bound | {"limit": limit, "offset": offset},
    ).fetchnumpy()
    return np.asarray(found["cell_id"])


def rows_of_cells(
    connection: Connection,
    source: Source,
    ranking: "pa.Table",
    fields: Mapping[str, str],
    ends: tuple[int, int],
) -> pd.DataFrame:
    """The cells of `ranking` by rising cell_id: cell_id, the ranking, the policy fields named in
    `fields` (name to column), the metrics. ends: no cell_id lies outside."""
    policy = "".join(f", {_column(column)} as {_column(name)}" for name, column in fields.items())
    columns = ", ".join([*RANKED, *map(_column, source.metrics)])
    return connection.execute(
        f"""
        select cell_id{policy}, {columns}
        from {source.sql} as c join ranking as r using (cell_id)
        where cell_id between $first and $last
        order by cell_id
        """,
        source.bound | {"first": ends[0], "last": ends[1]},
    ).df()


def pairs_of_cells(
    connection: Connection,
    source: Source,
    ranking: "pa.Table",
    axes: tuple[str, str],
    value: str,
    where: Sequence[Condition],
    aggregate: Aggregate,
    more_is_better: bool,
) -> pd.DataFrame:
    """x, y, value, cell_id, status, cells: one row per pair of values of the two axes.

    Of a pair's cells those of the lowest status count; cell_id is the one whose value is nearest
    to the aggregated one, the first of equals.
    """
    best = "max(value)" if more_is_better else "min(value)"
    shown = {"best": best, "median": "median(value)", "mean": "avg(value)"}[aggregate]
    x, y = map(_column, axes)
    conditions, bound = _where(where)
    return connection.execute(
        f"""
        with shown as (
            select {x} as x, {y} as y, cell_id, status, {_column(value)} as value
            from {source.sql} as c join ranking as r using (cell_id)
            where {conditions}
        ),
        classes as (
            select x, y, min(status) as status, count(*) as cells from shown group by x, y
        ),
        targets as (
            select x, y, status, any_value(cells) as cells, {shown} as target
            from shown join classes using (x, y, status)
            group by x, y, status
        )
        select
            x, y, any_value(target) as value, any_value(status) as status,
            any_value(cells) as cells,
            min_by(
                cell_id,
                {{'off': coalesce(abs(value - target), 'infinity'::double), 'id': cell_id}}
            ) as cell_id
        from shown join targets using (x, y, status)
        group by x, y
        order by x, y
        """,
        source.bound | bound,
    ).df()


def _needed(source: Source, where: Sequence[Condition], *sorts: str) -> tuple[str, dict[str, Any]]:
    """The cells with their ranking, or the ranking alone where nothing else is asked for; and
    what is bound in it."""
    asked = {condition.column for condition in where} | {*sorts}
    if asked <= {"cell_id", *RANKED}:
        return "ranking", {}
    return f"{source.sql} as c join ranking as r using (cell_id)", source.bound


def _where(conditions: Sequence[Condition]) -> tuple[str, dict[str, Any]]:
    texts, bound = ["true"], dict[str, Any]()
    for place, condition in enumerate(conditions):
        name = _column(condition.column)
        for end, sign in (("low", ">="), ("high", "<=")):
            if getattr(condition, end) is not None:
                texts.append(f"{name} {sign} ${end}{place}")
                bound[f"{end}{place}"] = getattr(condition, end)
        if condition.values is not None:
            texts.append(f"{name} in $values{place}")
            bound[f"values{place}"] = list(condition.values)
    return " and ".join(texts), bound


def _column(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a column")
    return name


def _plain(values: Any) -> NDArray[Any]:
    """A fetched column without its mask: undefined values are NaN."""
    return values.filled(np.nan) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)

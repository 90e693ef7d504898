"""Cells of a study side by side: what sets them apart, which is better in what, their curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from volbal.engine.metrics import METRIC
from volbal.errors import InvalidInput
from volbal.services import study_results
from volbal.services.research import BENCHMARKS, Simulation
from volbal.services.study_ranking import AS_ASKED, Ranking, View, ranked
from volbal.services.study_results import CellResult
from volbal.services.study_table import NAMES, SCORES, sign_of
from volbal.storage.database import Database

FEWEST: Final = 2
MOST: Final = 4
"""More lines than these and the one of holding are not told apart."""

HOLD: Final = "buy_and_hold"


@dataclass(frozen=True, slots=True)
class CellsCompared:
    """cells: in the order asked. apart: the parameters in which they differ. better: by metric or
    score the cells with the best of the defined values, in the goal's direction where it is one,
    else in its natural one; none where neither way is better or all cells share the value."""

    cells: tuple[CellResult, ...]
    apart: tuple[str, ...]
    better: Mapping[str, tuple[int, ...]]


def compare_cells(
    database: Database, study_id: int, cell_ids: Sequence[int], view: View = AS_ASKED
) -> CellsCompared:
    """Raises StudyNotFound; InvalidInput for fewer than FEWEST or more than MOST different cells,
    and for one that the study does not have (yet)."""
    different = tuple(dict.fromkeys(cell_ids))
    if not FEWEST <= len(different) <= MOST:
        raise InvalidInput(
            "cells",
            f"{len(different)} cannot stand side by side",
            f"choose {FEWEST} to {MOST} different ones",
        )
    cells = tuple(study_results.cell(database, study_id, one, view) for one in different)
    ranking = ranked(database, study_id, view)
    parameters = [parameter.name for parameter in ranking.request.parameters]
    return CellsCompared(
        cells,
        tuple(name for name in parameters if len({one.parameters[name] for one in cells}) > 1),
        {name: _better(ranking, name, cells) for name in (*SCORES, *NAMES)},
    )


def _better(ranking: Ranking, name: str, cells: Sequence[CellResult]) -> tuple[int, ...]:
    directed = {goal.metric for goal in ranking.goals} | {*SCORES}
    if name not in directed and METRIC[name].direction is None:
        return ()
    values = {one.cell_id: value_of(one, name) for one in cells}
    known = {cell: value for cell, value in values.items() if not pd.isna(value)}
    sign = sign_of(ranking, name)
    best = max((sign * value for value in known.values()), default=None)
    found = tuple(cell for cell, value in known.items() if sign * value == best)
    return () if len(found) == len(cells) else found


def value_of(cell: CellResult, name: str) -> float:
    """A metric or score of a cell; NaN where it has none."""
    if name not in SCORES:
        return cell.metrics[name]
    value = getattr(cell, name)
    return float("nan") if value is None else float(value)


def figures(found: CellsCompared) -> pd.DataFrame:
    """One row a cell, as numbers: cell_id, the parameters, status, scores, every metric."""
    return pd.DataFrame(
        {
            "cell_id": one.cell_id,
            **one.parameters,
            "status": one.status,
            **{name: value_of(one, name) for name in (*SCORES, *NAMES)},
        }
        for one in found.cells
    )


def curves(results: Mapping[str, Simulation]) -> pd.DataFrame:
    """Index date; by name and then by that of the benchmark the "value" and "drawdown" of each.

    results: simulations of cells of one study on one symbol. Holding is that of the first.
    """
    first = next(iter(results.values()))
    parts: dict[tuple[str, str], pd.Series] = {}
    for name, result in results.items():
        parts |= _curve(name, result, "equity", "drawdown")
    parts |= _curve(BENCHMARKS[HOLD], first, HOLD, f"drawdown_{HOLD}")
    return pd.DataFrame(parts)


def _curve(
    name: str, result: Simulation, value: str, fall: str
) -> dict[tuple[str, str], "pd.Series[float]"]:
    # With limit ticks the first day stands there twice: its start and its end.
    days = result.days[~result.days.index.duplicated(keep="last")]
    return {(name, "value"): days[value], (name, "drawdown"): days[fall]}


def share_hold(results: Mapping[str, Simulation]) -> bool:
    """Whether holding comes to the same for all; taxes on dividends or interest may part it."""
    return len({one.benchmarks[HOLD]["final_equity"] for one in results.values()}) == 1

"""Cells of a study side by side: cards, their curves, what sets them apart, every metric."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
import streamlit as st

from volbal.engine.metrics import METRIC
from volbal.errors import VolbalError
from volbal.formatting import metric_text
from volbal.services import study_sides
from volbal.services.research import Simulation
from volbal.services.study_results import CellResult, Counts
from volbal.services.study_sides import FEWEST, MOST, CellsCompared
from volbal.ui import components, sides, study_cell, tables
from volbal.ui.fields import parameter_text, shown_value
from volbal.ui.forms import remember
from volbal.ui.log import plain
from volbal.ui.study_shared import (
    KEY_METRICS,
    SCORES,
    Looked,
    base_text,
    field_label,
    kept,
    label,
    pinned,
)

APART: Final = "≠"
BETTER: Final = "★"
"""What marks a parameter that differs, and the best value of a line."""

LEGEND: Final = (
    f"{APART} differs · {BETTER} the best of them; ↑ more is better, ↓ less is better, the others "
    "have no good direction."
)


def draw(looked: Looked, counts: Counts, chosen: int | None) -> None:
    """Which cells, and everything about them."""
    cells = _cells_input(looked, counts, chosen)
    if len(cells) < FEWEST:
        st.info(
            f"Choose {FEWEST} to {MOST} cells above, or press Compare where one is selected: in "
            "the heatmap, the table or any other chart.",
            icon=":material/compare_arrows:",
        )
        return
    found = kept(looked, _compared, tuple(cells))
    symbol = study_cell.symbol_input(looked)
    results = _cards(looked, found, symbol, _roles(counts, chosen))
    if results:
        _draw_curves(looked, results)
    _draw_figures(looked, found)
    pooled = f" Means over {', '.join(looked.symbols)}." if len(looked.symbols) > 1 else ""
    st.caption(f"{LEGEND}{plain(pooled)}")
    tables.downloads(
        {"Cells": study_sides.figures(found)} | _days(results),
        f"study-{looked.study_id}-cells",
        f"{looked.page}-cells-file",
    )


def _compared(looked: Looked, cells: tuple[int, ...]) -> CellsCompared:
    return study_sides.compare_cells(looked.database, looked.study_id, cells, looked.view)


def _cells_input(looked: Looked, counts: Counts, chosen: int | None) -> list[int]:
    """The cells side by side; those that the study does not have are left out, and said."""
    there = [
        cell
        for cell in pinned(looked.page)
        if study_cell.found(looked, cell, "It is left out.") is not None
    ]
    named = [cell for cell in _roles(counts, chosen) if cell not in there]
    remember(looked.page, {"cells": there})
    cells: list[int] = st.multiselect(
        "Cells",
        [*there, *named],
        key=f"{looked.page}.cells",
        persist_state="page",
        max_selections=MOST,
        format_func=lambda cell: f"{cell}: {parameter_text(looked.parameters_of(cell))}",
        placeholder="choose cells",
        help="Those that were pinned with Compare; the best, the selected and the base policy’s "
        "are offered too. Example: the best one beside that of the base policy.",
    )
    return cells


def _roles(counts: Counts, chosen: int | None) -> dict[int, list[str]]:
    """What some cells of a study are, by cell."""
    roles: dict[int, list[str]] = {}
    named = {
        "best plateau": counts.best,
        "highest score": counts.peak,
        "selected": chosen,
        base_text(counts): counts.default,
    }
    for name, cell in named.items():
        if cell is not None:
            roles.setdefault(cell, []).append(name)
    return roles


def name_of(cell: CellResult) -> str:
    """What a cell is called in charts and tables."""
    return f"Cell {cell.cell_id}"


def _cards(
    looked: Looked, found: CellsCompared, symbol: str, roles: Mapping[int, Sequence[str]]
) -> dict[str, Simulation]:
    """What each cell is and where it can go; returns the simulations by name."""
    grid = st.grid(len(found.cells), min_column_width=220, gap="small")
    results = {}
    for cell in found.cells:
        with grid.container(border=True):
            role = ", ".join(roles.get(cell.cell_id, ()))
            st.markdown(f"**{name_of(cell)}**{f' :gray[{role}]' if role else ''}")
            st.markdown(parameter_text(dict(cell.parameters)))
            st.caption(study_cell.standing_text(looked, cell))
            outcome = _simulated(looked, cell, symbol)
            if outcome is not None:
                results[name_of(cell)] = outcome
    return results


def _simulated(looked: Looked, cell: CellResult, symbol: str) -> Simulation | None:
    """The simulation with the ways to go on from it; why there is none."""
    if cell.status == "invalid":
        st.caption(study_cell.why_invalid(looked, cell.cell_id))
        return None
    try:
        outcome = kept(looked, study_cell.simulated, cell.cell_id, symbol)
    except VolbalError as error:
        st.error(f"It cannot be simulated again: {error}", icon=":material/error:")
        return None
    with st.container(horizontal=True, vertical_alignment="center"):
        study_cell.link(outcome)
        study_cell.apply_button(looked, cell, f"{looked.page}-apply-{cell.cell_id}")
    return outcome


def _draw_curves(looked: Looked, results: Mapping[str, Simulation]) -> None:
    """The value of each over the range that its metrics are of, beside holding."""
    name, first = next(iter(results.items()))
    told = f"**{components.range_text(first.prepared.history)}**, {looked.part}."
    if not study_sides.share_hold(results):
        told += f" Buy & hold as under the policy of {name}; it differs between them."
    st.markdown(told)
    sides.value_chart(study_sides.curves(results), "Value", f"{looked.page}-cells-value")


def _days(results: Mapping[str, Simulation]) -> dict[str, pd.DataFrame]:
    if not results:
        return {}
    days = study_sides.curves(results)
    days.columns = days.columns.map(" ".join)
    return {"Days": days}


def _draw_figures(looked: Looked, found: CellsCompared) -> None:
    """Parameters and standing, then the metrics, the goals first."""
    rows = [_parameter_row(name, found) for name in looked.parameters]
    rows.append(_row("Status", found, [cell.status for cell in found.cells]))
    rows += [_figure_row(looked, name, found) for name in SCORES]
    _show(looked, rows, found, "standing", "Parameters and standing of each cell")
    goals = [goal.metric for goal in looked.goals]
    names = dict.fromkeys((*goals, *KEY_METRICS, *METRIC))
    defined = [name for name in names if not all(name in one.undefined for one in found.cells)]
    rows = [
        _figure_row(looked, name, found) | {"Meaning": components.sentence(METRIC[name])}
        for name in defined
    ]
    _show(looked, rows, found, "metrics", "Every metric of each cell, the goals first")


def _row(title: str, found: CellsCompared, texts: Sequence[str]) -> dict[str, str]:
    names = map(name_of, found.cells)
    return {"Figure": title, **dict(zip(names, texts, strict=True))}


def _parameter_row(name: str, found: CellsCompared) -> dict[str, str]:
    mark = f" {APART}" if name in found.apart else ""
    texts = [shown_value(cell.parameters[name]) for cell in found.cells]
    return _row(f"{field_label(name)}{mark}", found, texts)


def _figure_row(looked: Looked, name: str, found: CellsCompared) -> dict[str, str]:
    """One metric or score of each cell, the best marked."""
    column = looked.column(name)
    texts = [metric_text(column, study_sides.value_of(cell, name)) for cell in found.cells]
    best = [f"{BETTER} " if cell.cell_id in found.better[name] else "" for cell in found.cells]
    return _row(label(column), found, [f"{m}{t}" for m, t in zip(best, texts, strict=True)])


def _show(
    looked: Looked, rows: list[dict[str, str]], found: CellsCompared, name: str, alt: str
) -> None:
    columns = {
        name_of(cell): st.column_config.TextColumn(alignment="right", width=92)
        for cell in found.cells
    }
    tables.show(
        pd.DataFrame(rows),
        f"{looked.page}-cells-{name}",
        {
            "Figure": st.column_config.TextColumn("", width=165, pinned=True),
            **columns,
            "Meaning": st.column_config.TextColumn(width=600),
        },
        alt=alt,
    )

"""The results of a study on screen: heatmap, table, trade-offs, the chosen cell, evidence."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from volbal.engine.metrics import METRIC
from volbal.formatting import metric_text, value_text
from volbal.services import study_results
from volbal.services.running import Database
from volbal.services.studies import Study
from volbal.services.study_results import CellResult, Counts, View
from volbal.ui import (
    study_cell,
    study_evidence,
    study_heatmap,
    study_plots,
    study_sides,
    study_table,
)
from volbal.ui.log import plain
from volbal.ui.study_address import PANELS
from volbal.ui.study_shared import Looked, chosen_cell, counted, kept, rejected_text
from volbal.ui.study_words import within

TITLES: Final[Mapping[str, str]] = {
    "heatmap": "Heatmap",
    "table": "Table",
    "trade-offs": "Trade-offs",
    "parallel": "Parallel",
    "slices": "Slices",
    "cells": "Side by side",
    "evidence": "Evidence",
}
SPLIT: Final = "Split: 60 % of the range to search, 20 % to select, 20 % in the vault."
WIDE: Final = ("table", "parallel", "slices", "evidence")
"""Panels that need the whole width: the chosen cell stands below them."""


def draw(database: Database, study: Study, view: View, page: str) -> None:
    """Everything that is stored of a study, as far as it has come.

    page: what the state of the inputs begins with; their names metric, x, y, cell and panel are
    those of `study_address.read`. Raises VolbalError.
    """
    looked = Looked(database, study, view, page)
    counts = kept(looked, counted)
    study_cell.show_applied(looked)
    if not counts.stored:
        st.info(unstored_text(looked), icon=":material/hourglass_empty:")
        return
    st.markdown(ranking_text(looked, counts))
    st.caption("  \n".join(evidence_texts(looked, counts)))
    if counts.peak is None:
        st.info(unranked_text(looked, counts), icon=":material/filter_alt_off:")
    panel = _panel_input(looked)
    chosen, cell = _cell(looked, counts)
    if panel == "cells":
        study_sides.draw(looked, counts, chosen)
        return
    best = chosen is None
    if panel in WIDE or cell is None:
        _draw_panel(looked, counts, panel, chosen, cell)
        outcome = study_cell.draw(looked, cell, best, columns=4) if cell else None
    else:
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _draw_panel(looked, counts, panel, chosen, cell)
        with right:
            outcome = study_cell.draw(looked, cell, best) if cell else None
    if outcome is not None:
        study_cell.draw_value(looked, outcome)


def _panel_input(looked: Looked) -> str:
    titles = dict(TITLES)
    if len(looked.parameters) == 1:
        titles["heatmap"] = "Line"
        del titles["slices"]  # it would be the same line
    key = f"{looked.page}.panel"
    if st.session_state.get(key) not in titles:
        st.session_state[key] = PANELS[0]
    panel = st.segmented_control(
        "Results as",
        list(titles),
        required=True,
        key=key,
        persist_state="page",
        format_func=titles.__getitem__,
        label_visibility="collapsed",
    )
    return panel or PANELS[0]


def _cell(looked: Looked, counts: Counts) -> tuple[int | None, CellResult | None]:
    """The cell that was chosen, None where it was not; and the one to show."""
    chosen = chosen_cell(looked.page)
    cell = None if chosen is None else study_cell.found(looked, chosen)
    if cell is not None:
        return chosen, cell
    best = counts.best if counts.best is not None else counts.peak
    return None, None if best is None else study_cell.found(looked, best)


def _draw_panel(
    looked: Looked, counts: Counts, panel: str, chosen: int | None, cell: CellResult | None
) -> None:
    match panel:
        case "heatmap":
            study_heatmap.draw(looked, counts, chosen)
        case "table":
            study_table.draw(looked, chosen)
        case "trade-offs":
            study_plots.draw_trade_offs(looked, None if cell is None else cell.cell_id)
        case "parallel":
            study_plots.draw_parallel(looked)
        case "slices":
            here = counts.default if cell is None else cell.cell_id
            study_plots.draw_slices(looked, counts, here)
        case _:
            study_evidence.draw(looked, cell)


def unstored_text(looked: Looked) -> str:
    """Why there is nothing to show yet."""
    progress = looked.study.progress
    if len(looked.symbols) == 1 or progress.completed <= progress.invalid:
        return "No cell is stored yet."
    return "Pooled cells are shown once every symbol has them; choose one symbol to see its own."


def ranking_text(looked: Looked, counts: Counts) -> str:
    """What ranked what, in a sentence, and how many cells took part."""
    many = f"{len(looked.symbols)} symbols** (the mean of the scores on each)"
    of = f"{plain(looked.symbols[0])}**" if len(looked.symbols) == 1 else many
    so_far = ""
    if counts.stored < counts.total:
        so_far = f"So far {counts.stored:,} of {counts.total:,} cells. "
    told = f"{so_far}Ranked by {_goals_text(looked)} of **{of} on **{looked.part}**"
    if counts.peak is None:
        return f"{told}."
    standing = f"{counts.feasible:,} are feasible"
    if looked.constraints:
        standing = rejected_text(looked, counts)
    return f"{told}; best is the cell whose neighbours are good too. {standing}."


def _goals_text(looked: Looked) -> str:
    several = len(looked.goals) > 1
    ways = {"up": "↑", "down": "↓", None: ""}
    told = []
    for goal in looked.goals:
        column = looked.column(goal.metric)
        weight = f"{value_text(goal.weight)} × " if several else ""
        told.append(f"{weight}**{within(column.label)}** {ways[column.direction]}")
    return " + ".join(told)


def unranked_text(looked: Looked, counts: Counts) -> str:
    """Why no cell is ranked, and what to do about it."""
    if not counts.rejected:
        return "**No cell is ranked**: a goal is undefined for each. Rank by another metric."
    reach = kept(looked, _reached)
    failing = {one.metric for one in looked.constraints if counts.rejected_by[str(one)]}
    told = ", ".join(
        f"{within(METRIC[name].label)} from {metric_text(METRIC[name], low)} to "
        f"{metric_text(METRIC[name], high)}"
        for name, (low, high) in reach.items()
        if name in failing
    )
    return (
        f"**No cell is left to rank**: {rejected_text(looked, counts)}. "
        f"{f'The cells have {told}. ' if told else ''}Loosen or remove a constraint in the form; "
        "nothing is run again for it."
    )


def _reached(looked: Looked) -> dict[str, tuple[float, float]]:
    return study_results.reached(looked.database, looked.study_id, looked.view)


def evidence_texts(looked: Looked, counts: Counts) -> list[str]:
    """What every reader of a ranking must know, in short."""
    request, symbols = looked.request, looked.symbols
    one = symbols[0] if len(symbols) == 1 else None
    told = [plain(text) for text in looked.study.evidence if one and text.startswith(f"{one}:")]
    told.append(SPLIT if request.split else "No vault.")
    if request.sampled:
        told.append(f"A sample of {request.max_cells:,} of {request.combinations:,} combinations.")
    for cells, what in ((counts.invalid, "invalid"), (counts.unranked, "without a goal's value")):
        if cells:
            told.append(f"{cells:,} {what}.")
    tried = sum(looked.study.trials[symbol] for symbol in symbols)
    luck = (
        f"{tried:,} cells have ever been tried on {plain(one or 'these symbols')}: the best of many"
    )
    return [" ".join(told), f"{luck} is partly luck."]

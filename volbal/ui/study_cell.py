"""The chosen cell of a study: what it is worth, its full simulation, and where it can go."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from volbal.domain.configuration import difference
from volbal.domain.position import Position
from volbal.engine.metrics import METRICS
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import UNDEFINED, metric_text
from volbal.services import positions, study_results
from volbal.services.research import Simulation
from volbal.services.study_results import CellResult
from volbal.services.study_sides import MOST
from volbal.ui import acting, address, components, forms, log, setting
from volbal.ui.fields import parameter_text
from volbal.ui.study_shared import (
    SCORES,
    Looked,
    constraint_text,
    kept,
    label,
    option_input,
    pinned,
    turn_pin,
)

PAGES: Final = Path(__file__).parents[2] / "pages"
SIMULATE: Final = PAGES / "simulate.py"
POSITION: Final = PAGES / "position.py"


def draw(looked: Looked, cell: CellResult, best: bool, columns: int = 2) -> Simulation | None:
    """What is known of the cell; returns its simulation, None where it cannot be simulated.

    best: it is shown because it is the best one, not because it was chosen.
    """
    st.subheader("Best cell" if best else "Selected cell")
    st.markdown(f"**{parameter_text(dict(cell.parameters))}**")
    told = [best_text(cell)] if best else []
    st.caption("  \n".join([*told, standing_text(looked, cell)]))
    if cell.status == "invalid":
        st.warning(why_invalid(looked, cell.cell_id), icon=":material/block:")
        return None
    outcome = _show_simulation(looked, cell.cell_id, columns)
    with st.container(horizontal=True, vertical_alignment="center"):
        if outcome is not None:
            link(outcome)
        apply_button(looked, cell, f"{looked.page}-apply")
        _pin_buttons(looked, cell.cell_id)
    _draw_metrics(looked, cell)
    return outcome


def apply_button(looked: Looked, cell: CellResult, key: str) -> None:
    """What makes the cell's policy that of a position."""
    if st.button(
        "Apply to a position",
        key=key,
        icon=":material/rule_settings:",
        help="Make this policy that of an open position; you see what changes first.",
    ):
        _apply_to_position(looked, cell)


def _pin_buttons(looked: Looked, cell_id: int) -> None:
    """What puts the cell beside others, and the way to them."""
    page, cells = looked.page, pinned(looked.page)
    full = len(cells) >= MOST and cell_id not in cells
    st.button(
        "Take out of comparison" if cell_id in cells else "Compare",
        key=f"{page}-pin",
        icon=":material/compare_arrows:",
        disabled=full,
        on_click=turn_pin,
        args=(page, cell_id),
        help=f"{MOST} cells stand side by side already: take one out first."
        if full
        else f"Puts it side by side with others, {MOST} at most; the link keeps them.",
    )
    if cells:
        st.button(
            f"Side by side ({len(cells)})",
            key=f"{page}-sides",
            type="tertiary",
            icon=":material/view_column_2:",
            on_click=forms.remember,
            args=(page, {"panel": "cells"}),
        )


@st.fragment
def _draw_metrics(looked: Looked, cell: CellResult) -> None:
    """The table is drawn where it is opened: no page has to wait for it."""
    expander = st.expander(
        "All metrics of this cell", key=f"{looked.page}-all-metrics", on_change="rerun"
    )
    if expander.open:
        with expander:
            _show_metrics(looked, cell)


def _show_simulation(looked: Looked, cell_id: int, columns: int) -> Simulation | None:
    """The headline of the full simulation; where the prices are others now, only why."""
    try:
        outcome = kept(looked, simulated, cell_id, symbol_input(looked))
    except VolbalError as error:
        st.error(f"It cannot be simulated again: {error}", icon=":material/error:")
        return None
    components.headline(outcome, columns=columns)
    components.show_bracket(outcome)
    return outcome


def draw_value(looked: Looked, outcome: Simulation) -> None:
    """Value and drawdown over time."""
    with st.container(border=True):
        components.draw_value(outcome, f"{looked.page}-value", height=400)


def standing_text(looked: Looked, cell: CellResult) -> str:
    """Where the cell stands among the others, and why it stands nowhere."""
    if cell.status == "invalid":
        return "Breaks a bound and was not simulated."
    if cell.rejected_by:
        failed = ", ".join(map(constraint_text, cell.rejected_by))
        return f"Rejected: not {failed}. Simulated and shown, not ranked."
    if cell.rank is None:
        return "Not ranked: a goal is undefined for it."
    told = [f"Rank {cell.rank:,} by score" + alike_text(cell.alike)]
    values = {"score": cell.score, "plateau": cell.plateau, "fragility": cell.fragility}
    for name, value in values.items():
        text = metric_text(SCORES[name], value)
        told.append(f"{SCORES[name].label.lower()} {text}")
    if pd.isna(cell.plateau):
        told.append("no plateau: fewer than half of its neighbours are ranked")
    return " · ".join(told)


def alike_text(cells: int) -> str:
    """How many other cells share a rank."""
    if not cells:
        return ""
    return f", shared with {cells:,} other{'' if cells == 1 else 's'}"


def best_text(cell: CellResult) -> str:
    """What the best cell is best by, and why that need not be the highest score."""
    if pd.isna(cell.plateau):
        return "Highest score; no cell has enough ranked neighbours for a plateau."
    if cell.rank == 1:
        return "Best by plateau, the mean score of a cell and its neighbours, and by score."
    return (
        "Best by plateau, the mean score of a cell and its neighbours: those that score higher "
        "by themselves stand among worse ones."
    )


def why_invalid(looked: Looked, cell_id: int) -> str:
    """Which bound a cell breaks."""
    try:
        study_results.cell_policy(looked.database, looked.study_id, cell_id)
    except InvalidInput as error:
        return str(error)
    return "It breaks a bound."


def symbol_input(looked: Looked) -> str:
    """Whose prices the cell is simulated on."""
    if len(looked.symbols) == 1:
        return looked.symbols[0]
    symbol: str = option_input(
        st,
        looked,
        "simulated",
        "Simulated on",
        list(looked.symbols),
        help=f"The ranking pools all symbols; a simulation is of one. "
        f"Example: {looked.symbols[0]}.",
    )
    return symbol


def simulated(looked: Looked, cell_id: int, symbol: str) -> Simulation:
    """The full simulation of one cell on one symbol."""
    return study_results.simulate_cell(looked.database, looked.study_id, cell_id, symbol)


def link(outcome: Simulation) -> None:
    """The way to the simulation on its own page."""
    history = outcome.prepared.history
    setup = replace(outcome.prepared.setup, start=history.first_date, end=history.last_date)
    asked = address.Question(history.symbol, outcome.policy, setup)
    st.page_link(
        SIMULATE,
        label="Open in Simulate",
        icon=":material/open_in_new:",
        query_params=address.write_question(asked, forms.SOURCE),
    )


def _show_metrics(looked: Looked, cell: CellResult) -> None:
    scores = {"plateau": cell.plateau, "score": cell.score, "fragility": cell.fragility}
    columns = [*(SCORES[name] for name in scores), *METRICS]
    values = scores | dict(cell.metrics)
    frame = pd.DataFrame(
        {
            "Metric": [label(looked.column(one.name)) for one in columns],
            "Value": [metric_text(one, values[one.name]) for one in columns],
            "Meaning": [
                f"{UNDEFINED} {cell.undefined[one.name]}"
                if one.name in cell.undefined
                else components.sentence(one)
                for one in columns
            ],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        height=420,
        column_config={
            "Metric": st.column_config.TextColumn(width=165, pinned=True),
            "Value": st.column_config.TextColumn(alignment="right", width=90),
            "Meaning": st.column_config.TextColumn(width=600),
        },
        alt="Every metric of the cell; of undefined ones why",
    )


@st.dialog("Apply to a position", width="medium")
def _apply_to_position(looked: Looked, cell: CellResult) -> None:
    st.markdown(f"**{parameter_text(dict(cell.parameters))}**")
    found = [one for one in positions.list_positions(looked.database) if one.balance.is_open]
    if not found:
        st.info("There is no open position. Open one first.", icon=":material/add_circle:")
        st.page_link(POSITION, label="Open a position", query_params={"id": "new"})
        return
    names = {log.position_text(one.position_id, one.ticker): one for one in found}
    usual = [name for name, one in names.items() if one.ticker in looked.request.symbols]
    name = st.selectbox(
        "Position",
        list(dict.fromkeys((*usual, *names))),
        index=0 if usual else None,
        key=f"{looked.page}-position",
        placeholder=f"none is of {', '.join(looked.request.symbols)}: choose one",
        help=f"Only open ones. Example: {next(iter(names))}.",
    )
    if name is None:
        return
    position = names[name]
    if position.ticker not in looked.request.symbols:
        st.warning(
            f"The study is of {', '.join(looked.request.symbols)}, the position of "
            f"{position.ticker}.",
            icon=":material/warning:",
        )
    _preview(looked, cell, position)


def _preview(looked: Looked, cell: CellResult, position: Position) -> None:
    """What would change, and the button that changes it."""
    policy = study_results.policy_for(looked.database, looked.study_id, cell.cell_id, position)
    after = replace(position.configuration, policy=policy)
    changes = difference(position.configuration, after)
    if not changes:
        if f"{looked.page}-applied" in st.session_state:  # by this dialog, which is done
            st.rerun()
        st.info("The position has exactly this policy already.", icon=":material/check:")
        return
    st.markdown("**What changes**")
    st.table(setting.told(changes), border="horizontal", hide_index=True)
    token = acting.token(f"apply-{looked.study_id}-{cell.cell_id}-{position.position_id}")
    if st.button(
        "Apply",
        key=f"{looked.page}-confirm",
        type="primary",
        icon=":material/check:",
        on_click=acting.act,
        args=(token, _apply, looked, cell.cell_id, position),
    ):
        st.rerun()


def _apply(looked: Looked, cell_id: int, position: Position) -> str:
    study_results.apply_to_position(
        looked.database, looked.study_id, cell_id, position.position_id, acting.now()
    )
    st.session_state[f"{looked.page}-applied"] = position.position_id
    name = log.position_text(position.position_id, position.ticker)
    return f"{name} has this policy now; its settings show the step and roll it back."


def show_applied(looked: Looked) -> None:
    """Right after a policy was applied, the way to its position."""
    position_id = st.session_state.pop(f"{looked.page}-applied", None)
    if position_id is not None:
        st.page_link(
            POSITION,
            label="Go to the position",
            icon=":material/balance:",
            query_params={"id": str(position_id)},
        )


def found(
    looked: Looked, cell_id: int, instead: str = "The best cell is shown."
) -> CellResult | None:
    """The cell; None, and said why and what happens instead, where the study has none such."""
    try:
        return kept(looked, _cell, cell_id)
    except VolbalError as error:
        st.warning(f"{error} {instead}", icon=":material/link_off:")
        return None


def _cell(looked: Looked, cell_id: int) -> CellResult:
    return study_results.cell(looked.database, looked.study_id, cell_id, looked.view)

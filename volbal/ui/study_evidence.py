"""How far a study's ranking can be trusted: its ranges, the select part, and the vault."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pandas as pd
import streamlit as st

from volbal.engine.metrics import METRIC
from volbal.errors import VolbalError
from volbal.formatting import metric_text
from volbal.services import study_results
from volbal.services.study_results import CellResult, Selection, Vault
from volbal.ui import acting, tables
from volbal.ui.fields import parameter_text, shown_value
from volbal.ui.log import plain
from volbal.ui.study_shared import (
    KEY_METRICS,
    Looked,
    choose,
    field_label,
    kept,
    key_of,
    label,
)

ELEMENT: Final = "selection"
MOMENT: Final = "%Y-%m-%d %H:%M UTC"


def draw(looked: Looked, cell: CellResult | None) -> None:
    """Everything beside the ranking itself."""
    if looked.request.split:
        _draw_selection(looked)
        _draw_vault(looked, cell)
    st.markdown("**What the cells are of**")
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in looked.study.evidence))


def _draw_selection(looked: Looked) -> None:
    st.markdown(
        "**Select part**",
        help="The best 1 % by plateau of the search part, and the one with the highest score, "
        "ranked again on the 20 % of the range after it. A cell that is good on both was less "
        "likely lucky.",
    )
    if looked.study.progress.remaining:
        st.info("The select part is ranked when the study is completed.")
        return
    try:
        found = kept(looked, _selection)
    except VolbalError as error:
        st.error(str(error), icon=":material/error:")
        return
    _show_selection(looked, found)


def _show_selection(looked: Looked, found: Selection) -> None:
    st.caption(f"{len(found.rows):,} cells from {found.first} to {found.last}.")
    rows = found.rows
    frame = pd.DataFrame(
        {
            "select": rows["select_rank"],
            "search": rows["search_rank"],
            **{name: [shown_value(v) for v in rows[name].tolist()] for name in looked.parameters},
            **{
                name: [metric_text(METRIC[name], value) for value in rows[name].tolist()]
                for name in _metrics(looked)
            },
        }
    )
    key, cells = key_of(looked, ELEMENT), rows["cell_id"].tolist()

    def clicked() -> None:
        selected = st.session_state[key]["selection"]["rows"]
        choose(looked.page, int(cells[selected[0]]) if selected else None, ELEMENT)

    config = {
        name: st.column_config.TextColumn(field_label(name), alignment="right")
        for name in looked.parameters
    }
    config |= {
        name: st.column_config.TextColumn(METRIC[name].label, alignment="right")
        for name in _metrics(looked)
    }
    tables.show(
        frame,
        key,
        config
        | {
            "select": st.column_config.NumberColumn("Select rank", pinned=True),
            "search": st.column_config.NumberColumn("Search rank"),
        },
        alt="The best cells of the search part, ranked on the select part",
        height="content" if len(frame) <= tables.MANY else 390,
        on_select=clicked,
        selection_mode="single-row",
    )
    tables.downloads(rows, f"study-{looked.study_id}-select", f"{looked.page}-select-file")


def _metrics(looked: Looked) -> list[str]:
    goals = [goal.metric for goal in looked.goals]
    return list(dict.fromkeys((*goals, *KEY_METRICS)))


def _selection(looked: Looked) -> Selection:
    return study_results.selection(looked.database, looked.study_id, looked.view)


def _draw_vault(looked: Looked, cell: CellResult | None) -> None:
    st.markdown(
        "**Vault**",
        help="The last 20 % of the range, which no cell of this study has seen. It can be opened "
        "once, for one cell: the best of several would be chosen by luck again.",
    )
    opened = study_results.vault(looked.database, looked.study_id)
    if opened is not None:
        _show_vault(looked, opened)
        return
    st.caption("Closed: the last 20 % of the range, which no cell of this study has seen.")
    _doubt_vault(looked)
    if cell is None or cell.status == "invalid":
        st.caption("Choose a cell that was simulated to open it for.")
        return
    if st.button(
        f"Open it for {parameter_text(dict(cell.parameters))}",
        key=f"{looked.page}-vault",
        icon=":material/lock_open:",
        wrap=True,
    ):
        _open_vault(looked, cell)


def _doubt_vault(looked: Looked) -> None:
    """Say who has seen its dates: what was chosen with their help finds nothing new there."""
    try:
        seen = study_results.seen_before(looked.database, looked.study_id)
    except VolbalError as error:
        st.error(str(error), icon=":material/error:")
        return
    if seen:
        told = " ".join((*seen, "It is a weaker proof for what those studies led to."))
        st.warning(told, icon=":material/visibility:")


@st.dialog("Open the vault?")
def _open_vault(looked: Looked, cell: CellResult) -> None:
    st.markdown(
        f"**{parameter_text(dict(cell.parameters))}** is simulated on the last 20 % of the range "
        "and stamped. The vault opens once: no other cell of this study can be tried on it."
    )
    token = acting.token(f"vault-{looked.study_id}-{cell.cell_id}")
    if st.button(
        "Open it, once",
        key=f"{looked.page}-vault-confirm",
        type="primary",
        icon=":material/lock_open:",
        on_click=acting.act,
        args=(token, _opened, looked, cell.cell_id),
    ):
        st.rerun()


def _opened(looked: Looked, cell_id: int) -> str:
    found = study_results.open_vault(looked.database, looked.study_id, cell_id, acting.now())
    return f"The vault is open: {found.first} to {found.last}, stamped."


def _show_vault(looked: Looked, opened: Vault) -> None:
    """What the vault said, beside what the search part had promised."""
    values = parameter_text(looked.parameters_of(opened.cell_id))
    st.caption(
        f":material/lock_open: Opened {opened.opened_at.strftime(MOMENT)} for {values}: "
        f"{opened.first} to {opened.last}."
    )
    parts: dict[str, Mapping[str, float]] = {}
    for symbol, metrics in opened.metrics.items():
        head = f"{symbol}: " if len(opened.metrics) > 1 else ""
        searched = kept(looked, _searched, opened.cell_id, symbol)
        parts |= {f"{head}search part": searched, f"{head}vault": metrics}
        st.markdown(f"{plain(head)}{_promised_text(looked, searched, metrics)}")
    names = list(dict.fromkeys((*_metrics(looked), *METRIC)))
    frame = pd.DataFrame(
        {
            "Metric": [label(looked.column(name)) for name in names],
            **{
                part: [metric_text(METRIC[name], metrics[name]) for name in names]
                for part, metrics in parts.items()
            },
        }
    )
    tables.show(
        frame,
        f"{looked.page}-vault-said",
        {
            part: st.column_config.TextColumn(part[:1].upper() + part[1:], alignment="right")
            for part in parts
        },
        alt="Every metric of the cell on the search part and on the vault part, the goals first",
        name=f"study-{looked.study_id}-vault",
        height=390,
    )


def _searched(looked: Looked, cell_id: int, symbol: str) -> Mapping[str, float]:
    """Metrics of a cell on the search part."""
    view = replace(looked.view, symbol=symbol)
    return study_results.cell(looked.database, looked.study_id, cell_id, view).metrics


def _promised_text(looked: Looked, searched: Mapping[str, float], said: Mapping[str, float]) -> str:
    """The goals in the vault, beside what the search part had promised."""
    return " · ".join(
        f"{METRIC[goal.metric].label} "
        f"**{metric_text(METRIC[goal.metric], said[goal.metric])}** in the vault, "
        f"{metric_text(METRIC[goal.metric], searched[goal.metric])} on the search part"
        for goal in looked.goals
    )

"""Studies in a list: the latest, all of them as a table, and what can be done with the chosen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from volbal.domain.study_states import StudyState
from volbal.domain.wording import duration
from volbal.engine.metrics import METRIC
from volbal.formatting import UNDEFINED, metric_text, number
from volbal.services import studies, study_results
from volbal.services.running import Database
from volbal.services.studies import LONGEST_NOTE, Study
from volbal.services.study_request import LONGEST_NAME
from volbal.ui import acting, study_words, tables
from volbal.ui.fields import FIELDS, parameter_text, shown_value
from volbal.ui.log import plain
from volbal.ui.study_words import within

PAGES = Path(__file__).resolve().parents[2] / "pages"
OPTIMIZE, STUDIES = PAGES / "optimize.py", PAGES / "studies.py"
LATEST: Final = 8
PER_PAGE: Final = 20
LOOK_SECONDS: Final = 1.0
"""How often a list with a running study is looked at."""

PICKED: Final = "ids"
"""The chosen studies in the URL."""

OPENED: Final = "studies-opened"
"""The study whose button was clicked."""

SAVED: Final = "Name and notes are saved."

DOOMED: Final = "studies-doomed"
"""The studies whose deletion waits for a second word."""


def recent(database: Database) -> None:
    """The latest studies as links."""
    known = studies.list_studies(database, LATEST)
    st.subheader("Recent studies")
    if not known:
        st.caption("None yet. Press Run: the example takes about a second.")
        return
    for study in known:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            link(study)
            badge, has = study_words.badge(study.progress), study_words.ended_text(study.progress)
            st.markdown(f"{badge} :gray[{has} · {age_text(study)}]")
    st.page_link(STUDIES, label="All studies", icon=":material/list:")


def link(study: Study) -> None:
    """Its number and name, leading to it."""
    st.page_link(
        OPTIMIZE,
        label=f"**{study.study_id} · {plain(study.request.name)}**",
        query_params={"study": str(study.study_id)},
    )


def age_text(study: Study) -> str:
    """How long ago it was saved."""
    return f"{duration((acting.now() - study.created_at).total_seconds())} ago"


def picked() -> tuple[int, ...]:
    """The studies that the URL names as chosen."""
    words = st.query_params.get(PICKED, "").split(",")
    return tuple(sorted({int(word) for word in words if word.isdecimal()}))


def pick(ids: Sequence[int]) -> None:
    """Choose these studies."""
    if ids:
        st.query_params[PICKED] = ",".join(map(str, sorted(ids)))
    else:
        st.query_params.pop(PICKED, None)


def table(database: Database, known: Sequence[Study]) -> None:
    """A page of all studies, live while one runs; ticked rows are the chosen ones."""
    pages = -(-len(known) // PER_PAGE)
    page = st.pagination(pages, key="studies.page", bind="query-params") if pages > 1 else 1
    shown = known[(page - 1) * PER_PAGE : page * PER_PAGE]
    drawn, standings = picked(), [study.progress.standing for study in shown]
    live = any(study.state is StudyState.RUNNING for study in shown)

    @st.fragment(run_every=LOOK_SECONDS if live else None)
    def lines() -> None:
        newest = [studies.get(database, study.study_id) for study in shown] if live else shown
        if picked() != drawn or [one.progress.standing for one in newest] != standings:
            st.rerun()
        _lines(database, newest)
        opened = st.session_state.pop(OPENED, None)
        if opened is not None:
            st.switch_page(OPTIMIZE, query_params={"study": str(opened)})

    lines()


def _lines(database: Database, shown: Sequence[Study]) -> None:
    ids = [study.study_id for study in shown]
    chosen = [row for row, study_id in enumerate(ids) if study_id in picked()]
    key = _table_key(ids, chosen)

    def on_pick() -> None:
        elsewhere = [one for one in picked() if one not in ids]
        pick([*elsewhere, *(ids[row] for row in _rows(key))])

    def on_open() -> None:
        clicked = st.session_state[f"{key}-open"]
        st.session_state[OPENED] = ids[clicked["row"]]

    opening = st.column_config.ButtonColumn(
        "", width=60, type="tertiary", pinned=True, key=f"{key}-open", on_click=on_open
    )
    frame = pd.DataFrame([_line(database, study) for study in shown])
    tables.show(
        frame,
        key,
        {"open": opening, **COLUMNS},
        alt="Studies, newest first",
        height=tables.roomy(shown),
        on_select=on_pick,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": chosen}},
    )
    tables.downloads(frame.drop(columns="open"), "studies", "studies-downloads")


def _table_key(ids: Sequence[int], chosen: Sequence[int]) -> str:
    """Another key where the rows or, from elsewhere, the choice have changed."""
    turn = st.session_state.setdefault("studies-turn", 0)
    key = f"studies-table-{turn}-{ids[0]}-{len(ids)}"
    if key in st.session_state and _rows(key) != list(chosen):
        st.session_state["studies-turn"] = turn + 1
        return _table_key(ids, chosen)
    return key


def _rows(key: str) -> list[int]:
    return sorted(st.session_state[key]["selection"]["rows"])


COLUMNS: Final[dict[str, Any]] = {
    "study": st.column_config.NumberColumn("Study", width=50, pinned=True),
    "state": st.column_config.TextColumn("State", width=95),
    "best": st.column_config.TextColumn(
        "Best",
        width=75,
        alignment="right",
        help="Of the cell with the best plateau, once the study no longer runs",
    ),
    "name": st.column_config.TextColumn("Name", width=230),
    "goal": st.column_config.TextColumn("Goal", width=110, help="The first one: what Best is of"),
    "at": st.column_config.TextColumn("Best cell", width=290),
    "progress": st.column_config.ProgressColumn("Progress", format="percent", width=110),
    "cells": st.column_config.NumberColumn("Cells", format="localized", width=80),
    "symbols": st.column_config.TextColumn("Symbols", width=110),
    "created": st.column_config.DatetimeColumn("Created", format="YYYY-MM-DD HH:mm", width=140),
    "note": st.column_config.TextColumn("Note", width=160),
}


def _line(database: Database, study: Study) -> dict[str, Any]:
    done = 0 if study.state is StudyState.RUNNING else study.progress.completed  # costly to follow
    best, at = _best(database, str(database.path), study.study_id, done)
    return {
        "open": "Open",
        "study": study.study_id,
        "state": study.progress.standing,
        "best": best,
        "name": study.request.name,
        "goal": METRIC[study.request.goals[0].metric].label,
        "at": at,
        "progress": study.progress.percentage / 100.0,
        "cells": study.progress.total,
        "symbols": ", ".join(study.request.symbols),
        "created": study.created_at,
        "note": study.note,
    }


@st.cache_data(max_entries=1000, show_spinner=False)
def _best(_database: Database, path: str, study_id: int, completed: int) -> tuple[str, str]:
    """First goal and parameters of the best cell of those stored."""
    best = study_results.counts(_database, study_id).best if completed else None
    if best is None:
        return UNDEFINED, ""
    cell = study_results.cell(_database, study_id, best)
    goal = studies.get(_database, study_id).request.goals[0].metric
    return metric_text(METRIC[goal], cell.metrics[goal]), parameter_text(dict(cell.parameters))


def details(database: Database, study: Study) -> None:
    """One study: what it asks, what can be done with it, notes, history."""
    with st.container(border=True):
        badge = study_words.badge(study.progress)
        st.markdown(f"#### {study.study_id} · {plain(study.request.name)} {badge}")
        st.markdown(study_words.request_text(study.request))
        if study.progress.error:
            st.error(plain(study.progress.error), icon=":material/error:")
        _actions(database, study)
        _words(database, study)
        with st.expander("History and evidence", icon=":material/history:"):
            lines = [
                f"- {event.happened_at:%Y-%m-%d %H:%M:%S} UTC: {event.sentence}"
                for event in study.history
            ]
            st.markdown("\n".join([*lines, *(f"- {told}" for told in study.evidence)]))


def _actions(database: Database, study: Study) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            OPTIMIZE,
            label="Open",
            icon=":material/open_in_full:",
            query_params={"study": str(study.study_id)},
        )
        for label, (icon, does) in _possible(study.state).items():
            st.button(
                label,
                icon=f":material/{icon}:",
                key=f"studies-{label}-{study.study_id}-{study.state}",
                on_click=acting.act,
                args=(acting.token(f"{label}-{study.study_id}"), does, database, study.study_id),
            )
        if study.state is not StudyState.RUNNING:
            _delete_button([study])


def _possible(state: StudyState) -> dict[str, tuple[str, Callable[[Database, int], str]]]:
    copying = {"Duplicate": ("content_copy", _duplicate)}
    match state:
        case StudyState.DRAFT:
            return {"Run": ("play_arrow", _start), **copying}
        case StudyState.RUNNING:
            return {"Cancel": ("stop_circle", _cancel), **copying}
        case StudyState.COMPLETED:
            return {"Run again": ("replay", _rerun), **copying}
    return {"Resume": ("play_arrow", _resume), "Run again": ("replay", _rerun), **copying}


def _start(database: Database, study_id: int) -> str:
    studies.start(database, study_id, acting.now())
    return f"Study {study_id} is started."


def _cancel(database: Database, study_id: int) -> str:
    studies.cancel(database, study_id, acting.now())
    return f"Study {study_id} is cancelled. What is stored stays, and resuming goes on from there."


def _resume(database: Database, study_id: int) -> str:
    studies.resume(database, study_id, acting.now())
    return f"Study {study_id} goes on."


def _rerun(database: Database, study_id: int) -> str:
    made = studies.rerun(database, study_id, acting.now())
    pick([made.study_id])
    return f"Study {made.study_id} asks the same as study {study_id} and is started."


def _duplicate(database: Database, study_id: int) -> str:
    made = studies.duplicate(database, study_id, acting.now())
    pick([made.study_id])
    return f"Draft {made.study_id} is a copy of study {study_id}: open it to change it."


def _delete_button(chosen: Sequence[Study]) -> None:
    several = f" {len(chosen)} studies" if len(chosen) > 1 else ""
    st.button(
        f"Delete{several}",
        icon=":material/delete:",
        key="studies-delete",
        on_click=lambda: st.session_state.update({DOOMED: [one.study_id for one in chosen]}),
    )


def confirm(database: Database, known: Sequence[Study]) -> None:
    """Ask once more before anything is deleted; the question stays while the page goes on."""
    ids = st.session_state.get(DOOMED, ())
    doomed = [study for study in known if study.study_id in ids]
    if doomed:
        _ask(database, doomed)


def _spare() -> None:
    st.session_state[DOOMED] = ()


@st.dialog("Delete?", on_dismiss=_spare)
def _ask(database: Database, doomed: Sequence[Study]) -> None:
    names = "\n".join(
        f"- {study.study_id} · {plain(study.request.name)}, "
        f"{study_words.ended_text(study.progress)}"
        for study in doomed
    )
    st.markdown(
        f"{names}\n\nThe cells, history and notes are removed. This cannot be undone; the count "
        "of cells ever tried on a symbol keeps them."
    )
    ids = [study.study_id for study in doomed]
    if st.button(
        "Delete for good",
        type="primary",
        icon=":material/delete:",
        on_click=acting.act,
        args=(acting.token(f"delete-{ids}"), _delete, database, ids),
    ):
        st.rerun()


def _delete(database: Database, ids: Sequence[int]) -> str:
    _spare()
    for study_id in ids:
        studies.delete(database, study_id)
    pick([one for one in picked() if one not in ids])
    named = ", ".join(map(str, ids))
    return f"Study {named} is deleted." if len(ids) == 1 else f"Studies {named} are deleted."


def _words(database: Database, study: Study) -> None:
    """The user's own words. They are saved as they are left, so that no click loses them; and
    without a word, which would move from under the pointer what is clicked meanwhile."""
    key = f"studies-words-{study.study_id}"

    def save(told: str = "") -> None:
        form = f"{key}-{'pressed' if told else 'left'}"
        acting.act(acting.token(form), _keep, database, study, key, told)

    st.text_input(
        "Name",
        study.request.name,
        key=f"{key}-name",
        max_chars=LONGEST_NAME,
        on_change=save,
        help="What it is called in lists. Example: KO, wide triggers.",
    )
    st.text_area(
        "Notes",
        study.note,
        key=f"{key}-note",
        max_chars=LONGEST_NOTE,
        height=80,
        on_change=save,
        placeholder="What you think of it",
        help="Kept with the study. Example: good plateau, but few fills.",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Save", key=f"{key}-save", icon=":material/save:", on_click=save, args=(SAVED,))
        st.caption("Also saved when you click elsewhere.")


def _keep(database: Database, study: Study, key: str, told: str) -> str:
    name, text = (st.session_state[f"{key}-{word}"] for word in ("name", "note"))
    studies.note(database, study.study_id, text)
    studies.rename(database, study.study_id, name, acting.now())
    return told


def compare(database: Database, chosen: Sequence[Study]) -> None:
    """Studies side by side: what they ask differently, and their best cells."""
    ids = tuple(study.study_id for study in chosen)
    found = study_results.compare(database, ids)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Side by side", width="stretch")
        if all(study.state is not StudyState.RUNNING for study in chosen):
            _delete_button(chosen)
    st.markdown("**Settings that differ**")
    if found.settings.empty:
        st.caption("They ask exactly the same.")
    else:
        tables.show(
            found.settings.rename(index=_setting).rename_axis("Setting").reset_index(),
            "studies-settings",
            alt="Settings that differ",
            name="studies-settings",
        )
    st.markdown(
        "**Best cells**",
        help="The cell with the best plateau of each. Scores compare cells of one study only; "
        "metrics compare across studies where range and prices are the same.",
    )
    tables.show(_turned(found.cells), "studies-cells", alt="Best cells", name="studies-cells")


def _turned(cells: pd.DataFrame) -> pd.DataFrame:
    """One line a figure, one column a study."""
    columns = {}
    for _, row in cells.iterrows():
        columns[f"{row['study_id']} · {row['name']}"] = {
            _label(name): _text(name, row[name])
            for name in cells.columns
            if name not in ("study_id", "name")
        }
    return pd.DataFrame(columns).rename_axis("Figure").reset_index()


def _setting(name: str) -> str:
    kind, _, field = name.partition(" ")
    if kind == "parameter":
        return f"{_label(field)}, values"
    return f"{kind.capitalize()}: {within(_label(field))}" if field else _label(name)


def _label(name: str) -> str:
    if name in METRIC:
        return METRIC[name].label
    return FIELDS[name].label if name in FIELDS else name.replace("_", " ").capitalize()


def _text(name: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return UNDEFINED
    if name in METRIC:
        return metric_text(METRIC[name], float(value))
    if isinstance(value, float) and name in study_results.SCORES:
        return number(value, 3)
    return shown_value(value)

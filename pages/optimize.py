"""Optimize: a study, asked for in the sidebar, run in the background, its results below."""

from pathlib import Path

import streamlit as st

from volbal.domain.study_states import StudyState
from volbal.services import studies
from volbal.services.running import Database
from volbal.services.studies import Study, StudyNotFound
from volbal.services.study_results import View
from volbal.ui import (
    acting,
    address,
    forms,
    study_address,
    study_form,
    study_list,
    study_run,
    study_view,
    study_words,
)
from volbal.ui.log import plain

PAGE = "optimize"
MOST_DIGITS = 18  # of the number of a study; a string here would stand on the page

STUDIES = Path(__file__).with_name("studies.py")


def arrived(database: Database) -> Study | None:
    """The study that the page is of; a link's form becomes the sidebar's."""
    query = address.arrival(PAGE)
    if query is not None:
        study, problems = linked(database, query)
        base = study_address.EXAMPLE if study is None else study.request
        state, more = study_address.read(query, base, forms.SOURCE.symbols())
        forms.remember(PAGE, state | {"study": study and study.study_id, "fitted": {}})
        forms.show_problems(problems + more)
        return study
    if forms.recalled(PAGE, "study") is None:
        return None
    study, problems = found(database, forms.recalled(PAGE, "study"))
    forms.remember(PAGE, {"study": study and study.study_id})
    forms.show_problems(problems)
    return study


def linked(database: Database, query: address.Query) -> tuple[Study | None, list[str]]:
    """The study that a query names, and why there is none where it names one."""
    text = query.get("study", [""])[-1]
    if not text:
        return None, []
    if not text.isdecimal() or len(text) > MOST_DIGITS:
        return None, [f"The link's study is {plain(text)!r}: no study has this number."]
    return found(database, int(text))


def found(database: Database, study_id: int) -> tuple[Study | None, list[str]]:
    try:
        return studies.get(database, study_id), []
    except StudyNotFound as error:
        return None, [f"{error} The form stands as it was."]


def heading(study: Study) -> None:
    """Which study this is, and the ways away from it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        badge = study_words.badge(study.progress)
        st.markdown(f"#### {plain(study.request.name)} {badge}", width="stretch")
        st.button("New study", icon=":material/add:", type="tertiary", on_click=begin_anew)
        st.page_link(STUDIES, label="All studies", icon=":material/list:")
    st.caption(study_words.run_text(study.request))


def begin_anew() -> None:
    """Back to the example, without a study."""
    st.query_params.clear()


def view_of(study: Study, asked: study_form.Asked) -> View:
    """How the study is looked at: ranked as the form says, where that can be used."""
    ranked = asked.request or study.request
    return View(symbol_of(study), ranked.goals, ranked.constraints)


def symbol_of(study: Study) -> str | None:
    """The symbol that is looked at; None for the only one, or all of them pooled."""
    # The choice of all is "": None would be no choice to Streamlit.
    symbols = study.request.symbols
    if len(symbols) == 1:
        return None
    if st.session_state.get(f"{PAGE}.of") not in symbols:
        forms.remember(PAGE, {"of": ""})
    chosen = st.selectbox(
        "Results of",
        ["", *symbols],
        key=f"{PAGE}.of",
        persist_state="page",
        format_func=lambda one: one or f"all {len(symbols)} symbols, pooled",
        help="Pooled: metrics and scores are means over the symbols, and a cell is feasible where "
        f"it is in every one. Example: {symbols[0]}.",
        width=260,
    )
    return chosen or None


def draw(database: Database) -> None:
    """The whole page."""
    study_run.settle(PAGE, database)
    study = arrived(database)
    with st.sidebar:
        asked = study_form.inputs(PAGE, database)
    if asked.request is not None:
        publish(asked.request, study)
    if study is None:
        st.caption(
            "A study simulates every combination of the chosen parameters on the same prices "
            "and ranks them. The form is in the sidebar; an example is filled in."
        )
    study_run.ask(PAGE, database, asked, study)
    if study is None:
        study_list.recent(database)
    elif study.state is StudyState.DRAFT:
        study_run.watch(PAGE, database, study, View())
        study_list.recent(database)
    else:
        heading(study)
        standing = st.container()
        view = view_of(study, asked)
        with standing:
            study_run.watch(PAGE, database, study, view)
        with study_run.timed(PAGE):
            study_view.draw(database, study, view, PAGE)
    if asked.request is not None:
        publish(asked.request, study)  # once more: the results have set inputs of their own


def publish(request: study_form.StudyRequest, study: Study | None) -> None:
    """Put the study, the form where it differs, and the view into the URL."""
    query = study_address.write(request, study and study.request, study and study.study_id)
    if study is not None:
        query |= study_address.write_view(PAGE, request)
    address.publish(PAGE, query)


st.title("Optimize")
acting.show_said()
with acting.records() as database:
    draw(database)

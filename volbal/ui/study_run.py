"""The head of a study's page: running what the form asks, and watching it run."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import Final

import streamlit as st

from volbal.domain.study_states import StudyNotStartable, StudyRunning, StudyState
from volbal.services import studies, study_results
from volbal.services.running import Database
from volbal.services.studies import Progress, Study, StudyNotFound
from volbal.services.study_request import StudyRequest
from volbal.services.study_results import View
from volbal.ui import acting, study_form, study_words
from volbal.ui.forms import SOURCE, remember
from volbal.ui.log import plain
from volbal.ui.study_address import same_run
from volbal.ui.study_form import Asked

HALTED: Final = {
    StudyState.INTERRUPTED: "The program that worked on it has ended",
    StudyState.CANCELLED: "It was cancelled",
    StudyState.FAILED: "It failed",
}
"""What happened to a study that can be resumed."""

PATIENCE: Final = 0.7
"""Seconds that a page waits for a study it has just started: small ones are then drawn whole."""

LOOK_SECONDS: Final = 0.5
"""How often a running study is looked at."""

SOON: Final = 0.1
"""How long a look waits for a ranking, in seconds: those of small studies are ready by then."""

REDRAW_SECONDS: Final = 5.0
"""How often its results are drawn again at most."""


def ask(page: str, database: Database, asked: Asked, study: Study | None) -> None:
    """What the form asks and what it would cost, with the buttons that run or save it."""
    if study is not None and not is_open(asked, study):
        return
    with st.container(border=True, key=f"{page}-ask"):
        st.markdown(f"**{_title(asked, study)}**")
        if asked.request is not None:
            st.markdown(study_words.request_text(asked.request))
        if asked.request is not None and asked.estimate is not None:
            st.markdown(study_words.count_text(asked.request, asked.estimate))
            short = study_words.short_text(asked.request, asked.estimate)
            if short:
                st.markdown(f":orange[:material/warning: {short}]")
        else:
            st.markdown(f":red[:material/error: {plain(asked.problem)}]")
        with st.container(horizontal=True, vertical_alignment="center"):
            _buttons(page, database, asked, study)


def is_open(asked: Asked, study: Study) -> bool:
    """Whether there is something to run: a draft, or a form that asks for other cells."""
    if study.state is StudyState.DRAFT or asked.request is None:
        return True
    return not same_run(study.request, asked.request)


def _title(asked: Asked, study: Study | None) -> str:
    if asked.estimate is None:
        return "The form cannot be run as it is"
    if study is None:
        return "Ready to run"
    if study.state is StudyState.DRAFT:
        return f"Draft {study.study_id}: {plain(study.request.name)}"
    return ":orange[Not run yet:] the form asks for something else than the study below"


def _buttons(page: str, database: Database, asked: Asked, study: Study | None) -> None:
    study_id = study.study_id if study and study.state is StudyState.DRAFT else None
    st.button(
        "Run",
        key=f"{page}.go",
        type="primary",
        icon=":material/play_arrow:",
        disabled=asked.estimate is None,
        on_click=acting.act,
        args=(acting.token(f"{page}-run"), _run, page, database, study_id),
        help="Saves it and runs it in the background; you can leave this page meanwhile.",
    )
    saved = study_id is not None and study is not None and asked.request == study.request
    st.button(
        "Save as draft" if study_id is None else "Save changes",
        key=f"{page}.save",
        icon=":material/save:",
        disabled=asked.estimate is None or saved,
        on_click=acting.act,
        args=(acting.token(f"{page}-save"), _save, page, database, study_id),
        help="Keeps it on Studies without running it.",
    )


def _run(page: str, database: Database, draft: int | None) -> str:
    """Run what the form asks, the last word typed included; once, however often it is asked for:
    the second time its study is shown."""
    now = acting.now()
    made = _drafted(database, study_form.request(page), draft, "run")
    told = ""
    try:
        studies.start(database, made.study_id, now)
    except StudyNotStartable:
        told = f"Study {made.study_id} was asked exactly this before; here it is."
    except StudyRunning:
        pass
    _show(page, made.study_id)
    st.session_state[f"{page}-started"] = made.study_id
    return told


def _save(page: str, database: Database, draft: int | None) -> str:
    made = _drafted(database, study_form.request(page), draft, "draft")
    _show(page, made.study_id)
    return f"Draft {made.study_id} is saved."


def _drafted(database: Database, request: StudyRequest, draft: int | None, aim: str) -> Study:
    """The study of `request`: the draft with this number, or the one made for the same aim."""
    if draft is not None:
        known = studies.get(database, draft)
        if known.request == request:
            return known
        return studies.change(database, draft, request, acting.now())
    key = f"{aim}-{_key(request)}"
    while True:
        made = studies.create(database, request, acting.now(), key=key)
        begun = made.state is not StudyState.DRAFT
        asked = replace(made.request, name=request.name) if begun else made.request
        if asked == request and not (begun and aim == "draft"):
            return made
        key = f"{key}-{made.study_id}"  # that one has become something else meanwhile


def _key(request: StudyRequest) -> str:
    """The same for the same question about the same prices."""
    revisions = [SOURCE.revision(symbol) for symbol in request.symbols]
    content = json.dumps([request.as_mapping(), revisions], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _show(page: str, study_id: int) -> None:
    remember(page, dict.fromkeys(("x", "y", "of", "cell"), None))
    remember(page, {"study": study_id, "cells": []})


def settle(page: str, database: Database) -> None:
    """Wait a moment for a study that this page has just started."""
    study_id = st.session_state.pop(f"{page}-started", None)
    if study_id is None:
        return
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if studies.progress(database, study_id).state is not StudyState.RUNNING:
            return
        time.sleep(0.02)


def watch(page: str, database: Database, study: Study, view: View) -> None:
    """Where the study stands, while it may change by itself, and what can be done about it.

    The buttons are no part of what looks again and again: a click on them need not wait until
    the results are drawn.
    """
    if study.state is StudyState.COMPLETED:
        return
    if study.state is StudyState.RUNNING:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            with st.container():
                _look_again(page, database, study, view)
            _button(database, study, "Cancel", "stop_circle", _cancel)
        return
    _look_again(page, database, study, view)
    if study.state in HALTED:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(_stopped_text(study.progress), width="stretch")
            _button(database, study, "Resume", "play_arrow", _resume)


def _look_again(page: str, database: Database, study: Study, view: View) -> None:
    """Draw the page again when the study has changed, whoever changed it.

    What it is ranked by is made ready aside meanwhile, so that the progress goes on.
    """
    drawn, drawn_at = study.progress, time.monotonic()
    ranking: list[Thread] = []
    runs = study.state is StudyState.RUNNING

    @st.fragment(run_every=LOOK_SECONDS if runs else 4 * LOOK_SECONDS)
    def look() -> None:
        try:
            now = studies.progress(database, study.study_id)
        except StudyNotFound:
            st.rerun()
        empty = drawn.completed <= drawn.invalid
        due = empty or time.monotonic() - drawn_at > _pause(page)
        if now.standing != drawn.standing:
            st.rerun()
        if due and now.completed > drawn.completed:
            if not ranking:
                ranking.append(study_results.prepare(database, study.study_id, view))
            ranking[0].join(SOON)
            if not ranking[0].is_alive():
                st.rerun()
        if runs:
            st.progress(now.percentage / 100.0, study_words.progress_text(now))

    look()


def _pause(page: str) -> float:
    """Seconds between two drawings: large results must leave time to click in them."""
    drawing: float = st.session_state.get(f"{page}-seconds", 0.0)
    return max(REDRAW_SECONDS, 5.0 * drawing)


@contextmanager
def timed(page: str) -> Iterator[None]:
    """Remember how long the results take to be drawn."""
    began = time.monotonic()
    yield
    st.session_state[f"{page}-seconds"] = time.monotonic() - began


def _stopped_text(progress: Progress) -> str:
    told = f"{HALTED[progress.state]}: {study_words.ended_text(progress)} are stored."
    if progress.error:
        return f"{told}  \n:red[{plain(progress.error)}]"
    return f"{told} Resuming goes on from there."


def _button(
    database: Database, study: Study, label: str, icon: str, does: Callable[[Database, int], str]
) -> None:
    st.button(
        label,
        key=f"{label.lower()}-{study.study_id}",
        icon=f":material/{icon}:",
        on_click=acting.act,
        args=(acting.token(f"{label}-{study.study_id}"), does, database, study.study_id),
    )


def _cancel(database: Database, study_id: int) -> str:
    studies.cancel(database, study_id, acting.now())
    return ""


def _resume(database: Database, study_id: int) -> str:
    studies.resume(database, study_id, acting.now())
    return ""

"""What pages over the records share: opening them, acting once on a click, saying what came of it.

Actions run in callbacks, before the page is drawn, so the page shows what they left. Each has a
token, made when its button was drawn: a second click, however quick, has the token of the first
one and does nothing but say again what came of it.

Streamlit answers the second click at once, in a thread of its own, and ends the first one's
wherever that touches the session's state. So deeds of a session take turns, and none touches the
state after it has begun to write.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, NoReturn, cast

import streamlit as st

from volbal.domain.wording import price
from volbal.errors import InvalidInput, VolbalError
from volbal.services import running
from volbal.services.running import Database
from volbal.ui.fields import refusal

ACTS = "acting"
LINGERS = 2.0
"""Seconds a sentence stays, so that the second half of a double click does not wipe it away."""
DOUBLE_CLICK = 0.5
"""Seconds after a deed in which a click on the form that took its form's place means the deed."""

BUSY = "Another program is using the records; nothing is lost."
BROKEN = "The records cannot be opened; nothing was changed."


def now() -> datetime:
    """The moment, aware."""
    return datetime.now(UTC)


@contextmanager
def records(title: str = "") -> Iterator[Database]:
    """The records of this process; where they cannot be had, the page says why and stops.

    title: of a page that has drawn none without them.
    """
    try:
        database = running.database()
    except VolbalError as error:
        if title:
            st.title(title)
        _stop(error)
    try:
        yield database
    except VolbalError as error:
        _stop(error)


def _stop(error: VolbalError) -> NoReturn:
    is_busy = error.code == "database_busy"
    if is_busy or error.code.startswith("database"):
        st.error(f"**{BUSY if is_busy else BROKEN}** {error}", icon=":material/lock:")
        st.caption("Simulate works without the records.")
    else:
        st.error(refusal(error), icon=":material/error:")
    st.button("Try again", icon=":material/refresh:", type="primary")
    st.stop()


@dataclass(slots=True)
class _Said:
    """A sentence for the top of the page, of a deed or none.

    shown_at: seconds of the clock when it was first drawn there; None before.
    """

    kind: str
    sentence: str
    token: str = ""
    shown_at: float | None = None

    @property
    def is_fresh(self) -> bool:
        return self.shown_at is None or time.monotonic() - self.shown_at < LINGERS


@dataclass(slots=True)
class _Acts:
    """Of one session: sentence and time of each deed, by token; and what is to be said."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    done: dict[str, tuple[str, float]] = field(default_factory=dict)
    said: list[_Said] = field(default_factory=list)

    def known_as(self, token: str) -> str:
        """`token`, or that of the deed which its form has only just done."""
        form, since = _form(token), time.monotonic() - DOUBLE_CLICK
        for other, (_, at) in self.done.items():
            if at > since and _form(other) == form:
                return other
        return token


def _form(token: str) -> str:
    return token.rpartition("-")[0]


def _acts() -> _Acts:
    return cast(_Acts, st.session_state.setdefault(ACTS, _Acts()))


def token(form: str) -> str:
    """What the next click on `form` is known by: another one after each deed."""
    done = _acts().done
    return next(name for number in count() if (name := f"{form}-{number}") not in done)


def act(token: str, does: Callable[..., str], *args: Any) -> None:
    """Carry out `does` once for `token` and keep its sentence, or the refusal's, for the page.

    token: what its form is called, a hyphen, and which deed of the form it is. `does` reads the
    session's state before its deed and leaves it alone after. An empty sentence is not said: the
    page shows by itself what came of it.
    """
    acts = _acts()
    with acts.turn:
        deed = acts.known_as(token)
        acts.said.clear()
        if deed not in acts.done:
            try:
                acts.done[deed] = does(*args), time.monotonic()
            except VolbalError as error:
                acts.said.append(_Said("error", refusal(error), deed))
                return
        sentence, _ = acts.done[deed]
        if sentence:
            acts.said.append(_Said("success", sentence, deed))


def given(field: str, key: str) -> float:
    """The number typed into the input `key`. Raises InvalidInput where it is empty."""
    typed: float | None = st.session_state[key]
    if typed is None:
        raise InvalidInput(field, "nothing is typed", "type a number above 0")
    return typed


def confirm(key: str, typed: float | None, doubted: str, example: str) -> None:
    """In a form whose value was refused for a doubt: a box that confirms this very value."""
    if typed is not None and doubted:
        st.checkbox(
            f"I confirm {price(typed)}",
            key=_confirmation(key, typed),
            help=f"{doubted}. Example: {example}.",
        )


def require_confirmed(field: str, key: str, typed: float | None, doubted: str) -> None:
    """Raises InvalidInput for a doubt about `typed` that its box has not settled."""
    if doubted and not st.session_state.get(_confirmation(key, typed)):
        raise InvalidInput(field, doubted, "correct it, or tick that you confirm it")


def _confirmation(key: str, typed: float | None) -> str:
    return f"{key}-confirmed-{typed}"


def is_fresh(token: str) -> bool:
    """Is what came of `token` still said?"""
    return any(one.token == token and one.is_fresh for one in _acts().said)


def forget_said() -> None:
    """Something new is done outside of `act`: it takes the place of what was said before."""
    _acts().said.clear()


def say(kind: str, sentence: str) -> None:
    """Keep a sentence for the top of the page that is drawn next."""
    _acts().said.append(_Said(kind, sentence))


def show_said() -> None:
    """Say what came of the last click.

    In a container of its own: what follows keeps its place on the page, or inputs would be drawn
    anew and lose what is being typed.
    """
    with st.container():
        for one in _acts().said:
            if not one.is_fresh:
                continue
            if one.kind == "error":
                st.error(one.sentence, icon=":material/error:")
            else:
                st.success(one.sentence, icon=":material/check_circle:")


def drawn() -> None:
    """The page is drawn to its end, and what is said on it: soon that is not said again."""
    said = _acts().said
    said[:] = [one for one in said if one.is_fresh]
    for one in said:
        if one.shown_at is None:
            one.shown_at = time.monotonic()

"""What pages over the records share: opening them, acting once on a click, saying what came of it.

Actions run in callbacks, before the page is drawn, so the page shows what they left. A button
whose key carries the state it was drawn from cannot act twice: a second click, however quick,
belongs to a button that is done or gone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from volbal.errors import VolbalError
from volbal.services import running
from volbal.services.running import Database

SAID, DONE = "acting.said", "acting.done"

BUSY = "Another program is using the records; nothing is lost."
BROKEN = "The records cannot be opened; nothing was changed."


def now() -> datetime:
    """The moment, aware."""
    return datetime.now(UTC)


@contextmanager
def records() -> Iterator[Database]:
    """The records of this process; where they cannot be had, the page says why and stops."""
    try:
        yield running.database()
    except VolbalError as error:
        _stop(error)


def _stop(error: VolbalError) -> None:
    is_busy = error.code == "database_busy"
    if is_busy or error.code.startswith("database"):
        st.error(f"**{BUSY if is_busy else BROKEN}** {error}", icon=":material/lock:")
        st.caption("Simulate works without the records.")
    else:
        st.error(str(error), icon=":material/error:")
    st.button("Try again", icon=":material/refresh:", type="primary")
    st.stop()


def act(token: str, does: Callable[..., str], *args: Any) -> None:
    """Carry out `does` once for `token` and keep its sentence, or the refusal's, for the page.

    An empty sentence is not said: the page shows by itself what came of it.
    """
    done: set[str] = st.session_state.setdefault(DONE, set())
    if token in done:
        return
    try:
        sentence = does(*args)
    except VolbalError as error:
        say("error", str(error))
    else:
        done.add(token)
        if sentence:
            say("success", sentence)


def say(kind: str, sentence: str) -> None:
    """Keep a sentence for the top of the page that is drawn next."""
    st.session_state.setdefault(SAID, []).append((kind, sentence))


def show_said() -> None:
    """Say, once, what came of the last click."""
    for kind, sentence in st.session_state.pop(SAID, []):
        if kind == "error":
            st.error(sentence, icon=":material/error:")
        else:
            st.success(sentence, icon=":material/check_circle:")

"""What a page shows where volbal itself fails: the number under which its log says why."""

import logging
import secrets
from typing import Literal

import streamlit as st

LOG = logging.getLogger("volbal")

MARK = "fault"
"""How the key of the message begins, by which tests find it."""


def show(error: Exception) -> Literal[True]:
    """Of a bug the log has all, the page its number.

    `st.App` calls it for what a page, a callback or a fragment raises; stops and reruns are no
    errors and do not come here. Returns that Streamlit need not show the error, too.
    """
    number = secrets.token_hex(4)
    LOG.error("Fault %s on a page", number, exc_info=error)
    with st.container(key=f"{MARK}-{number}"):
        st.error(
            f"**volbal failed at this: fault {number}.** Nothing is half-written: what was to be "
            "saved is saved whole, or not at all. Reload the page. If it fails again, the window "
            "in which volbal was started says why under this number.",
            icon=":material/bug_report:",
        )
    return True

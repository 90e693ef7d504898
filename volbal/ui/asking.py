"""Parts of the SQL page: saving, the answer as table or chart, the views, other programs."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd
import streamlit as st

from volbal.services import queries, running
from volbal.services.queries import ViewColumn
from volbal.ui import acting, charts, log, tables

KINDS = ("Table", "Line", "Bar", "Scatter")
NAME, REPLACES = "sql-name", "sql-replaces"
CHARTED = 5_000
"""Rows that a chart shows at most; more are slow to draw and say no more."""


def saving(text_key: str, own: Collection[str]) -> None:
    """In the editor's form, so that what stands in it is saved, run or not.

    text_key: of the editor; own: names of the saved ones.
    """
    with st.popover("Save", icon=":material/bookmark:", key="sql.keep"):
        st.text_input(
            "Name",
            key=NAME,
            max_chars=queries.LONGEST_NAME,
            help="Under which it is offered above. Example: Fees per year.",
        )
        if own:
            st.checkbox(
                "Replace a saved query of this name",
                key=REPLACES,
                help="Its text is lost. Example: on, to keep a corrected one.",
            )
        st.form_submit_button(
            "Save",
            type="primary",
            on_click=acting.act,
            args=(acting.token("sql-save"), _save, text_key),
            key="sql-save",
        )


def deleting(name: str, sql: str) -> None:
    with st.popover("Delete", icon=":material/delete:", key="sql.delete"):
        st.markdown(f"Forget the saved query {log.plain(name)}? It is:")
        st.code(sql, language="sql", wrap_lines=True)
        token = acting.token("sql-delete")
        st.button(
            f"Delete {log.plain(name)}",
            type="primary",
            on_click=acting.act,
            args=(token, _delete, name),
            key="sql-delete",
            help="The text in the editor stays.",
        )


def _save(text_key: str) -> str:
    sql, name = st.session_state[text_key], st.session_state[NAME]
    replace = st.session_state.get(REPLACES, False)
    saved = queries.save(running.database(), name, sql, acting.now(), replace=replace)
    return f"Saved as {log.plain(saved)}."


def _delete(name: str) -> str:
    queries.delete(running.database(), name)
    return f"{log.plain(name)} is deleted."


def draw(frame: pd.DataFrame) -> None:
    """The answer as a table, or as a chart of the columns chosen."""
    columns = [str(name) for name in frame]
    numbers = [name for name in columns if charts.is_number(frame[name])]
    kinds = KINDS if numbers and len(columns) > 1 else KINDS[:1]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Show as",
            kinds,
            default="Table",
            required=True,
            key="sql-kind",
            help="A chart needs a column of numbers. Example: Line, equity across day.",
        )
        if kind != "Table":
            x = st.selectbox(
                "Across", columns, key="sql-x", width=200, help="Along the bottom. Example: day."
            )
            up = [name for name in numbers if name != x]
            y = st.selectbox(
                "Up", up, key="sql-y", width=200, help="How high, a number. Example: equity."
            )
            others = [name for name in columns if name not in (x, y)]
            by = st.selectbox(
                "Colour",
                others,
                index=None,
                placeholder="One colour",
                key="sql-by",
                width=200,
                help="One line, bar or dot colour for each of its values. Example: ticker.",
            )
    if kind == "Table":
        tables.show(frame, "sql-result", alt="The answer", height="auto")
    elif y is None:
        st.info("There is no other column of numbers to draw.", icon=":material/info:")
    else:
        shown = frame.head(CHARTED)
        st.altair_chart(
            charts.answer_chart(shown, kind, x, y, by),
            key="sql-chart",
            alt=f"{kind} chart of {y} by {x}",
        )
        if len(shown) < len(frame):
            st.caption(f"Drawn: the first {CHARTED:,} rows.")


def schema(views: Mapping[str, Sequence[ViewColumn]]) -> None:
    """The documented views with their columns and what these hold."""
    st.markdown("**Views**", help="Every column is documented in the file itself too.")
    for view, columns in views.items():
        with st.expander(f"`{view}`"):
            st.caption(log.plain(columns[0].view_comment))
            lines = (
                f"- `{one.name}` :small[{one.type.lower()}]  \n  {log.plain(one.comment or '')}"
                for one in columns
            )
            st.markdown("\n".join(lines))


def elsewhere(programs: Mapping[str, str]) -> None:
    """How other programs read the same records."""
    with st.expander("From other programs", icon=":material/cable:"):
        st.caption(
            "The file can be opened read-only at any time. Programs that keep it open belong on "
            "the copy, which is renewed within two seconds of a change."
        )
        for program, text in programs.items():
            st.markdown(f"**{program}**")
            st.code(text, language="python" if program == "Python" else "sql", wrap_lines=True)

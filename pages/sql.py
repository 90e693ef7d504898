"""SQL: ask the records anything, with the words of their documented views."""

import streamlit as st

from volbal.config import Settings
from volbal.errors import VolbalError
from volbal.services import queries, running
from volbal.ui import acting, address, asking, tables

PAGE = "sql"
TEXT, CHOSEN, TURN = f"{PAGE}.text", f"{PAGE}.chosen", f"{PAGE}.turn"
FIRST = next(iter(queries.EXAMPLES))


@st.cache_data(show_spinner=False, max_entries=8)
def answered(settings: Settings, sql: str, commits: int, turn: int) -> queries.Answer:
    """The answer to `sql`, asked once for every state of the records and press of Run."""
    return queries.ask(settings, sql)


def choose(named: dict[str, str]) -> None:
    """Put the chosen query into the editor; an own one is saved under its name again."""
    chosen = st.session_state[CHOSEN]
    if chosen is not None:
        st.session_state[TEXT] = named[chosen]
        st.session_state[asking.NAME] = "" if chosen in queries.EXAMPLES else chosen


def arrive(named: dict[str, str]) -> None:
    """Take up the query of a link, or begin with the first example."""
    query = address.arrival(PAGE)
    if query is not None:
        text = query.get(PAGE, [queries.EXAMPLES[FIRST]])[-1]
        st.session_state[TEXT] = text
    text = st.session_state[TEXT]
    st.session_state[CHOSEN] = next((name for name, sql in named.items() if sql == text), None)


def editor(named: dict[str, str], own: dict[str, str]) -> str:
    """Choose, write, run and save a query."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Query",
            list(named),
            key=CHOSEN,
            index=None,
            placeholder="Your own text",
            on_change=choose,
            args=(named,),
            help="Examples, and the queries you have saved.",
        )
        chosen = st.session_state[CHOSEN]
        if chosen in own:
            asking.deleting(chosen, own[chosen])
    with st.form(f"{PAGE}.form", border=False):
        text = st.text_area(
            "SQL",
            key=TEXT,
            height=210,
            max_chars=queries.LONGEST_SQL,
            help="One statement that reads. Example: from v_fills where side = 'BUY'. "
            "Ctrl+Enter runs it.",
        )
        with st.container(horizontal=True):
            if st.form_submit_button("Run", type="primary", icon=":material/play_arrow:"):
                st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
            asking.saving(TEXT, own)
    return text


def result(database: running.Database, sql: str) -> None:
    """The answer as a table or a chart, or why there is none."""
    try:
        turn = st.session_state.get(TURN, 0)
        answer = answered(Settings.from_environment(), sql, database.commits, turn)
    except VolbalError as error:
        st.error(str(error), icon=":material/error:")
        return
    rows = len(answer.frame)
    more = f"; there are more, the first {rows:,} are shown" if answer.truncated else ""
    st.markdown(f"**{rows:,}** {'row' if rows == 1 else 'rows'}{more}")
    if rows:
        asking.draw(answer.frame)
    tables.downloads(answer.frame, "query", "sql-downloads")


st.title("SQL")
st.caption(
    "Reads a copy of the records, at most two seconds old, in a process of its own: "
    "nothing here can change or lock them."
)
with acting.records() as records:
    acting.show_said()
    mine = queries.saved(records)
    offered = dict(queries.EXAMPLES) | mine
    arrive(offered)
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        written = editor(offered, mine)
        shown = {PAGE: [written]} if written != queries.EXAMPLES[FIRST] else {}
        address.publish(PAGE, shown)
        result(records, written)
    with right:
        asking.schema(queries.views(records))
        asking.elsewhere(queries.connecting(Settings.from_environment()))

"""Timeline: everything that was asked, decided, done or refused, and why."""

from collections.abc import Collection
from datetime import date

import streamlit as st

from volbal.domain.decision import Action
from volbal.market.sessions import exchange_date
from volbal.services import running, timeline
from volbal.services.timeline import Choices, LogFilter
from volbal.ui import acting, forms, log, tables

# Inputs by their names in the URL, and what they are without a filter.
FIELDS = {"from": None, "to": None, "kind": [], "action": [], "position": [], "executed": False}
PAGE = "page"
EARLIEST = date(1970, 1, 1)
NAMED = 8  # choices that a refused filter names


def first_page() -> None:
    st.session_state[PAGE] = 1


def clear() -> None:
    """No filter at all."""
    st.session_state.update(FIELDS)
    first_page()


def problems(offered: dict[str, Collection[str]]) -> list[str]:
    """What the link asks for that no filter can be, by the names in the URL."""
    asked = {name: st.query_params.get_all(name) for name in FIELDS}
    bad = [
        (name, value, f"it is not one of {short(choices)}")
        for name, choices in offered.items()
        for value in asked[name]
        if value not in choices
    ]
    bad += [
        (name, value, "a date is written as 2026-03-01, up to today")
        for name in ("from", "to")
        for value in asked[name]
        if not is_date(value)
    ]
    return [
        f"The link's {name} “{log.plain(value)}” is left out: {log.plain(why)}."
        for name, value, why in bad
    ]


def short(choices: Collection[str]) -> str:
    """The first choices, and how many more there are."""
    more = len(choices) - NAMED
    return ", ".join(list(choices)[:NAMED]) + (f" and {more} more" if more > 0 else "")


def is_date(text: str) -> bool:
    """A day that the date inputs can show."""
    try:
        return EARLIEST <= date.fromisoformat(text) <= exchange_date(acting.now())
    except ValueError:
        return False


def inputs(there: Choices) -> LogFilter:
    """The filters, which stand in the URL."""
    named = {log.position_text(*one): one[0] for one in there.positions.items()}
    types = {log.kind_text(kind): kind for kind in there.types}
    actions = [one.value for one in Action]
    forms.show_problems(
        problems(
            {"kind": types, "action": actions, "position": named, "executed": ("true", "false")}
        )
    )
    grid = st.grid(3, min_column_width=150, gap="small")
    more = {"bind": "query-params", "on_change": first_page}
    dates = {
        "min_value": EARLIEST,
        "max_value": exchange_date(acting.now()),
        "format": "YYYY-MM-DD",
    }
    first = grid.date_input(
        "From",
        None,
        key="from",
        help="First day, in New York. Example: 2026-03-02.",
        **dates,
        **more,
    )
    last = grid.date_input(
        "To",
        None,
        key="to",
        help="Last day, included, in New York. Example: 2026-03-06.",
        **dates,
        **more,
    )
    positions = grid.multiselect(
        "Position",
        list(named),
        key="position",
        placeholder="All positions",
        help="Only what concerns these. Example: KO #1.",
        **more,
    )
    kinds = grid.multiselect(
        "Kind",
        list(types),
        key="kind",
        placeholder="All kinds",
        help="Only events of these kinds. Example: evaluation and fill.",
        **more,
    )
    chosen = grid.multiselect(
        "Action",
        actions,
        key="action",
        placeholder="All actions",
        help="Only evaluations that ended so, and what came of them. Example: BUY.",
        **more,
    )
    executed = grid.toggle(
        "Executed only",
        key="executed",
        help="What moved cash, shares or dividends, and the evaluations whose orders were filled. "
        "Example: a hold is not, a fill is.",
        **more,
    )
    return LogFilter(
        *timeline.days(first, last),
        tuple(types[kind] for kind in kinds),
        tuple(chosen),
        tuple(named[name] for name in positions),
        executed,
    )


def draw(database: running.Database, wanted: LogFilter) -> None:
    """One page of the log, and the whole of it as a file."""
    page = timeline.page(database, wanted, st.session_state.get(PAGE, 1))
    if not page.total:
        st.info("Nothing in the log matches these filters.", icon=":material/filter_alt_off:")
        st.button("Clear filters", on_click=clear)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{page.total:,}** {'event' if page.total == 1 else 'events'}")
        if wanted != LogFilter():
            st.button("Clear filters", type="tertiary", on_click=clear)
        tables.downloads(
            lambda: timeline.table(running.database(), wanted), "timeline", "timeline-downloads"
        )
    log.draw(page)
    if page.pages > 1:
        st.pagination(page.pages, key=PAGE, bind="query-params")


st.title("Timeline")
st.caption(
    "What the rule was asked, what it decided and why, and everything that was done. Days and "
    "times are the exchange's, in New York; files give UTC."
)
with acting.records() as records:
    found = timeline.choices(records)
    if found.types:
        draw(records, inputs(found))
    else:
        st.info(
            "Nothing has happened yet. Open a position in Overview: every step of it is told here.",
            icon=":material/history:",
        )

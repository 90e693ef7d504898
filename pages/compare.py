"""Compare: policies on the same prices, or positions since the same day, side by side."""

from datetime import date

import streamlit as st

from volbal.domain.policy import Policy
from volbal.errors import InvalidInput, VolbalError
from volbal.services import comparison, positions, running
from volbal.services.research import Simulation
from volbal.ui import acting, address, components, fields, forms, log, sides
from volbal.ui.address import Question

PAGE = "compare"
OF, NAMES, SINCE = f"{PAGE}.of", f"{PAGE}.names", f"{PAGE}.since"
POLICIES, POSITIONS = "Policies", "Positions"
TYPED = "typed below"
EXAMPLE = ["conservative", "standard", "aggressive"]


def arrive(query: address.Query, offered: list[str]) -> None:
    """Take up the inputs of a link."""
    values, problems = address.read_question(query, forms.SOURCE)
    forms.remember(PAGE, values)
    chosen = query.get("with", EXAMPLE)
    gone = [name for name in chosen if name not in offered]
    if gone:
        problems.append(f"The link compares {', '.join(gone)}, which is not here any more.")
    st.session_state[NAMES] = [name for name in chosen if name in offered][: comparison.MOST]
    forms.show_problems(problems)


def compare_policies(known: dict[str, Policy]) -> None:
    """One replay a policy, on the symbol and dates of the sidebar."""
    offered = [*known, TYPED]
    query = address.arrival(PAGE)
    if query is not None or NAMES not in st.session_state:
        arrive(query or {}, offered)
    st.session_state[NAMES] = [name for name in st.session_state[NAMES] if name in offered]
    names = st.multiselect(
        "Policies",
        offered,
        key=NAMES,
        max_selections=comparison.MOST,
        help="Presets, your own ones, the configuration of a position, or the one typed in the "
        "sidebar. The others are measured against the first.",
    )
    with st.sidebar:
        st.subheader("Prices")
        forms.data_inputs(PAGE)
        st.subheader("Start")
        forms.cell_inputs(PAGE)
        st.subheader("Typed policy")
        if TYPED in names:
            forms.policy_inputs(PAGE, forms.fields_without_effect(PAGE))
        else:
            st.caption(f"Choose “{TYPED}” among the policies to enter one.")
    asked = forms.question(PAGE)
    address.publish(PAGE, written(asked, names))
    if not names:
        raise InvalidInput("policies", "none is chosen", "choose one to four")
    results = {
        name: components.simulated(
            Question(asked.symbol, known.get(name, asked.policy), asked.setup)
        )
        for name in names
    }
    draw_policies(results)


def written(asked: Question, names: list[str]) -> address.Query:
    """The query that brings this comparison back."""
    query = address.write_question(asked, forms.SOURCE)
    return query if names == EXAMPLE else query | {"with": names}


def draw_policies(results: dict[str, Simulation]) -> None:
    """Values, then every metric with the difference to the first."""
    first = next(iter(results.values()))
    st.markdown(f"**{components.range_text(first.prepared.history)}**")
    components.show_notes(first.prepared)
    sides.cards(results)
    sides.value_chart(comparison.curves(results), "Value", "compare-value")
    sides.metrics(results)
    with st.expander("What these policies do", icon=":material/rule:"):
        for name, result in results.items():
            st.markdown(f"**{log.plain(name)}** {fields.policy_sentence(result.policy)}")
        components.behind(first.prepared)


def compare_positions(database: running.Database) -> None:
    """Positions since the same day."""
    there = {
        log.position_text(one.position_id, one.ticker): one
        for one in positions.list_positions(database)
    }
    if not there:
        st.info("There are no positions yet. Open one in Overview.", icon=":material/add_circle:")
        return
    names = st.multiselect(
        "Positions",
        list(there),
        default=list(there)[: min(len(there), 3)],
        key="positions",
        bind="query-params",
        max_selections=comparison.MOST,
        help="One to four. Returns are time-weighted: money in and out is no profit.",
    )
    st.sidebar.subheader("Dates")
    since = st.sidebar.date_input(
        "Since",
        None,
        min_value=date(1970, 1, 1),
        max_value=acting.now().date(),
        format="YYYY-MM-DD",
        key="since",
        bind="query-params",
        help="Empty, or before one of them was valued: the first day on which all were.",
    )
    if not names:
        raise InvalidInput("positions", "none is chosen", "choose one to four")
    chosen = [there[name].position_id for name in names]
    sides.positions(comparison.compare_positions(database, chosen, since))


st.title("Compare")
st.caption("Policies on the same prices, or positions since the same day.")
mode = st.segmented_control(
    "Compare",
    [POLICIES, POSITIONS],
    default=POLICIES,
    required=True,
    key="of",
    bind="query-params",
    label_visibility="collapsed",
)
with acting.records() as records:
    try:
        if mode == POLICIES:
            compare_policies(comparison.policies(records))
        else:
            compare_positions(records)
    except VolbalError as error:
        components.stop_with(error)

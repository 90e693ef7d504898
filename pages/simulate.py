"""Simulate: one policy over years of real prices, beside what holding would have done."""

import streamlit as st

from volbal.errors import VolbalError
from volbal.formatting import money, percent
from volbal.services.research import Simulation
from volbal.ui import address, components, fields, forms

PAGE = "simulate"


def inputs() -> address.Question:
    """Read the sidebar. Raises InvalidInput."""
    query = address.arrival(PAGE)
    if query is not None:
        values, problems = address.read_question(query, forms.SOURCE)
        forms.remember(PAGE, values)
        forms.show_problems(problems)
    with st.sidebar:
        st.subheader("Prices")
        forms.data_inputs(PAGE)
        forms.tick_input(PAGE)
        st.subheader("Start")
        forms.cell_inputs(PAGE)
        st.subheader("Policy")
        forms.policy_inputs(PAGE, forms.fields_without_effect(PAGE))
    return forms.question(PAGE)


def draw(result: Simulation) -> None:
    """The whole result: headline, charts, tables."""
    history, setup = result.prepared.history, result.prepared.setup
    st.markdown(
        f"**{components.range_text(history)}** · {money(setup.capital)} at the start, "
        f"{percent(setup.stock_share, 0)} of it in stock · {setup.ticks} ticks  \n"
        f"{fields.policy_sentence(result.policy)}"
    )
    components.show_notes(result.prepared)
    components.headline(result)
    components.show_bracket(result)
    with st.container(border=True):
        components.draw_value(result, f"{PAGE}-value")
    with st.container(border=True):
        components.draw_rule(result, f"{PAGE}-rule")
    metrics, returns, fills, dividends, prices = st.tabs(
        [
            "Metrics",
            "Months and falls",
            f"Fills ({len(result.fills):,})",
            f"Dividends ({len(result.dividends):,})",
            "Prices and assumptions",
        ]
    )
    with metrics:
        components.show_metrics(result)
    with returns:
        components.show_returns(result, f"{PAGE}-returns")
    with fills:
        components.show_fills(result)
    with dividends:
        components.show_dividends(result)
    with prices:
        components.behind(result.prepared)


st.title("Simulate")
st.caption(
    "Replays the trading rule over real prices and sets it beside simply holding: "
    "all in stock, the start mix, and a hold with the same average stock share."
)
try:
    asked = inputs()
    address.publish(PAGE, address.write_question(asked, forms.SOURCE))
    outcome = components.simulated(asked)
except VolbalError as error:
    components.stop_with(error)
else:
    draw(outcome)

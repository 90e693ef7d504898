"""Optimize: every combination of parameter values on the same prices, as a heatmap."""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from volbal.engine.metrics import METRIC
from volbal.errors import VolbalError
from volbal.services.research import Optimization, Simulation
from volbal.ui import address, charts, components, fields, forms, study, sweep

PAGE = "optimize"
SIMULATE = Path(__file__).with_name("simulate.py")
CELL = f"{PAGE}.cell"
RUN = f"{PAGE}.run"
CHART, TABLE = "chart", "table"


def inputs() -> tuple[sweep.Study, bool]:
    """Read the sidebar: the study, and whether it is to be run now. Raises InvalidInput."""
    query = address.arrival(PAGE)
    if query is not None:
        values, problems = address.read_question(query, forms.SOURCE)
        state, more = sweep.read_sweep(query)
        forms.remember(PAGE, values | state)
        st.session_state[RUN] = None
        forms.show_problems(problems + more)
    idle = forms.fields_without_effect(PAGE, forms.recalled(PAGE, "sweep"))
    with st.sidebar:
        st.subheader("Parameters")
        sweep.sweep_inputs(PAGE, idle)
        start = st.container()
        st.subheader("Prices")
        forms.data_inputs(PAGE)
        forms.tick_input(PAGE, "ticks" in forms.recalled(PAGE, "sweep"))
        st.subheader("Start")
        forms.cell_inputs(PAGE)
        st.subheader("Base policy")
        forms.policy_inputs(PAGE, idle, sweep.swept_fields(PAGE))
    asked = sweep.Study(forms.question(PAGE), sweep.parameters(PAGE))
    grid = asked.grid
    start.markdown(sweep.count_text(grid))
    pressed = start.button(
        "Run", key=f"{PAGE}.go", type="primary", width="stretch", on_click=choose, args=(None,)
    )
    opened = query is not None and len(grid) <= study.AT_ONCE
    return asked, pressed or opened or study.is_kept(asked)


def choose(cell: int | None) -> None:
    """Show the simulation of this cell, or of the best one."""
    st.session_state[CELL] = cell


def key_of(element: str) -> str:
    """The key of the chart or the table; another one after every `renew`."""
    return f"{PAGE}.{element}-{st.session_state.get(f'{PAGE}.{element}.turn', 0)}"


def renew(element: str) -> None:
    """Make the chart or the table anew where the other one was used.

    So neither keeps a mark on a cell that is no longer selected, and a click on it counts again.
    """
    turn = f"{PAGE}.{element}.turn"
    st.session_state[turn] = st.session_state.get(turn, 0) + 1


def on_click() -> None:
    """A cell of the chart was clicked."""
    clicked = st.session_state[key_of(CHART)]["selection"].get("cell", [])
    choose(clicked[0]["cell_id"] if clicked else None)
    renew(TABLE)


def draw_cells(result: Optimization, view: study.View, chosen: int | None) -> int | None:
    """The heatmap, or a line for a single parameter; returns the best cell on it."""
    seen = study.picture(result, view, chosen)
    metric = METRIC[view.metric]
    if view.y is None:
        chart = charts.sweep_chart(
            seen.cells, seen.x, metric, seen.tooltips, result.grid.parameters[0].numeric
        )
    else:
        chart = charts.heatmap(seen.cells, (seen.x, seen.y), metric, seen.tooltips)
    st.altair_chart(
        chart,
        key=key_of(CHART),
        on_select=on_click,
        selection_mode="cell",
        alt=study.alt_text(result, view, seen),
    )
    st.caption(study.legend_text(result, view, seen))
    return seen.best


def draw_cell(result: Optimization, cell: int) -> Simulation:
    """The simulation of one cell, on the same range, capital and base policy."""
    policy = result.grid.cell_policy(cell)
    setup = replace(result.prepared.setup, ticks=result.grid.cell_ticks(cell))
    asked = address.Question(result.prepared.history.symbol, policy, setup)
    outcome = components.simulated(asked)
    st.markdown(f"**{fields.parameter_text(result.grid.cell(cell))}**")
    components.headline(outcome, columns=2)
    components.show_bracket(outcome)
    st.page_link(
        SIMULATE,
        label="Open in Simulate",
        icon=":material/open_in_new:",
        query_params=address.write_question(asked),
    )
    return outcome


def draw_ranking(result: Optimization, metric: str) -> None:
    """The best cells; selecting a row shows its simulation, as clicking its square does."""
    frame = study.ranking(result, metric)

    def on_row() -> None:
        rows = st.session_state[key_of(TABLE)]["selection"]["rows"]
        choose(int(frame.index[rows[0]]) if rows else None)
        renew(CHART)

    st.dataframe(
        frame,
        key=key_of(TABLE),
        hide_index=True,
        column_config=study.ranking_columns(frame),
        on_select=on_row,
        selection_mode="single-row",
        height=390,
        alt=f"The first {len(frame)} cells by {METRIC[metric].label}",
    )
    st.download_button(
        "All cells as CSV",
        lambda: study.csv(result),
        file_name=f"{result.prepared.history.symbol}-cells.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def draw(result: Optimization) -> None:
    """The whole result: view, heatmap beside the chosen cell, ranking."""
    st.markdown(study.range_text(result))
    components.show_notes(result.prepared)
    view = study.view_inputs(PAGE, result)
    asked_for = st.session_state[CELL]
    chosen = study.usable_cell(result, asked_for)
    if asked_for is not None and chosen is None:
        st.warning(study.unusable_text(result, asked_for))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        best = draw_cells(result, view, chosen)
        st.info(study.luck_text(result), icon=":material/casino:")
    cell = best if chosen is None else chosen
    if cell is None:
        right.caption("Click a cell to see its simulation.")
    else:
        with right:
            st.subheader("Best cell" if chosen is None else "Selected cell")
            outcome = draw_cell(result, cell)
        with st.container(border=True):
            components.draw_value(outcome, f"{PAGE}-value", height=400)
    st.subheader("Ranking")
    draw_ranking(result, view.metric)
    with st.expander("Prices and assumptions"):
        components.behind(result.prepared)


st.title("Optimize")
intro = st.empty()
intro.caption(
    "Simulates every combination of the chosen parameters on the same prices. "
    "Click a cell to see what it would have done."
)
try:
    asked, run_now = inputs()
    if run_now:
        study.optimized(asked)
        st.session_state[RUN] = asked
    shown = st.session_state[RUN]
    if shown != asked:
        intro.caption(study.unrun_text(asked, shown))
    if shown is not None:
        draw(study.optimized(shown))
    address.publish(PAGE, address.write_question(asked.asked) | sweep.write_sweep(PAGE, asked))
except VolbalError as error:
    components.stop_with(error)

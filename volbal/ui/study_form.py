"""The form of a study: parameters, goals, constraints, prices, start and base policy.

Each input says in words, right below it, why its value cannot be used.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final

import streamlit as st

from volbal.domain.policy import SHORTHANDS, Policy
from volbal.engine.goals import (
    KINDS,
    RANGES,
    REACH,
    Constraint,
    Goal,
    Kind,
    check_goals,
    met_by,
)
from volbal.engine.grid import Grid, Parameter, exact_range
from volbal.engine.metrics import METRIC
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import metric_text, value_text
from volbal.market.model import PriceHistory
from volbal.services import studies
from volbal.services.research import Setup
from volbal.services.running import Database
from volbal.services.studies import Estimate
from volbal.services.study_request import MOST_SYMBOLS, StudyRequest
from volbal.ui.address import policy_values
from volbal.ui.fields import FIELDS, choices, refusal, shown_value
from volbal.ui.forms import (
    ONE_TICK_A_DAY,
    SOURCE,
    cell_inputs,
    policy_inputs,
    recalled,
    remember,
)
from volbal.ui.log import plain
from volbal.ui.study_address import (
    RUN_NAMES,
    SETUP_NAMES,
    constraint_of,
    listed_parameter,
    unranked,
    usual_name,
)
from volbal.ui.study_words import within

KIND_TEXTS: Final[Mapping[Kind, str]] = {
    "min_value": "at least",
    "max_value": "at most",
    "in_range": "between",
    "out_of_range": "outside of",
    "equal": "equal to",
    "not_equal": "not equal to",
}
ARROWS: Final = {"up": "↑ more", "down": "↓ less"}
ENDS: Final = {"low": "Min", "high": "Max", "step": "Step"}
"""The inputs of a range."""

MOST_TOLD: Final = 5
"""Symbols whose range of prices is told."""

FIRST_RUN: Final = (
    "Estimating. Only the very first run on a computer starts slowly: it compiles the "
    "calculation, about ten seconds."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the inputs ask, and what it would cost; problem: why it cannot be run, in words.

    request is None where one cannot be made of the inputs, estimate where it cannot be run.
    """

    request: StudyRequest | None = None
    estimate: Estimate | None = None
    problem: str = ""


def inputs(page: str, database: Database) -> Asked:
    """Every input of a study, in the sidebar."""
    idle = _fields_without_effect(page)
    beside: dict[str, Any] = {}
    st.subheader("Parameters")
    _sweep_inputs(page, idle)
    beside["parameters"] = st.empty()
    st.subheader("Goals", help="What is ranked. A change re-ranks at once, nothing is run again.")
    _goal_inputs(page)
    st.subheader("Constraints", help="Filters. A change applies at once, nothing is run again.")
    _constraint_inputs(page)
    st.subheader("Prices")
    _price_inputs(page)
    st.subheader("Run")
    beside |= _run_inputs(page)
    with st.expander("Base policy"):
        st.caption("For every field that is no parameter above.")
        policy_inputs(page, idle, swept_fields(page))
    _refusal(lambda: _policy(page))
    asked: StudyRequest | None = None
    try:
        asked = request(page)
        return Asked(asked, _estimate(database, asked))
    except VolbalError as error:
        field = error.field if isinstance(error, InvalidInput) else ""
        if field in beside and (asked or field in RUN_NAMES):  # others are told already
            beside[field].markdown(_refused(error))
        return Asked(asked, problem=refusal(error))


def _estimate(database: Database, asked: StudyRequest) -> Estimate:
    revisions = tuple(SOURCE.revision(symbol) for symbol in asked.symbols)
    return _estimated(database, str(database.path), revisions, unranked(asked))


@st.cache_data(max_entries=256, show_spinner=FIRST_RUN)
def _estimated(
    _database: Database, path: str, revisions: tuple[int, ...], asked: StudyRequest
) -> Estimate:
    return studies.estimate(_database, asked)


def _refusal(check: Callable[[], Any]) -> None:
    """Why what was typed cannot be used; nothing where it can."""
    try:
        check()
    except VolbalError as error:
        st.markdown(_refused(error))


def _refused(error: VolbalError) -> str:
    """As small as a caption, whose colours are pale."""
    return f":small[:red[:material/error: {plain(str(error))}]]"


def request(page: str) -> StudyRequest:
    """What the inputs ask. Raises InvalidInput."""
    goals, constraints = ranking(page)
    symbols = tuple(recalled(page, "symbols"))
    parameters = tuple(_parameter(page, name) for name in recalled(page, "sweep"))
    return StudyRequest(
        name=recalled(page, "name").strip() or usual_name(symbols, parameters),
        symbols=symbols,
        parameters=parameters,
        goals=goals,
        constraints=constraints,
        setup=_setup(page),
        policy=_policy(page),
        **{name: recalled(page, name) for name in RUN_NAMES},
    )


def _setup(page: str) -> Setup:
    return Setup(**{name: recalled(page, name) for name in SETUP_NAMES})


def _policy(page: str) -> Policy:
    return Policy(**{name: recalled(page, name) for name in policy_values(Policy())})


def ranking(page: str) -> tuple[tuple[Goal, ...], tuple[Constraint, ...]]:
    """Goals and constraints as they stand. Raises InvalidInput."""
    goals = tuple(_goal(page, metric) for metric in recalled(page, "goals"))
    check_goals(goals)
    constraints = (_constraint(page, row) for row in recalled(page, "constraints"))
    return goals, tuple(one for one in constraints if one is not None)


def _goal(page: str, metric: str) -> Goal:
    direction = recalled(page, f"{metric}.direction")
    natural = METRIC[metric].direction
    if direction is None:
        label = METRIC[metric].label
        raise InvalidInput(
            "goals", f"{label} has no direction of its own", "choose ↑ more or ↓ less"
        )
    weight = recalled(page, f"{metric}.weight")
    return Goal(metric, float(weight), None if direction == natural else direction)


def _constraint(page: str, row: int) -> Constraint | None:
    """None while its number is still to be typed."""
    key = f"constraint-{row}"
    kind, low = recalled(page, f"{key}.kind"), recalled(page, f"{key}.low")
    high = recalled(page, f"{key}.high") if kind in RANGES else low
    if low is None or high is None:
        return None
    return constraint_of(recalled(page, f"{key}.metric"), kind, low, high)


def _parameter(page: str, name: str) -> Parameter:
    if choices(name):
        chosen = recalled(page, f"{name}.values")
        return Parameter(name, tuple(value for value in choices(name) if value in chosen))
    if recalled(page, f"{name}.listed"):
        return listed_parameter(name, recalled(page, f"{name}.list"))
    ends = {end: recalled(page, f"{name}.{end}") for end in ENDS}
    missing = [ENDS[end].lower() for end, value in ends.items() if value is None]
    if missing:
        told = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise InvalidInput(name, told, "type a number")
    return exact_range(name, *map(value_text, ends.values()))


def swept_fields(page: str) -> set[str]:
    """The policy fields that the chosen parameters set, whatever the base policy says."""
    names = recalled(page, "sweep")
    return {field for name in names for field in SHORTHANDS.get(name, (name,))}


def _sweep_inputs(page: str, idle: Mapping[str, str]) -> None:
    st.multiselect(
        "Parameters to sweep",
        list(FIELDS),
        key=f"{page}.sweep",
        format_func=lambda name: FIELDS[name].label,
        help="One or several fields; every combination of their values is simulated. "
        "Example: trigger threshold and rebalance ratio.",
    )
    for name in recalled(page, "sweep"):
        with st.container(border=True, gap="xsmall"):
            _values_inputs(page, name)
            if name in idle:
                st.caption(f":material/info: {FIELDS[name].label} {idle[name]}")
    try:
        found = tuple(_parameter(page, name) for name in recalled(page, "sweep"))
    except InvalidInput:
        return  # said beside its own values
    _refusal(lambda: Grid(Policy(), found))


def _values_inputs(page: str, name: str) -> None:
    field, options = FIELDS[name], choices(name)
    if options:
        _default(page, {f"{name}.values": list(options)})
        st.pills(
            field.label,
            options,
            key=f"{page}.{name}.values",
            selection_mode="multi",
            format_func=shown_value,
            help=f"{field.help} Click the values to compare.",
        )
        return
    _default(page, {f"{name}.listed": False})
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**{field.label}**", help=field.help, width="stretch")
        st.toggle(
            "List",
            key=f"{page}.{name}.listed",
            help="Exact values instead of a range. Example: 0.01, 0.02, 0.05.",
        )
    if recalled(page, f"{name}.listed"):
        _list_input(page, name)
    else:
        _range_inputs(page, name)
    _refusal(lambda: st.caption(_values_text(page, name)))


def _default(page: str, values: Mapping[str, Any]) -> None:
    """Give inputs that are not on screen yet a first value."""
    remember(page, {n: v for n, v in values.items() if f"{page}.{n}" not in st.session_state})


def _list_input(page: str, name: str) -> None:
    low, high, _ = FIELDS[name].sweep
    _default(page, {f"{name}.list": f"{value_text(low)}, {value_text(high)}"})
    st.text_input(
        "Values",
        key=f"{page}.{name}.list",
        help=f"Numbers separated by commas. Example: {value_text(low)}, {value_text(high)}.",
    )


def _range_inputs(page: str, name: str) -> None:
    field = FIELDS[name]
    state = dict(zip(ENDS, field.sweep, strict=True))
    _default(page, {f"{name}.{end}": value for end, value in state.items()})
    row = st.grid(3, min_column_width=60, gap="xxsmall")
    for end, label in ENDS.items():
        row.number_input(
            label,
            value=None,  # emptied, it is missing and not 0
            key=f"{page}.{name}.{end}",
            step=field.step,
            format="%.15g",
            help=f"{label} of {field.label.lower()}. Example: {value_text(state[end])}.",
        )


def _values_text(page: str, name: str) -> str:
    """How many values a parameter has, and which. Raises InvalidInput."""
    values = _parameter(page, name).values
    shown = [shown_value(value) for value in values]
    listed = ", ".join(shown if len(shown) <= 4 else [*shown[:2], "…", shown[-1]])
    return f"{len(values):,} value{'' if len(values) == 1 else 's'}: {listed}"


def _goal_inputs(page: str) -> None:
    st.multiselect(
        "Metrics to be good in",
        list(METRIC),
        key=f"{page}.goals",
        format_func=lambda name: METRIC[name].label,
        help="One or several; each with a weight. Example: excess return and maximum drawdown.",
    )
    for metric in recalled(page, "goals"):
        told = METRIC[metric]
        _default(page, {f"{metric}.weight": 1.0, f"{metric}.direction": told.direction})
        weight, direction = st.columns([2, 3], vertical_alignment="bottom", wrap=False)
        weight.number_input(
            told.label,
            step=0.5,
            format="%.6g",
            key=f"{page}.{metric}.weight",
            help=f"Weight among the goals: {told.description}. Example: 1.",
        )
        direction.segmented_control(
            f"Direction of {told.label.lower()}",
            list(ARROWS),
            required=True,
            key=f"{page}.{metric}.direction",
            format_func=ARROWS.__getitem__,
            label_visibility="collapsed",
            help="Which way is good. Example: ↓ less for volatility.",
        )
    _refusal(lambda: check_goals(tuple(_goal(page, one) for one in recalled(page, "goals"))))


def _constraint_inputs(page: str) -> None:
    rows = recalled(page, "constraints")
    for row in rows:
        with st.container(border=True, gap="xsmall"):
            _constraint_row(page, row)
    st.button(
        "Add a constraint",
        key=f"{page}.add",
        icon=":material/add:",
        type="tertiary",
        on_click=lambda: remember(page, {"constraints": [*rows, max(rows, default=-1) + 1]}),
    )


def _constraint_row(page: str, row: int) -> None:
    key = f"constraint-{row}"
    _default(
        page,
        {f"{key}.metric": "max_drawdown", f"{key}.kind": "min_value"}
        | {f"{key}.low": None, f"{key}.high": None},
    )
    st.selectbox(
        "Metric",
        list(METRIC),
        key=f"{page}.{key}.metric",
        format_func=lambda name: METRIC[name].label,
        help="What the constraint is on. Example: maximum drawdown at least -0.3.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", wrap=False, gap="xsmall"):
        kind = st.selectbox(
            "Kind",
            KINDS,
            key=f"{page}.{key}.kind",
            format_func=KIND_TEXTS.__getitem__,
            help="How a cell has to compare. Example: at least.",
        )
        st.button(
            "",
            icon=":material/delete:",
            key=f"{page}.{key}.remove",
            type="tertiary",
            help="Remove this constraint",
            on_click=lambda: remember(
                page, {"constraints": [one for one in recalled(page, "constraints") if one != row]}
            ),
        )
    ends = {"low": "From", "high": "To"} if kind in RANGES else {"low": "Value"}
    numbers = st.grid(len(ends), min_column_width=60, gap="xxsmall")
    for end, label in ends.items():
        numbers.number_input(
            label,
            value=None,
            key=f"{page}.{key}.{end}",
            step=0.01,
            format="%.6g",
            placeholder="number",
            help="A fraction for ratios. Example: -0.3 is a fall of 30 %.",
        )
    _refusal(lambda: _constraint_text(page, row))


def _constraint_text(page: str, row: int) -> None:
    """Say what a constraint waits for, or why it does not filter. Raises InvalidInput."""
    constraint = _constraint(page, row)
    if constraint is None:
        st.caption(":material/info: Applies once its number is typed.")
        return
    metric, met = METRIC[constraint.metric], met_by(constraint)
    if met == "some":
        if metric.unit == "ratio" and max(map(abs, constraint.ends)) >= 1.0:
            texts = (f"{value_text(end)} is {metric_text(metric, end)}" for end in constraint.ends)
            st.caption(f":material/info: A fraction: {', '.join(texts)}.")
        return
    low, high = REACH[constraint.metric]
    reach = f"is {'never below' if math.isinf(high) else 'from'} {value_text(low)}"
    reach += "" if math.isinf(high) else f" to {value_text(high)}"
    effect = "No cell can meet this" if met == "none" else "Every cell meets this"
    told = f"{effect}: {plain(within(metric.label))} {reach}."
    st.markdown(f":small[:orange[:material/warning: {told}]]")


def _price_inputs(page: str) -> None:
    st.multiselect(
        "Symbols",
        [*SOURCE.symbols(), *_without_prices(page)],
        key=f"{page}.symbols",
        max_selections=MOST_SYMBOLS,
        on_change=_fit_dates,
        args=(page,),
        help="The same parameters are run on each; ranked by symbol and pooled. Example: AAPL, KO.",
    )
    found = _histories(page)
    if not recalled(page, "symbols"):
        st.markdown(":small[:red[:material/error: Choose at least one symbol.]]")
    for symbol in _without_prices(page):
        _refusal(partial(SOURCE.history, symbol))
    reach = _reach(page, found)
    st.date_input(
        "Start",
        key=f"{page}.start",
        help="First session date, included; empty: from the first price. Example: 2013-01-02.",
        **reach,
    )
    st.date_input(
        "End",
        key=f"{page}.end",
        help="Last session date, included; empty: to the last price. Example: 2023-09-21.",
        **reach,
    )
    moved = _fitted_text(page, found)
    if moved:
        st.caption(f":material/info: {plain(moved)}")
    for history in found[:MOST_TOLD]:
        st.caption(f"{history.symbol} has prices from {history.first_date} to {history.last_date}.")
    if len(found) > MOST_TOLD:
        st.caption(f"So much for the first {MOST_TOLD} of {len(found)} symbols.")
    for history in found:
        _refusal(partial(history.between, recalled(page, "start"), recalled(page, "end")))


def _fit_dates(page: str) -> None:
    """Keep the dates within those that all symbols have, as near as can be to the user's."""
    found = _histories(page)
    first = max((one.first_date for one in found), default=None)
    last = min((one.last_date for one in found), default=None)
    if first is None or last is None or first >= last:
        return
    start, end = _wanted(page, "start"), _wanted(page, "end")
    if start is not None:
        _fit(page, "start", start, max(start, first) if start < last else first)
    if end is not None:
        _fit(page, "end", end, min(end, last) if end > first else last)


def _wanted(page: str, name: str) -> date | None:
    """The date that the user chose, whatever it had to become since."""
    now: date | None = recalled(page, name)
    wanted, fitted = recalled(page, "fitted").get(name, (now, now))
    return wanted if now == fitted else now


def _fit(page: str, name: str, wanted: date, fitted: date) -> None:
    pairs = recalled(page, "fitted") | {name: (wanted, fitted)}
    remember(page, {name: fitted, "fitted": pairs})


def _fitted_text(page: str, found: list[PriceHistory]) -> str:
    """Which of the user's dates had to move, and for which symbols; empty for none."""
    moved = [name for name in ("start", "end") if _wanted(page, name) != recalled(page, name)]
    edges = {
        "start": {one.first_date: one.symbol for one in found},
        "end": {one.last_date: one.symbol for one in found},
    }
    return " ".join(
        f"{name.capitalize()} {_wanted(page, name)} is moved to {recalled(page, name)} for "
        f"{edges[name].get(recalled(page, name), 'these symbols')}, and back without it."
        for name in moved
    )


def _histories(page: str) -> list[PriceHistory]:
    """Of the chosen symbols those that have prices."""
    known = SOURCE.symbols()
    return [SOURCE.history(symbol) for symbol in recalled(page, "symbols") if symbol in known]


def _without_prices(page: str) -> list[str]:
    """Of the chosen symbols those whose prices are gone: a study outlives them."""
    known = SOURCE.symbols()
    return [symbol for symbol in recalled(page, "symbols") if symbol not in known]


def _reach(page: str, found: list[PriceHistory]) -> dict[str, Any]:
    """Days to choose from: those with prices, and those chosen already."""
    chosen = [day for name in ("start", "end") if (day := recalled(page, name)) is not None]
    days = [day for one in found for day in (one.first_date, one.last_date)] + chosen
    limits = {"min_value": min(days), "max_value": max(days)} if days else {}
    return {"value": None, "format": "YYYY-MM-DD", **limits}


def _run_inputs(page: str) -> dict[str, Any]:
    """Returns the places below some of them, for what is wrong with these."""
    st.toggle(
        "Keep a vault",
        key=f"{page}.split",
        help="Search on the first 60 % of the range, select on the next 20 %, and keep the last "
        "20 % unseen until you open it, once. Example: on, for anything you mean to trade.",
    )
    beside = st.empty()
    cell_inputs(page)
    _refusal(lambda: _setup(page))
    ticks, lag = st.columns(2, wrap=False)
    ticks.selectbox(
        FIELDS["ticks"].label,
        choices("ticks"),
        key=f"{page}.ticks",
        help=FIELDS["ticks"].help,
        disabled="ticks" in recalled(page, "sweep"),
    )
    lag.number_input(
        "Pay lag (days)",
        step=1,
        key=f"{page}.pay_lag_days",
        help="From ex-date to pay date where the data has no pay date. Example: 21.",
    )
    most, seed = st.columns(2, wrap=False)
    below = st.empty()
    most.number_input(
        "Most combinations",
        step=100_000,
        key=f"{page}.max_cells",
        help="A larger grid is sampled evenly down to this number. Example: 1000000.",
    )
    seed.number_input(
        "Seed",
        step=1,
        key=f"{page}.seed",
        help="Of the sample; the same seed gives the same sample. Example: 0.",
    )
    st.text_input(
        "Name",
        key=f"{page}.name",
        placeholder="from symbols and parameters",
        help="What the study is called in the list, from when it is saved or run. "
        "Example: KO, wide triggers.",
    )
    return {"split": beside, "max_cells": below, "seed": below}


def _fields_without_effect(page: str) -> dict[str, str]:
    """Fields that cannot change anything in the run that the inputs ask for, with the reason."""
    idle: dict[str, str] = {}
    found = _histories(page)
    if recalled(page, "ticks") == "close" and "ticks" not in recalled(page, "sweep"):
        idle["max_orders_per_day"] = ONE_TICK_A_DAY
    if found and all(one.dividends.empty for one in found):
        symbols = ", ".join(one.symbol for one in found)
        idle["withholding_rate"] = f"cannot matter here: {symbols} paid no dividends."
    return idle

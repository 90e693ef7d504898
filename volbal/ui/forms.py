"""Form parts that pages share: prices, start and policy."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import streamlit as st

from volbal.domain.policy import BOOLEANS, DEFAULT_RATIOS, PRESETS, Policy
from volbal.formatting import value_text
from volbal.services.research import Setup
from volbal.ui import prices
from volbal.ui.address import Question, policy_values
from volbal.ui.fields import FIELDS, MAIN, MORE, Field, choices, shown_value

SOURCE = prices.KnownPrices()

ONE_TICK_A_DAY = "cannot matter here: with daily close ticks the rule looks once a day."


def remember(page: str, values: Mapping[str, Any]) -> None:
    """Make `values` the state of the page's inputs, by name."""
    for name, value in values.items():
        st.session_state[f"{page}.{name}"] = value


def recalled(page: str, name: str) -> Any:
    """The state of one input."""
    return st.session_state[f"{page}.{name}"]


def show_problems(problems: list[str]) -> None:
    """Say which parts of a link could not be used."""
    if problems:
        st.warning("\n\n".join(problems), icon=":material/link_off:")


def data_inputs(page: str) -> None:
    """Symbol and dates."""
    history = SOURCE.history(recalled(page, "symbol"))
    st.selectbox(
        "Symbol",
        SOURCE.symbols(),
        key=f"{page}.symbol",
        on_change=_fit_dates,
        args=(page, history.last_date),
        help="Whose prices to use. Example: AAPL, 2000-03-01 to 2023-09-21.",
    )
    reach: dict[str, Any] = {
        "min_value": history.first_date,
        "max_value": history.last_date,
        "format": "YYYY-MM-DD",
    }
    start, end = st.columns(2, wrap=False)
    start.date_input(
        "Start",
        key=f"{page}.start",
        help="First session date, included; a date without a session moves inwards. "
        "Example: 2013-01-02.",
        **reach,
    )
    end.date_input(
        "End",
        key=f"{page}.end",
        help="Last session date, included; a date without a session moves inwards. "
        "Example: 2023-09-21.",
        **reach,
    )
    origin = history.provenance.source.partition(":")[0]
    st.caption(
        f"{history.symbol} has prices from {history.first_date} to {history.last_date} ({origin})."
    )
    problem = prices.problem()
    if problem:
        st.caption(f":material/lock: Only the bundled prices can be used. {problem}")


def _fit_dates(page: str, reached: date) -> None:
    """Move dates that the newly chosen symbol does not have to its first or last one.

    An end at `reached`, the newest price of the symbol before, becomes the newest one of this.
    """
    history = SOURCE.history(recalled(page, "symbol"))
    start, end = recalled(page, "start"), recalled(page, "end")
    end = history.last_date if end == reached else end
    start = start if start < history.last_date else history.first_date
    end = end if end > history.first_date else history.last_date
    remember(page, {"start": max(start, history.first_date), "end": min(end, history.last_date)})


def cell_inputs(page: str) -> None:
    """What the cell starts with."""
    capital, share = st.columns(2, wrap=False)
    capital.number_input(
        "Capital",
        key=f"{page}.capital",
        step=1000.0,
        format="%.2f",
        help="Worth of the cell at the first price, in account currency. Example: 10000.",
    )
    share.number_input(
        "Stock share",
        key=f"{page}.stock_share",
        step=0.05,
        format="%.4g",
        help="Part of the capital in shares at the start, the rest is cash. Example: 0.5 is 50 %.",
    )


def tick_input(page: str, swept: bool = False) -> None:
    """What the rule sees of a bar."""
    field = FIELDS["ticks"]
    st.selectbox(
        field.label, choices("ticks"), key=f"{page}.ticks", help=field.help, disabled=swept
    )


def policy_inputs(page: str, idle: Mapping[str, str], swept: Collection[str] = ()) -> None:
    """The policy's fields; `idle` says of fields why they cannot matter in this run."""
    st.session_state[f"{page}.preset"] = _shown_preset(page)
    st.segmented_control(
        "Preset",
        list(PRESETS),
        key=f"{page}.preset",
        format_func=str.capitalize,
        on_change=_apply_preset,
        args=(page,),
        width="stretch",
        help="Fills the fields below. Example: conservative trades seldom and little; "
        "none is marked when the fields are your own.",
    )
    _policy_fields(page, MAIN, idle, swept)
    with st.expander("Order size, costs and cash"):
        _policy_fields(page, MORE, idle, swept)


def _policy_fields(
    page: str, names: Collection[str], idle: Mapping[str, str], swept: Collection[str]
) -> None:
    with st.grid(2, min_column_width=110, gap="small"):
        for name in names:
            if not choices(name):
                _policy_field(page, name, name in swept)
    for name in names:
        if choices(name):
            _policy_field(page, name, name in swept)
    for name in names:
        if name in idle:
            st.caption(f":material/info: {FIELDS[name].label} {idle[name]}")


def _policy_field(page: str, name: str, swept: bool) -> None:
    field = FIELDS[name]
    key = f"{page}.{name}"
    if name in BOOLEANS:
        st.toggle(field.label, key=key, help=field.help, disabled=swept)
    elif choices(name):
        st.selectbox(
            field.label,
            choices(name),
            key=key,
            format_func=shown_value,
            help=field.help,
            disabled=swept,
        )
    else:
        st.number_input(
            field.label,
            key=key,
            help=field.help,
            disabled=swept,
            **_number_format(page, name, field),
        )


def _number_format(page: str, name: str, field: Field) -> dict[str, Any]:
    if name == "max_orders_per_day":
        return {"step": int(field.step), "format": "%d"}
    number: dict[str, Any] = {"step": field.step, "format": "%.6g"}
    if name == "rebalance_ratio":
        # The only one that may be empty: it then follows the sizing.
        usual = value_text(DEFAULT_RATIOS[recalled(page, "sizing")])
        number |= {"value": None, "placeholder": usual}
    return number


def _shown_preset(page: str) -> str | None:
    shown = {name: recalled(page, name) for name in policy_values(Policy())}
    return next((n for n, preset in PRESETS.items() if policy_values(preset) == shown), None)


def _apply_preset(page: str) -> None:
    preset = recalled(page, "preset")
    if preset:
        remember(page, policy_values(PRESETS[preset]))


def question(page: str) -> Question:
    """What the inputs ask. Raises InvalidInput."""
    policy = Policy(**{name: recalled(page, name) for name in policy_values(Policy())})
    setup = Setup(
        start=recalled(page, "start"),
        end=recalled(page, "end"),
        capital=recalled(page, "capital"),
        stock_share=recalled(page, "stock_share"),
        ticks=recalled(page, "ticks"),
    )
    return Question(recalled(page, "symbol"), policy, setup)


def fields_without_effect(page: str, swept: Collection[str] = ()) -> dict[str, str]:
    """Fields that cannot change anything in the run that the inputs ask for, with the reason."""
    history = SOURCE.history(recalled(page, "symbol"))
    idle = {}
    only_closes = recalled(page, "ticks") == "close" and "ticks" not in swept
    if only_closes and history.provenance.interval == "1d":
        idle["max_orders_per_day"] = ONE_TICK_A_DAY
    if history.dividends.empty:
        idle["withholding_rate"] = f"cannot matter here: {history.symbol} paid no dividends."
    return idle

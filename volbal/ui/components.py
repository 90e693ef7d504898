"""Form parts and tables that pages share."""

import math
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.policy import BOOLEANS, PRESETS, Policy
from volbal.engine.grid import Value
from volbal.engine.metrics import METRIC, METRICS, Metric
from volbal.errors import VolbalError
from volbal.formatting import UNDEFINED, metric_text, money, number, percent, value_text
from volbal.market.bundled import BundledPrices
from volbal.market.model import PriceHistory, PriceSource
from volbal.services.research import BENCHMARKS, Setup, Simulation, simulate
from volbal.ui.address import Question, policy_values
from volbal.ui.fields import FIELDS, MAIN, MORE, Field, choice_text, choices, preset_of

SOURCE: PriceSource = BundledPrices()

STRATEGY = "Strategy"

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
        args=(page,),
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
    st.caption(f"{history.symbol} has prices from {history.first_date} to {history.last_date}.")


def _fit_dates(page: str) -> None:
    """Move dates that the newly chosen symbol does not have to its first or last one."""
    history = SOURCE.history(recalled(page, "symbol"))
    start, end = recalled(page, "start"), recalled(page, "end")
    start = start if start < history.last_date else history.first_date
    end = end if end > history.first_date else history.last_date
    remember(
        page, {"start": max(start, history.first_date), "end": min(end, history.last_date)}
    )


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
        help="Part of the capital in shares at the start, the rest is cash. "
        "Example: 0.5 is 50 %.",
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
    columns = st.columns(2, wrap=False)
    numbers = [name for name in names if not choices(name)]
    for index, name in enumerate(numbers):
        with columns[index % 2]:
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
            format_func=choice_text,
            help=field.help,
            disabled=swept,
        )
    else:
        st.number_input(
            field.label,
            key=key,
            help=field.help,
            disabled=swept,
            placeholder="swept" if swept else "by sizing",
            **_number_format(name, field),
        )


def _number_format(name: str, field: Field) -> dict[str, Any]:
    if name == "max_orders_per_day":
        return {"step": int(field.step), "format": "%d"}
    return {"step": field.step, "format": "%.6g"} | (
        {"value": None} if name == "rebalance_ratio" else {}
    )


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
    )
    return Question(recalled(page, "symbol"), policy, setup)


def fields_without_effect(page: str) -> dict[str, str]:
    """Fields that cannot change anything in the run that the inputs ask for, with the reason."""
    history = SOURCE.history(recalled(page, "symbol"))
    idle = {"max_orders_per_day": ONE_TICK_A_DAY}
    if history.dividends.empty:
        idle["withholding_rate"] = f"cannot matter here: {history.symbol} paid no dividends."
    return idle


@st.cache_resource(show_spinner=False, max_entries=32)
def simulated(asked: Question) -> Simulation:
    """The simulation of a question, computed once. Raises VolbalError."""
    return simulate(SOURCE.history(asked.symbol), asked.policy, asked.setup)


def stop_with(error: VolbalError) -> None:
    """Show a refusal in its own words; the inputs keep their values."""
    st.error(str(error), icon=":material/error:")
    st.stop()


def headline(result: Simulation, columns: int = 4) -> None:
    """The figures one looks at first, with buy & hold beside them."""
    hold = result.benchmarks["buy_and_hold"]
    matched = result.benchmarks["exposure_matched"]
    grid = st.grid(columns, min_column_width=140, gap="xsmall")

    def card(label: str, value: str, beside: str, description: str, note: str) -> None:
        grid.metric(
            label,
            value,
            beside,
            delta_color="off",
            delta_arrow="off",
            delta_description=description,
            help=note,
            border=True,
        )

    def compared(name: str, note: str = "") -> None:
        metric, value = METRIC[name], result.metrics[name]
        beside = metric_text(metric, hold[name])
        card(metric.label, metric_text(metric, value), beside, "buy & hold", note or sentence(metric))

    card(
        "Final value",
        money(result.final_equity),
        money(hold["final_equity"]),
        "buy & hold",
        "Cash, shares and dividends not yet paid at the last close, in account currency.",
    )
    compared("total_return")
    compared("cagr")
    compared("sharpe_ratio")
    compared("max_drawdown")
    excess = METRIC["excess_return"]
    card(
        excess.label,
        metric_text(excess, result.metrics["excess_return"]),
        metric_text(METRIC["cagr"], matched["cagr"]),
        "matched hold a year",
        f"{sentence(excess)} A rule that only holds less stock has none.",
    )
    card(
        METRIC["avg_stock_share"].label,
        metric_text(METRIC["avg_stock_share"], result.metrics["avg_stock_share"]),
        percent(1.0, 0),
        "buy & hold",
        sentence(METRIC["avg_stock_share"]),
    )
    card(
        METRIC["fill_count"].label,
        metric_text(METRIC["fill_count"], result.metrics["fill_count"]),
        money(result.metrics["total_commissions"]),
        "commissions",
        sentence(METRIC["fill_count"]),
    )


def sentence(metric: Metric) -> str:
    """A metric's description as a sentence."""
    return f"{metric.description[:1].upper()}{metric.description[1:]}."


def metrics_table(result: Simulation) -> pd.DataFrame:
    """Every metric of the strategy and, where they have it, of its benchmarks, as text."""
    rows = [
        {
            "Metric": metric.label,
            STRATEGY: metric_text(metric, result.metrics[metric.name]),
            **{
                label: _benchmark_text(metric, result.benchmarks[name])
                for name, label in BENCHMARKS.items()
            },
            "Meaning": _meaning(metric, result.undefined),
        }
        for metric in METRICS
    ]
    return pd.DataFrame(rows)


def _benchmark_text(metric: Metric, values: Mapping[str, float]) -> str:
    return metric_text(metric, values[metric.name]) if metric.name in values else ""


def _meaning(metric: Metric, undefined: Mapping[str, str]) -> str:
    if metric.name in undefined:
        return f"{UNDEFINED} because {undefined[metric.name]}. {sentence(metric)}"
    return sentence(metric)


def fills_table(result: Simulation) -> pd.DataFrame:
    """Every fill, as text and numbers ready to show."""
    fills = result.fills
    return pd.DataFrame(
        {
            "Date": fills["time"].dt.strftime("%Y-%m-%d"),
            "Side": fills["side"],
            "Quantity": [number(value, 4) for value in fills["quantity"]],
            "Price": [money(value) for value in fills["price"]],
            "Notional": [money(value) for value in fills["notional"]],
            "Commission": [money(value) for value in fills["commission"]],
            "Shares after": [number(value, 4) for value in fills["shares"]],
            "Cash after": [money(value) for value in fills["cash"]],
            "Stock share after": [percent(value, 1) for value in fills["stock_share"]],
            "Gain of sale": ["" if math.isnan(gain) else money(gain) for gain in fills["gain"]],
            "Reason": fills["reason"].str.replace("_", " "),
        }
    )


def dividends_table(result: Simulation) -> pd.DataFrame:
    """Every dividend of the simulation, as text."""
    paid = result.dividends
    return pd.DataFrame(
        {
            "Ex-date": paid["ex_date"].dt.strftime("%Y-%m-%d"),
            "Pay date": paid["pay_date"].dt.strftime("%Y-%m-%d").fillna("after the end"),
            "Per share, gross": [number(value, 4) for value in paid["per_share"]],
            "Shares": [number(value, 4) for value in paid["shares"]],
            "Net": [money(value) for value in paid["net"]],
        }
    )


NUMBERS_RIGHT = "right"


def text_table(frame: pd.DataFrame, left: Collection[str], height: int, key: str) -> Any:
    """A table of formatted text: numbers to the right, the columns in `left` to the left."""
    columns = {
        name: st.column_config.TextColumn(alignment="left" if name in left else NUMBERS_RIGHT)
        for name in frame.columns
    }
    return st.dataframe(
        frame, hide_index=True, column_config=columns, height=height, key=key, width="stretch"
    )


def provenance(history: PriceHistory, today: date) -> None:
    """Where the prices come from and how old they are."""
    told = history.provenance
    rows = {
        "Source": told.source,
        "Basis": told.basis,
        "Interval": told.interval,
        "As of": f"{told.as_of}, {number(told.age(today), 0)} days old",
        "Used here": f"{history.first_date} to {history.last_date}, "
        f"{number(len(history.bars), 0)} bars, {len(history.dividends)} dividends, "
        f"{len(history.splits)} splits (already in the prices)",
    }
    st.table(
        pd.DataFrame({"": list(rows), "Prices": list(rows.values())}),
        border="horizontal",
        hide_index=True,
        hide_header=True,
    )


def range_text(result_history: PriceHistory) -> str:
    """The sessions a result is about."""
    return f"{result_history.symbol} · {result_history.first_date} to {result_history.last_date}"


def values_text(values: Mapping[str, Value]) -> str:
    """Parameter values in one line."""
    return " · ".join(f"{FIELDS[name].label} {value_text(v)}" for name, v in values.items())

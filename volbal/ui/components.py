"""Form parts and tables that pages share."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.policy import BOOLEANS, DEFAULT_RATIOS, PRESETS, Policy
from volbal.engine.metrics import METRIC, METRICS, Metric
from volbal.errors import VolbalError
from volbal.formatting import UNDEFINED, metric_text, money, number, percent, value_text
from volbal.market.bundled import BundledPrices
from volbal.market.model import PriceHistory, PriceSource
from volbal.services.research import BENCHMARKS, Prepared, Setup, Simulation, simulate
from volbal.ui import charts
from volbal.ui.address import Question, policy_values
from volbal.ui.fields import FIELDS, MAIN, MORE, Field, choice_text, choices

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
            placeholder=_placeholder(page, swept),
            **_number_format(name, field),
        )


def _placeholder(page: str, swept: bool) -> str:
    """What an empty input means; only the rebalance ratio can be empty."""
    return "swept" if swept else value_text(DEFAULT_RATIOS[recalled(page, "sizing")])


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

    def compared(name: str) -> None:
        metric, value = METRIC[name], result.metrics[name]
        beside = metric_text(metric, hold[name])
        card(metric.label, metric_text(metric, value), beside, "buy & hold", sentence(metric))

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
        "matched hold, CAGR",
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


def draw_value(result: Simulation, key: str, height: int = 470) -> None:
    """Value and drawdown over time."""
    logarithmic = st.toggle(
        "Log scale",
        key=f"{key}-log",
        help="Equal growth is an equal distance. Example: 10,000 to 20,000 looks like 20,000 to "
        "40,000.",
    )
    option, tall = charts.value_chart(result.days, height, logarithmic)
    st.echarts_chart(
        option,
        height=tall,
        key=key,
        alt=f"Value of {result.symbol} from {result.prepared.history.first_date} to "
        f"{result.prepared.history.last_date}: strategy {money(result.final_equity)} at the end, "
        f"buy & hold {money(result.benchmarks['buy_and_hold']['final_equity'])}; below, the "
        f"drawdowns, at worst {percent(result.metrics['max_drawdown'])}.",
    )


def draw_rule(result: Simulation, key: str) -> None:
    """Price, anchor, fills and stock share over time."""
    option, tall = charts.rule_chart(result.days, result.fills, result.policy)
    st.echarts_chart(
        option,
        height=tall,
        key=key,
        alt=f"Price of {result.symbol} with the anchor and {len(result.fills)} fills; below, the "
        f"stock share between {percent(result.policy.min_stock_share, 0)} and "
        f"{percent(result.policy.max_stock_share, 0)}.",
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


def show_metrics(result: Simulation) -> None:
    """Every metric with its benchmarks and meaning."""
    frame = metrics_table(result)
    numbers = frame.columns[1:-1]
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        column_config={
            "Metric": st.column_config.TextColumn(width=170, pinned=True),
            **{name: st.column_config.TextColumn(alignment="right") for name in numbers},
            "Meaning": st.column_config.TextColumn(width=700),
        },
        alt="Every metric of the strategy and its benchmarks, with its meaning",
    )


MONEY = "%,.2f"
QUANTITY = "%,.4f"


def show_fills(result: Simulation) -> None:
    """Every fill, newest last."""
    if result.fills.empty:
        st.info("The rule never traded in this range.")
        return
    columns: dict[str, Any] = {
        "time": st.column_config.DateColumn("Date", format="YYYY-MM-DD", pinned=True),
        "side": "Side",
        "quantity": st.column_config.NumberColumn("Quantity", format=QUANTITY),
        "price": st.column_config.NumberColumn("Price", format=MONEY),
        "notional": st.column_config.NumberColumn("Notional", format=MONEY),
        "commission": st.column_config.NumberColumn("Commission", format=MONEY),
        "shares": st.column_config.NumberColumn("Shares after", format=QUANTITY),
        "cash": st.column_config.NumberColumn("Cash after", format=MONEY),
        "stock_share": st.column_config.NumberColumn("Stock share after", format="percent"),
        "gain": st.column_config.NumberColumn(
            "Gain of sale",
            format=MONEY,
            help="Quantity × (price − average cost) − commission",
        ),
        "reason": "Reason",
    }
    fills = result.fills.assign(reason=result.fills["reason"].str.replace("_", " "))
    st.dataframe(
        fills, hide_index=True, column_config=columns, height=420, alt="Every fill in order"
    )


def show_dividends(result: Simulation) -> None:
    """Every dividend that the cell earned."""
    if result.dividends.empty:
        st.info(f"{result.symbol} paid no dividend in this range.")
        return
    columns = {
        "ex_date": st.column_config.DateColumn("Ex-date", format="YYYY-MM-DD", pinned=True),
        "pay_date": st.column_config.DateColumn(
            "Pay date",
            format="YYYY-MM-DD",
            help="First session on or after it; empty where it lies after the end",
        ),
        "per_share": st.column_config.NumberColumn("Gross per share", format=QUANTITY),
        "shares": st.column_config.NumberColumn("Shares held", format=QUANTITY),
        "net": st.column_config.NumberColumn("Net received", format=MONEY),
    }
    st.dataframe(
        result.dividends,
        hide_index=True,
        column_config=columns,
        height=420,
        alt="Every dividend in order",
    )


def behind(prepared: Prepared) -> None:
    """Where the prices come from, how old they are, and what the result assumes."""
    history = prepared.history
    told = history.provenance
    rows = {
        "Source": told.source,
        "Basis": told.basis,
        "Interval": told.interval,
        "As of": f"{told.as_of}, {number(told.age(date.today()), 0)} days old",
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

    st.markdown("\n".join(f"- {sentence}" for sentence in prepared.assumptions))


def range_text(result_history: PriceHistory) -> str:
    """The sessions a result is about."""
    return f"{result_history.symbol} · {result_history.first_date} to {result_history.last_date}"

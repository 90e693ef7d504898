"""Results that pages share: headline, charts, tables."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.wording import age
from volbal.engine.metrics import METRIC, METRICS, Metric
from volbal.errors import VolbalError
from volbal.formatting import UNDEFINED, metric_text, money, number, percent
from volbal.market.inspection import calendar_for
from volbal.market.model import PriceHistory
from volbal.market.sessions import close_of
from volbal.services.research import (
    BENCHMARKS,
    TICKS_SENTENCES,
    Prepared,
    Simulation,
    simulate,
)
from volbal.ui import acting, charts
from volbal.ui.address import Question
from volbal.ui.fields import refusal
from volbal.ui.forms import SOURCE

STRATEGY = "Strategy"


def simulated(asked: Question) -> Simulation:
    """The simulation of a question, computed once for the same prices. Raises VolbalError."""
    return _simulated(asked, SOURCE.revision(asked.symbol))


@st.cache_resource(show_spinner=False, max_entries=32)
def _simulated(asked: Question, revision: int) -> Simulation:
    return simulate(SOURCE.history(asked.symbol), asked.policy, asked.setup)


def stop_with(error: VolbalError) -> None:
    """Show a refusal in its own words; the inputs keep their values."""
    st.error(refusal(error), icon=":material/error:")
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
        "matched hold",
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


def show_bracket(result: Simulation) -> None:
    """With limit ticks: what the order of a bar's extremes, which nobody knows, is worth."""
    if result.mirrored is None:
        return
    metric = METRIC["cagr"]
    ends = [metric_text(metric, result.metrics[name]) for name in ("bracket_low", "bracket_high")]
    st.caption(
        f":material/arrow_range: {metric.label} from {ends[0]} to {ends[1]}, by whether a bar's "
        "low or its high came first.",
        help=" ".join(TICKS_SENTENCES["limit"]),
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
    st.caption("Drag the handles under a chart to look closer.")


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
        }
        for metric in METRICS
    ]
    return pd.DataFrame(rows)


def _benchmark_text(metric: Metric, values: Mapping[str, float]) -> str:
    return metric_text(metric, values[metric.name]) if metric.name in values else ""


def show_metrics(result: Simulation) -> None:
    """Every metric with its benchmarks, and what they mean."""
    frame = metrics_table(result)
    headings = dict(
        zip(BENCHMARKS.values(), ("Buy & hold", "Start mix", "Matched hold"), strict=True)
    )
    numbers = {
        name: st.column_config.TextColumn(heading, help=name, alignment="right", width=width)
        for (name, heading), width in zip(headings.items(), (88, 84, 105), strict=True)
    }
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        column_config={
            "Metric": st.column_config.TextColumn(width=165, pinned=True),
            STRATEGY: st.column_config.TextColumn(alignment="right", width=80),
            **numbers,
        },
        alt="Every metric of the strategy and its benchmarks",
    )
    undefined = [
        f"{METRIC[name].label} {UNDEFINED} {reason}"
        for name, reason in result.undefined.items()
        if name in METRIC
    ]
    if undefined:
        st.caption(f"Undefined here: {'; '.join(undefined)}.")
    explain_metrics()


def explain_metrics() -> None:
    """What every metric means, whole sentences at any width."""
    with st.expander("What the metrics mean", icon=":material/dictionary:"):
        meanings = [{"Metric": one.label, "Meaning": sentence(one)} for one in METRICS]
        st.table(pd.DataFrame(meanings), border="horizontal", hide_index=True)


MONEY = "%,.2f"
QUANTITY = "%,.4f"


MOST_FALLS = 10


def show_returns(result: Simulation, key: str) -> None:
    """Returns month by month, the deepest falls, and figures of a rolling year."""
    st.markdown("**Returns by month**", help="The last column is the whole calendar year.")
    st.altair_chart(
        charts.months_chart(month_cells(result.monthly_returns)),
        key=f"{key}-months",
        alt=f"Return of {result.symbol}'s strategy in every month and year",
    )
    st.markdown("**Deepest falls**", help="From a peak to the first day back at it.")
    show_falls(result)
    st.markdown("**Rolling year**", help="Figures of the last 252 daily returns at every day.")
    if result.rolling.empty:
        st.info("The range is shorter than 252 days.")
        return
    option, tall = charts.rolling_chart(result.rolling)
    st.echarts_chart(
        option,
        height=tall,
        key=f"{key}-rolling",
        alt="Return, volatility and Sharpe ratio of the last 252 days at every day",
    )


def month_cells(table: pd.DataFrame) -> pd.DataFrame:
    """`Simulation.monthly_returns` as one row per month and year: year, month, value, label."""
    names = {month: date(2000, month, 1).strftime("%b") for month in range(1, 13)}
    cells = (
        table.rename(columns=names | {"year": "Year"})
        .melt(ignore_index=False, var_name="month", value_name="value")
        .dropna()
        .reset_index()
    )
    return cells.assign(label=[percent(value, 1) for value in cells["value"]])


def show_falls(result: Simulation) -> None:
    """The deepest stretches below a peak."""
    if result.falls.empty:
        st.info("The value never fell below a peak in this range.")
        return
    dates = {
        "peak_on": ("Peak", ""),
        "trough_on": ("Trough", ""),
        "recovered_on": ("Recovered", "Empty while it has not"),
    }
    columns: dict[str, Any] = {
        name: st.column_config.DateColumn(title, format="YYYY-MM-DD", help=told or None)
        for name, (title, told) in dates.items()
    }
    columns["depth"] = st.column_config.NumberColumn("Depth", format="percent")
    columns["days"] = st.column_config.NumberColumn(
        "Days", help="Calendar days from the peak to the recovery or the end"
    )
    st.dataframe(
        result.falls.head(MOST_FALLS),
        hide_index=True,
        column_config=columns,
        height="content",
        placeholder="",
        alt="The deepest falls below a peak",
    )


def show_fills(result: Simulation) -> None:
    """Every fill, newest last."""
    if result.fills.empty:
        st.info("The rule never traded in this range.")
        return
    daily = result.prepared.history.provenance.interval == "1d"
    when = (
        st.column_config.DateColumn("Date", format="YYYY-MM-DD", pinned=True)
        if daily
        else st.column_config.DatetimeColumn("Bar", format="YYYY-MM-DD HH:mm", pinned=True)
    )
    columns: dict[str, Any] = {
        "time": when,
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
        fills,
        hide_index=True,
        column_config=columns,
        height=420,
        placeholder="",
        alt="Every fill in order",
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
        placeholder="",
        alt="Every dividend in order",
    )


def show_notes(prepared: Prepared) -> None:
    """What the source had to say about this range, such as a date moved to a session."""
    for note in prepared.history.notes:
        st.caption(f":material/info: {note[:1].upper()}{note[1:]}.")


def behind(prepared: Prepared) -> None:
    """Where the prices come from, how old they are, and what the result assumes."""
    history = prepared.history
    told = history.provenance
    ended_at = close_of(told.as_of, calendar_for(history))
    used = (
        f"Prices of {history.symbol} reach to {told.as_of}, {age(ended_at, acting.now())} "
        f"ago. Used here: {history.first_date} to {history.last_date}, "
        f"{number(len(history.bars), 0)} bars, {len(history.dividends)} dividends, "
        f"{len(history.splits)} splits (already in the prices)."
    )
    st.markdown("\n".join(f"- {sentence}" for sentence in (used, *prepared.assumptions)))


def range_text(result_history: PriceHistory) -> str:
    """The sessions a result is about."""
    return f"{result_history.symbol} · {result_history.first_date} to {result_history.last_date}"

"""Parts of Compare: cards, curves and tables side by side."""

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
import streamlit as st

from volbal.domain.wording import percent_change
from volbal.engine.metrics import METRIC, Metric
from volbal.formatting import UNDEFINED, metric_text, money, percent
from volbal.services import comparison
from volbal.services.comparison import PositionsCompared
from volbal.services.research import Simulation
from volbal.ui import charts, tables
from volbal.ui.components import explain_metrics, sentence

CARDS = ("cagr", "max_drawdown")


def cards(results: Mapping[str, Simulation]) -> None:
    """The growth of each a year, with its deepest fall."""
    grid = st.grid(len(results), min_column_width=140, gap="xsmall")
    main, beside = (METRIC[name] for name in CARDS)
    for name, result in results.items():
        grid.metric(
            name,
            f"{metric_text(main, result.metrics[main.name])} a year",
            metric_text(beside, result.metrics[beside.name]),
            delta_color="off",
            delta_arrow="off",
            delta_description="drawdown",
            help=f"{main.label}: {sentence(main)}",
            border=True,
        )


def value_chart(curves: pd.DataFrame, title: str, key: str, number: str = charts.MONEY) -> None:
    """Curves of `comparison` and their drawdowns."""
    option, tall = charts.comparison_chart(curves, title, number=number)
    names = ", ".join(dict.fromkeys(map(str, curves.columns.get_level_values(0))))
    with st.container(border=True):
        st.echarts_chart(
            option, height=tall, key=key, alt=f"{title} of {names}; below, their drawdowns"
        )


def metrics(results: Mapping[str, Simulation]) -> None:
    """Every metric of each, and what the others have more than the first."""
    numbers = comparison.metrics(results)
    first, *others = results
    rows = []
    for name in numbers.index:
        metric = METRIC[str(name)]
        row = {"Metric": metric.label, first: metric_text(metric, numbers.loc[name, first])}
        for other in others:
            row[other] = metric_text(metric, numbers.loc[name, other])
            more = comparison.difference(other)
            row[more] = _signed(metric, numbers.loc[name, more])
        rows.append(row)
    columns = {
        name: st.column_config.TextColumn(name, alignment="right", width=110)
        for name in (first, *others)
    } | {
        comparison.difference(name): st.column_config.TextColumn(
            f"− {first}", help=f"{name} less {first}", alignment="right", width=110
        )
        for name in others
    }
    tables.show(
        pd.DataFrame(rows),
        "compare-metrics",
        {
            "Metric": st.column_config.TextColumn(width=165, pinned=True),
            **columns,
        },
        alt="Every metric of each policy, and its difference to the first",
    )
    explain_metrics()
    days = comparison.curves(results)
    days.columns = days.columns.map(" ".join)
    tables.downloads({"Metrics": numbers, "Days": days}, "comparison", "compare-downloads")


def _signed(metric: Metric, value: float) -> str:
    text = metric_text(metric, value)
    return f"+{text}" if value > 0 else text


def positions(found: PositionsCompared) -> None:
    """Returns, stock share, dividends and fees of positions since a day."""
    st.markdown(f"Since **{found.since}**")
    if len(found.curves) < 2:
        st.info(
            "All of them are valued on one day only so far: returns need a second one.",
            icon=":material/hourglass_empty:",
        )
    grid = st.grid(len(found.sides), min_column_width=140, gap="xsmall")
    for side in found.sides:
        grid.metric(
            f"{side.ticker} #{side.position_id}",
            _ratio(side.time_weighted),
            _ratio(side.stock),
            delta_color="off",
            delta_arrow="off",
            delta_description="its stock",
            help="Time-weighted return; beside it the stock's total return, dividends net.",
            border=True,
        )
    value_chart(found.curves, "Growth of 1", "compare-growth", "%.4f")
    rows = [
        {
            "Position": f"{side.ticker} #{side.position_id}",
            "Return": _ratio(side.time_weighted),
            "Stock": _ratio(side.stock),
            "Excess": _ratio(side.excess),
            "Stock share": UNDEFINED if side.stock_share is None else percent(side.stock_share, 1),
            "Value": UNDEFINED if side.equity is None else money(side.equity),
            "Dividends, net": money(side.dividends),
            "Fees": money(side.fees),
        }
        for side in found.sides
    ]
    tables.show(
        pd.DataFrame(rows),
        "compare-positions",
        {
            name: st.column_config.TextColumn(name, alignment="right")
            for name in rows[0]
            if name != "Position"
        },
        alt="Returns, stock share, dividends and fees of each position",
    )
    days = found.curves.copy()
    days.columns = days.columns.map(" ".join)
    figures = pd.DataFrame([asdict(side) for side in found.sides])
    tables.downloads({"Positions": figures, "Days": days}, "positions", "compare-downloads")


def _ratio(value: float | None) -> str:
    return UNDEFINED if value is None else percent_change(value)

"""Other pictures of a study: trade-offs between goals, parallel coordinates, slices."""

from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from volbal.domain.wording import listed
from volbal.engine.goals import Goal
from volbal.engine.metrics import METRICS
from volbal.formatting import metric_text, percent_points, short_texts
from volbal.services import study_results
from volbal.services.study_results import Counts, Pareto
from volbal.ui import study_charts
from volbal.ui.fields import parameter_text, shown_value
from volbal.ui.study_address import COLUMNS
from volbal.ui.study_charts import Axis, Scale
from volbal.ui.study_shared import (
    Looked,
    base_text,
    broken_texts,
    column_texts,
    field_label,
    kept,
    key_of,
    label,
    metric_input,
    on_click,
    option_input,
    rows_of,
)
from volbal.ui.study_words import within

TRADE_OFFS: Final = "trade-offs"
DIRECTED: Final = tuple(metric.name for metric in METRICS if metric.direction)
MOST_LINES: Final = 1_000
PAPER: Final = {"light": "#FFFFFF", "dark": "#0E1420"}
"""The page's background by theme, as .streamlit/config.toml has it."""

MOST_AXES: Final = 10
"""Upright axes that can be told apart."""


def draw_trade_offs(looked: Looked, chosen: int | None) -> None:
    """Two goals against each other, with the cells that nobody beats in all goals."""
    goals, x, y = _trade_off_inputs(looked)
    names = [goal.metric for goal in goals]
    found = kept(looked, _pareto, goals)
    if found.front.empty:
        st.info("No feasible cell has a value of every goal.", icon=":material/info:")
        return
    points = _points(looked, found, chosen)
    hints = _hints(looked, names, points)
    shown = points.assign(x=points[x], y=points[y], **hints)
    chart = study_charts.trade_offs(
        shown, looked.column(x), looked.column(y), list(hints), joined=len(names) == 2
    )
    axes = f"{looked.column(y).label} against {within(looked.column(x).label)}"
    st.altair_chart(
        chart,
        key=key_of(looked, TRADE_OFFS),
        on_select=on_click(looked, TRADE_OFFS),
        selection_mode="cell",
        alt=f"{axes}: {_front_text(found)} that no other beats, and {len(found.cloud):,} others.",
    )
    st.caption(_trade_off_text(looked, found, names))


def _trade_off_inputs(looked: Looked) -> tuple[tuple[Goal, ...], str, str]:
    """The goals, and those along and up; a single one is set against another metric."""
    row, goals = st.grid(4, min_column_width=150), looked.goals
    names = [goal.metric for goal in goals]
    if len(goals) > 1:
        return goals, *_goal_inputs(row, looked, names)
    usual = [name for name in ("max_drawdown", "volatility", *DIRECTED) if name != names[0]]
    partner = option_input(
        row,
        looked,
        "against",
        f"{looked.column(names[0]).label} against",
        list(dict.fromkeys(usual)),
        format_func=lambda name: label(looked.column(name)),
        help="The study has one goal; this one is set against it. Example: maximum drawdown.",
    )
    return (*goals, Goal(partner)), partner, names[0]


def _trade_off_text(looked: Looked, found: Pareto, names: list[str]) -> str:
    """What the marks mean."""
    goals = listed([within(looked.column(name).label) for name in names])
    told = [
        f"blue: {_front_text(found)} that no other beats in {goals}",
        f"grey: {len(found.cloud):,} of the others",
        "circle: the cell beside",
    ]
    if found.knee is not None:
        values = parameter_text(looked.parameters_of(found.knee))
        told.append(f"diamond: knee, where giving up one goal for another stops paying ({values})")
    return f"{' · '.join(told)}. Weights do not matter here."


def _front_text(found: Pareto) -> str:
    """How many cells of the front are shown."""
    if found.size > len(found.front):
        return f"an even sample of {len(found.front):,} of the {found.size:,} cells"
    return f"the {found.size:,} cells"


def _goal_inputs(row: Any, looked: Looked, names: list[str]) -> tuple[str, str]:
    def axis(name: str, title: str, options: list[str]) -> str:
        chosen: str = option_input(
            row,
            looked,
            name,
            title,
            options,
            format_func=lambda one: label(looked.column(one)),
            help=f"A goal along this axis. Example: {within(looked.column(options[0]).label)}.",
        )
        return chosen

    y = axis("up", "Up", names)
    return axis("across", "Across", [name for name in names if name != y]), y


def _pareto(looked: Looked, goals: tuple[Goal, ...]) -> Pareto:
    view = study_results.View(looked.view.symbol, goals, looked.view.constraints)
    return study_results.pareto(looked.database, looked.study_id, view)


def _points(looked: Looked, found: Pareto, chosen: int | None) -> pd.DataFrame:
    parts = [found.front.assign(kind="front"), found.cloud.assign(kind="cloud")]
    known = {int(cell) for part in parts for cell in part["cell_id"]}
    if chosen is not None and chosen not in known:
        parts.append(rows_of(looked, (chosen,)).assign(kind="cloud"))
    points = pd.concat(parts, ignore_index=True)
    cells = points["cell_id"]
    return points.assign(knee=cells == found.knee, chosen=cells == chosen)


def _hints(looked: Looked, names: list[str], points: pd.DataFrame) -> dict[str, list[str]]:
    """Title to texts of what is known of each cell."""
    hints = {
        field_label(name): [shown_value(value) for value in points[name].tolist()]
        for name in looked.parameters
    }
    columns = map(looked.column, (*names, "score"))
    return hints | {one.label: column_texts(one, points[one.name]) for one in columns}


def draw_parallel(looked: Looked) -> None:
    """Every cell a line over its parameters and goals."""
    sample = kept(looked, _sample)
    by = "plateau" if sample["plateau"].notna().any() else "score"
    rows = sample[sample[by].notna()].sort_values(by)
    if rows.empty:
        st.info("No cell is ranked yet.", icon=":material/info:")
        return
    goals = [goal.metric for goal in looked.goals]
    columns = [*[*looked.parameters, *goals][: MOST_AXES - 1], by]
    frame = pd.DataFrame({name: _measured(looked, name, rows[name]) for name in columns})
    scales = [_scale(looked, name) for name in columns]
    st.echarts_chart(
        study_charts.parallel(frame, scales, scales[-1], PAPER[st.context.theme.type or "light"]),
        height=470,
        key=f"{looked.page}-parallel-{looked.study_id}",
        alt=f"{len(rows):,} cells, each a line over {listed([one.title for one in scales])}",
    )
    parts = ": the best, and an even sample of the rest" if len(sample) == MOST_LINES else ""
    st.caption(
        f"{len(rows):,} ranked cells{parts} · blue: better by {within(looked.column(by).label)} · "
        "drag along an axis to keep the cells that cross it there; click it to let all in again."
    )


def _sample(looked: Looked) -> pd.DataFrame:
    return study_results.parallel_sample(
        looked.database, looked.study_id, looked.view, most=MOST_LINES
    )


def _measured(looked: Looked, name: str, values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Values as an upright axis shows them: words, or numbers in the unit of its labels."""
    if name in looked.parameters:
        if looked.parameters[name].numeric:
            return values.astype(float)
        return pd.Series([shown_value(value) for value in values.tolist()], index=values.index)
    return percent_points(values) if looked.column(name).unit == "ratio" else values


def _scale(looked: Looked, name: str) -> Scale:
    if name in looked.parameters:
        parameter = looked.parameters[name]
        words = () if parameter.numeric else tuple(map(shown_value, parameter.values))
        return Scale(name, field_label(name), words)
    column = looked.column(name)
    formatter = "{value} %" if column.unit == "ratio" else "{value}"
    return Scale(name, column.label, (), formatter, column.direction == "down")


def draw_slices(looked: Looked, counts: Counts, cell: int) -> None:
    """What each parameter alone does from the chosen cell."""
    row = st.grid(4, min_column_width=150)
    metric = looked.column(
        metric_input(
            row,
            looked,
            "metric",
            "What each parameter is seen to change. Example: excess return.",
            list(COLUMNS),
        )
    )
    found = kept(looked, _slices, cell, metric.name)
    dashed = ""
    if (found["status"] == "invalid").any():
        dashed = " · dashed: breaks a bound, not simulated"
    st.caption(
        f"One parameter at a time, the others as in {parameter_text(looked.parameters_of(cell))}. "
        "A good cell stands on a broad hill, not on a needle · circle: this cell · square: "
        f"{base_text(counts)} {dashed} · click a point to go there."
    )
    grid = st.grid(2, min_column_width=280)
    for name in looked.parameters:
        with grid.container():
            _draw_slice(
                looked, found[found["parameter"] == name], name, metric.name, (cell, counts.default)
            )


def _slices(looked: Looked, cell: int, metric: str) -> pd.DataFrame:
    return study_results.slices(looked.database, looked.study_id, cell, metric, looked.view)


def _draw_slice(
    looked: Looked, found: pd.DataFrame, name: str, metric: str, marks: tuple[int, int]
) -> None:
    column, parameter = looked.column(metric), looked.parameters[name]
    value, invalid = found[metric].astype(float), found["status"] == "invalid"
    cells = pd.DataFrame(
        {
            "x": [shown_value(one) for one in found["value"].tolist()],
            "value": value,
            "label": short_texts(column, value),
            "cell_id": found["cell_id"],
            "kind": np.select([invalid, value.isna()], ["invalid", "undefined"], "shown"),
            "opacity": np.where(found["status"] == "rejected", study_charts.DIM, 1.0),
            "best": False,
            "chosen": found["cell_id"] == marks[0],
            "default": found["cell_id"] == marks[1],
        }
    )
    element = f"slice-{name}"
    if not (cells["kind"] == "shown").any():
        st.caption(f"{field_label(name)}: no cell on this line has a value.")
        return
    axis = Axis(field_label(name), [shown_value(one) for one in parameter.values])
    broken = iter(broken_texts(looked, found.loc[invalid, "cell_id"].to_numpy()))
    status = [
        f"{one}: {next(broken)}" if one == "invalid" else one for one in found["status"].tolist()
    ]
    hints = {
        field_label(name): cells["x"].tolist(),
        column.label: column_texts(column, value),
        "Status": status,
    }
    low, high = (metric_text(column, one) for one in (value.min(), value.max()))
    st.altair_chart(
        study_charts.line(
            cells.assign(**hints), axis, column, list(hints), parameter.numeric, height=220
        ),
        key=key_of(looked, element),
        on_select=on_click(looked, element),
        selection_mode="cell",
        alt=f"{column.label} by {field_label(name).lower()} alone: from {low} to {high}",
    )

"""A study on screen: running it, the view of it, and its cells as a frame for the charts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import streamlit as st

from volbal.engine.grid import Parameter, Value
from volbal.engine.metrics import METRIC, good_sign
from volbal.errors import InvalidInput
from volbal.formatting import UNDEFINED, metric_text, money, percent, short_texts, value_text
from volbal.services.research import Aggregate, Optimization, coarsened, optimize
from volbal.ui.fields import FIELDS, parameter_text, shown_value
from volbal.ui.forms import SOURCE, remember
from volbal.ui.sweep import Study

MOST_PER_AXIS = 100
"""Values of one axis sent to the browser: 10,000 cells at most."""

MOST_POINTS = 1_000
"""Points of a line."""

MOST_RANKED = 100
MOST_KEPT = 1_500_000
"""Cells of finished studies in memory: about 300 MB."""

AT_ONCE = 50_000
"""Cells up to which a page that is opened does not wait for Run."""

FIRST_RUN = (
    "Only the very first run on a computer starts slowly: it compiles the calculation, "
    "about ten seconds."
)

KEY_METRICS = ("total_return", "excess_return", "sharpe_ratio", "max_drawdown", "fill_count")

AGGREGATES: dict[Aggregate, str] = {"best": "the best", "median": "the median", "mean": "the mean"}


@dataclass(frozen=True, slots=True)
class View:
    """What of a study is on screen. y: None for a study of one parameter."""

    metric: str
    x: str
    y: str | None
    fixed: Mapping[str, Value]
    aggregate: Aggregate


def view_inputs(page: str, result: Optimization) -> View:
    """Metric, axes and what happens to the other parameters."""
    swept = result.grid.parameters
    names = [parameter.name for parameter in swept]
    row = st.grid(4, min_column_width=150)
    metric = row.selectbox(
        "Metric",
        list(METRIC),
        key=f"{page}.metric",
        persist_state="page",
        format_func=metric_label,
        help="What the colours and the ranking show; ↑ more is better, ↓ less is better. "
        "Example: excess return.",
    )
    if len(names) == 1:
        return View(metric, names[0], None, {}, "best")
    x = _axis_input(row, page, "x", names, names[0])
    y = _axis_input(row, page, "y", [name for name in names if name != x], names[1])
    held = {
        parameter.name: _held_input(row, page, parameter)
        for parameter in swept
        if parameter.name not in (x, y)
    }
    fixed = {
        parameter.name: parameter.values[at]
        for parameter in swept
        if (at := held.get(parameter.name)) is not None
    }
    summed_up = None in held.values()
    aggregate = _aggregate_input(row, page, metric) if summed_up else "best"
    return View(metric, x, y, fixed, aggregate)


def metric_label(name: str) -> str:
    """A metric's label with the direction that is good."""
    arrow = {"up": " ↑", "down": " ↓", None: ""}[METRIC[name].direction]
    return f"{METRIC[name].label}{arrow}"


def _axis_input(row: Any, page: str, axis: str, names: list[str], default: str) -> str:
    if st.session_state.get(f"{page}.{axis}") not in names:
        remember(page, {axis: default if default in names else names[0]})
    return cast(
        str,
        row.selectbox(
            f"{axis.upper()} axis",
            names,
            key=f"{page}.{axis}",
            persist_state="page",
            format_func=lambda name: FIELDS[name].label,
            help=f"Parameter along the {axis} axis. Example: {FIELDS[names[0]].label.lower()}.",
        ),
    )


def _held_input(row: Any, page: str, parameter: Parameter) -> int | None:
    """The index of the value at which a parameter off the axes is held; None for all values."""
    options = [None, *range(len(parameter.values))]
    key = f"{page}.{parameter.name}.held"
    if st.session_state.get(key) not in options:
        st.session_state[key] = None
    return cast(
        int | None,
        row.selectbox(
            FIELDS[parameter.name].label,
            options,
            key=key,
            persist_state="page",
            format_func=lambda at: "all" if at is None else shown_value(parameter.values[at]),
            help=f"Hold it at one value, or sum up all of them. Example: "
            f"{shown_value(parameter.values[0])}.",
        ),
    )


def _aggregate_input(row: Any, page: str, metric: str) -> Aggregate:
    return cast(
        Aggregate,
        row.selectbox(
            "Each cell shows",
            list(AGGREGATES),
            key=f"{page}.aggregate",
            persist_state="page",
            format_func=lambda name: _aggregate_text(name, metric),
            help="What a cell shows of the combinations that differ only in the parameters set to "
            "all. Example: their median, which a single lucky combination cannot lift.",
        ),
    )


def _aggregate_text(name: Aggregate, metric: str) -> str:
    undirected = METRIC[metric].direction is None
    return "the highest" if name == "best" and undirected else AGGREGATES[name]


@dataclass(frozen=True, slots=True)
class Picture:
    """A view as a frame for a chart, with the axes' titles and values as text."""

    cells: pd.DataFrame
    x: tuple[str, list[str]]
    y: tuple[str, list[str]]
    tooltips: Mapping[str, str]
    best: int | None
    merged: bool


def picture(result: Optimization, view: View, chosen: int | None) -> Picture:
    """The cells of a view, at most MOST_PER_AXIS by MOST_PER_AXIS (or MOST_POINTS) of them."""
    values = {parameter.name: parameter.values for parameter in result.grid.parameters}
    if view.y is None:
        whole = result.cells[[view.x, view.metric, "valid"]].reset_index()
        axes = {view.x: values[view.x]}
    else:
        whole = result.heatmap(view.x, view.y, view.metric, view.fixed, view.aggregate)
        axes = {view.x: values[view.x], view.y: values[view.y]}
    frame = coarsened(whole, axes, view.metric, MOST_POINTS if view.y is None else MOST_PER_AXIS)
    cells = _texts(result, frame, view)
    best = _best(frame, view.metric)
    cells["best"] = cells["cell_id"] == best
    cells["chosen"] = cells["cell_id"] == chosen
    names = list(dict.fromkeys((view.metric, *KEY_METRICS)))
    tooltips = {
        **{f"p_{name}": FIELDS[name].label for name in values},
        **{f"m_{name}": METRIC[name].label for name in names},
    }
    return Picture(
        cells,
        _axis(frame, view.x),
        _axis(frame, view.y) if view.y else ("", []),
        tooltips,
        best,
        len(frame) < len(whole),
    )


def _axis(frame: pd.DataFrame, name: str) -> tuple[str, list[str]]:
    return FIELDS[name].label, [
        shown_value(value) for value in frame[name].drop_duplicates().tolist()
    ]


def _texts(result: Optimization, frame: pd.DataFrame, view: View) -> pd.DataFrame:
    metric = METRIC[view.metric]
    value = frame[view.metric]
    labels = pd.Series(short_texts(metric, value), index=frame.index)
    kind = pd.Series("shown", index=frame.index).mask(value.isna(), "undefined")
    kind = kind.mask(~frame["valid"], "invalid")
    cells = pd.DataFrame(
        {
            "x": [shown_value(v) for v in frame[view.x].tolist()],
            "value": value,
            "label": labels.mask(kind == "undefined", UNDEFINED).mask(kind == "invalid", "×"),
            "cell_id": frame["cell_id"],
            "kind": kind,
        }
    )
    if view.y is not None:
        cells["y"] = [shown_value(v) for v in frame[view.y].tolist()]
    behind = result.cells.loc[frame["cell_id"]]
    for parameter in result.grid.parameters:
        texts = [shown_value(v) for v in behind[parameter.name].tolist()]
        cells[f"p_{parameter.name}"] = texts
    for name in dict.fromkeys((view.metric, *KEY_METRICS)):
        cells[f"m_{name}"] = [metric_text(METRIC[name], v) for v in behind[name].tolist()]
    return cells


def _best(frame: pd.DataFrame, metric: str) -> int | None:
    """The best cell of those on screen; None where the metric has no good direction or value."""
    if METRIC[metric].direction is None or frame[metric].isna().all():
        return None
    values = (frame[metric] * good_sign(metric)).to_numpy()
    return int(frame["cell_id"].iloc[int(np.nanargmax(values))])


def usable_cell(result: Optimization, cell: int | None) -> int | None:
    """`cell` where it was simulated, else None."""
    known = (
        cell is not None and cell in result.cells.index and bool(result.cells["valid"].iloc[cell])
    )
    return cell if known else None


def unusable_text(result: Optimization, cell: int) -> str:
    """Why a chosen cell has no simulation."""
    if cell not in result.cells.index:
        return f"There is no cell {cell}; this grid has {len(result.cells):,}. The best is shown."
    values = parameter_text(result.grid.cell(cell))
    problem = "it breaks a bound."
    try:
        result.grid.cell_policy(cell)
    except InvalidInput as error:
        problem = str(error)
    return f"{values} cannot be simulated: {problem} The best cell is shown."


def luck_text(result: Optimization) -> str:
    """How much the best cell is worth."""
    return (
        f"Read with care: the best of {len(result.cells):,} combinations on one stretch of "
        "history is partly luck. Trust a good cell more when its neighbours are good too, and try "
        "it on other dates and symbols."
    )


def legend_text(result: Optimization, view: View, seen: Picture) -> str:
    """What the marks mean and how many cells there are."""
    parts = [counts_text(result)]
    if seen.best is not None:
        parts.append("dashed: best shown" if view.y else "diamond: best")
    parts.append("solid: selected" if view.y else "circle: selected")
    if METRIC[view.metric].direction is None:
        parts.append("violet: neither more nor less is better")
    elif view.y:
        parts.append("blue: better")
    if (seen.cells["kind"] == "undefined").any():
        parts.append(f"{UNDEFINED} undefined: {METRIC[view.metric].undefined}")
    if seen.merged:
        parts.append(
            f"neighbours are merged to at most {MOST_PER_AXIS} a side, each showing its best"
        )
    return " · ".join(parts)


def alt_text(result: Optimization, view: View, seen: Picture) -> str:
    """The chart in words."""
    metric = METRIC[view.metric]
    axes = " and ".join(FIELDS[name].label.lower() for name in (view.x, view.y) if name)
    best = ""
    if seen.best is not None:
        value = metric_text(metric, float(result.cells[view.metric].iloc[seen.best]))
        best = f"; best {value} at {parameter_text(result.grid.cell(seen.best))}"
    return f"{metric.label} by {axes} in {len(seen.cells)} cells{best}. The table below ranks them."


def unrun_text(asked: Study, shown: Study | None) -> str:
    """That the inputs have not been run, and what is below instead."""
    below = " Below is still the result named there." if shown else ""
    return (
        f":orange[:material/play_circle: **The form has {len(asked.grid):,} combinations that "
        f"have not been run;** press Run.{below}]"
    )


Kept = dict[tuple[Study, int], Optimization]
"""Results by what was asked and the revision of its prices."""


@st.cache_resource(show_spinner=False)
def _kept() -> Kept:
    """The latest results of this server, so that coming back to one costs nothing."""
    return {}


def _key(asked: Study) -> tuple[Study, int]:
    return asked, SOURCE.revision(asked.asked.symbol)


def is_kept(asked: Study) -> bool:
    """Whether the result of `asked` is there without running it."""
    return _key(asked) in _kept()


def optimized(asked: Study) -> Optimization:
    """The result of a study, with progress while it is computed. Raises VolbalError."""
    kept, key = _kept(), _key(asked)
    result = kept.get(key)
    if result is None:
        result = _run(asked)
        kept[key] = result
        _forget_oldest(kept)
    return result


def _forget_oldest(kept: Kept) -> None:
    """Other sessions may do the same meanwhile, so nothing is taken for granted."""
    for study in list(kept)[:-1]:
        if sum(len(result.cells) for result in list(kept.values())) > MOST_KEPT:
            kept.pop(study, None)


def _run(asked: Study) -> Optimization:
    place = st.empty()

    def show(completed: int, total: int) -> None:
        text = f"{completed:,} of {total:,} combinations"
        place.progress(completed / total, text if completed else f"{text}. {FIRST_RUN}")

    question = asked.asked
    history = SOURCE.history(question.symbol)
    try:
        return optimize(history, question.policy, asked.parameters, question.setup, show)
    finally:
        place.empty()


def range_text(result: Optimization) -> str:
    """What a result is of: its own symbol, dates, start and ranges, whatever the form says now."""
    history, setup = result.prepared.history, result.prepared.setup
    swept = " × ".join(
        f"{FIELDS[parameter.name].label.lower()} {_span(parameter)}"
        for parameter in result.grid.parameters
    )
    return (
        f"**{history.symbol} · {history.first_date} to {history.last_date}** · "
        f"{money(setup.capital)} at the start, {percent(setup.stock_share, 0)} of it in stock · "
        f"{swept}"
    )


def _span(parameter: Parameter) -> str:
    if parameter.numeric and len(parameter.values) > 1:
        return f"{value_text(parameter.values[0])} to {value_text(parameter.values[-1])}"
    return ", ".join(shown_value(value) for value in parameter.values)


def counts_text(result: Optimization) -> str:
    """How many cells were simulated and how many could not be."""
    total, simulated = len(result.cells), int(result.cells["valid"].sum())
    invalid = f", {total - simulated:,} invalid (× breaks a bound)" if simulated < total else ""
    return f"{total:,} combinations, {simulated:,} simulated{invalid}"


def ranking(result: Optimization, metric: str) -> pd.DataFrame:
    """The first cells by `metric`, best first where it has a direction; index cell_id."""
    names = [parameter.name for parameter in result.grid.parameters]
    shown = list(dict.fromkeys((metric, *KEY_METRICS)))
    rows = result.ranked(metric).head(MOST_RANKED)
    frame = rows[[*names, *shown]].copy()
    frame.insert(0, "rank", range(1, len(frame) + 1))
    for name in names:
        frame[name] = [shown_value(value) for value in rows[name].tolist()]
    for name in shown:
        frame[name] = [metric_text(METRIC[name], value) for value in rows[name].tolist()]
    return frame


def ranking_columns(frame: pd.DataFrame) -> dict[str, Any]:
    """How the columns of `ranking` are titled."""
    labels = {name: FIELDS[name].label for name in frame.columns if name in FIELDS}
    labels |= {name: METRIC[name].label for name in frame.columns if name in METRIC}
    columns = {n: st.column_config.TextColumn(t, alignment="right") for n, t in labels.items()}
    return columns | {"rank": st.column_config.NumberColumn("Rank", pinned=True)}


def csv(result: Optimization) -> bytes:
    """Every cell with all its metrics."""
    return result.cells.to_csv().encode()

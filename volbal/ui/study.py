"""The inputs of the Optimize page: which parameters to sweep over which values, and the view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import streamlit as st

from volbal.domain.policy import SHORTHANDS
from volbal.engine.grid import Grid, Parameter, Value, exact_range
from volbal.engine.metrics import METRIC, good_sign
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import UNDEFINED, metric_text, money, percent, short_texts, value_text
from volbal.services.research import Aggregate, Optimization, coarsened, optimize
from volbal.ui.address import Query, Question
from volbal.ui.components import SOURCE, recalled, remember
from volbal.ui.fields import FIELDS, choice_text, choices, parameter_text

MOST_PARAMETERS = 4
MOST_PER_AXIS = 100
"""Values of one axis sent to the browser: 10,000 cells at most."""

MOST_POINTS = 1_000
"""Points of a line."""

MOST_RANKED = 100
MOST_KEPT = 4

AT_ONCE = 50_000
"""Cells up to which a page that is opened does not wait for Run."""

DEFAULT_METRIC = "excess_return"
"""A grid of raw returns would mostly show who held more stock."""

KEY_METRICS = ("total_return", "excess_return", "sharpe_ratio", "max_drawdown", "fill_count")

AGGREGATES: dict[Aggregate, str] = {
    "best": "best of all",
    "median": "median of all",
    "mean": "mean of all",
}
EXAMPLE_SWEEP = {"trigger_threshold": "0.01:0.1:0.01", "rebalance_ratio": "0.5:3:0.25"}


@dataclass(frozen=True, slots=True)
class Study:
    """A grid to simulate. Hashable, so that results can be kept by it."""

    asked: Question
    parameters: tuple[Parameter, ...]

    @property
    def grid(self) -> Grid:
        """Its cells. Raises InvalidInput."""
        return Grid(self.asked.policy, self.parameters)


def read_sweep(query: Query) -> tuple[dict[str, Any], list[str]]:
    """State of the parameter inputs by name, and a sentence for each part that cannot be used."""
    texts = {
        name.removeprefix("sweep."): values[-1]
        for name, values in query.items()
        if name.startswith("sweep.")
    }
    usable: dict[str, Parameter] = {}
    problems = []
    for name, text in (texts or EXAMPLE_SWEEP).items():
        try:
            usable[name] = _parsed(name, text)
        except VolbalError as error:
            problems.append(f"The link's sweep.{name} is {text!r}: {error} It is left out.")
    if len(usable) > MOST_PARAMETERS:
        problems.append(f"The link sweeps {len(usable)} parameters; the first 4 are used.")
    names = list(usable)[:MOST_PARAMETERS] or list(EXAMPLE_SWEEP)
    state: dict[str, Any] = {"sweep": names}
    for name in names:
        state |= _parameter_state(name, texts.get(name) or EXAMPLE_SWEEP.get(name, ""))
    metric = query.get("metric", [DEFAULT_METRIC])[-1]
    if metric not in METRIC:
        problems.append(f"The link's metric {metric!r} is unknown; {DEFAULT_METRIC} is used.")
        metric = DEFAULT_METRIC
    state["metric"] = metric
    for axis in ("x", "y"):
        wanted = query.get(axis, [""])[-1]
        state[axis] = wanted if wanted in names else None
        if wanted and wanted not in names:
            problems.append(f"The link's {axis} {wanted!r} is not swept; another axis is shown.")
    cell = query.get("cell", [""])[-1]
    state["cell"] = int(cell) if cell.isdecimal() else None
    if cell and state["cell"] is None:
        problems.append(f"The link's cell {cell!r} is no number; the best cell is shown.")
    return state, problems


def _parsed(name: str, text: str) -> Parameter:
    if name not in FIELDS:
        raise InvalidInput("parameter", f"{name!r} cannot be swept", "see the list in the form")
    options = choices(name)
    if options:
        words = {value_text(option): option for option in options}
        chosen = [word for word in text.split(",") if word]
        if not set(chosen) <= set(words):
            raise InvalidInput(name, f"{text!r} holds unknown values", f"use {', '.join(words)}")
        return Parameter(name, tuple(words[word] for word in chosen))
    parts = text.split(":")
    if len(parts) != 3:
        raise InvalidInput(name, f"{text!r} is no range", "write min:max:step")
    return exact_range(name, parts[0], parts[1], parts[2])


def _parameter_state(name: str, text: str) -> dict[str, Any]:
    options = choices(name)
    if options:
        return {f"{name}.values": [o for o in options if value_text(o) in text.split(",")]}
    low, high, step = (float(part) for part in text.split(":"))
    return {f"{name}.low": low, f"{name}.high": high, f"{name}.step": step}


def write_sweep(page: str, asked: Study) -> Query:
    """The query of the swept parameters and the view; empty for the example."""
    swept = asked.parameters
    texts = {parameter.name: _range_text(parameter, page) for parameter in swept}
    query = {} if texts == EXAMPLE_SWEEP else {f"sweep.{n}": [text] for n, text in texts.items()}
    usual = {"metric": DEFAULT_METRIC, "cell": None}
    if len(swept) > 1:
        usual |= {"x": swept[0].name, "y": swept[1].name}
    for name, value in usual.items():
        shown = st.session_state.get(f"{page}.{name}")
        if shown is not None and shown != value:
            query[name] = [str(shown)]
    return query


def _range_text(parameter: Parameter, page: str) -> str:
    if not parameter.numeric:
        return ",".join(value_text(value) for value in parameter.values)
    return ":".join(_typed(page, parameter.name))


def _typed(page: str, name: str) -> tuple[str, str, str]:
    low, high, step = (
        value_text(recalled(page, f"{name}.{end}")) for end in ("low", "high", "step")
    )
    return low, high, step


def sweep_inputs(page: str, idle: Mapping[str, str]) -> None:
    """Which parameters, and their ranges; `idle` says of fields why they cannot matter."""
    st.multiselect(
        "Parameters to sweep",
        list(FIELDS),
        key=f"{page}.sweep",
        format_func=lambda name: FIELDS[name].label,
        max_selections=MOST_PARAMETERS,
        help="One to four policy fields; every combination of their values is simulated. "
        "Example: trigger threshold and rebalance ratio.",
    )
    for name in recalled(page, "sweep"):
        with st.container(border=True, gap="xsmall"):
            _range_inputs(page, name)
            if name in idle:
                st.caption(f":material/info: {FIELDS[name].label} {idle[name]}")


def _range_inputs(page: str, name: str) -> None:
    field, options = FIELDS[name], choices(name)
    if options:
        if f"{page}.{name}.values" not in st.session_state:
            remember(page, {f"{name}.values": list(options)})
        st.pills(
            field.label,
            options,
            key=f"{page}.{name}.values",
            selection_mode="multi",
            format_func=choice_text,
            help=f"{field.help} Click the values to compare.",
        )
        return
    if f"{page}.{name}.low" not in st.session_state:
        state = dict(zip(("low", "high", "step"), field.sweep, strict=True))
        remember(page, {f"{name}.{end}": value for end, value in state.items()})
    st.markdown(f"**{field.label}**", help=field.help)
    low, high, step = (value_text(value) for value in field.sweep)
    examples = {"low": ("Min", low), "high": ("Max", high), "step": ("Step", step)}
    for column, (end, (label, example)) in zip(
        st.columns(3, wrap=False, gap="xsmall"), examples.items(), strict=True
    ):
        column.number_input(
            label,
            key=f"{page}.{name}.{end}",
            step=field.step,
            format="%.6g",
            help=f"{label} of {field.label.lower()}. Example: {example}.",
        )


def swept_fields(page: str) -> set[str]:
    """The policy fields that the chosen parameters set, whatever the base policy says."""
    names = recalled(page, "sweep")
    return {field for name in names for field in SHORTHANDS.get(name, (name,))}


def parameters(page: str) -> tuple[Parameter, ...]:
    """The parameters as typed. Raises InvalidInput."""
    return tuple(_parameter(page, name) for name in recalled(page, "sweep"))


def _parameter(page: str, name: str) -> Parameter:
    if choices(name):
        chosen = recalled(page, f"{name}.values")
        return Parameter(name, tuple(value for value in choices(name) if value in chosen))
    return exact_range(name, *_typed(page, name))


def count_text(grid: Grid) -> str:
    """How many combinations, and of what."""
    factors = " × ".join(str(len(parameter.values)) for parameter in grid.parameters)
    product = f" = {factors}" if len(grid.parameters) > 1 else ""
    return f"**{len(grid):,} combination{'' if len(grid) == 1 else 's'}**{product}"


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
    several = len(names) > 1
    row = st.container(horizontal=True, vertical_alignment="bottom")
    metric = row.selectbox(
        "Metric",
        list(METRIC),
        key=f"{page}.metric",
        format_func=metric_label,
        width=230 if several else "stretch",
        help="What the colours and the ranking show; ↑ more is better, ↓ less is better. "
        "Example: excess return.",
    )
    if not several:
        return View(metric, names[0], None, {}, "best")
    x = _axis_input(row, page, "x", names, names[0])
    y = _axis_input(row, page, "y", [name for name in names if name != x], names[1])
    others = [parameter for parameter in swept if parameter.name not in (x, y)]
    chosen: dict[str, Any] = {}
    for parameter in others:
        chosen[parameter.name] = _other_input(row, page, parameter)
    aggregates = [choice for choice in chosen.values() if choice in AGGREGATES]
    fixed = {
        parameter.name: parameter.values[chosen[parameter.name]]
        for parameter in others
        if chosen[parameter.name] not in AGGREGATES
    }
    return View(metric, x, y, fixed, aggregates[0] if aggregates else "best")


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
            format_func=lambda name: FIELDS[name].label,
            width=180,
            help=f"Parameter along the {axis} axis. Example: {FIELDS[names[0]].label.lower()}.",
        ),
    )


def _other_input(row: Any, page: str, parameter: Parameter) -> int | str:
    """An aggregate's name, or the index of the value at which the parameter is held."""
    options: list[int | str] = [*AGGREGATES, *range(len(parameter.values))]
    return cast(
        int | str,
        row.selectbox(
            FIELDS[parameter.name].label,
            options,
            key=f"{page}.{parameter.name}.held",
            format_func=lambda option: _held_text(option, parameter),
            width=180,
            help="Hold this parameter at one value, or sum up all of its values. With two or more "
            "summed up the first choice counts. Example: best of all.",
        ),
    )


def _held_text(option: int | str, parameter: Parameter) -> str:
    if isinstance(option, str):
        return AGGREGATES[cast(Aggregate, option)]
    return value_text(parameter.values[option])


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
    return FIELDS[name].label, [value_text(value) for value in frame[name].drop_duplicates()]


def _texts(result: Optimization, frame: pd.DataFrame, view: View) -> pd.DataFrame:
    metric = METRIC[view.metric]
    value = frame[view.metric]
    labels = pd.Series(short_texts(metric, value), index=frame.index)
    kind = pd.Series("shown", index=frame.index).mask(value.isna(), "undefined")
    kind = kind.mask(~frame["valid"], "invalid")
    cells = pd.DataFrame(
        {
            "x": [value_text(v) for v in frame[view.x].tolist()],
            "value": value,
            "label": labels.mask(kind == "undefined", UNDEFINED).mask(kind == "invalid", "×"),
            "cell_id": frame["cell_id"],
            "kind": kind,
        }
    )
    if view.y is not None:
        cells["y"] = [value_text(v) for v in frame[view.y].tolist()]
    behind = result.cells.loc[frame["cell_id"]]
    for parameter in result.grid.parameters:
        texts = [value_text(v) for v in behind[parameter.name].tolist()]
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


def show_unrun(asked: Study, shown: Study | None) -> None:
    """Say that the inputs have not been run, and what is below instead."""
    below = "Below is still the result named there. " if shown else ""
    st.warning(
        f"{below}Press Run to simulate the {len(asked.grid):,} combinations of the form.",
        icon=":material/play_circle:",
    )


@st.cache_resource(show_spinner=False)
def _kept() -> dict[Study, Optimization]:
    """The latest results of this server, so that coming back to one costs nothing."""
    return {}


def optimized(asked: Study) -> Optimization:
    """The result of a study, with progress while it is computed. Raises VolbalError."""
    kept = _kept()
    if asked not in kept:
        result = _run(asked)
        while len(kept) >= MOST_KEPT:
            kept.pop(next(iter(kept)), None)
        kept[asked] = result
    return kept[asked]


def _run(asked: Study) -> Optimization:
    place = st.empty()

    def show(completed: int, total: int) -> None:
        place.progress(
            completed / total,
            f"{completed:,} of {total:,} combinations. Only the very first run on a computer "
            "starts slowly: it compiles the calculation, about ten seconds.",
        )

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
    return ", ".join(value_text(value) for value in parameter.values)


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
        frame[name] = [value_text(value) for value in rows[name].tolist()]
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

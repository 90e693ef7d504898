"""The heatmap of a study: any two parameters by any metric or score; a line for one parameter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from volbal.domain.study_states import StudyState
from volbal.engine.grid import Parameter, Value
from volbal.engine.metrics import METRICS, Metric
from volbal.errors import InvalidInput
from volbal.formatting import UNDEFINED, metric_text, short_texts
from volbal.services import studies, study_results
from volbal.services.running import Database
from volbal.services.study_results import Aggregate, Counts, Statistics, View
from volbal.ui import study_charts, tables
from volbal.ui.fields import parameter_text, shown_value
from volbal.ui.study_address import COLUMNS
from volbal.ui.study_charts import Axis, Chart
from volbal.ui.study_shared import (
    SCORES,
    UNRANKED,
    Looked,
    base_text,
    column_texts,
    field_label,
    kept,
    key_of,
    metric_input,
    on_click,
    option_input,
    rows_of,
    status_texts,
)
from volbal.ui.study_words import within

MOST_PER_AXIS: Final = 100
"""Values of one axis sent to the browser: 10,000 cells at most."""

MOST_WHILE_RUNNING: Final = 50
"""Fewer while the map is drawn again and again: the progress beside it must not wait for that."""

LIGHT: Final = 1_000
"""Cells of a map that is quick to draw with everything that is known of them."""

MOST_POINTS: Final = 1_000
"""Points of a line."""

ELEMENT: Final = "heatmap"
ALL: Final = -1
AGGREGATES: Final[Mapping[Aggregate, str]] = {
    "best": "the best",
    "median": "the median",
    "mean": "the mean",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a study is on the map. y: None for a study of one parameter."""

    metric: str
    x: str
    y: str | None
    fixed: tuple[tuple[str, Value], ...] = ()
    aggregate: Aggregate = "best"


@dataclass(frozen=True, slots=True)
class Picture:
    """A map as a frame for its chart. blocks: by axis, each value to the one it is merged with;
    hints: the columns of `cells` that stand under the pointer."""

    cells: pd.DataFrame
    axes: tuple[Axis, ...]
    blocks: Mapping[str, Mapping[Value, Value]]
    hints: tuple[str, ...]
    statistics: Statistics | None

    @property
    def merged(self) -> bool:
        return any(block != value for axis in self.blocks.values() for value, block in axis.items())

    def has(self, kind: str) -> bool:
        return bool((self.cells["kind"] == kind).any())


def draw(looked: Looked, counts: Counts, chosen: int | None) -> None:
    """Inputs, chart, legend and pictures."""
    shown = _inputs(looked)
    seen = kept(looked, picture, shown)
    marked = _marked(looked, shown, seen, counts, chosen)
    if not seen.has("shown"):
        st.info(_blank_text(looked, shown, counts), icon=":material/info:")
        return
    key = key_of(looked, ELEMENT)
    st.altair_chart(
        drawn(looked, shown, seen, marked, _framed(looked, shown, key, _place(marked))),
        key=key,
        on_select=on_click(looked, ELEMENT),
        selection_mode="cell",
        alt=alt_text(looked, shown, seen, counts),
    )
    st.caption(legend_text(looked, shown, seen, marked, counts))

    def maker(kind: str) -> Callable[[], bytes]:
        return lambda: _picture_bytes(looked, shown, seen, marked, kind)

    tables.files(
        {kind: maker(kind) for kind in study_charts.PICTURES},
        f"study-{looked.study_id}-{shown.metric}",
        f"{looked.page}-picture",
        "Picture",
    )


def _blank_text(looked: Looked, shown: Shown, counts: Counts) -> str:
    """Why there is nothing to draw."""
    metric = looked.column(shown.metric)
    if shown.metric in SCORES and counts.peak is None:
        return f"No cell is ranked, so none has a {within(metric.label)}. Choose another metric."
    return f"No cell stored so far has a value of {within(metric.label)}: {metric.undefined}."


def file_bytes(database: Database, study_id: int, view: View, kind: str) -> bytes:
    """The first goal over the first two parameters, the others at their best, without a screen.

    kind: png or svg. Raises StudyNotFound, InvalidInput.
    """
    looked = Looked(database, studies.get(database, study_id), view, "file")
    x, *others = looked.parameters
    shown = Shown(looked.goals[0].metric, x, others[0] if others else None)
    seen, counts = picture(looked, shown), study_results.counts(database, study_id, view)
    if not seen.has("shown"):
        label = looked.column(shown.metric).label
        raise InvalidInput("study", f"no cell has a value of {label}", "run it or resume it first")
    return _picture_bytes(looked, shown, seen, _marked(looked, shown, seen, counts, None), kind)


def _picture_bytes(
    looked: Looked, shown: Shown, seen: Picture, marked: pd.DataFrame, kind: str
) -> bytes:
    """The map as a file, without what only a pointer shows."""
    plain = marked.drop(columns=list(seen.hints))
    chart = drawn(looked, shown, replace(seen, hints=()), plain, _place(marked))
    return study_charts.picture(chart, title_text(looked, shown), kind)


def _place(marked: pd.DataFrame) -> int | None:
    """The cell of the map that stands for the chosen one."""
    found = marked.loc[marked["chosen"], "cell_id"]
    return None if found.empty else int(found.iloc[0])


def _framed(looked: Looked, shown: Shown, key: str, place: int | None) -> int | None:
    """What the map frames to begin with: the chosen cell, as it was before the map's own clicks.

    The browser frames those itself; another beginning would make it draw the whole map again.
    """
    known = f"{looked.page}-framed"
    of = (key, shown, looked.view, looked.study.progress.completed)
    clicked = st.session_state.get(key, {}).get("selection", {}).get("cell", [])
    before = st.session_state.get(known)
    if before is None or before[0] != of or clicked != [{"cell_id": place}]:
        st.session_state[known] = of, place
    framed: int | None = st.session_state[known][1]
    return framed


def _inputs(looked: Looked) -> Shown:
    """Metric, axes and what happens to the other parameters."""
    names = list(looked.parameters)
    row = st.grid(4, min_column_width=150)
    metric = metric_input(
        row,
        looked,
        "metric",
        "What the colours show; ↑ more is better, ↓ less is better. Example: excess return.",
        list(COLUMNS),
    )
    if len(names) == 1:
        return Shown(metric, names[0], None)
    x = _axis_input(row, looked, "x", names)
    y = _axis_input(row, looked, "y", [name for name in names if name != x])
    others = [parameter for name, parameter in looked.parameters.items() if name not in (x, y)]
    held = {parameter.name: _held_input(row, looked, parameter) for parameter in others}
    fixed = tuple(
        (parameter.name, parameter.values[at])
        for parameter in others
        if (at := held[parameter.name]) != ALL
    )
    summed_up = ALL in held.values()
    aggregate = _aggregate_input(row, looked, metric) if summed_up else "best"
    return Shown(metric, x, y, fixed, aggregate)


def _axis_input(row: Any, looked: Looked, axis: str, names: list[str]) -> str:
    chosen: str = option_input(
        row,
        looked,
        axis,
        f"{axis.upper()} axis",
        names,
        format_func=field_label,
        help=f"Parameter along the {axis} axis. Example: {field_label(names[0]).lower()}.",
    )
    return chosen


def _held_input(row: Any, looked: Looked, parameter: Parameter) -> int:
    """The place of the value at which a parameter off the axes is held, or ALL of them."""
    at: int = option_input(
        row,
        looked,
        f"held.{parameter.name}",
        field_label(parameter.name),
        [ALL, *range(len(parameter.values))],
        format_func=lambda at: "all" if at == ALL else shown_value(parameter.values[at]),
        help="Hold it at one value, or sum up all of them. Example: "
        f"{shown_value(parameter.values[0])}.",
    )
    return at


def _aggregate_input(row: Any, looked: Looked, metric: str) -> Aggregate:
    undirected = looked.column(metric).direction is None
    texts = dict(AGGREGATES) | ({"best": "the highest"} if undirected else {})
    chosen: Aggregate = option_input(
        row,
        looked,
        "aggregate",
        "Each cell shows",
        list(texts),
        format_func=texts.__getitem__,
        help="What a cell shows of the combinations that differ only in the parameters set to "
        "all. Example: their median, which a single lucky combination cannot lift.",
    )
    return chosen


def picture(looked: Looked, shown: Shown) -> Picture:
    """The cells of a map, at most MOST_PER_AXIS by MOST_PER_AXIS (or MOST_POINTS) of them."""
    statistics = None
    names: tuple[str, ...]
    if shown.y is None:
        whole, names, most = _points(looked, shown), (shown.x,), MOST_POINTS
    else:
        found = study_results.heatmap(
            looked.database,
            looked.study_id,
            shown.x,
            shown.y,
            shown.metric,
            looked.view,
            fixed=dict(shown.fixed),
            aggregate=shown.aggregate,
        )
        whole, names, most = found.cells, (shown.x, shown.y), _most_per_axis(looked)
        statistics = found.statistics
    blocks = {name: _blocks(looked.parameters[name].values, most) for name in names}
    sign = -1.0 if looked.column(shown.metric).direction == "down" else 1.0
    frame = merged(whole, blocks, sign).reset_index(drop=True)
    hints = _hints(looked, shown, frame)
    return Picture(
        _cells(looked, shown, frame).assign(**hints),
        tuple(_axis(name, blocks[name]) for name in names),
        blocks,
        tuple(hints),
        statistics,
    )


def _sums_up(looked: Looked, shown: Shown) -> bool:
    """Whether several cells stand behind one of the map."""
    return shown.y is not None and len(looked.parameters) > 2 + len(shown.fixed)


def _points(looked: Looked, shown: Shown) -> pd.DataFrame:
    """The cells of a study of one parameter, as of a map."""
    cell = study_results.counts(looked.database, looked.study_id, looked.view).default
    points = study_results.slices(looked.database, looked.study_id, cell, shown.metric, looked.view)
    return pd.DataFrame(
        {
            shown.x: points["value"],
            "value": points[shown.metric],
            "cell_id": points["cell_id"],
            "status": points["status"],
        }
    )


def _blocks(values: tuple[Value, ...], most: int) -> dict[Value, Value]:
    """Every value to the first of its block, of which there are at most `most`."""
    size = -(-len(values) // most)
    return {value: values[place - place % size] for place, value in enumerate(values)}


def merged(
    whole: pd.DataFrame, blocks: Mapping[str, Mapping[Value, Value]], sign: float
) -> pd.DataFrame:
    """`whole` with its axes in blocks; of each block the cell whose value is best.

    whole: the axes, value, status; sign: +1 where more is better. Where blocks hold one value
    each, nothing changes.
    """
    if all(value == block for axis in blocks.values() for value, block in axis.items()):
        return whole
    mapped = {name: whole[name].map(dict(axis)) for name, axis in blocks.items()}
    # A cell that is out of the running must not stand for one that is not.
    order = {"out": whole["status"] != "feasible", "loss": whole["value"] * -sign}
    ordered = whole.assign(**mapped, **order).sort_values(list(order), kind="stable")
    return ordered.drop_duplicates(list(blocks)).drop(columns=list(order))


def _axis(name: str, blocks: Mapping[Value, Value]) -> Axis:
    return Axis(field_label(name), [shown_value(value) for value in dict.fromkeys(blocks.values())])


def _cells(looked: Looked, shown: Shown, frame: pd.DataFrame) -> pd.DataFrame:
    """What the chart shows of each cell."""
    value = frame["value"].astype(float)
    labels = pd.Series(short_texts(looked.column(shown.metric), value), index=frame.index)
    invalid = frame["status"] == "invalid"
    kind = pd.Series("shown", index=frame.index).mask(value.isna(), "undefined")
    cells = pd.DataFrame(
        {
            "x": _texts(frame[shown.x]),
            "value": value,
            "label": labels.mask(value.isna(), UNDEFINED),
            "cell_id": frame["cell_id"],
            "kind": kind.mask(invalid, "invalid"),
            "status": frame["status"],
            "opacity": np.where(frame["status"] == "rejected", study_charts.DIM, 1.0),
        }
    )
    if shown.y is not None:
        cells["y"] = _texts(frame[shown.y])
    return cells


def _texts(values: "pd.Series[Any]") -> list[str]:
    texts = {value: shown_value(value) for value in values.unique().tolist()}
    return [texts[value] for value in values.tolist()]


def _most_per_axis(looked: Looked) -> int:
    return MOST_WHILE_RUNNING if looked.study.state is StudyState.RUNNING else MOST_PER_AXIS


def _hints(looked: Looked, shown: Shown, frame: pd.DataFrame) -> dict[str, list[str]]:
    """Title to texts of everything that is known of each cell, from the database.

    While the study runs, a map of many cells has their parameters only: it is drawn again and
    again, and its progress must not wait for that.
    """
    if looked.study.state is StudyState.RUNNING and len(frame) > LIGHT:
        return _parameter_hints(looked, frame)
    rows = rows_of(looked, tuple(frame["cell_id"].tolist())).loc[frame["cell_id"]]
    hints = {}
    if _sums_up(looked, shown):
        values = column_texts(looked.column(shown.metric), frame["value"])
        pairs = zip(values, frame["count"].tolist(), strict=True)
        hints["Shown"] = [f"{text}, of {cells:,} cells" for text, cells in pairs]
    hints |= {field_label(name): _texts(rows[name]) for name in looked.parameters}
    hints["Status"] = status_texts(looked, rows)
    # One line for each would not fit into a window.
    lines = [tuple(SCORES.values()), *zip_longest(METRICS[::2], METRICS[1::2])]
    return hints | dict(_joined([one for one in line if one], rows) for line in lines)


def _parameter_hints(looked: Looked, frame: pd.DataFrame) -> dict[str, list[str]]:
    hints = {}
    places = looked.request.grid.value_indexes(frame["cell_id"].to_numpy())
    for (name, parameter), at in zip(looked.parameters.items(), places, strict=True):
        texts = [shown_value(value) for value in parameter.values]
        hints[field_label(name)] = [texts[place] for place in at.tolist()]
    return hints


def _joined(columns: Sequence[Metric], rows: pd.DataFrame) -> tuple[str, list[str]]:
    """Several columns as the title and texts of one line."""
    first, *others = columns
    parts = [column_texts(first, rows[first.name])]
    for column in others:
        head = f" · {column.label} "
        parts.append([head + text for text in column_texts(column, rows[column.name])])
    return first.label, list(map("".join, zip(*parts, strict=True)))


def _marked(
    looked: Looked, shown: Shown, seen: Picture, counts: Counts, chosen: int | None
) -> pd.DataFrame:
    """The cells with those of the best, the chosen and the base policy marked."""
    marks = {"best": counts.best, "chosen": chosen, "default": counts.default}
    return seen.cells.assign(
        **{name: _at(looked, shown, seen, cell) for name, cell in marks.items()}
    )


def _at(looked: Looked, shown: Shown, seen: Picture, cell: int | None) -> "pd.Series[bool]":
    """Which cells of the map stand for `cell`: none where it differs in a parameter held."""
    cells = seen.cells
    if cell is None:
        return pd.Series(False, index=cells.index)
    values = looked.parameters_of(cell)
    if any(values[name] != value for name, value in shown.fixed):
        return pd.Series(False, index=cells.index)
    found = cells["x"] == shown_value(seen.blocks[shown.x][values[shown.x]])
    if shown.y is not None:
        found &= cells["y"] == shown_value(seen.blocks[shown.y][values[shown.y]])
    return found


def drawn(
    looked: Looked, shown: Shown, seen: Picture, marked: pd.DataFrame, framed: int | None
) -> Chart:
    """The chart of a map or line."""
    metric, marks = looked.column(shown.metric), marked.drop(columns="chosen")
    if shown.y is None:
        numeric = looked.parameters[shown.x].numeric
        return study_charts.line(marked, seen.axes[0], metric, seen.hints, numeric)
    return study_charts.heatmap(marks, seen.axes[0], seen.axes[1], metric, seen.hints, framed)


def title_text(looked: Looked, shown: Shown) -> str:
    """What a map shows, in one line."""
    of = ", ".join(looked.symbols[:5]) + ("…" if len(looked.symbols) > 5 else "")
    axes = " and ".join(field_label(name).lower() for name in (shown.x, shown.y) if name)
    return f"{looked.column(shown.metric).label} of {of} by {axes}{held_text(looked, shown)}"


def held_text(looked: Looked, shown: Shown) -> str:
    """How the parameters off the axes are treated."""
    told = f"; {parameter_text(dict(shown.fixed))}" if shown.fixed else ""
    off = {shown.x, shown.y, *dict(shown.fixed)}
    rest = [field_label(name).lower() for name in looked.parameters if name not in off]
    return told + (f"; {AGGREGATES[shown.aggregate]} over {', '.join(rest)}" if rest else "")


def alt_text(looked: Looked, shown: Shown, seen: Picture, counts: Counts) -> str:
    """The chart in words."""
    best = ""
    if counts.best is not None:
        best = f"; best plateau at {parameter_text(looked.parameters_of(counts.best))}"
    return f"{title_text(looked, shown)} in {len(seen.cells):,} cells{best}."


def legend_text(
    looked: Looked, shown: Shown, seen: Picture, marked: pd.DataFrame, counts: Counts
) -> str:
    """What the marks mean and what is not seen."""
    metric, names = looked.column(shown.metric), ("best", "chosen", "default")
    marks = ("dashed", "solid", "dot") if shown.y else ("diamond", "circle", "square")
    meanings = ("best plateau", "selected", base_text(counts))
    parts = [
        f"{mark}: {meaning}"
        for name, mark, meaning in zip(names, marks, meanings, strict=True)
        if marked[name].any()
    ]
    if shown.y and metric.direction is not None:
        parts.insert(0, "blue: better")
    elif shown.y:
        parts.insert(0, "violet: neither more nor less is better")
    if (seen.cells["opacity"] < 1.0).any():
        parts.append("pale: rejected by a constraint")
    if seen.has("invalid"):
        parts.append(f"{'hatched' if shown.y else 'dashed'}: breaks a bound, not simulated")
    if seen.has("undefined"):
        parts.append(f"{UNDEFINED} {UNRANKED if shown.metric in SCORES else metric.undefined}")
    if shown.y and len(seen.cells) < len(seen.axes[0].order) * len(seen.axes[1].order):
        parts.append("empty: not computed" if looked.request.sampled else "empty: not stored yet")
    if seen.merged:
        most = _most_per_axis(looked) if shown.y else MOST_POINTS
        parts.append(f"neighbours are merged to at most {most} a side, each showing its best")
    return " · ".join([*parts, *_statistics_text(seen, metric)])


def _statistics_text(seen: Picture, metric: Metric) -> list[str]:
    told = seen.statistics
    if told is None or not told.count:
        return []
    low, middle, high = (metric_text(metric, value) for value in (told.min, told.median, told.max))
    return [f"from {low} over {middle} (median) to {high}"]

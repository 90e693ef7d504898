"""Charts of a study: a frame in, a chart out. Blue is good, whichever way a metric counts.

hints: columns of text that stand under the pointer, each by its name.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd

from volbal.engine.metrics import CENTRES, Metric
from volbal.formatting import UNIT, axis_expression
from volbal.ui.charts import (
    BLUE,
    BY_COLOUR,
    FAINT,
    LABEL,
    NARROW,
    ORANGE,
    SLATE,
    STRAIGHT,
    Option,
    bands,
)

Chart = alt.LayerChart | alt.FacetChart

NEUTRAL: Final = ["#EFEAF8", "#D6CAEF", "#B9A5E2", "#987DD1", "#7657B6", "#563A91", "#3B2569"]
"""For metrics of which neither more nor less is better."""

INVALID: Final = "#8392A7"
ROOMY: Final = "bandwidth('x') >= {wide} && bandwidth('y') >= 15"
"""Whether a cell has room for a text so wide."""

LETTER: Final = 6.2
"""Width of a letter on a cell, in pixels."""

SELECTED: Final = "cell.cell_id && indexof(cell.cell_id, datum.cell_id) >= 0"
"""Whether a datum is of the cell that the selection parameter "cell" holds."""

PLACE: Final = ["x", "y", "cell_id"]
"""What every mark on a cell carries, so that a click on any of them is one on the cell."""

MOST_LABELLED: Final = 60
"""Columns beyond which no screen has room for values."""

DIM: Final = 0.28
"""Opacity of a rejected cell."""

HATCH: Final = (
    "'M' + (-bandwidth('x') / bandwidth('y')) + ',1L' + (bandwidth('x') / bandwidth('y')) + ',-1"
    "M' + (-bandwidth('x') / bandwidth('y')) + ',0L0,-1M0,1L' "
    "+ (bandwidth('x') / bandwidth('y')) + ',0'"
)
"""Three diagonals across a cell, as the outline of a symbol whose half height is 1."""

TALL: Final = "max(bandwidth('y'), 13)"
FRAME: Final = (
    f"'M' + (-max(bandwidth('x'), 13) / {TALL}) + ',-1H' + (max(bandwidth('x'), 13) / {TALL}) "
    f"+ 'V1H' + (-max(bandwidth('x'), 13) / {TALL}) + 'Z'"
)
"""The border of a cell, as the outline of a symbol whose half height is 1; never too small to
see."""


MOST_DESCRIBED: Final = 1_000
"""Cells that describe themselves to screen readers; more take a while, and the chart has a text."""


@dataclass(frozen=True, slots=True)
class Axis:
    """title, and the values in order as text."""

    title: str
    order: Sequence[str]


def colour_scale(metric: Metric, values: pd.Series) -> alt.Scale:
    """Blue is good and orange or pale is bad, whichever way the metric counts.

    values: of the cells that are not rejected; others may lie beyond. Diverging about the
    metric's natural centre where they lie on both sides of it. Where all lie on one, they share
    the colours of that side: the whole scale about a centre far away would make every cell look
    the same.
    """
    if metric.direction is None:
        return alt.Scale(range=NEUTRAL)
    low, high = float(values.min()), float(values.max())
    centre = CENTRES.get(metric.name)
    reverse = metric.direction == "down"
    if centre is not None and low < centre < high:
        reach = max(high - centre, centre - low)
        ends = [centre - reach, centre + reach]
        return alt.Scale(
            domain=ends, domainMid=centre, reverse=reverse, clamp=True, interpolate=STRAIGHT
        )
    low = low if low < high else low - 1.0
    if centre is None:
        return alt.Scale(domain=[low, high], reverse=reverse, clamp=True)
    near, far = (high, low) if high <= centre else (low, high)
    ends = sorted((far, 2.0 * near - far))
    return alt.Scale(domain=ends, domainMid=near, clamp=True, interpolate=STRAIGHT)


def _legend_values(metric: Metric, values: pd.Series) -> Any:
    """What a legend tells of a scale of which the values have one half; else what it likes."""
    low, high = float(values.min()), float(values.max())
    centre = CENTRES.get(metric.name)
    if centre is None or not low < high or low < centre < high:
        return alt.Undefined
    digits = 1 - math.floor(math.log10(high - low))
    return [round(value, digits) for value in (low, (low + high) / 2.0, high)]


def heatmap(
    cells: pd.DataFrame,
    x_axis: Axis,
    y_axis: Axis,
    metric: Metric,
    hints: Sequence[str],
    chosen: int | None = None,
    height: int = 460,
) -> Chart:
    """One rectangle per cell; rejected ones dimmed, invalid ones hatched, three kinds marked.

    cells: columns x, y (text), value, label, cell_id, kind (shown, undefined, invalid), opacity,
    best, default (bool) and `hints`. Selection parameter: "cell", with cell_id; the browser
    frames what it selects, so that a click needs no other chart. chosen: what is selected to
    begin with.
    """
    axis = alt.Axis(
        labelAngle=0, labelOverlap=True, labelFlush=False, domain=False, ticks=False, grid=False
    )
    columns, rows = list(x_axis.order), list(y_axis.order)[::-1]
    x = alt.X("x:O", sort=columns, title=x_axis.title, axis=axis, scale=bands(columns))
    y = alt.Y("y:O", sort=rows, title=y_axis.title, axis=axis, scale=bands(rows))
    told = _told(hints)
    shown, others = cells[cells["kind"] == "shown"], cells[cells["kind"] != "shown"]
    competing = _competing(shown)["value"]
    scale = colour_scale(metric, competing)
    colour = alt.Color(
        "value:Q",
        title=None,
        scale=scale,
        legend=alt.Legend(
            # Squares, not a gradient: redrawn, a gradient's reference in the page gets lost.
            type="symbol",
            symbolType="square",
            symbolSize=160,
            symbolStrokeWidth=0,
            orient="top",
            direction="horizontal",
            labelExpr=axis_expression(metric),
            values=_legend_values(metric, competing),
            tickCount=3,
            columns=5,
        ),
    )
    faded = alt.Opacity("opacity:Q", scale=None, legend=None)
    click = _click(chosen)
    rects = (
        alt.Chart(shown)
        .mark_rect(cursor="pointer", aria=len(shown) <= MOST_DESCRIBED)
        .encode(x=x, y=y, color=colour, opacity=faded, tooltip=told)
        .add_params(click)
    )
    if shown["x"].nunique() > MOST_LABELLED:
        # Between many small cells the page would shine through: their borders are theirs too.
        stroke = alt.Stroke("value:Q", scale=scale, legend=None)
        rects = rects.encode(stroke=stroke, strokeWidth=alt.value(0.7))
    layers = [rects, *_values(shown, x, y), *_blanks(others, x, y, told)]
    layers += [
        *_outline(cells[cells["best"]], x, y, [4, 3]),
        *_dots(cells[cells["default"]], x, y),
        alt.layer(*_outline(cells, x, y, [])).transform_filter(click),
    ]
    return alt.layer(*layers).properties(height=height)


def _told(hints: Sequence[str]) -> Any:
    """The columns as they are: formatting 10,000 of them would take the browser a second.

    Nothing of the selected cell: its panel has it all, and the pointer's would cover that.
    """
    pairs = ", ".join(f"{json.dumps(name)}: datum[{json.dumps(name)}]" for name in hints)
    return alt.value(alt.ExprRef(f"{SELECTED} ? '' : {{{pairs}}}"))


def _click(chosen: int | None = None) -> alt.Parameter:
    click: alt.Parameter = alt.selection_point(
        name="cell",
        fields=["cell_id"],
        on="click",
        toggle=False,
        empty=False,
        value=alt.Undefined if chosen is None else [{"cell_id": chosen}],
    )
    return click


def _competing(shown: pd.DataFrame) -> pd.DataFrame:
    """The cells that are not rejected; all where every one is."""
    full = shown[shown["opacity"] == 1.0]
    return shown if full.empty else full


def _values(shown: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Values on the cells, in an ink that is readable on them; none where they are sure not to
    fit."""
    if shown["x"].nunique() > MOST_LABELLED:
        return []
    rejected = shown["opacity"] < 1.0
    inks = ((shown[~rejected], alt.ExprRef(BY_COLOUR)), (shown[rejected], SLATE))
    return [_labels(cells, x, y, ink) for cells, ink in inks if len(cells)]


def _labels(cells: pd.DataFrame, x: alt.X, y: alt.Y, colour: Any) -> alt.Chart:
    """Values on the cells, where they fit; without their unit, which the legend has, where only
    that fits."""
    whole, bare = (
        ROOMY.format(wide=round(LETTER * int(texts.str.len().max()) + 4))
        for texts in (cells["label"], cells["label"].str.removesuffix(UNIT))
    )
    texts = alt.Chart(cells[[*PLACE, "value", "label"]]).mark_text(
        fontSize=11,
        tooltip=None,
        color=colour,
        opacity=alt.ExprRef(f"{bare} ? 1 : 0"),
        text=alt.ExprRef(f"{whole} ? datum.label : replace(datum.label, '{UNIT}', '')"),
    )
    labels: alt.Chart = texts.encode(x=x, y=y)
    return labels


def _blanks(cells: pd.DataFrame, x: alt.X, y: alt.Y, told: Any) -> list[alt.Chart]:
    """Cells without a value: grey, hatched where invalid, a dash where undefined."""
    if cells.empty:
        return []
    undefined = cells[cells["kind"] == "undefined"]
    rects = alt.Chart(cells).mark_rect(color=INVALID, opacity=0.16, cursor="pointer")
    hatch = alt.Chart(cells.loc[cells["kind"] == "invalid", PLACE]).mark_point(
        shape=alt.ExprRef(HATCH),
        size=alt.ExprRef("bandwidth('y') * bandwidth('y')"),
        stroke=INVALID,
        strokeWidth=1,
        opacity=0.55,
        fillOpacity=0,
        tooltip=None,
    )
    return [
        rects.encode(x=x, y=y, tooltip=told),
        hatch.encode(x=x, y=y),
        *([_labels(undefined, x, y, INVALID)] if len(undefined) else []),
    ]


def _outline(cells: pd.DataFrame, x: alt.X, y: alt.Y, dash: list[int]) -> list[alt.Chart]:
    """A frame that shows on every colour: dark, with a light line inside."""
    if cells.empty:
        return []
    base = alt.Chart(cells[PLACE]).encode(x=x, y=y)
    return [
        base.mark_point(
            shape=alt.ExprRef(FRAME),
            size=alt.ExprRef(f"{TALL} * {TALL}"),
            stroke=stroke,
            strokeWidth=width,
            strokeDash=dash,
            fillOpacity=0,
            opacity=1,
            tooltip=None,
        )
        for stroke, width in (("#0F172A", 4.5), ("#FFFFFF", 2.0))
    ]


def _dots(cells: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A dot in the upper right corner."""
    if cells.empty:
        return []
    dot = alt.Chart(cells[PLACE]).mark_point(
        shape="circle",
        size=45,
        filled=True,
        color="#FFFFFF",
        opacity=1,
        stroke="#0F172A",
        strokeWidth=1.5,
        xOffset=alt.ExprRef("max(bandwidth('x') / 2 - 8, 0)"),
        yOffset=alt.ExprRef("-max(bandwidth('y') / 2 - 8, 0)"),
        tooltip=None,
    )
    return [dot.encode(x=x, y=y)]


def line(
    cells: pd.DataFrame,
    x_axis: Axis,
    metric: Metric,
    hints: Sequence[str],
    numeric: bool,
    height: int = 400,
) -> Chart:
    """One parameter: a line over its values, or bars where they have no order; dashed uprights
    where it is invalid.

    Columns of cells and the selection as in `heatmap`, without y.
    """
    shown = cells[cells["kind"] == "shown"]
    x = alt.X(
        "x:O",
        sort=list(x_axis.order),
        title=x_axis.title,
        axis=alt.Axis(labelAngle=0, labelOverlap=True, grid=False),
    )
    y = alt.Y(
        "value:Q",
        title=metric.label,
        scale=alt.Scale(zero=not numeric),
        axis=alt.Axis(labelExpr=axis_expression(metric)),
    )
    faded = alt.Opacity("opacity:Q", scale=None, legend=None)
    base = alt.Chart(shown).encode(x=x, y=y, tooltip=_told(hints))
    if numeric:
        point = base.mark_point(
            filled=True, size=60 if len(shown) <= 200 else 12, color=BLUE, cursor="pointer"
        )
        layers = [
            base.mark_line(color=BLUE, strokeWidth=2),
            point.encode(opacity=faded).add_params(_click()),
        ]
    else:
        bar = base.mark_bar(color=BLUE, cursor="pointer", size=60 if height > 300 else 28)
        layers = [bar.encode(opacity=faded).add_params(_click())]
    invalid = cells[cells["kind"] == "invalid"]
    if len(invalid):
        upright = alt.Chart(invalid).mark_rule(
            color=INVALID, strokeWidth=9, strokeDash=[3, 4], opacity=0.45, cursor="pointer"
        )
        layers.insert(0, upright.encode(x=x, tooltip=_told(hints)))
    for column, shape in (("best", "diamond"), ("chosen", "circle"), ("default", "square")):
        if shown[column].any():
            marked = alt.Chart(shown[shown[column]]).encode(x=x, y=y)
            layers.append(
                marked.mark_point(
                    size=260, shape=shape, stroke=ORANGE, strokeWidth=2.5, tooltip=None
                )
            )
    return alt.layer(*layers).properties(height=height)


def trade_offs(
    points: pd.DataFrame,
    x_metric: Metric,
    y_metric: Metric,
    hints: Sequence[str],
    joined: bool,
    height: int = 430,
) -> Chart:
    """Two goals against each other: every cell a dot, the Pareto front coloured, its knee marked.

    points: columns x, y, cell_id, kind (cloud, front), knee, chosen (bool) and `hints`.
    joined: with a line along the front. Selection parameter: "cell", with cell_id.
    """

    def scaled(channel: Any, name: str, metric: Metric) -> Any:
        return channel(
            f"{name}:Q",
            title=metric.label,
            scale=alt.Scale(zero=False, nice=False, padding=12),
            axis=alt.Axis(labelExpr=axis_expression(metric), labelOverlap=True),
        )

    x, y = scaled(alt.X, "x", x_metric), scaled(alt.Y, "y", y_metric)
    front = points[points["kind"] == "front"]
    cloud = alt.Chart(points[points["kind"] == "cloud"]).mark_point(
        filled=True, size=24, color=SLATE, opacity=0.45, cursor="pointer"
    )
    dots = alt.Chart(front).mark_point(
        filled=True, size=75, color=BLUE, opacity=1, cursor="pointer"
    )
    told = _told(hints)
    layers = [cloud.encode(x=x, y=y, tooltip=told).add_params(_click())]
    if joined:
        steps = alt.Chart(front[PLACE]).mark_line(color=BLUE, strokeWidth=1.5, opacity=0.7)
        layers.append(steps.encode(x=x, y=y, order="x:Q", tooltip=alt.value(None)))
    layers.append(dots.encode(x=x, y=y, tooltip=told))
    for column, shape, size in (("knee", "diamond", 300), ("chosen", "circle", 240)):
        if points[column].any():
            marked = alt.Chart(points[points[column]]).encode(x=x, y=y)
            layers.append(
                marked.mark_point(
                    size=size, shape=shape, stroke=ORANGE, strokeWidth=2.5, tooltip=None
                )
            )
    return alt.layer(*layers).properties(height=height)


@dataclass(frozen=True, slots=True)
class Scale:
    """One upright axis of a parallel plot. column: in its frame; labels: of a scale of words;
    formatter: how its numbers are written; inverted: less is better, so it stands on top."""

    column: str
    title: str
    labels: tuple[str, ...] = ()
    formatter: str = "{value}"
    inverted: bool = False


UPRIGHT: Final[Option] = {
    "layout": "horizontal", "left": 46, "right": 70, "top": 64, "bottom": 24
}  # fmt: skip
LYING: Final[Option] = {
    "layout": "vertical", "left": 24, "right": 110, "top": 24, "bottom": 36
}  # fmt: skip
"""Where the axes stand in a wide window, and where they lie in a narrow one."""


def parallel(rows: pd.DataFrame, scales: Sequence[Scale], coloured: Scale, paper: str) -> Option:
    """Every row a line across the scales, coloured from orange to blue by `coloured`.

    Dragging along a scale keeps the lines that cross it there. paper: the colour behind the chart.
    """
    columns = [scale.column for scale in scales]
    values = rows[columns].astype(object).where(rows[columns].notna(), None).to_numpy().tolist()
    colours = [ORANGE, "#C9A66B", "#9AA5B5", "#6C94D8", BLUE]  # all of them seen in either theme
    by_score = rows[coloured.column]
    return {
        "animation": False,
        "parallel": UPRIGHT
        | {
            "parallelAxisDefault": {
                "nameLocation": "end",
                "nameGap": 14,
                "nameTruncate": {"maxWidth": 110},
                "nameTextStyle": {"color": LABEL, "fontSize": 11},
                "axisLine": {"lineStyle": {"color": FAINT}},
                "axisLabel": {
                    "color": LABEL,
                    "fontSize": 11,
                    "hideOverlap": True,
                    # The lines cross them.
                    "textBorderColor": paper,
                    "textBorderWidth": 4,
                },
                "axisTick": {"show": False},
                "z": 3,
            },
        },
        "media": [
            {
                "query": {"maxWidth": NARROW},
                "option": {"parallel": LYING, "parallelAxis": [{"splitNumber": 3}] * len(scales)},
            },
            {"option": {"parallel": UPRIGHT, "parallelAxis": [{"splitNumber": 5}] * len(scales)}},
        ],
        "parallelAxis": [_upright(place, scale) for place, scale in enumerate(scales)],
        "visualMap": {
            "show": False,
            "min": float(by_score.min()),
            "max": float(by_score.max()),
            "dimension": columns.index(coloured.column),
            "inRange": {"color": colours[::-1] if coloured.inverted else colours},
        },
        "series": [
            {
                "type": "parallel",
                "lineStyle": {"width": 1.3, "opacity": 0.45},
                "inactiveOpacity": 0.03,
                "data": values,
                "progressive": 0,
            }
        ],
    }


def _upright(place: int, scale: Scale) -> Option:
    axis: Option = {"dim": place, "name": scale.title, "inverse": scale.inverted}
    if scale.inverted:
        axis["nameLocation"] = "start"  # which stands on top then
    if scale.labels:
        return axis | {"type": "category", "data": list(scale.labels)}
    return axis | {"type": "value", "scale": True, "axisLabel": {"formatter": scale.formatter}}


DIVERGING: Final = [
    "#9E3D22", "#C4673F", "#E09F79", "#F2D3BF", "#F6F1EC",
    "#EEF1F3", "#C3DAE6", "#85B4CD", "#4586AC", "#1C5C86",
]  # fmt: skip
SEQUENTIAL: Final = ["#F1F6FA", "#DCE9F2", "#C3DAE6", "#A6C9DC", "#85B4CD",
                     "#659EBF", "#4586AC", "#2F7199", "#1C5C86", "#0F4569"]  # fmt: skip


PICTURES: Final = ("png", "svg")


def picture(chart: Chart, title: str, kind: str) -> bytes:
    """The chart as a file, light, 900 pixels wide, made without any network. kind: png or svg."""
    import vl_convert  # slow to import: not before a picture is asked for

    framed = (
        chart.properties(width=900, height=540, title=title, background="#FFFFFF", padding=16)
        .configure(font="sans-serif")
        .configure_range(diverging=DIVERGING, heatmap=SEQUENTIAL, ramp=SEQUENTIAL)
        .configure_axis(labelFontSize=12, titleFontSize=13, labelColor="#334155")
        .configure_title(fontSize=15, anchor="start", offset=12)
        .configure_view(stroke=None)
    )
    with alt.data_transformers.enable("default", max_rows=None):
        spec = framed.to_json()
    if kind == "svg":
        return vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]).encode()
    return vl_convert.vegalite_to_png(spec, scale=2, allowed_base_urls=[])

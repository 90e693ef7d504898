"""Charts: a frame in, a chart out. Colours are readable on the light and the dark theme.

Time series are ECharts options (a mouse move costs 20 ms instead of 130 in Vega), studies are
Altair charts.
"""

from typing import Any, Final

import altair as alt
import pandas as pd

from volbal.domain.policy import Policy
from volbal.formatting import percent, percent_points
from volbal.market.model import PriceHistory
from volbal.services.course import Course
from volbal.services.research import BENCHMARKS

Option = dict[str, Any]

BLUE, ORANGE, SLATE, GREEN, VIOLET = "#3B82F6", "#E8890C", "#8392A7", "#10A36B", "#A274F0"
LINES = {
    "equity": ("Strategy", BLUE, 2.2),
    "buy_and_hold": (BENCHMARKS["buy_and_hold"], ORANGE, 1.3),
    "start_mix": (BENCHMARKS["start_mix"], SLATE, 1.3),
    "exposure_matched": (BENCHMARKS["exposure_matched"], GREEN, 1.3),
}
"""Column of `Simulation.days` → name, colour, width."""

FAINT = "rgba(131, 146, 167, 0.28)"
LABEL = "#8392A7"
TIMES = {"year": "{yyyy}", "month": "{MMM}", "day": "{d} {MMM}", "hour": "{HH}:{mm}"}
"""How the labels of a time axis are written: a day by its number alone says no month."""
YEARLESS = {"month": "{MMM} {yyyy}"}
MONTHLESS = {"day": "{d} {MMM} {yyyy}"}
"""How they are where no label of a year, or of a month either, falls within the axis."""

STRAIGHT: Final = "rgb"
"""How a scale about a middle goes from colour to colour: round the colour circle, as it would by
itself, the palest lead through violet."""

CROWDED = 150
"""Fills beyond which their marks are drawn smaller."""

MONEY, PRICE, PERCENT, MILLIONS = "%,.0f", "%,.2f", "%.1f %%", "%,.2f million"
MILLION = 1_000_000.0


def value_chart(
    days: pd.DataFrame, height: int = 470, logarithmic: bool = False
) -> tuple[Option, int]:
    """Value of the strategy and its benchmarks above, drawdown of two of them below.

    days: `Simulation.days`. logarithmic: equal growth is an equal distance.
    Returns the option and its height in pixels.
    """
    frame = days.reset_index()
    falls = {"equity": "drawdown", "buy_and_hold": "drawdown_buy_and_hold"}
    shown = frame[["date", *LINES]].copy()
    for fall in falls.values():
        shown[fall] = percent_points(frame[fall])
    option = _panels(shown, ("Value", "Drawdown"), height, 0.72)
    option["yAxis"][1]["axisLabel"]["formatter"] = "{value} %"
    option["yAxis"][1]["max"] = 0
    if logarithmic:
        option["yAxis"][0] |= {"type": "log", "logBase": 2, "scale": True}
    option["series"] = [
        _line(column, name, colour, width, 0, MONEY) | {"z": 3 if column == "equity" else 2}
        for column, (name, colour, width) in LINES.items()
    ] + [
        _line(fall, f"Drawdown, {LINES[of][0].lower()}", LINES[of][1], 1.2, 1, PERCENT)
        | ({"areaStyle": {"opacity": 0.15}} if of == "equity" else {})
        for of, fall in falls.items()
    ]
    option["legend"]["data"] = [name for name, _, _ in LINES.values()]
    return option, height


def rule_chart(
    days: pd.DataFrame, fills: pd.DataFrame, policy: Policy, height: int = 520
) -> tuple[Option, int]:
    """Price with anchor and fills above, stock share between its guardrails below.

    days, fills: of a Simulation. Returns the option and its height in pixels.
    """
    frame = days.reset_index()[["date", "price", "anchor", "stock_share"]]
    frame["stock_share"] = percent_points(frame["stock_share"])
    sides = [fills.loc[fills["side"] == side, ["time", "price"]] for side in ("BUY", "SELL")]
    option = _panels(frame, ("Price", "Stock share"), height, 0.64)
    option["dataset"] += [{"source": side} for side in sides]
    option["yAxis"][0]["scale"] = True
    option["yAxis"][1] |= {"min": 0, "max": 100, "interval": 25}
    option["yAxis"][1]["axisLabel"]["formatter"] = "{value} %"
    size = 9 if len(fills) <= CROWDED else 6
    anchor = _line("anchor", "Anchor", VIOLET, 1.0, 0, PRICE) | {"step": "end"}
    share = _line("stock_share", "Stock share", BLUE, 1.4, 1, PERCENT)
    share["markLine"] = _guardrails(policy)
    option["series"] = [
        _line("price", "Price", SLATE, 1.4, 0, PRICE),
        anchor,
        _marks("Buy", 1, BLUE, 0, size),
        _marks("Sell", 2, ORANGE, 180, size),
        share,
    ]
    option["legend"]["data"] = [
        "Price",
        "Anchor",
        {"name": "Buy", "icon": "triangle"},
        {"name": "Sell", "icon": "path://M0 0 L10 0 L5 8 Z"},
    ]
    option["legend"]["itemHeight"] = 8
    return option, height


def price_chart(
    history: PriceHistory, height: int = 470, logarithmic: bool = False
) -> tuple[Option, int]:
    """Closes with dividends and splits above; below, where there is any, the volume.

    logarithmic: equal growth is an equal distance. Returns the option and its height in pixels.
    """
    bars = history.bars.reset_index()
    frame = pd.DataFrame({"date": bars["time"], "close": bars["close"]})
    frame["volume"] = bars["volume"] / MILLION
    has_volume = bool(bars["volume"].notna().any())
    if has_volume:
        option = _panels(frame, ("Close", "Volume, millions"), height, 0.74)
    else:
        height = round(height * 0.8)
        option = _panels(frame, ("Close",), height, 1.0)
    option["yAxis"][0] |= {"scale": True} | ({"type": "log"} if logarithmic else {})
    option["dataset"] += [
        {"source": _at_closes(frame, history.dividends, "ex_date", "amount")},
        {"source": _at_closes(frame, history.splits, "date", "ratio")},
    ]
    volume = _line("volume", "Volume", SLATE, 0.8, 1, MILLIONS) | {"areaStyle": {"opacity": 0.25}}
    size = 7 if len(history.dividends) <= CROWDED else 4
    option["series"] = [
        _line("close", "Close", BLUE, 1.6, 0, PRICE),
        *([volume] if has_volume else []),
        _actions("Dividend", 1, GREEN, "circle", size, "%.4f"),
        _actions("Split", 2, ORANGE, "diamond", 13, "%.4g : 1"),
    ]
    option["legend"]["data"] = [
        "Close",
        *([{"name": "Dividend", "icon": "circle"}] if len(history.dividends) else []),
        *([{"name": "Split", "icon": "diamond"}] if len(history.splits) else []),
    ]
    option["legend"]["itemHeight"] = 8
    return option, height


def _at_closes(frame: pd.DataFrame, actions: pd.DataFrame, dated: str, size: str) -> pd.DataFrame:
    """Actions at the close they stand beside: time, price and their size."""
    rows = frame["date"].searchsorted(actions[dated]).clip(max=len(frame) - 1)
    return pd.DataFrame(
        {
            "time": frame["date"].to_numpy()[rows],
            "price": frame["close"].to_numpy()[rows],
            "size": actions[size].to_numpy(),
        }
    )


def _actions(name: str, dataset: int, colour: str, symbol: str, size: int, number: str) -> Option:
    return _marks(name, dataset, colour, 0, size) | {
        "symbol": symbol,
        "encode": {"x": "time", "y": "price", "tooltip": ["size"]},
        "tooltip": {"valueFormatter": number},
    }


def course_chart(course: Course, policy: Policy, height: int = 520) -> tuple[Option, int]:
    """Price, anchor and trigger levels with fills and dividends; the stock share below.

    Returns the option and its height in pixels.
    """
    frame = course.days.assign(stock_share=percent_points(course.days["stock_share"]))
    sides = [course.fills.loc[course.fills["side"] == side] for side in ("BUY", "SELL")]
    option = _panels(frame, ("Price", "Stock share"), height, 0.64)
    option["dataset"] += [{"source": marks} for marks in (*sides, course.dividends)]
    option["yAxis"][0]["scale"] = True
    option["yAxis"][1] |= {"min": 0, "max": 100, "interval": 25}
    option["yAxis"][1]["axisLabel"]["formatter"] = "{value} %"
    steps = [
        _line(column, name, colour, 1.0, 0, PRICE) | {"step": "end"}
        for column, name, colour in (
            ("anchor", "Anchor", VIOLET),
            ("buy_level", "Buys at", BLUE),
            ("sell_level", "Sells at", ORANGE),
        )
    ]
    for level in steps[1:]:
        level["lineStyle"] |= {"type": "dashed"}
    share = _line("stock_share", "Stock share", BLUE, 1.4, 1, PERCENT)
    share["markLine"] = _guardrails(policy)
    size = 9 if len(course.fills) <= CROWDED else 6
    option["series"] = [
        _line("price", "Price", SLATE, 1.6, 0, PRICE),
        *steps,
        _marks("Buy", 1, BLUE, 0, size),
        _marks("Sell", 2, ORANGE, 180, size),
        _marks("Dividend", 3, GREEN, 0, size) | {"symbol": "diamond"},
        share,
    ]
    option["legend"]["data"] = [
        "Price",
        "Anchor",
        "Buys at",
        "Sells at",
        {"name": "Buy", "icon": "triangle"},
        {"name": "Sell", "icon": "path://M0 0 L10 0 L5 8 Z"},
        {"name": "Dividend", "icon": "diamond"},
    ]
    option["legend"]["itemHeight"] = 8
    return option, height


HEAD, TITLE, FOOT = 38, 44, 62
"""Pixels above the first panel, between the panels, and below for dates and zoom."""

NARROW = 560
"""Chart widths up to this have the legend in rows of its own, LEGEND pixels high."""

LEGEND = 44


def rolling_chart(rolling: pd.DataFrame, height: int = 400) -> tuple[Option, int]:
    """Return and volatility of the last 252 days above, their Sharpe ratio below.

    rolling: `Simulation.rolling`. Returns the option and its height in pixels.
    """
    shown = rolling.reset_index()
    for name in ("return", "volatility"):
        shown[name] = percent_points(shown[name])
    option = _panels(shown, ("Return and volatility", "Sharpe ratio"), height, 0.62)
    option["yAxis"][0]["axisLabel"]["formatter"] = "{value} %"
    option["series"] = [
        _line("return", "Return", BLUE, 1.8, 0, PERCENT),
        _line("volatility", "Volatility", ORANGE, 1.3, 0, PERCENT),
        _line("sharpe_ratio", "Sharpe ratio", BLUE, 1.8, 1, PRICE),
    ]
    option["legend"]["data"] = ["Return", "Volatility"]
    return option, height


def months_chart(months: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Calendar months as a table of colours: years down, months across, the year at the end.

    months: columns year, month, value and label. Gains blue, losses orange.
    """
    axis = alt.Axis(
        labelAngle=0, domain=False, ticks=False, grid=False, orient="top", labelOverlap=True
    )
    order = list(months["month"].unique())
    x = alt.X("month:O", sort=order, title=None, axis=axis, scale=bands())
    years = alt.Axis(domain=False, ticks=False, labelFlush=False)
    y = alt.Y("year:O", title=None, axis=years, scale=bands())
    # Years move further than months: they take the darkest colour early.
    largest = float(months["value"].abs().quantile(0.9))
    colour = alt.Color(
        "value:Q",
        legend=None,
        scale=alt.Scale(
            domain=[-largest, largest], domainMid=0.0, clamp=True, interpolate=STRAIGHT
        ),
    )
    hints = [alt.Tooltip("year:O"), alt.Tooltip("month:O"), alt.Tooltip("label:N", title="Return")]
    rects = alt.Chart(months).mark_rect().encode(x=x, y=y, color=colour, tooltip=hints)
    labels = (
        alt.Chart(months)
        .mark_text(
            fontSize=11,
            tooltip=None,
            color=alt.ExprRef(BY_COLOUR),
            opacity=alt.ExprRef("bandwidth('x') > 38 ? 1 : 0"),
        )
        .encode(x=x, y=y, text="label:N")
    )
    return alt.layer(rects, labels).properties(height=26 * months["year"].nunique() + 40)


def _panels(frame: pd.DataFrame, titles: tuple[str, ...], height: int, upper: float) -> Option:
    """One or two panels under one another with a common time axis, crosshair and zoom.

    upper: the first panel's part of the height; 1.0 where it is the only one.
    """
    last = len(titles) - 1
    legend = {"icon": "roundRect", "itemWidth": 14, "itemHeight": 4, "itemGap": 14}
    return {
        "animation": False,
        "dataset": [{"source": frame}],
        **_places(height, upper, HEAD),
        "title": [
            {"text": title, "left": 0, "textStyle": {"fontSize": 13, "fontWeight": 600}} | place
            for title, place in zip(titles, _places(height, upper, HEAD)["title"], strict=True)
        ],
        "legend": legend | {"top": 2, "right": 0, "left": "auto"},
        "media": [
            {
                "query": {"maxWidth": NARROW},
                "option": {
                    "legend": {"top": 24, "left": 0, "right": "auto"},
                    **_places(height, upper, HEAD + LEGEND),
                },
            },
            {
                "option": {
                    "legend": {"top": 2, "left": "auto", "right": 0},
                    **_places(height, upper, HEAD),
                }
            },
        ],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "line"}},
        "xAxis": [
            {
                "type": "time",
                "gridIndex": panel,
                "axisLabel": {
                    "show": panel == last,
                    "color": LABEL,
                    "formatter": _times(frame["date"]),
                    "hideOverlap": True,
                },
                "axisLine": {"lineStyle": {"color": FAINT}},
                "axisTick": {"show": False},
                "splitLine": {"show": False},
            }
            for panel in range(len(titles))
        ],
        "yAxis": [
            {
                "type": "value",
                "gridIndex": panel,
                "splitNumber": 4 - 2 * panel,
                "axisLabel": {"color": LABEL},
                "splitLine": {"lineStyle": {"color": FAINT}},
            }
            for panel in range(len(titles))
        ],
        "dataZoom": [
            {
                "type": "slider",
                "xAxisIndex": "all",
                "bottom": 6,
                "height": 20,
                "left": 60,
                "right": 60,
                "showDetail": False,
                "brushSelect": False,
            }
        ],
    }


def _times(dates: pd.Series) -> Option:
    """How the labels of an axis over `dates` are written: always some with their year."""
    first, last = dates.min(), dates.max()
    if first.year < last.year:
        return TIMES
    return TIMES | (YEARLESS if first.month < last.month else MONTHLESS)


def _places(height: int, upper: float, head: int) -> Option:
    """Where the panels and the second panel's title stand."""
    if upper == 1.0:
        alone = {"left": 52, "right": 44, "top": head, "height": height - head - FOOT}
        return {"title": [{"top": 2}], "grid": [alone]}
    room = height - head - TITLE - FOOT
    first = round(room * upper)
    tops = (head, head + first + TITLE)
    return {
        "title": [{"top": 2}, {"top": tops[1] - 28}],
        "grid": [
            {"left": 52, "right": 44, "top": top, "height": tall}
            for top, tall in zip(tops, (first, room - first), strict=True)
        ],
    }


def _line(column: str, name: str, colour: str, width: float, panel: int, number: str) -> Option:
    return {
        "type": "line",
        "name": name,
        "xAxisIndex": panel,
        "yAxisIndex": panel,
        "encode": {"x": "date", "y": column, "tooltip": [column]},
        "showSymbol": False,
        "sampling": "lttb",
        "lineStyle": {"width": width, "color": colour},
        "itemStyle": {"color": colour},
        "tooltip": {"valueFormatter": number},
    }


def _marks(name: str, dataset: int, colour: str, rotated: int, size: int) -> Option:
    return {
        "type": "scatter",
        "name": name,
        "datasetIndex": dataset,
        "encode": {"x": "time", "y": "price", "tooltip": ["price"]},
        "symbol": "triangle",
        "symbolRotate": rotated,
        "symbolSize": size,
        "itemStyle": {"color": colour, "opacity": 0.9},
        "tooltip": {"valueFormatter": PRICE},
    }


def _guardrails(policy: Policy) -> Option:
    levels = {
        share: percent(share, 0) for share in (policy.min_stock_share, policy.max_stock_share)
    }
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"type": "dashed", "color": ORANGE, "width": 1.2},
        "data": [
            {
                "yAxis": float(percent_points(pd.Series([share])).iloc[0]),
                "label": {"formatter": text, "position": "end", "color": ORANGE},
            }
            for share, text in levels.items()
        ],
    }


BY_COLOUR = "luminance(scale('color', datum.value)) > 0.36 ? '#0F172A' : '#FFFFFF'"
"""Ink that is readable on the cell it stands on, in either theme."""


def bands(values: list[str] | None = None) -> alt.Scale:
    """Cells side by side. values: those that have a place whether a cell has it or not; None for
    those of the cells."""
    return alt.Scale(paddingInner=0.0, paddingOuter=0.0, domain=values or alt.Undefined)


def is_number(column: pd.Series) -> bool:
    """Whether a chart can measure the column: numbers, exact ones included, and no flags."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    return kind in ("integer", "floating", "mixed-integer-float", "decimal")


MOMENTS = ("date", "datetime", "datetime64")
"""Kinds of columns that a chart lays out in time."""


def answer_chart(frame: pd.DataFrame, kind: str, x: str, y: str, by: str | None) -> alt.Chart:
    """Any table as Line, Bar or Scatter: y up, x across in the order given, by as colour."""
    names = {x: "x", y: "y"} | ({by: "by"} if by else {})
    shown = frame[list(names)].rename(columns=names)
    for name in shown:
        if is_number(shown[name]):
            shown[name] = shown[name].astype(float)
        elif pd.api.types.infer_dtype(shown[name], skipna=True) in MOMENTS:
            shown[name] = pd.to_datetime(shown[name])
        else:
            shown[name] = shown[name].astype(str)
    measured = shown["x"].dtype.kind in "fM" and kind != "Bar"
    across = alt.X("x", title=x) if measured else alt.X("x:N", title=x, sort=None)
    if measured and shown["x"].dtype.kind == "M":
        across = across.axis(format=_moment_format(shown["x"].dropna()))
    marks = {
        "Line": alt.Chart(shown).mark_line(point=len(shown) <= 60),
        "Bar": alt.Chart(shown).mark_bar(),
        "Scatter": alt.Chart(shown).mark_circle(size=60, opacity=0.7),
    }
    if kind == "Bar" and shown["x"].dtype.kind == "M":
        unit = "yearmonthdate" if _are_days(shown["x"].dropna()) else "yearmonthdatehoursminutes"
        across = alt.X(f"{unit}(x):O", title=x)
    hints = [alt.Tooltip(short, title=name) for name, short in names.items()]
    encoding: dict[str, Any] = {"x": across, "y": alt.Y("y:Q", title=y), "tooltip": hints}
    if by:
        encoding["color"] = alt.Color("by:N", title=by)
    drawn: alt.Chart = marks[kind].encode(**encoding).properties(height=420)
    return drawn


def _moment_format(moments: pd.Series) -> Any:
    """How they are written along an axis: Vega's own way names no year of a short one."""
    reach = moments.max() - moments.min()
    if reach > pd.Timedelta(days=400):
        return alt.Undefined
    in_days = reach > pd.Timedelta(days=6) or _are_days(moments)
    return "%-d %b %Y" if in_days else "%-d %b %Y, %H:%M"


def _are_days(moments: pd.Series) -> bool:
    return bool((moments.dt.normalize() == moments).all())


def comparison_chart(
    curves: pd.DataFrame, title: str, height: int = 470, number: str = MONEY
) -> tuple[Option, int]:
    """Values side by side above, their drawdowns below.

    curves: index date, columns (name, "value") and (name, "drawdown"), at most five names; holding
    is grey. number: how a value is written. Returns the option and its height in pixels.
    """
    names = list(dict.fromkeys(map(str, curves.columns.get_level_values(0))))
    shown = pd.DataFrame({"date": curves.index})
    for place, name in enumerate(names):
        shown[f"value{place}"] = curves[name, "value"].to_numpy()
        shown[f"fall{place}"] = percent_points(curves[name, "drawdown"]).to_numpy()
    option = _panels(shown, (title, "Drawdown"), height, 0.72)
    option["yAxis"][0] |= {"scale": True, "axisLabel": {"color": LABEL, "showMinLabel": False}}
    option["yAxis"][1]["axisLabel"]["formatter"] = "{value} %"
    option["yAxis"][1]["max"] = 0
    colours = dict(zip(names, (BLUE, ORANGE, GREEN, VIOLET, SLATE), strict=False))
    if BENCHMARKS["buy_and_hold"] in colours:
        colours[BENCHMARKS["buy_and_hold"]] = SLATE
    option["series"] = [
        _line(f"value{place}", name, colours[name], 1.8, 0, number)
        for place, name in enumerate(names)
    ] + [
        _line(f"fall{place}", f"Drawdown, {name}", colours[name], 1.1, 1, PERCENT)
        for place, name in enumerate(names)
    ]
    option["legend"]["data"] = names
    return option, height

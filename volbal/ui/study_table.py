"""The table of a study's cells: sorted, filtered and paged by the database."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd
import streamlit as st

from volbal.engine.grid import Parameter
from volbal.engine.metrics import METRIC
from volbal.formatting import limit_text
from volbal.services import study_results
from volbal.services.study_results import Filters, Status
from volbal.services.study_sides import MOST
from volbal.ui import tables
from volbal.ui.fields import shown_value
from volbal.ui.study_shared import (
    KEY_METRICS,
    SCORES,
    Looked,
    choose,
    column_texts,
    field_label,
    kept,
    key_of,
    label,
    option_input,
    pinned,
    status_texts,
    turn_pin,
)
from volbal.ui.study_words import within

ROWS: Final = 15
"""Rows of a page."""

ELEMENT: Final = "table"
STATUSES: Final[tuple[Status, ...]] = ("feasible", "rejected", "unranked", "invalid")
ORDERS: Final[Mapping[str, bool | None]] = {
    "best first": None,
    "lowest first": False,
    "highest first": True,
}
FORMATS: Final = ("csv", "xlsx", "parquet", "json")


def draw(looked: Looked, chosen: int | None) -> None:
    """Inputs, a page of rows, downloads."""
    head = st.container(horizontal=True, vertical_alignment="bottom")
    sort, descending = _order_inputs(head, looked)
    with head.popover("Filter", icon=":material/filter_alt:", width="content"):
        filters = _filter_inputs(looked)
    with head.popover("Columns", icon=":material/view_column:", width="content"):
        columns = _column_input(looked, sort)
    asked = (sort, descending, filters.status, _items(filters.ranges), _items(filters.values))
    leaf = _leaf_key(looked, asked)
    page: int = st.session_state.get(leaf, 1)
    found = kept(looked, _rows, *asked, page)
    told = _filters_text(looked, filters)
    if not found.total:
        st.info(f"There are no cells that {told}.", icon=":material/filter_alt_off:")
        return
    _show(looked, found.rows, columns, chosen)
    if found.rows["rank"].dropna().duplicated().any():
        st.caption(_alike_text(looked))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.pagination(-(-found.total // ROWS), key=leaf, persist_state="page")
        first = (page - 1) * ROWS
        st.caption(
            f"{first + 1:,} to {first + len(found.rows):,} of {found.total:,} cells"
            f"{f' that {told}' if told else ''}",
            width="content",
        )
    _downloads(looked)


def _rows(
    looked: Looked,
    sort: str,
    descending: bool | None,
    status: tuple[Status, ...],
    ranges: tuple[Any, ...],
    values: tuple[Any, ...],
    page: int,
) -> study_results.Page:
    return study_results.page(
        looked.database,
        looked.study_id,
        looked.view,
        sort=sort,
        descending=descending,
        limit=ROWS,
        offset=(page - 1) * ROWS,
        filters=Filters(status, dict(ranges), dict(values)),
    )


def _items(mapping: Any) -> tuple[Any, ...]:
    return tuple(mapping.items())


def _columns(looked: Looked) -> list[str]:
    """Everything that can be sorted by."""
    return [*SCORES, *METRIC, *looked.parameters]


def _title(looked: Looked, name: str) -> str:
    return field_label(name) if name in looked.parameters else label(looked.column(name))


def _order_inputs(place: Any, looked: Looked) -> tuple[str, bool | None]:
    columns = _columns(looked)
    usual = ["plateau", *(name for name in columns if name != "plateau")]
    sort: str = option_input(
        place,
        looked,
        "sort",
        "Sort by",
        usual,
        format_func=lambda name: _title(looked, name),
        width=220,
        help="A click on a column's head sorts by it too, a second one turns the order round. "
        "Example: plateau.",
    )
    order: str = option_input(
        place,
        looked,
        "order",
        "Order",
        list(ORDERS),
        width=150,
        help="Best first follows the direction that is good. Cells without a value come last. "
        "Example: best first.",
    )
    return sort, ORDERS[order]


def _filter_inputs(looked: Looked) -> Filters:
    page = looked.page
    status = st.pills(
        "Status",
        STATUSES,
        selection_mode="multi",
        key=f"{page}.status",
        persist_state="page",
        help="None chosen shows all. Example: feasible.",
    )
    values = {}
    for name, parameter in looked.parameters.items():
        kept_values = _values_input(looked, parameter)
        if kept_values:
            values[name] = tuple(parameter.values[at] for at in kept_values)
    limited = st.multiselect(
        "Limit",
        [*SCORES, *METRIC],
        key=f"{page}.limited",
        persist_state="page",
        format_func=lambda name: looked.column(name).label,
        help="Columns that have to lie in a range. Example: fills of at least 50.",
    )
    ranges = {name: _range_inputs(looked, name) for name in limited}
    return Filters(tuple(status), ranges, values)


def _values_input(looked: Looked, parameter: Parameter) -> list[int]:
    chosen: list[int] = st.multiselect(
        field_label(parameter.name),
        range(len(parameter.values)),
        key=f"{looked.page}.keep.{parameter.name}",
        persist_state="page",
        format_func=lambda at: shown_value(parameter.values[at]),
        placeholder="all values",
        help=f"Only these values. Example: {shown_value(parameter.values[0])}.",
    )
    return chosen


def _range_inputs(looked: Looked, name: str) -> tuple[float | None, float | None]:
    low, high = st.columns(2, wrap=False)
    ends = {"low": (low, "from"), "high": (high, "to")}
    found = [
        place.number_input(
            f"{looked.column(name).label} {word}",
            value=None,
            step=0.01,
            format="%.6g",
            key=f"{looked.page}.limit.{name}.{end}",
            persist_state="page",
            placeholder="open",
            help="A fraction for ratios; left empty, the range is open. Example: 0.05 is 5 %.",
        )
        for end, (place, word) in ends.items()
    ]
    return found[0], found[1]


def _filters_text(looked: Looked, filters: Filters) -> str:
    """What the filters ask for, as the end of a sentence; empty where there are none."""
    told = [f"are {' or '.join(filters.status)}"] if filters.status else []
    for name, values in filters.values.items():
        told.append(f"have {field_label(name).lower()} {', '.join(map(shown_value, values))}")
    for name, (low, high) in filters.ranges.items():
        metric = looked.column(name)
        if low is not None:
            told.append(f"have {within(metric.label)} of at least {limit_text(metric, low)}")
        if high is not None:
            told.append(f"have {within(metric.label)} of at most {limit_text(metric, high)}")
    return " and ".join(told)


def _column_input(looked: Looked, sort: str) -> list[str]:
    """Columns besides rank, status and parameters, the sorted one among them."""
    goals = [goal.metric for goal in looked.goals]
    limits = [one.metric for one in looked.constraints]
    usual = dict.fromkeys(("plateau", "score", "fragility", *goals, *limits, *KEY_METRICS))
    key = f"{looked.page}.columns"
    if key not in st.session_state:
        st.session_state[key] = list(usual)
    chosen = st.multiselect(
        "Columns",
        [name for name in (*SCORES, *METRIC) if name != "rank"],
        key=key,
        persist_state="page",
        format_func=lambda name: looked.column(name).label,
        help="Shown besides rank, status and parameters. Example: turnover per year.",
    )
    extra = [sort] if sort not in (*chosen, *looked.parameters, "rank") else []
    return [*extra, *chosen]


def _leaf_key(looked: Looked, asked: tuple[Any, ...]) -> str:
    """The key of the pages: another one, which begins at the first, for every other question."""
    before, turn = f"{looked.page}-leaf-of", f"{looked.page}-leaf-turn"
    of = (looked.study_id, looked.view, asked)
    if st.session_state.get(before) != of:
        st.session_state[before] = of
        st.session_state[turn] = st.session_state.get(turn, 0) + 1
    return f"{looked.page}.leaf-{st.session_state[turn]}"


def _show(looked: Looked, rows: pd.DataFrame, columns: list[str], chosen: int | None) -> None:
    names = ["rank", "status", *looked.parameters, *columns]
    frame = pd.DataFrame({name: _texts(looked, name, rows) for name in names})
    frame.insert(1, "pin", _pin_texts(looked, rows))
    titles = {_title(looked, name): name for name in names if name != "status"}
    key = key_of(looked, ELEMENT)
    cells = rows["cell_id"].tolist()
    chosen_rows = [cells.index(chosen)] if chosen in cells else []

    def clicked() -> None:
        selected = st.session_state[key]["selection"]
        if selected["columns"]:
            _sort_by(looked, selected["columns"][0])
        elif selected["rows"]:
            choose(looked.page, int(cells[selected["rows"][0]]), ELEMENT)
        else:
            choose(looked.page, None, ELEMENT)

    config: dict[str, Any] = {
        name: st.column_config.TextColumn(title, alignment="right")
        for title, name in titles.items()
    }

    def on_pin() -> None:
        turn_pin(looked.page, int(cells[st.session_state[f"{key}-pin"]["row"]]))

    config["pin"] = st.column_config.ButtonColumn(
        "Compare", width=85, type="tertiary", key=f"{key}-pin", on_click=on_pin
    )
    config["rank"] = st.column_config.TextColumn("Rank", alignment="right", pinned=True, width=60)
    for name in ("status", *looked.parameters):
        title = _title(looked, name) if name in looked.parameters else "Status"
        longest = max(map(len, (title, *frame[name])))
        right = name in looked.parameters and looked.parameters[name].numeric
        config[name] = st.column_config.TextColumn(
            title, alignment="right" if right else "left", width=24 + 7 * longest
        )
    tables.show(
        frame,
        key,
        config,
        alt=f"{len(frame)} cells with their parameters and metrics",
        on_select=clicked,
        selection_mode=["single-row", "single-column"],
        selection_default={"selection": {"rows": chosen_rows}},
    )


def _pin_texts(looked: Looked, rows: pd.DataFrame) -> list[str | None]:
    """What a click does with each row; nothing to one too many, or that has no figures."""
    cells = pinned(looked.page)
    more = "Add" if len(cells) < MOST else None
    pairs = zip(rows["cell_id"].tolist(), rows["status"].tolist(), strict=True)
    return [
        "Remove" if cell in cells else None if status == "invalid" else more
        for cell, status in pairs
    ]


def _alike_text(looked: Looked) -> str:
    """Why cells share a rank."""
    told = "Cells that share a rank have the same score"
    sizing = looked.parameters.get("sizing")
    if "original" not in (sizing.values if sizing else (looked.request.policy.sizing,)):
        return f"{told}."
    return (
        f"{told}. With sizing original every wish is cut to the max trade share, whatever the "
        "rebalance ratio."
    )


def _texts(looked: Looked, name: str, rows: pd.DataFrame) -> list[str]:
    if name in looked.parameters:
        return [shown_value(value) for value in rows[name].tolist()]
    if name == "status":
        return status_texts(looked, rows)
    return column_texts(looked.column(name), rows[name])


def _sort_by(looked: Looked, name: str) -> None:
    """Sort by a column; once more, the other way round."""
    state, page = st.session_state, looked.page
    if name == "status":
        return
    again = state.get(f"{page}.sort") == name
    orders = list(ORDERS)
    place = orders.index(state.get(f"{page}.order", orders[0])) + 1 if again else 0
    state[f"{page}.order"] = orders[place % len(orders)]
    state[f"{page}.sort"] = name
    choose(page, state.get(f"{page}.cell"), "")


def _downloads(looked: Looked) -> None:
    def maker(kind: Any) -> Callable[[], bytes]:
        return lambda: study_results.export(looked.database, looked.study_id, kind, looked.view)

    of, title = "", "All cells"
    if len(looked.request.symbols) > 1:
        of = f"-{looked.view.symbol or 'pooled'}"
        title = f"All cells of {looked.view.symbol or 'all symbols, pooled'}"
    tables.files(
        {kind: maker(kind) for kind in FORMATS},
        f"study-{looked.study_id}{of}",
        f"{looked.page}-export",
        title,
        rows=min(looked.request.combinations, looked.request.max_cells),
    )

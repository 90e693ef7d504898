"""What the panels of a study's results share: the study as it is looked at, and the chosen cell.

Whatever is asked of the records is kept until more cells are stored, so that a click on a panel
costs no more than drawing it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import pandas as pd
import streamlit as st

from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter, Value, reasons
from volbal.engine.metrics import METRIC, Metric
from volbal.engine.paths import Ints
from volbal.formatting import limit_text, metric_text
from volbal.services import study_results
from volbal.services.running import Database
from volbal.services.studies import Study
from volbal.services.study_request import StudyRequest
from volbal.services.study_results import Counts, View
from volbal.services.study_sides import MOST
from volbal.ui.fields import FIELDS
from volbal.ui.forms import remember
from volbal.ui.study_form import KIND_TEXTS
from volbal.ui.study_words import within

T = TypeVar("T")

SCORES: Final = {
    one.name: one
    for one in (
        Metric("rank", "Rank", "count", "down", "place by score, 1 is best"),
        Metric("score", "Score", "number", "up", "mean place among the feasible cells, 0 to 1"),
        Metric(
            "plateau",
            "Plateau",
            "number",
            "up",
            "mean score of a cell and its neighbours one step away",
        ),
        Metric(
            "fragility",
            "Fragility",
            "number",
            "down",
            "the cell's score less the lowest among its neighbours",
        ),
    )
}
"""Columns that a way of looking computes, described like metrics."""

UNRANKED: Final = "rejected, not ranked, or too few ranked neighbours"
KEY_METRICS: Final = (
    "total_return",
    "excess_return",
    "sharpe_ratio",
    "max_drawdown",
    "fill_count",
)


@dataclass(frozen=True, slots=True)
class Looked:
    """A study and how it is looked at. page: what the state of its inputs begins with."""

    database: Database
    study: Study
    view: View
    page: str

    @property
    def study_id(self) -> int:
        return self.study.study_id

    @property
    def request(self) -> StudyRequest:
        return self.study.request

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What is ranked by."""
        return self.view.goals or self.request.goals

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What rejects."""
        given = self.view.constraints
        return self.request.constraints if given is None else given

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        return {parameter.name: parameter for parameter in self.request.parameters}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Those that the view is of."""
        return self.request.symbols if self.view.symbol is None else (self.view.symbol,)

    @property
    def part(self) -> str:
        """The part of the range that the cells are of."""
        return "the search part of the range" if self.request.split else "the whole range"

    def column(self, name: str) -> Metric:
        """A metric or score; its direction is the goal's where it is one."""
        metric = SCORES.get(name) or METRIC[name]
        ways = {goal.metric: goal.direction for goal in self.goals}
        return replace(metric, direction=ways.get(name) or metric.direction)

    def parameters_of(self, cell_id: int) -> dict[str, Value]:
        return self.request.grid.cell(cell_id)


def label(metric: Metric) -> str:
    """A column's label with the direction that is good."""
    arrow = {"up": " ↑", "down": " ↓", None: ""}[metric.direction]
    return f"{metric.label}{arrow}"


def field_label(name: str) -> str:
    return FIELDS[name].label


def kept(looked: Looked, ask: Callable[..., T], *arguments: Any) -> T:
    """What `ask(looked, *arguments)` gives, asked again only where more cells are stored or the
    study has another state."""
    study = looked.study
    stamp = (
        study.study_id, study.created_at, study.state, study.progress.completed, looked.view
    )  # fmt: skip
    where = str(looked.database.path)
    return _kept(where, stamp, ask.__qualname__, arguments, lambda: ask(looked, *arguments))  # type: ignore[no-any-return]


@st.cache_resource(show_spinner=False, max_entries=32)
def _kept(
    where: str, stamp: tuple[Any, ...], name: str, arguments: Any, _ask: Callable[[], Any]
) -> Any:
    return _ask()


def counted(looked: Looked) -> Counts:
    """How many cells there are of which kind, and the best ones."""
    return study_results.counts(looked.database, looked.study_id, looked.view)


def rows_of(looked: Looked, cells: tuple[int, ...]) -> pd.DataFrame:
    """Rows of these cells by cell_id."""
    wanted = study_results.Filters(values={"cell_id": cells})
    page = study_results.page(
        looked.database,
        looked.study_id,
        looked.view,
        sort="cell_id",
        descending=False,
        limit=len(cells),
        filters=wanted,
    )
    return page.rows.set_index("cell_id", drop=False)


def base_text(counts: Counts) -> str:
    """What the mark of the base policy stands for."""
    return "base policy" if counts.on_grid else "nearest to the base policy, which is off the grid"


def column_texts(column: Metric, values: "pd.Series[float]") -> list[str]:
    """Values of a metric or score in its unit."""
    return [metric_text(column, value) for value in values.tolist()]


def status_texts(looked: Looked, rows: pd.DataFrame) -> list[str]:
    """Status of each cell, and the constraint or bound that it fails."""
    told = [METRIC[by].label if by else "" for by in rows["rejected_by"].tolist()]
    invalid = (rows["status"] == "invalid").to_numpy()
    broken = iter(broken_texts(looked, rows["cell_id"].to_numpy()[invalid]))
    why = [next(broken) if out else text for out, text in zip(invalid, told, strict=True)]
    pairs = zip(rows["status"].tolist(), why, strict=True)
    return [f"{status}: {text}" if text else status for status, text in pairs]


def broken_texts(looked: Looked, cells: Ints) -> list[str]:
    """The bound that each of some invalid cells breaks."""
    return reasons(looked.request.grid, cells, lambda name: within(field_label(name)))


def constraint_text(constraint: Constraint) -> str:
    """What a constraint asks for, such as "maximum drawdown at least -30 %"."""
    metric = METRIC[constraint.metric]
    ends = " and ".join(limit_text(metric, end) for end in constraint.ends)
    return f"{within(metric.label)} {KIND_TEXTS[constraint.kind]} {ends}"


def rejected_text(looked: Looked, counts: Counts) -> str:
    """Such as "47 of 250 rejected: 47 by turnover per year at most 100 %"."""
    texts = {str(one): constraint_text(one) for one in looked.constraints}
    return replace(
        counts, rejected_by={texts[name]: cells for name, cells in counts.rejected_by.items()}
    ).sentence


def chosen_cell(page: str) -> int | None:
    """The cell that was clicked or named in the link."""
    cell: int | None = st.session_state.get(f"{page}.cell")
    return cell


def choose(page: str, cell: int | None, by: str) -> None:
    """Make `cell` the chosen one; every element but `by` forgets the mark it carries.

    So nothing keeps a mark on a cell that is no longer chosen, and a click on it counts again.
    """
    st.session_state[f"{page}.cell"] = cell
    turns = st.session_state.setdefault(f"{page}-turns", {})
    for element in turns:
        turns[element] += element != by


def pinned(page: str) -> list[int]:
    """The cells that stand side by side."""
    cells: list[int] = st.session_state.get(f"{page}.cells") or []
    return cells


def turn_pin(page: str, cell: int) -> None:
    """Put a cell among those side by side, or take it out of them; beyond MOST nothing changes."""
    cells = pinned(page)
    if cell in cells:
        remember(page, {"cells": [one for one in cells if one != cell]})
    elif len(cells) < MOST:
        remember(page, {"cells": [*cells, cell]})


def key_of(looked: Looked, element: str) -> str:
    """The key of an element that cells are clicked in; another one after every other choice."""
    turns = st.session_state.setdefault(f"{looked.page}-turns", {})
    turn = turns.setdefault(element, 0)
    return f"{looked.page}.{element}-{looked.study_id}-{turn}"


def on_click(looked: Looked, element: str) -> Callable[[], None]:
    """What happens where a cell of a chart is clicked."""
    key = key_of(looked, element)

    def clicked() -> None:
        cells = [one["cell_id"] for one in st.session_state[key]["selection"].get("cell", [])]
        choose(looked.page, int(cells[0]) if cells else None, element)

    return clicked


def option_input(
    place: Any,
    looked: Looked,
    name: str,
    title: str,
    options: list[Any],
    format_func: Callable[[Any], str] = str,
    **more: Any,
) -> Any:
    """A selectbox whose state falls back to the first option where it is none of them.

    A choice outlasts a change of its label: the browser knows options by their labels only.
    """
    state, key, drawn = st.session_state, f"{looked.page}.{name}", f"{looked.page}-drawn-{name}"
    chosen, before = state.get(key), state.get(drawn, (None, ""))
    if chosen not in options:
        chosen = before[0] if chosen and before[0] in options else options[0]
    text = format_func(chosen)
    if chosen != state.get(key) or (chosen == before[0] and text != before[1]):
        remember(looked.page, {name: chosen})
    state[drawn] = chosen, text
    return place.selectbox(
        title, options, key=key, persist_state="page", format_func=format_func, **more
    )


def metric_input(place: Any, looked: Looked, name: str, told: str, options: list[str]) -> str:
    """Which column a panel shows."""
    chosen: str = option_input(
        place,
        looked,
        name,
        "Metric",
        options,
        format_func=lambda one: label(looked.column(one)),
        help=told,
    )
    return chosen

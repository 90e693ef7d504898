"""What the Optimize page sweeps: its inputs, and how they stand in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from volbal.domain.policy import SHORTHANDS
from volbal.engine.grid import Grid, Parameter, exact_range
from volbal.engine.metrics import METRIC
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import value_text
from volbal.ui.address import Query, Question
from volbal.ui.fields import FIELDS, choices, shown_value
from volbal.ui.forms import recalled, remember

MOST_PARAMETERS = 4
DEFAULT_METRIC = "excess_return"
"""A grid of raw returns would mostly show who held more stock."""

EXAMPLE_SWEEP = {"trigger_threshold": "0.01:0.1:0.01", "rebalance_ratio": "0.5:3:0.25"}


@dataclass(frozen=True, slots=True)
class Study:
    """A grid to simulate. Hashable, so that results can be kept by it."""

    asked: Question
    parameters: tuple[Parameter, ...]

    @property
    def grid(self) -> Grid:
        """Its cells. Raises InvalidInput."""
        return Grid(self.asked.policy, self.parameters, self.asked.setup.ticks)


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
        text = texts[name] if name in texts and name in usable else EXAMPLE_SWEEP[name]
        state |= _parameter_state(name, text)
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
            format_func=shown_value,
            help=f"{field.help} Click the values to compare.",
        )
        return
    if f"{page}.{name}.low" not in st.session_state:
        state = dict(zip(("low", "high", "step"), field.sweep, strict=True))
        remember(page, {f"{name}.{end}": value for end, value in state.items()})
    st.markdown(f"**{field.label}**", help=field.help)
    low, high, step = (value_text(value) for value in field.sweep)
    examples = {"low": ("Min", low), "high": ("Max", high), "step": ("Step", step)}
    row = st.grid(3, min_column_width=60, gap="xxsmall")
    for end, (label, example) in examples.items():
        row.number_input(
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

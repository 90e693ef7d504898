"""A study in the URL: its number, or a draft of one, and how it is looked at.

A query with a `sweep.` part is a draft and begins from the example; a query with `study` alone
is that study. Goals and constraints may differ from the study's: they only rank.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

import streamlit as st

from volbal.engine.goals import RANGES, Constraint, Goal, Kind
from volbal.engine.grid import Parameter, exact_range
from volbal.engine.metrics import METRIC, Direction
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import value_text
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest, parameter_from, range_of
from volbal.services.study_sides import MOST
from volbal.ui.address import EXAMPLE as QUESTION
from volbal.ui.address import Query, Question, policy_values, read_question, write_question
from volbal.ui.fields import FIELDS, choices
from volbal.ui.forms import SOURCE


def usual_name(symbols: tuple[str, ...], parameters: tuple[Parameter, ...]) -> str:
    """What a study is called whose user gave it no name."""
    swept = " × ".join(FIELDS[parameter.name].label.lower() for parameter in parameters)
    named = ", ".join(symbols[:3]) + (f" and {len(symbols) - 3} more" if symbols[3:] else "")
    return f"{named}: {swept}"


_SWEPT: Final = (
    exact_range("trigger_threshold", "0.01", "0.1", "0.01"),
    exact_range("rebalance_ratio", "0.5", "3", "0.25"),
)

EXAMPLE: Final = StudyRequest(
    name=usual_name((QUESTION.symbol,), _SWEPT),
    symbols=(QUESTION.symbol,),
    parameters=_SWEPT,
    # A grid of raw returns would mostly show who held more stock.
    goals=(Goal("excess_return"),),
    setup=QUESTION.setup,
    policy=QUESTION.policy,
    split=True,
)
"""What an empty page shows, and where a draft begins."""


def same_run(one: StudyRequest, other: StudyRequest) -> bool:
    """Whether two requests compute the same cells; names, goals and constraints may differ."""
    return unranked(one) == unranked(other)


def unranked(request: StudyRequest) -> StudyRequest:
    """What of a request its cells depend on: the same for requests that only rank differently."""
    policy = replace(request.policy, after_hours=False)
    plain = replace(request, name="-", goals=EXAMPLE.goals, constraints=(), policy=policy)
    if "ticks" in (parameter.name for parameter in request.parameters):
        plain = replace(plain, setup=replace(plain.setup, ticks=EXAMPLE.setup.ticks))
    if request.sampled:
        return plain
    return replace(plain, max_cells=max(EXAMPLE.max_cells, request.combinations), seed=0)


def state_of(request: StudyRequest) -> dict[str, Any]:
    """State of the form's inputs, by name, that asks for `request`."""
    setup = request.setup
    named = request.name != usual_name(request.symbols, request.parameters)
    state: dict[str, Any] = {
        "name": request.name if named else "",
        "symbols": list(request.symbols),
        **{name: getattr(setup, name) for name in SETUP_NAMES},
        **{name: getattr(request, name) for name in RUN_NAMES},
        **policy_values(request.policy),
        "sweep": [parameter.name for parameter in request.parameters],
    }
    for parameter in request.parameters:
        state |= parameter_state(parameter)
    return state | ranking_state(request.goals, request.constraints)


SETUP_NAMES: Final = ("start", "end", "capital", "stock_share", "ticks", "pay_lag_days")
RUN_NAMES: Final = ("max_cells", "seed", "split")


def parameter_state(parameter: Parameter) -> dict[str, Any]:
    """State of the inputs of one parameter."""
    name = parameter.name
    if not parameter.numeric:
        return {f"{name}.values": list(parameter.values)}
    found = range_of(parameter)
    if found is None:
        texts = ", ".join(value_text(value) for value in parameter.values)
        return {f"{name}.listed": True, f"{name}.list": texts}
    ends = dict(zip(("low", "high", "step"), map(float, found), strict=True))
    return {f"{name}.listed": False} | {f"{name}.{end}": ends[end] for end in ends}


def ranking_state(goals: tuple[Goal, ...], constraints: tuple[Constraint, ...]) -> dict[str, Any]:
    """State of the inputs of goals and constraints."""
    state: dict[str, Any] = {
        "goals": [goal.metric for goal in goals],
        "constraints": list(range(len(constraints))),
    }
    for goal in goals:
        state[f"{goal.metric}.weight"] = goal.weight
        state[f"{goal.metric}.direction"] = goal.direction or METRIC[goal.metric].direction
    for row, one in enumerate(constraints):
        state |= {
            f"constraint-{row}.metric": one.metric,
            f"constraint-{row}.kind": one.kind,
            f"constraint-{row}.low": one.ends[0],
            f"constraint-{row}.high": one.ends[-1],
        }
    return state


class _Reader:
    """Takes parts out of a query and remembers in words which could not be used."""

    def __init__(self, query: Query, instead: str) -> None:
        self.query = query
        self.instead = instead
        self.problems: list[str] = []

    def value(self, name: str, default: Any, parse: Callable[[str], Any]) -> Any:
        texts = self.query.get(name)
        return default if not texts else self._read(name, texts[-1], default, parse)

    def values(self, name: str, parse: Callable[[str], Any]) -> list[Any]:
        found = (self._read(name, text, None, parse) for text in self.query.get(name, []))
        return [one for one in found if one is not None]

    def _read(self, name: str, text: str, default: Any, parse: Callable[[str], Any]) -> Any:
        try:
            return parse(text)
        except (ValueError, VolbalError) as error:
            told = str(error).rstrip(".")
            self.problems.append(f"The link's {name} is {text!r}: {told}. {self.instead}")
            return default


def is_draft(query: Query) -> bool:
    """Whether a query describes a study instead of naming a stored one."""
    return any(name.startswith("sweep.") for name in query) or "study" not in query


def read(
    query: Query, base: StudyRequest, known: tuple[str, ...]
) -> tuple[dict[str, Any], list[str]]:
    """State of the form and the view, and a sentence for every part that cannot be used.

    base: what the parts that are missing come from; known: the symbols that have prices.
    """
    state = state_of(base)
    problems: list[str] = []
    if is_draft(query):
        drafted, problems = _read_draft(query, known)
        state |= drafted
    ranking = _Reader(query, "It is left out.")
    metrics = [name.removeprefix("goal.") for name in query if name.startswith("goal.")]
    goals = tuple(
        goal for metric in metrics for goal in ranking.values(f"goal.{metric}", _goal_of(metric))
    )
    constraints = tuple(ranking.values("constraint", parsed_constraint))
    if goals or "constraint" in query:
        state |= ranking_state(goals or base.goals, constraints)
    viewed, more = _read_view(query, state["sweep"], state["goals"], state["symbols"])
    return state | viewed, problems + ranking.problems + more


def _read_draft(query: Query, known: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """What a query says of the run itself; the rest is the example's."""
    whole = {name: texts for name, texts in query.items() if name not in ("symbol", "start", "end")}
    state, problems = read_question(whole, SOURCE)
    reader = _Reader(query, "The example's is used.")
    setup = EXAMPLE.setup
    state |= {
        "symbols": reader.value(
            "symbols" if "symbols" in query else "symbol", list(EXAMPLE.symbols), _symbols_of(known)
        ),
        "start": reader.value("start", setup.start, _day),
        "end": reader.value("end", setup.end, _day),
        "ticks": reader.value("ticks", setup.ticks, _one_of(choices("ticks"))),
        "pay_lag_days": reader.value("pay_lag_days", setup.pay_lag_days, _whole),
        "max_cells": reader.value("max_cells", EXAMPLE.max_cells, _whole),
        "seed": reader.value("seed", EXAMPLE.seed, _whole),
        "split": reader.value("split", EXAMPLE.split, _flag),
        "name": reader.value("name", "", str),
    }
    state.pop("symbol")
    parameters, more = _read_sweep(query)
    state["sweep"] = [parameter.name for parameter in parameters]
    for parameter in parameters:
        state |= parameter_state(parameter)
    return state, problems + reader.problems + more


def _read_sweep(query: Query) -> tuple[tuple[Parameter, ...], list[str]]:
    reader = _Reader(query, "It is left out.")
    names = [name.removeprefix("sweep.") for name in query if name.startswith("sweep.")]
    parsed = [reader.value(f"sweep.{name}", None, _parameter_of(name)) for name in names]
    found = tuple(parameter for parameter in parsed if parameter is not None)
    return found or EXAMPLE.parameters, reader.problems


def _read_view(
    query: Query, swept: list[str], goals: list[str], symbols: list[str]
) -> tuple[dict[str, Any], list[str]]:
    reader = _Reader(query, "Another one is shown.")
    state = {
        "metric": reader.value("metric", goals[0], _one_of(COLUMNS)),
        "x": reader.value("x", None, _one_of(swept, "is not swept")),
        "y": reader.value("y", None, _one_of(swept, "is not swept")),
        "of": reader.value("of", None, _one_of(symbols)),
        "cell": reader.value("cell", None, _whole),
        "panel": reader.value("panel", PANELS[0], _one_of(PANELS)),
    }
    pinned = _Reader(query, "None is taken for the comparison.")
    state["cells"] = pinned.value("cells", [], _cells)
    return state, reader.problems + pinned.problems


COLUMNS: Final = ("score", "plateau", "fragility", *METRIC)
"""What a heatmap can show."""

VIEW: Final = ("metric", "x", "y", "of", "cell", "cells", "panel")
"""State of the results' inputs that stands in the URL. cells: those side by side."""

PANELS: Final = ("heatmap", "table", "trade-offs", "parallel", "slices", "cells", "evidence")


def write(request: StudyRequest, base: StudyRequest | None, study_id: int | None) -> Query:
    """The query of a form; empty for the example. base: of the study on screen, if there is one."""
    query: Query = {} if study_id is None else {"study": [str(study_id)]}
    base = base or EXAMPLE
    if request.name != base.name or not same_run(request, base):
        query |= _write_draft(request)
        base = EXAMPLE
    if request.goals != base.goals or request.constraints != base.constraints:
        query |= {f"goal.{goal.metric}": [goal_text(goal)] for goal in request.goals}
        query["constraint"] = [constraint_text(one) for one in request.constraints] or [""]
    return query


def write_view(page: str, request: StudyRequest) -> Query:
    """The query of how a study's results are looked at; what is usual is left out."""
    names = [parameter.name for parameter in request.parameters]
    usual = dict(zip(("x", "y"), names, strict=False))
    usual |= {"metric": request.goals[0].metric, "panel": PANELS[0]}
    shown = {name: st.session_state.get(f"{page}.{name}") for name in VIEW}
    shown["cells"] = ",".join(map(str, shown["cells"] or ()))
    return {
        name: [str(value)]
        for name, value in shown.items()
        if value not in (None, "", usual.get(name))
    }


def _write_draft(request: StudyRequest) -> Query:
    setup, usual = request.setup, EXAMPLE.setup
    plain = Setup(setup.start, setup.end, setup.capital, setup.stock_share)
    query = write_question(Question(request.symbols[0], request.policy, plain), SOURCE)
    query.pop("symbol", None)
    texts = {
        "symbols": ",".join(request.symbols),
        "start": str(setup.start or ""),
        "end": str(setup.end or ""),
    }
    if request.name != usual_name(request.symbols, request.parameters):
        texts["name"] = request.name
    for name in ("ticks", "pay_lag_days"):
        if getattr(setup, name) != getattr(usual, name):
            texts[name] = value_text(getattr(setup, name))
    for name in RUN_NAMES:
        if getattr(request, name) != getattr(EXAMPLE, name):
            texts[name] = value_text(getattr(request, name))
    texts |= {f"sweep.{one.name}": parameter_text(one) for one in request.parameters}
    return query | {name: [text] for name, text in texts.items()}


def parameter_text(parameter: Parameter) -> str:
    """A parameter's values as min:max:step or as a list."""
    found = range_of(parameter)
    if found is not None:
        return ":".join(found)
    return ",".join(value_text(value) for value in parameter.values)


def parsed_parameter(name: str, text: str) -> Parameter:
    """The parameter that `parameter_text` wrote. Raises InvalidInput."""
    if name not in FIELDS:
        raise InvalidInput("parameter", f"{name!r} cannot be swept", "see the list in the form")
    options = {value_text(option): option for option in choices(name)}
    words = [word.strip() for word in text.split(",") if word.strip()]
    if options:
        if not set(words) <= set(options):
            raise InvalidInput(name, f"{text!r} holds unknown values", f"use {', '.join(options)}")
        return Parameter(name, tuple(options[word] for word in words))
    if ":" in text:
        parts = text.split(":")
        if len(parts) != 3:
            raise InvalidInput(name, f"{text!r} is no range", "write min:max:step")
        return exact_range(name, parts[0], parts[1], parts[2])
    return listed_parameter(name, text)


def listed_parameter(name: str, text: str) -> Parameter:
    """A numeric parameter from its values, separated by commas or blanks. Raises InvalidInput."""
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise InvalidInput(
            name, f"{text!r} are not all numbers", "write numbers such as 0.01, 0.02, 0.05"
        ) from None
    return parameter_from(name, values)


def _parameter_of(name: str) -> Callable[[str], Parameter]:
    return lambda text: parsed_parameter(name, text)


def goal_text(goal: Goal) -> str:
    """Weight, and direction where it is not the natural one."""
    return value_text(goal.weight) + (f":{goal.direction}" if goal.direction else "")


def _goal_of(metric: str) -> Callable[[str], Goal]:
    def parse(text: str) -> Goal:
        weight, _, direction = text.partition(":")
        ways: Mapping[str, Direction | None] = {"": None, "up": "up", "down": "down"}
        if direction not in ways:
            raise ValueError("write WEIGHT, WEIGHT:up or WEIGHT:down")
        return Goal(metric, _number(weight), ways[direction])

    return parse


def constraint_text(constraint: Constraint) -> str:
    """Metric, kind and number or numbers."""
    numbers = ":".join(value_text(end) for end in constraint.ends)
    return f"{constraint.metric}:{constraint.kind}:{numbers}"


def parsed_constraint(text: str) -> Constraint | None:
    """The constraint that `constraint_text` wrote; None for no text. Raises InvalidInput."""
    if not text:
        return None
    metric, kind, *numbers = [*text.split(":"), ""]
    ends = tuple(_number(number) for number in numbers if number)
    if not ends:
        raise ValueError("write METRIC:KIND:NUMBER")
    return constraint_of(metric, kind, ends[0], ends[-1])


def constraint_of(metric: str, kind: Any, low: float, high: float) -> Constraint:
    """A constraint whose kind takes one number or both. Raises InvalidInput."""
    known: Kind = kind
    return Constraint(metric, known, (low, high) if kind in RANGES else low)


def _symbols_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        wanted = [word.strip().upper() for word in text.split(",") if word.strip()]
        missing = [symbol for symbol in wanted if symbol not in known]
        if missing or not wanted:
            told = ", ".join(missing) or "no symbol"
            raise ValueError(f"no prices for it here ({told}), choose from {', '.join(known)}")
        return wanted

    return parse


def _one_of(options: Any, otherwise: str = "") -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(otherwise or f"unknown, choose one of {', '.join(options)}")
        return text

    return parse


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("not a date, write YYYY-MM-DD") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("not a number") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("not a whole number")
    return int(text)


def _cells(text: str) -> list[int]:
    cells = list(dict.fromkeys(_whole(word.strip()) for word in text.split(",") if word.strip()))
    if len(cells) > MOST:
        raise ValueError(f"{len(cells)} cells, side by side stand up to {MOST}")
    return cells


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"

"""What a study is asked to do, and how that stands in JSON and TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from volbal.domain.configuration import STANDARD
from volbal.domain.policy import FIELDS, Policy
from volbal.engine.goals import Constraint, Goal, check_goals
from volbal.engine.grid import Grid, Parameter, Value, exact_range
from volbal.errors import InvalidInput
from volbal.services.research import Setup

WHOLE_RANGE: Final = Setup()
LONGEST_NAME: Final = 200
MOST_SYMBOLS: Final = 50
MOST_CELLS: Final = 10_000_000
SHORTEST_SERIES: Final = 3
"""Values from which on evenly spaced ones are written as a range."""


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """The configuration of a study.

    symbols: each is swept with the same parameters, ranked by itself and pooled. setup: dates,
    capital, stock share, ticks. policy: what the parameters do not sweep. parameters: policy
    fields, `trigger_threshold`, or `ticks` (the tick model; then setup.ticks does not matter);
    numeric values are brought into ascending order. max_cells: combinations per symbol above
    which a sample seeded by `seed` is taken instead. split: search on the first 60 % of the
    range, select on 20 %, keep 20 % in the vault.
    Raises InvalidInput.
    """

    name: str
    symbols: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    goals: tuple[Goal, ...] = (Goal("excess_return"),)
    constraints: tuple[Constraint, ...] = ()
    setup: Setup = WHOLE_RANGE
    policy: Policy = STANDARD
    max_cells: int = 1_000_000
    seed: int = 0
    split: bool = False

    def __post_init__(self) -> None:
        name = self.name.strip()
        if not name or len(name) > LONGEST_NAME:
            raise InvalidInput("name", f"{len(name)} characters", f"allowed: 1 to {LONGEST_NAME}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "symbols", _symbols(self.symbols))
        object.__setattr__(self, "parameters", tuple(map(_ascending, self.parameters)))
        _whole("max_cells", self.max_cells, 1, MOST_CELLS)
        _whole("seed", self.seed, 0, 2**31 - 1)
        if not isinstance(self.split, bool):
            raise InvalidInput("split", f"{self.split!r} is not a boolean", "allowed: true, false")
        check_goals(self.goals)
        len(self.grid)

    @property
    def grid(self) -> Grid:
        """Every combination of the parameters, sampled or not."""
        return Grid(self.policy, self.parameters, self.setup.ticks)

    @property
    def combinations(self) -> int:
        """Cells of the whole grid per symbol, before sampling."""
        return len(self.grid)

    @property
    def total(self) -> int:
        """Cells of all symbols that are run, invalid ones included."""
        return len(self.symbols) * min(self.combinations, self.max_cells)

    @property
    def sampled(self) -> bool:
        """Whether the grid is too large to run whole."""
        return self.combinations > self.max_cells

    def as_mapping(self) -> dict[str, Any]:
        """The request as JSON or TOML holds it; `request_from` reads it back, equal."""
        setup = {name: value for name, value in asdict(self.setup).items() if value is not None}
        policy, standard = asdict(self.policy), asdict(STANDARD)
        return {
            "name": self.name,
            "symbols": list(self.symbols),
            **{name: _iso(value) for name, value in setup.items()},
            "max_cells": self.max_cells,
            "seed": self.seed,
            "split": self.split,
            "policy": {name: policy[name] for name in FIELDS if policy[name] != standard[name]},
            "parameters": {one.name: _range_or_values(one) for one in self.parameters},
            "goals": {goal.metric: _goal_content(goal) for goal in self.goals},
            "constraints": [
                {"metric": one.metric, "kind": one.kind, "value": _listed(one.value)}
                for one in self.constraints
            ],
        }


SETUP_NAMES: Final = tuple(field.name for field in fields(Setup))
PLAIN_NAMES: Final = ("name", "max_cells", "seed", "split")
NAMES: Final = (
    *PLAIN_NAMES, "symbols", *SETUP_NAMES, "policy", "parameters", "goals", "constraints"
)  # fmt: skip


def request_from(content: Mapping[str, Any]) -> StudyRequest:
    """The request that `as_mapping` or a user's TOML file wrote. Raises InvalidInput.

    {name, symbols: [...], start, end, capital, stock_share, ticks, pay_lag_days, max_cells, seed,
    split, policy: {field: value}, parameters: {name: {min, max, step} or [values]},
    goals: {metric: weight or {weight, direction}}, constraints: [{metric, kind, value}]}; all but
    symbols and parameters may be left out, unknown names are refused.
    """
    _only(content, NAMES, "study")
    for needed in ("symbols", "parameters"):
        if needed not in content:
            raise InvalidInput(needed, "missing", f"a study needs {needed}")
    setup = {name: _setting(name, content[name]) for name in SETUP_NAMES if name in content}
    plain = {name: content[name] for name in PLAIN_NAMES if name in content}
    goals = _mapping("goals", content.get("goals", {"excess_return": 1.0}))
    constraints = content.get("constraints", [])
    if not isinstance(constraints, list):
        raise InvalidInput("constraints", "not a list", "write [[constraints]] for each")
    ranges = _mapping("parameters", content["parameters"])
    return StudyRequest(
        name=str(plain.pop("name", "Study")),
        symbols=tuple(_texts("symbols", content["symbols"])),
        parameters=tuple(parameter_from(name, values) for name, values in ranges.items()),
        goals=tuple(_goal(metric, given) for metric, given in goals.items()),
        constraints=tuple(map(_constraint, constraints)),
        setup=replace(WHOLE_RANGE, **setup),
        policy=STANDARD.changed(_mapping("policy", content.get("policy", {}))),
        **plain,
    )


def request_from_toml(text: str) -> StudyRequest:
    """The request of a TOML file. Raises InvalidInput."""
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        raise InvalidInput("study", f"the file does not parse ({error})", "write TOML") from None
    return request_from(content)


def parameter_from(name: str, values: Any) -> Parameter:
    """A parameter from {min, max, step} or a list of values. Raises InvalidInput."""
    if isinstance(values, Mapping):
        _only(values, ("min", "max", "step"), name)
        if len(values) < 3:
            raise InvalidInput(name, "a range needs min, max and step", "give all three")
        low, high, step = (str(values[end]) for end in ("min", "max", "step"))
        return exact_range(name, low, high, step)
    if not isinstance(values, list | tuple):
        raise InvalidInput(name, f"{values!r}", "give {min, max, step} or a list of values")
    return Parameter(name, tuple(map(_plain_value, values)))


def range_of(parameter: Parameter) -> tuple[str, str, str] | None:
    """(min, max, step) of evenly spaced values as decimal text, None for any others."""
    if not parameter.numeric or len(parameter.values) < SHORTEST_SERIES:
        return None
    first, second, last = (Decimal(repr(parameter.values[i])) for i in (0, 1, -1))
    texts = str(first), str(last), repr(float(second - first))  # exact also as floats
    if second <= first or exact_range(parameter.name, *texts).values != parameter.values:
        return None
    return texts


def _range_or_values(parameter: Parameter) -> dict[str, float] | list[Value]:
    found = range_of(parameter)
    if found is None:
        return list(parameter.values)
    return dict(zip(("min", "max", "step"), map(float, found), strict=True))


def _ascending(parameter: Parameter) -> Parameter:
    if not parameter.numeric:
        return parameter
    return Parameter(parameter.name, tuple(sorted(parameter.values)))


def _plain_value(value: Any) -> Value:
    """Whole numbers become floats, as in a range; anything odd is left for Parameter to refuse."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _goal_content(goal: Goal) -> float | dict[str, Any]:
    if goal.direction is None:
        return goal.weight
    return {"weight": goal.weight, "direction": goal.direction}


def _goal(metric: str, given: Any) -> Goal:
    if not isinstance(given, Mapping):
        return Goal(metric, _real("weight", given))
    _only(given, ("weight", "direction"), metric)
    return Goal(metric, _real("weight", given.get("weight", 1.0)), given.get("direction"))


def _constraint(given: Any) -> Constraint:
    content = _mapping("constraints", given)
    names = ("metric", "kind", "value")
    _only(content, names, "constraint")
    if len(content) < len(names):
        raise InvalidInput("constraints", "incomplete", "give metric, kind and value")
    value = content["value"]
    if isinstance(value, list | tuple):
        return Constraint(content["metric"], content["kind"], _pair(value))
    return Constraint(content["metric"], content["kind"], _real("value", value))


def _pair(values: list[Any] | tuple[Any, ...]) -> tuple[float, float]:
    if len(values) != 2:
        raise InvalidInput("value", f"{len(values)} numbers", "give [low, high]")
    return _real("value", values[0]), _real("value", values[1])


def _real(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(field, f"{value!r} is not a number", "give a number")
    return float(value)


def _listed(value: float | tuple[float, float]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value


def _symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(symbol.strip().upper() for symbol in symbols)
    if not known or not all(known):
        raise InvalidInput("symbols", "none given", "name at least one")
    if len(set(known)) < len(known):
        raise InvalidInput("symbols", "one stands twice", "name each once")
    if len(known) > MOST_SYMBOLS:
        raise InvalidInput("symbols", f"{len(known)} symbols", f"at most {MOST_SYMBOLS}")
    return known


def _whole(field: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        allowed = f"allowed: whole numbers {low} to {high:,}"
        raise InvalidInput(field, f"{value!r} is out of range", allowed)


def _setting(name: str, value: Any) -> Any:
    if name in ("start", "end"):
        return _date(name, value)
    if name == "ticks":
        return value
    if name == "pay_lag_days":
        _whole(name, value, 0, 3660)
        return value
    return _real(name, value)


def _date(name: str, value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(name, f"{value!r} is not a date", "write YYYY-MM-DD") from None


def _iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _mapping(field: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(field, f"{value!r}", "write names and values")
    return value


def _texts(field: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InvalidInput(field, f"{value!r}", 'write a list such as ["AAPL", "KO"]')
    return list(value)


def _only(content: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    unknown = [name for name in content if name not in names]
    if unknown:
        known = ", ".join(names)
        raise InvalidInput(what, f"{unknown[0]!r} is not known here", f"allowed: {known}")

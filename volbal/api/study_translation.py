"""Studies in the API's words and in volbal's own: requests there, names back."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from volbal.api.optimization_models import (
    OLDER_METRICS,
    PARAMETER_NAME,
    Criteria,
    MetricConstraint,
    NewStudy,
    ParameterRange,
)
from volbal.api.policies import OLDER_NAMES
from volbal.domain.policy import BOUNDS, SHORTHANDS
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter, Value, exact_range
from volbal.errors import InvalidInput
from volbal.services.research import Setup
from volbal.services.studies import Study
from volbal.services.study_request import StudyRequest, range_of

LARGEST: Final = Decimal("1e12")
SMALLEST: Final = Decimal("1e-12")
"""Numbers of a range beyond these are slips; the smaller is for steps."""

DEEPEST: Final = 32

TRIGGERS: Final = ("trigger_up", "trigger_down")

FIELDS: Final[Mapping[str, str]] = {
    "dates": "start_date",
    "parameters": "parameter_ranges",
    "weight": "weights",
    "direction": "directions",
}
"""What a study's own request calls a field, and what the API does."""


def own_parameter(name: str) -> str:
    return OLDER_NAMES.get(name, name)


def own_metric(name: str) -> str:
    return OLDER_METRICS.get(name, name)


def own_sort(name: str) -> str:
    return "cell_id" if name == "combination_id" else own_parameter(own_metric(name))


def request_of(body: NewStudy) -> StudyRequest:
    """What a body asks for. Raises InvalidInput with the names that were sent."""
    return StudyRequest(
        name=body.name,
        symbols=(body.ticker,),
        parameters=tuple(_parameters(body.parameter_ranges)),
        goals=_goals(body.optimization_criteria),
        constraints=tuple(map(_constraint, body.optimization_criteria.constraints)),
        setup=Setup(start=body.start_date, end=body.end_date),
        max_cells=body.max_combinations,
    )


def renamed(error: InvalidInput, body: NewStudy) -> InvalidInput:
    """The same with the name that `body` has for the field."""
    sent = {own_parameter(name): name for name in body.parameter_ranges}
    field = sent.get(error.field) or FIELDS.get(error.field, error.field)
    return InvalidInput(field, *error.args[1:])


def _parameters(ranges: Mapping[str, ParameterRange]) -> Iterator[Parameter]:
    for name, given in ranges.items():
        if name not in PARAMETER_NAME.names:
            allowed = f"choose one of {', '.join(PARAMETER_NAME.names)}"
            raise InvalidInput("parameter_ranges", f"{name!r} cannot be swept", allowed)
        made = _parameter(name, given)
        if set(SHORTHANDS.get(made.name, (made.name,))) & {*TRIGGERS}:
            _require_fractions(name, made)
        yield made


def _parameter(name: str, given: ParameterRange) -> Parameter:
    own, kind = own_parameter(name), given.parameter_type
    if kind in ("boolean", "categorical"):
        values = given.categorical_values
        if values is None and kind == "categorical":
            raise InvalidInput("categorical_values", f"{name} has none", "give a list of values")
        return Parameter(own, (False, True) if values is None else tuple(_values(name, values)))
    ends = {end: getattr(given, end) for end in ("min_value", "max_value", "step_size")}
    for end, number in ends.items():
        _require_number(name, end, number, whole=kind == "integer")
    return exact_range(own, *map(str, ends.values()))


def _require_number(name: str, end: str, number: Decimal | None, *, whole: bool = False) -> None:
    if number is None:
        raise InvalidInput(end, f"{name} has none", "a range needs min_value, max_value, step_size")
    if not number.is_finite() or (number != 0 and not SMALLEST <= abs(number) <= LARGEST):
        allowed = f"allowed: 0, or {SMALLEST:g} to {LARGEST:g} and the same below 0"
        raise InvalidInput(end, f"{name}: out of range", allowed)
    if whole and number != int(number):
        raise InvalidInput(end, f"{name}: {number} is no integer", "send whole numbers, or float")


def _require_fractions(name: str, made: Parameter) -> None:
    bounds = BOUNDS[TRIGGERS[0]]
    for value in made.values:
        if not isinstance(value, bool | str) and value >= bounds.high:
            allowed = f"allowed: {bounds} (fractions: 0.03 is 3 %)"
            raise InvalidInput(name, f"{value:g} is out of range", allowed)


def _values(name: str, values: Iterable[bool | str | Decimal]) -> Iterator[Value]:
    for value in values:
        if isinstance(value, Decimal):
            _require_number(name, "categorical_values", value)
        yield float(value) if isinstance(value, Decimal) else value


def _goals(criteria: Criteria) -> tuple[Goal, ...]:
    """Every metric that is named or weighted, the primary one first."""
    primary = own_metric(criteria.primary_metric)
    weights = _by_metric("weights", criteria.weights)
    ways = _by_metric("directions", criteria.directions)
    if criteria.minimize and ways.setdefault(primary, "down") == "up":
        raise InvalidInput("minimize", f"{primary} is sent as up, too", "send one of them")
    named = dict.fromkeys((primary, *map(own_metric, criteria.secondary_metrics), *weights))
    unknown = [metric for metric in ways if metric not in named]
    if unknown:
        raise InvalidInput("directions", f"{unknown[0]} is no goal", "name it among the metrics")
    return tuple(
        Goal(metric, float(weights.get(metric, metric == primary)), ways.get(metric))
        for metric in named
    )


def _by_metric(field: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same by volbal's own names."""
    found = {own_metric(name): value for name, value in given.items()}
    if len(found) < len(given):
        raise InvalidInput(field, "a metric stands twice, by two names", "name each once")
    return found


def _constraint(given: MetricConstraint) -> Constraint:
    value = given.value
    limit = (float(value[0]), float(value[1])) if isinstance(value, tuple) else float(value)
    return Constraint(own_metric(given.metric), given.constraint_type, limit)


def sent_text(content: object) -> str:
    """A body as the study keeps it. Raises InvalidInput for what no answer could give back:
    numbers that no double can hold, and fields of the caller's own nested without end."""
    if _deeper(content, DEEPEST):
        raise InvalidInput("body", "it is nested too deeply", f"allowed: {DEEPEST} levels")
    try:
        return json.dumps(content, default=float, allow_nan=False, ensure_ascii=False)
    except ValueError:
        raise InvalidInput("body", "a number is out of range", "send finite numbers") from None


def _deeper(content: object, levels: int) -> bool:
    if not isinstance(content, dict | list):
        return False
    parts = content.values() if isinstance(content, dict) else content
    return levels == 0 or any(_deeper(part, levels - 1) for part in parts)


def request_in_words(study: Study) -> dict[str, Any]:
    """The request of a study as it was sent; one made on screen as it would be sent."""
    if study.sent is not None:
        return dict(json.loads(study.sent))
    request = study.request
    setup, goals = request.setup, request.goals
    return {
        "name": request.name,
        "ticker": ", ".join(request.symbols),
        "start_date": setup.start and setup.start.isoformat(),
        "end_date": setup.end and setup.end.isoformat(),
        "parameter_ranges": {one.name: _range_in_words(one) for one in request.parameters},
        "optimization_criteria": {
            "primary_metric": goals[0].metric,
            "secondary_metrics": [goal.metric for goal in goals[1:]],
            "constraints": [
                {"metric": one.metric, "constraint_type": one.kind, "value": one.value}
                for one in request.constraints
            ],
            "weights": {goal.metric: goal.weight for goal in goals},
            "minimize": False,
            "directions": {goal.metric: goal.direction for goal in goals if goal.direction},
        },
        "max_combinations": request.max_cells,
    }


def _range_in_words(parameter: Parameter) -> dict[str, Any]:
    found = range_of(parameter)
    if found is None:
        return {"parameter_type": "categorical", "categorical_values": list(parameter.values)}
    ends = zip(("min_value", "max_value", "step_size"), map(float, found), strict=True)
    return {"parameter_type": "float"} | dict(ends)


@dataclass(frozen=True, slots=True)
class Names:
    """What a study calls its parameters and the metrics, by volbal's own names of them."""

    parameters: Mapping[str, str]
    metrics: Mapping[str, str]

    @classmethod
    def of(cls, study: Study) -> Self:
        words = request_in_words(study)
        criteria = words["optimization_criteria"]
        named = (
            criteria["primary_metric"],
            *criteria.get("secondary_metrics", ()),
            *criteria.get("weights", ()),
            *(one["metric"] for one in criteria.get("constraints", ())),
        )
        return cls(
            parameters={own_parameter(name): name for name in words["parameter_ranges"]},
            metrics={own_metric(name): name for name in named},
        )

"""What a study looks for: goals with weights, constraints, and how cells are ranked by them.

Everything here works on arrays of metrics that are stored already: another weight or constraint
re-ranks at once and simulates nothing.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from volbal.engine.metrics import METRIC, METRICS, Direction
from volbal.errors import InvalidInput

Kind = Literal["min_value", "max_value", "equal", "not_equal", "in_range", "out_of_range"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RANGES: tuple[Kind, ...] = ("in_range", "out_of_range")


@dataclass(frozen=True, slots=True)
class Goal:
    """One metric to be good in. weight >= 0, relative to the others.

    direction: which way is good; None takes the metric's natural one and is refused for a metric
    that has none. Raises InvalidInput.
    """

    metric: str
    weight: float = 1.0
    direction: Direction | None = None

    def __post_init__(self) -> None:
        _known(self.metric)
        if not (math.isfinite(self.weight) and self.weight >= 0.0):
            raise InvalidInput("weight", f"{self.metric}: not a weight", "allowed: >= 0")
        if self.direction not in ("up", "down", None):
            raise InvalidInput(
                "direction", f"{self.metric}: {self.direction!r}", "allowed: up, down"
            )
        if self.direction is None and METRIC[self.metric].direction is None:
            raise InvalidInput(
                "direction", f"{self.metric} has no natural direction", "say up or down"
            )

    @property
    def sign(self) -> float:
        """+1 where more is better, -1 where less is."""
        return -1.0 if (self.direction or METRIC[self.metric].direction) == "down" else 1.0


@dataclass(frozen=True, slots=True)
class Constraint:
    """A filter on one metric: a cell that fails it is rejected; so is one without the metric.

    value: a number, or (low, high) for in_range and out_of_range, ends included in the range.
    Raises InvalidInput.
    """

    metric: str
    kind: Kind
    value: float | tuple[float, float]

    def __post_init__(self) -> None:
        _known(self.metric)
        if self.kind not in KINDS:
            raise InvalidInput(
                "constraint_type", f"{self.kind!r} is unknown", f"choose one of {', '.join(KINDS)}"
            )
        if self.kind in RANGES:
            if not isinstance(self.value, tuple) or len(self.value) != 2:
                raise InvalidInput("value", f"{self.metric} {self.kind}", "give [low, high]")
            if not self.value[0] <= self.value[1]:
                raise InvalidInput("value", f"{self.metric}: low is above high", "low <= high")
        if not all(_is_number(end) for end in self.ends):
            raise InvalidInput("value", f"{self.metric}: not a finite number", "give numbers")

    @property
    def ends(self) -> tuple[float, ...]:
        """The one number, or both ends of the range."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


def _known(metric: str) -> None:
    if metric not in METRIC:
        names = ", ".join(one.name for one in METRICS)
        raise InvalidInput("metric", f"{metric!r} is unknown", f"choose one of {names}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_goals(goals: tuple[Goal, ...]) -> None:
    """Raises InvalidInput: no goal, a metric named twice, or no weight above 0."""
    if not goals:
        raise InvalidInput("goals", "none given", "name at least one metric to rank by")
    names = [goal.metric for goal in goals]
    if len(set(names)) < len(names):
        raise InvalidInput("goals", "a metric is named twice", "name each metric once")
    if not sum(goal.weight for goal in goals) > 0.0:
        raise InvalidInput("weights", "all weights are 0", "give at least one above 0")

"""Parameter grids: exact values, the cells they span, and what each cell's policy is."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from volbal.domain.policy import (
    BOOLEANS,
    BOUNDS,
    DEFAULT_RATIOS,
    SHORTHANDS,
    SIZINGS,
    SWEEPABLE,
    Policy,
)
from volbal.domain.rule import FIXED_PERCENTAGE, Terms
from volbal.engine.kernel import replay
from volbal.engine.metrics import METRICS, streamed_metrics
from volbal.engine.paths import Flags, Floats, Ints, PricePath
from volbal.errors import InvalidInput

Value = float | bool | str

MOST_VALUES = 100_000
"""Values of one parameter; more is taken for a slip in the step."""

MOST_CELLS = 1_000_000

BAR_STEPS_PER_CHUNK = 20_000_000
"""About a quarter of a second of kernel time."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One swept policy field (or shorthand) and its distinct values, in the order given."""

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if self.name not in (*SHORTHANDS, *SWEEPABLE):
            raise InvalidInput(
                "parameter",
                f"{self.name!r} cannot be swept",
                f"choose one of {', '.join((*SHORTHANDS, *SWEEPABLE))}",
            )
        if not self.values:
            raise InvalidInput(self.name, "no values", "give at least one")
        if len(set(self.values)) < len(self.values):
            raise InvalidInput(self.name, "a value stands twice", "give distinct values")
        for value in self.values:
            self._check_type(value)

    def _check_type(self, value: Value) -> None:
        if self.name == "sizing":
            if value not in SIZINGS:
                allowed = f"choose from {', '.join(SIZINGS)}"
                raise InvalidInput("sizing", f"{value!r} is not a sizing", allowed)
        elif self.name in BOOLEANS:
            if not isinstance(value, bool):
                raise InvalidInput(self.name, f"{value!r} is not a boolean", "use true, false")
        elif isinstance(value, bool | str) or not math.isfinite(value):
            raise InvalidInput(self.name, f"{value!r} is not a finite number", "give numbers")

    @property
    def numeric(self) -> bool:
        return self.name != "sizing" and self.name not in BOOLEANS


def exact_range(name: str, low: str, high: str, step: str) -> Parameter:
    """Parameter with low, low + step, … up to high, counted in decimal arithmetic.

    The last value is never lost to rounding: 1.0 to 3.0 by 0.1 are 21 values. Raises InvalidInput.
    """
    try:
        first, last, stride = Decimal(low), Decimal(high), Decimal(step)
    except ArithmeticError:
        raise InvalidInput(
            name, f"{low}:{high}:{step} are not three numbers", "give min:max:step"
        ) from None
    if not (first.is_finite() and last.is_finite() and stride.is_finite()):
        raise InvalidInput(name, "a range must be finite", "give min:max:step")
    if stride <= 0 or last < first:
        raise InvalidInput(
            name, f"{low} to {high} by {step} holds no value", "need min <= max and step > 0"
        )
    count = int((last - first) / stride) + 1
    if count > MOST_VALUES:
        raise InvalidInput(name, f"{count:,} values", f"at most {MOST_VALUES:,}; widen the step")
    return Parameter(name, tuple(float(first + stride * i) for i in range(count)))


class Chunk(NamedTuple):
    """The cells `start` <= id < `stop` of a grid."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of the parameters' values on top of one policy.

    Cells are numbered 0..len-1 with the last parameter changing fastest. A cell is invalid if
    its policy breaks a bound of SPEC §2; it is counted and never simulated.
    Raises InvalidInput: no parameter, one field set twice, too many cells.
    """

    policy: Policy
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        if not self.parameters:
            raise InvalidInput("parameters", "none given", "sweep at least one policy field")
        targets = [field for parameter in self.parameters for field in _targets(parameter.name)]
        if len(set(targets)) < len(targets):
            twice = next(field for field in targets if targets.count(field) > 1)
            raise InvalidInput("parameters", f"{twice} is swept twice", "name each field once")
        if len(self) > MOST_CELLS:
            raise InvalidInput(
                "parameters", f"{len(self):,} cells", f"at most {MOST_CELLS:,}; widen the steps"
            )

    def __len__(self) -> int:
        return math.prod(len(parameter.values) for parameter in self.parameters)

    def value_indexes(self, cells: Ints) -> tuple[Ints, ...]:
        """For each parameter the index of its value in each of `cells`, shape (m,)."""
        shape = tuple(len(parameter.values) for parameter in self.parameters)
        return tuple(np.unravel_index(cells, shape))

    def cell(self, cell_id: int) -> dict[str, Value]:
        """Parameter values of one cell by name."""
        indexes = self.value_indexes(np.array([cell_id]))
        return {
            parameter.name: parameter.values[int(index[0])]
            for parameter, index in zip(self.parameters, indexes, strict=True)
        }

    def cell_policy(self, cell_id: int) -> Policy:
        """The policy of one valid cell; raises InvalidInput for an invalid one."""
        return self.policy.changed(self.cell(cell_id))

    def terms(self, cells: Ints) -> Floats:
        """The cells' policies as the rule reads them, shape (len(Terms._fields), m).

        Not validated: see `valid`.
        """
        columns = np.repeat(np.array([self.policy.terms]).T, len(cells), axis=1)
        row = {name: index for index, name in enumerate(Terms._fields)}
        for parameter, index in zip(self.parameters, self.value_indexes(cells), strict=True):
            for field in _targets(parameter.name):
                columns[row[field]] = _as_numbers(parameter)[index]
        if self.policy.rebalance_ratio is None and not self._sweeps("rebalance_ratio"):
            for name, code in SIZINGS.items():
                of_sizing = columns[row["sizing"]] == code
                columns[row["rebalance_ratio"], of_sizing] = DEFAULT_RATIOS[name]
        return columns

    def _sweeps(self, field: str) -> bool:
        return any(field in _targets(parameter.name) for parameter in self.parameters)


def _targets(name: str) -> tuple[str, ...]:
    return SHORTHANDS.get(name, (name,))


def _as_numbers(parameter: Parameter) -> Floats:
    return np.array(
        [SIZINGS[value] if isinstance(value, str) else float(value) for value in parameter.values]
    )


def valid(terms: Floats) -> Flags:
    """Which columns of `terms` keep every bound of SPEC §2, shape (m,)."""
    by_name = dict(zip(Terms._fields, terms, strict=True))
    kept: Flags = by_name["min_stock_share"] < by_name["max_stock_share"]
    for name, bounds in BOUNDS.items():
        values = by_name[name]
        kept &= (values > bounds.low) if bounds.low_open else (values >= bounds.low)
        kept &= (values < bounds.high) if bounds.high_open else (values <= bounds.high)
    kept &= by_name["max_orders_per_day"] == np.floor(by_name["max_orders_per_day"])
    fixed = by_name["sizing"] == FIXED_PERCENTAGE
    kept &= ~(fixed & (by_name["rebalance_ratio"] > 1.0))
    return kept


def chunks(cells: int, ticks: int) -> list[Chunk]:
    """Cut a grid into pieces of a size that keeps progress and cancelling lively."""
    size = max(1024, BAR_STEPS_PER_CHUNK // ticks)
    return [Chunk(start, min(start + size, cells)) for start in range(0, cells, size)]


def evaluate(grid: Grid, chunk: Chunk, path: PricePath, shares: float, cash: float) -> Floats:
    """Metrics of a chunk's cells, shape (len(METRICS), m), rows in the order of `METRICS`.

    Invalid cells are not simulated; all their metrics are NaN. Every cell starts with `shares`
    and `cash` at the path's first tick.
    """
    terms = grid.terms(np.arange(chunk.start, chunk.stop))
    results = np.full((len(METRICS), chunk.stop - chunk.start), np.nan)
    usable = np.flatnonzero(valid(terms))
    if len(usable):
        columns = np.ascontiguousarray(terms[:, usable])
        ended = replay(path, columns, shares, cash)
        values = streamed_metrics(path, columns, ended, shares, cash)
        results[:, usable] = np.stack([values[metric.name] for metric in METRICS])
    return results

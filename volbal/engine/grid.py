"""Parameter grids: exact values, the cells they span, and what each cell's policy is."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from volbal.domain.policy import (
    BOOLEANS,
    DEFAULT_RATIOS,
    SHORTHANDS,
    SIZINGS,
    SWEEPABLE,
    Policy,
)
from volbal.domain.rule import Terms
from volbal.engine.bounds import EVERY_BOUND, first_broken, valid
from volbal.engine.kernel import replay
from volbal.engine.metrics import METRICS, BlockMoments, block_moments, streamed_metrics
from volbal.engine.paths import TICK_MODELS, Flags, Floats, Ints, Paths, PricePath
from volbal.errors import InvalidInput

Value = float | bool | str

MOST_VALUES = 100_000
"""Values of one parameter; more is taken for a slip in the step."""

MOST_CELLS = 10**15
"""The number of a cell has 15 digits at most: browsers and spreadsheets keep no more of them. A
grid of more cells than one wants to run is sampled."""

SWEPT = (*SHORTHANDS, *SWEEPABLE, "ticks")
"""What a parameter may name: a shorthand, a policy field, or the tick model."""

CATEGORIES: Mapping[str, tuple[str, ...]] = {"sizing": tuple(SIZINGS), "ticks": TICK_MODELS}
"""The values of parameters that are neither numbers nor booleans."""

BAR_STEPS_PER_CHUNK = 20_000_000
"""About a tenth of a second of one core."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One swept policy field (or shorthand, or the tick model) and its distinct values, in the
    order given."""

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if self.name not in SWEPT:
            raise InvalidInput(
                "parameter", f"{self.name!r} cannot be swept", f"choose one of {', '.join(SWEPT)}"
            )
        if not self.values:
            raise InvalidInput(self.name, "no values", "give at least one")
        if len(set(self.values)) < len(self.values):
            raise InvalidInput(self.name, "a value stands twice", "give distinct values")
        for value in self.values:
            self._check_type(value)

    def _check_type(self, value: Value) -> None:
        if self.name in CATEGORIES:
            if value not in CATEGORIES[self.name]:
                allowed = f"choose from {', '.join(CATEGORIES[self.name])}"
                raise InvalidInput(self.name, f"{value!r} is unknown", allowed)
        elif self.name in BOOLEANS:
            if not isinstance(value, bool):
                raise InvalidInput(self.name, f"{value!r} is not a boolean", "use true, false")
        elif isinstance(value, bool | str) or not math.isfinite(value):
            raise InvalidInput(self.name, f"{value!r} is not a finite number", "give numbers")

    @property
    def numeric(self) -> bool:
        return self.name not in CATEGORIES and self.name not in BOOLEANS


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
    """A piece of the cells to evaluate: from position `start` up to and without `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of the parameters' values on top of one policy and tick model.

    Cells are numbered 0..len-1 with the last parameter changing fastest. A cell is invalid if
    its policy breaks a bound of SPEC §2; it is counted and never simulated.
    Raises InvalidInput: no parameter, one field set twice, too many cells.
    """

    policy: Policy
    parameters: tuple[Parameter, ...]
    ticks: str = "close"

    def __post_init__(self) -> None:
        if not self.parameters:
            raise InvalidInput("parameters", "none given", "sweep at least one policy field")
        targets = [field for parameter in self.parameters for field in _targets(parameter.name)]
        if len(set(targets)) < len(targets):
            twice = next(field for field in targets if targets.count(field) > 1)
            raise InvalidInput("parameters", f"{twice} is swept twice", "name each field once")
        if len(self) > MOST_CELLS:
            raise InvalidInput(
                "parameters",
                f"{len(self):,} combinations",
                f"at most {MOST_CELLS:,}, also for a sample, as each must have a number that "
                "browsers and spreadsheets hold; widen the steps or sweep fewer parameters",
            )
        if self.ticks not in TICK_MODELS:
            allowed = f"choose from {', '.join(TICK_MODELS)}"
            raise InvalidInput("ticks", f"{self.ticks!r} is unknown", allowed)

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
        values = self.cell(cell_id)
        values.pop("ticks", None)
        return self.policy.changed(values)

    def cell_ticks(self, cell_id: int) -> str:
        """The tick model of one cell."""
        return str(self.cell(cell_id).get("ticks", self.ticks))

    @property
    def tick_models(self) -> tuple[str, ...]:
        """The tick models of its cells: what `evaluate` needs paths for."""
        swept = [parameter.values for parameter in self.parameters if parameter.name == "ticks"]
        return tuple(map(str, swept[0])) if swept else (self.ticks,)

    def ticked(self, cells: Ints, ticks: str) -> Flags:
        """Which of `cells`, shape (m,), have that tick model."""
        indexes = self.value_indexes(cells)
        for parameter, index in zip(self.parameters, indexes, strict=True):
            if parameter.name == "ticks":
                return np.array([value == ticks for value in parameter.values])[index]
        return np.full(len(cells), self.ticks == ticks)

    def terms(self, cells: Ints) -> Floats:
        """The cells' policies as the rule reads them, shape (len(Terms._fields), m).

        Not validated: see `valid`.
        """
        columns = np.repeat(np.array([self.policy.terms]).T, len(cells), axis=1)
        row = {name: index for index, name in enumerate(Terms._fields)}
        for parameter, index in zip(self.parameters, self.value_indexes(cells), strict=True):
            for field in _targets(parameter.name):
                if field in row:  # the tick model is none
                    columns[row[field]] = _as_numbers(parameter)[index]
        if self.policy.rebalance_ratio is None and not self._sweeps("rebalance_ratio"):
            for name, code in SIZINGS.items():
                of_sizing = columns[row["sizing"]] == code
                columns[row["rebalance_ratio"], of_sizing] = DEFAULT_RATIOS[name]
        return columns

    def swept_as(self, field: str) -> str:
        """The parameter that sets a policy field; the field itself where none does."""
        names = (one.name for one in self.parameters if field in _targets(one.name))
        return next(names, field)

    def _sweeps(self, field: str) -> bool:
        return any(field in _targets(parameter.name) for parameter in self.parameters)


def _targets(name: str) -> tuple[str, ...]:
    return SHORTHANDS.get(name, (name,))


def _as_numbers(parameter: Parameter) -> Floats:
    return np.array(
        [SIZINGS[value] if isinstance(value, str) else float(value) for value in parameter.values]
    )


def reasons(grid: Grid, cells: Ints, name: Callable[[str], str] = str) -> list[str]:
    """Of each of `cells`, shape (m,), the first bound it breaks in words, "" for a valid one.

    name: what a swept parameter or policy field is called.
    """
    texts = [*(bound.text(lambda field: name(grid.swept_as(field))) for bound in EVERY_BOUND), ""]
    return [texts[place] for place in first_broken(grid.terms(cells))]


def no_valid_cell(grid: Grid) -> InvalidInput:
    """The refusal of a grid whose every cell is invalid: the bound that the first one breaks."""
    try:
        grid.cell_policy(0)
    except InvalidInput as error:
        field, problem, allowed = error.args
        return InvalidInput(
            "parameters",
            f"all {len(grid):,} combinations break a bound, the first one because "
            f"{grid.swept_as(field)} {problem}",
            f"{allowed}; sweep other values or change the base policy",
        )
    raise ValueError("the first cell is valid")


def chunks(cells: int, paths: Paths) -> list[Chunk]:
    """Cut as many cells into pieces of a size that keeps progress and cancelling lively."""
    size = max(1024, BAR_STEPS_PER_CHUNK // paths.steps)
    return [Chunk(start, min(start + size, cells)) for start in range(0, cells, size)]


def evaluate(grid: Grid, cells: Ints, paths: Paths) -> Floats:
    """Metrics of `cells`, shape (len(METRICS), m), rows in the order of `METRICS`.

    cells: ids in any order, shape (m,), int64. paths: one for each of `grid.tick_models`.
    Invalid cells are not simulated; all their metrics are NaN. What a cell gets does not depend
    on the other cells, to the bit.
    """
    results = np.full((len(METRICS), len(cells)), np.nan)
    for ticks, chosen, terms in _simulated(grid, cells):
        results[:, chosen] = _metrics(paths.by_ticks[ticks], terms, *paths.start(ticks))
    return results


def evaluate_blocks(grid: Grid, cells: Ints, paths: Paths, blocks: int) -> BlockMoments:
    """The daily excess of `cells` (as in `evaluate`) in `blocks` consecutive blocks of days.

    Raises InvalidInput for fewer days than blocks.
    """
    results = BlockMoments(*(np.full((blocks, len(cells)), np.nan) for _ in BlockMoments._fields))
    for ticks, chosen, terms in _simulated(grid, cells):
        moments = block_moments(paths.by_ticks[ticks], terms, *paths.start(ticks), blocks)
        for result, values in zip(results, moments, strict=True):
            result[:, chosen] = values
    return results


def _simulated(grid: Grid, cells: Ints) -> Iterator[tuple[str, Ints, Floats]]:
    """Of each tick model the positions of its valid cells and their terms."""
    terms = grid.terms(cells)
    usable = valid(terms)
    for ticks in grid.tick_models:
        chosen = np.flatnonzero(usable & grid.ticked(cells, ticks))
        if len(chosen):
            yield ticks, chosen, np.ascontiguousarray(terms[:, chosen])


def _metrics(path: PricePath, terms: Floats, shares: float, cash: float) -> Floats:
    ended = replay(path, terms, shares, cash)
    mirrored = replay(path.mirrored, terms, shares, cash) if path.walked.any() else None
    values = streamed_metrics(path, terms, ended, shares, cash, mirrored)
    return np.stack([values[metric.name] for metric in METRICS])

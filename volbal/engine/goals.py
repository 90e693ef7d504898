"""What a study looks for: goals with weights, constraints, and how cells are ranked by them.

Everything here works on arrays of metrics that are stored already: another weight or constraint
re-ranks at once and simulates nothing.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import numba
import numpy as np

from volbal.engine.metrics import METRIC, METRICS, Direction
from volbal.engine.paths import Flags, Floats, Ints
from volbal.errors import InvalidInput

Kind = Literal["min_value", "max_value", "equal", "not_equal", "in_range", "out_of_range"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RANGES: tuple[Kind, ...] = ("in_range", "out_of_range")
WORDS: Final[Mapping[Kind, str]] = {
    "min_value": ">= {}",
    "max_value": "<= {}",
    "equal": "equal to {}",
    "not_equal": "not equal to {}",
    "in_range": "from {} to {}",
    "out_of_range": "outside {} to {}",
}
"""What a constraint of each kind asks for."""

EQUAL: Final = 1e-12
"""Values that differ by less, relative or absolute, are the same for equal and not_equal."""


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

    def __str__(self) -> str:
        return f"{self.metric} {WORDS[self.kind].format(*(f'{end:.10g}' for end in self.ends))}"


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


def passing(constraint: Constraint, values: Floats) -> Flags:
    """Which cells keep the constraint, shape (m,); an undefined value keeps none."""
    low, high = constraint.ends[0], constraint.ends[-1]
    match constraint.kind:
        case "min_value":
            return values >= low
        case "max_value":
            return values <= high
        case "equal":
            return np.isclose(values, low, rtol=EQUAL, atol=EQUAL)
        case "not_equal":
            return ~np.isnan(values) & ~np.isclose(values, low, rtol=EQUAL, atol=EQUAL)
        case "in_range":
            return (values >= low) & (values <= high)
        case "out_of_range":
            return (values < low) | (values > high)


SHARE: Final = (0.0, 1.0)
RETURN: Final = (-1.0, math.inf)
NOT_NEGATIVE: Final = (0.0, math.inf)
REACH: Final[Mapping[str, tuple[float, float]]] = {
    "total_return": RETURN,
    "cagr": RETURN,
    "volatility": NOT_NEGATIVE,
    "max_drawdown": (-1.0, 0.0),
    "ulcer_index": SHARE,
    "positive_days": SHARE,
    "win_rate": SHARE,
    "profit_factor": NOT_NEGATIVE,
    "avg_holding_days": NOT_NEGATIVE,
    "fill_count": NOT_NEGATIVE,
    "turnover": NOT_NEGATIVE,
    "total_commissions": NOT_NEGATIVE,
    "total_dividends": NOT_NEGATIVE,
    "time_in_guardrails": SHARE,
    "avg_stock_share": SHARE,
    "buy_hold_return": RETURN,
    "bracket_low": RETURN,
    "bracket_high": RETURN,
}
"""Lowest and highest value that a metric can have; the others can have any."""


def met_by(constraint: Constraint) -> Literal["none", "some", "all"]:
    """How many of the values that its metric can have keep the constraint."""
    low, high = REACH.get(constraint.metric, (-math.inf, math.inf))
    inside = [end for end in constraint.ends if low < end < high]
    marks = np.unique(np.clip([low, *inside, high], -1e300, 1e300))
    # Between two marks either every value keeps it or none does.
    kept = passing(constraint, np.concatenate((marks, (marks[:-1] + marks[1:]) / 2.0)))
    if kept.all():
        return "all"
    return "some" if kept.any() else "none"


def mean_ranks(values: Floats) -> Floats:
    """Rank of every value among all, 1 for the lowest; equal values share their mean rank.

    values: shape (n,), finite.
    """
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2.0, ends - starts)
    return ranks


def scores(goals: tuple[Goal, ...], metrics: Mapping[str, Floats], usable: Flags) -> Floats:
    """Score of every cell, 0..1, shape (m,); NaN where it is not ranked.

    Σ w·z / Σ w with z = (mean rank - 1)/(n - 1) among the n ranked cells, in the goal's good
    direction; z = 1 where n = 1. Ranked: `usable` (feasible) and every goal of a weight above 0
    is defined. metrics: by name, each of shape (m,).
    """
    weighing = [goal for goal in goals if goal.weight > 0.0]
    ranked = usable.copy()
    for goal in weighing:
        ranked &= ~np.isnan(metrics[goal.metric])
    count = int(ranked.sum())
    total = np.zeros(count)
    for goal in weighing:
        places = mean_ranks(goal.sign * metrics[goal.metric][ranked])
        total += goal.weight * ((places - 1.0) / (count - 1.0) if count > 1 else 1.0)
    found = np.full(len(usable), np.nan)
    found[ranked] = total / sum(goal.weight for goal in weighing)
    return found


def places(score: Floats) -> Ints:
    """Place of every cell by score, 1 for the best, equals sharing the better place; 0 unranked."""
    ranked = ~np.isnan(score)
    ordered = np.sort(score[ranked])
    found = np.zeros(len(score), dtype=np.int64)
    found[ranked] = len(ordered) - np.searchsorted(ordered, score[ranked], side="right") + 1
    return found


class Plateau(NamedTuple):
    """mean: score of a cell and its neighbours, NaN where fewer than half of the block are
    ranked; fragility: the cell's score less the lowest of the block; shape of the grid."""

    mean: Floats
    fragility: Floats


def plateau(score: Floats, numeric: Sequence[int]) -> Plateau:
    """How a score stands among its neighbours.

    score: one axis per parameter, values of numeric ones in ascending order, NaN where a cell is
    not ranked. numeric: the axes along which cells are neighbours; the block of a cell are all
    cells at most one step away on each of them, fewer at the border of the grid.
    """
    ranked = ~np.isnan(score)
    sums = np.where(ranked, score, 0.0)
    counts = ranked.astype(np.float64)
    blocks = np.ones(score.shape)
    lowest = np.where(ranked, score, np.inf)
    for axis in numeric:
        sums, counts, blocks = (_window(part, axis, np.add) for part in (sums, counts, blocks))
        lowest = _window(lowest, axis, np.minimum)
    kept = ranked & (2.0 * counts >= blocks)
    mean = np.where(kept, sums / np.maximum(counts, 1.0), np.nan)
    return Plateau(mean, np.where(kept, score - lowest, np.nan))


MOST_DENSE: Final = 5_000_000
"""Cells of a grid that is laid out whole, whatever few of them there are."""


def plateau_of_some(
    cells: Ints, score: Floats, shape: tuple[int, ...], numeric: Sequence[int]
) -> Plateau:
    """`plateau` where only some cells of a grid are known: the others are not ranked.

    cells: rising ids in a grid of that shape, (m,); score: theirs. Memory grows with m, not with
    the grid.
    """
    size = math.prod(shape)
    if size <= max(MOST_DENSE, 2 * len(cells)):
        laid_out = np.full(size, np.nan)
        laid_out[cells] = score
        found = plateau(laid_out.reshape(shape), numeric)
        return Plateau(*(values.ravel()[cells] for values in found))
    ranked = ~np.isnan(score)
    ids, known = cells[ranked], score[ranked]
    at = np.stack(np.unravel_index(ids, shape))
    blocks = _block_sizes(at, shape, numeric)
    asked = np.flatnonzero(2.0 * _at_most(at, shape, numeric) >= blocks)
    mean, lowest = _around(ids, known, asked, at, shape, numeric, blocks)
    found = Plateau(np.full(len(cells), np.nan), np.full(len(cells), np.nan))
    found.mean[ranked], found.fragility[ranked] = mean, known - lowest
    return found


def _block_sizes(at: Ints, shape: tuple[int, ...], numeric: Sequence[int]) -> Floats:
    """Cells of the block around each cell, ranked or not."""
    sizes: Floats = np.ones(at.shape[1])
    for axis in numeric:
        sizes *= 1.0 + (at[axis] > 0) + (at[axis] < shape[axis] - 1)
    return sizes


def _at_most(at: Ints, shape: tuple[int, ...], numeric: Sequence[int]) -> Floats:
    """No fewer than the ranked cells of each block: those near in the shortest axes, wherever
    they stand on the others."""
    axes: list[int] = []
    for axis in np.argsort(shape, kind="stable").tolist():
        if math.prod(shape[one] for one in (*axes, axis)) <= MOST_DENSE:
            axes.append(axis)
    if not axes:
        return np.full(at.shape[1], np.inf)
    short = tuple(shape[axis] for axis in axes)
    places = np.ravel_multi_index(tuple(at[axis] for axis in axes), short)
    counts = np.bincount(places, minlength=math.prod(short)).astype(np.float64).reshape(short)
    for place, axis in enumerate(axes):
        if axis in numeric:
            counts = _window(counts, place, np.add)
    found: Floats = counts.ravel()[places]
    return found


def _around(
    ids: Ints,
    score: Floats,
    asked: Ints,
    at: Ints,
    shape: tuple[int, ...],
    numeric: Sequence[int],
    blocks: Floats,
) -> tuple[Floats, Floats]:
    """Mean and lowest score of the blocks around the ranked cells at `asked`; NaN for the rest
    and where fewer than half of a block are ranked. A cell is given up as soon as it is sure."""
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    sums, counts, missing = (np.zeros(len(ids)) for _ in range(3))
    lowest = np.full(len(ids), np.inf)
    for steps in itertools.product((0, -1, 1), repeat=len(numeric)):
        inside = np.ones(len(asked), dtype=np.bool_)
        for axis, step in zip(numeric, steps, strict=True):
            if step:
                moved = at[axis, asked] + step
                inside &= (moved >= 0) & (moved < shape[axis])
        here = asked[inside]
        wanted = ids[here] + sum(
            step * int(strides[axis]) for axis, step in zip(numeric, steps, strict=True)
        )
        places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        there = ids[places] == wanted
        missing[here[~there]] += 1.0
        here, places = here[there], places[there]
        sums[here] += score[places]
        counts[here] += 1.0
        lowest[here] = np.minimum(lowest[here], score[places])
        asked = asked[2.0 * missing[asked] <= blocks[asked]]
        if not len(asked):
            break
    kept = np.zeros(len(ids), dtype=np.bool_)
    kept[asked] = True
    mean = np.where(kept, sums / np.maximum(counts, 1.0), np.nan)
    return mean, np.where(kept, lowest, np.nan)


def _window(values: Floats, axis: int, combine: np.ufunc) -> Floats:
    """Every value combined with the one before and the one after it along `axis`."""
    moved = np.moveaxis(values, axis, 0)
    found = moved.copy()
    combine(found[1:], moved[:-1], out=found[1:])
    combine(found[:-1], moved[1:], out=found[:-1])
    return np.moveaxis(found, 0, axis)


def pareto_front(points: Floats) -> Ints:
    """Indexes of the points that no other point beats, in ascending order.

    points: shape (m, k), finite, more is better in every column. A point beats another if it is
    nowhere worse and somewhere better; equal points stand together.
    """
    if not len(points):
        return np.empty(0, dtype=np.int64)
    # Most points are behind this one in everything, and are not even put in order.
    good = points[knee(points)]
    near = np.flatnonzero((points >= good).any(axis=1))
    left = points[near]
    total = np.sum([mean_ranks(column) for column in left.T], axis=0)
    # In this order nobody behind a point beats it, and the first ones beat most of the others.
    order = np.lexsort([*(-column for column in left.T[::-1]), -total])
    hopeful = order[_hopeful(np.ascontiguousarray(left[order]), MOST_SCANNED)]
    # Where goals pull apart hardly any point is beaten: comparing all pairs would take minutes.
    first = np.append(True, (left[hopeful[1:]] != left[hopeful[:-1]]).any(axis=1))  # of equal ones
    kept = _kept(left[hopeful[first]])
    return np.sort(near[hopeful[kept[np.cumsum(first) - 1]]])


MOST_SCANNED: Final = 256
"""Points of a front that every other one is held against."""

BOX: Final = 16
"""Points of the smallest boxes, at most."""


@numba.njit(cache=True, nogil=True)
def _hopeful(points: Floats, most: int) -> Flags:
    """Which points none of the first `most` unbeaten ones beats, shape (m,); equal points stand
    one behind the other."""
    count, goals = points.shape
    kept = np.zeros(count, dtype=np.bool_)
    front = np.empty(most, dtype=np.int64)
    length = 0
    for here in range(count):
        if here > 0 and (points[here] == points[here - 1]).all():
            kept[here] = kept[here - 1]
            continue
        beaten = False
        for place in range(length):
            other = front[place]
            beaten = True  # nowhere better; somewhere worse, as it is not equal
            for goal in range(goals):
                if points[here, goal] > points[other, goal]:
                    beaten = False
                    break
            if beaten:  # who beats one probably beats the next one
                front[place] = front[0]
                front[0] = other
                break
        if not beaten:
            kept[here] = True
            if length < most:
                front[length] = here
                length += 1
    return kept


def _kept(points: Floats) -> Flags:
    """Which of distinct points no other one beats, shape (m,)."""
    order = _boxed(points)
    kept = np.empty(len(points), dtype=np.bool_)
    kept[order] = _unbeaten(points[order], *_boxes(points[order]))
    return kept


def _levels(count: int) -> int:
    """How often `count` points are halved into boxes."""
    return max(math.ceil(math.log2(count / BOX)), 0)


def _boxed(points: Floats) -> Ints:
    """An order in which points near each other stand in boxes of equal size, in halves of halves.

    points: shape (m, k), m >= 1. Each box is halved along the goal in which it is widest.
    """
    order = np.arange(len(points))
    for level in range(_levels(len(points))):
        ends = np.arange(2**level + 1) * len(points) // 2**level
        halves = np.arange(2 ** (level + 1) + 1) * len(points) // 2 ** (level + 1)
        for low, middle, high in zip(ends[:-1], halves[1::2], ends[1:], strict=True):
            box = order[low:high]
            values = points[box]
            widest = int((values.max(axis=0) - values.min(axis=0)).argmax())
            order[low:high] = box[np.argpartition(values[:, widest], middle - low)]
    return order


def _boxes(points: Floats) -> tuple[Ints, Floats]:
    """Where each of the smallest boxes of points in boxed order begins, and the best of every box
    in each goal: the whole first, the halves of box i at 2i + 1 and 2i + 2."""
    count = 2 ** _levels(len(points))
    starts = np.arange(count + 1) * len(points) // count
    levels = [np.maximum.reduceat(points, starts[:-1])]
    while len(levels[0]) > 1:
        levels.insert(0, np.maximum(levels[0][::2], levels[0][1::2]))
    return starts, np.concatenate(levels)


@numba.njit(cache=True, nogil=True)
def _unbeaten(points: Floats, starts: Ints, best: Floats) -> Flags:
    """Which points no other one beats, shape (m,). points: in boxed order; starts, best: of their
    boxes."""
    count, goals = points.shape
    first_small = len(best) - (len(starts) - 1)
    kept = np.ones(count, dtype=np.bool_)
    waiting = np.empty(64, dtype=np.int64)  # two a level at most
    for here in range(count):
        waiting[0] = 0
        length = 1
        while length > 0 and kept[here]:
            length -= 1
            box = waiting[length]
            reaches = True
            for goal in range(goals):
                if best[box, goal] < points[here, goal]:
                    reaches = False
                    break
            if not reaches:
                continue
            if box < first_small:
                waiting[length], waiting[length + 1] = 2 * box + 1, 2 * box + 2
                length += 2
                continue
            small = box - first_small
            for other in range(starts[small], starts[small + 1]):
                better = False
                worse = False
                for goal in range(goals):
                    if points[other, goal] < points[here, goal]:
                        worse = True
                        break
                    if points[other, goal] > points[here, goal]:
                        better = True
                if better and not worse:
                    kept[here] = False
                    break
    return kept


def knee(points: Floats) -> int:
    """Index of the point of a front where giving up one goal for another stops paying.

    points: shape (f, k), f >= 1, more is better. Each column is stretched to 0..1 over the front;
    the knee is the highest sum, the first of equals. Of two goals that is the point farthest beyond
    the line through the best of each; of more it need not be the one farthest beyond their plane.
    Source: for two goals Das (1999), "On characterizing the 'knee' of the Pareto curve".
    """
    low, high = points.min(axis=0), points.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    return int(np.argmax(((points - low) / spread).sum(axis=1)))

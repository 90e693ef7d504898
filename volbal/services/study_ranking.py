"""How the cells of a study stand in one way of looking at it.

A ranking is computed from the stored metrics in one go and kept for the next question: paging,
sorting and drawing ask the same one again and again. More stored cells make a new one; while a
large study runs, not more often than leaves most of the time to the cells.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volbal.domain.policy import SHORTHANDS
from volbal.domain.study_states import StudyState
from volbal.engine.goals import (
    Constraint,
    Goal,
    Plateau,
    check_goals,
    passing,
    places,
    plateau_of_some,
    scores,
)
from volbal.engine.grid import Grid, Parameter
from volbal.engine.paths import Flags, Floats, Ints
from volbal.errors import InvalidInput, VolbalError
from volbal.services import study_life
from volbal.services.study_request import StudyRequest, request_from
from volbal.storage.database import Database
from volbal.storage.records import cells as cell_rows
from volbal.storage.records import studies as study_rows

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["feasible", "unranked", "rejected", "invalid"]
"""unranked: feasible, but a goal metric is undefined."""

STATUSES: Final[tuple[Status, ...]] = ("feasible", "unranked", "rejected", "invalid")
"""By the code that stands for each in a ranking, from best to worst."""

KEPT_CELLS: Final = 4_000_000
"""Cells of all rankings that a process keeps, about 80 bytes each."""

LARGE: Final = 50_000
"""Cells from which on the ranking of a running study may be older than the last stored chunk."""

LASTING: Final = 5.0
"""How long such a ranking serves, in the time that it took to make."""


@dataclass(frozen=True, slots=True)
class View:
    """symbol: None for the only one, or all of them pooled (metrics: means over the symbols;
    score: mean of the symbols' scores; feasible: in every symbol; a cell counts once every symbol
    has it). goals, constraints: None for those of the request. Raises InvalidInput for goals that
    do not work."""

    symbol: str | None = None
    goals: tuple[Goal, ...] | None = None
    constraints: tuple[Constraint, ...] | None = None

    def __post_init__(self) -> None:
        if self.goals is not None:
            check_goals(self.goals)


AS_ASKED: Final = View()
"""As the study's request has it."""


@dataclass(frozen=True)
class Ranking:
    """Every stored cell of a view, by rising cell_id, arrays of shape (m,).

    symbols: those it is of. status: place in STATUSES. fails: which cells fail each constraint,
    shape (constraints, m), in any symbol. rank: 1 is best, 0 unranked; score, plateau, fragility:
    NaN where there is none.
    """

    study_id: int
    request: StudyRequest
    symbols: tuple[str, ...]
    goals: tuple[Goal, ...]
    constraints: tuple[Constraint, ...]
    cell_id: Ints
    status: NDArray[np.int8]
    fails: Flags
    score: Floats
    rank: Ints
    plateau: Floats
    fragility: Floats

    @property
    def symbol(self) -> str | None:
        """The one it is of, None where several are pooled."""
        return self.symbols[0] if len(self.symbols) == 1 else None

    @cached_property
    def grid(self) -> Grid:
        return self.request.grid

    @cached_property
    def table(self) -> "pa.Table":
        """As the database joins it to the cells; failed: the first constraint a cell fails."""
        import pyarrow as pa  # slow to import

        failed = np.full(len(self.cell_id), -1, dtype=np.int16)
        for place in reversed(range(len(self.constraints))):
            failed[self.fails[place]] = place
        columns = {
            "cell_id": self.cell_id,
            "status": self.status,
            "failed": pa.array(failed, mask=failed < 0),
            "score": pa.array(self.score, from_pandas=True),
            "rank": pa.array(self.rank, mask=self.rank == 0),
            "plateau": pa.array(self.plateau, from_pandas=True),
            "fragility": pa.array(self.fragility, from_pandas=True),
        }
        return pa.table(columns)

    def having(self, *statuses: Status) -> Ints:
        """Places of the cells of these statuses."""
        return np.flatnonzero(np.isin(self.status, [STATUSES.index(one) for one in statuses]))

    def places_of(self, cells: Ints) -> Ints:
        """Places of those of `cells` that are stored, in their order."""
        if not len(self.cell_id):
            return np.empty(0, dtype=np.int64)
        places: Ints = np.minimum(np.searchsorted(self.cell_id, cells), len(self.cell_id) - 1)
        stored: Flags = self.cell_id[places] == cells
        return places[stored]

    def far_of(self, cells: Ints) -> Floats:
        """How far cells are from the request's policy, in steps of each parameter."""
        indexes = self.grid.value_indexes(cells)
        pairs = zip(self.request.parameters, indexes, strict=True)
        far: Floats = np.sum([distances(self.request, one)[index] for one, index in pairs], axis=0)
        return far

    def first_of(self, values: Floats, *, then: Floats) -> int | None:
        """The cell with the highest of `values`, of equals the one with the highest of `then`, of
        these the nearest to the request's policy: no setting is moved that moves nothing. None
        where none is defined."""
        if np.isnan(values).all():
            return None
        best = np.flatnonzero(values == np.nanmax(values))
        cells = self.cell_id[best[then[best] == np.max(then[best])]]
        return int(cells[np.argmin(self.far_of(cells))])

    @cached_property
    def best(self) -> int | None:
        """The cell with the best plateau."""
        return self.first_of(self.plateau, then=self.score)

    @cached_property
    def peak(self) -> int | None:
        """The cell with the best score."""
        return self.first_of(self.score, then=self.score)


def distances(request: StudyRequest, parameter: Parameter) -> Floats:
    """How far each value of a parameter is from what the request's policy has; a numeric one in
    mean steps."""
    if parameter.name == "ticks":
        given: list[Any] = [request.setup.ticks]
    elif parameter.name == "rebalance_ratio":
        given = [request.policy.ratio]
    else:
        fields = SHORTHANDS.get(parameter.name, (parameter.name,))
        given = [getattr(request.policy, one) for one in fields]
    if not parameter.numeric:
        return np.array([float(value != given[0]) for value in parameter.values])
    known = np.array(parameter.values, dtype=np.float64)
    step = (known[-1] - known[0]) / max(len(known) - 1, 1) or 1.0
    far: Floats = np.sum([np.abs(known - one) for one in given], axis=0) / step
    return far


def ranked(database: Database, study_id: int, view: View) -> Ranking:
    """The ranking of what is stored by now; of a large study that runs, of a moment ago.

    Raises StudyNotFound, InvalidInput.
    """
    with database.read() as connection:
        stored = study_life.find(connection, study_id)
        chunks = study_rows.count_chunks(connection, study_id)
    request = request_from(stored.request)
    symbols = _symbols(request, view.symbol)
    goals = request.goals if view.goals is None else view.goals
    constraints = request.constraints if view.constraints is None else view.constraints

    def made() -> Ranking:
        found = _standing(database, study_id, symbols, goals, constraints)
        blocks = _plateau(request, found)
        return Ranking(
            study_id, request, symbols, goals, constraints,
            found.cell_id, found.status, found.fails, found.score, places(found.score),
            blocks.mean, blocks.fragility,
        )  # fmt: skip

    if not chunks:  # a draft may change yet
        return made()
    key = (database, study_id, request.name, symbols, goals, constraints)
    runs = study_life.state_of(stored) is StudyState.RUNNING
    return _kept.get(key, chunks, made, runs=runs)


def prepare(database: Database, study_id: int, view: View) -> threading.Thread:
    """Rank what is stored by now in a thread of its own: who asks after it need not wait."""

    def rank() -> None:
        with suppress(VolbalError):  # who asks hears of it
            ranked(database, study_id, view)

    thread = threading.Thread(target=rank, name="volbal-ranking", daemon=True)
    thread.start()
    return thread


def request_of(database: Database, study_id: int) -> StudyRequest:
    """Raises StudyNotFound."""
    with database.read() as connection:
        return request_from(study_life.find(connection, study_id).request)


def _symbols(request: StudyRequest, symbol: str | None) -> tuple[str, ...]:
    if symbol is None:
        return request.symbols
    if symbol not in request.symbols:
        raise InvalidInput(
            "symbol", f"{symbol!r} is not in the study", f"choose {' or '.join(request.symbols)}"
        )
    return (symbol,)


class _Standing(NamedTuple):
    """Cells by rising cell_id, as in Ranking."""

    cell_id: Ints
    status: NDArray[np.int8]
    fails: Flags
    score: Floats

    def among(self, cells: Ints) -> "_Standing":
        """Of these cells only; `cells`: some of its own."""
        if len(cells) == len(self.cell_id):
            return self
        kept = np.searchsorted(self.cell_id, cells)
        return _Standing(cells, self.status[kept], self.fails[:, kept], self.score[kept])


def _standing(
    database: Database,
    study_id: int,
    symbols: tuple[str, ...],
    goals: tuple[Goal, ...],
    constraints: tuple[Constraint, ...],
) -> _Standing:
    """One symbol after the other, no longer in the database than it takes to read it."""
    names = sorted({goal.metric for goal in goals} | {one.metric for one in constraints})
    found = []
    for symbol in symbols:
        with database.read() as connection:
            columns = cell_rows.cell_columns(connection, study_id, symbol, names)
        found.append(_of_one(columns, goals, constraints))
    return found[0] if len(found) == 1 else _pooled(found)


def _of_one(
    columns: Mapping[str, NDArray[Any]],
    goals: tuple[Goal, ...],
    constraints: tuple[Constraint, ...],
) -> _Standing:
    valid = columns["valid"].astype(np.bool_)
    fails = np.empty((len(constraints), len(valid)), dtype=np.bool_)
    for row, constraint in zip(fails, constraints, strict=True):
        row[:] = valid & ~passing(constraint, columns[constraint.metric])
    score = scores(goals, columns, valid & ~fails.any(axis=0))
    return _Standing(columns["cell_id"], _status(valid, fails, score), fails, score)


def _pooled(found: list[_Standing]) -> _Standing:
    cells = reduce(np.intersect1d, [one.cell_id for one in found])
    found = [one.among(cells) for one in found]
    valid = found[0].status != STATUSES.index("invalid")  # the policy alone decides it
    fails = np.logical_or.reduce([one.fails for one in found])
    score = np.mean([one.score for one in found], axis=0)  # NaN where one is
    return _Standing(cells, _status(valid, fails, score), fails, score)


def _status(valid: Flags, fails: Flags, score: Floats) -> NDArray[np.int8]:
    codes = {name: np.int8(code) for code, name in enumerate(STATUSES)}
    found = np.where(np.isnan(score), codes["unranked"], codes["feasible"])
    found[fails.any(axis=0)] = codes["rejected"]
    found[~valid] = codes["invalid"]
    return found


def _plateau(request: StudyRequest, found: _Standing) -> Plateau:
    """Cells that are not stored, or not in the sample, count as not feasible."""
    shape = tuple(len(parameter.values) for parameter in request.parameters)
    numeric = [axis for axis, parameter in enumerate(request.parameters) if parameter.numeric]
    return plateau_of_some(found.cell_id, found.score, shape, numeric)


@dataclass(slots=True)
class _Entry:
    """A ranking, or the promise of one. chunks: those stored when it was asked for; until: when
    it is too old for a study that runs, in monotonic seconds."""

    chunks: int
    ranking: Future[Ranking]
    until: float = 0.0

    def serves(self, chunks: int, runs: bool) -> bool:
        """chunks: those stored by now; runs: whether there will be more soon."""
        if self.chunks == chunks:
            return True
        if not runs or not self.ranking.done():
            return runs
        large = len(self.ranking.result().cell_id) >= LARGE
        return large and time.monotonic() < self.until


class _Kept:
    """The rankings last asked for, up to KEPT_CELLS. Who asks for one in the making waits."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._known: OrderedDict[Hashable, _Entry] = OrderedDict()

    def get(
        self, key: Hashable, chunks: int, make: Callable[[], Ranking], *, runs: bool
    ) -> Ranking:
        with self._gate:
            entry = self._known.get(key)
            mine = entry is None or not entry.serves(chunks, runs)
            if entry is None or mine:
                entry = self._known[key] = _Entry(chunks, Future())
            self._known.move_to_end(key)
        if mine:
            self._fill(key, entry, make)
        return entry.ranking.result()

    def _fill(self, key: Hashable, entry: _Entry, make: Callable[[], Ranking]) -> None:
        began = time.monotonic()
        try:
            made = make()
        except BaseException as error:
            with self._gate:
                if self._known.get(key) is entry:
                    del self._known[key]
            entry.ranking.set_exception(error)
            return
        ended = time.monotonic()
        entry.until = ended + LASTING * (ended - began)
        entry.ranking.set_result(made)
        with self._gate:
            self._let_go_of_old()

    def _let_go_of_old(self) -> None:
        room = KEPT_CELLS
        for key, entry in reversed(list(self._known.items())):
            if entry.ranking.done():
                room -= max(len(entry.ranking.result().cell_id), 1_000)
                if room < 0 and key != next(reversed(self._known)):
                    del self._known[key]


_kept = _Kept()

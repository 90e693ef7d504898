"""The runner: one thread a process that works on its studies, one after the other.

It goes through the database only: what it is to do, how far it is, and whether it still is to go
on. A study whose row no longer says "running, mine" is let go at the next stored chunk.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from volbal import jobs
from volbal.config import Settings
from volbal.domain.policy import Policy
from volbal.domain.study_states import Step, StudyState
from volbal.engine.kernel import LANES, replay
from volbal.engine.paths import Floats, price_path
from volbal.errors import VolbalError
from volbal.services import study_life, study_prices
from volbal.services.study_life import OWNER
from volbal.services.study_plan import Plan, rows
from volbal.services.study_request import request_from
from volbal.storage.database import Database, DatabaseBusy
from volbal.storage.records import Connection
from volbal.storage.records import cells as cell_rows
from volbal.storage.records import studies as study_rows
from volbal.storage.rows import StoredStudy

if TYPE_CHECKING:
    import pyarrow as pa

LOG = logging.getLogger("volbal")

ROWS_AT_ONCE: Final = 10_000
STORE_SECONDS: Final = 0.5
"""Cells are stored together, not more often than this and not later than twice this."""

BEAT_SECONDS: Final = 3.0

Told = Callable[[int, int], None]
"""Told (cells completed, cells in all) whenever cells were stored."""


class _LetGo(Exception):
    """The study is no longer this process's: cancelled, or taken over by another one."""


def work(
    database: Database, study_id: int, *, workers: int | None = None, told: Told | None = None
) -> None:
    """Run a study that this process owns to its end, in this thread.

    What goes wrong is stored with the study, as failed. Returns quietly if it is let go; on any
    BaseException (Ctrl-C) it is left interrupted.
    """
    _given_up.discard(study_id)  # of an earlier run; a cancelled study's row says so itself
    try:
        with _signs_of_life(database):
            _Run(database, study_id, workers, told or (lambda completed, total: None)).all()
    except _LetGo:
        return
    except jobs.TaskFailed as error:
        _fail(database, study_id, f"A cell could not be simulated: {error}", error.cells)
    except VolbalError as error:
        _fail(database, study_id, str(error))
    except Exception as error:
        LOG.exception("Study %d failed", study_id)
        _fail(database, study_id, f"Unexpected {type(error).__name__}: {error}")
    except BaseException:
        interrupt(database, study_id)
        raise


@contextmanager
def _signs_of_life(database: Database) -> Iterator[None]:
    """Of all studies of this process, also while no chunk gets ready for long."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(VolbalError), database.write() as connection:
                study_rows.store_heartbeat(connection, OWNER, datetime.now(UTC))

    heart = threading.Thread(target=beat, name="volbal-studies-heart", daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()


class _Run:
    """One study on its way to the end."""

    def __init__(self, database: Database, study_id: int, workers: int | None, told: Told) -> None:
        self._database = database
        self._study_id = study_id
        self._workers = workers
        self._told = told
        self._ready: list[tuple[str, int, pa.Table]] = []
        self._stored_at = time.monotonic()
        self._completed = 0

    def all(self) -> None:
        plan = self._begin()
        self._told(self._completed, self._total)
        tasks = [
            jobs.Task(key, plan.grid, plan.chunk(place), plan.paths[symbol])
            for key, (symbol, place) in enumerate(self._left)
        ]
        dask = Settings.from_environment().dask_scheduler
        # Whatever happens here, nothing goes on there.
        with closing(
            jobs.evaluate_tasks(tasks, workers=self._workers, dask=dask, given_up=self._is_given_up)
        ) as arriving:
            for key, metrics in arriving:
                self._take(plan, *self._left[key], metrics)
        self._require_wanted()
        self._store(plan)
        self._complete()

    def _begin(self) -> Plan:
        with self._database.read() as connection:
            stored = study_life.find(connection, self._study_id)
            done = study_rows.stored_chunks(connection, self._study_id)
        request = request_from(stored.request)
        part = study_prices.searched(request)
        prepared = study_prices.prepared(self._database, request, part, stored.prices)
        plan = Plan(request, {symbol: one.paths for symbol, one in prepared.items()})
        prices = study_prices.described(prepared, part)
        study_prices.require_same(self._study_id, prices, stored.prices)
        self._left = [chunk for chunk in plan.chunks if chunk not in done]
        self._total = stored.total
        kept = sum(plan.valid_in(place) for _, place in done)
        self._completed = plan.invalid + kept
        with self._database.read() as connection:
            self._tried_before = _chunks_of_same(connection, stored, prices)
        now = datetime.now(UTC)
        with self._database.write() as connection:
            self._require_mine(study_life.find(connection, self._study_id))
            study_rows.store_run(
                connection,
                self._study_id,
                now,
                self._completed,
                plan.invalid,
                stored.prices or prices,
            )
        return plan

    def _take(self, plan: Plan, symbol: str, place: int, metrics: Floats) -> None:
        self._require_wanted()
        table = rows(self._study_id, symbol, plan.grid, plan.chunk(place), metrics)
        self._ready.append((symbol, place, table))
        waited = time.monotonic() - self._stored_at
        enough = sum(len(one) for _, _, one in self._ready) >= ROWS_AT_ONCE
        if waited >= 2 * STORE_SECONDS or (enough and waited >= STORE_SECONDS):
            self._store(plan)

    def _store(self, plan: Plan) -> None:
        """Cells and the marks of their chunks in one transaction: both or neither."""
        import pyarrow as pa  # slow to import

        if not self._ready:
            return
        arriving = pa.concat_tables([table for _, _, table in self._ready])
        simulated = sum(plan.valid_in(place) for _, place, _ in self._ready)
        while True:
            try:
                self._store_once(plan, arriving, simulated)
                break
            except DatabaseBusy as busy:  # somebody looks at the file: the cells wait
                LOG.warning("Study %d waits to store cells: %s", self._study_id, busy)
                self._require_wanted()
        self._ready.clear()
        self._stored_at = time.monotonic()
        self._completed += simulated
        self._told(self._completed, self._total)

    def _store_once(self, plan: Plan, arriving: "pa.Table", simulated: int) -> None:
        now = datetime.now(UTC)
        with self._database.write() as connection:
            self._require_mine(study_life.find(connection, self._study_id))
            cell_rows.insert_cells(connection, arriving)
            for symbol, place, _ in self._ready:
                study_rows.insert_chunk(connection, self._study_id, symbol, place, now)
                if (symbol, place) not in self._tried_before:
                    study_rows.count_trials(connection, symbol, plan.valid_in(place))
            study_rows.store_progress(connection, self._study_id, simulated, now)

    def _complete(self) -> None:
        now = datetime.now(UTC)
        with self._database.write() as connection:
            stored = study_life.find(connection, self._study_id)
            self._require_mine(stored)
            seconds = (now - (stored.run_at or now)).total_seconds()
            sentence = f"Completed: {stored.completed:,} cells, this run in {seconds:.1f} s."
            study_life.end(connection, stored, Step.COMPLETE, now, sentence)

    def _is_given_up(self) -> bool:
        return self._study_id in _given_up

    def _require_wanted(self) -> None:
        if self._is_given_up():
            raise _LetGo

    @staticmethod
    def _require_mine(stored: StoredStudy) -> None:
        if stored.owner != OWNER or stored.state is not StudyState.RUNNING:
            raise _LetGo


def _chunks_of_same(
    connection: Connection, stored: StoredStudy, prices: Mapping[str, Any]
) -> set[tuple[str, int]]:
    """Chunks of other studies that asked for the same cells of the same prices: what is simulated
    once more is no new trial."""
    asked = _cells_asked(stored.request, prices)
    chunks = [
        study_rows.stored_chunks(connection, one.study_id)
        for one in study_rows.all_studies(connection)
        if one.study_id != stored.study_id
        and one.prices is not None
        and _cells_asked(one.request, one.prices) == asked
    ]
    return set().union(*chunks)


def _cells_asked(request: Mapping[str, Any], prices: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What cells depend on; names, goals and constraints may differ."""
    ranking = ("name", "goals", "constraints")
    return [
        {name: value for name, value in request.items() if name not in ranking},
        {symbol: one["fingerprint"] for symbol, one in prices.items()},
    ]


def _fail(database: Database, study_id: int, error: str, failed: int = 0) -> None:
    now = datetime.now(UTC)
    with database.write() as connection:
        stored = study_life.find(connection, study_id)
        if stored.owner == OWNER and stored.state is StudyState.RUNNING:
            study_life.end(
                connection, stored, Step.FAIL, now, f"Failed: {error}", error=error, failed=failed
            )


def interrupt(database: Database, study_id: int) -> None:
    """This process works on it no longer; what is stored stays."""
    with database.write() as connection:
        stored = study_life.find(connection, study_id)
        if stored.owner == OWNER and stored.state is StudyState.RUNNING:
            study_life.interrupt(connection, stored, datetime.now(UTC))


_given_up: set[int] = set()
"""Studies of this process that are to be let go at once."""


def let_go(study_id: int) -> None:
    """Do not store another chunk of it."""
    _given_up.add(study_id)


class _Runner:
    """The thread of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news = threading.Condition()
        self._waiting = True
        self._stopping = False
        self._at_work: int | None = None
        self._thread = threading.Thread(target=self._run, name="volbal-studies", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        with self._news:
            self._waiting = True
            self._news.notify_all()

    def stop(self) -> None:
        with self._news:
            self._stopping = True
            if self._at_work is not None:
                let_go(self._at_work)
            self._news.notify_all()
        self._thread.join()
        self._interrupt_all()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._stopping)
                self._waiting = False
            self._work_all()
            if self._stopping:
                return

    def _work_all(self) -> None:
        while not self._stopping:
            try:
                with self._database.read() as connection:
                    study_id = study_rows.next_study(connection, OWNER)
            except VolbalError as error:
                LOG.warning("The studies that wait cannot be read yet: %s", error)
                time.sleep(STORE_SECONDS)
                continue
            if study_id is None:
                return
            with self._news:
                if self._stopping:
                    return
                _given_up.discard(study_id)
                self._at_work = study_id
            try:
                work(self._database, study_id)
            except VolbalError as error:
                LOG.error("The end of study %d could not be stored: %s", study_id, error)
                time.sleep(STORE_SECONDS)
            finally:
                self._at_work = None

    def _interrupt_all(self) -> None:
        with self._database.read() as connection:
            known = study_rows.all_studies(connection)
        mine = [one for one in known if one.owner == OWNER and one.state is StudyState.RUNNING]
        for one in mine:
            interrupt(self._database, one.study_id)


_gate = threading.Lock()
_runners: dict[Database, _Runner] = {}


def wake(database: Database) -> None:
    """There is something to do: start the thread if it does not run yet."""
    with _gate:
        if database not in _runners:
            _runners[database] = _Runner(database)
        _runners[database].wake()


def stop(database: Database | None = None) -> None:
    """End the thread of one database, or all; what is at work or waits becomes interrupted.

    Stored cells stay.
    """
    with _gate:
        ending = [one for one in _runners if database in (None, one)]
        runners = [_runners.pop(one) for one in ending]
    for runner in runners:
        runner.stop()


def seconds_of(steps: int, cells: int) -> float:
    """About how long so many bar-steps take on this machine, and to store so many cells; where
    that is long, beside what else it does at present."""
    cores = os.cpu_count() or 1
    computing, storing = steps * _seconds_per_step(), cells * STORE_SECONDS_PER_CELL
    started = PROCESS_SECONDS if steps > jobs.SMALL else 0.0
    # Cells are stored one after the other, while others are computed.
    alone = max((computing + storing) / cores, storing) + started
    if alone < LONG_SECONDS:
        return alone
    return alone * _slowdown(int(time.monotonic() / LOAD_SECONDS))


PROCESS_SECONDS: Final = 2.0
"""To start worker processes."""

STORE_SECONDS_PER_CELL: Final = 8e-6
"""Of one core: to take a cell over from its worker, lay it out, store and publish it."""


LONG_SECONDS: Final = 3.0
"""From here on what else the computer does is felt."""

LOAD_SECONDS: Final = 30.0
"""How long one look at it counts: who types is not to wait for another."""

LOOK_SECONDS: Final = 0.2
CLOCK_SECONDS: Final = 0.016
"""The longest tick of a thread's clock on any system."""


@lru_cache(maxsize=1)
def _slowdown(_look: int) -> float:
    """How much longer a thread takes for the others of the computer, >= 1."""
    began, used = time.perf_counter(), time.thread_time()
    while time.perf_counter() - began < LOOK_SECONDS:
        pass
    got = max(time.thread_time() - used, CLOCK_SECONDS)
    return max((time.perf_counter() - began) / got, 1.0)


@lru_cache(maxsize=1)
def _seconds_per_step() -> float:
    """Of one core, measured once: one batch over five years of daily closes."""
    days = 1_260
    times = np.datetime64("2020-01-01", "s") + np.arange(days) * np.timedelta64(1, "D")
    waves = 100.0 + 10.0 * np.sin(np.arange(days) * 0.1)
    path = price_path(times, waves)
    terms = np.repeat(np.array([Policy().terms]).T, LANES, axis=1)
    best = math.inf
    for _ in range(4):
        began = time.perf_counter()
        replay(path, terms, 50.0, 5_000.0)
        best = min(best, time.perf_counter() - began)
    return best / (LANES * days)

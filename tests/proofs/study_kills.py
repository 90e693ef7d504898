"""Proof: a study killed again and again ends as one that never was, bit for bit.

A child process works on the study with worker processes and says how far it is. Now one of its
workers is killed, now the child itself, at random moments; the next child resumes.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread

import numpy as np
import psutil
from books import NOW, tried

from volbal import jobs
from volbal.domain.study_states import Step, StudyState
from volbal.engine.grid import evaluate, exact_range
from volbal.engine.metrics import METRICS
from volbal.engine.paths import Floats
from volbal.services import studies, study_prices, study_runner
from volbal.services.research import Setup
from volbal.services.study_plan import Plan
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
"""Seconds after which something that must happen is given up."""

CHILD = """
import sys
from pathlib import Path
import study_kills
study_kills.work(Path(sys.argv[1]), *map(int, sys.argv[2:]))
"""


def request(ratios: int) -> StudyRequest:
    """220 cells for each of so many ratios and each of six shares, every eleventh invalid."""
    return StudyRequest(
        "Killed",
        ("AAPL", "MSFT", "IBM", "COST", "INTC", "MMM"),
        (
            exact_range("trigger_threshold", "0.005", "0.1", "0.005"),
            exact_range("rebalance_ratio", "0.1", str(ratios / 10), "0.1"),
            exact_range("min_stock_share", "0", "0.8", "0.08"),
        ),
        setup=Setup(start=date(2005, 1, 3), end=date(2014, 12, 31)),
    )


SMALL = request(100)
"""Just enough for worker processes instead of threads; twelve chunks."""


@dataclass
class Result:
    """How often a worker and the parent were killed, and in how many studies; the most seconds
    until the workers of a killed parent were gone."""

    worker_kills: int = 0
    parent_kills: int = 0
    studies: int = 1
    slowest_death: float = 0.0

    @property
    def kills(self) -> int:
        return self.worker_kills + self.parent_kills


@contextmanager
def records(path: Path) -> Iterator[Database]:
    database = Database(path, timeout=30.0)
    database.open()
    try:
        yield database
    finally:
        database.close()


def planned(database: Database, wanted: StudyRequest) -> Plan:
    known = study_prices.prepared(database, wanted, study_prices.searched(wanted))
    return Plan(wanted, {symbol: one.paths for symbol, one in known.items()})


def expected(plan: Plan) -> Floats:
    """Metrics of every cell by the kernel alone, shape (symbols, len(METRICS), cells)."""
    return np.stack([evaluate(plan.grid, plan.cells, paths) for paths in plan.paths.values()])


def stored(database: Database, study_id: int, plan: Plan) -> Floats:
    """The same as the database has it; fails where a cell is missing or stands twice."""
    names = ", ".join(metric.name for metric in METRICS)
    found = []
    with database.read() as connection:
        for symbol in plan.paths:
            columns = connection.execute(
                f"select cell_id, {names} from cells where study_id = ? and symbol = ? "
                "order by cell_id",
                [study_id, symbol],
            ).fetchnumpy()
            assert np.array_equal(columns.pop("cell_id"), plan.cells)
            found.append([np.ma.filled(column, np.nan) for column in columns.values()])
    return np.array(found)


def assert_same_bits(found: Floats, right: Floats) -> None:
    undefined = np.isnan(right)
    assert np.array_equal(np.isnan(found), undefined)
    other = (found.view(np.int64) != right.view(np.int64)) & ~undefined
    assert not other.any(), f"{other.sum()} metrics differ"


class Child:
    """A process that works on a study."""

    def __init__(self, path: Path, study_id: int, workers: int = 2, **environment: str) -> None:
        folders = map(str, [PROJECT, PROJECT / "tests", Path(__file__).parent])
        self._told, telling = os.pipe()  # DuckDB may print to the standard output
        with path.with_name("child.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(path), *map(str, [study_id, workers, telling])],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)} | environment,
                pass_fds=[telling],
                stdout=log,
                stderr=log,
            )
        os.close(telling)
        self.heard: list[int] = []
        """Cells stored, as told."""
        self._seen: set[psutil.Process] = set()
        self._listener = Thread(target=self._listen)
        self._listener.start()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._listener.join()

    def _listen(self) -> None:
        with os.fdopen(self._told) as told:
            for line in told:
                self.heard.append(int(line))

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def workers(self) -> list[psutil.Process]:
        """Its worker processes now."""
        found = []
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(self.process.pid).children():
                if any("LokyProcess" in word for word in one.cmdline()):
                    found.append(one)
        self._seen.update(found)
        return found

    def wait_for_workers(self) -> list[psutil.Process]:
        """None where it ends without, as where little is left to do."""
        until(lambda: self.ended or self.workers())
        return self.workers()

    def seconds_to_be_alone(self) -> float:
        """Until every worker it was seen with is gone."""
        began = time.monotonic()
        until(lambda: not any(map(_lives, self._seen)))
        return time.monotonic() - began


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def work(path: Path, study_id: int, workers: int, telling: int) -> None:
    """The child: start the study or resume it, and say how many cells are stored."""
    with records(path) as database:
        state = studies.get(database, study_id).state
        step = Step.START if state is StudyState.DRAFT else Step.RESUME
        studies.take(database, study_id, step, datetime.now(UTC))
        study_runner.work(
            database,
            study_id,
            workers=workers,
            told=lambda done, _: os.write(telling, b"%d\n" % done),
        )
    jobs.shutdown()


def prove(folder: Path, kills: int, seed: int, plan: Plan, right: Floats) -> Result:
    """Kill a worker and the parent in turn; in between check, at the end compare every bit."""
    chance, result = random.Random(seed), Result()
    path = folder / "volbal.duckdb"
    with records(path) as database:
        study_id = studies.create(database, plan.request, NOW).study_id
    while True:
        with Child(path, study_id) as child:
            if result.kills < kills:
                result.worker_kills += _kill_worker(child, chance)
                result.parent_kills += _kill_parent(child, chance)
            until(lambda: child.ended)
            result.slowest_death = max(result.slowest_death, child.seconds_to_be_alone())
        with records(path) as database:
            if _check(database, study_id, plan, child) is not StudyState.COMPLETED:
                continue
            assert_same_bits(stored(database, study_id, plan), right)
            if result.kills >= kills:
                return result
            study_id = studies.create(database, plan.request, NOW).study_id
            result.studies += 1


def _kill_worker(child: Child, chance: random.Random) -> bool:
    """At a random moment; False where it has none, or ended before."""
    until(lambda: child.ended or child.heard)
    child.wait_for_workers()
    time.sleep(chance.uniform(0.0, 0.5))
    victims = child.workers()
    if not victims:
        return False
    chance.choice(victims).kill()
    return True


def _kill_parent(child: Child, chance: random.Random) -> bool:
    """At a random moment, some chunks later; False where it ended before."""
    later = len(child.heard) + chance.randrange(3)
    until(lambda: child.ended or len(child.heard) > later)
    time.sleep(chance.uniform(0.0, 0.3))
    child.workers()
    child.process.kill()
    return child.process.wait() != 0


def _check(database: Database, study_id: int, plan: Plan, child: Child) -> StudyState:
    """Nothing lost, doubled, half or uncounted; returns where the study stands."""
    progress = studies.progress(database, study_id)
    with database.read() as connection:
        chunks = connection.execute(
            "select symbol, first_place from chunks where study_id = ?", [study_id]
        ).fetchall()
        cells = connection.execute(
            "select count(*), count(distinct (symbol, cell_id)) from cells where study_id = ?",
            [study_id],
        ).fetchone()
        simulated = connection.execute(
            "select symbol, count(distinct cell_id) from cells where valid group by symbol"
        ).fetchall()
    assert len(set(chunks)) == len(chunks)
    size = sum(len(plan.chunk(place)) for _, place in chunks)
    assert cells == (size, size)
    assert all(tried(database, symbol) == count for symbol, count in simulated)
    if child.heard:
        done = plan.invalid + sum(plan.valid_in(place) for _, place in chunks)
        assert child.heard == sorted(child.heard)
        assert progress.completed == done >= child.heard[-1]
    # One that was killed may have completed it just before.
    unfinished = [StudyState.DRAFT, StudyState.INTERRUPTED] if child.process.returncode else []
    assert progress.state in (StudyState.COMPLETED, *unfinished), progress
    assert (progress.percentage == 100.0) is (progress.state is StudyState.COMPLETED)
    return progress.state

"""`python bench/million.py [--workers N]`: a study of 1,000,000 cells over ten years of days.

While it runs, another thread asks what the screens ask. Prints cells per second, the memory of
all processes at its highest, the size of the file, and the slowest answer.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from volbal import jobs
from volbal.config import Settings
from volbal.domain.study_states import Step
from volbal.engine.grid import exact_range
from volbal.services import studies, study_runner
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database
from volbal.storage.session import opened

REQUEST = StudyRequest(
    "A million",
    ("AAPL",),
    (
        exact_range("trigger_threshold", "0.001", "0.1", "0.001"),
        exact_range("rebalance_ratio", "0.1", "10", "0.1"),
        exact_range("min_stock_share", "0", "0.495", "0.005"),
    ),
    setup=Setup(start=date(2013, 9, 23), end=date(2023, 9, 21)),
)
MEGABYTE = 1024 * 1024


class Watch:
    """Asks like a screen, and measures memory, until it is stopped."""

    def __init__(self, asks: dict[str, Callable[[], object]]) -> None:
        self._asks = asks
        self._over = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._ask, self._measure)]
        self.seconds: dict[str, list[float]] = {name: [] for name in asks}
        self.memory = {"parent": 0, "workers": 0, "all": 0}

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.wait(0.2):
            for name, ask in self._asks.items():
                began = time.perf_counter()
                ask()
                self.seconds[name].append(time.perf_counter() - began)

    def _measure(self) -> None:
        """Resident sizes added up: what processes share counts in each."""
        parent = psutil.Process()
        while not self._over.wait(0.1):
            own, others = parent.memory_info().rss, 0
            for one in parent.children(recursive=True):
                try:
                    others += one.memory_info().rss
                except psutil.Error:
                    continue
            for name, value in (("parent", own), ("workers", others), ("all", own + others)):
                self.memory[name] = max(self.memory[name], value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Settings(database=Path(folder) / "volbal.duckdb")) as database,
    ):
        _run(database, workers)


def _run(database: Database, workers: int) -> None:
    now = datetime.now(UTC)
    study_id = studies.create(database, REQUEST, now).study_id
    estimated = studies.estimate(database, REQUEST).seconds
    asks = {
        "progress": lambda: studies.progress(database, study_id),
        "list_studies": lambda: studies.list_studies(database),
    }
    with Watch(asks) as watch:
        began = time.perf_counter()
        studies.take(database, study_id, Step.START, now)
        study_runner.work(database, study_id, workers=workers)
        seconds = time.perf_counter() - began
    jobs.shutdown()
    seen = studies.progress(database, study_id)
    assert seen.percentage == 100.0, seen
    print(f"{seen.total:,} cells, {seen.invalid:,} invalid, {workers} workers")
    print(f"{seconds:.1f} s (estimated {estimated:.1f} s), {seen.total / seconds:,.0f} cells/s")
    print(", ".join(f"{k} {v / MEGABYTE:,.0f} MB" for k, v in watch.memory.items()), "at most")
    print(f"file {database.path.stat().st_size / MEGABYTE:,.0f} MB")
    for name, taken in watch.seconds.items():
        print(f"{name}: {len(taken)} times, slowest {max(taken) * 1000:,.0f} ms")


if __name__ == "__main__":
    main()

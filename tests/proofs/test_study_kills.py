"""Proof: who works on a study, and how often they are killed, changes no bit of it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from books import NOW
from study_kills import (
    PROJECT,
    SMALL,
    Child,
    assert_same_bits,
    expected,
    planned,
    prove,
    records,
    stored,
    until,
)

from volbal.domain.study_states import StudyState
from volbal.engine.paths import Floats
from volbal.services import studies, study_runner
from volbal.services.study_plan import Plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    with records(tmp_path_factory.mktemp("plan") / "volbal.duckdb") as database:
        return planned(database, SMALL)


@pytest.fixture(scope="module")
def right(plan: Plan) -> Floats:
    """Metrics of every cell by the kernel alone, in this process."""
    return expected(plan)


def test_a_study_killed_six_times_is_the_one_never_killed_bit_for_bit(
    tmp_path: Path, plan: Plan, right: Floats
) -> None:
    result = prove(tmp_path, 6, 3, plan, right)
    assert result.worker_kills > 0
    assert result.parent_kills > 0


@contextmanager
def started(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command of dask, as its user starts it, with volbal importable."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and its worker processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    log, port = folder / "dask.log", address.rpartition(":")[2]
    listen = ("--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0")
    place = ("--local-directory", str(folder), "--no-dashboard", "--no-nanny", "--nthreads", "1")
    with ExitStack() as all_of_it:
        all_of_it.enter_context(started("scheduler", *listen, log=log))
        team = [
            all_of_it.enter_context(started("worker", address, *place, log=log))
            for _ in range(workers)
        ]
        until(lambda: log.read_text().count("Registered to:") >= workers)
        yield address, team


def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bits_and_one_without_any_can_be_left(
    tmp_path: Path, plan: Plan, right: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "volbal.duckdb"
    with records(path) as database:
        study_id = studies.create(database, SMALL, NOW).study_id
    with cluster(tmp_path, 2) as (address, team):
        with Child(path, study_id, VOLBAL_DASK_SCHEDULER=address) as child:
            until(lambda: child.ended or (child.heard and child.heard[-1] > plan.invalid))
            stored_before = child.heard[-1]
            team[0].kill()
            until(lambda: child.ended)
        with records(path) as database:
            seen = studies.progress(database, study_id)
            assert (seen.state, seen.error, seen.percentage) == (StudyState.COMPLETED, None, 100.0)
            assert stored_before < seen.completed
            assert_same_bits(stored(database, study_id, plan), right)

            monkeypatch.setenv("VOLBAL_DASK_SCHEDULER", address)
            second = studies.rerun(database, study_id, datetime.now(UTC)).study_id
            until(lambda: studies.progress(database, second).completed > plan.invalid)
            team[1].kill()
            cancelled = studies.cancel(database, second, datetime.now(UTC))
            study_runner.stop(database)  # comes back
            assert cancelled.state is StudyState.CANCELLED
            assert studies.progress(database, second).completed < cancelled.progress.total


def test_a_cluster_that_is_not_there_fails_the_study_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "volbal.duckdb"
    with records(path) as database:
        study_id = studies.create(database, SMALL, NOW).study_id
    with Child(path, study_id, VOLBAL_DASK_SCHEDULER="tcp://127.0.0.1:1") as child:
        until(lambda: child.ended)
    with records(path) as database:
        seen = studies.progress(database, study_id)
    assert seen.state is StudyState.FAILED
    assert "Start the cluster" in str(seen.error)

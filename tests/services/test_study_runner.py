"""The runner: a queue of studies, and whose they are when processes come and go."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from books import NOW, tried

from volbal.domain.study_states import Step, StudyRunning, StudyState
from volbal.engine.grid import exact_range
from volbal.services import studies, study_life, study_prices, study_runner
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database
from volbal.storage.records import studies as study_rows

SOME = StudyRequest(
    "Some",
    ("AAPL",),
    (exact_range("trigger_threshold", "0.01", "0.05", "0.01"),),
    setup=Setup(start=date(2013, 1, 2), end=date(2014, 12, 30)),
)
MANY = replace(
    SOME,
    symbols=("AAPL", "MSFT", "IBM"),
    parameters=(*SOME.parameters, exact_range("rebalance_ratio", "0.01", "25", "0.01")),
)
"""37,500 cells."""
LONG = replace(
    MANY,
    parameters=(
        exact_range("trigger_threshold", "0.001", "0.075", "0.001"),
        exact_range("rebalance_ratio", "0.01", "25", "0.01"),
    ),
)
"""562,500 cells: sure to be met at work, and never worked off."""
PATIENCE = 120.0
GONE = f"elsewhere:{os.getpid()}:0"
"""A process of another machine: only its signs of life tell whether it works."""


@pytest.fixture
def runner(database: Database) -> Iterator[Database]:
    yield database
    study_runner.stop(database)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def draft(database: Database, request: StudyRequest = SOME) -> int:
    return studies.create(database, request, NOW).study_id


def state(database: Database, study_id: int) -> StudyState:
    return studies.progress(database, study_id).state


def taken_elsewhere(database: Database, study_id: int, last_sign: datetime) -> None:
    with database.write() as connection:
        study_rows.store_queued(connection, study_id, GONE, last_sign, 5)


def test_studies_wait_for_each_other_and_a_cancelled_one_leaves_the_queue_to_the_next(
    runner: Database,
) -> None:
    started = first, second, third = [draft(runner, LONG), draft(runner, MANY), draft(runner)]
    for study_id in started:
        studies.start(runner, study_id, datetime.now(UTC))
    assert [studies.progress(runner, one).ahead for one in started] == [0, 1, 2]
    studies.cancel(runner, first, datetime.now(UTC))
    at_cancel = studies.progress(runner, first).completed
    until(lambda: state(runner, third) is StudyState.COMPLETED)
    assert state(runner, second) is StudyState.COMPLETED
    ended = [studies.progress(runner, one).completed_at for one in (second, third)]
    assert ended == sorted(ended)
    seen = studies.progress(runner, first)
    assert (seen.state, seen.completed) == (StudyState.CANCELLED, at_cancel)
    assert at_cancel < seen.total


def test_only_long_estimates_count_what_else_the_computer_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = {}
    for slowdown in (1.0, 5.0):
        monkeypatch.setattr(study_runner, "_slowdown", lambda _, times=slowdown: times)
        alone[slowdown] = [study_runner.seconds_of(steps, 100) for steps in (10**4, 10**13)]
    (short, long), (same, slowed) = alone.values()
    assert (same, slowed) == (short, 5.0 * long)


def test_a_runner_that_stops_leaves_its_studies_interrupted_and_another_goes_on(
    runner: Database,
) -> None:
    first, second = draft(runner, LONG), draft(runner)
    studies.start(runner, first, datetime.now(UTC))
    studies.start(runner, second, datetime.now(UTC))
    study_runner.stop(runner)
    assert [state(runner, one) for one in (first, second)] == [StudyState.INTERRUPTED] * 2
    assert studies.progress(runner, first).completed_at is None  # it can go on
    stored = studies.progress(runner, first).completed
    studies.resume(runner, first, datetime.now(UTC))
    studies.resume(runner, second, datetime.now(UTC))
    until(lambda: studies.progress(runner, first).completed > stored)
    studies.cancel(runner, first, datetime.now(UTC))
    until(lambda: state(runner, second) is StudyState.COMPLETED)
    assert studies.progress(runner, second).percentage == 100.0


def test_a_study_whose_process_is_silent_is_interrupted_and_can_be_resumed(
    database: Database,
) -> None:
    study_id, now = draft(database), datetime.now(UTC)
    taken_elsewhere(database, study_id, now)
    assert state(database, study_id) is StudyState.RUNNING
    with pytest.raises(StudyRunning, match="with Ctrl-C where a command does"):
        studies.take(database, study_id, Step.RESUME, now)
    taken_elsewhere(database, study_id, now - study_life.SILENCE - timedelta(seconds=1))
    assert state(database, study_id) is StudyState.INTERRUPTED
    studies.take(database, study_id, Step.RESUME, now)
    study_runner.work(database, study_id)
    assert studies.progress(database, study_id).percentage == 100.0
    told = [event.state.value for event in studies.get(database, study_id).history]
    assert told == ["draft", "interrupted", "running", "completed"]


def test_a_server_that_starts_marks_studies_of_processes_that_are_gone(database: Database) -> None:
    study_id, working = draft(database), draft(database)
    taken_elsewhere(database, study_id, NOW)
    taken_elsewhere(database, working, datetime.now(UTC))
    study_life.interrupt_orphans(database, datetime.now(UTC))
    with database.read() as connection:
        stored = connection.execute("select state from studies order by study_id").fetchall()
    assert stored == [("interrupted",), ("running",)]


def test_who_lost_a_study_to_another_process_stores_nothing_more(database: Database) -> None:
    study_id = draft(database, MANY)
    studies.take(database, study_id, Step.START, NOW)

    def lose(completed: int, total: int) -> None:
        taken_elsewhere(database, study_id, datetime.now(UTC))

    study_runner.work(database, study_id, told=lose)
    with database.read() as connection:
        assert connection.execute("select count(*) from cells").fetchone() == (0,)
    assert state(database, study_id) is StudyState.RUNNING
    assert tried(database, "AAPL") == 0


def test_a_study_goes_on_only_with_the_prices_it_began_with(database: Database) -> None:
    study_id = draft(database)
    studies.take(database, study_id, Step.START, NOW)
    studies.cancel(database, study_id, NOW)
    prices = study_prices.described(study_prices.prepared(database, SOME, "whole"), "whole")
    prices["AAPL"]["fingerprint"] = "other"
    with database.write() as connection:
        study_rows.store_run(connection, study_id, NOW, 0, 0, prices)
    with pytest.raises(Exception, match="prices of AAPL have changed"):
        studies.resume(database, study_id, NOW)
    assert state(database, study_id) is StudyState.CANCELLED

"""`python bench/study_kills.py [KILLS]`: the proof of tests/proofs/study_kills.py at full size.

Kills workers and parents of a running study in turn, at random moments, resumes, and compares
every metric of every cell with the kernel's. Then the same study uninterrupted with 1, 2 and 4
workers, and how long a cancelled study goes on.
"""

import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(PROJECT / "tests" / "proofs")]

from books import NOW
from study_kills import (
    Child,
    assert_same_bits,
    expected,
    planned,
    prove,
    records,
    request,
    stored,
    until,
)

from volbal import jobs
from volbal.domain.study_states import Step
from volbal.engine.paths import Floats
from volbal.services import studies, study_runner
from volbal.services.study_plan import Plan

CANCELS = 10


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volbal.duckdb"
        with records(path) as database:
            plan = planned(database, request(400))
        right = expected(plan)
        print(f"{plan.request.combinations * len(plan.paths):,} cells, {len(plan.chunks)} chunks")
        print(prove(Path(folder), kills, 1, plan, right), flush=True)
        for workers in (1, 2, 4):
            _uninterrupted(path, plan, right, workers)
        _cancelled(path, plan)


def _uninterrupted(path: Path, plan: Plan, right: Floats, workers: int) -> None:
    with records(path) as database:
        study_id = studies.create(database, plan.request, NOW).study_id
    began = time.monotonic()
    with Child(path, study_id, workers) as child:
        until(lambda: child.ended)
    seconds = time.monotonic() - began
    with records(path) as database:
        assert studies.progress(database, study_id).percentage == 100.0
        assert_same_bits(stored(database, study_id, plan), right)
        studies.delete(database, study_id)
    print(f"{workers} workers: {seconds:.1f} s, the same bits", flush=True)


def _cancelled(path: Path, plan: Plan) -> None:
    """Cancel a study that runs in another thread, as a click does."""
    answers, ends = [], []
    with records(path) as database:
        for _ in range(CANCELS):
            study_id = studies.create(database, plan.request, NOW).study_id
            studies.take(database, study_id, Step.START, NOW)
            run = Thread(target=study_runner.work, args=[database, study_id])
            run.start()
            before = studies.progress(database, study_id).completed
            while studies.progress(database, study_id).completed <= max(before, plan.invalid):
                time.sleep(0.01)
            began = time.monotonic()
            studies.cancel(database, study_id, NOW)
            answers.append(time.monotonic() - began)
            run.join()
            ends.append(time.monotonic() - began)
    jobs.shutdown()
    print(
        f"{CANCELS} cancels: answered within {max(answers):.2f} s, work over in {max(ends):.2f} s"
    )


if __name__ == "__main__":
    main()

"""How long a screen waits for the results of a large study, and the memory it takes.

    python -m bench.results [CELLS] [FILE]

Runs a study of about CELLS (1,000,000) cells over a year of bundled prices into FILE (a temporary
one), unless it is there already, and asks for everything a screen shows.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from volbal.domain.study_states import Step
from volbal.engine.goals import Constraint, Goal, pareto_front
from volbal.engine.grid import Parameter
from volbal.engine.paths import Floats
from volbal.services import studies, study_results, study_runner
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest
from volbal.services.study_results import Filters, View
from volbal.storage.database import Database

OTHER = View(goals=(Goal("sharpe_ratio"), Goal("turnover", 0.3), Goal("ulcer_index")))


def request(cells: int) -> StudyRequest:
    count = round(cells ** (1 / 4))
    ratios = tuple(1.0 + 0.05 * i for i in range(count))
    return StudyRequest(
        f"{cells:,} cells",
        ("KO",),
        (
            Parameter("trigger_threshold", tuple(0.005 + 0.001 * i for i in range(count))),
            Parameter("rebalance_ratio", ratios),
            Parameter("min_stock_share", tuple(0.01 + 0.4 * i / count for i in range(count))),
            Parameter("max_stock_share", tuple(0.35 + 0.6 * i / count for i in range(count))),
        ),
        goals=(Goal("excess_return"), Goal("max_drawdown", 0.5)),
        constraints=(Constraint("fill_count", "min_value", 5.0),),
        setup=Setup(start=date(2013, 1, 2), end=date(2013, 12, 31)),
        max_cells=10_000_000,
    )


def main(cells: int = 1_000_000, file: Path | None = None) -> None:
    file = file or Path(tempfile.mkdtemp()) / "results.duckdb"
    database = Database(file)
    database.open()
    try:
        known = studies.list_studies(database)
        study_id = known[-1].study_id if known else run(database, request(cells))
        print(f"{study_results.counts(database, study_id).stored:,} cells, best first in s:")
        ask(database, study_id)
    finally:
        database.close()


def run(database: Database, asked: StudyRequest) -> int:
    now = datetime.now(UTC)
    study_id = studies.create(database, asked, now).study_id
    studies.take(database, study_id, Step.START, now)
    began = time.perf_counter()
    study_runner.work(database, study_id)
    print(f"ran in {time.perf_counter() - began:.1f} s")
    return study_id


def ask(database: Database, study_id: int) -> None:
    def told(name: str, what: Callable[[], Any]) -> None:
        began = time.perf_counter()
        found = what()
        seconds = time.perf_counter() - began
        size = f"{len(found) / 1e6:8.1f} MB" if isinstance(found, bytes) else " " * 11
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:38}{seconds:8.2f} s {size}   peak memory so far {peak:6.0f} MB", flush=True)

    given = database, study_id
    few = Filters(status=("feasible",), ranges={"cagr": (0.0, None), "plateau": (0.5, None)})
    axes = "trigger_threshold", "rebalance_ratio"
    told("another view: counts", lambda: study_results.counts(*given, OTHER))
    told("the same again", lambda: study_results.counts(*given, OTHER))
    told("page by plateau", lambda: study_results.page(*given))
    told("page by a metric", lambda: study_results.page(*given, sort="sharpe_ratio"))
    told("page 10,000 on", lambda: study_results.page(*given, offset=500_000))
    told("page, filtered", lambda: study_results.page(*given, filters=few))
    told("cell", lambda: study_results.cell(*given, 500_000))
    told("heatmap, best score", lambda: study_results.heatmap(*given, *axes, "score"))
    for aggregate in ("best", "median", "mean"):
        told(
            f"heatmap, {aggregate} cagr",
            lambda: study_results.heatmap(*given, *axes, "cagr", aggregate=aggregate),  # noqa: B023
        )
    held = {"min_stock_share": 0.01}
    told("heatmap, held", lambda: study_results.heatmap(*given, *axes, "cagr", fixed=held))
    told("Pareto front of 2", lambda: study_results.pareto(*given))
    told("Pareto front of 3", lambda: study_results.pareto(*given, OTHER))
    told("front of 50,000 on a sphere", lambda: pareto_front(sphere(50_000, 4)))
    told("slices", lambda: study_results.slices(*given, 500_000, "cagr"))
    told("parallel coordinates", lambda: study_results.parallel_sample(*given))
    told("comparison", lambda: study_results.compare(database, (study_id, study_id)))
    told("export parquet", lambda: study_results.export(*given, "parquet"))
    told("export csv", lambda: study_results.export(*given, "csv"))


def sphere(count: int, goals: int) -> Floats:
    """Points of which none beats another: the worst that a front can be asked of."""
    away = np.abs(np.random.default_rng(0).standard_normal((count, goals)))
    points: Floats = away / np.linalg.norm(away, axis=1, keepdims=True)
    return points


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, Path), sys.argv[1:], strict=False)))

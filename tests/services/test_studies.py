"""A study from its draft to its stored cells, over bundled prices."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from books import NOW, tried

from volbal.domain.study_states import Step, StudyState
from volbal.engine.bounds import EVERY_BOUND
from volbal.engine.goals import Goal
from volbal.engine.grid import Parameter, evaluate, exact_range
from volbal.engine.metrics import METRICS
from volbal.errors import InvalidInput
from volbal.services import studies, study_prices, study_runner
from volbal.services.research import Setup
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database

REQUEST = StudyRequest(
    "Two shares",
    ("AAPL", "MSFT"),
    (
        exact_range("trigger_threshold", "0.01", "0.05", "0.01"),
        exact_range("rebalance_ratio", "1.0", "3.0", "0.1"),
    ),
    setup=Setup(start=date(2013, 1, 2), end=date(2014, 12, 30)),
)
CELLS = 5 * 21


def completed(database: Database, request: StudyRequest = REQUEST) -> int:
    study_id = studies.create(database, request, NOW).study_id
    studies.take(database, study_id, Step.START, NOW)
    study_runner.work(database, study_id, workers=2)
    return study_id


def test_a_study_ends_at_exactly_one_hundred_percent_with_every_cell_once(
    database: Database,
) -> None:
    seen = studies.progress(database, completed(database))
    assert (seen.state, seen.error) == (StudyState.COMPLETED, None)
    assert (seen.completed, seen.total, seen.percentage) == (2 * CELLS, 2 * CELLS, 100.0)
    with database.read() as connection:
        row = connection.execute(
            "select count(*), count(distinct (symbol, cell_id)) from cells"
        ).fetchall()
    assert row == [(2 * CELLS, 2 * CELLS)]
    assert tried(database, "AAPL") == CELLS


def test_stored_metrics_are_those_of_the_kernel_bit_for_bit(database: Database) -> None:
    study_id = completed(database)
    part = study_prices.searched(REQUEST)
    paths = study_prices.prepared(database, REQUEST, part)["MSFT"].paths
    expected = evaluate(REQUEST.grid, np.arange(CELLS), paths)
    names = [metric.name for metric in METRICS]
    with database.read() as connection:
        stored = connection.execute(
            f"select {', '.join(names)} from cells where study_id = ? and symbol = 'MSFT' "
            "order by cell_id",
            [study_id],
        ).fetchall()
    found = np.array(stored, dtype=np.float64).T  # None becomes NaN
    np.testing.assert_array_equal(found, expected)


def test_invalid_cells_count_as_completed_at_once_and_are_no_trials(database: Database) -> None:
    sweep = (
        exact_range("min_stock_share", "0.2", "0.4", "0.1"),
        exact_range("max_stock_share", "0.3", "0.5", "0.1"),
    )
    request = replace(REQUEST, symbols=("AAPL",), parameters=sweep)
    assert (studies.estimate(database, request).valid, 9) == (6, request.combinations)
    seen = studies.progress(database, completed(database, request))
    assert (seen.completed, seen.invalid, seen.percentage) == (9, 3, 100.0)
    assert tried(database, "AAPL") == 6


def test_invalid_cells_are_counted_by_the_first_bound_they_break(database: Database) -> None:
    # Of 3 × 2 × 2 cells 4 have a trigger of 0; of the other 8 those with 0.4 ≥ 0.3 are no
    # guardrails: 2. Both counts are of two symbols.
    sweep = (
        Parameter("trigger_down", (0.0, 0.02, 0.03)),
        Parameter("min_stock_share", (0.2, 0.4)),
        Parameter("max_stock_share", (0.3, 0.5)),
    )
    found = studies.estimate(database, replace(REQUEST, parameters=sweep, max_cells=1000))
    told = [(EVERY_BOUND[place].fields[0], count) for place, count in found.broken]
    assert told == [("trigger_down", 8), ("min_stock_share", 4)]
    assert (found.valid, found.invalid) == (12, 12)


def test_a_split_of_symbols_of_unequal_ranges_is_cut_from_what_all_have(
    database: Database,
) -> None:
    request = replace(REQUEST, symbols=("AAPL", "KO"), setup=Setup(), split=True)
    parts = [study_prices.prepared(database, request, part) for part in ("search", "vault")]
    for symbol in request.symbols:
        searched, kept = (part[symbol].history for part in parts)
        # KO has prices from 2012-01-03 to 2014-12-31, AAPL before and after.
        assert (searched.first_date, kept.last_date) == (date(2012, 1, 3), date(2014, 12, 31))
    short = replace(request, setup=Setup(start=date(2014, 12, 22)))
    with pytest.raises(InvalidInput, match="KO 2014-12-22 to 2014-12-31"):
        studies.estimate(database, short)


def test_a_key_makes_one_study_and_a_deleted_one_stays_counted(database: Database) -> None:
    first = studies.create(database, REQUEST, NOW, key="once")
    assert studies.create(database, REQUEST, NOW, key="once").study_id == first.study_id
    study_id = completed(database)
    studies.delete(database, study_id)
    assert [one.study_id for one in studies.list_studies(database)] == [first.study_id]
    assert tried(database, "MSFT") == CELLS


def test_the_same_cells_of_the_same_prices_are_no_new_trials(database: Database) -> None:
    completed(database)
    again = replace(REQUEST, name="Again", goals=(Goal("cagr"),))
    assert studies.progress(database, completed(database, again)).percentage == 100.0
    assert tried(database, "MSFT") == CELLS
    completed(database, replace(REQUEST, setup=replace(REQUEST.setup, stock_share=0.6)))
    assert tried(database, "MSFT") == 2 * CELLS


def test_a_cancelled_study_stores_nothing_more_until_it_is_resumed(database: Database) -> None:
    study_id = studies.create(database, REQUEST, NOW).study_id
    studies.take(database, study_id, Step.START, NOW)
    studies.cancel(database, study_id, NOW)
    study_runner.work(database, study_id, workers=2)
    seen = studies.progress(database, study_id)
    assert (seen.state, seen.completed) == (StudyState.CANCELLED, 0)
    studies.take(database, study_id, Step.RESUME, NOW)
    study_runner.work(database, study_id, workers=2)
    assert studies.progress(database, study_id).percentage == 100.0


@pytest.mark.parametrize("cap", [0, -1, 20_000_000])
def test_a_cap_out_of_range_is_refused(cap: int) -> None:
    with pytest.raises(Exception, match="max_cells"):
        replace(REQUEST, max_cells=cap)

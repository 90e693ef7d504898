"""Results of real studies, against a second computation of everything with pandas and loops."""

import io
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet
import pytest
from books import NOW, opened, tried

from volbal.domain.policy import Policy
from volbal.domain.study_states import Step
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter, evaluate, exact_range
from volbal.engine.metrics import METRICS
from volbal.errors import InvalidInput
from volbal.services import (
    exports,
    positions,
    settings,
    studies,
    study_plan,
    study_prices,
    study_ranking,
    study_results,
    study_runner,
    study_sides,
    study_table,
)
from volbal.services.research import Setup, simulate
from volbal.services.study_life import StudyNotFound
from volbal.services.study_prices import PricesChanged
from volbal.services.study_request import StudyRequest
from volbal.services.study_results import Filters, VaultOpened, View
from volbal.storage.database import Database
from volbal.storage.records import cells as cell_rows
from volbal.storage.records import studies as study_rows

NAMES = [metric.name for metric in METRICS]
STATUSES = ("feasible", "unranked", "rejected", "invalid")
REQUEST = StudyRequest(
    "Two shares",
    ("KO", "AAPL"),
    (
        exact_range("trigger_threshold", "0.01", "0.06", "0.01"),
        exact_range("min_stock_share", "0.3", "0.8", "0.1"),  # 0.8 is above max_stock_share
        Parameter("auto_rebalance", (True, False)),
    ),
    goals=(Goal("excess_return"), Goal("max_drawdown", 0.5)),
    constraints=(
        Constraint("fill_count", "min_value", 8.0),
        Constraint("avg_stock_share", "in_range", (0.3, 0.62)),
    ),
    setup=Setup(start=date(2013, 1, 2), end=date(2014, 6, 30)),
)
SPLIT = replace(
    REQUEST,
    name="Split",
    symbols=("KO",),
    constraints=(),
    split=True,
    parameters=(
        exact_range("trigger_threshold", "0.01", "0.06", "0.001"),
        exact_range("rebalance_ratio", "1", "3", "0.5"),
    ),
)
SAMPLED = replace(REQUEST, name="Sampled", symbols=("AAPL",), constraints=(), max_cells=60, seed=3)


@dataclass(frozen=True)
class Run:
    """Studies that ran once for all tests; nobody changes their cells."""

    database: Database
    two: int
    split: int
    sampled: int

    def __iter__(self) -> Iterator[Any]:
        return iter((self.database, self.two))


def completed(database: Database, request: StudyRequest) -> int:
    study_id = studies.create(database, request, NOW).study_id
    studies.take(database, study_id, Step.START, NOW)
    study_runner.work(database, study_id, workers=1)
    return study_id


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with opened(tmp_path_factory.mktemp("results") / "volbal.duckdb") as database:
        yield Run(database, *(completed(database, one) for one in (REQUEST, SPLIT, SAMPLED)))


def stored(database: Database, study_id: int, symbol: str) -> pd.DataFrame:
    """The cells as they lie in the table, by cell_id."""
    columns = ", ".join(["cell_id", "valid", *NAMES])
    with database.read() as connection:
        frame = connection.execute(
            f"select {columns} from cells where study_id = ? and symbol = ? order by cell_id",
            [study_id, symbol],
        ).df()
    return frame.set_index("cell_id")


def keeps(constraint: Constraint, value: float) -> bool:
    """What each kind of constraint means, in words of Python."""
    low, high = constraint.ends[0], constraint.ends[-1]
    return {
        "min_value": value >= low,
        "max_value": value <= high,
        "equal": value == low,
        "not_equal": value == value and value != low,  # noqa: PLR0124
        "in_range": low <= value <= high,
        "out_of_range": value < low or value > high,
    }[constraint.kind]


def expected(
    database: Database, request: StudyRequest, study_id: int, symbols: tuple[str, ...], view: View
) -> pd.DataFrame:
    """status, score, rank, plateau, fragility of every cell by a slow second way."""
    goals = request.goals if view.goals is None else view.goals
    constraints = request.constraints if view.constraints is None else view.constraints
    scores, fails = [], []
    for symbol in symbols:
        cells = stored(database, study_id, symbol)
        failing = pd.DataFrame(
            {
                str(one): cells["valid"] & ~cells[one.metric].map(lambda v, one=one: keeps(one, v))
                for one in constraints
            },
            index=cells.index,
        ).astype(bool)
        usable = cells[cells["valid"] & ~failing.any(axis=1)]
        usable = usable.dropna(subset=[goal.metric for goal in goals if goal.weight > 0.0])
        total = 0.0
        for goal in goals:
            rank = usable[goal.metric].rank(method="average", ascending=goal.sign > 0.0)
            z = (rank - 1.0) / (len(usable) - 1.0) if len(usable) > 1 else rank
            total = total + goal.weight * z
        scores.append((total / sum(goal.weight for goal in goals)).reindex(cells.index))
        fails.append(failing)
    frame = pd.DataFrame({"score": sum(scores) / len(scores)})
    failing = sum(one.astype(int) for one in fails) > 0
    frame["status"] = np.where(frame["score"].isna(), "unranked", "feasible")
    frame.loc[failing.any(axis=1), "status"] = "rejected"
    frame.loc[~cells["valid"], "status"] = "invalid"
    frame["rank"] = frame["score"].rank(method="min", ascending=False)
    frame["plateau"] = frame["fragility"] = np.nan
    shape = [len(one.values) for one in request.parameters]
    reach = [(-1, 0, 1) if one.numeric else (0,) for one in request.parameters]
    for cell_id in frame.index:
        here = np.unravel_index(cell_id, shape)
        block = [tuple(map(sum, zip(here, steps, strict=True))) for steps in product(*reach)]
        block = [at for at in block if all(0 <= i < n for i, n in zip(at, shape, strict=True))]
        ids = [int(np.ravel_multi_index(at, shape)) for at in block]
        around = frame["score"].reindex(ids).dropna()
        own = frame.at[cell_id, "score"]
        if not np.isnan(own) and 2 * len(around) >= len(block):
            frame.at[cell_id, "plateau"] = around.mean()
            frame.at[cell_id, "fragility"] = own - around.min()
    for constraint in constraints:
        frame[str(constraint)] = failing[str(constraint)]
    return frame


def whole(database: Database, study_id: int, view: View = study_results.AS_ASKED) -> pd.DataFrame:
    page = study_results.page(database, study_id, view, sort="cell_id", limit=10_000)
    assert page.total == len(page.rows)
    return page.rows.set_index("cell_id")


VIEWS = [
    View(),
    View("KO"),
    View("AAPL"),
    View("AAPL", goals=(Goal("fill_count", 1.0, "down"), Goal("turnover", 2.0))),  # many ties
    View("KO", goals=(Goal("sharpe_ratio", 3.0), Goal("ulcer_index"), Goal("cagr", 0.0))),
    View(goals=(Goal("volatility", 1.0, "up"),), constraints=()),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_ranks_as_the_specification_says(run: Run, view: View) -> None:
    symbols = REQUEST.symbols if view.symbol is None else (view.symbol,)
    truth = expected(run.database, REQUEST, run.two, symbols, view)
    found = whole(run.database, run.two, view)
    assert found["status"].tolist() == truth["status"].tolist()
    for name in ("score", "rank", "plateau", "fragility"):
        np.testing.assert_allclose(found[name], truth[name], rtol=0, atol=1e-12, err_msg=name)
    assert truth["plateau"].notna().sum() > 10


@pytest.mark.parametrize("view", VIEWS[:3])
def test_counts_add_up_and_say_why_cells_are_rejected(run: Run, view: View) -> None:
    symbols = REQUEST.symbols if view.symbol is None else (view.symbol,)
    truth = expected(run.database, REQUEST, run.two, symbols, view)
    found = study_results.counts(run.database, run.two, view)
    assert (found.total, found.stored) == (72, 72)
    seen = {name: int((truth["status"] == name).sum()) for name in STATUSES}
    assert seen == {name: getattr(found, name) for name in STATUSES}
    assert found.invalid == 12
    assert min(found.feasible, found.rejected) > 0
    assert found.rejected_by == {str(one): truth[str(one)].sum() for one in REQUEST.constraints}
    by_plateau = truth.sort_values(["plateau", "score"], ascending=False, kind="stable")
    assert found.best == by_plateau.index[0]
    assert found.peak == truth["score"].idxmax()
    nearest = REQUEST.grid.cell(found.default)  # the standard policy: 0.03, 0.25, true
    assert nearest == {"trigger_threshold": 0.03, "min_stock_share": 0.3, "auto_rebalance": True}


def test_the_sentence_counts_the_simulated_cells_and_names_the_worst_constraint_first() -> None:
    seen = study_results.Counts(
        total=500, stored=420, invalid=20, feasible=80, unranked=8, rejected=312,
        rejected_by={"fill_count >= 8": 60, "max_drawdown >= -0.3": 290, "cagr <= 1": 0},
        best=None, peak=None, default=0, on_grid=True,
    )  # fmt: skip
    told = "312 of 400 rejected: 290 by max_drawdown >= -0.3, 60 by fill_count >= 8"
    assert seen.sentence == told
    assert replace(seen, rejected=0, rejected_by={}).sentence == "0 of 400 rejected"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("min_value", 10.0, "fill_count >= 10"),
        ("max_value", 10.0, "fill_count <= 10"),
        ("equal", None, "fill_count equal to "),
        ("not_equal", None, "fill_count not equal to "),
        ("in_range", (10.0, 40.0), "fill_count from 10 to 40"),
        ("out_of_range", (10.0, 40.0), "fill_count outside 10 to 40"),
    ],
)
def test_every_kind_of_constraint_rejects_what_it_should(
    run: Run, kind: Any, value: Any, text: str
) -> None:
    cells = stored(run.database, run.two, "KO")
    value = float(cells["fill_count"].mode()[0]) if value is None else value
    constraint = Constraint("fill_count", kind, value)
    assert str(constraint).startswith(text)
    view = View("KO", constraints=(constraint,))
    truth = [keeps(constraint, one) for one in cells["fill_count"]]
    rejected = cells.index[cells["valid"] & ~np.array(truth)]
    found = whole(run.database, run.two, view)
    assert found.index[found["status"] == "rejected"].tolist() == rejected.tolist()
    assert 0 < len(rejected) < int(cells["valid"].sum())
    assert set(found.loc[rejected, "rejected_by"]) == {"fill_count"}


def test_an_undefined_goal_leaves_a_feasible_cell_unranked_with_the_reason(run: Run) -> None:
    cells = stored(run.database, run.two, "KO")
    undefined = cells.index[cells["valid"] & cells["profit_factor"].isna()]
    assert 0 < len(undefined) < cells["valid"].sum()
    view = View("KO", goals=(Goal("profit_factor"),), constraints=())
    found = whole(run.database, run.two, view)
    assert found.index[found["status"] == "unranked"].tolist() == undefined.tolist()
    one = study_results.cell(run.database, run.two, int(undefined[0]), view)
    assert (one.status, one.rank, one.symbol) == ("unranked", None, "KO")
    assert one.undefined["profit_factor"] == "no sell lost money"
    assert study_results.counts(run.database, run.two, view).unranked == len(undefined)
    weightless = View("KO", (Goal("profit_factor", 0.0), Goal("cagr")), ())
    assert study_results.counts(run.database, run.two, weightless).unranked == 0


def test_other_weights_and_directions_rank_anew_without_running_a_cell(run: Run) -> None:
    def chunks() -> int:
        with run.database.read() as connection:
            return study_rows.count_chunks(connection, run.two)

    before = chunks()
    one = whole(run.database, run.two, View("KO", (Goal("cagr"), Goal("volatility", 0.1))))
    other = whole(run.database, run.two, View("KO", (Goal("cagr", 0.1), Goal("volatility"))))
    assert not one["rank"].equals(other["rank"])
    up = whole(run.database, run.two, View("KO", (Goal("turnover", 1.0, "up"),)))["score"]
    down = whole(run.database, run.two, View("KO", (Goal("turnover"),)))["score"]
    np.testing.assert_allclose(up, 1.0 - down, rtol=0, atol=1e-12)
    assert chunks() == before


def test_pooled_metrics_are_means_over_the_symbols(run: Run) -> None:
    frames = [stored(run.database, run.two, symbol)[NAMES] for symbol in REQUEST.symbols]
    mean = sum(frames) / 2.0  # undefined where one is
    found = whole(run.database, run.two)
    np.testing.assert_allclose(found[NAMES], mean, rtol=1e-12, atol=0)
    one = study_results.cell(run.database, run.two, 5)
    assert one.symbol is None
    assert one.metrics["cagr"] == pytest.approx(mean.at[5, "cagr"], rel=1e-12)


@pytest.mark.parametrize(
    ("sort", "descending"),
    [("plateau", None), ("rank", None), ("turnover", None), ("cagr", False), ("cell_id", True)],
)
def test_pages_put_together_are_the_whole_table_in_order(
    run: Run, sort: str, descending: bool | None
) -> None:
    view = View("AAPL")
    pages = [
        study_results.page(
            run.database, run.two, view, sort=sort, descending=descending, limit=10, offset=at
        )
        for at in range(0, 80, 10)
    ]
    assert {page.total for page in pages} == {72}
    rows = pd.concat([page.rows for page in pages])
    ascending = sort in ("rank", "turnover") if descending is None else not descending
    truth = whole(run.database, run.two, view).reset_index()
    truth = truth.sort_values([sort, "cell_id"], ascending=[ascending, True], na_position="last")
    assert rows["cell_id"].tolist() == truth["cell_id"].tolist()


def test_a_goal_turns_the_order_of_its_column(run: Run) -> None:
    view = View("KO", (Goal("turnover", 1.0, "up"),))
    rows = study_results.page(run.database, run.two, view, sort="turnover", limit=3).rows
    assert rows["turnover"].is_monotonic_decreasing


def test_filters_keep_exactly_what_they_say(run: Run) -> None:
    view = View("KO")
    rows = whole(run.database, run.two, view)
    low = float(rows["cagr"].median())
    filters = Filters(
        status=("feasible", "rejected"),
        ranges={"cagr": (low, None), "min_stock_share": (0.4, 0.6)},
        values={"auto_rebalance": (True,), "trigger_threshold": (0.01, 0.02, 0.05)},
    )
    kept = rows[
        rows["status"].isin(["feasible", "rejected"])
        & (rows["cagr"] >= low)
        & rows["min_stock_share"].between(0.4, 0.6)
        & rows["auto_rebalance"]
        & rows["trigger_threshold"].isin([0.01, 0.02, 0.05])
    ]
    page = study_results.page(run.database, run.two, view, sort="cell_id", filters=filters)
    assert len(kept) > 2
    assert page.rows["cell_id"].tolist() == kept.index.tolist()
    assert page.total == len(kept)
    plateaus = Filters(ranges={"plateau": (0.5, None), "rank": (None, 20.0)})
    few = study_results.page(run.database, run.two, view, filters=plateaus)
    assert few.total == ((rows["plateau"] >= 0.5) & (rows["rank"] <= 20)).sum() > 0
    named = Filters(values={"cell_id": (70, 3, 900)})
    assert study_results.page(run.database, run.two, view, filters=named).total == 2


@pytest.mark.parametrize("aggregate", ["best", "median", "mean"])
@pytest.mark.parametrize(
    ("x", "y", "metric", "fixed"),
    [
        ("trigger_threshold", "min_stock_share", "excess_return", {}),
        ("min_stock_share", "auto_rebalance", "turnover", {}),
        ("auto_rebalance", "trigger_threshold", "plateau", {}),
        ("trigger_threshold", "min_stock_share", "cagr", {"auto_rebalance": False}),
        ("auto_rebalance", "trigger_threshold", "fragility", {"min_stock_share": 0.4}),
    ],
)
def test_a_heatmap_sums_up_the_best_class_of_each_pair(
    run: Run, x: str, y: str, metric: str, fixed: dict[str, Any], aggregate: Any
) -> None:
    view = View("KO")
    found = study_results.heatmap(
        run.database, run.two, x, y, metric, view, fixed=fixed, aggregate=aggregate
    )
    rows = whole(run.database, run.two, view).reset_index()
    for name, value in fixed.items():
        rows = rows[rows[name] == value]
    best = "min" if metric in ("turnover", "fragility") else "max"
    shown = found.cells.set_index([x, y])
    assert len(shown) == len(rows.groupby([x, y]))
    for pair, group in rows.groupby([x, y]):
        status = min(group["status"], key=STATUSES.index)
        cells = group[group["status"] == status]
        value = cells[metric].agg(best if aggregate == "best" else aggregate)
        one = shown.loc[pair]
        assert (one["status"], one["count"]) == (status, len(group))
        assert one["value"] == pytest.approx(value, rel=1e-12, nan_ok=True)
        away = (cells[metric] - value).abs()
        if away.notna().any():
            named = cells[cells["cell_id"] == one["cell_id"]]
            assert abs(named[metric].item() - value) == pytest.approx(away.min(), abs=1e-12)
    told, values = found.statistics, shown["value"].dropna()
    assert (told.min, told.max) == (values.min(), values.max())
    assert told.mean == pytest.approx(values.mean())
    assert told.median == pytest.approx(values.median())
    invalid = int((shown["status"] == "invalid").sum())
    assert (told.count, told.invalid_count) == (len(shown), invalid)
    assert told.valid_count == len(shown) - invalid
    known = {one.name: one.values for one in REQUEST.parameters}
    assert (found.x_values, found.y_values) == (known[x], known[y])


@pytest.mark.parametrize(
    "goals",
    [
        (Goal("excess_return"), Goal("max_drawdown", 0.0)),
        (Goal("cagr"), Goal("volatility"), Goal("fill_count", 1.0, "down")),
        (Goal("calmar_ratio"),),
    ],
)
@pytest.mark.parametrize("symbol", [None, "AAPL"])
def test_nobody_beats_the_front_and_everybody_else_is_beaten(
    run: Run, goals: tuple[Goal, ...], symbol: str | None
) -> None:
    view = View(symbol, goals, ())
    found = study_results.pareto(run.database, run.two, view)
    rows = whole(run.database, run.two, view)
    points = rows[rows["status"] == "feasible"][[goal.metric for goal in goals]]
    signed = points * [goal.sign for goal in goals]
    truth = [
        cell
        for cell, own in signed.iterrows()
        if not ((signed >= own).all(axis=1) & (signed > own).any(axis=1)).any()
    ]
    assert sorted(found.front["cell_id"]) == truth
    assert (found.front[goals[0].metric] * goals[0].sign).is_monotonic_decreasing
    assert found.knee in truth
    assert set(found.cloud["cell_id"]) == set(points.index) - set(truth)
    few = study_results.pareto(run.database, run.two, view, most=5)
    assert len(few.cloud) == 5
    assert few.size == found.size == len(truth)
    assert len(few.front) <= 6
    assert set(few.front["cell_id"]) >= {found.knee, found.front["cell_id"].iloc[0]}


def test_slices_change_one_parameter_at_a_time(run: Run) -> None:
    found = study_results.slices(run.database, run.two, 17, "cagr", View("KO"))
    rows = whole(run.database, run.two, View("KO"))
    own = REQUEST.grid.cell(17)
    assert len(found) == 6 + 6 + 2
    for _, one in found.iterrows():
        assert REQUEST.grid.cell(one["cell_id"]) == own | {one["parameter"]: one["value"]}
        assert one["status"] == rows.at[one["cell_id"], "status"]
        np.testing.assert_equal(one["cagr"], rows.at[one["cell_id"], "cagr"])


def test_a_parallel_sample_holds_the_best_and_spreads_over_the_rest(run: Run) -> None:
    view = View("KO")
    found = study_results.parallel_sample(run.database, run.two, view, most=20)
    best = study_results.page(run.database, run.two, view, sort="rank", limit=10).rows
    assert found["cell_id"].tolist()[:10] == best["cell_id"].tolist()
    assert (len(found), found["cell_id"].is_unique) == (20, True)
    assert "invalid" not in set(found["status"])
    every = study_results.parallel_sample(run.database, run.two, view)
    assert len(every) == 60


@pytest.mark.parametrize("cell_id", [0, 27, 61])
@pytest.mark.parametrize("symbol", ["KO", "AAPL"])
def test_the_simulation_of_a_cell_has_the_metrics_of_the_cell(
    run: Run, symbol: str, cell_id: int
) -> None:
    seen = study_results.simulate_cell(run.database, run.two, cell_id, symbol)
    one = study_results.cell(run.database, run.two, cell_id, View(symbol))
    for name, value in one.metrics.items():
        assert seen.metrics[name] == pytest.approx(value, rel=1e-12, abs=1e-12, nan_ok=True)
    assert seen.policy == study_results.cell_policy(run.database, run.two, cell_id)


def test_a_cell_of_a_split_study_is_simulated_on_the_search_part_only(run: Run) -> None:
    seen = study_results.simulate_cell(run.database, run.split, 100)
    one = study_results.cell(run.database, run.split, 100)
    assert seen.metrics["cagr"] == pytest.approx(one.metrics["cagr"], rel=1e-12)
    assert seen.prepared.history.last_date < date(2013, 12, 31)


def test_cells_side_by_side_say_what_sets_them_apart_and_which_is_better_in_what(run: Run) -> None:
    # Cells of a threshold stand 12 apart, of a share 2; 11 is invalid: its share is 0.8.
    found = study_sides.compare_cells(run.database, run.two, [27, 1, 11, 27])
    assert [one.cell_id for one in found.cells] == [27, 1, 11]
    assert found.apart == ("trigger_threshold", "min_stock_share")
    table = study_sides.figures(found).set_index("cell_id")
    for name in ("excess_return", "max_drawdown", "sharpe_ratio", "win_rate"):
        assert found.better[name] == (table[name].idxmax(),)
    for name in ("volatility", "turnover", "total_commissions"):
        assert found.better[name] == (table[name].idxmin(),)
    assert found.better["fill_count"] == ()  # neither way is better
    view = View(goals=(Goal("fill_count", 1.0, "down"), Goal("sharpe_ratio", 1.0, "down")))
    turned = study_sides.compare_cells(run.database, run.two, [27, 1], view)
    assert turned.better["fill_count"] == (27,)  # the wider trigger
    assert turned.better["sharpe_ratio"] == (table["sharpe_ratio"].idxmin(),)
    alike = study_sides.compare_cells(run.database, run.two, [27, 26])
    assert alike.better["buy_hold_return"] == ()  # the same for both
    for cells, told in (
        ([3, 3], "1 cannot stand side by side; choose 2 to 4"),
        ([1, 2, 3, 4, 5], "5 cannot stand side by side"),
        ([1, 5000], "there is no cell 5000"),
    ):
        with pytest.raises(InvalidInput, match=told):
            study_sides.compare_cells(run.database, run.two, cells)


def test_curves_of_cells_are_those_of_their_simulations_and_one_of_holding(run: Run) -> None:
    results = {
        f"Cell {one}": study_results.simulate_cell(run.database, run.split, one) for one in (7, 100)
    }
    limit = replace(results["Cell 7"].prepared.setup, ticks="limit")
    mixed = results | {"Limit": simulate(results["Cell 7"].prepared.history, Policy(), limit)}
    for shown in (results, mixed):
        found = study_sides.curves(shown)
        assert list(dict.fromkeys(found.columns.get_level_values(0))) == [*shown, "Buy & hold"]
        assert found.index.is_unique
        for name, result in shown.items():
            assert found[name, "value"].iloc[-1] == result.final_equity
            falls = found[name, "value"] / found[name, "value"].cummax() - 1.0
            assert found[name, "drawdown"].min() == pytest.approx(falls.min())
        # The search part ends before the vault, and holding with it.
        assert found.index[-1].date() == results["Cell 7"].prepared.history.last_date
        held = results["Cell 7"].benchmarks["buy_and_hold"]["final_equity"]
        assert found["Buy & hold", "value"].iloc[-1] == held
    assert study_sides.share_hold(results)
    taxed = simulate(results["Cell 7"].prepared.history, Policy(withholding_rate=0.9), limit)
    assert not study_sides.share_hold(results | {"Taxed": taxed})


def test_an_invalid_cell_says_so_and_has_no_policy(run: Run) -> None:
    one = study_results.cell(run.database, run.two, 71)
    assert (one.status, one.rejected_by, one.rank) == ("invalid", (), None)
    assert set(one.undefined) == set(NAMES)
    with pytest.raises(InvalidInput, match="min_stock_share"):
        study_results.cell_policy(run.database, run.two, 71)
    with pytest.raises(InvalidInput, match="min_stock_share"):
        study_results.simulate_cell(run.database, run.two, 71)


def test_a_sample_takes_missing_neighbours_for_not_feasible(run: Run) -> None:
    found = whole(run.database, run.sampled)
    assert found.index.tolist() == study_plan.cells_of(SAMPLED).tolist()
    truth = expected(run.database, SAMPLED, run.sampled, ("AAPL",), View())
    for name in ("score", "plateau", "fragility"):
        np.testing.assert_allclose(found[name], truth[name], rtol=0, atol=1e-12, err_msg=name)
    assert 0 < found["plateau"].isna().sum() < len(found)
    seen = study_results.counts(run.database, run.sampled)
    assert seen.total == seen.stored == 60
    assert seen.default in found.index
    left_out = sorted(set(range(72)) - set(found.index))[0]
    with pytest.raises(InvalidInput, match=f"cell {left_out} is not computed"):
        study_results.cell(run.database, run.sampled, left_out)


def test_the_best_hundredth_by_plateau_and_the_peak_are_ranked_again_on_the_select_part(
    run: Run,
) -> None:
    found = study_results.selection(run.database, run.split)
    rows = whole(run.database, run.split).sort_values(["plateau", "score"], ascending=False)
    counts = study_results.counts(run.database, run.split)
    best = [*rows.index[:3], counts.peak]  # of 255
    assert counts.best in best
    assert sorted(found.rows["cell_id"]) == sorted(set(best))
    assert found.rows["select_rank"].is_monotonic_increasing
    prepared = study_prices.prepared(run.database, SPLIT, "select")["KO"]
    truth = evaluate(SPLIT.grid, found.rows["cell_id"].to_numpy(), prepared.paths)
    np.testing.assert_array_equal(found.rows[NAMES].to_numpy().T, truth)
    again = pd.DataFrame(truth.T, columns=NAMES)
    ranks = again["excess_return"].rank() + 0.5 * again["max_drawdown"].rank() - 1.5
    score = ranks / (len(again) - 1) / 1.5
    np.testing.assert_allclose(found.rows["select_score"], score)
    assert (found.rows["search_score"].to_numpy() == rows.loc[found.rows["cell_id"], "score"]).all()
    assert (
        found.first
        > study_results.simulate_cell(
            run.database, run.split, 0
        ).prepared.history.last_date.isoformat()
    )
    with pytest.raises(InvalidInput, match="split"):
        study_results.selection(run.database, run.two)


def test_the_vault_opens_once_for_one_cell(run: Run) -> None:
    database, study_id = run.database, completed(run.database, SPLIT)
    assert study_results.vault(database, study_id) is None
    for refused in (-1, 255):
        with pytest.raises(InvalidInput, match="there is no cell"):
            study_results.open_vault(database, study_id, refused, NOW)
    opened = study_results.open_vault(database, study_id, 7, NOW)
    assert opened == study_results.vault(database, study_id)
    later = study_results.open_vault(database, study_id, 7, NOW.replace(year=2027))
    assert later.opened_at == NOW
    with pytest.raises(VaultOpened, match="opened for cell 7"):
        study_results.open_vault(database, study_id, 8, NOW)
    prepared = study_prices.prepared(database, SPLIT, "vault")["KO"]
    truth = evaluate(SPLIT.grid, np.array([7]), prepared.paths)[:, 0]
    np.testing.assert_array_equal(list(opened.metrics["KO"].values()), truth)
    assert opened.first > study_results.selection(database, study_id).last
    assert opened.last == "2014-06-30"
    with pytest.raises(InvalidInput, match="split"):
        study_results.open_vault(database, run.two, 7, NOW)


def test_a_vault_says_which_other_studies_have_run_on_its_dates(run: Run) -> None:
    """Also of studies without a split, and of a copy that opened its own vault."""
    database = run.database
    short = replace(SPLIT, setup=Setup(start=date(2013, 1, 2), end=date(2013, 6, 28)))
    first = completed(database, short)
    (said,) = study_results.seen_before(database, first)
    assert re.match(r"KO has been run on dates from 2013-05-2\d to 2013-06-28 by studies ", said)
    assert f" {run.two}" in said  # searched the whole of 2013
    earlier = replace(SPLIT, setup=Setup(start=date(2012, 1, 3), end=date(2012, 12, 31)))
    fresh = completed(database, earlier)
    assert study_results.seen_before(database, fresh) == ()
    copy = completed(database, earlier)
    assert study_results.seen_before(database, copy) == ()
    opened = study_results.open_vault(database, fresh, 7, NOW)
    assert study_results.seen_before(database, copy) == (
        f"KO has been run on dates from {opened.first} to {opened.last} by study {fresh}.",
    )
    with pytest.raises(InvalidInput, match="split"):
        study_results.seen_before(database, run.two)


def test_a_comparison_calls_a_study_by_its_new_name(run: Run) -> None:
    study_results.compare(run.database, (run.split,))
    studies.rename(run.database, run.split, "Renamed", NOW)
    assert study_results.compare(run.database, (run.split,)).cells["name"].tolist() == ["Renamed"]
    studies.rename(run.database, run.split, SPLIT.name, NOW)


def test_comparison_shows_only_what_differs_and_the_best_cells(run: Run) -> None:
    found = study_results.compare(run.database, (run.two, run.sampled))
    columns = [f"{run.two} · Two shares", f"{run.sampled} · Sampled"]
    assert found.settings.columns.tolist() == columns
    assert set(found.settings.index) == {"symbols", "max_cells", "seed", "constraints"}
    assert found.settings.loc["constraints"].tolist() == [
        "fill_count >= 8; avg_stock_share from 0.3 to 0.62", "none"
    ]  # fmt: skip
    best = study_results.counts(run.database, run.two).best
    assert found.cells["cell_id"].tolist()[0] == best
    assert study_results.compare(run.database, (run.two, run.two)).settings.empty
    parted = study_results.compare(run.database, (run.two, run.split)).settings
    assert parted.loc["split"].tolist() == ["off", "on"]
    with pytest.raises(StudyNotFound):
        study_results.compare(run.database, (run.two, 999))


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "xlsx"])
def test_every_file_holds_every_cell(run: Run, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_results, "AT_ONCE", 25)  # written in three pieces
    view = View("KO")
    truth = whole(run.database, run.two, view).reset_index()
    data = study_results.export(run.database, run.two, kind, view)
    if kind == "csv":
        found = pd.read_csv(io.BytesIO(data))
    elif kind == "json":
        records = json.loads(data)
        assert records[71]["cagr"] is None
        found = pd.DataFrame(records)
    elif kind == "parquet":
        found = pyarrow.parquet.read_table(io.BytesIO(data)).to_pandas()
    else:
        found = pd.read_excel(io.BytesIO(data), sheet_name="values")
    added = {"symbol", "invalid_because"}
    assert [name for name in found if name not in added] == truth.columns.tolist()
    assert added < set(found)
    for name in ("cell_id", "trigger_threshold", "auto_rebalance", "status"):
        assert found[name].tolist() == truth[name].tolist()
    for name in ("score", "rank", "plateau", *NAMES):
        values = pd.to_numeric(found[name]).astype(float)
        np.testing.assert_allclose(values, truth[name], rtol=1e-14, err_msg=name)


def test_a_file_says_whose_means_it_holds_and_which_bound_a_cell_breaks(run: Run) -> None:
    """The policies with min_stock_share 0.8 are invalid: max_stock_share is 0.75."""
    for view, of in ((View(), "mean over KO, AAPL"), (View("AAPL"), "AAPL")):
        rows = pd.read_csv(io.BytesIO(study_results.export(run.database, run.two, "csv", view)))
        assert set(rows["symbol"]) == {of}
        invalid = rows["min_stock_share"] > 0.75
        broken = "min_stock_share is not below max_stock_share"
        assert set(rows.loc[invalid, "invalid_because"]) == {broken}
        assert rows.loc[~invalid, "invalid_because"].isna().all()


def test_the_workbook_tells_how_its_values_came_about(run: Run) -> None:
    view = View("KO", goals=(Goal("volatility"),))
    book = openpyxl.load_workbook(
        io.BytesIO(study_results.export(run.database, run.two, "xlsx", view))
    )
    assert book.sheetnames == ["values", "heatmap", "parameters", "summary"]
    summary = dict(list(book["summary"].iter_rows(values_only=True)))
    seen = study_results.counts(run.database, run.two, view)
    assert (summary["rejected"], summary["best cell"]) == (seen.rejected, seen.best)
    assert summary["fails fill_count >= 8"] == seen.rejected_by["fill_count >= 8"]
    evidence = [value for what, value in book["summary"].values if what == "evidence"]
    assert evidence[0] == "KO: cells run from 2013-01-02 to 2014-06-30."
    assert f"{tried(run.database, 'KO'):,} cells have ever been tried on KO" in "".join(evidence)
    shown = study_results.heatmap(
        run.database, run.two, "trigger_threshold", "min_stock_share", "volatility", view
    ).cells.set_index(["trigger_threshold", "min_stock_share"])["value"]
    (corner, *thresholds), *lines = book["heatmap"].values
    assert corner == "min_stock_share \\ trigger_threshold"
    for share, *values in lines:
        for threshold, value in zip(thresholds, values, strict=True):
            truth = shown[threshold, share]
            assert (value is None and np.isnan(truth)) or value == pytest.approx(truth)
    ((_, (rule,)),) = [(one.sqref, one.rules) for one in book["heatmap"].conditional_formatting]
    low, high = (colour.rgb[-6:] for colour in rule.colorScale.color)
    assert (low, high) == (exports.GOOD[1:], exports.PALE[1:])  # less volatility is better
    swept = {row[0]: row[3] for row in book["parameters"].values if row[1] is True}
    assert swept["trigger_threshold"] == "0.01 to 0.06 by 0.01"


def test_more_cells_than_a_sheet_holds_are_refused_before_they_are_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "EXCEL_ROWS", 72)
    with pytest.raises(InvalidInput, match="72 rows of 37 columns are more than Excel holds"):
        study_results.export(run.database, run.two, "xlsx")


def test_a_cell_becomes_the_policy_of_a_position_once(run: Run) -> None:
    database = run.database
    opened = positions.open_position(
        database, "KO", quantity=1, cash=100, anchor_price=50, now=NOW
    ).position_id
    settings.configure(database, opened, {"after_hours": True}, by="user", now=NOW)
    found = study_results.apply_to_position(database, run.two, 9, opened, NOW)
    cell = study_results.cell_policy(database, run.two, 9)
    assert found.configuration.policy == replace(cell, after_hours=True)
    assert study_results.apply_to_position(database, run.two, 9, opened, NOW) == found
    history = settings.history(database, opened)
    assert len(history) == 3
    assert history[-1].note == f"cell 9 of study {run.two}"
    with pytest.raises(InvalidInput, match="min_stock_share"):
        study_results.apply_to_position(database, run.two, 71, opened, NOW)


def test_a_half_run_study_shows_what_is_stored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one symbol first: pooled cells count once every symbol has them."""
    monkeypatch.setattr(study_plan, "LEAST_PER_CHUNK", 50)
    monkeypatch.setattr(study_plan, "MOST_PER_CHUNK", 50)
    database = run.database
    study_id = studies.create(database, REQUEST, NOW).study_id
    empty = study_results.counts(database, study_id)
    assert (empty.stored, empty.best, empty.total) == (0, None, 72)
    assert study_results.page(database, study_id).rows.columns.tolist() == (
        study_results.page(database, run.two).rows.columns.tolist()
    )
    studies.take(database, study_id, Step.START, NOW)
    study_runner.work(database, study_id, workers=1)
    with database.write() as connection:  # as if the last chunk had not come yet
        connection.execute(
            "delete from cells where study_id = ? and symbol = 'AAPL' and cell_id >= 50", [study_id]
        )
        connection.execute(
            "delete from chunks where study_id = ? and symbol = 'AAPL' and first_place = 50",
            [study_id],
        )
    stored_cells = [
        study_results.counts(database, study_id, View(symbol)).stored
        for symbol in ("KO", "AAPL", None)
    ]
    assert stored_cells == [72, 50, 50]
    assert study_results.page(database, study_id, limit=100).total == 50
    assert len(study_results.slices(database, study_id, 60, "cagr")) < 14


def test_a_ranking_is_computed_once_for_all_who_ask(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    scores = study_ranking.scores

    def counting(*arguments: Any) -> Any:
        calls.append(threading.get_ident())
        return scores(*arguments)

    monkeypatch.setattr(study_ranking, "scores", counting)
    view = View("KO", (Goal("beta", 1.0, "down"), Goal("alpha", 0.123)))
    found: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(study_results.page(run.database, run.two, view).total)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    study_results.heatmap(
        run.database, run.two, "trigger_threshold", "min_stock_share", "score", view
    )
    assert (found, len(calls)) == ([72] * 8, 1)


def test_a_large_study_that_runs_is_not_ranked_anew_for_every_chunk(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_plan, "LEAST_PER_CHUNK", 12)
    monkeypatch.setattr(study_plan, "MOST_PER_CHUNK", 12)
    monkeypatch.setattr(study_runner, "STORE_SECONDS", 0.0)
    monkeypatch.setattr(study_ranking, "LASTING", 1e9)

    def seen_while_it_runs(large: int) -> set[int]:
        monkeypatch.setattr(study_ranking, "LARGE", large)
        study_id = studies.create(run.database, REQUEST, NOW).study_id
        studies.take(run.database, study_id, Step.START, NOW)
        seen = []

        def look(completed: int, total: int) -> None:
            study_results.prepare(run.database, study_id, View("KO")).join()
            seen.append(study_results.counts(run.database, study_id, View("KO")).stored)

        study_runner.work(run.database, study_id, workers=1, told=look)
        assert study_results.counts(run.database, study_id, View("KO")).stored == 72
        return set(seen) - {0}  # nothing is stored at first

    assert len(seen_while_it_runs(large=1)) == 1
    assert seen_while_it_runs(large=73) >= {24, 36, 48, 60, 72}


def test_of_equal_cells_the_best_is_the_nearest_to_the_base_policy(run: Run) -> None:
    """A setting that moves nothing is left where it is."""
    parameters = (
        Parameter("max_orders_per_day", (1, 5, 9)),
        exact_range("trigger_threshold", "0.02", "0.04", "0.01"),
    )
    request = replace(REQUEST, symbols=("KO",), parameters=parameters, constraints=())
    study_id = studies.create(run.database, request, NOW).study_id
    studies.take(run.database, study_id, Step.START, NOW)
    study_runner.work(run.database, study_id, workers=1)
    found = study_results.counts(run.database, study_id)
    for one in (found.best, found.peak):
        assert one is not None
        cell = study_results.cell(run.database, study_id, one)
        assert (cell.alike, cell.parameters["max_orders_per_day"]) == (2, 5)


def test_few_rankings_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_ranking, "KEPT_CELLS", 3_000)
    for weight in range(1, 8):
        study_results.counts(run.database, run.two, View("KO", (Goal("cagr", float(weight)),)))
    assert len(study_ranking._kept._known) <= 3


def test_rankings_are_joined_after_an_unfetched_result(run: Run) -> None:
    """register() would fail here, and does so in any connection that looked at one row first."""
    ranking = study_ranking.ranked(run.database, run.two, View("KO"))
    with run.database.read() as connection:
        connection.execute("select cell_id from cells").fetchone()
        source = study_table.source_of(ranking)
        assert cell_rows.count_cells(connection, source, ranking.table, []) == 72


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda d, i: study_results.page(d, i, View("MSFT")), "choose KO or AAPL"),
        (lambda d, i: study_results.page(d, i, sort="luck"), "sort: 'luck' is not known"),
        (lambda d, i: study_results.page(d, i, limit=-1), "limit: -1 is negative"),
        (lambda d, i: study_results.page(d, i, filters=Filters(("good",))), "status: 'good'"),  # type: ignore[arg-type]
        (
            lambda d, i: study_results.page(d, i, filters=Filters(ranges={"cagr": (1.0, 0.0)})),
            "cagr: low 1 is above high 0",
        ),
        (
            lambda d, i: study_results.page(
                d, i, filters=Filters(values={"trigger_threshold": (0.5,)})
            ),
            "trigger_threshold: 0.5 is not known here; choose one of 0.01",
        ),
        (
            lambda d, i: study_results.page(d, i, filters=Filters(values={"cagr": (0.5,)})),
            "values: 'cagr'",
        ),
        (
            lambda d, i: study_results.heatmap(d, i, "sizing", "min_stock_share", "cagr"),
            "x: 'sizing' is not known",
        ),
        (
            lambda d, i: study_results.heatmap(d, i, *["min_stock_share"] * 2, "cagr"),
            "y: min_stock_share is on the other axis",
        ),
        (
            lambda d, i: study_results.heatmap(
                d, i, "min_stock_share", "trigger_threshold", "cagr",
                fixed={"trigger_threshold": 0.01},
            ),
            "fixed: trigger_threshold is on an axis",
        ),
        (lambda d, i: study_results.slices(d, i, 0, "luck"), "metric: 'luck'"),
        (lambda d, i: study_results.cell(d, i, 72), "there is no cell 72; allowed: 0 to 71"),
        (lambda d, i: study_results.export(d, i, "doc"), "format: 'doc'"),  # type: ignore[arg-type]
        (lambda d, i: View(goals=()), "goals: none given"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_with_what_can(run: Run, ask: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        ask(*run)


def test_an_unknown_study_is_not_found(run: Run) -> None:
    for ask in (study_results.counts, study_results.page, study_results.vault):
        with pytest.raises(StudyNotFound):
            ask(run.database, 999)


def test_bars_that_came_after_the_start_change_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study without an end keeps its range; prices that changed themselves are refused."""
    whole_history = study_prices.market_data.history(run.database, "KO")
    earlier = whole_history.between(date(2013, 1, 2), date(2014, 3, 31))
    earlier = replace(earlier, provenance=replace(earlier.provenance, as_of=date(2014, 3, 31)))
    known = [earlier]
    monkeypatch.setattr(study_prices.market_data, "history", lambda database, symbol: known[0])
    request = replace(SPLIT, setup=Setup(start=date(2013, 1, 2)))
    study_id = completed(run.database, request)
    before = study_results.selection(run.database, study_id)
    known[0] = whole_history
    after = study_results.selection(run.database, study_id)
    assert (after.first, after.last) == (before.first, before.last)
    pd.testing.assert_frame_equal(after.rows, before.rows)
    opened = study_results.open_vault(run.database, study_id, 3, NOW)
    assert opened.last == "2014-03-31"
    known[0] = replace(whole_history, bars=whole_history.bars * 1.01)
    with pytest.raises(PricesChanged):
        study_results.simulate_cell(run.database, study_id, 3)

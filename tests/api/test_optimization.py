"""Studies over HTTP, from the earlier system's own request to the file: SPEC §5 and §7."""

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

from volbal.domain.study_states import StudyState
from volbal.engine.grid import Parameter, exact_range
from volbal.engine.metrics import METRICS
from volbal.services import studies
from volbal.services.running import database
from volbal.services.study_request import StudyRequest

from .conftest import Asker, told

JSON = {"Content-Type": "application/json"}
CONFIGS = "/v1/optimization/configs"

OLDER: dict[str, Any] = {
    "name": "AAPL volatility strategy",
    "ticker": "AAPL",
    "start_date": "2015-01-02T00:00:00Z",
    "end_date": "2020-12-31T00:00:00Z",
    "parameter_ranges": {
        "trigger_threshold_pct": {
            "min_value": 0.01,
            "max_value": 0.05,
            "step_size": 0.01,
            "parameter_type": "float",
            "name": "Trigger threshold",
            "description": "",
        },
        "rebalance_ratio": {
            "min_value": 1.0,
            "max_value": 3.0,
            "step_size": 0.5,
            "parameter_type": "float",
            "name": "Rebalance ratio",
            "description": "",
        },
    },
    "optimization_criteria": {
        "primary_metric": "sharpe_ratio",
        "secondary_metrics": ["total_return", "max_drawdown", "trade_count"],
        "constraints": [
            {
                "metric": "max_drawdown",
                "constraint_type": "min_value",
                "value": -0.23,
                "description": "not deeper than 23 %",
            }
        ],
        "weights": {"sharpe_ratio": 1.0, "total_return": 0.5, "max_drawdown": 0.3},
        "directions": {"trade_count": "down"},
        "minimize": False,
        "description": "",
    },
    "created_by": "demo",
    "description": "",
    "max_combinations": 100,
    "batch_size": 5,
}
"""As the earlier system's clients send it."""


def changed(**changes: Any) -> dict[str, Any]:
    return OLDER | changes


def criteria(**changes: Any) -> dict[str, Any]:
    """The request with other criteria."""
    return changed(optimization_criteria={"primary_metric": "sharpe_ratio"} | changes)


def swept(**ranges: Any) -> dict[str, Any]:
    """The request with other parameters."""
    return changed(parameter_ranges=ranges)


def made(ask: Asker, body: dict[str, Any]) -> int:
    response = ask("POST", CONFIGS, json=body)
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def ended(ask: Asker, config_id: int) -> dict[str, Any]:
    """Its progress once it does not run any more."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        seen: dict[str, Any] = ask("GET", f"{CONFIGS}/{config_id}/progress").json()
        if seen["status"] != "running":
            return seen
        time.sleep(0.05)
    raise AssertionError(seen)


@pytest.fixture(scope="module")
def study(ask: Asker) -> str:
    """Address of the older request's study, run to its end."""
    config_id = made(ask, OLDER)
    started = ask("POST", f"{CONFIGS}/{config_id}/start")
    assert started.status_code == 200
    assert ended(ask, config_id)["status"] == "completed"
    return f"{CONFIGS}/{config_id}"


def test_a_study_is_saved_as_a_draft_with_its_request_as_it_was_sent(ask: Asker) -> None:
    response = ask("POST", CONFIGS, json=OLDER)
    assert response.status_code == 201
    saved = response.json()
    assert (saved["status"], saved["total_combinations"]) == ("draft", 25)
    assert {name: saved[name] for name in OLDER} == OLDER
    assert ask("GET", f"{CONFIGS}/{saved['id']}").json() == saved
    assert saved in ask("GET", CONFIGS).json()
    seen = ask("GET", f"{CONFIGS}/{saved['id']}/progress").json()
    assert (seen["status"], seen["remaining_combinations"]) == ("draft", 25)
    assert seen["progress_percentage"] == 0


def test_above_max_combinations_a_sample_is_run_and_the_answer_says_so(ask: Asker) -> None:
    saved = ask("POST", CONFIGS, json=changed(max_combinations=20)).json()
    assert (saved["total_combinations"], saved["grid_combinations"]) == (20, 25)
    assert saved["sampled"] is True


def test_own_and_older_names_ask_for_the_same_study(ask: Asker) -> None:
    own = json.loads(
        json.dumps(OLDER)
        .replace("trigger_threshold_pct", "trigger_threshold")
        .replace("trade_count", "fill_count")
    )
    one, two = (studies.get(database(), made(ask, body)).request for body in (OLDER, own))
    assert one == two
    assert [goal.metric for goal in one.goals] == [
        "sharpe_ratio", "total_return", "max_drawdown", "fill_count"
    ]  # fmt: skip
    assert [goal.weight for goal in one.goals] == [1.0, 0.5, 0.3, 0.0]


def test_minimize_turns_the_primary_metric_and_a_weight_names_a_goal(ask: Asker) -> None:
    body = criteria(minimize=True, weights={"volatility": 2})
    goals = studies.get(database(), made(ask, body)).request.goals
    assert [(one.metric, one.weight, one.sign) for one in goals] == [
        ("sharpe_ratio", 1.0, -1.0),
        ("volatility", 2.0, -1.0),
    ]


def test_values_of_every_type_are_exact(ask: Asker) -> None:
    body = swept(
        rebalance_ratio={"min_value": 1, "max_value": 1.3, "step_size": 0.1},
        max_orders_per_day={
            "min_value": 1, "max_value": 3, "step_size": 2, "parameter_type": "integer"
        },
        auto_rebalance={"parameter_type": "boolean"},
        ticks={"parameter_type": "categorical", "categorical_values": ["close"]},
    )  # fmt: skip
    asked = studies.get(database(), made(ask, body)).request.parameters
    assert [(one.name, one.values) for one in asked] == [
        ("rebalance_ratio", (1.0, 1.1, 1.2, 1.3)),
        ("max_orders_per_day", (1.0, 3.0)),
        ("auto_rebalance", (False, True)),
        ("ticks", ("close",)),
    ]


NO_RANGE = {"min_value": 0.01, "max_value": 0.05}
CENTS = NO_RANGE | {"step_size": 0.01}
PERCENT = {"min_value": 1, "max_value": 5, "step_size": 1}
WRONG: list[tuple[dict[str, Any], str, str]] = [
    (changed(name=" "), "invalid_name", "name"),
    (changed(ticker=1), "invalid_ticker", "ticker"),
    (changed(start_date="2015"), "invalid_start_date", "start_date"),
    (changed(end_date=20201231), "invalid_end_date", "end_date"),
    (changed(start_date="2020-12-31", end_date="2015-01-02"), "invalid_start_date", "start_date"),
    (changed(max_combinations=0), "invalid_max_combinations", "max_combinations"),
    (changed(parameter_ranges={}), "invalid_parameter_ranges", "parameter_ranges"),
    (swept(luck=PERCENT), "invalid_parameter_ranges", "parameter_ranges"),
    (swept(trigger_threshold_pct=PERCENT), "invalid_trigger_threshold_pct",
     "trigger_threshold_pct"),
    (swept(trigger_up={"parameter_type": "categorical", "categorical_values": [0.03, 1]}),
     "invalid_trigger_up", "trigger_up"),
    (swept(trigger_threshold=NO_RANGE), "invalid_step_size", "step_size"),
    (swept(trigger_threshold=NO_RANGE | {"step_size": -0.01}), "invalid_trigger_threshold",
     "trigger_threshold"),
    (swept(trigger_threshold=NO_RANGE | {"step_size": 1e-9}), "invalid_trigger_threshold",
     "trigger_threshold"),
    (swept(trigger_threshold=NO_RANGE | {"step_size": 1e-300}), "invalid_step_size", "step_size"),
    (swept(trigger_threshold=NO_RANGE | {"step_size": "0.01"}), "invalid_step_size",
     "parameter_ranges.trigger_threshold.step_size"),
    (swept(max_orders_per_day=PERCENT | {"step_size": 0.5, "parameter_type": "integer"}),
     "invalid_step_size", "step_size"),
    (swept(sizing={"parameter_type": "categorical"}), "invalid_categorical_values",
     "categorical_values"),
    (swept(sizing={"parameter_type": "categorical", "categorical_values": ["wild"]}),
     "invalid_sizing", "sizing"),
    (swept(sizing=PERCENT), "invalid_sizing", "sizing"),
    (swept(rebalance_ratio=PERCENT | {"parameter_type": "range"}), "invalid_parameter_type",
     "parameter_ranges.rebalance_ratio.parameter_type"),
    (swept(trigger_up=CENTS, trigger_threshold_pct=CENTS), "invalid_parameter_ranges",
     "parameter_ranges"),
    (swept(min_stock_alloc_pct={"min_value": 2, "max_value": 3, "step_size": 1}),
     "invalid_parameter_ranges", "parameter_ranges"),
    (criteria(primary_metric="luck"), "invalid_primary_metric",
     "optimization_criteria.primary_metric"),
    (criteria(primary_metric="trade_count"), "invalid_directions", "directions"),
    (criteria(secondary_metrics=["luck"]), "invalid_secondary_metrics",
     "optimization_criteria.secondary_metrics.0"),
    (criteria(weights={"luck": 1}), "invalid_weights", "optimization_criteria.weights"),
    (criteria(weights={"sharpe_ratio": -1}), "invalid_weights", "weights"),
    (criteria(weights={"sharpe_ratio": 0}), "invalid_weights", "weights"),
    (criteria(weights={"sharpe_ratio": "1"}), "invalid_weights", "optimization_criteria.weights"),
    (criteria(weights={"trade_count": 1, "fill_count": 1}), "invalid_weights", "weights"),
    (criteria(directions={"cagr": "up"}), "invalid_directions", "directions"),
    (criteria(directions={"sharpe_ratio": "best"}), "invalid_directions",
     "optimization_criteria.directions"),
    (criteria(directions={"sharpe_ratio": ["up"]}), "invalid_directions",
     "optimization_criteria.directions"),
    (criteria(minimize=True, directions={"sharpe_ratio": "up"}), "invalid_minimize", "minimize"),
    (criteria(minimize="no"), "invalid_minimize", "optimization_criteria.minimize"),
    (criteria(constraints=[{"metric": "cagr", "constraint_type": "over", "value": 1}]),
     "invalid_constraint_type", "optimization_criteria.constraints.0.constraint_type"),
    (criteria(constraints=[{"metric": "cagr", "constraint_type": "in_range", "value": 1}]),
     "invalid_value", "value"),
    (criteria(constraints=[{"metric": "cagr", "constraint_type": "in_range", "value": [2, 1]}]),
     "invalid_value", "value"),
    (criteria(constraints=[{"metric": "cagr", "constraint_type": "equal", "value": [1, 2, 3]}]),
     "invalid_value", "optimization_criteria.constraints.0.value"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code", "field"), WRONG, ids=[f"{code}-{n}" for n, (_, code, _) in enumerate(WRONG)]
)
def test_what_cannot_be_studied_is_a_422_that_names_it_and_saves_nothing(
    ask: Asker, body: dict[str, Any], code: str, field: str
) -> None:
    before = ask("GET", CONFIGS).headers["X-Total-Count"]
    response = ask("POST", CONFIGS, json=body)
    assert told(response) == (422, code), response.text
    assert response.json()["field"] == field
    assert ask("GET", CONFIGS).headers["X-Total-Count"] == before


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1e99999999"])
def test_a_number_that_is_none_is_a_422_wherever_it_stands(ask: Asker, number: str) -> None:
    for name in ("max_combinations", "extra", "start_date"):
        content = json.dumps(changed(**{name: "HERE"})).replace('"HERE"', number)
        response = ask("POST", CONFIGS, content=content, headers=JSON)
        assert response.status_code == 422
        assert not {"nan", "inf", "infinity"} & set(response.text.lower().split())
    for ratio in (
        {"min_value": 1, "max_value": "HERE", "step_size": 1},
        {"parameter_type": "categorical", "categorical_values": [1, "HERE"]},
    ):
        content = json.dumps(swept(rebalance_ratio=ratio)).replace('"HERE"', number)
        response = ask("POST", CONFIGS, content=content, headers=JSON)
        assert response.status_code == 422
        assert not {"nan", "inf", "infinity"} & set(response.text.lower().split())


@pytest.mark.parametrize(("levels", "status"), [(30, 201), (300, 422), (900, 422)])
def test_a_field_of_the_callers_own_is_given_back_or_refused(
    ask: Asker, levels: int, status: int
) -> None:
    nested: Any = "end"
    for _ in range(levels):
        nested = [nested]
    response = ask("POST", CONFIGS, json=changed(mine=nested))
    assert response.status_code == status
    if status == 201:
        assert response.json()["mine"] == nested
    assert ask("GET", CONFIGS).status_code == 200


def test_a_stock_without_prices_is_a_503(ask: Asker) -> None:
    response = ask("POST", CONFIGS, json=changed(ticker="NOPE"))
    assert told(response) == (503, "price_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_a_key_saves_a_study_once_and_stands_for_nothing_else(ask: Asker) -> None:
    key = {"Idempotency-Key": "save"}
    turned = dict(reversed(OLDER.items()))
    first, again = (ask("POST", CONFIGS, json=body, headers=key) for body in (OLDER, turned))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = ask("POST", CONFIGS, json=changed(name="another"), headers=key)
    assert told(other) == (409, "idempotency_signature_mismatch")
    blank = ask("POST", CONFIGS, json=OLDER, headers={"Idempotency-Key": " "})
    assert told(blank) == (400, "missing_idempotency_key")


def test_a_study_is_started_once_under_a_key_also_after_its_end(ask: Asker) -> None:
    config_id = made(ask, OLDER)
    start, key = f"{CONFIGS}/{config_id}/start", {"Idempotency-Key": "go"}
    blank = ask("POST", start, headers={"Idempotency-Key": " "})
    assert told(blank) == (400, "missing_idempotency_key")
    first = ask("POST", start, headers=key)
    assert first.status_code == 200
    assert ended(ask, config_id)["progress_percentage"] == 100
    again = ask("POST", start, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert told(ask("POST", start)) == (409, "study_not_startable")
    assert told(ask("POST", start, headers={"Idempotency-Key": "other"}))[0] == 409
    history = studies.get(database(), config_id).history
    assert [event.state for event in history] == [
        StudyState.DRAFT, StudyState.RUNNING, StudyState.COMPLETED
    ]  # fmt: skip


def test_many_starts_under_one_key_are_one_start(ask: Asker) -> None:
    config_id = made(ask, OLDER)
    answers: list[str] = []

    def start() -> None:
        sent = ask("POST", f"{CONFIGS}/{config_id}/start", headers={"Idempotency-Key": "k"})
        answers.append(f"{sent.status_code} {sent.text}")

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    assert len(set(answers)) == 1
    assert answers[0].startswith("200 ")
    ended(ask, config_id)
    states = [event.state for event in studies.get(database(), config_id).history]
    assert states.count(StudyState.RUNNING) == 1


def test_progress_ends_at_one_hundred_percent_with_the_invalid_counted(ask: Asker) -> None:
    low = {"min_value": 0.2, "max_value": 0.4, "step_size": 0.1}
    high = {"min_value": 0.3, "max_value": 0.5, "step_size": 0.1}
    config_id = made(ask, swept(min_stock_alloc_pct=low, max_stock_alloc_pct=high))
    ask("POST", f"{CONFIGS}/{config_id}/start")
    seen = ended(ask, config_id)
    assert (seen["config_id"], seen["status"]) == (config_id, "completed")
    counts = ("total", "completed", "failed", "remaining", "invalid")
    assert [seen[f"{name}_combinations"] for name in counts] == [9, 9, 0, 0, 3]
    assert seen["progress_percentage"] == 100
    assert seen["started_at"] <= seen["completed_at"]
    assert seen["trials"] == studies.get(database(), config_id).trials
    assert seen["eta_seconds"] is None
    rows = ask("GET", f"{CONFIGS}/{config_id}/results?feasible=false").json()
    invalid = [row for row in rows if row["status"] == "invalid"]
    assert len(invalid) == 3
    for row in invalid:
        assert row["parameters"]["min_stock_alloc_pct"] >= row["parameters"]["max_stock_alloc_pct"]
        assert (row["score"], row["rank"]) == (None, None)
        assert set(row["metrics"].values()) == {None}


def test_results_are_ranked_and_come_in_pieces(ask: Asker, study: str) -> None:
    response = ask("GET", f"{study}/results?limit=10")
    assert response.headers["X-Total-Count"] == "25"
    rows = response.json()
    assert len(rows) == 10
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)
    assert rows[0]["rank"] == 1
    best = rows[0]
    assert set(best["parameters"]) == {"trigger_threshold_pct", "rebalance_ratio"}
    assert "trade_count" in best["metrics"]
    assert len(best["metrics"]) == len(METRICS)
    every = ask("GET", f"{study}/results").json()
    assert [row["combination_id"] for row in every[:10]] == [row["combination_id"] for row in rows]
    paged = [ask("GET", f"{study}/results?limit=7&offset={at}").json() for at in range(0, 28, 7)]
    assert [row["combination_id"] for page in paged for row in page] == [
        row["combination_id"] for row in every
    ]
    assert sorted(row["combination_id"] for row in every) == list(range(25))


def test_constraints_reject_and_the_filter_parts_them(ask: Asker, study: str) -> None:
    kept, others = (
        ask("GET", f"{study}/results?feasible={word}").json() for word in ("true", "false")
    )
    assert kept
    assert others
    assert len(kept) + len(others) == 25
    assert {row["status"] for row in kept} == {"feasible"}
    assert all(row["metrics"]["max_drawdown"] >= -0.23 for row in kept)
    for row in others:
        assert (row["status"], row["rejected_by"]) == ("rejected", "max_drawdown")
        assert row["metrics"]["max_drawdown"] < -0.23
        assert (row["score"], row["rank"]) == (None, None)


def test_results_sort_by_a_metric_in_its_good_direction(ask: Asker, study: str) -> None:
    for sort, name, descending in (
        ("total_return", "total_return", True),
        ("volatility", "volatility", False),
        ("trade_count", "trade_count", False),
    ):
        rows = ask("GET", f"{study}/results?sort={sort}").json()
        values = [row["metrics"][name] for row in rows]
        assert values == sorted(values, reverse=descending), sort
    rows = ask("GET", f"{study}/results?sort=combination_id").json()
    assert [row["combination_id"] for row in rows] == list(range(25))


def test_a_heatmap_holds_every_pair_and_what_its_values_come_to(ask: Asker, study: str) -> None:
    query = "x_parameter=trigger_threshold_pct&y_parameter=rebalance_ratio&metric=sharpe_ratio"
    answer = ask("GET", f"{study}/heatmap?{query}")
    assert answer.status_code == 200
    seen = answer.json()
    assert seen["x_values"] == [0.01, 0.02, 0.03, 0.04, 0.05]
    assert seen["y_values"] == [1.0, 1.5, 2.0, 2.5, 3.0]
    rows = {row["combination_id"]: row for row in ask("GET", f"{study}/results").json()}
    assert len(seen["cells"]) == 25
    for cell in seen["cells"]:
        row = rows[cell["combination_id"]]
        assert cell["is_valid"] is True
        assert cell["metric_value"] == row["metrics"]["sharpe_ratio"]
        pair = [cell["x_value"], cell["y_value"]]
        assert pair == list(row["parameters"].values())
    values = sorted(cell["metric_value"] for cell in seen["cells"])
    told_of = seen["statistics"]
    assert (told_of["min"], told_of["max"], told_of["median"]) == (
        values[0],
        values[-1],
        values[12],
    )
    assert told_of["mean"] == pytest.approx(sum(values) / 25, rel=1e-12)
    counts = ("count", "valid_count", "invalid_count")
    assert [told_of[name] for name in counts] == [25, 25, 0]


READERS: dict[str, Callable[[bytes], int]] = {
    "csv": lambda content: len(list(csv.DictReader(io.StringIO(content.decode())))),
    "parquet": lambda content: pq.read_table(io.BytesIO(content)).num_rows,
    "xlsx": lambda content: openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].max_row - 1,
    "json": lambda content: len(json.loads(content)),
}


@pytest.mark.parametrize("kind", READERS)
def test_every_export_is_a_file_of_its_kind_with_every_combination(
    ask: Asker, study: str, kind: str
) -> None:
    response = ask("GET", f"{study}/export?format={kind}")
    assert response.status_code == 200
    assert f'.{kind}"' in response.headers["Content-Disposition"]
    assert READERS[kind](response.content) == 25


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("results?sort=luck", "sort"),
        ("results?sort=slippage", "sort"),
        ("results?limit=0", "limit"),
        ("results?feasible=perhaps", "feasible"),
        ("heatmap?x_parameter=rebalance_ratio&y_parameter=ticks&metric=cagr", "y_parameter"),
        ("heatmap?x_parameter=luck&y_parameter=rebalance_ratio&metric=cagr", "x_parameter"),
        ("heatmap?x_parameter=rebalance_ratio&y_parameter=rebalance_ratio&metric=cagr",
         "y_parameter"),
        ("heatmap?x_parameter=rebalance_ratio&y_parameter=trigger_threshold&metric=luck",
         "metric"),
        ("heatmap?x_parameter=rebalance_ratio", "y_parameter"),
        ("export?format=pdf", "format"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_of_a_study_is_a_422(
    ask: Asker, study: str, path: str, field: str
) -> None:
    response = ask("GET", f"{study}/{path}")
    assert told(response) == (422, f"invalid_{field}"), response.text
    assert response.json()["field"] == field


HEATMAP = "heatmap?x_parameter=rebalance_ratio&y_parameter=trigger_threshold&metric=cagr"
ADDRESSES = [
    ("GET", ""), ("DELETE", ""), ("POST", "/start"), ("POST", "/resume"), ("POST", "/cancel"),
    ("GET", "/progress"), ("GET", "/results"), ("GET", f"/{HEATMAP}"), ("GET", "/export"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize("config_id", ["999999", "none", "0", "99999999999999999999"])
def test_a_study_that_is_not_there_is_a_404(
    ask: Asker, method: str, path: str, config_id: str
) -> None:
    response = ask(method, f"{CONFIGS}/{config_id}{path}")
    assert told(response) == (404, "study_not_found")


def test_steps_that_do_not_follow_are_a_409_and_a_deleted_study_is_gone(
    ask: Asker, study: str
) -> None:
    draft = f"{CONFIGS}/{made(ask, OLDER)}"
    for address in (draft, study):
        assert told(ask("POST", f"{address}/cancel")) == (409, "study_not_startable")
        assert told(ask("POST", f"{address}/resume")) == (409, "study_not_startable")
    assert ask("GET", f"{draft}/results").json() == []
    assert ask("DELETE", draft).status_code == 204
    assert told(ask("GET", draft)) == (404, "study_not_found")


def test_what_can_be_asked_for_is_described(ask: Asker) -> None:
    metrics = ask("GET", "/v1/optimization/metrics").json()["metrics"]
    assert [one["name"] for one in metrics] == [one.name for one in METRICS]
    by_name = {one["name"]: one for one in metrics}
    assert by_name["sharpe_ratio"]["direction"] == "up"
    assert by_name["volatility"]["direction"] == "down"
    assert by_name["fill_count"]["direction"] is None
    assert all(one["display_name"] and one["unit"] and one["description"] for one in metrics)
    types = ask("GET", "/v1/optimization/parameter-types").json()["parameter_types"]
    assert [one["name"] for one in types] == ["float", "integer", "boolean", "categorical"]
    assert types[2]["parameters"] == ["auto_rebalance"]


@pytest.fixture
def long_study(ask: Asker) -> Iterator[int]:
    """A study that takes minutes, started over HTTP."""
    fine = {"min_value": 0.01, "max_value": 0.2, "step_size": 0.0001}
    body = swept(trigger_up=fine, trigger_down=fine) | {"max_combinations": 10_000_000}
    config_id = made(ask, body)
    assert ask("POST", f"{CONFIGS}/{config_id}/start").status_code == 200
    yield config_id
    if studies.get(database(), config_id).state is StudyState.RUNNING:
        studies.cancel(database(), config_id, datetime.now(UTC))


def test_a_long_study_shows_on_screen_and_cancelled_there_it_is_cancelled_here(
    ask: Asker, long_study: int
) -> None:
    address = f"{CONFIGS}/{long_study}"
    on_screen = {one.study_id: one for one in studies.list_studies(database())}[long_study]
    assert on_screen.state is StudyState.RUNNING
    assert on_screen.request.name == OLDER["name"]
    assert told(ask("POST", f"{address}/start")) == (409, "study_running")
    assert told(ask("POST", f"{address}/resume")) == (409, "study_running")
    assert told(ask("DELETE", address)) == (409, "study_running")
    studies.cancel(database(), long_study, datetime.now(UTC))
    seen = ask("GET", f"{address}/progress").json()
    assert seen["status"] == "cancelled"
    assert 0 < seen["remaining_combinations"] <= seen["total_combinations"]
    assert told(ask("POST", f"{address}/cancel")) == (409, "study_not_startable")
    again = ask("POST", f"{address}/resume", headers={"Idempotency-Key": "on"})
    assert again.status_code == 200
    assert studies.get(database(), long_study).state is StudyState.RUNNING
    assert ask("POST", f"{address}/cancel").json()["status"] == "cancelled"
    assert studies.get(database(), long_study).state is StudyState.CANCELLED
    replayed = ask("POST", f"{address}/resume", headers={"Idempotency-Key": "on"})
    assert (replayed.status_code, replayed.json()) == (200, again.json())
    assert studies.get(database(), long_study).state is StudyState.CANCELLED


def test_a_study_made_on_screen_is_told_in_the_words_of_the_api(ask: Asker) -> None:
    request = StudyRequest(
        "By hand",
        ("KO", "AAPL"),
        (
            exact_range("trigger_threshold", "0.01", "0.05", "0.01"),
            Parameter("sizing", ("proportional", "original")),
        ),
    )
    study_id = studies.create(database(), request, datetime.now(UTC)).study_id
    seen = ask("GET", f"{CONFIGS}/{study_id}").json()
    assert (seen["name"], seen["ticker"], seen["total_combinations"]) == ("By hand", "KO, AAPL", 20)
    assert seen["start_date"] is None
    assert seen["parameter_ranges"] == {
        "trigger_threshold": {
            "parameter_type": "float", "min_value": 0.01, "max_value": 0.05, "step_size": 0.01
        },
        "sizing": {
            "parameter_type": "categorical", "categorical_values": ["proportional", "original"]
        },
    }  # fmt: skip
    assert seen["optimization_criteria"]["primary_metric"] == "excess_return"

"""What no route answers, what fails, and what the description says."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from volbal import errors
from volbal.api import ledger, problems
from volbal.api.optimization_models import EXAMPLE
from volbal.domain.ledger import Refused
from volbal.errors import InvalidInput, PriceUnavailable, VolbalError
from volbal.market.yahoo import RateLimited
from volbal.services import positions

from .conftest import Asker, told


def subclasses(kind: type[VolbalError]) -> Iterator[type[VolbalError]]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_refusal_and_every_missing_thing_has_its_status() -> None:
    from app import app

    assert app is not None  # everything that can be raised is imported
    for kind in subclasses(errors.VolbalError):
        if issubclass(kind, InvalidInput) or not kind.__module__.startswith("volbal."):
            continue
        if issubclass(kind, Refused) and kind is not Refused:
            assert problems.STATUS[kind.code] == 409, kind
        if issubclass(kind, PriceUnavailable) or kind.code == "database_busy":
            assert problems.STATUS[kind.code] == 503, kind
            assert problems.RETRY_AFTER[kind.code] > 0
        if kind.code.endswith("_not_found"):
            assert problems.STATUS[kind.code] == 404, kind


def test_an_unknown_address_below_v1_is_a_404_and_not_a_page(ask: Asker) -> None:
    assert told(ask("GET", "/v1/nothing")) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", "/v1/positions", "GET, POST"), ("TRACE", "/healthz", "GET"),
     ("GET", "/v1/orders/1/fill", "POST")],
)  # fmt: skip
def test_another_method_is_a_405_that_names_those_there_are(
    ask: Asker, method: str, path: str, allowed: str
) -> None:
    response = ask(method, path)
    assert told(response) == (405, "method_not_allowed")
    assert response.headers["Allow"] == allowed


def test_a_fault_is_logged_under_the_number_that_the_answer_shows(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(positions, "find_position", broken)
    with caplog.at_level(logging.ERROR, "volbal"):
        response = ask("GET", "/v1/positions/1")
    assert told(response) == (500, "internal_error")
    number = response.json()["message"].split()[-1].rstrip(".")
    assert number in caplog.text
    assert "a secret of the inside" in caplog.text
    assert "secret" not in response.text
    assert "Traceback" not in response.text


def test_a_file_that_another_program_holds_is_a_503_with_retry_after(
    ask: Asker, a_position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ledger.database()
    monkeypatch.setattr(held, "timeout", 0.2)
    hold = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); "
        "print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, os.environ["VOLBAL_DB"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        deposited = ask("POST", f"/v1/positions/{a_position}/deposit", json={"amount": 1})
        saved = ask("POST", "/v1/optimization/configs", json=EXAMPLE)
        other.stdin.close()
        other.wait(20)
    for response in (deposited, saved):
        assert told(response) == (503, "database_busy")
        assert response.headers["Retry-After"] == "1"
    assert ask("GET", "/v1/optimization/configs").json() == []
    assert ask("POST", f"/v1/positions/{a_position}/deposit", json={"amount": 1}).status_code == 200


def test_a_source_that_wants_to_be_left_alone_is_a_503_with_retry_after() -> None:
    response = problems.refused(RateLimited(90))
    assert (response.status_code, json.loads(response.body)["detail"]) == (503, "rate_limited")
    assert int(response.headers["Retry-After"]) > 0


def test_the_documentation_fetches_nothing_from_elsewhere(ask: Asker) -> None:
    page = ask("GET", "/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{name}" in page
        assert ask("GET", f"/docs/assets/{name}").status_code == 200


def test_the_description_has_one_shape_of_errors(ask: Asker) -> None:
    described = ask("GET", "/openapi.json").json()
    assert "HTTPValidationError" not in described["components"]["schemas"]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}, (path, method)


def test_a_simulation_is_the_same_as_the_command_lines(ask: Asker) -> None:
    body = {
        "symbol": "AAPL",
        "start": "2015-01-02",
        "end": "2016-12-30",
        "policy": {"trigger_threshold_pct": 0.05},
    }
    answer = ask("POST", "/v1/simulations", json=body)
    assert answer.status_code == 200
    words = "simulate AAPL --start 2015-01-02 --end 2016-12-30 --set trigger_threshold=0.05 --json"
    done = subprocess.run(
        [sys.executable, "-m", "volbal", *words.split()], capture_output=True, check=True
    )
    assert answer.json() == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"symbol": "NOPE"}, 503, "price_unavailable"),
        ({"start": "1950-01-01"}, 503, "price_unavailable"),
        ({"start": "2016-01-01", "end": "2015-01-01"}, 422, "invalid_dates"),
        ({"ticks": "hourly"}, 422, "invalid_ticks"),
        ({"stock_share": 1.5}, 422, "invalid_stock_share"),
        ({"policy": {"trigger_threshold_pct": 5}}, 422, "invalid_trigger_threshold_pct"),
        ({"colour": 1}, 422, "invalid_field"),
    ],
)
def test_a_simulation_that_cannot_be_says_why(
    ask: Asker, change: dict[str, object], status: int, code: str
) -> None:
    assert told(ask("POST", "/v1/simulations", json={"symbol": "AAPL"} | change)) == (status, code)

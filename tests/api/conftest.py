"""The app itself, asked without a network; and what its tests say in one word."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest

from volbal import jobs
from volbal.services import running, study_runner

Asker = Callable[..., httpx.Response]
LOCAL = "http://127.0.0.1:8501"


@pytest.fixture(scope="session")
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    """One event loop for all requests."""
    with anyio.from_thread.start_blocking_portal() as started:
        yield started


@pytest.fixture(scope="module")
def ask(
    portal: anyio.from_thread.BlockingPortal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asker]:
    """`ask("POST", "/v1/positions", json={…})`: the answer of the app, on fresh records."""
    from app import app

    async def sent(method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            return await client.request(method, path, **more)

    with pytest.MonkeyPatch.context() as patch:
        folder: Path = tmp_path_factory.mktemp("records")
        patch.setenv("VOLBAL_DB", str(folder / "volbal.duckdb"))
        yield lambda method, path, **more: portal.call(lambda: sent(method, path, **more))
        study_runner.stop()
        jobs.shutdown()
        running.close()


@pytest.fixture
def a_position(ask: Asker) -> int:
    """50 shares and 5,000 cash at anchor 100, in a position of its own."""
    body = {"ticker": "ACME", "qty": 50, "cash": 5000, "anchor_price": 100}
    return int(ask("POST", "/v1/positions", json=body).json()["id"])


@pytest.fixture
def an_order(ask: Asker, a_position: int) -> tuple[int, int]:
    """(position, order): BUY 10 submitted under key k."""
    return a_position, submitted(ask, a_position, "k").json()["order_id"]


def submitted(ask: Asker, position: int, key: str | None, **body: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    order = {"side": "BUY", "qty": 10} | body
    return ask("POST", f"/v1/positions/{position}/orders", json=order, headers=headers)


def told(response: httpx.Response) -> tuple[int, str]:
    """(status, code); the shape of every error is checked on the way."""
    content = response.json()
    assert set(content) <= {"detail", "message", "field"}
    assert content["message"]
    return response.status_code, content["detail"]

"""Who is answered: this machine alone, or whoever knows the token (SPEC §10)."""

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest
import websockets.exceptions
import websockets.sync.client
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.e2e.conftest import free_port, wait_until_healthy
from volbal.access import COOKIE, Access, is_loopback, require_token

ROOT = Path(__file__).parents[2]
TOKEN = "a long secret of söme kind"
BEARER = {"Authorization": f"Bearer {TOKEN}".encode()}


async def welcome(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("welcome")(scope, receive, send)


Sender = Callable[..., httpx.Response]


@pytest.fixture
def send(portal: anyio.from_thread.BlockingPortal) -> Sender:
    """`send(token, arrived_on, …)`: the answer of a guarded app to one request."""

    def answer(
        token: str | None, arrived_on: str, path: str = "/", method: str = "GET", **more: Any
    ) -> httpx.Response:
        guard = Access(welcome, token)

        async def arrived(scope: Scope, receive: Receive, send: Send) -> None:
            await guard(scope | {"server": (arrived_on, 8501)}, receive, send)

        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(app=arrived)
            async with httpx.AsyncClient(transport=transport, base_url="http://there") as client:
                return await client.request(method, path, **more)

        work: Callable[[], Awaitable[httpx.Response]] = sent
        return portal.call(work)

    return answer


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1", "[::1]:8501"])
def test_without_a_token_this_machine_is_answered(send: Sender, address: str, host: str) -> None:
    assert send(None, address, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("address", ["192.168.1.5", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "x"])
@pytest.mark.parametrize("path", ["/", "/v1/positions", "/healthz", "/_stcore/stream"])
def test_without_a_token_what_arrives_elsewhere_is_forbidden_whatever_it_calls_itself(
    send: Sender, address: str, path: str
) -> None:
    response = send(None, address, path, headers={"Host": "localhost:8501"})
    assert response.status_code == 403
    if path.startswith("/v1"):
        assert response.json()["detail"] == "forbidden"


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_pages_of_other_origins_are_forbidden_with_and_without_a_token(
    send: Sender, token: str | None, origin: str
) -> None:
    headers = BEARER | {"Host": "localhost:8501", "Origin": origin}
    assert send(token, "127.0.0.1", "/v1/positions", headers=headers).status_code == 403


def test_with_a_token_the_api_asks_for_it_wherever_a_request_comes_from(send: Sender) -> None:
    for address in ("127.0.0.1", "192.168.1.5"):
        for wrong in ({}, {"Authorization": "Bearer no"}, {"Authorization": TOKEN.encode()}):
            response = send(TOKEN, address, "/v1/positions", headers=wrong)
            assert response.status_code == 401
            assert response.json()["detail"] == "unauthorized"
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert send(TOKEN, address, "/v1/positions", headers=BEARER).text == "welcome"
        assert send(TOKEN, address, "/v1/healthz").text == "welcome"


def test_a_browser_is_asked_once_and_its_cookie_is_no_token(send: Sender) -> None:
    asked = send(TOKEN, "10.0.0.1", "/optimize?symbol=KO")
    assert asked.status_code == 401
    assert "Token" in asked.text
    wrong = send(TOKEN, "10.0.0.1", "/optimize", "POST", data={"token": "no"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    right = send(TOKEN, "10.0.0.1", "/optimize?symbol=KO", "POST", data={"token": TOKEN})
    assert (right.status_code, right.headers["Location"]) == (303, "/optimize?symbol=KO")
    cookie = right.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    value = cookie.partition(";")[0]
    for path in ("/optimize", "/v1/positions", "/_stcore/stream"):
        assert send(TOKEN, "10.0.0.1", path, headers={"Cookie": value}).text == "welcome"
    assert send("another token", "10.0.0.1", headers={"Cookie": value}).status_code == 401
    assert send(TOKEN, "10.0.0.1", headers={"Cookie": f"{COOKIE}={'0' * 64}"}).status_code == 401


def test_signing_in_never_leads_to_another_site(send: Sender) -> None:
    right = send(TOKEN, "10.0.0.1", "http://there//evil.example/", "POST", data={"token": TOKEN})
    assert right.headers["Location"] == "/evil.example/"


def test_a_form_that_does_not_end_is_not_read_to_its_end(send: Sender) -> None:
    body = b"token=" + b"x" * 100_000
    assert send(TOKEN, "10.0.0.1", "/", "POST", content=body).status_code == 401


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "myhost", None])
def test_listening_beyond_loopback_needs_a_token(address: str | None) -> None:
    assert not is_loopback(address)
    with pytest.raises(SystemExit, match="VOLBAL_API_TOKEN"):
        require_token(address, None)
    require_token(address, TOKEN)


COMMANDS = {
    "streamlit run": [sys.executable, "-m", "streamlit", "run", "app.py"],
    "python app.py": [sys.executable, "app.py"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_both_ways_to_run_the_app_refuse_to_listen_beyond_loopback_without_a_token(
    command: str, tmp_path: Path
) -> None:
    options = ["--server.address", "0.0.0.0", "--server.port", str(free_port())]
    environment = os.environ | {"VOLBAL_DB": str(tmp_path / "x.duckdb"), "VOLBAL_API_TOKEN": " "}
    done = subprocess.run(
        COMMANDS[command] + options + ["--server.headless", "true"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "VOLBAL_API_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_start_py_refuses_to_listen_beyond_loopback_without_a_token() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VOLBAL_API_TOKEN"}
    done = subprocess.run(
        [sys.executable, "start.py", "--host", "0.0.0.0", "--no-browser"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "VOLBAL_API_TOKEN" in done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """volbal on all addresses, with a token."""
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    options = ["--server.address", "0.0.0.0", "--server.port", str(port)]
    environment = {"VOLBAL_DB": str(folder / "x.duckdb"), "VOLBAL_API_TOKEN": TOKEN}
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            COMMANDS["streamlit run"] + options + ["--server.headless", "true"],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def test_the_real_server_guards_pages_api_and_websocket(server: str) -> None:
    url, stream = f"http://{server}", f"ws://{server}/_stcore/stream"
    with httpx.Client(base_url=url) as client:
        assert client.get("/v1/positions").status_code == 401
        assert client.get("/v1/positions", headers=BEARER).json() == []
        with pytest.raises(websockets.exceptions.InvalidStatus, match="401"):
            websockets.sync.client.connect(stream, origin=url)
        signed_in = client.post("/", data={"token": TOKEN})
        cookie = re.match(r"[^;]+", signed_in.headers["Set-Cookie"])
        assert cookie is not None
        assert client.get("/docs").status_code == 200
        headers = {"Cookie": cookie[0], "Host": "volbal.example:1"}
    # A name that is neither localhost nor an address: Streamlit's own guard must not mind it.
    with websockets.sync.client.connect(
        stream, additional_headers={"Cookie": cookie[0]}, origin=url, subprotocols=["streamlit"]
    ) as socket:
        assert socket.subprotocol == "streamlit"
    named = httpx.get(f"{url}/", headers=headers)
    assert (named.status_code, "<!doctype html>" in named.text.lower()) == (200, True)

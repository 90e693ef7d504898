"""The real server and a real browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FloatRect,
    Locator,
    Page,
    expect,
    sync_playwright,
)
from yahoo_server import serving

PATIENCE_MS = 120_000  # a busy machine must not fail a test
expect.set_options(timeout=PATIENCE_MS)

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
START_SECONDS = 120
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCHEMES: dict[bool, Literal["light", "dark"]] = {False: "light", True: "dark"}
BUG = "[data-testid=stException], [class*=st-key-fault-]"
"""What a page shows of a bug: `volbal.ui.fault`, or Streamlit itself where that fails."""
PROBE = re.compile(r"/\w+/_stcore/")
"""Streamlit asks below the page's own path first and finds nothing there; harmless."""

LISTEN = """
    window.talk = {answered: true, at: Date.now()};
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
        constructor(...given) {
            super(...given);
            this.addEventListener("message", () => {
                window.talk = {answered: true, at: Date.now()};
            });
        }
        send(...given) {
            window.talk = {answered: false, at: Date.now()};
            super.send(...given);
        }
    };
"""
"""Notes in every page when it last talked with the server, and who spoke last."""
CALM = """
    ([since, ms]) => {
        const app = document.querySelector("[data-testid=stApp]"), {answered, at} = window.talk;
        const unpainted = [...document.querySelectorAll(
            "[data-testid=stVegaLiteChart], [data-testid=stEChartsChart]"
        )].some(chart => chart.checkVisibility() && !chart.querySelector("canvas, svg"));
        return app?.dataset.testScriptState === "notRunning"
            && !document.querySelector("html.arriving")
            && app.dataset.testConnectionState === "CONNECTED"
            && !document.querySelector("[data-stale=true], [data-testid=stSkeleton]")
            && !unpainted
            && answered
            && Date.now() - Math.max(since, at) >= ms;
    }
"""
CALM_MS = 100
"""Longer than a server needs from the end of a run to the beginning of one that waits."""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


@contextmanager
def served(records: Path, **environment: str) -> Iterator[str]:
    """Address of volbal over the file `records`, started as a user starts it."""
    port, log = free_port(), records.with_name("server.log")
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    options = ["--server.port", str(port), "--server.headless", "true"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command + options,
            cwd=ROOT,
            env=os.environ | {"VOLBAL_DB": str(records)} | environment,
            stdout=output,
            stderr=output,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(START_SECONDS)


@pytest.fixture(scope="session")
def yahoo_url() -> Iterator[str]:
    """Address of a server that speaks for Yahoo and has the bundled prices."""
    with serving() as server:
        yield server.url


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory, yahoo_url: str) -> Iterator[str]:
    """Address of volbal without any position."""
    records = tmp_path_factory.mktemp("server") / "volbal.duckdb"
    with served(records, VOLBAL_YAHOO_URL=yahoo_url) as address:
        yield address


@pytest.fixture(scope="module")
def book_url(large_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of volbal over a large book."""
    records = tmp_path_factory.mktemp("book") / "volbal.duckdb"
    shutil.copy(large_book, records)
    with served(records) as address:
        yield address


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def windows(browser: Browser) -> dict[bool, BrowserContext]:
    """A light and a dark browser (by dark), which keep the app's scripts from test to test."""
    made = {dark: browser.new_context(color_scheme=scheme) for dark, scheme in SCHEMES.items()}
    for window in made.values():
        window.set_default_timeout(PATIENCE_MS)
        window.add_init_script(LISTEN)
    return made


def drawn_to_its_end(page: Page) -> None:
    """Wait until the page has been answered all it asked, has drawn it, and keeps still.

    Until then Streamlit may exchange an element for another one that looks the same, show the
    old beside the new, or start over for the next one of several clicks. Belongs between what
    makes the server draw and whatever relies on what is drawn.
    """
    page.wait_for_function(CALM, arg=[time.time() * 1000, CALM_MS], polling=20)


def seen(there: Locator) -> None:
    """Wait until it is to be seen, and until the page that shows it is drawn to its end."""
    expect(there.first).to_be_visible()
    drawn_to_its_end(there.page)


def press(there: Locator) -> None:
    """Click it, on a page that is drawn to its end."""
    seen(there)
    there.click()


def place_of(drawn: Locator) -> FloatRect:
    """Where an element is in the window."""
    seen(drawn)
    drawn.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = drawn.bounding_box()
    assert box is not None
    return box


def picture(page: Page, name: str) -> None:
    """Keep what the window shows; all of it must be in order and nothing wider than the window."""
    drawn_to_its_end(page)
    assert page.locator(BUG).count() == 0, name
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


Visitor = Callable[..., Page]


@pytest.fixture
def visit(windows: dict[bool, BrowserContext], server_url: str) -> Iterator[Visitor]:
    """Opens a path in a new tab: `visit("/optimize", width=390, height=844, dark=True)`.

    At the end of the test no page may have logged an error, failed to load something or shown
    a bug.
    """
    pages: list[Page] = []
    complaints: list[str] = []

    def opened(path: str, width: int = 1440, height: int = 900, dark: bool = False) -> Page:
        page = windows[dark].new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.on("console", lambda message: complaints.extend(_complaint(message)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.extend(_outside(request, server_url)))
        page.goto(server_url + path)
        pages.append(page)
        return page

    yield opened
    bugs = sum(page.locator(BUG).count() for page in pages)
    for page in pages:
        page.close()
    assert complaints == []
    assert bugs == 0


def _complaint(message: Any) -> list[str]:
    place = message.location.get("url", "")
    if message.type != "error" or PROBE.search(place):
        return []
    return [f"{message.text} ({place})"]


def _outside(request: Any, server_url: str) -> list[str]:
    """Nothing may be fetched from elsewhere: the app must work offline."""
    inside = request.url.startswith((server_url, "data:", "blob:"))
    return [] if inside else [f"asked for {request.url}"]

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

expect.set_options(timeout=15_000)  # a busy machine must not fail a test

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
START_SECONDS = 60
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
            server.wait(15)


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
    return {dark: browser.new_context(color_scheme=scheme) for dark, scheme in SCHEMES.items()}


def place_of(drawn: Locator) -> FloatRect:
    """Where an element is in the window, once the page has been drawn to its end.

    Until then Streamlit may exchange it for another one that looks the same.
    """
    app = drawn.page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)
    expect(drawn).to_be_visible()
    drawn.evaluate("element => element.scrollIntoView({block: 'center'})")
    box = drawn.bounding_box()
    assert box is not None
    return box


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

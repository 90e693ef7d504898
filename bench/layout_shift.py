"""How far what is read jumps while a page loads, and how long until it keeps still.

    python -m bench.layout_shift [--runs 5] [--beside CHECKOUT] [--only PATH] [FILE]

Opens every page in Chromium over a book of 50 positions, 10,000 events and a study of 110 cells,
made in FILE (a temporary one) unless it is there already: once with an empty cache, then `runs`
times again. Prints medians: cumulative layout shift (the share of the window that moved times how
far it moved; below 0.1 is called good), seconds until script, charts and tables are done, and what
moved most. --beside: another checkout of volbal, loaded in turn with this one.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import large
from books import opened

from volbal.domain.study_states import Step
from volbal.engine.grid import exact_range
from volbal.services import studies, study_runner
from volbal.services.study_request import StudyRequest

PATHS = (
    "/",
    "/position",
    "/position?id=1&tab=Settings",
    "/timeline",
    "/dividends",
    "/data",
    "/sql",
    "/compare",
    "/simulate",
    "/optimize",
    "/optimize?study=1",
    "/studies",
)
WINDOWS = ((1440, 900), (390, 844))
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
START_SECONDS = 120
STILL_MS = 500

WATCH = """
    window.moved = [];
    window.ready = null;
    const named = node => {
        const element = node?.nodeType === 1 ? node : node?.parentElement;
        const near = element?.closest("[data-testid]");
        const words = (element?.innerText ?? "").trim().split("\\n")[0].slice(0, 24);
        return (near?.dataset.testid ?? element?.tagName ?? "gone") + (words && ` "${words}"`);
    };
    new PerformanceObserver(seen => {
        for (const entry of seen.getEntries()) {
            if (entry.hadRecentInput) continue;
            const of = entry.sources.map(({node, previousRect: was, currentRect: is}) =>
                `${named(node)} ${is.x - was.x | 0},${is.y - was.y | 0}`);
            window.moved.push([entry.value, of, entry.startTime | 0]);
        }
    }).observe({type: "layout-shift", buffered: true});
    const done = () => {
        const app = document.querySelector("[data-testid=stApp]");
        const drawn = "[data-testid=stVegaLiteChart], [data-testid=stEChartsChart], "
            + "[data-testid=stDataFrame]";
        return app?.dataset.testScriptState === "notRunning"
            && app.dataset.testConnectionState === "CONNECTED"
            && document.querySelector("h1, h2, [data-testid=stMetric]")
            && !document.querySelector("[data-stale=true], [data-testid=stSkeleton]")
            && [...document.querySelectorAll(drawn)].every(
                one => !one.checkVisibility() || one.querySelector("canvas, svg"));
    };
    const look = () => {
        if (!done()) window.ready = null;
        else window.ready ??= performance.now();
        window.still = window.ready !== null && performance.now() - window.ready >= STILL_MS;
        if (!window.still) requestAnimationFrame(look);
    };
    if (location.protocol !== "about:") look();
""".replace("STILL_MS", str(STILL_MS))
"""Notes in every page what moved, and since when it is done."""


@contextmanager
def served(checkout: Path, book: Path) -> Iterator[str]:
    """Address of volbal over a copy of `book`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        own = shutil.copy(book, folder)
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        server = subprocess.Popen(
            [*command, "--server.port", str(port), "--server.headless", "true"],
            cwd=checkout,
            env=os.environ | {"VOLBAL_DB": str(own)},
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}/healthz")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def wait_until_healthy(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{address} did not answer within {START_SECONDS} s.")


def made(book: Path) -> Path:
    if not book.exists():
        large.build_quickly(book)
        now = datetime.now(UTC)
        parameters = (
            exact_range("trigger_threshold", "0.01", "0.1", "0.01"),
            exact_range("rebalance_ratio", "0.5", "3", "0.25"),
        )
        with opened(book) as database:
            asked = StudyRequest("Layout", ("AAPL",), parameters)
            study_id = studies.create(database, asked, now).study_id
            studies.take(database, study_id, Step.START, now)
            study_runner.work(database, study_id)
    return book


def load(page: Page, address: str) -> tuple[float, float, list[Any]]:
    """One full load: shift, seconds, and what moved."""
    page.goto("about:blank")
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.still", polling=50, timeout=60_000)
    moved = page.evaluate("window.moved")
    return sum(value for value, *_ in moved), page.evaluate("window.ready") / 1000, moved


def measure(browser: Browser, addresses: list[str], path: str, runs: int) -> None:
    """A row for each window and checkout."""
    for width, height in WINDOWS:
        with ExitStack() as stack:
            pages = []
            for _ in addresses:
                window = browser.new_context(viewport={"width": width, "height": height})
                stack.callback(window.close)
                window.add_init_script(WATCH)
                pages.append(window.new_page())
            there = [address + path for address in addresses]
            first = [load(page, address) for page, address in zip(pages, there, strict=True)]
            later = [
                [load(page, address) for page, address in zip(pages, there, strict=True)]
                for _ in range(runs)
            ]
        for number, (once, *again) in enumerate(zip(first, *later, strict=True)):
            shift, seconds = (median(run[i] for run in again) for i in (0, 1))
            print(
                f"{path:30}{width:5}{' beside' if number else '':8}"
                f"{once[0]:7.3f}{shift:7.3f}{once[1]:8.2f}{seconds:7.2f}  {most([once, *again])}",
                flush=True,
            )


def most(runs: list[tuple[float, float, list[Any]]]) -> str:
    """The three elements that were part of the greatest shifts, with how far they went."""
    by: Counter[str] = Counter()
    for *_, moved in runs:
        for value, sources, _ in moved:
            by[" + ".join(sources[:2])] += value / len(runs)
    return " | ".join(f"{value:.3f} {what}" for what, value in by.most_common(3) if value >= 0.001)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--only", action="append")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        book = made(given.file or folder / "book.duckdb")
        checkouts = [ROOT] + ([given.beside] if given.beside else [])
        addresses = [stack.enter_context(served(checkout, book)) for checkout in checkouts]
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=os.environ.get("VOLBAL_CHROMIUM") or shutil.which("chromium"),
            args=FLAGS,
        )
        print(f"{'':43}shift: first again  s: first again  what moved")
        for path in given.only or PATHS:
            measure(browser, addresses, path, given.runs)
        browser.close()


if __name__ == "__main__":
    main()

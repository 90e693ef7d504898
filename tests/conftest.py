"""What tests of several folders share."""

import os
import shutil
import signal
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LONGEST_FIRST = (
    "e2e/test_screens.py",
    "e2e/test_investor.py",
    "proofs/test_life.py",
    "test_start.py",
    "proofs/test_study_kills.py",
    "storage/test_kills.py",
    "proofs/test_kills.py",
    "e2e/test_data.py",
    "e2e/test_records_screens.py",
)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_reach_what_tests_start() -> None:
    """A shell starts what runs in its background with interrupts ignored, which is inherited."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The program file of an installed Chromium or Chrome; VOLBAL_CHROMIUM names another one.

    Without one the test is skipped, or fails where VOLBAL_REQUIRE_BROWSER=1 (as in CI).
    """
    named = os.environ.get("VOLBAL_CHROMIUM")
    for candidate in [named] if named else BROWSERS:
        found = shutil.which(candidate)
        if found:
            return found
    looked_for = f"VOLBAL_CHROMIUM={named} is no program" if named else f"no {', '.join(BROWSERS)}"
    sentence = f"Browser tests were not run: {looked_for} on this machine."
    if os.environ.get("VOLBAL_REQUIRE_BROWSER") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def large_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a book with 50 positions and 10,000 events; copy it, others read it too."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of the whole run
    made = shared / "large.duckdb"
    if not made.exists():
        import large  # slow to import

        own = tmp_path_factory.mktemp("large") / "large.duckdb"
        large.build_quickly(own)
        own.replace(made)
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no process has one left for itself."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(_file_of(item), len(places)))


def _file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0].removeprefix("tests/")

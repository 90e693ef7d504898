"""What the page tests share."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import streamlit as st
from books import NOW, opened
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from volbal.services import running, sample, study_runner
from volbal.ui import acting

ROOT = Path(__file__).parents[2]

Opener = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def _installed_components_are_looked_for_once() -> Iterator[None]:
    """Every AppTest would read what all installed packages say of themselves, longer than a page
    takes."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture(autouse=True)
def _nothing_kept_from_another_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("VOLBAL_DB", str(tmp_path / "volbal.duckdb"))
    monkeypatch.setattr(acting, "DOUBLE_CLICK", 0.0)  # a test clicks faster than any hand
    yield
    study_runner.stop()
    running.close()
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def open_page() -> Opener:
    """Opens a page as a link does: `open_page("optimize", metric="cagr")`."""

    def opened(page: str, query: dict[str, str] | None = None) -> AppTest:
        app = AppTest.from_file(str(ROOT / "volbal" / "ui" / "main.py"), default_timeout=60)
        app.switch_page(f"../../pages/{page}.py")
        for name, value in (query or {}).items():
            app.query_params[name] = value
        return app.run()

    return opened


@pytest.fixture(scope="session")
def sample_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records with a short sample in them; copy it."""
    path = tmp_path_factory.mktemp("sample") / "sample.duckdb"
    with pytest.MonkeyPatch.context() as patch, opened(path) as database:
        patch.setattr(sample, "BEGINS", date(2023, 9, 1))
        sample.add(database, NOW)
    return path

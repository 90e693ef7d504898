"""The layers of volbal, enforced: who may import whom, and where the rule may stand."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("volbal/**/*.py"))

ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "config": set(),
    "access": set(),
    "domain": {"domain"},
    "engine": {"engine", "domain"},
    "market": {"market", "domain"},
    "storage": {"storage", "domain"},
    "jobs": {"engine", "domain"},
    "formatting": {"engine", "domain"},
    "services": {"services", "storage", "market", "engine", "jobs", "domain", "formatting"},
    "api": {"api", "services", "domain", "engine", "market", "formatting"},
    # cli draws a study's map with the screen's own, when a picture is asked for.
    "cli": {"services", "ui", "domain", "engine", "market", "formatting"},
    "ui": {"ui", "services", "domain", "engine", "market", "formatting"},
}
ANYONE = {"errors", "config"}
LIBRARY_HOMES = {
    "streamlit": ("volbal/ui/", "pages/", "app.py"),
    "duckdb": ("volbal/storage/",),
    "joblib": ("volbal/jobs.py",),
    "numba": ("volbal/engine/",),
    "scipy": ("volbal/engine/",),
    "distributed": ("volbal/jobs.py",),
    "yfinance": ("volbal/market/",),
    "curl_cffi": ("volbal/market/",),
    "exchange_calendars": ("volbal/market/",),
    "xlsxwriter": ("volbal/services/exports.py",),
    "fastapi": ("volbal/api/", "app.py"),
    "fastapi_offline": ("volbal/api/documentation.py",),
}
STANDARD_ONLY = {
    "collections", "dataclasses", "datetime", "decimal", "enum", "fractions", "hashlib",
    "itertools", "json", "math", "numbers", "types", "typing", "volbal",
}  # fmt: skip


@cache
def imports(path: Path) -> set[str]:
    """Dotted names of everything `path` imports, wherever in the file it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(path: Path) -> str:
    return path.relative_to(ROOT / "volbal").with_suffix("").parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows_between_layers(path: Path) -> None:
    here = layer(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("volbal.")}
    assert used <= ALLOWED[here] | ANYONE, f"{here} must not import {used - ALLOWED[here]}"


@pytest.mark.parametrize("library", LIBRARY_HOMES)
def test_a_library_is_imported_only_where_it_lives(library: str) -> None:
    homes = LIBRARY_HOMES[library]
    files = [*SOURCES, *ROOT.glob("pages/*.py"), ROOT / "app.py", ROOT / "start.py"]
    for path in files:
        users = {name.split(".")[0] for name in imports(path)}
        where = path.relative_to(ROOT).as_posix()
        assert library not in users or where.startswith(homes), f"{where} imports {library}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("volbal/domain/*.py")), ids=lambda p: p.name)
def test_domain_needs_nothing_but_the_standard_library(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path)} <= STANDARD_ONLY


@pytest.mark.parametrize("folder", ["domain", "engine"])
def test_domain_and_engine_have_no_clock_no_chance_and_no_output(folder: str) -> None:
    for path in sorted(ROOT.glob(f"volbal/{folder}/*.py")):
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & {"random", "time", "secrets"}, path.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "print", "input"}, path.name
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"now", "today", "utcnow"}, path.name


def test_no_screen_module_hides_one_of_the_standard_library() -> None:
    # Streamlit puts the folder of its entry script first on the path, and worker processes take
    # that path over: a calendar.py there would be imported as the standard library's.
    names = {path.stem for path in ROOT.glob("volbal/ui/*.py")}
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda path: path.name)
def test_no_page_has_a_text_of_its_own_that_streamlit_would_show(path: Path) -> None:
    rest = ast.parse(path.read_text(encoding="utf-8")).body[1:]  # all but its docstring
    assert not [
        node.lineno
        for node in rest
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]


def test_the_trigger_levels_are_computed_in_one_place() -> None:
    pattern = re.compile(r"1(\.0)? *[-+] *(\w+\.)*trigger_(up|down)")
    places = [
        (path.name, line)
        for path in [*SOURCES, *ROOT.glob("pages/*.py")]
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line)
    ]
    assert [name for name, _ in places] == ["rule.py", "rule.py"], places

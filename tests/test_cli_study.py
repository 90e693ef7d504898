"""`python -m volbal study`: run from a file, shown, listed, interrupted, resumed, exported."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from volbal.cli import main
from volbal.services.study_commands import toml_lines
from volbal.services.study_request import NAMES, request_from_toml

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
SMALL = """
name = "Small"
symbols = ["AAPL", "MSFT"]
start = 2013-01-02
end = 2014-12-30
[parameters]
trigger_threshold = { min = 0.01, max = 0.05, step = 0.01 }
rebalance_ratio = { min = 1.0, max = 3.0, step = 0.1 }
[goals]
sharpe_ratio = 1
[[constraints]]
metric = "fill_count"
kind = "min_value"
value = 10
"""
LONG = """
symbols = ["AAPL"]
start = 2005-01-03
end = 2014-12-31
[parameters]
trigger_threshold = { min = 0.001, max = 0.1, step = 0.001 }
rebalance_ratio = { min = 0.0025, max = 6, step = 0.0025 }
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database that holds one completed study."""
    folder = tmp_path_factory.mktemp("studies")
    (folder / "small.toml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOLBAL_DB", str(folder / "volbal.duckdb"))
        assert main(["study", "run", str(folder / "small.toml"), "--workers", "2"]) == 0
    return folder


@pytest.fixture
def run(book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("VOLBAL_DB", str(book / "volbal.duckdb"))

    def ran(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


def test_a_study_runs_from_a_file_and_prints_its_best_cells(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLBAL_DB", str(tmp_path / "volbal.duckdb"))
    (tmp_path / "small.toml").write_text(SMALL)
    code, out, err = run("study", "run", str(tmp_path / "small.toml"))
    assert code == 0
    assert err.startswith("Study 1: 210 of 210 cells, 100.0 %")
    lines = out.splitlines()
    assert lines[0] == "Study 1: completed, 210 of 210 cells, 100.0 %"
    header = next(line for line in lines if line.startswith("Cell"))
    assert header.split()[:3] == ["Cell", "trigger_threshold", "rebalance_ratio"]
    assert sum(" feasible " in line for line in lines) == 10
    assert "No vault: every cell has seen the whole range." in lines
    assert any(line.startswith("105 cells have ever been tried on AAPL, by") for line in lines)


def test_a_study_is_listed_and_shown(run: Run) -> None:
    header, line = run("study", "list")[1].splitlines()
    assert header.split()[:3] == ["ID", "Name", "State"]
    assert line.split()[:5] == ["1", "Small", "completed", "AAPL,", "MSFT"]
    assert line.split()[-3:] == ["210", "100.0", "%"]
    shown = run("study", "show", "1", "--sort", "max_drawdown", "--top", "3", "--symbol", "MSFT")
    assert shown[0] == 0
    assert sum(" feasible " in line or " rejected " in line for line in shown[1].splitlines()) == 3


def test_what_is_shown_of_a_configuration_can_be_run(run: Run) -> None:
    shown = run("study", "show", "1")[1].split("\n\n")[1]
    assert request_from_toml(shown) == request_from_toml(SMALL)
    text = (ROOT / "docs" / "study.toml").read_text(encoding="utf-8")
    example = request_from_toml(text)
    assert request_from_toml("\n".join(toml_lines(example))) == example
    assert set(tomllib.loads(text)) == set(NAMES)  # it names every setting


def test_json_has_the_numbers_of_every_cell_asked_for(run: Run) -> None:
    found = json.loads(run("study", "show", "1", "--json", "--sort", "score", "--top", "1000")[1])
    assert (found["total"], found["completed"], found["progress_percentage"]) == (210, 210, 100.0)
    standing = ("invalid", "feasible", "unranked", "rejected")
    assert sum(found[name] for name in standing) == found["combinations"] == found["computed"]
    assert len(found["cells"]) == 105
    assert found["trials"] == {"AAPL": 105, "MSFT": 105}
    best = found["cells"][0]
    assert (best["cell_id"], best["rank"]) == (found["peak"], 1)
    assert set(best["parameters"]) == {"trigger_threshold", "rebalance_ratio"}
    few = json.loads(run("study", "show", "1", "--json", "--cells", "30", "3")[1])
    assert {cell["cell_id"] for cell in few["cells"]} == {3, 30}
    assert few["cells"] == [one for one in found["cells"] if one["cell_id"] in (3, 30)]
    rejected = [cell for cell in found["cells"] if cell["status"] == "rejected"]
    assert len(rejected) == found["rejected"]
    assert all(cell["score"] is None for cell in rejected)


def test_the_map_of_a_study_is_exported_as_a_picture(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "map.svg"
    assert run("study", "export", "1", str(file))[:2] == (0, f"Study 1 is in {file}.\n")
    drawn = file.read_text(encoding="utf-8")
    assert "Sharpe ratio of AAPL, MSFT by trigger threshold and rebalance ratio" in drawn
    code, _, said = run("study", "export", "1", str(tmp_path / "map.gif"))
    assert code == 2
    assert "end it in .csv, .xlsx, .parquet, .json, .png, .svg" in said


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet", "json"])
def test_every_cell_is_exported_in_the_format_of_the_suffix(
    suffix: str, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / f"cells.{suffix}"
    assert run("study", "export", "1", str(file), "--symbol", "AAPL")[:2] == (
        0,
        f"Study 1 is in {file}.\n",
    )
    read = {"csv": pd.read_csv, "xlsx": pd.read_excel, "parquet": pd.read_parquet}
    rows = read[suffix](file) if suffix in read else json.loads(file.read_text(encoding="utf-8"))
    assert len(rows) == 105
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["show", "7"], "There is no study 7"),
        (["resume", "1"], "Study 1 is completed: there is nothing to resume. Look at"),
        (["cancel", "1"], "completed: there is nothing to cancel. Look at its results, or dup"),
        (["show", "1", "--sort", "luck"], "luck"),
        (["show", "1", "--symbol", "KO"], "KO"),
        (["show", "1", "--top", "-1"], "top: -1 is negative"),
        (["show", "1", "--cells", "3", "5000"], "there is no cell 5000"),
        (["export", "1", "cells.txt"], "end it in .csv, .xlsx, .parquet, .json"),
        (["export", "1", "no/such/folder/cells.csv"], "cannot be written"),
        (["run", "none.toml"], "none.toml cannot be read"),
        (["run", "small.toml", "--workers", "0"], "workers: 0 is too few"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(words: list[str], problem: str, run: Run) -> None:
    code, out, err = run("study", *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert problem in err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("symbols = [", "the file does not parse"),
        (SMALL.replace("name =", "title ="), "'title' is not known here"),
        (SMALL.replace("AAPL", "NONE"), "NONE"),
        (SMALL.replace("min = 0.01", "min = 0.2"), "trigger_threshold"),
        (SMALL.replace("sharpe_ratio = 1", "sharpe_ratio = 0"), "all weights are 0"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_and_nothing_is_saved(
    text: str, problem: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    code, out, err = run("study", "run", str(tmp_path / "bad.toml"))
    assert (code, out) == (2, "")
    assert problem in err
    assert len(run("study", "list")[1].splitlines()) == 2


def test_records_that_a_running_volbal_holds_are_named_with_what_to_do(
    run: Run, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLBAL_DB_TIMEOUT", "0.2")
    hold = f"import duckdb; c = duckdb.connect({str(book / 'volbal.duckdb')!r}, read_only=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}; print('held', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        code, _, err = run("study", "run", str(book / "small.toml"))
        assert run("study", "list")[0] == 0
        holder.communicate(b"\n")
    assert code == 2
    assert f"PID {holder.pid}" in err
    assert "use its Studies page or end it (Ctrl-C) first" in err
    assert len(run("study", "list")[1].splitlines()) == 2


def test_ctrl_c_leaves_a_study_interrupted_and_resume_completes_it(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "volbal.duckdb", tmp_path / "long.toml"
    file.write_text(LONG)
    child = subprocess.Popen(
        [sys.executable, "-m", "volbal", "study", "run", str(file)],
        cwd=ROOT,
        env=os.environ | {"VOLBAL_DB": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    while _state(path) != "running":
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (130, "")
    assert err.endswith("Go on: python -m volbal study resume 1\n")
    assert _state(path) == "interrupted"
    monkeypatch.setenv("VOLBAL_DB", str(path))
    cancelled = run("study", "cancel", "1")[1]
    assert "Go on from there: python -m volbal study resume 1" in cancelled
    code, out, _ = run("study", "resume", "1")
    assert code == 0
    assert out.startswith("Study 1: completed, 240,000 of 240,000 cells, 100.0 %")


def _state(path: Path) -> str:
    """As another program sees it between the writes."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            row = connection.execute("select state from v_studies").fetchone()
    except duckdb.Error:
        return ""
    return row[0] if row else ""

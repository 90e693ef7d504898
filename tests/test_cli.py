"""The command line over real prices and files; some commands as a user runs them, as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from volbal.cli import main

ROOT = Path(__file__).parents[1]
GOLDEN = [100, 100, 96, 96, 100, 104, 100, 97, 97]


Done = subprocess.CompletedProcess[str]
Volbal = Callable[..., Done]


@pytest.fixture
def volbal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Volbal:
    """The command `python -m volbal`, run within this process: starting one takes a second."""
    monkeypatch.setenv("VOLBAL_DB", str(tmp_path / "records.duckdb"))

    def ran(*arguments: str) -> Done:
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    return ran


def process(*arguments: str, **environment: str) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "volbal", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def golden_file(folder: Path, suffix: str = ".csv") -> Path:
    path = folder / f"golden{suffix}"
    dates = pd.date_range("2024-01-01", periods=len(GOLDEN))
    frame = pd.DataFrame({"Date": dates, "Close": [float(close) for close in GOLDEN]})
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_simulate_prints_the_golden_run_of_a_file_as_json(
    tmp_path: Path, suffix: str, volbal: Volbal
) -> None:
    done = volbal("simulate", "GOLD", "--prices", str(golden_file(tmp_path, suffix)), "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["symbol"], run["start"], run["end"], run["ticks"]) == (
        "GOLD",
        "2024-01-01",
        "2024-01-09",
        "close",
    )
    sides = [(fill["side"], fill["time"], fill["price"]) for fill in run["fills"]]
    assert sides == [
        ("BUY", "2024-01-03", 96.0),
        ("SELL", "2024-01-05", 100.0),
        ("SELL", "2024-01-06", 104.0),
        ("BUY", "2024-01-07", 100.0),
        ("BUY", "2024-01-08", 97.0),
    ]
    assert run["fills"][0]["quantity"] == pytest.approx(7.08926, abs=5e-6)
    assert run["final"]["cash"] == pytest.approx(4462.84508, abs=5e-6)
    assert set(run["fills"][0]) == {
        "time", "side", "quantity", "price", "commission", "shares", "cash", "reason",
    }  # fmt: skip
    assert set(run["final"]) == {"shares", "cash", "receivable", "equity", "anchor"}
    assert set(run["benchmarks"]) == {"buy_and_hold", "start_mix", "exposure_matched"}


def test_limit_ticks_fill_at_the_levels_within_a_bar(tmp_path: Path, volbal: Volbal) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(
        "Date,Open,High,Low,Close\n2024-01-02,100,103,97,102\n2025-01-02,102,102,102,102\n"
    )
    arguments = ("simulate", "XYZ", "--prices", str(path), "--ticks", "limit", "--json")
    done = volbal(*arguments)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["ticks"] == "limit"
    # 100 -> 97 -> 103 -> 102, as worked in tests/domain/test_walk.py.
    assert [fill["price"] for fill in run["fills"]] == pytest.approx([97.0, 99.91, 102.9073])
    assert {fill["time"] for fill in run["fills"]} == {"2024-01-02"}
    assert run["metrics"]["bracket_low"] < run["metrics"]["bracket_high"]
    assert any("nobody knows which" in sentence for sentence in run["assumptions"])


def test_limit_ticks_on_a_file_of_closes_are_refused_with_the_reason(
    tmp_path: Path, volbal: Volbal
) -> None:
    done = volbal(
        "simulate", "GOLD", "--prices", str(golden_file(tmp_path)), "--ticks", "limit"
    )  # fmt: skip
    assert done.returncode == 2
    assert "nobody knows which levels the price met" in done.stderr
    assert done.stdout == ""


def test_undefined_metrics_are_null_with_a_reason(tmp_path: Path, volbal: Volbal) -> None:
    path = tmp_path / "flat.csv"
    path.write_text("Date,Close\n2024-01-01,100\n2024-01-02,100\n2024-01-03,100\n")
    run = json.loads(volbal("simulate", "FLAT", "--prices", str(path), "--json").stdout)
    assert run["metrics"]["sharpe_ratio"] is None
    assert run["undefined"]["sharpe_ratio"] == "the daily returns do not vary"
    assert run["metrics"]["fill_count"] == 0


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_policy_comes_from_a_file_and_set_goes_over_it(
    tmp_path: Path, suffix: str, volbal: Volbal
) -> None:
    policy = tmp_path / f"policy{suffix}"
    text = {".json": '{"trigger_threshold": 0.5}', ".toml": "trigger_threshold = 0.5"}[suffix]
    policy.write_text(text)
    prices = str(golden_file(tmp_path))
    common = ("simulate", "GOLD", "--prices", prices, "--json", "--policy", str(policy))
    assert json.loads(volbal(*common).stdout)["fills"] == []
    changed = volbal(*common, "--set", "trigger_up=0.03", "--set", "trigger_down=0.03")
    assert len(json.loads(changed.stdout)["fills"]) == 5


def test_fixed_percentage_takes_its_own_default_ratio(tmp_path: Path, volbal: Volbal) -> None:
    prices = str(golden_file(tmp_path))
    done = volbal(
        "simulate", "GOLD", "--prices", prices, "--json", "--set", "sizing=fixed_percentage"
    )
    # A tenth of 5,000 cash at 96.
    assert json.loads(done.stdout)["fills"][0]["quantity"] == pytest.approx(500 / 96)


def test_a_start_without_a_session_moves_inwards_and_says_so(volbal: Volbal) -> None:
    run = json.loads(
        volbal("simulate", "AMZN", "--start", "2013-01-01", "--end", "2013-03-29", "--json").stdout
    )
    assert (run["start"], run["end"]) == ("2013-01-02", "2013-03-28")
    assert any("2013-01-01 is no session" in line for line in run["assumptions"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["simulate", "NOPE"], ["NOPE", "AAPL"]),
        (["simulate", "AAPL", "--start", "1999-01-01"], ["1999-01-01", "2000-03-01"]),
        (["simulate", "AAPL", "--start", "tomorrow"], ["tomorrow", "YYYY-MM-DD"]),
        (["simulate", "AAPL", "--set", "trigger_up=3"], ["trigger_up", "3", "fractions"]),
        (["simulate", "AAPL", "--set", "trigger_upp=0.1"], ["trigger_upp", "trigger_up"]),
        (["simulate", "AAPL", "--set", "trigger_up"], ["trigger_up", "FIELD=VALUE"]),
        (["simulate", "AAPL", "--set", "lot_size=nan"], ["lot_size", "finite"]),
        (["simulate", "AAPL", "--policy", "missing.json"], ["missing.json"]),
        (["simulate", "AAPL", "--capital", "0"], ["capital", "0.000001 to"]),
        (["simulate", "AAPL", "--capital", "nan"], ["capital"]),
        (["simulate", "AAPL", "--stock-share", "1.5"], ["stock_share", "[0, 1]"]),
        (["simulate", "AAPL", "--ticks", "hourly"], ["hourly", "close, limit"]),
        (["simulate", "X", "--prices", "missing.csv"], ["missing.csv"]),
        (["optimize", "AAPL"], ["--param"]),
        (["optimize", "AAPL", "--param", "trigger_up"], ["trigger_up", "MIN:MAX:STEP"]),
        (["optimize", "AAPL", "--param", "trigger_up=1:2"], ["1:2", "MIN:MAX:STEP"]),
        (["optimize", "AAPL", "--param", "trigger_up=2:3:1"], ["2 combinations"]),
        (
            ["optimize", "AAPL", "--param", "trigger_up=0.1:0.2:0.1", "--metric", "luck"],
            ["luck", "sharpe_ratio"],
        ),
        (
            ["optimize", "AAPL", "--param", "trigger_up=0.1:0.2:0.1", "--metric", "fill_count"],
            ["fill_count", "no better or worse"],
        ),
        (["optimize", "AAPL", "--param", "trigger_up=0.1,0.2", "--workers", "0"], ["workers"]),
        (["optimize", "AAPL", "--param", "trigger_up=0.1,0.2", "--top", "-3"], ["top", ">= 0"]),
        (["dance"], ["dance"]),
    ],
)
def test_bad_input_ends_with_code_2_and_one_clear_line(
    arguments: list[str], words: list[str], volbal: Volbal
) -> None:
    done = volbal(*arguments)
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_optimize_finds_the_same_best_cell_in_table_csv_and_json(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    arguments = (
        "optimize", "AAPL", "--start", "2013-01-02", "--end", "2023-09-21",
        "--param", "trigger_threshold=0.01:0.10:0.01", "--param", "rebalance_ratio=0.5:3:0.25",
        "--metric", "sharpe_ratio",
    )  # fmt: skip
    table = process(*arguments, "--csv", str(out))
    assert table.returncode == 0, table.stderr
    assert "110 of 110 cells" in table.stderr
    cells = pd.read_csv(out)
    best = json.loads(process(*arguments, "--json").stdout)["best"]
    top = cells.loc[cells["sharpe_ratio"].idxmax()]
    assert len(cells) == 110
    assert best["parameters"] == {
        "trigger_threshold": top["trigger_threshold"],
        "rebalance_ratio": top["rebalance_ratio"],
    }
    assert best["metrics"]["sharpe_ratio"] == top["sharpe_ratio"]
    assert f"Best Sharpe ratio: {top['sharpe_ratio']:.3f} at" in table.stdout
    assert "Nothing is recorded: these cells are not among those ever tried on AAPL" in table.stdout


def test_a_metric_that_is_good_when_low_is_minimised(volbal: Volbal) -> None:
    done = volbal(
        "optimize", "KO", "--param", "trigger_threshold=0.01,0.1", "--metric", "volatility",
        "--json",
    )  # fmt: skip
    result = json.loads(done.stdout)
    lowest = min(cell["metrics"]["volatility"] for cell in result["cells"])
    assert result["best"]["metrics"]["volatility"] == lowest


def test_cell_of_an_optimization_equals_its_simulation(volbal: Volbal) -> None:
    swept = volbal(
        "optimize", "IBM", "--param", "sizing=proportional,original",
        "--param", "auto_rebalance=true,false", "--json",
    )  # fmt: skip
    cell = json.loads(swept.stdout)["cells"][3]
    assert cell["parameters"] == {"sizing": "original", "auto_rebalance": False}
    single = volbal(
        "simulate", "IBM", "--set", "sizing=original", "--set", "auto_rebalance=false", "--json"
    )
    metrics = json.loads(single.stdout)["metrics"]
    for name, value in cell["metrics"].items():
        expected = metrics[name]
        if expected is None:
            assert value is None
        else:
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12), name


def test_a_csv_that_cannot_be_written_is_said_and_leaves_nothing(
    tmp_path: Path, volbal: Volbal
) -> None:
    target = tmp_path / "missing" / "out.csv"
    done = volbal("optimize", "KO", "--param", "trigger_up=0.01,0.1", "--csv", str(target))
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_records_are_made_verified_queried_backed_up_and_restored(
    tmp_path: Path, volbal: Volbal
) -> None:
    database = tmp_path / "records.duckdb"
    verified = process("verify", VOLBAL_DB=str(database))
    assert (verified.returncode, verified.stderr) == (0, "")
    counted = volbal("sql", "select count(*) as positions from v_positions")
    assert counted.stdout.split()[:3] == ["positions", "---------", "0"]
    made = volbal("backup").stdout.strip().removeprefix("Backup: ")
    assert Path(made).name in volbal("restore").stdout
    restored = volbal("restore", Path(made).name)
    assert restored.returncode == 0, restored.stderr
    assert volbal("verify").returncode == 0


def test_sql_that_writes_is_refused_in_one_line(tmp_path: Path, volbal: Volbal) -> None:
    done = volbal("sql", "delete from positions")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "DELETE" in done.stderr


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "records.duckdb"
    database.write_bytes(b"no database" * 1000)
    done = process("verify", VOLBAL_DB=str(database))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "records.duckdb" in done.stderr
    assert database.read_bytes() == b"no database" * 1000

"""`python -m volbal prices`: fetched from a local server, imported, listed, deleted, simulated."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from yahoo_server import serving

from volbal.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("VOLBAL_DB", str(tmp_path / "volbal.duckdb"))

    def ran(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


@contextmanager
def holding(path: Path) -> "Iterator[subprocess.Popen[str]]":
    """Another process that holds the file read-only, as a running volbal does."""
    code = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); "
        "print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.communicate()


def test_prices_are_fetched_listed_simulated_and_deleted(run: Run, monkeypatch) -> None:
    with serving(lambda: datetime(2015, 1, 2, tzinfo=UTC)) as server:
        monkeypatch.setenv("VOLBAL_YAHOO_URL", server.url)
        code, out, err = run("prices", "refresh", "ko", "ZZZ")
        assert (code, out) == (
            2,
            "KO 1d got 754 new bars, 12 new dividends, 1 new split: now 2012-01-03 to "
            "2014-12-31.\n",
        )
        assert err.startswith("volbal: Yahoo knows no symbol ZZZ")
        assert run("prices", "refresh")[:2] == (
            0,
            "KO 1d has nothing new: it reaches to 2014-12-31.\n",
        )
    listed = run("prices", "list")[1].splitlines()
    assert [line.split()[:5] for line in listed if line.startswith(("KO", "MSFT"))] == [
        ["KO", "1d", "2012-01-03", "2014-12-31", "754"],
        ["MSFT", "1d", "2000-03-01", "2014-12-31", "3,733"],
    ]
    assert "Prices: stored: Yahoo, fetched " in run("simulate", "KO")[1]
    assert "There are no 1h prices of KO" in run("simulate", "KO", "--interval", "1h")[2]
    assert run("prices", "delete", "KO")[:2] == (
        0,
        "The stored 1d prices of KO are deleted. The bundled ones take their place: they end on "
        "2014-12-31.\n",
    )
    assert "Prices: bundled: " in run("simulate", "KO")[1]


def test_without_a_network_it_says_so_once_and_stored_prices_remain(run: Run, monkeypatch) -> None:
    with serving(lambda: datetime(2015, 1, 2, tzinfo=UTC)) as server:
        monkeypatch.setenv("VOLBAL_YAHOO_URL", server.url)
        run("prices", "refresh", "KO")
    code, out, err = run("prices", "refresh", "KO", "MSFT", "IBM")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "The stored 1d prices of KO go on being used: they end on 2014-12-31, " in err
    assert "The bundled 1d prices of MSFT, IBM go on being used: the oldest end on " in err
    assert "The bundled 1d prices of IBM " in run("prices", "refresh", "IBM")[2]
    assert "There are no 1d prices of ZZZ here." in run("prices", "refresh", "ZZZ")[2]
    assert "Prices: stored: Yahoo, fetched " in run("simulate", "KO")[1]


def test_while_another_program_holds_the_records_nothing_is_fetched_and_the_way_out_is_said(
    run: Run, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("VOLBAL_DB_TIMEOUT", "0.2")
    file = tmp_path / "xyz.csv"
    file.write_text("Date,Close\n2020-01-02,1\n", encoding="utf-8")
    assert run("prices", "list")[0] == 0
    with (
        serving(lambda: datetime(2015, 1, 2, tzinfo=UTC)) as server,
        holding(tmp_path / "volbal.duckdb") as other,
    ):
        monkeypatch.setenv("VOLBAL_YAHOO_URL", server.url)
        for command in (("refresh", "KO"), ("import", str(file)), ("delete", "KO")):
            code, out, err = run("prices", *command)
            assert (code, out) == (2, "")
            assert f"(PID {other.pid}). If that is a running volbal, use its pages (Data " in err
        assert server.requests == []
        assert run("prices", "list")[0] == 0


def test_a_file_is_imported_under_its_own_name_once_its_dates_are_clear(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "xyz.csv"
    file.write_text("Date;Close\n03/04/2020;10,5\n06/04/2020;11\n", encoding="utf-8")
    code, out, err = run("prices", "import", str(file))
    assert (code, out) == (2, "")
    assert "say which it is, 'day first' or 'month first'" in err
    code, out, err = run("prices", "import", str(file), "--dates", "day first")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "Saved 2 1d bars of XYZ."
    assert run("simulate", "XYZ")[1].startswith("XYZ, 2020-04-03 to 2020-04-06")
    file.write_text("Date;Close\n2020-04-06;11\n", encoding="utf-8")
    code, out, err = run("prices", "import", str(file))
    assert (code, out) == (2, "")
    assert "in place of the 2 from file xyz.csv, 2020-04-03 to 2020-04-06; 1 of those is" in err
    assert run("prices", "import", str(file), "--replace")[0] == 0


def test_of_what_is_odd_about_a_file_the_first_few_are_printed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "xyz.csv"
    rows = [f"2020-{month:02}-02,{10 ** (month % 2)}\n" for month in range(1, 12)]
    file.write_text("Date,Close\n" + "".join(rows), encoding="utf-8")
    out = run("prices", "import", str(file))[1]
    assert len(out.splitlines()) < 11
    assert re.search(r"\n  and \d+ more, to be seen under Checks on the Data page\.\n", out)


def test_simulating_makes_no_records(run: Run, tmp_path: Path) -> None:
    assert run("simulate", "KO")[0] == 0
    assert run("simulate", "KO", "--interval", "1h")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_simulation_goes_on_with_bundled_prices_where_the_records_are_damaged(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "volbal.duckdb").write_bytes(b"no database" * 1000)
    code, out, err = run("simulate", "KO")
    assert code == 0
    assert "Prices: bundled: " in out
    assert err.startswith("volbal: Only bundled prices were looked at. ")

"""The small form of `python -m bench.adhoc`: what must hold on any machine, without a clock."""

from pathlib import Path

import pytest

from bench import adhoc
from storage.marks import ids, write_mark


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "marks.duckdb"


def commands(path: Path) -> dict[str, list[str]]:
    tool = adhoc.command_line(path)
    return {"python": adhoc.python_command(path), **({"duckdb": tool} if tool else {})}


def test_one_shot_opens_under_load_succeed_within_ten_tries(path):
    with adhoc.app(path, rows=100) as database, adhoc.load(database, 10, []):
        for command in commands(path).values():
            assert adhoc.one_shots(command, 10).share(adhoc.TRIES) == 1.0


def test_one_shot_opens_of_the_snapshot_succeed_at_the_first_try(path):
    snapshot = path.with_name("snapshot.duckdb")
    with adhoc.app(path, rows=100) as database:
        database.copy_to(snapshot)
        with adhoc.load(database, 10, []):
            for command in commands(snapshot).values():
                assert adhoc.one_shots(command, 10).share(1) == 1.0


def test_a_session_held_open_elsewhere_only_delays_a_write(path):
    with adhoc.app(path, timeout=60) as database:
        elsewhere = adhoc.session_elsewhere(path, 1.0)
        write_mark(database, 1)
        elsewhere.communicate()
        assert elsewhere.returncode == 0
        assert ids(database) == [1]


@pytest.mark.parametrize("measure", [adhoc.burst, adhoc.crowd, adhoc.singly])
def test_a_burst_stores_every_mark_once(path, measure):
    with adhoc.app(path) as database:
        measure(database, 0, 100)
        stored = ids(database)
    assert len(stored) == len(set(stored)) == 100

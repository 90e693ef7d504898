import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.conftest import STEPS
from storage.marks import write_mark
from volbal.storage import backup, files
from volbal.storage.database import Database

NOW = datetime(2026, 3, 5, 12, 0, 0, 1, tzinfo=UTC)


def put(path: Path, kind: str, made_at: datetime) -> Path:
    file = backup.new_name(path, kind, made_at)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"old")
    return file


def start_and_stop(path: Path) -> None:
    database = Database(path, steps=STEPS)
    database.open()
    database.close()


def daily(path: Path) -> list[Path]:
    return [file for file in backup.backups(path) if file.name.endswith("-daily.duckdb")]


def test_the_name_says_the_database_the_time_and_why(path):
    name = backup.new_name(path, "daily", NOW).name
    assert name == "volbal-20260305T120000000001Z-daily.duckdb"


@pytest.mark.parametrize(
    ("age", "due"),
    [
        (timedelta(0), False),
        (timedelta(hours=23, minutes=59), False),
        (timedelta(days=1), True),
        (timedelta(days=40), True),
        (timedelta(hours=-1), True),  # made while the clock ran ahead
    ],
)
def test_a_backup_is_due_a_day_after_the_newest(path, age, due):
    put(path, "daily", NOW - age)
    assert backup.is_due(path, NOW) is due


def test_a_first_backup_is_due(path):
    assert backup.is_due(path, NOW)


def test_the_second_start_backs_up_and_the_third_does_not(path):
    start_and_stop(path)
    assert daily(path) == []
    start_and_stop(path)
    assert len(daily(path)) == 1
    start_and_stop(path)
    assert len(daily(path)) == 1


def test_a_backup_is_a_whole_database(path):
    database = Database(path, steps=STEPS)
    database.open()
    write_mark(database, 5)
    database.close()
    copy = backup.take(path, "daily")
    connection = files.connect(copy, writable=False)
    assert connection.execute("select id from marks").fetchall() == [(5,)]
    connection.close()


def test_the_seven_newest_automatic_backups_are_kept_and_all_others_stay(path):
    start_and_stop(path)
    old = [put(path, "daily", NOW - timedelta(days=days)) for days in range(20, 10, -1)]
    migration = put(path, "migration", NOW - timedelta(days=2))
    asked_for = put(path, "manual", NOW - timedelta(days=300))
    replaced = put(path, "replaced", NOW - timedelta(days=200))
    new = backup.take(path, "daily")
    assert backup.backups(path) == [asked_for, replaced, *old[-5:], migration, new]


def test_other_files_in_the_folder_are_no_backups(path):
    put(path, "daily", NOW)
    for name in ("notes.txt", "other-20260305T120000000001Z-daily.duckdb", "volbal.duckdb"):
        (backup.folder_of(path) / name).touch()
    assert len(backup.backups(path)) == 1


def test_the_newest_is_not_what_a_restore_put_aside(path):
    good = put(path, "daily", NOW)
    put(path, "replaced", NOW + timedelta(hours=1))
    assert backup.newest(path) == good


def test_what_a_killed_backup_left_is_no_backup_and_is_cleared_a_day_later(path):
    start_and_stop(path)
    half, at_work = (files.temporary(backup.new_name(path, "daily", NOW)) for _ in range(2))
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    at_work.write_bytes(b"being made")
    assert backup.backups(path) == []
    os.utime(half, (0, 0))
    backup.take(path, "daily")
    assert not half.exists()
    assert at_work.exists()

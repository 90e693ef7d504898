import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.marks import count, write_mark
from volbal.config import PROJECT, Settings
from volbal.storage import files
from volbal.storage.database import Database
from volbal.storage.publish import Publisher, is_stale
from volbal.storage.session import opened, refresh_snapshot
from volbal.storage.startup import read_everything


def marks_in(snapshot: Path) -> list[int]:
    connection = files.connect(snapshot, writable=False)
    found = [row[0] for row in connection.execute("select id from marks order by id").fetchall()]
    connection.close()
    return found


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@pytest.fixture
def snapshot(path: Path) -> Path:
    return path.with_name("volbal_snapshot.duckdb")


@pytest.fixture
def publisher(database: Database, snapshot: Path):
    made = Publisher(database, snapshot, delay=0.05)
    made.start()
    wait_for(snapshot.exists)
    yield made
    made.close()


@pytest.mark.usefixtures("publisher")
def test_a_commit_appears_in_the_snapshot(database, snapshot):
    write_mark(database, 1)
    wait_for(lambda: marks_in(snapshot) == [1])
    with database.lease():
        write_mark(database, 2)
        wait_for(lambda: marks_in(snapshot) == [1, 2])
        write_mark(database, 3)
    wait_for(lambda: marks_in(snapshot) == [1, 2, 3])


def test_a_long_read_delays_the_snapshot_without_a_warning(database, snapshot, caplog):
    def change() -> None:
        with database.write() as connection:
            connection.execute("update marks set id = id + 1")

    caplog.set_level("DEBUG", "volbal.storage.publish")
    write_mark(database, 1)
    database.copy_to(snapshot)
    publisher = Publisher(database, snapshot, delay=0.02)
    publisher.start()
    with database.lease():
        with database.read() as connection:
            connection.execute("select count(*) from marks").fetchall()
            writer = threading.Thread(target=change)
            writer.start()
            writer.join()
            wait_for(lambda: "waits for a reader" in caplog.text)
        wait_for(lambda: marks_in(snapshot) == [2])
    publisher.close()
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


@pytest.mark.usefixtures("publisher")
def test_a_refused_write_publishes_nothing(database, snapshot):
    made = snapshot.stat().st_mtime_ns
    with pytest.raises(ZeroDivisionError), database.write():
        raise ZeroDivisionError
    time.sleep(0.2)
    assert snapshot.stat().st_mtime_ns == made


@pytest.mark.usefixtures("publisher")
def test_a_session_on_the_old_snapshot_goes_on_reading_it(database, snapshot):
    connection = files.connect(snapshot, writable=False)
    write_mark(database, 1)
    wait_for(lambda: subprocess_count(snapshot) == 1)
    assert connection.execute("select count(*) from marks").fetchone() == (0,)
    connection.close()


def subprocess_count(snapshot: Path) -> int:
    code = (
        "import duckdb, sys; connection = duckdb.connect(sys.argv[1], read_only=True);"
        "print(connection.execute('select count(*) from marks').fetchone()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(snapshot)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_stopping_publishes_the_last_commit_at_once(database, snapshot):
    publisher = Publisher(database, snapshot, delay=3600)
    publisher.start()
    write_mark(database, 1)
    publisher.close()
    assert marks_in(snapshot) == [1]


def test_stopping_with_nothing_new_leaves_the_snapshot_alone(database, snapshot):
    database.copy_to(snapshot)
    publisher = Publisher(database, snapshot, delay=3600)
    made = snapshot.stat().st_mtime_ns
    publisher.start()
    publisher.close()
    assert snapshot.stat().st_mtime_ns == made


def test_a_start_replaces_a_snapshot_older_than_the_database(database, snapshot):
    database.copy_to(snapshot)
    write_mark(database, 1)
    os.utime(snapshot, ns=(1, 1))
    publisher = Publisher(database, snapshot, delay=0.05)
    publisher.start()
    wait_for(lambda: marks_in(snapshot) == [1])
    publisher.close()


def test_a_start_removes_what_a_killed_process_left(database, snapshot):
    left = files.temporary(snapshot)
    left.write_bytes(b"half a snapshot")
    publisher = Publisher(database, snapshot)
    publisher.start()
    assert not left.exists()
    publisher.close()


def test_a_copy_that_fails_is_said_and_tried_again(database, snapshot, caplog):
    snapshot.mkdir()
    (snapshot / "in the way").touch()
    publisher = Publisher(database, snapshot, delay=0.05)
    publisher.start()
    write_mark(database, 1)
    wait_for(lambda: "could not be replaced yet" in caplog.text)
    (snapshot / "in the way").unlink()
    snapshot.rmdir()
    wait_for(lambda: snapshot.exists() and marks_in(snapshot) == [1])
    publisher.close()
    assert list(snapshot.parent.glob("*.part-*")) == []


@pytest.mark.usefixtures("publisher")
def test_a_reader_never_sees_a_torn_snapshot(database, snapshot):
    stop, seen = threading.Event(), set()

    def look():
        while not stop.is_set():
            connection = files.connect(snapshot, writable=False)
            read_everything(connection)
            marks = connection.execute("select count(*) from marks").fetchone()[0]
            legs = connection.execute("select count(*), sum(amount) from legs").fetchone()
            connection.close()
            assert legs == (2 * marks, 0 if marks else None)
            seen.add(marks)

    reader = threading.Thread(target=look)
    reader.start()
    for mark in range(60):
        write_mark(database, mark)
    wait_for(lambda: 60 in seen)
    stop.set()
    reader.join()
    assert len(seen) > 2


def test_copying_does_not_stop_readers(database, tmp_path):
    with database.read() as connection:
        copier = threading.Thread(target=database.copy_to, args=(tmp_path / "copy.duckdb",))
        copier.start()
        copier.join(timeout=60)
        assert connection.execute("select count(*) from marks").fetchone() == (0,)
    assert marks_in(tmp_path / "copy.duckdb") == []


def test_a_failed_copy_leaves_the_old_file_and_no_half(database, tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "something").touch()
    with pytest.raises(OSError, match="folder"):
        database.copy_to(target)
    assert [file.name for file in tmp_path.iterdir() if "part" in file.name] == []
    write_mark(database, 1)
    assert count(database) == 1


def test_a_log_newer_than_the_snapshot_makes_it_stale(path, snapshot):
    path.parent.mkdir()
    path.touch()
    assert is_stale(path, snapshot)
    snapshot.touch()
    os.utime(path, ns=(5, 5))
    assert not is_stale(path, snapshot)
    files.wal_of(path).touch()
    os.utime(snapshot, ns=(7, 7))
    assert is_stale(path, snapshot)


def test_a_session_ends_with_a_fresh_snapshot_and_a_free_file(path, outside):
    settings = Settings(database=path)
    with opened(settings) as database, database.write() as connection:
        connection.execute("create table marks (id integer)")
    assert not is_stale(path, settings.snapshot)
    assert outside("write").returncode == 0


def test_refreshing_makes_the_snapshot_that_nobody_made(path):
    settings = Settings(database=path)
    refresh_snapshot(settings)
    made = settings.snapshot.stat().st_mtime_ns
    refresh_snapshot(settings)
    assert settings.snapshot.stat().st_mtime_ns == made


def test_a_stopped_process_leaves_its_last_commit_in_the_snapshot(path):
    code = (
        "import sys; from pathlib import Path; from volbal.config import Settings;"
        "from volbal.storage.session import opened\n"
        "with opened(Settings(database=Path(sys.argv[1]))) as database:\n"
        "    with database.write() as connection:\n"
        "        connection.execute('create table marks as select 7 as id')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=PROJECT, check=True)
    assert marks_in(Settings(database=path).snapshot) == [7]

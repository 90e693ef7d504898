import contextlib
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from storage.conftest import STEPS
from storage.marks import count, ids, storage_format, write_mark
from volbal.storage.database import Database, DatabaseBusy, DatabaseDamaged, MisuseError


class Rerun(BaseException):
    """Streamlit stops a script with exceptions that are no Exception."""


def in_threads(*targets):
    """Run all targets at once; raise what any of them raised."""
    errors = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "deadlock"
    if errors:
        raise errors[0]


# --- one transaction, all or nothing


def test_what_a_write_stored_is_read_back(database):
    write_mark(database, 7)
    assert ids(database) == [7]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit, Rerun, GeneratorExit])
def test_any_exception_rolls_the_whole_block_back(database, stop):
    def use_case():
        with database.write() as connection:
            connection.execute("insert into marks values (1, 'a')")
            raise stop

    with pytest.raises(stop):
        use_case()
    assert ids(database) == []
    write_mark(database, 2)
    assert ids(database) == [2]


def test_leaving_the_block_by_return_commits(database):
    def use_case() -> str:
        with database.write() as connection:
            connection.execute("insert into marks values (1, 'a')")
            return "done"

    assert use_case() == "done"
    assert ids(database) == [1]


def test_an_error_swallowed_inside_the_block_is_not_reported_as_stored(database):
    def careless():
        with database.write() as connection:
            connection.execute("insert into marks values (1, 'a')")
            with contextlib.suppress(duckdb.Error):
                connection.execute("insert into marks values (null, 'b')")

    with pytest.raises(duckdb.TransactionException):
        careless()
    assert ids(database) == []


def test_a_write_is_on_disk_when_the_block_is_left(database, outside):
    write_mark(database, 3)
    assert outside("read").stdout == "[(1,)]\n"


# --- many threads


def test_read_modify_write_of_many_threads_loses_no_step(database):
    write_mark(database, 0)

    def add_one_25_times():
        for _ in range(25):
            with database.write() as connection:
                (old,) = connection.execute("select id from marks").fetchone()
                connection.execute("update marks set id = ?", [old + 1])

    in_threads(*[add_one_25_times] * 8)
    assert ids(database) == [200]


def test_readers_only_see_whole_transactions_while_writers_work(database):
    done = threading.Event()

    def write(first):
        for mark in range(first, first + 20):
            write_mark(database, mark)

    def read():
        while not done.is_set():
            with database.read() as connection:
                marks = connection.execute("select count(*) from marks").fetchone()
                legs = connection.execute("select count(*), sum(amount) from legs").fetchone()
            assert legs == (2 * marks[0], 0 if marks[0] else None)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        in_threads(*[lambda first=first: write(first) for first in range(0, 400, 100)])
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert count(database) == 80


def test_a_reader_keeps_one_state_while_a_batch_commits(database):
    committed, seen = threading.Event(), threading.Event()
    counts = []

    def read_twice():
        with database.read() as connection:
            counts.append(connection.execute("select count(*) from marks").fetchone()[0])
            seen.set()
            committed.wait()
            counts.append(connection.execute("select count(*) from marks").fetchone()[0])

    def batch():
        with database.lease():
            write_mark(database, 1)
            reader = threading.Thread(target=read_twice)
            reader.start()
            seen.wait()
            write_mark(database, 2)
            committed.set()
            reader.join()

    in_threads(batch)
    assert counts == [1, 1]
    assert count(database) == 2


def test_reads_of_other_threads_go_on_inside_a_write(database):
    write_mark(database, 1)
    seen = []
    with database.write() as connection:
        connection.execute("insert into marks values (2, 'b')")
        in_threads(lambda: seen.append(ids(database)))
    assert seen == [[1]]


def test_a_read_block_cannot_write(database):
    with database.lease(), database.read() as connection, pytest.raises(duckdb.Error):
        connection.execute("insert into marks values (1, 'a')")
    with database.read() as connection, pytest.raises(duckdb.Error):
        connection.execute("insert into marks values (1, 'a')")
    assert ids(database) == []


# --- blocks within blocks


def test_read_inside_write_sees_what_the_block_changed(database):
    with database.write() as connection:
        connection.execute("insert into marks values (1, 'a')")
        assert ids(database) == [1]


@pytest.mark.parametrize("inner", ["write", "lease", "close", "copy_to"])
@pytest.mark.parametrize("outer", ["read", "write"])
def test_what_could_only_wait_for_itself_is_refused(database, tmp_path, outer, inner):
    uses = {
        "write": lambda: database.write().__enter__(),
        "lease": lambda: database.lease().__enter__(),
        "close": database.close,
        "copy_to": lambda: database.copy_to(tmp_path / "copy.duckdb"),
    }
    with getattr(database, outer)(), pytest.raises(MisuseError, match="inside a read"):
        uses[inner]()
    write_mark(database, 1)
    assert ids(database) == [1]


def test_a_nested_read_does_not_wait_for_a_writer_that_waits_for_it(database):
    writer = threading.Thread(target=write_mark, args=(database, 1))
    with database.read():
        writer.start()
        while not database._switching:
            time.sleep(0.001)
        assert ids(database) == []
    writer.join(timeout=60)
    assert ids(database) == [1]


def test_a_batch_within_a_batch_is_one_batch(database, outside):
    with database.lease():
        with database.lease():
            write_mark(database, 1)
        assert outside("read").returncode != 0
    assert outside("read").stdout == "[(1,)]\n"


# --- other programs


def test_an_idle_database_can_be_read_by_others_but_not_taken(database, outside):
    assert outside("read").stdout == "[(0,)]\n"
    refused = outside("write")
    assert refused.returncode != 0
    assert "read-only mode" in refused.stderr
    write_mark(database, 1)
    assert outside("write").returncode != 0


def test_nobody_else_can_look_during_a_batch_and_everybody_after_it(database, outside):
    with database.lease():
        write_mark(database, 1)
        assert "Conflicting lock" in outside("read").stderr
    assert outside("read").stdout == "[(1,)]\n"


def test_copying_the_database_keeps_its_lock(database, outside, tmp_path):
    database.copy_to(tmp_path / "copy.duckdb")
    assert outside("write").returncode != 0
    with database.lease():
        write_mark(database, 1)
        database.copy_to(tmp_path / "copy.duckdb")
        assert outside("read").returncode != 0


def test_the_lease_is_kept_while_writers_wait(database):
    taken = []
    hold = database._file.hold

    def counted(*, writable):
        taken.append(writable)
        hold(writable=writable)

    database._file.hold = counted
    threads = [threading.Thread(target=write_mark, args=(database, n)) for n in range(20)]
    with database.write():
        for number, thread in enumerate(threads):
            thread.start()
            while database._writers.waiting <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(timeout=60)
    assert taken == [True, False]
    assert count(database) == 20


def test_a_session_elsewhere_delays_a_write_and_readers_go_on(database, holder):
    session = holder("read")
    writer = threading.Thread(target=write_mark, args=(database, 1))
    writer.start()
    for _ in range(20):
        assert ids(database) == []
    assert writer.is_alive()
    session.communicate()
    writer.join(timeout=60)
    assert ids(database) == [1]


def test_busy_names_the_program_and_its_pid_and_changes_nothing(database, holder):
    database.timeout = 0.3
    session = holder("read")
    with pytest.raises(DatabaseBusy, match=rf"python.*\(PID {session.pid}\)") as refused:
        write_mark(database, 1)
    assert refused.value.code == "database_busy"
    with pytest.raises(DatabaseBusy), database.lease():
        raise AssertionError("the lease was not given")
    session.communicate()
    assert ids(database) == []
    write_mark(database, 2)
    assert ids(database) == [2]


def test_after_busy_the_file_is_held_again(database, holder, outside):
    database.timeout = 0.1
    session = holder("read")
    with pytest.raises(DatabaseBusy):
        write_mark(database, 1)
    session.communicate()
    assert "read-only mode" in outside("write").stderr


def test_all_writers_in_line_are_refused_when_their_own_time_is_over(database, holder):
    database.timeout = 0.3
    session = holder("read")
    refused = []

    def try_to_write():
        with pytest.raises(DatabaseBusy):
            write_mark(database, 1)
        refused.append(1)

    in_threads(*[try_to_write] * 10)
    session.communicate()
    assert len(refused) == 10
    assert ids(database) == []


def test_reading_waits_for_a_program_that_took_the_file_between_two_uses(path, holder):
    database = Database(path, timeout=0.3, steps=STEPS)
    database.open()
    database._file.let_go()
    other = holder("write")
    with pytest.raises(DatabaseBusy, match=f"PID {other.pid}"):
        ids(database)
    other.communicate()
    assert ids(database) == []
    database.close()


# --- one Database, open and closed


def test_a_second_database_on_the_same_file_is_a_mistake(database, path):
    with pytest.raises(MisuseError, match="already open in this process"):
        Database(path, steps=STEPS).open()
    database.close()
    again = Database(path, steps=STEPS)
    again.open()
    again.close()


def test_a_database_that_is_not_open_is_a_mistake_to_use(path):
    database = Database(path, steps=STEPS)
    for use in (database.read, database.write, database.lease):
        with pytest.raises(MisuseError, match="not open"), use():
            pass
    assert not path.exists()


def test_a_closed_database_lets_everybody_else_in(database, outside):
    database.close()
    assert outside("write").returncode == 0


def test_who_waited_while_it_was_closed_does_not_open_it_again(database, outside):
    refused = []

    def use(block):
        with pytest.raises(MisuseError, match="not open"), block():
            pass
        refused.append(block)

    waiting = [
        threading.Thread(target=use, args=(use_,)) for use_ in (database.read, database.write)
    ]
    with database._writers.turn(), database._nobody_reading():
        for thread in waiting:
            thread.start()
        while not database._writers.waiting:
            time.sleep(0.001)
        database._file.stop()
        Database._open.pop(database.path)
    for thread in waiting:
        thread.join(timeout=60)
    assert len(refused) == 2
    assert outside("write").returncode == 0


def test_every_connection_speaks_utc(database):
    question = "select current_setting('TimeZone')"
    with database.read() as connection:
        assert connection.execute(question).fetchone() == ("UTC",)
    with database.write() as connection:
        assert connection.execute(question).fetchone() == ("UTC",)


def test_the_file_has_the_format_that_released_tools_read(database, path):
    write_mark(database, 1)
    database.close()
    assert storage_format(path).startswith("v1.2.0")


def test_a_database_deleted_underneath_is_not_silently_made_anew(database, path):
    path.unlink()
    with pytest.raises(DatabaseDamaged, match="there is no file"):
        write_mark(database, 1)
    assert not path.exists()


DISK_FULL = """
import resource, sys
from pathlib import Path
import duckdb
from storage.conftest import STEPS
from storage.marks import count, ids, write_mark
from volbal.storage import files
from volbal.storage.database import Database

path = Path(sys.argv[1])
database = Database(path, steps=STEPS)
database.open()
write_mark(database, 1)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def files_may_have(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

def result_of(use):
    try:
        return use()
    except (duckdb.Error, OSError) as error:
        return "refused"
"""

TRANSACTION_TOO_LARGE = """
def large():
    with database.write() as connection:
        connection.execute("insert into marks select range, md5(range::varchar) from range(200000)")

files_may_have(path.stat().st_size + 100_000)
print(result_of(large))
files_may_have(hard)
write_mark(database, 2)
print(ids(database))
"""

NO_ROOM_FOR_THE_LOG = """
with database.lease():
    files_may_have(path.stat().st_size)
    stored = 0
    while result_of(lambda: write_mark(database, 499)) != "refused":
        stored += 1
    print(stored > 0, count(database) == 1 + stored)
    files_may_have(hard)
    write_mark(database, 2)
    print(count(database) == 2 + stored)
"""

NO_ROOM_FOR_A_CHECKPOINT = """
with database.lease():
    for mark in range(2, 402):
        write_mark(database, mark)
    with database.write() as connection:
        connection.execute("insert into marks select -range, md5(range::varchar) from range(9000)")
    files_may_have(path.stat().st_size + 1000)
print(count(database))
print(result_of(lambda: database.copy_to(path.with_name("copy.duckdb"))))
print(count(database), path.with_name("copy.duckdb").exists())
write_mark(database, 402)
print(count(database))
files_may_have(hard)
database.copy_to(path.with_name("copy.duckdb"))
copy = duckdb.connect(path.with_name("copy.duckdb"))
print(copy.execute("select count(*) from marks").fetchone(), files.wal_of(path).exists())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize(
    ("story", "says"),
    [
        (TRANSACTION_TOO_LARGE, ["refused", "[1, 2]"]),
        (NO_ROOM_FOR_THE_LOG, ["True True", "True"]),
        (
            NO_ROOM_FOR_A_CHECKPOINT,
            ["9401", "refused", "9401 False", "9402", "(9402,) False"],
        ),
    ],
    ids=["transaction", "log", "checkpoint"],
)
def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(path, story, says):
    root = STEPS.parents[1]
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL + story, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'tests'}"},
    )
    assert done.stdout.splitlines() == says, done.stderr

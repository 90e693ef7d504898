import os
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from storage.conftest import STEPS
from storage.marks import count, ids, storage_format, write_mark
from volbal.storage import backup, files, migrations, startup
from volbal.storage.database import (
    Database,
    DatabaseDamaged,
    DatabaseNotWritable,
    DatabaseTooNew,
    DatabaseUnusable,
)


@pytest.fixture
def used(path: Path) -> Path:
    """A closed database with 2,000 marks (several blocks) and one backup."""
    database = Database(path, steps=STEPS)
    database.open()
    with database.write() as connection:
        connection.execute("insert into marks select range, md5(range::varchar) from range(20000)")
    database.close()
    backup.take(path, "manual")
    return path


def opened(path: Path) -> Database:
    database = Database(path, timeout=0.5, steps=STEPS)
    database.open()
    return database


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_new_file_is_made_with_its_folder_and_has_its_schema(path):
    database = opened(path)
    with database.read() as connection:
        assert migrations.applied(connection).keys() == {1}
    database.close()


def test_a_new_file_needs_no_backup(path):
    opened(path).close()
    assert backup.backups(path) == []


def truncated_by_half(path):
    os.truncate(path, path.stat().st_size // 2)


def truncated_in_the_header(path):
    os.truncate(path, 5000)


def cut_off_at_the_end(path):
    os.truncate(path, path.stat().st_size - 100_000)


def garbage_header(path):
    with path.open("r+b") as file:
        file.write(os.urandom(12288))


def garbage_in_the_middle(path):
    with path.open("r+b") as file:
        file.seek(12288 + 30)
        file.write(os.urandom(200_000))


def text(path):
    path.write_text("Dear diary,\n" * 1000)


def only_one_byte(path):
    path.write_bytes(b"D")


def emptied(path):
    path.write_bytes(b"")


def deleted(path):
    path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        truncated_by_half,
        truncated_in_the_header,
        cut_off_at_the_end,
        garbage_header,
        garbage_in_the_middle,
        text,
        only_one_byte,
        emptied,
        deleted,
    ],
)
def test_a_damaged_file_is_named_with_its_newest_backup_and_not_touched(used, damage):
    damage(used)
    before = everything_in(used.parent)
    with pytest.raises(DatabaseDamaged) as refused:
        opened(used)
    assert everything_in(used.parent) == before
    newest = backup.newest(used)
    assert str(newest) in str(refused.value)
    assert f"restore {newest.name}" in str(refused.value)
    assert str(used) in str(refused.value)


def test_a_newer_schema_is_named_with_the_newest_backup_and_not_touched(used):
    connection = files.connect(used, writable=True)
    connection.execute("insert into schema_version (version, name, checksum) values (7, 'x', 'y')")
    connection.close()
    before = everything_in(used.parent)
    with pytest.raises(DatabaseTooNew, match="schema version 7, this program knows up to 1") as no:
        opened(used)
    assert everything_in(used.parent) == before
    assert str(backup.newest(used)) in str(no.value)


def header_checksum(header: bytes) -> bytes:
    """DuckDB's checksum of a header: multiplied 8-byte words, folded by exclusive or."""
    total = 5381
    for start in range(8, len(header), 8):
        word = int.from_bytes(header[start : start + 8], "little")
        total ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return total.to_bytes(8, "little")


def test_a_file_of_a_newer_duckdb_is_named_and_not_touched(used):
    header = bytearray(used.read_bytes()[:4096])
    assert header[:8] == header_checksum(header)
    header[12:20] = (99).to_bytes(8, "little")  # the version of the storage format
    header[:8] = header_checksum(header)
    with used.open("r+b") as file:
        file.write(header)
    before = everything_in(used.parent)
    with pytest.raises(DatabaseTooNew, match="was written by a newer DuckDB") as no:
        opened(used)
    assert everything_in(used.parent) == before
    assert str(backup.newest(used)) in str(no.value)


def test_tables_of_somebody_else_are_not_touched(path):
    path.parent.mkdir()
    connection = duckdb.connect(path)
    connection.execute("create table mine as select 1 as a")
    connection.close()
    before = everything_in(path.parent)
    with pytest.raises(DatabaseDamaged, match=r"tables that volbal did not make.*no backup"):
        opened(path)
    assert everything_in(path.parent) == before


def test_a_folder_in_its_place_is_refused(path):
    path.mkdir(parents=True)
    with pytest.raises(DatabaseDamaged, match="is a folder"):
        opened(path)
    assert path.is_dir()


def test_a_log_without_its_database_is_not_forgotten(path):
    path.parent.mkdir()
    files.wal_of(path).write_bytes(b"committed rows")
    with pytest.raises(DatabaseDamaged, match=r"is gone but its log volbal\.duckdb\.wal is there"):
        opened(path)
    assert files.wal_of(path).read_bytes() == b"committed rows"
    assert not path.exists()


READ_ONLY_FOLDER = """
import os, sys
from pathlib import Path
import duckdb, pytz
from storage.conftest import STEPS
from volbal.storage.database import Database, DatabaseUnusable

if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
try:
    Database(Path(sys.argv[1]), steps=STEPS).open()
except DatabaseUnusable as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
@pytest.mark.parametrize("new", [True, False])
def test_a_folder_without_write_permission_is_named(used, new):
    """pytest's folder is closed to other users, and root is not stopped: a child, elsewhere."""
    target = used.with_name("new.duckdb") if new else used
    parents = [used.parent, *used.parents[1:5]]
    modes = [parent.stat().st_mode for parent in parents]
    before = everything_in(used.parent)
    try:
        for parent in parents:
            parent.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY_FOLDER, str(target)],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": f"{STEPS.parents[1]}:{STEPS.parents[1] / 'tests'}"},
        )
    finally:
        for parent, mode in zip(parents, modes, strict=True):
            parent.chmod(mode)
    assert done.stdout.startswith(f"{DatabaseNotWritable.__name__} The database {target} "), (
        done.stderr
    )
    assert "cannot be written by this user" in done.stdout
    assert everything_in(used.parent) == before


def test_an_empty_file_becomes_a_database_that_released_tools_can_read(path):
    path.parent.mkdir()
    path.touch()
    database = opened(path)
    write_mark(database, 1)
    assert ids(database) == [1]
    database.close()
    assert storage_format(path).startswith("v1.2.0")


def test_what_a_killed_creation_left_is_cleared_and_the_file_is_made(path):
    path.parent.mkdir()
    left = files.temporary(path)
    left.write_bytes(b"half a database")
    database = opened(path)
    assert count(database) == 0
    database.close()
    assert not left.exists()


def test_what_a_killed_restore_left_is_cleared_an_hour_later(used):
    half, at_work = files.temporary(used), files.temporary(used)
    half.write_bytes(b"half")
    at_work.write_bytes(b"being made")
    os.utime(half, (0, 0))
    opened(used).close()
    assert not half.exists()
    assert at_work.exists()


def test_processes_that_start_together_all_find_one_database(path):
    code = (
        "import sys; from pathlib import Path; from bench.mark_writer import STEPS;"
        "from volbal.storage.database import Database;"
        "database = Database(Path(sys.argv[1]), timeout=60, steps=STEPS);"
        "database.open(); database.close()"
    )
    command = [sys.executable, "-c", code, str(path)]
    started = [subprocess.Popen(command, cwd=STEPS.parents[1]) for _ in range(4)]
    assert [process.wait() for process in started] == [0, 0, 0, 0]
    database = opened(path)
    write_mark(database, 1)
    assert ids(database) == [1]
    database.close()
    assert list(path.parent.glob("*.part-*")) == []


def test_a_database_made_by_another_process_meanwhile_is_never_replaced(path):
    path.parent.mkdir()
    path.write_bytes(b"with orders in it")
    part = files.temporary(path)
    part.write_bytes(b"empty")
    startup._put_in_place(part, path)
    assert path.read_bytes() == b"with orders in it"


def test_commits_that_a_killed_process_left_in_its_log_are_there(path):
    code = (
        "import os, sys; from pathlib import Path; from bench.mark_writer import STEPS, write_mark;"
        "from volbal.storage.database import Database;"
        "database = Database(Path(sys.argv[1]), steps=STEPS); database.open();"
        "batch = database.lease(); batch.__enter__();"
        "[write_mark(database, mark) for mark in range(5)]; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=STEPS.parents[1], check=False)
    assert files.wal_of(path).exists()
    database = opened(path)
    assert ids(database) == [0, 1, 2, 3, 4]
    assert not files.wal_of(path).exists()
    database.close()


def test_a_start_that_failed_can_be_tried_again(used):
    whole = used.read_bytes()
    garbage_header(used)
    database = Database(used, steps=STEPS)
    with pytest.raises(DatabaseDamaged):
        database.open()
    used.write_bytes(whole)
    database.open()
    assert count(database) == 20_000
    database.close()


def test_any_damage_is_refused_untouched_or_harmless(used):
    """Random bytes overwritten or cut off: never another error, never a changed file."""
    whole, chance, refused = used.read_bytes(), random.Random(5), 0
    for _ in range(60):
        harmed = bytearray(whole)
        if chance.random() < 0.3:
            del harmed[chance.randrange(1, len(harmed)) :]
        else:
            where = chance.randrange(len(harmed) - 64)
            harmed[where : where + 64] = chance.randbytes(64)
        used.write_bytes(harmed)
        try:
            database = opened(used)
        except DatabaseUnusable:
            refused += 1
            assert used.read_bytes() == harmed
        else:
            assert count(database) == 20_000
            database.close()
    assert refused > 30


def test_a_file_made_with_another_text_of_a_migration_is_not_touched(used, tmp_path):
    edited = tmp_path / "steps"
    edited.mkdir()
    (edited / "0001_marks.sql").write_text("create table marks (id integer);")
    before = everything_in(used.parent)
    with pytest.raises(DatabaseDamaged, match="another text of migration 0001_marks"):
        Database(used, steps=edited).open()
    assert everything_in(used.parent) == before

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.marks import add_marks, ids, write_mark
from volbal.config import PROJECT, Settings
from volbal.errors import InvalidInput
from volbal.storage import backup, files
from volbal.storage.database import Database, DatabaseBusy
from volbal.storage.recovery import BackupUnusable, back_up, restore


@pytest.fixture
def settings(path: Path) -> Settings:
    return Settings(database=path, busy_timeout=0.5)


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """With volbal's own schema: that is what restore accepts."""
    made = Database(path)
    made.open()
    add_marks(made)
    yield made
    if Database.is_open_here(path):
        made.close()


@pytest.fixture
def kept(database: Database) -> Path:
    """A backup that holds mark 1; the closed database holds 1 and 2."""
    write_mark(database, 1)
    file = back_up(database)
    write_mark(database, 2)
    database.close()
    return file


def marks_in(path: Path) -> list[int]:
    database = Database(path)
    database.open()
    found = ids(database)
    database.close()
    return found


def test_a_backup_of_the_running_database_holds_what_was_committed(kept):
    connection = files.connect(kept, writable=False)
    assert connection.execute("select id from marks").fetchall() == [(1,)]
    connection.close()


def test_a_backup_goes_where_it_was_asked_to_go(database, tmp_path):
    assert back_up(database, tmp_path / "mine.duckdb") == tmp_path / "mine.duckdb"
    assert back_up(database, tmp_path).parent == tmp_path


def test_a_backup_never_replaces_a_file(database, tmp_path, path):
    mine = tmp_path / "mine.duckdb"
    mine.write_text("precious")
    for target in (mine, path):
        with pytest.raises(InvalidInput, match="exists already"):
            back_up(database, target)
    assert mine.read_text() == "precious"


def test_restore_brings_the_backup_back_and_keeps_what_it_replaced(settings, path, kept):
    done = restore(settings, str(kept))
    assert done.backup == kept
    assert marks_in(path) == [1]
    assert done.replaced is not None
    assert marks_in(done.replaced) == [1, 2]
    assert marks_in(kept) == [1]


def test_restore_finds_a_backup_by_its_name(settings, path, kept):
    restore(settings, kept.name)
    assert marks_in(path) == [1]


def test_an_unknown_name_lists_the_backups(settings, kept):
    with pytest.raises(InvalidInput, match=kept.name):
        restore(settings, "yesterday.duckdb")


def test_restore_repairs_a_damaged_database_and_keeps_its_bytes(settings, path, kept):
    path.write_bytes(b"garbage")
    done = restore(settings, kept.name)
    assert marks_in(path) == [1]
    assert done.replaced is not None
    assert done.replaced.read_bytes() == b"garbage"


def test_restore_works_where_the_database_is_gone(settings, path, kept):
    path.unlink()
    assert restore(settings, kept.name).replaced is None
    assert marks_in(path) == [1]


def test_a_log_of_the_replaced_database_is_kept_with_it_and_never_replayed(settings, path, kept):
    code = (
        "import os, sys; from pathlib import Path; from bench.mark_writer import write_mark;"
        "from volbal.storage.database import Database;"
        "database = Database(Path(sys.argv[1])); database.open();"
        "batch = database.lease(); batch.__enter__(); write_mark(database, 3); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=PROJECT, check=False)
    assert files.wal_of(path).exists()
    done = restore(settings, kept.name)
    assert marks_in(path) == [1]
    assert done.replaced is not None
    assert marks_in(done.replaced) == [1, 2, 3]


def test_what_was_replaced_can_be_restored_with_its_log(settings, path, kept):
    test_a_log_of_the_replaced_database_is_kept_with_it_and_never_replayed(settings, path, kept)
    newest = backup.backups(path)[-1]
    restore(settings, newest.name)
    assert marks_in(path) == [1, 2, 3]


@pytest.mark.parametrize("mode", ["read", "write"])
def test_restore_refuses_while_another_program_holds_the_database(
    settings, path, kept, holder, mode
):
    before = path.read_bytes()
    other = holder(mode)
    with pytest.raises(DatabaseBusy, match=rf"PID {other.pid}"):
        restore(settings, kept.name)
    other.communicate()
    assert path.read_bytes() == before


def test_restore_refuses_inside_the_program_that_has_it_open(settings, path, kept):
    database = Database(path)
    database.open()
    with pytest.raises(DatabaseBusy, match="this program"):
        restore(settings, kept.name)
    assert ids(database) == [1, 2]
    database.close()


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def text(file: Path) -> None:
    file.write_text("Dear diary")


def from_the_future(file: Path) -> None:
    connection = files.connect(file, writable=True)
    connection.execute("insert into schema_version (version, name, checksum) values (99, 'x', 'y')")
    connection.close()


@pytest.mark.parametrize("damage", [truncated, text, from_the_future])
def test_a_backup_that_cannot_be_used_changes_nothing(settings, path, kept, damage):
    damage(kept)
    before = path.read_bytes()
    with pytest.raises(BackupUnusable, match="The database was left as it is"):
        restore(settings, kept.name)
    assert path.read_bytes() == before
    assert list(path.parent.glob("*.part-*")) == []


def test_the_old_snapshot_does_not_outlive_a_restore(settings, kept):
    settings.snapshot.write_bytes(b"of the replaced database")
    restore(settings, kept.name)
    assert not settings.snapshot.exists()


def test_a_restore_killed_before_the_last_step_leaves_the_database(settings, path, kept):
    """Until the rename the database is in its place; its copy only adds to the backups."""
    code = (
        "import os, sys; from pathlib import Path; from volbal.config import Settings;"
        "from volbal.storage import files, recovery;"
        "files.replace = lambda source, target: os._exit(9) if target == Path(sys.argv[1])"
        " else source.replace(target);"
        "recovery.restore(Settings(database=Path(sys.argv[1])), sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), kept.name], cwd=PROJECT, check=False
    )
    assert done.returncode == 9
    assert marks_in(path) == [1, 2]
    restore(settings, kept.name)
    assert marks_in(path) == [1]

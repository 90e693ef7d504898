from pathlib import Path

import duckdb
import pytest

from volbal.storage import backup, files, migrations
from volbal.storage.database import Database
from volbal.storage.migrations import StepChangedError


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("create table first (a integer);\n")
    return folder


@pytest.fixture
def connection(tmp_path: Path):
    connection = files.connect(tmp_path / "file.duckdb", writable=True, create=True)
    yield connection
    connection.close()


def add_second(steps: Path, sql: str = "alter table first add column b varchar default 'new';"):
    (steps / "0002_second.sql").write_text(sql)


def tables(connection) -> set[str]:
    return {
        row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()
    }


def test_every_step_runs_once_in_order(connection, steps):
    add_second(steps)
    migrations.migrate(connection, steps)
    connection.execute("insert into first values (1, 'kept')")
    migrations.migrate(connection, steps)
    assert connection.execute("select * from first").fetchall() == [(1, "kept")]
    assert list(migrations.applied(connection)) == [1, 2]


def test_a_step_is_recorded_with_its_name_checksum_and_time(connection, steps):
    migrations.migrate(connection, steps)
    (row,) = connection.execute(
        "select version, name, checksum, applied_at <= now() from schema_version"
    ).fetchall()
    sha256sum_says = "a8e5d7562b9f4042fce33856f2450ad97229a4f70993d3043d037726606950bd"
    assert row == (1, "0001_first", sha256sum_says, True)


def test_a_step_that_fails_leaves_the_steps_before_it_and_nothing_of_itself(connection, steps):
    add_second(steps, "create table second (a integer); insert into nowhere values (1);")
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        migrations.migrate(connection, steps)
    assert list(migrations.applied(connection)) == [1]
    assert tables(connection) == {"schema_version", "first"}


def test_a_gap_in_the_numbers_is_a_mistake(steps):
    (steps / "0003_third.sql").write_text("select 1;")
    with pytest.raises(ValueError, match="without a gap"):
        migrations.steps(steps)


def test_an_edited_step_is_noticed_and_other_line_endings_are_not(connection, steps):
    migrations.migrate(connection, steps)
    (steps / "0001_first.sql").write_bytes(b"create table first (a integer);\r\n")
    assert migrations.pending(connection, steps) == []
    (steps / "0001_first.sql").write_text("create table first (a bigint);\n")
    with pytest.raises(StepChangedError):
        migrations.pending(connection, steps)


def test_the_log_is_empty_after_migrating(connection, steps, tmp_path):
    migrations.migrate(connection, steps)
    assert not files.wal_of(tmp_path / "file.duckdb").exists()


def test_an_existing_file_is_backed_up_before_it_is_migrated(path, steps):
    database = Database(path, steps=steps)
    database.open()
    with database.write() as writing:
        writing.execute("insert into first values (1)")
    database.close()
    add_second(steps)
    database.open()
    with database.read() as reading:
        assert reading.execute("select * from first").fetchall() == [(1, "new")]
    database.close()
    (kept,) = backup.backups(path)
    assert kept.name.endswith("-migration.duckdb")
    old = files.connect(kept, writable=False)
    assert old.execute("select * from first").fetchall() == [(1,)]
    assert list(migrations.applied(old)) == [1]
    old.close()


def test_a_migration_that_fails_leaves_the_file_as_the_older_program_needs_it(path, steps):
    database = Database(path, steps=steps)
    database.open()
    database.close()
    add_second(steps, "insert into nowhere values (1);")
    with pytest.raises(duckdb.CatalogException):
        database.open()
    (steps / "0002_second.sql").unlink()
    database.open()
    with database.read() as reading:
        assert reading.execute("select count(*) from first").fetchone() == (0,)
    database.close()


def test_the_steps_of_volbal_make_a_file_from_nothing(connection):
    migrations.migrate(connection, migrations.STEPS)
    assert list(migrations.applied(connection)) == [
        step.version for step in migrations.steps(migrations.STEPS)
    ]
    assert migrations.pending(connection, migrations.STEPS) == []

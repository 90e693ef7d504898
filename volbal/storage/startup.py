"""What happens before the first read: create, check, back up, migrate.

There is no other way to start: after a clean stop, a kill or a power cut the same steps run.
A file that cannot be used is reported and not touched.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from volbal.errors import VolbalError
from volbal.storage import backup, files, migrations

HOUR = 3600.0


class DatabaseBusy(VolbalError):
    """Another program holds the file."""

    code = "database_busy"

    def __init__(self, path: Path, holder: str) -> None:
        self.holder = holder
        super().__init__(
            f"The database {path.name} is in use by {holder}. If that is a running volbal, use its "
            f"pages (Data for prices) or stop it; close any other program, or let it read "
            f"{path.stem}_snapshot.duckdb instead. Then try again. Nothing was changed."
        )


class DatabaseUnusable(VolbalError):
    """Base of what keeps a file from being opened; it was left untouched."""

    without_backup = ""
    """What to do where there is no backup to bring back."""

    def __init__(self, path: Path, problem: str) -> None:
        last = backup.newest(path)
        hint = (
            f"Newest backup: {last}; `python -m volbal restore {last.name}` brings it back."
            if last
            else f"There is no backup in {backup.folder_of(path)} yet.{self.without_backup}"
        )
        super().__init__(f"The database {path} {problem}. It was left untouched. {hint}")


class DatabaseDamaged(DatabaseUnusable):
    """The file is not a whole volbal database."""

    code = "database_damaged"
    without_backup = " Put a copy of your own in its place, or move it away to begin anew."


class DatabaseTooNew(DatabaseUnusable):
    """A newer volbal (or DuckDB) wrote the file."""

    code = "database_too_new"


class DatabaseNotWritable(DatabaseUnusable):
    """The system does not let this user write the file or its folder."""

    code = "database_not_writable"


class Unfit(Exception):
    """Why a file is not a whole volbal database of a version known here."""

    def __init__(self, kind: type[DatabaseUnusable], problem: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem


def prepare(path: Path, timeout: float, steps: Path = migrations.STEPS) -> None:
    """Leave a checked, migrated and checkpointed file at `path`, held by nobody.

    steps: the folder of the migrations. Raises DatabaseBusy after `timeout` seconds,
    DatabaseUnusable (file untouched).
    """
    deadline = time.monotonic() + timeout
    _require_folder(path)
    if not path.exists() or path.stat().st_size == 0:
        _require_no_log(path)
        _require_no_backup(path)
        _create(path, steps)
        return
    files.remove_leftovers(path.parent, path.name, older_than=HOUR)
    waiting = _check(path, deadline, steps)
    if waiting or files.wal_of(path).exists():
        _bring_up_to_date(path, deadline, steps)
    elif backup.is_due(path, datetime.now(UTC)):
        _daily_backup(path, deadline)


def _require_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseNotWritable(path, f"has no folder to live in ({error.strerror})") from error
    if path.is_dir():
        raise DatabaseDamaged(path, "is a folder, not a file")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise DatabaseNotWritable(path, "cannot be written by this user; allow it")


def _require_no_log(path: Path) -> None:
    log = files.wal_of(path)
    if log.exists() and log.stat().st_size:
        raise DatabaseDamaged(path, f"is gone but its log {log.name} is there; move that away")


def _require_no_backup(path: Path) -> None:
    """Records that were there once are not replaced by an empty ledger without a word."""
    if backup.newest(path):
        state = "is empty" if path.exists() else "is gone"
        folder = backup.folder_of(path).name
        problem = f"{state}, yet it has backups (to begin anew move {folder} away)"
        raise DatabaseDamaged(path, problem)


def _create(path: Path, steps: Path) -> None:
    """Build the new file beside its place, so a crash never leaves half a database there."""
    part = files.temporary(path)
    try:
        connection = files.connect(part, writable=True, create=True)
        try:
            migrations.migrate(connection, steps)
        finally:
            connection.close()
        _put_in_place(part, path)
        files.remove_leftovers(path.parent, path.name)
    finally:
        part.unlink(missing_ok=True)
        files.wal_of(part).unlink(missing_ok=True)


def _put_in_place(part: Path, path: Path) -> None:
    """Never over a database that another process made, clearing ours away, in the meantime."""
    if path.exists() and path.stat().st_size == 0:
        files.replace(part, path)
        return
    try:
        os.link(part, path)
    except (OSError, NotImplementedError):
        if not path.exists():
            files.replace(part, path)  # a file system without hard links
    files.sync_folder(path.parent)


def _check(path: Path, deadline: float, steps: Path) -> bool:
    """Are steps pending? Raises DatabaseUnusable for a file this program must not write."""
    try:
        return inspect(path, deadline, steps)
    except Unfit as error:
        raise error.kind(path, error.problem) from error


def inspect(path: Path, deadline: float, steps: Path = migrations.STEPS) -> bool:
    """Are steps pending? Opens read-only; raises Unfit, DatabaseBusy."""
    try:
        connection = _held_read_only(path, deadline)
        try:
            return _inspect_open(connection, steps)
        finally:
            connection.close()
    except migrations.StepChangedError as error:
        problem = f"was made with another text of migration {error} than this program has"
        raise Unfit(DatabaseDamaged, problem) from error
    except duckdb.Error as error:
        raise unfit(error) from error


def _held_read_only(path: Path, deadline: float) -> duckdb.DuckDBPyConnection:
    return files.retried(
        lambda: files.connect(path, writable=False),
        deadline,
        lambda holder: DatabaseBusy(path, holder),
    )


def _inspect_open(connection: duckdb.DuckDBPyConnection, steps: Path) -> bool:
    seen = migrations.applied(connection)
    known = len(migrations.steps(steps))
    if seen and max(seen) > known:
        raise Unfit(
            DatabaseTooNew,
            f"has schema version {max(seen)}, this program knows up to {known}; update volbal",
        )
    if not seen and _tables(connection):
        raise Unfit(DatabaseDamaged, "holds tables that volbal did not make")
    read_everything(connection)
    return bool(migrations.pending(connection, steps))


def _tables(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select count(*) from duckdb_tables() where not internal").fetchone()
    return int(row[0]) if row else 0


def read_everything(connection: duckdb.DuckDBPyConnection) -> int:
    """Read every column of every table; returns the number of rows.

    DuckDB opens a file that is cut off or overwritten in its middle; reading checks each block.
    (Its size says nothing: free blocks at the end are cut off in normal use.)
    """
    tables = connection.execute(
        "select table_name from duckdb_tables() where not internal order by table_name"
    ).fetchall()
    counts = [_read_table(connection, name) for (name,) in tables]
    return sum(counts)


def _read_table(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    quoted = name.replace('"', '""')  # a table's name cannot be a bound parameter
    row = connection.execute(f'select count(*), bit_xor(hash(t)) from "{quoted}" t').fetchone()
    return int(row[0]) if row else 0


def unfit(error: Exception) -> Unfit:
    """What an error of DuckDB says about the file."""
    text = str(error).strip() or type(error).__name__
    first_line = text.splitlines()[0]
    if "newer version of DuckDB" in text:
        return Unfit(DatabaseTooNew, f"was written by a newer DuckDB ({first_line})")
    if "ermission denied" in text:
        return Unfit(DatabaseNotWritable, f"cannot be opened ({first_line})")
    return Unfit(DatabaseDamaged, f"cannot be read ({first_line})")


def _bring_up_to_date(path: Path, deadline: float, steps: Path) -> None:
    connection = files.retried(
        lambda: files.connect(path, writable=True),
        deadline,
        lambda holder: DatabaseBusy(path, holder),
    )
    try:
        connection.execute("checkpoint")  # the WAL of a killed process becomes part of the file
        if migrations.pending(connection, steps):
            backup.take(path, "migration")
            migrations.migrate(connection, steps)
        elif backup.is_due(path, datetime.now(UTC)):
            backup.take(path, "daily")
    finally:
        connection.close()


def _daily_backup(path: Path, deadline: float) -> None:
    """Held read-only meanwhile, so that nobody writes."""
    connection = _held_read_only(path, deadline)
    try:
        backup.take(path, "daily")
    finally:
        connection.close()

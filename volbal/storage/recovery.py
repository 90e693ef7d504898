"""`backup` and `restore`, asked for by a person."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import duckdb

from volbal.config import Settings
from volbal.errors import InvalidInput, VolbalError
from volbal.storage import backup, files, startup
from volbal.storage.database import Database, DatabaseBusy


class BackupUnusable(VolbalError):
    """The file cannot be restored; the database was left as it is."""

    code = "invalid_backup"

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"The backup {file} {problem}. The database was left as it is.")


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore` did. replaced: where the former database is kept; None where none was."""

    backup: Path
    replaced: Path | None


def back_up(database: Database, target: Path | None = None) -> Path:
    """A copy of the open database; returns where it is.

    target: a new file or a folder; the backups folder otherwise. Never over a file that exists.
    Raises InvalidInput, DatabaseBusy, OSError.
    """
    name = backup.new_name(database.path, "manual", datetime.now(UTC))
    file = name if target is None else target / name.name if target.is_dir() else target
    if file.exists():
        raise InvalidInput("path", f"{file} exists already", "name a new file or a folder")
    database.copy_to(file)
    return file


def restore(settings: Settings, chosen: str) -> Restored:
    """Put a backup in place of the database; the replaced file becomes a backup itself.

    chosen: a path or the name of a file in the backups folder. Raises InvalidInput,
    BackupUnusable, DatabaseBusy (volbal or another program holds the database).
    """
    path = settings.database
    source = _find(path, chosen)
    fresh = files.temporary(path)
    try:
        _copy_and_check(source, fresh)
        with _nobody_holds(path) as old:
            replaced = _keep(path, old) if old else None
            files.wal_of(path).unlink(missing_ok=True)
            files.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
        files.wal_of(fresh).unlink(missing_ok=True)
    settings.snapshot.unlink(missing_ok=True)
    return Restored(source, replaced)


def _find(path: Path, chosen: str) -> Path:
    for candidate in (Path(chosen).expanduser(), backup.folder_of(path) / chosen):
        if candidate.is_file():
            return candidate.absolute()
    names = ", ".join(file.name for file in reversed(backup.backups(path))) or "none yet"
    raise InvalidInput("backup", f"there is no file {chosen}", f"the backups are: {names}")


def _copy_and_check(source: Path, fresh: Path) -> None:
    """A durable copy beside the database, opened and read once from end to end."""
    fresh.parent.mkdir(parents=True, exist_ok=True)
    files.copy(source, fresh)
    if files.wal_of(source).exists():
        files.copy(files.wal_of(source), files.wal_of(fresh))
    try:
        startup.inspect(fresh, deadline=time.monotonic())
        connection = files.connect(fresh, writable=True)
        try:
            connection.execute("checkpoint")
            startup.read_everything(connection)
        finally:
            connection.close()
    except startup.Unfit as error:
        raise BackupUnusable(source, error.problem) from error
    except duckdb.Error as error:
        raise BackupUnusable(source, f"cannot be read ({error})") from error


@contextlib.contextmanager
def _nobody_holds(path: Path) -> Iterator[BinaryIO | None]:
    """The database file, locked against everybody; None where there is none.

    Windows refuses to replace an open file by itself (not verified there).
    """
    if Database.is_open_here(path):
        raise DatabaseBusy(path, f"this program (PID {os.getpid()})")
    if not path.exists():
        yield None
        return
    if path.is_dir():
        raise InvalidInput("database", f"{path} is a folder", "move it away")
    with path.open("r+b") as file:
        _lock(file, path)
        yield file


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DatabaseBusy(path, _holder(path)) from error


def _holder(path: Path) -> str:
    """DuckDB knows who it is."""
    try:
        files.connect(path, writable=True).close()
    except duckdb.Error as error:
        return files.lock_holder(error) or "another program"
    return "another program"


def _keep(path: Path, old: BinaryIO) -> Path:
    """Copied through the descriptor that holds the lock: closing another one would lose it."""
    kept = backup.new_name(path, "replaced", datetime.now(UTC))
    kept.parent.mkdir(parents=True, exist_ok=True)
    if files.wal_of(path).exists():
        files.copy(files.wal_of(path), files.wal_of(kept))
    part = files.temporary(kept)
    with part.open("xb") as target:
        shutil.copyfileobj(old, target)
        target.flush()
        os.fsync(target.fileno())
    files.replace(part, kept)
    return kept

"""Copies to fall back on: automatic once a day and before a migration, or when asked for."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from volbal.storage import files

KEEP = 7
EVERY = timedelta(days=1)
AUTOMATIC = ("daily", "migration")

_STAMP = "%Y%m%dT%H%M%S%fZ"
_NAME = re.compile(r"(?P<stem>.+)-(?P<stamp>\d{8}T\d{12}Z)-(?P<kind>[a-z]+)\.duckdb")


def folder_of(database: Path) -> Path:
    """Where the backups of a database live."""
    return database.with_name("backups")


def backups(database: Path) -> list[Path]:
    """All backups of a database, oldest first."""
    found = [file for file in folder_of(database).glob("*.duckdb") if _is_of(file, database)]
    return sorted(found, key=_stamp)


def newest(database: Path) -> Path | None:
    """The backup a person would go back to first; what a restore replaced is not one."""
    good = (file for file in reversed(backups(database)) if _kind(file) != "replaced")
    return next(good, None)


def new_name(database: Path, kind: str, now: datetime) -> Path:
    """A name that sorts by time: volbal-20261122T154423000000Z-daily.duckdb."""
    return folder_of(database) / f"{database.stem}-{now.strftime(_STAMP)}-{kind}.duckdb"


def is_due(database: Path, now: datetime) -> bool:
    """Is the newest backup older than a day (or none there, or from a clock that ran ahead)?"""
    last = newest(database)
    return last is None or not timedelta(0) <= now - _made_at(last) < EVERY


def take(database: Path, kind: str) -> Path:
    """Copy a database that nobody writes to meanwhile; keep the KEEP newest automatic ones."""
    target = new_name(database, kind, datetime.now(UTC))
    files.remove_leftovers(target.parent, f"{database.stem}-*", older_than=EVERY.total_seconds())
    files.copy(database, target)
    if kind in AUTOMATIC:
        _prune(database)
    return target


def _prune(database: Path) -> None:
    automatic = [file for file in backups(database) if _kind(file) in AUTOMATIC]
    for old in automatic[:-KEEP]:
        old.unlink(missing_ok=True)


def _is_of(file: Path, database: Path) -> bool:
    name = _NAME.fullmatch(file.name)
    return name is not None and name["stem"] == database.stem


def _stamp(file: Path) -> str:
    name = _NAME.fullmatch(file.name)
    return name["stamp"] if name else ""


def _kind(file: Path) -> str:
    name = _NAME.fullmatch(file.name)
    return name["kind"] if name else ""


def _made_at(file: Path) -> datetime:
    return datetime.strptime(_stamp(file), _STAMP).replace(tzinfo=UTC)

"""The numbered steps from an empty file to the schema this program knows.

A step is `migrations/000N_name.sql`. It runs once, in one transaction together with its row in
``schema_version``; the row keeps the checksum of the text, so a step changed after it was
applied is noticed instead of leaving two kinds of files with one number.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import duckdb

STEPS = Path(__file__).with_name("migrations")

_SCHEMA_VERSION = """
create table if not exists schema_version (
    version integer primary key check (version > 0),
    name varchar not null,
    checksum varchar not null,
    applied_at timestamptz not null default current_timestamp
)
"""


class StepChangedError(Exception):
    """The file was made with another text of a step than this program has."""


@dataclass(frozen=True, slots=True)
class Step:
    """One migration: its number, its file name and its SQL."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text; the same for either kind of line ending."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def steps(folder: Path) -> list[Step]:
    """All steps in order, numbered 1, 2, 3 ... without a gap; raises ValueError otherwise."""
    found = [
        Step(int(file.name[:4]), file.stem, file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    ]
    if [step.version for step in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"Migrations in {folder} must be numbered 1, 2, 3 ... without a gap.")
    return found


def applied(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """{version: checksum} of the steps this file has seen; {} for a file without any."""
    known = connection.execute(
        "select 1 from duckdb_tables() where table_name = 'schema_version' and not internal"
    ).fetchone()
    if known is None:
        return {}
    return dict(connection.execute("select version, checksum from schema_version").fetchall())


def pending(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[Step]:
    """The steps this file still needs; raises StepChangedError."""
    seen = applied(connection)
    known = steps(folder)
    for step in known:
        if seen.get(step.version, step.checksum) != step.checksum:
            raise StepChangedError(step.name)
    return [step for step in known if step.version not in seen]


def migrate(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Apply what is pending, then CHECKPOINT: a WAL that holds DDL is best left to nobody."""
    for step in pending(connection, folder):
        _apply(connection, step)
    connection.execute("checkpoint")


def _apply(connection: duckdb.DuckDBPyConnection, step: Step) -> None:
    connection.execute("begin")
    try:
        connection.execute(_SCHEMA_VERSION)
        connection.execute(step.sql)
        connection.execute(
            "insert into schema_version (version, name, checksum) values (?, ?, ?)",
            [step.version, step.name, step.checksum],
        )
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise

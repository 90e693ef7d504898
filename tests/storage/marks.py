"""The test's own tiny ledger, beside whatever schema is in the file."""

from pathlib import Path

from bench.mark_writer import STEPS, write_mark
from volbal.storage import files
from volbal.storage.database import Database

__all__ = ["add_marks", "count", "ids", "storage_format", "write_mark"]


def add_marks(database: Database) -> None:
    """The tables of the test beside volbal's own."""
    with database.write() as connection:
        connection.execute((STEPS / "0001_marks.sql").read_text(encoding="utf-8"))


def count(database: Database) -> int:
    with database.read() as connection:
        row = connection.execute("select count(*) from marks").fetchone()
    assert row is not None
    return int(row[0])


def ids(database: Database) -> list[int]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("select id from marks order by id").fetchall()]


def storage_format(path: Path) -> str:
    """DuckDB's name for the format of a closed file."""
    connection = files.connect(path, writable=False)
    row = connection.execute(
        "select tags['storage_version'] from duckdb_databases()"
        " where database_name = current_database()"
    ).fetchone()
    connection.close()
    assert row is not None
    return str(row[0])

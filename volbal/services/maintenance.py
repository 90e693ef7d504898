"""`python -m volbal sql|verify|backup|restore`: one call each, answered in text."""

import contextlib
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from volbal.config import Settings
from volbal.domain.wording import counted
from volbal.errors import VolbalError
from volbal.services.verify import verify
from volbal.storage import backup, recovery
from volbal.storage.database import Database, DatabaseBusy
from volbal.storage.sandbox import Table, run_sql
from volbal.storage.session import opened, refresh_snapshot

LOG = logging.getLogger("volbal")


class BackupFailed(VolbalError):
    """The system did not let the copy be written."""

    code = "backup_failed"

    def __init__(self, error: OSError) -> None:
        super().__init__(f"The backup was not made: {error}. Nothing was changed.")


@contextlib.contextmanager
def kept(settings: Settings) -> Iterator[Database]:
    """The records of a running volbal: open, checked, their snapshot fresh, until the block ends.

    Raises DatabaseBusy, DatabaseUnusable. Rows that disagree are logged and left as they are.
    """
    with opened(settings) as database:
        for row in verify(database):
            LOG.error("The records disagree: %s", row)
        yield database


def query(settings: Settings, sql: str, *, seconds: float = 10.0, rows: int = 1000) -> Table:
    """The result of one reading statement on the snapshot, which is made first if it is old.

    Raises SqlRefused, SqlTooLarge, InvalidInput, DatabaseUnusable; DatabaseBusy only where there
    is no snapshot yet.
    """
    try:
        refresh_snapshot(settings)
    except (DatabaseBusy, OSError):  # such as a full disk: the copy before answers
        if not settings.snapshot.exists():
            raise
    return run_sql(settings.snapshot, sql, seconds=seconds, rows=rows)


def table_text(table: Table) -> str:
    """Columns side by side, numbers to the right; a last line where rows were cut."""
    cells = [table.columns, *([_cell(value) for value in row] for row in table.rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    right = [_is_number(table, number) for number in range(len(widths))]
    lines = ["  ".join(map(_aligned, row, widths, right)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    more = ", there are more" if table.truncated else ""
    return "\n".join([*lines, f"({counted(len(table.rows), 'row')}{more})"])


def _cell(value: object) -> str:
    """One line, whatever is in it: a terminal obeys control characters."""
    text = "NULL" if value is None else str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _is_number(table: Table, column: int) -> bool:
    values = [row[column] for row in table.rows if row[column] is not None]
    return bool(values) and all(isinstance(value, int | float | Decimal) for value in values)


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)


def verify_text(settings: Settings) -> tuple[str, bool]:
    """What `verify` found, and whether all is in order. Opening reads every block of the file."""
    with opened(settings) as database:
        found = verify(database)
    if not found:
        return f"{settings.database}: every balance is the sum of its entries.", True
    lines = [f"{settings.database}: {counted(len(found), 'row')} disagree.", *map(str, found)]
    return "\n".join(lines), False


def backup_text(settings: Settings, target: Path | None = None) -> str:
    """Make a backup and say where it is. Works while volbal runs."""
    database = Database(settings.database, timeout=settings.busy_timeout)
    database.open()
    try:
        made = recovery.back_up(database, target)
    except OSError as error:
        raise BackupFailed(error) from error
    finally:
        database.close()
    return f"Backup: {made}"


def backups_text(settings: Settings) -> str:
    """The backups there are, newest first."""
    names = [file.name for file in reversed(backup.backups(settings.database))]
    return "\n".join(names) if names else f"There is no backup in {settings.backups} yet."


def restore_text(settings: Settings, chosen: str) -> str:
    """Restore and say what was done. volbal must not run."""
    done = recovery.restore(settings, chosen)
    kept = f" What it replaced is kept as {done.replaced}." if done.replaced else ""
    return f"Restored {done.backup} to {settings.database}.{kept}"

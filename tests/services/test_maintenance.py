from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from volbal.config import Settings
from volbal.errors import InvalidInput
from volbal.services import maintenance, positions
from volbal.services.maintenance import BackupFailed
from volbal.storage import backup, files
from volbal.storage.database import Database, DatabaseBusy
from volbal.storage.publish import is_stale
from volbal.storage.sandbox import SqlRefused, Table
from volbal.storage.session import opened

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=tmp_path / "volbal.duckdb", busy_timeout=0.5)


@pytest.fixture
def used(settings: Settings) -> Settings:
    """A closed ledger with one position: 50 shares, 5,000 cash, anchor 100."""
    with opened(settings) as database:
        positions.open_position(database, "ACME", quantity=50, cash=5000, anchor_price=100, now=NOW)
    return settings


@pytest.fixture
def running(used: Settings) -> Iterator[Database]:
    with opened(used) as database:
        yield database


def test_a_table_is_printed_with_numbers_to_the_right_and_what_was_cut_is_said():
    table = Table(
        ("name", "shares"),
        ("VARCHAR", "DECIMAL(28,12)"),
        [("ACME", Decimal("1.5")), ("B", None), ("\x1b[31mred\nline", Decimal(100))],
        truncated=True,
    )
    assert maintenance.table_text(table).splitlines() == [
        "name               shares",
        "-----------------  ------",
        "ACME                  1.5",
        "B                    NULL",
        r"\x1b[31mred\nline     100",
        "(3 rows, there are more)",
    ]


def test_an_empty_result_still_names_its_columns():
    table = Table(("a", "b"), ("INTEGER", "INTEGER"), [], truncated=False)
    assert maintenance.table_text(table).splitlines() == ["a  b", "-  -", "(0 rows)"]


def test_a_query_sees_the_last_commit_of_a_volbal_that_does_not_run(used):
    used.snapshot.unlink()
    table = maintenance.query(used, "select ticker, quantity from positions")
    assert table.rows == [("ACME", Decimal(50))]


def test_a_query_works_beside_a_running_volbal(running, used):
    assert maintenance.query(used, "select count(*) from positions").rows == [(1,)]


def test_a_query_uses_the_old_snapshot_where_the_database_is_busy(used, monkeypatch):
    def busy(settings: Settings) -> None:
        raise DatabaseBusy(settings.database, "another program")

    monkeypatch.setattr(maintenance, "refresh_snapshot", busy)
    assert maintenance.query(used, "select count(*) from positions").rows == [(1,)]
    used.snapshot.unlink()
    with pytest.raises(DatabaseBusy):
        maintenance.query(used, "select 1")


def test_a_query_cannot_write(used):
    with pytest.raises(SqlRefused, match="no SELECT but DELETE"):
        maintenance.query(used, "delete from positions")


def test_verify_of_a_sound_ledger_says_so(used):
    text, in_order = maintenance.verify_text(used)
    assert in_order
    assert text == f"{used.database}: every balance is the sum of its entries."


def test_verify_names_the_row_that_disagrees(used):
    connection = files.connect(used.database, writable=True)
    connection.execute("update positions set cash = cash + 1")
    connection.close()
    text, in_order = maintenance.verify_text(used)
    assert not in_order
    assert "positions 1: cash is stored as 5001" in text


def test_a_backup_is_made_and_restored_by_its_name(used):
    text = maintenance.backup_text(used)
    (made,) = [file for file in backup.backups(used.database) if "manual" in file.name]
    assert text == f"Backup: {made}"
    connection = files.connect(used.database, writable=True)
    connection.execute("update positions set ticker = 'WRONG'")
    connection.close()
    text = maintenance.restore_text(used, made.name)
    assert text.startswith(f"Restored {made} to {used.database}. What it replaced is kept as ")
    assert maintenance.query(used, "select ticker from positions").rows == [("ACME",)]
    assert not is_stale(used.database, used.snapshot)


def test_backups_are_listed_newest_first(used, settings):
    assert "There is no backup" in maintenance.backups_text(used)
    for stamp in ("20260101T000000000000Z", "20260201T000000000000Z"):
        used.backups.mkdir(exist_ok=True)
        (used.backups / f"volbal-{stamp}-daily.duckdb").touch()
    assert maintenance.backups_text(settings).splitlines() == [
        "volbal-20260201T000000000000Z-daily.duckdb",
        "volbal-20260101T000000000000Z-daily.duckdb",
    ]


def test_restore_beside_a_running_volbal_is_refused(running, used):
    backup.take(used.database, "manual")
    with pytest.raises(DatabaseBusy, match="this program"):
        maintenance.restore_text(used, backup.backups(used.database)[-1].name)


def test_a_backup_that_cannot_be_written_says_why(used, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BackupFailed, match="The backup was not made"):
        maintenance.backup_text(used, tmp_path / "file" / "backup.duckdb")


def test_a_backup_over_a_file_is_refused(used, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="exists already"):
        maintenance.backup_text(used, tmp_path / "file")

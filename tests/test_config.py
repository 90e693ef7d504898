from pathlib import Path

import pytest

from volbal.config import PROJECT, Settings
from volbal.errors import InvalidInput


def test_the_database_is_in_the_projects_data_folder_unless_told_otherwise():
    assert Settings.from_environment({}).database == PROJECT / "data" / "volbal.duckdb"
    assert Settings.from_environment({"VOLBAL_DB": " "}) == Settings()


def test_volbal_db_moves_the_database_its_snapshot_and_its_backups(tmp_path):
    settings = Settings.from_environment({"VOLBAL_DB": str(tmp_path / "my.duckdb")})
    assert settings.database == tmp_path / "my.duckdb"
    assert settings.snapshot == tmp_path / "my_snapshot.duckdb"
    assert settings.backups == tmp_path / "backups"


def test_a_relative_volbal_db_is_seen_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({"VOLBAL_DB": "my.duckdb"})
    assert settings.database == Path.cwd() / "my.duckdb"


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e9"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(text):
    with pytest.raises(InvalidInput, match=r"VOLBAL_DB_TIMEOUT.*0 to 600"):
        Settings.from_environment({"VOLBAL_DB_TIMEOUT": text})


def test_the_timeout_is_read_in_seconds():
    assert Settings.from_environment({"VOLBAL_DB_TIMEOUT": "0.5"}).busy_timeout == 0.5


def test_another_server_may_stand_in_for_yahoo():
    assert Settings.from_environment({}).yahoo_url == ""
    named = Settings.from_environment({"VOLBAL_YAHOO_URL": " http://127.0.0.1:8700/ "})
    assert named.yahoo_url == "http://127.0.0.1:8700"


@pytest.mark.parametrize(
    "text", ["yahoo", "ftp://host", "http://", "http://host/path", "file:///x"]
)
def test_what_is_no_server_cannot_stand_in_for_yahoo(text):
    with pytest.raises(InvalidInput, match=r"VOLBAL_YAHOO_URL.*http://127\.0\.0\.1"):
        Settings.from_environment({"VOLBAL_YAHOO_URL": text})

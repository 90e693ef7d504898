import duckdb
import pytest

from volbal.storage import files

LINUX = (
    'IO Error: Could not set lock on file "/x/a.duckdb": Conflicting lock is held in '
    "/usr/bin/python3.11 (PID 4711). See also https://duckdb.org"
)
WINDOWS = (
    'IO Error: Cannot open file "c:\\x\\a.duckdb": The process cannot access the file because it '
    "is being used by another process.\n\nFile is already open in \n"
    "C:\\Program Files\\DBeaver\\dbeaver.exe (PID 12)"
)


@pytest.mark.parametrize(
    ("message", "holder"),
    [
        (LINUX, "/usr/bin/python3.11 (PID 4711)"),
        (WINDOWS, "C:\\Program Files\\DBeaver\\dbeaver.exe (PID 12)"),
        ('IO Error: Could not set lock on file "/x/a.duckdb": no locks', "another program"),
        ("IO Error: No such file or directory", None),
    ],
)
def test_the_holder_is_read_from_the_message(message, holder):
    assert files.lock_holder(duckdb.IOException(message)) == holder


def test_other_errors_say_nothing_about_a_lock():
    assert files.lock_holder(ValueError(LINUX)) is None


def test_an_action_is_tried_at_least_once_and_not_again_after_the_deadline():
    tries = []

    def locked():
        tries.append(1)
        raise duckdb.IOException(LINUX)

    with pytest.raises(LookupError, match="4711"):
        files.retried(locked, deadline=0.0, busy=LookupError)
    assert len(tries) == 1


def test_an_error_that_waiting_cannot_help_is_raised_at_once():
    def broken():
        raise duckdb.IOException("IO Error: disk on fire")

    with pytest.raises(duckdb.IOException, match="on fire"):
        files.retried(broken, deadline=1e18, busy=LookupError)


def test_a_copy_is_equal_and_makes_its_folder(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 5000)
    files.copy(source, tmp_path / "new" / "target")
    assert (tmp_path / "new" / "target").read_bytes() == source.read_bytes()
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_copy_of_nothing_says_so_and_leaves_the_target(tmp_path):
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(OSError, match="No such file"):
        files.copy(tmp_path / "nowhere", target)
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_opening_a_missing_file_does_not_make_one(tmp_path):
    for writable in (True, False):
        with pytest.raises(FileNotFoundError):
            files.connect(tmp_path / "missing.duckdb", writable=writable)
    assert list(tmp_path.iterdir()) == []

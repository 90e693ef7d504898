import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from volbal.storage.database import Database

STEPS = Path(__file__).resolve().parents[2] / "bench" / "marks"

Outside = Callable[..., "subprocess.CompletedProcess[str]"]

_OPEN = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print(connection.execute(sys.argv[3]).fetchall())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "volbal.duckdb"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    made = Database(path, timeout=20.0, steps=STEPS)
    made.open()
    yield made
    if Database.is_open_here(path):
        made.close()


@pytest.fixture
def outside(path: Path) -> Outside:
    """Run one statement on the database in another process; mode is "read" or "write"."""

    def run(
        mode: str, sql: str = "select count(*) from marks"
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", _OPEN, str(path), mode, sql]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def holder(path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Another process that holds the database until its standard input closes."""
    running: list[subprocess.Popen[str]] = []

    def start(mode: str) -> "subprocess.Popen[str]":
        code = (
            "import duckdb, sys\n"
            f"connection = duckdb.connect(sys.argv[1], read_only={mode == 'read'})\n"
            "print('open', flush=True)\n"
            "sys.stdin.read()\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    yield start
    for process in running:
        process.communicate()

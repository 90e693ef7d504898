"""Opening and copying DuckDB files without losing a lock or leaving half a file.

On POSIX a process loses its locks on a file as soon as it closes *any* descriptor of it. So this
process must never ``open()`` the database file while DuckDB holds it: a child process copies it.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import duckdb

T = TypeVar("T")

# Released command-line tools read this format; a file made without it is readable by 2.0 only.
STORAGE_FORMAT = "v1.2.0"

_COPY = """
import os, shutil, sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "xb") as target:
    shutil.copyfileobj(source, target, 1 << 20)
    target.flush()
    os.fsync(target.fileno())
"""
_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_HOLDER = re.compile(r"(?:held in|already open in)\s+(?P<program>.+?)\s*\(PID (?P<pid>\d+)\)", re.S)
_LOCKED = ("lock on file", "being used by another process", "already open in")


def connect(path: Path, *, writable: bool, create: bool = False) -> duckdb.DuckDBPyConnection:
    """The file opened by an instance of its own, in UTC, that never fetches extensions.

    create: make a new file in STORAGE_FORMAT. Raises duckdb.Error as DuckDB words it.
    """
    if not create and not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    extra = {"storage_compatibility_version": STORAGE_FORMAT} if create else {}
    return _started(duckdb.connect(path, read_only=not writable, config={**_OFFLINE, **extra}))


def start_instance(spill: Path) -> duckdb.DuckDBPyConnection:
    """An instance without a file, with the same settings. spill: where large sorts may go.

    One thread: for the ledger's small statements more threads cost more than they gain
    (measured: 168 orders/s with one, 150 with two).
    """
    return _started(duckdb.connect(config={**_OFFLINE, "temp_directory": str(spill), "threads": 1}))


def _started(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("set global TimeZone = 'UTC'")
    return connection


def lock_holder(error: BaseException) -> str | None:
    """Who holds the file, as "program (PID n)"; None where the error is not about a lock."""
    text = str(error)
    if not isinstance(error, duckdb.IOException) or not any(word in text for word in _LOCKED):
        return None
    found = _HOLDER.search(text)
    return f"{found['program']} (PID {found['pid']})" if found else "another program"


def retried(action: Callable[[], T], deadline: float, busy: Callable[[str], Exception]) -> T:
    """`action()`, tried again while another program holds the file.

    deadline: time.monotonic() after which ``busy(holder)`` is raised; at least one try is made.
    """
    pause = 0.01
    while True:
        try:
            return action()
        except duckdb.IOException as error:
            holder = lock_holder(error)
            if holder is None:
                raise
            if time.monotonic() >= deadline:
                raise busy(holder) from error
        time.sleep(pause)
        pause = min(pause * 1.6, 0.2)


def copy(source: Path, target: Path) -> None:
    """A durable copy at `target`, never seen half-written.

    The caller makes sure that nobody writes to `source` meanwhile. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(target)
    try:
        _copy_in_child(source, part)
        replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _copy_in_child(source: Path, target: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", _COPY, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a message"])[-1]
        raise OSError(f"Copying {source} to {target.parent} failed: {last}")


def temporary(target: Path) -> Path:
    """A name beside `target`, of this process and moment, that `remove_leftovers` knows."""
    return target.with_name(f"{target.name}.part-{os.getpid()}-{time.monotonic_ns()}")


def remove_leftovers(folder: Path, name: str, *, older_than: float = 0.0) -> None:
    """Delete what killed processes left of copies to `name` (may hold *) in `folder`.

    older_than: seconds since the last write, to spare a copy that is being made right now.
    """
    newest = time.time() - older_than
    for left in folder.glob(f"{name}.part-*"):
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime <= newest:
                left.unlink()


def replace(source: Path, target: Path) -> None:
    """`os.replace`, durable; on Windows again for a second while another program has it open."""
    for attempt in range(10):
        try:
            source.replace(target)
            break
        except PermissionError:
            if os.name != "nt" or attempt == 9:
                raise
            time.sleep(0.1)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where the system can."""
    with contextlib.suppress(OSError):  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def wal_of(path: Path) -> Path:
    """DuckDB's write-ahead log of a database file."""
    return path.with_name(path.name + ".wal")


def spill_folder(path: Path) -> Path:
    """Where DuckDB itself would put what does not fit into memory."""
    return path.with_name(path.name + ".tmp")

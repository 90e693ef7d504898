"""The one DuckDB file: who may read, who may write, and when other programs may look.

While idle the file is held read-only, so other programs can open it read-only at any time. A
write leases it read-write, one writer at a time, first come first served. The lease is kept
while further writes wait or a caller asked for a batch, and given back at once otherwise.
Readers of this process go on while it is held: they see the last committed state.

Rules for callers:

- Take `read()` or `write()` for each use and fetch results inside the block; never pass the
  connection to another thread and never keep it.
- `read()` inside the `write()` of the same thread gives the writing connection, so it sees what
  the block has changed so far. `write()` inside `read()` or `write()` is a MisuseError: it could
  only wait for itself. `write()` inside `lease()` is what `lease()` is for.
- Never `open()` the database file in this process; see `files`.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import duckdb

from volbal.errors import VolbalError
from volbal.storage import files, migrations
from volbal.storage.attachment import Attachment
from volbal.storage.line import Line
from volbal.storage.startup import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseNotWritable,
    DatabaseTooNew,
    DatabaseUnusable,
    prepare,
    unfit,
)

__all__ = [
    "Database",
    "DatabaseBusy",
    "DatabaseDamaged",
    "DatabaseNotWritable",
    "DatabaseTooNew",
    "DatabaseUnusable",
    "MisuseError",
]


class MisuseError(RuntimeError):
    """The calling code is wrong; no input can cause this."""


class _Mine(threading.local):
    """What the current thread holds."""

    reads = 0
    writing: duckdb.DuckDBPyConnection | None = None


class Database:
    """One per process and file; safe for any number of threads.

    timeout: seconds to wait for another program that holds the file before DatabaseBusy.
    steps: the folder of the migrations.
    commits: transactions stored by this process; `committed` is notified of each.
    """

    _open: ClassVar[dict[Path, "Database"]] = {}

    def __init__(self, path: Path, *, timeout: float = 5.0, steps: Path = migrations.STEPS) -> None:
        self.path = Path(path).absolute()
        self.timeout = timeout
        self._steps = steps
        self.commits = 0
        self.committed = threading.Condition()
        self._writers = Line()
        self._gate = threading.Condition()  # guards all below
        self._file = Attachment(self.path)
        self._broken = False
        self._switching = False
        self._readers = 0
        self._leases = 0
        self._mine = _Mine()

    def open(self) -> None:
        """Create or check, migrate and hold the file. Raises DatabaseBusy, DatabaseUnusable."""
        if Database._open.setdefault(self.path, self) is not self:
            raise MisuseError(f"{self.path} is already open in this process; share that Database.")
        try:
            prepare(self.path, self.timeout, self._steps)
            self._open_for_reading(time.monotonic() + self.timeout)
        except BaseException:
            Database._open.pop(self.path, None)
            raise

    @classmethod
    def is_open_here(cls, path: Path) -> bool:
        """Does this process hold the file?"""
        return path.absolute() in cls._open

    @classmethod
    def held_here(cls, path: Path) -> "Database | None":
        """The database of this process over the file, None where it holds none."""
        return cls._open.get(path.absolute())

    def close(self) -> None:
        """Let go of the file, after the block that holds it now."""
        self._refuse_in_block("close()")
        with self._writers.turn(), self._nobody_reading():
            self._file.let_go()
            self._file.stop()
            Database._open.pop(self.path, None)

    @contextlib.contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to read from: one committed state for the whole block.

        Raises DatabaseBusy where another program took the file read-write.
        """
        if self._mine.writing is not None:
            yield self._mine.writing
            return
        cursor = self._start_reading()
        try:
            with self._noticing_fatal():
                yield cursor
        finally:
            self._stop_reading(cursor)

    @contextlib.contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """THE writer lock and one transaction: all of the block is stored, or nothing.

        Stored, durably, when the block is left normally; rolled back by any exception, those of
        Streamlit's reruns and Ctrl-C included. Raises DatabaseBusy before the block starts.
        """
        self._refuse_in_block("write()")
        deadline = time.monotonic() + self.timeout
        with self._writers.turn(), self._leased(deadline):
            cursor = self._file.cursor()
            self._mine.writing = cursor
            try:
                with _transaction(cursor):
                    yield cursor
                self._count_commit()
            finally:
                self._mine.writing = None
                cursor.close()

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """Keep the file read-write for a batch of `write()`, without reopening it in between.

        Writes of other threads may come between. Raises DatabaseBusy before the block starts.
        """
        self._refuse_in_block("lease()")
        with self._writers.turn():
            self._take_lease(time.monotonic() + self.timeout)
            self._leases += 1
        try:
            yield
        finally:
            with self._writers.turn():
                self._leases -= 1
                self._give_back_if_idle()

    def copy_to(self, target: Path) -> None:
        """A copy of the last committed state, complete and durable, or an exception and none.

        Writers wait meanwhile, readers do not. Raises DatabaseBusy, OSError.
        """
        self._refuse_in_block("copy_to()")
        deadline = time.monotonic() + self.timeout
        with self._writers.turn():
            self._settle(deadline)
            try:
                files.copy(self.path, target)
            finally:
                self._give_back_if_idle()

    def _count_commit(self) -> None:
        with self.committed:
            self.commits += 1
            self.committed.notify_all()

    def _settle(self, deadline: float) -> None:
        """All commits in the file itself, and a lock that keeps other programs from writing."""
        if files.wal_of(self.path).exists():
            self._take_lease(deadline)
            with contextlib.closing(self._file.cursor()) as cursor, self._noticing_fatal():
                cursor.execute("checkpoint")
        elif not self._file.held:
            self._open_for_reading(deadline)

    def _start_reading(self) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.timeout
        while True:
            if self._broken and not self._mine.reads:
                with self._writers.turn():
                    self._mend()
            with self._gate:
                # A thread that reads already must not wait for a switch that waits for it.
                self._gate.wait_for(lambda: self._mine.reads or not self._switching)
                if self._file.held:
                    with self._noticing_fatal():
                        return self._count_in()
            self._open_for_reading(deadline)

    def _count_in(self) -> duckdb.DuckDBPyConnection:
        cursor = self._file.cursor()
        if self._file.writable:
            cursor.execute("begin transaction read only")
        self._readers += 1
        self._mine.reads += 1
        return cursor

    def _stop_reading(self, cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.close()
        with self._gate:
            self._readers -= 1
            self._mine.reads -= 1
            self._gate.notify_all()

    @contextlib.contextmanager
    def _leased(self, deadline: float) -> Iterator[None]:
        self._take_lease(deadline)
        try:
            with self._noticing_fatal():
                yield
        finally:
            self._give_back_if_idle()

    def _take_lease(self, deadline: float) -> None:
        self._mend()
        if not self._file.writable:
            files.retried(self._hold_writable, deadline, self._busy)

    def _give_back_if_idle(self) -> None:
        self._mend()
        if self._file.writable and not self._leases and not self._writers.waiting:
            with self._nobody_reading():
                self._try_read_only()

    def _hold_writable(self) -> None:
        with self._nobody_reading():
            try:
                self._hold(writable=True)
            except (duckdb.Error, VolbalError):
                self._try_read_only()  # the readers go on between tries
                raise

    def _try_read_only(self) -> None:
        """A commit is no failure because of what comes after: the next reader hears of it."""
        with contextlib.suppress(duckdb.Error, VolbalError):
            self._hold(writable=False)

    def _open_for_reading(self, deadline: float) -> None:
        def once() -> None:
            with self._nobody_reading():
                if not self._file.held:
                    self._hold(writable=False)

        files.retried(once, deadline, self._busy)

    def _hold(self, *, writable: bool) -> None:
        self._require_open()  # who waited may find it closed
        try:
            self._file.hold(writable=writable)
        except (duckdb.Error, FileNotFoundError) as error:
            if files.lock_holder(error) is not None:
                raise
            found = unfit(error)
            raise found.kind(self.path, found.problem) from error

    @contextlib.contextmanager
    def _noticing_fatal(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            fatal = isinstance(error, duckdb.FatalException | duckdb.InternalException)
            self._broken = self._broken or fatal or "invalidated" in str(error)
            raise

    def _mend(self) -> None:
        """After a fatal error, as a checkpoint on a full disk, DuckDB refuses all work: drop it.

        Only in the caller's turn as a writer.
        """
        if self._broken:
            with self._nobody_reading():
                self._file.stop()
                self._broken = False

    @contextlib.contextmanager
    def _nobody_reading(self) -> Iterator[None]:
        """The hold on the file may change inside: no reader is left and new ones wait."""
        with self._gate:
            self._gate.wait_for(lambda: not self._switching)
            self._switching = True
        try:
            with self._gate:
                self._gate.wait_for(lambda: not self._readers)
            yield
        finally:
            with self._gate:
                self._switching = False
                self._gate.notify_all()

    def _refuse_in_block(self, what: str) -> None:
        self._require_open()
        if self._mine.writing is not None or self._mine.reads:
            raise MisuseError(f"{what} inside a read() or write() of the same thread.")

    def _require_open(self) -> None:
        if Database._open.get(self.path) is not self:
            raise MisuseError(f"{self.path} is not open: call open() first.")

    def _busy(self, holder: str) -> DatabaseBusy:
        return DatabaseBusy(self.path, holder)


@contextlib.contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
        # After a swallowed error COMMIT reports success and stores nothing; any query fails.
        connection.execute("select 1")
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            connection.execute("rollback")
        raise

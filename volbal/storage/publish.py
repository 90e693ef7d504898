"""The read copy for tools that keep connections open, never more than two seconds behind."""

import logging
import threading
from pathlib import Path

import duckdb

from volbal.errors import VolbalError
from volbal.storage import files
from volbal.storage.database import Database

log = logging.getLogger(__name__)


def is_stale(database: Path, snapshot: Path) -> bool:
    """Was the database (or its log) written after the snapshot was made?"""
    if not snapshot.exists():
        return True
    made = snapshot.stat().st_mtime_ns
    written = (file for file in (database, files.wal_of(database)) if file.exists())
    return any(file.stat().st_mtime_ns > made for file in written)


class Publisher:
    """A thread that copies the database to `target` `delay` seconds after a commit.

    Commits in between go along. While a long read goes on beside a lease, the log cannot be moved
    into the file: the copy is tried again after `delay`, which needs no warning. A copy that fails
    (disk full; on Windows a tool that holds the snapshot) is logged and tried again, too. A killed
    process leaves the old snapshot whole; the next start replaces it.
    """

    def __init__(self, database: Database, target: Path, *, delay: float = 1.0) -> None:
        self._database = database
        self._target = target
        self._delay = delay
        self._stopping = False
        self._published = -1
        self._thread = threading.Thread(target=self._run, name="volbal-publisher", daemon=True)

    def start(self) -> None:
        """Begin; a snapshot older than the database is replaced first."""
        files.remove_leftovers(self._target.parent, self._target.name)
        if not is_stale(self._database.path, self._target):
            self._published = self._database.commits
        self._thread.start()

    def close(self) -> None:
        """Publish what is not published yet, then stop. Call it before `Database.close`."""
        with self._database.committed:
            self._stopping = True
            self._database.committed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._database.committed:
                self._database.committed.wait_for(lambda: self._behind() or self._stopping)
                self._database.committed.wait_for(lambda: self._stopping, self._delay)
                stopping = self._stopping
            if self._behind():
                self._publish()
            if stopping:
                return

    def _behind(self) -> bool:
        return self._published != self._database.commits

    def _publish(self) -> None:
        commits = self._database.commits
        try:
            self._database.copy_to(self._target)
            self._published = commits
        except duckdb.TransactionException as error:
            log.debug("The snapshot %s waits for a reader: %s", self._target, error)
        except (VolbalError, OSError, duckdb.Error) as error:
            log.warning("The snapshot %s could not be replaced yet: %s", self._target, error)

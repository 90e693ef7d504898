"""The database file inside one DuckDB instance that lives as long as the process.

Attaching a file to a running instance takes about 1 ms, opening it with an instance of its own
about 15 ms: other programs find the file locked that much less often, and a write is that much
quicker. Not safe for threads by itself; `database` decides who may call what when.
"""

import logging
from pathlib import Path

import duckdb

from volbal.storage import files

log = logging.getLogger(__name__)

_ATTACH = {
    True: "attach {file} as volbal (read_write)",
    False: "attach {file} as volbal (read_only)",
}


class Attachment:
    """Absent, held read-only (other programs may read too) or held read-write (nobody else)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._instance: duckdb.DuckDBPyConnection | None = None
        self.held = False
        self.writable = False

    def hold(self, *, writable: bool) -> None:
        """Take the file in another mode; no cursor may be open.

        Raises duckdb.IOException where another program is in the way, FileNotFoundError (DuckDB
        would make a new, empty file); then nothing is held.
        """
        self.let_go()
        if not self._path.is_file():
            raise FileNotFoundError(f"there is no file {self._path}")
        instance = self._running_instance()
        file = "'" + str(self._path).replace("'", "''") + "'"  # cannot be a bound parameter
        instance.execute(_ATTACH[writable].format(file=file))
        self.held, self.writable = True, writable

    def let_go(self) -> None:
        """Leave the file, its log written into it; no cursor may be open."""
        if not self.held or self._instance is None:
            return
        self.held = self.writable = False
        try:
            self._instance.execute("detach volbal")
        except duckdb.Error as error:  # the disk is full: the log keeps what was committed
            log.warning("The log of %s could not be written into it: %s", self._path, error)
            self.stop()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the held file."""
        cursor = self._running_instance().cursor()
        cursor.execute("use volbal")
        return cursor

    def stop(self) -> None:
        """End the instance too, however it is; it holds nothing after that."""
        self.held = self.writable = False
        if self._instance is not None:
            self._instance.close()
            self._instance = None

    def _running_instance(self) -> duckdb.DuckDBPyConnection:
        if self._instance is None:
            self._instance = files.start_instance(spill=files.spill_folder(self._path))
        return self._instance

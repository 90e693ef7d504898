"""The records of this process: opened at their first use, kept until the process ends.

Screens and HTTP routes share them; the command line opens its own.
"""

import atexit
import threading
from contextlib import ExitStack

from volbal.config import Settings
from volbal.services import maintenance
from volbal.storage.database import Database

__all__ = ["Database", "close", "database"]

_gate = threading.Lock()
_held: dict[Settings, tuple[Database, ExitStack]] = {}


def database() -> Database:
    """The open records that the environment names.

    Raises DatabaseBusy, DatabaseUnusable, InvalidInput; the next call tries again.
    """
    settings = Settings.from_environment()
    with _gate:
        if settings not in _held:
            holding = ExitStack()
            _held[settings] = (holding.enter_context(maintenance.kept(settings)), holding)
        return _held[settings][0]


def close() -> None:
    """Let go of every file; later calls of `database` open it again."""
    with _gate:
        while _held:
            _, (_, holding) = _held.popitem()
            holding.close()


atexit.register(close)

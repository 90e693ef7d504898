"""The storage of one process, from start to stop."""

import contextlib
from collections.abc import Iterator

from volbal.config import Settings
from volbal.storage.database import Database
from volbal.storage.publish import Publisher, is_stale


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database, open, with its snapshot kept fresh until the block ends.

    Raises DatabaseBusy, DatabaseUnusable before the block starts.
    """
    database = Database(settings.database, timeout=settings.busy_timeout)
    database.open()
    try:
        publisher = Publisher(database, settings.snapshot)
        publisher.start()
        try:
            yield database
        finally:
            publisher.close()
    finally:
        database.close()


def refresh_snapshot(settings: Settings) -> None:
    """Make the snapshot now, whether a volbal runs here or none does; cheap when it is fresh.

    Raises DatabaseBusy, DatabaseUnusable, OSError.
    """
    if not is_stale(settings.database, settings.snapshot):
        return
    here = Database.held_here(settings.database)
    if here is not None:
        here.copy_to(settings.snapshot)
        return
    with opened(settings):
        pass

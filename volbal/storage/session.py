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
    """Make the snapshot now unless another running volbal does; cheap when it is fresh."""
    if not is_stale(settings.database, settings.snapshot):
        return
    ours = Database.of_this_process(settings.database)
    if ours is not None:
        ours.copy_to(settings.snapshot)
        return
    with opened(settings):
        pass

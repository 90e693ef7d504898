"""The runner: one thread a process that works on its studies, one after the other."""

from volbal.storage.database import Database


def wake(database: Database) -> None:
    """There is something to do: start the thread if it does not run yet."""
    raise NotImplementedError


def interrupt_orphans(database: Database) -> None:
    """Mark running studies interrupted whose process is gone."""
    raise NotImplementedError


def stop(database: Database | None = None) -> None:
    """End the thread within a second; what it works on becomes interrupted, stored cells stay."""
    raise NotImplementedError

"""Who works on a study, and how it goes from one state to the next."""

import os
import socket
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from volbal.domain.study_states import Step, StudyState, after
from volbal.errors import VolbalError
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.records import studies as study_rows
from volbal.storage.rows import StoredStudy

OWNER: Final = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
"""This process, unlike any other that has had or will have its number."""

SILENCE: Final = timedelta(seconds=30)
"""A process that gave no sign of life for so long is taken for dead."""


class StudyNotFound(VolbalError):
    """No study has this number."""

    code = "study_not_found"

    def __init__(self, study_id: int) -> None:
        super().__init__(f"There is no study {study_id}; list the studies to see them.")


def find(connection: Connection, study_id: int) -> StoredStudy:
    """The stored study; raises StudyNotFound."""
    found = study_rows.find_study(connection, study_id)
    if found is None:
        raise StudyNotFound(study_id)
    return found


def state_of(stored: StoredStudy) -> StudyState:
    """Where the study stands: interrupted, if the process that is said to run it is gone."""
    if stored.state is StudyState.RUNNING and not _is_alive(stored):
        return StudyState.INTERRUPTED
    return stored.state


def settled(connection: Connection, study_id: int, now: datetime) -> StoredStudy:
    """The study, marked interrupted first where its process is gone. Raises StudyNotFound."""
    stored = find(connection, study_id)
    if state_of(stored) is stored.state:
        return stored
    end(connection, stored, Step.INTERRUPT, now, _interrupted(stored))
    return find(connection, study_id)


def interrupt(connection: Connection, stored: StoredStudy, now: datetime) -> None:
    """Its process ends; what is stored stays."""
    end(connection, stored, Step.INTERRUPT, now, _interrupted(stored))


def interrupt_orphans(database: Database, now: datetime) -> None:
    """Mark running studies interrupted whose process is gone."""
    with database.read() as connection:
        known = study_rows.all_studies(connection)
    orphans = [one.study_id for one in known if state_of(one) is not one.state]
    for study_id in orphans:
        with database.write() as connection:
            settled(connection, study_id, now)


def end(
    connection: Connection,
    stored: StoredStudy,
    step: Step,
    now: datetime,
    sentence: str,
    *,
    error: str | None = None,
    failed: int = 0,
) -> None:
    """Take a study out of its run. Raises StudyNotStartable where there is no such step."""
    state = after(stored.study_id, stored.state, step)
    ended_at = None if state is StudyState.INTERRUPTED else now
    study_rows.store_study_state(connection, stored.study_id, state, ended_at, error, failed)
    study_rows.insert_study_event(connection, stored.study_id, now, state, sentence)


def _interrupted(stored: StoredStudy) -> str:
    return f"Interrupted with {stored.completed:,} of {stored.total:,} cells stored."


def _is_alive(stored: StoredStudy) -> bool:
    if stored.owner == OWNER:
        return True
    if stored.owner is None or stored.heartbeat_at is None:
        return False
    host, process_id, _ = stored.owner.rsplit(":", 2)
    if host == socket.gethostname() and not _may_run(int(process_id)):
        return False
    return datetime.now(UTC) - stored.heartbeat_at < SILENCE


def _may_run(process_id: int) -> bool:
    """False only where there surely is no such process, or it is this one under its old number."""
    if process_id == os.getpid():
        return False
    if os.name == "nt":  # there the question would end it
        return True
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

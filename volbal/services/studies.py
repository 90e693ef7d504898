"""Use cases of studies: save, start, cancel, resume, copy, delete, watch.

A study is a saved configuration with a history. `start` and `resume` hand it to the runner of
this process (`study_runner`), which works on one study after the other; every process sees the
same states and progress, because both are in the database.
"""

from dataclasses import dataclass
from datetime import datetime

from volbal.domain.study_states import StudyState
from volbal.errors import VolbalError
from volbal.market.model import PriceHistory
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database


class StudyNotFound(VolbalError):
    """No study has this number."""

    code = "study_not_found"

    def __init__(self, study_id: int) -> None:
        super().__init__(f"There is no study {study_id}; list the studies to see them.")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a study's history."""

    happened_at: datetime
    state: StudyState
    sentence: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is, as every process sees it.

    total: cells of all symbols, invalid ones included; invalid: those that break a bound, counted
    as completed at once; failed: cells whose simulation raised an error. ahead: studies this
    process works on before it (0 while it is worked on). rate: cells per second, eta_seconds:
    seconds to the end, both None before the first chunk and when it is not running.
    """

    study_id: int
    state: StudyState
    total: int
    completed: int
    failed: int
    invalid: int
    ahead: int
    rate: float | None
    eta_seconds: float | None
    started_at: datetime | None
    completed_at: datetime | None
    heartbeat_at: datetime | None
    error: str | None

    @property
    def remaining(self) -> int:
        return self.total - self.completed - self.failed

    @property
    def percentage(self) -> float:
        """0..100; exactly 100.0 where every cell is completed, and only there."""
        return 100.0 * self.completed / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Study:
    """A study as stored. sent: the caller's own words (HTTP), given back as they came.

    evidence: sentences every screen of results shows (ranges, split or "no vault", sample,
    prices, assumptions); empty before the first start.
    """

    study_id: int
    request: StudyRequest
    state: StudyState
    note: str
    created_at: datetime
    progress: Progress
    history: tuple[Event, ...]
    evidence: tuple[str, ...] = ()
    sent: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request would cost. total, valid, invalid: cells of all symbols that would run,
    approximate where `sampled`; seconds: on this machine, approximate."""

    combinations: int
    total: int
    valid: int
    invalid: int
    sampled: bool
    seconds: float


def price_history(database: Database, symbol: str) -> PriceHistory:
    """The prices a study of `symbol` runs on. Raises PriceUnavailable."""
    raise NotImplementedError


def estimate(database: Database, request: StudyRequest) -> Estimate:
    """Counts and seconds of a request, quick enough to follow typing.

    Raises PriceUnavailable, InvalidInput (also where every cell is invalid).
    """
    raise NotImplementedError


def create(
    database: Database,
    request: StudyRequest,
    now: datetime,
    *,
    key: str | None = None,
    sent: str | None = None,
) -> Study:
    """Save a draft. The same key again gives the study made with it, whatever the request.

    Raises PriceUnavailable for an unknown symbol or range, InvalidInput.
    """
    raise NotImplementedError


def change(database: Database, study_id: int, request: StudyRequest, now: datetime) -> Study:
    """Replace a draft's configuration. Raises StudyNotFound, StudyNotStartable, StudyRunning."""
    raise NotImplementedError


def get(database: Database, study_id: int) -> Study:
    """Raises StudyNotFound. A study whose process is gone is found interrupted."""
    raise NotImplementedError


def list_studies(database: Database) -> list[Study]:
    """All, newest first."""
    raise NotImplementedError


def start(database: Database, study_id: int, now: datetime) -> Study:
    """Queue a draft with this process's runner. Raises StudyNotFound, StudyNotStartable,
    StudyRunning."""
    raise NotImplementedError


def resume(database: Database, study_id: int, now: datetime) -> Study:
    """Queue an interrupted, cancelled or failed study again; stored chunks are not run again.

    Raises StudyNotFound, StudyNotStartable, StudyRunning; InvalidInput where its prices have
    changed since it was started (duplicate it).
    """
    raise NotImplementedError


def cancel(database: Database, study_id: int, now: datetime) -> Study:
    """Stop it, in whatever process it runs, within a second. Raises StudyNotFound,
    StudyNotStartable."""
    raise NotImplementedError


def duplicate(database: Database, study_id: int, now: datetime) -> Study:
    """A new draft with the same configuration. Raises StudyNotFound."""
    raise NotImplementedError


def rerun(database: Database, study_id: int, now: datetime) -> Study:
    """A duplicate, started. Raises StudyNotFound."""
    raise NotImplementedError


def note(database: Database, study_id: int, text: str) -> Study:
    """Keep the user's own words with it. Raises StudyNotFound."""
    raise NotImplementedError


def delete(database: Database, study_id: int) -> None:
    """Remove it and its cells; the trial counter keeps counting them.

    Raises StudyNotFound, StudyRunning.
    """
    raise NotImplementedError


def progress(database: Database, study_id: int) -> Progress:
    """Raises StudyNotFound."""
    raise NotImplementedError


def trials(database: Database, symbol: str) -> int:
    """Cells ever simulated on `symbol` by any study, deleted ones included."""
    raise NotImplementedError

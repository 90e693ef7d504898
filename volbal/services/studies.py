"""Use cases of studies: save, start, cancel, resume, copy, delete, watch.

A study is a saved configuration with a history. `start` and `resume` hand it to the runner of
this process (`study_runner`), which works on one study after the other; every process sees the
same states and progress, because both are in the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np

from volbal.domain import orders
from volbal.domain.study_states import Step, StudyRunning, StudyState, after
from volbal.engine.bounds import EVERY_BOUND, first_broken
from volbal.engine.grid import Parameter, no_valid_cell
from volbal.engine.paths import Floats
from volbal.errors import InvalidInput
from volbal.services import study_life, study_prices, study_runner
from volbal.services.study_life import OWNER, StudyNotFound
from volbal.services.study_plan import AT_ONCE, cells_of
from volbal.services.study_request import StudyRequest, request_from
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.records import cells as cell_rows
from volbal.storage.records import studies as study_rows
from volbal.storage.rows import StoredStudy, StudyEvent

__all__ = ["StudyNotFound"]

LONGEST_NOTE: Final = 10_000

TIED: Final = (("min_stock_share", "max_stock_share"), ("sizing", "rebalance_ratio"))
"""Parameters that a bound ties to each other; the others are valid or not by themselves."""

FEW_DAYS: Final = 730
"""Calendar days; a ranking over fewer is mostly luck."""

MOST_LOOKED_AT: Final = 1_000_000
"""Cells of tied parameters that are counted one by one; of more a sample is."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is, as every process sees it.

    total: cells of all symbols, invalid ones included, of a draft those it would have; invalid:
    those that break a bound, counted as completed at once; failed: cells whose simulation raised
    an error. ahead: studies this process works on before it (0 while it is worked on). rate: cells
    per second, eta_seconds: seconds to the end, both None before the first chunk and when it is not
    running.
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
    def standing(self) -> str:
        """The state in words: a running study that others are ahead of waits."""
        return f"waiting, {self.ahead} ahead" if self.ahead else self.state.value

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

    trials: by symbol the cells ever tried on it, by any study, deleted ones included. evidence:
    sentences every screen of results shows (ranges, split or "no vault", sample, trials,
    assumptions); empty before the first start.
    """

    study_id: int
    request: StudyRequest
    state: StudyState
    note: str
    created_at: datetime
    progress: Progress
    history: tuple[StudyEvent, ...]
    trials: Mapping[str, int]
    evidence: tuple[str, ...] = ()
    sent: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request would cost. total, valid, invalid: cells of all symbols that would run,
    approximate where `sampled`; broken: the invalid ones by the first bound they break (its place
    in EVERY_BOUND); seconds: on this machine, approximate; first, last: the dates that cells run
    over, of the symbol with the fewest."""

    combinations: int
    total: int
    valid: int
    invalid: int
    broken: tuple[tuple[int, int], ...]
    sampled: bool
    seconds: float
    first: date
    last: date

    @property
    def is_short(self) -> bool:
        """Whether cells run over so few dates that the best of them is mostly luck."""
        return (self.last - self.first).days < FEW_DAYS


def estimate(database: Database, request: StudyRequest) -> Estimate:
    """Counts and seconds of a request, quick enough to follow typing.

    Raises PriceUnavailable, InvalidInput (also where every cell is invalid).
    """
    paths = study_prices.prepared(database, request, study_prices.searched(request))
    cells = min(request.combinations, request.max_cells)
    *broken, share = _shares(request)
    if share == 0.0:
        raise no_valid_cell(request.grid)
    valid = max(round(cells * share), 1)
    steps = valid * sum(one.paths.steps for one in paths.values())
    total, simulated = cells * len(paths), valid * len(paths)
    spans = ((one.history.first_date, one.history.last_date) for one in paths.values())
    first, last = min(spans, key=lambda span: span[1] - span[0])
    counts = ((place, round(total * part)) for place, part in enumerate(broken))
    return Estimate(
        combinations=request.combinations,
        total=total,
        valid=simulated,
        invalid=total - simulated,
        broken=tuple((place, count) for place, count in counts if count),
        sampled=request.sampled,
        seconds=study_runner.seconds_of(steps, total),
        first=first,
        last=last,
    )


def _shares(request: StudyRequest) -> list[float]:
    """Of the cells of the whole grid the share that breaks each of EVERY_BOUND first, then the
    share that breaks none.

    Bounds tie few parameters to each other: each group that a bound ties is looked at by itself.
    """
    known = request.parameters
    groups = [[one for one in known if one.name in names] for names in TIED]
    groups += [[one] for one in known if one.name not in {*TIED[0], *TIED[1]}]
    # A cell keeps every bound before one where each group of its values does.
    keep = np.prod([_kept_before(request, tuple(group)) for group in groups if group], axis=0)
    return [*(-np.diff(keep)).tolist(), float(keep[-1])]


def _kept_before(request: StudyRequest, parameters: tuple[Parameter, ...]) -> Floats:
    """The share of some parameters' cells that keep every bound before each of EVERY_BOUND, then
    the share that keeps all, shape (len(EVERY_BOUND) + 1,)."""
    part = replace(request, parameters=parameters, max_cells=MOST_LOOKED_AT)
    cells = cells_of(part)
    counts = np.zeros(len(EVERY_BOUND) + 1)
    for at in range(0, len(cells), AT_ONCE):
        found = first_broken(part.grid.terms(cells[at : at + AT_ONCE]))
        counts += np.bincount(found, minlength=len(counts))
    return np.cumsum(counts[::-1])[::-1] / len(cells)


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
    estimate(database, request)
    with database.write() as connection:
        known = study_rows.find_study_by_key(connection, key) if key is not None else None
        if known is not None:
            return _read(connection, known)
        content = request.as_mapping()
        study_id = study_rows.insert_study(connection, request.name, content, sent, key, now)
        study_rows.insert_study_event(connection, study_id, now, StudyState.DRAFT, "Saved.")
        return _read(connection, study_id)


def change(database: Database, study_id: int, request: StudyRequest, now: datetime) -> Study:
    """Replace a draft's configuration. Raises StudyNotFound, StudyNotStartable, StudyRunning."""
    estimate(database, request)
    with database.write() as connection:
        stored = study_life.find(connection, study_id)
        state = after(study_id, stored.state, Step.CHANGE)
        study_rows.store_request(connection, study_id, request.name, request.as_mapping())
        study_rows.insert_study_event(connection, study_id, now, state, "Changed.")
        return _read(connection, study_id)


def get(database: Database, study_id: int) -> Study:
    """Raises StudyNotFound. A study whose process is gone is found interrupted."""
    with database.read() as connection:
        return _read(connection, study_id)


def list_studies(database: Database, most: int | None = None) -> list[Study]:
    """All or so many, newest first."""
    with database.read() as connection:
        stored = study_rows.all_studies(connection)[:most]
        histories = study_rows.study_events(connection, [one.study_id for one in stored])
        trials = study_rows.trials(connection)
        return [_study(connection, one, histories[one.study_id], trials) for one in stored]


def start(database: Database, study_id: int, now: datetime, *, key: str | None = None) -> Study:
    """Queue a draft with this process's runner; with a key, once. Raises StudyNotFound,
    StudyNotStartable, StudyRunning."""
    return _queue(database, study_id, Step.START, now, key)


def resume(database: Database, study_id: int, now: datetime, *, key: str | None = None) -> Study:
    """Queue an interrupted, cancelled or failed study again; stored chunks are not run again.

    With a key it happens once. Raises StudyNotFound, StudyNotStartable, StudyRunning;
    PricesChanged where it would go on with other prices than it began with.
    """
    require_same_prices(database, study_id)
    return _queue(database, study_id, Step.RESUME, now, key)


def require_same_prices(database: Database, study_id: int) -> None:
    """Raises PricesChanged where a study would go on with other prices than it began with."""
    with database.read() as connection:
        stored = study_life.find(connection, study_id)
    if stored.prices is not None:
        request = request_from(stored.request)
        part = study_prices.searched(request)
        prepared = study_prices.prepared(database, request, part, stored.prices)
        today = study_prices.described(prepared, part)
        study_prices.require_same(study_id, today, stored.prices)


def _queue(database: Database, study_id: int, step: Step, now: datetime, key: str | None) -> Study:
    if take(database, study_id, step, now, key):
        study_runner.wake(database)
    return get(database, study_id)


def take(
    database: Database, study_id: int, step: Step, now: datetime, key: str | None = None
) -> bool:
    """Make this process the owner of a study that is to be started or resumed.

    False where the key stands for this step of this study already.
    """
    sentence = _taken(step, key)
    with database.write() as connection:
        stored = study_life.settled(connection, study_id, now)
        if key is not None and study_rows.has_study_event(connection, study_id, sentence):
            return False
        state = after(study_id, stored.state, step)
        total = request_from(stored.request).total
        study_rows.store_queued(connection, study_id, OWNER, now, total)
        study_rows.insert_study_event(connection, study_id, now, state, sentence)
    return True


def _taken(step: Step, key: str | None) -> str:
    """The line of the history, in which a key is kept."""
    done = "Started" if step is Step.START else "Resumed"
    return f"{done}." if key is None else f"{done} under key {orders.key(key)}."


def cancel(database: Database, study_id: int, now: datetime) -> Study:
    """Stop it within a second; what is stored stays. Raises StudyNotFound, StudyNotStartable."""
    study_runner.let_go(study_id)
    with database.write() as connection:
        stored = study_life.settled(connection, study_id, now)
        sentence = f"Cancelled with {stored.completed:,} of {stored.total:,} cells stored."
        study_life.end(connection, stored, Step.CANCEL, now, sentence)
    return get(database, study_id)


def duplicate(database: Database, study_id: int, now: datetime) -> Study:
    """A new draft with the same configuration. Raises StudyNotFound."""
    study = get(database, study_id)
    return create(database, study.request, now, sent=study.sent)


def rerun(database: Database, study_id: int, now: datetime) -> Study:
    """A duplicate, started. Raises StudyNotFound."""
    return start(database, duplicate(database, study_id, now).study_id, now)


def note(database: Database, study_id: int, text: str) -> Study:
    """Keep the user's own words with it. Raises StudyNotFound, InvalidInput."""
    if len(text) > LONGEST_NOTE:
        raise InvalidInput("note", f"{len(text)} characters", f"allowed: up to {LONGEST_NOTE}")
    with database.write() as connection:
        study_life.find(connection, study_id)
        study_rows.store_note(connection, study_id, text)
        return _read(connection, study_id)


def rename(database: Database, study_id: int, name: str, now: datetime) -> Study:
    """Call it otherwise, in whatever state it is; the same name again changes nothing.

    Raises StudyNotFound, InvalidInput.
    """
    with database.write() as connection:
        stored = study_life.find(connection, study_id)
        known = request_from(stored.request)
        named = replace(known, name=name)
        if named != known:
            study_rows.store_name(connection, study_id, named.name, named.as_mapping())
            state = study_life.state_of(stored)
            sentence = f"Renamed: {known.name} is now {named.name}."
            study_rows.insert_study_event(connection, study_id, now, state, sentence)
        return _read(connection, study_id)


def delete(database: Database, study_id: int) -> None:
    """Remove it and its cells; the trial counter keeps counting them.

    Raises StudyNotFound, StudyRunning.
    """
    with database.write() as connection:
        if study_life.state_of(study_life.find(connection, study_id)) is StudyState.RUNNING:
            raise StudyRunning(study_id, "deleted")
        cell_rows.delete_cells(connection, study_id)
        study_rows.delete_chunks(connection, study_id)
        study_rows.delete_study_events(connection, study_id)
        study_rows.delete_study(connection, study_id)


def progress(database: Database, study_id: int) -> Progress:
    """Raises StudyNotFound."""
    with database.read() as connection:
        return _progress(connection, study_life.find(connection, study_id))


def _read(connection: Connection, study_id: int) -> Study:
    stored = study_life.find(connection, study_id)
    history = study_rows.study_events(connection, [study_id])[study_id]
    return _study(connection, stored, history, study_rows.trials(connection))


def _study(
    connection: Connection,
    stored: StoredStudy,
    history: tuple[StudyEvent, ...],
    trials: Mapping[str, int],
) -> Study:
    request = request_from(stored.request)
    return Study(
        study_id=stored.study_id,
        request=request,
        state=study_life.state_of(stored),
        note=stored.note,
        created_at=stored.created_at,
        progress=_progress(connection, stored),
        history=history,
        trials={symbol: trials.get(symbol, 0) for symbol in request.symbols},
        evidence=study_prices.evidence(request, stored.prices, trials),
        sent=stored.sent,
    )


def _progress(connection: Connection, stored: StoredStudy) -> Progress:
    state = study_life.state_of(stored)
    draft = state is StudyState.DRAFT
    total = request_from(stored.request).total if draft else stored.total
    running = state is StudyState.RUNNING
    rate = _rate(stored) if running else None
    remaining = total - stored.completed - stored.failed
    return Progress(
        study_id=stored.study_id,
        state=state,
        total=total,
        completed=stored.completed,
        failed=stored.failed,
        invalid=stored.invalid,
        ahead=study_rows.studies_ahead(connection, stored.study_id) if running else 0,
        rate=rate,
        eta_seconds=remaining / rate if rate else None,
        started_at=stored.started_at,
        completed_at=stored.completed_at,
        heartbeat_at=stored.heartbeat_at,
        error=stored.error,
    )


def _rate(stored: StoredStudy) -> float | None:
    """Cells per second of this run, up to the last chunk stored."""
    if stored.run_at is None or stored.run_from is None or stored.stored_at is None:
        return None
    seconds = (stored.stored_at - stored.run_at).total_seconds()
    cells = stored.completed - stored.run_from
    return cells / seconds if cells > 0 and seconds > 0.0 else None

"""Rows of studies: their life, and what counts as stored of them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from volbal.domain.study_states import StudyState
from volbal.storage.records.values import Connection, Row, as_json, aware, number, stored
from volbal.storage.rows import StoredStudy, StudyEvent


def insert_study(
    connection: Connection,
    name: str,
    request: Mapping[str, Any],
    sent: str | None,
    key: str | None,
    now: datetime,
) -> int:
    """A draft; returns its number."""
    row = connection.execute(
        """
        insert into studies (
            name, request, sent, creation_key, note, state, created_at, total, completed,
            invalid, failed
        )
        values (?, ?, ?, ?, '', 'draft', ?, 0, 0, 0, 0)
        returning study_id
        """,
        [name, as_json(request), sent, key, stored(now)],
    ).fetchone()
    return number(row)


def find_study(connection: Connection, study_id: int) -> StoredStudy | None:
    row = connection.execute(
        """
        select
            study_id, request, sent, note, state, created_at, queued_at, started_at,
            completed_at, heartbeat_at, owner, run_at, run_from, stored_at, total, completed,
            invalid, failed, error, prices, vault
        from studies
        where study_id = ?
        """,
        [study_id],
    ).fetchone()
    return None if row is None else _study(row)


def all_studies(connection: Connection) -> list[StoredStudy]:
    """Newest first."""
    rows = connection.execute(
        """
        select
            study_id, request, sent, note, state, created_at, queued_at, started_at,
            completed_at, heartbeat_at, owner, run_at, run_from, stored_at, total, completed,
            invalid, failed, error, prices, vault
        from studies
        order by study_id desc
        """
    ).fetchall()
    return list(map(_study, rows))


def find_study_by_key(connection: Connection, key: str) -> int | None:
    row = connection.execute(
        "select study_id from studies where creation_key = ?", [key]
    ).fetchone()
    return None if row is None else number(row)


def studies_ahead(connection: Connection, study_id: int) -> int:
    """Running studies of its owner that were queued before it; 0 if it does not run."""
    row = connection.execute(
        """
        select count(*)
        from studies as mine join studies as other
            on other.owner = mine.owner
            and (other.queued_at, other.study_id) < (mine.queued_at, mine.study_id)
        where mine.study_id = ? and mine.state = 'running' and other.state = 'running'
        """,
        [study_id],
    ).fetchone()
    return number(row)


def next_study(connection: Connection, owner: str) -> int | None:
    """The running study of `owner` that was queued first."""
    row = connection.execute(
        """
        select study_id
        from studies
        where owner = ? and state = 'running'
        order by queued_at, study_id
        limit 1
        """,
        [owner],
    ).fetchone()
    return None if row is None else number(row)


def store_request(
    connection: Connection, study_id: int, name: str, request: Mapping[str, Any]
) -> None:
    """Another configuration; words of the caller that it does not stand for are dropped."""
    connection.execute(
        "update studies set name = ?, request = ?, sent = null where study_id = ?",
        [name, as_json(request), study_id],
    )


def store_name(
    connection: Connection, study_id: int, name: str, request: Mapping[str, Any]
) -> None:
    """Another name, also in the configuration; the caller's words stay."""
    connection.execute(
        "update studies set name = ?, request = ? where study_id = ?",
        [name, as_json(request), study_id],
    )


def store_note(connection: Connection, study_id: int, note: str) -> None:
    connection.execute("update studies set note = ? where study_id = ?", [note, study_id])


def store_vault(connection: Connection, study_id: int, vault: Mapping[str, Any]) -> None:
    connection.execute(
        "update studies set vault = ? where study_id = ?", [as_json(vault), study_id]
    )


def store_queued(
    connection: Connection, study_id: int, owner: str, now: datetime, total: int
) -> None:
    """It waits for its owner's runner."""
    connection.execute(
        """
        update studies
        set
            state = 'running', owner = $owner, queued_at = $now, heartbeat_at = $now,
            run_at = null, run_from = null, stored_at = null, completed_at = null, error = null,
            started_at = coalesce(started_at, $now), total = $total, failed = 0
        where study_id = $study_id
        """,
        {"study_id": study_id, "owner": owner, "now": stored(now), "total": total},
    )


def store_run(
    connection: Connection,
    study_id: int,
    now: datetime,
    completed: int,
    invalid: int,
    prices: Mapping[str, Any],
) -> None:
    """Its owner's runner works on it from now on."""
    connection.execute(
        """
        update studies
        set
            run_at = $now, heartbeat_at = $now, run_from = $completed, completed = $completed,
            invalid = $invalid, prices = $prices
        where study_id = $study_id
        """,
        {
            "study_id": study_id,
            "now": stored(now),
            "completed": completed,
            "invalid": invalid,
            "prices": as_json(prices),
        },
    )


def store_progress(connection: Connection, study_id: int, completed: int, now: datetime) -> None:
    """`completed` more cells are stored."""
    connection.execute(
        """
        update studies
        set completed = completed + $completed, heartbeat_at = $now, stored_at = $now
        where study_id = $study_id
        """,
        {"study_id": study_id, "completed": completed, "now": stored(now)},
    )


def store_heartbeat(connection: Connection, owner: str, now: datetime) -> None:
    """The owner of running studies is alive."""
    connection.execute(
        "update studies set heartbeat_at = ? where owner = ? and state = 'running'",
        [stored(now), owner],
    )


def store_study_state(
    connection: Connection,
    study_id: int,
    state: StudyState,
    completed_at: datetime | None,
    error: str | None = None,
    failed: int = 0,
) -> None:
    """It is no longer worked on. completed_at: None where it has not come to an end."""
    connection.execute(
        """
        update studies
        set state = ?, completed_at = ?, error = ?, failed = ?
        where study_id = ?
        """,
        [state.value, _stored(completed_at), error, failed, study_id],
    )


def insert_study_event(
    connection: Connection, study_id: int, now: datetime, state: StudyState, sentence: str
) -> None:
    connection.execute(
        "insert into study_events (study_id, happened_at, state, sentence) values (?, ?, ?, ?)",
        [study_id, stored(now), state.value, sentence],
    )


def study_events(
    connection: Connection, study_ids: Sequence[int]
) -> dict[int, tuple[StudyEvent, ...]]:
    """The history of each of these studies, oldest first."""
    rows = connection.execute(
        """
        select study_id, happened_at, state, sentence
        from study_events
        where study_id in (select unnest($1::bigint[]))
        order by happened_at, rowid
        """,
        [list(study_ids)],
    ).fetchall()
    found: dict[int, list[StudyEvent]] = {study_id: [] for study_id in study_ids}
    for study_id, at, state, sentence in rows:
        found[study_id].append(StudyEvent(aware(at), StudyState(state), sentence))
    return {study_id: tuple(events) for study_id, events in found.items()}


def insert_chunk(
    connection: Connection, study_id: int, symbol: str, first_place: int, now: datetime
) -> None:
    """Mark a chunk as stored, in the transaction that stores its cells."""
    connection.execute(
        "insert into chunks (study_id, symbol, first_place, stored_at) values (?, ?, ?, ?)",
        [study_id, symbol, first_place, stored(now)],
    )


def stored_chunks(connection: Connection, study_id: int) -> set[tuple[str, int]]:
    """(symbol, first place) of the chunks whose cells are stored."""
    rows = connection.execute(
        "select symbol, first_place from chunks where study_id = ?", [study_id]
    ).fetchall()
    return {(symbol, int(place)) for symbol, place in rows}


def count_chunks(connection: Connection, study_id: int) -> int:
    """Chunks whose cells are stored."""
    row = connection.execute(
        "select count(*) from chunks where study_id = ?", [study_id]
    ).fetchone()
    return number(row)


def count_trials(connection: Connection, symbol: str, cells: int) -> None:
    """`cells` more were tried on `symbol`."""
    connection.execute(
        """
        insert into trials (symbol, cells) values (?, ?)
        on conflict (symbol) do update set cells = trials.cells + excluded.cells
        """,
        [symbol, cells],
    )


def trials(connection: Connection) -> dict[str, int]:
    """Cells ever simulated on each symbol, whatever study did it, deleted ones included."""
    rows = connection.execute("select symbol, cells from trials").fetchall()
    return {symbol: int(cells) for symbol, cells in rows}


def has_study_event(connection: Connection, study_id: int, sentence: str) -> bool:
    row = connection.execute(
        "select count(*) from study_events where study_id = ? and sentence = ?",
        [study_id, sentence],
    ).fetchone()
    return number(row) > 0


def delete_study(connection: Connection, study_id: int) -> None:
    connection.execute("delete from studies where study_id = ?", [study_id])


def delete_study_events(connection: Connection, study_id: int) -> None:
    connection.execute("delete from study_events where study_id = ?", [study_id])


def delete_chunks(connection: Connection, study_id: int) -> None:
    connection.execute("delete from chunks where study_id = ?", [study_id])


def _study(row: Row) -> StoredStudy:
    (
        study_id, request, sent, note, state, created_at, queued_at, started_at, completed_at,
        heartbeat_at, owner, run_at, run_from, stored_at, total, completed, invalid, failed, error,
        prices, vault,
    ) = row  # fmt: skip
    return StoredStudy(
        study_id=study_id,
        request=json.loads(request),
        sent=sent,
        note=note,
        state=StudyState(state),
        created_at=aware(created_at),
        queued_at=_moment(queued_at),
        started_at=_moment(started_at),
        completed_at=_moment(completed_at),
        heartbeat_at=_moment(heartbeat_at),
        owner=owner,
        run_at=_moment(run_at),
        run_from=run_from,
        stored_at=_moment(stored_at),
        total=total,
        completed=completed,
        invalid=invalid,
        failed=failed,
        error=error,
        prices=None if prices is None else json.loads(prices),
        vault=None if vault is None else json.loads(vault),
    )


def _stored(at: datetime | None) -> datetime | None:
    return None if at is None else stored(at)


def _moment(at: datetime | None) -> datetime | None:
    return None if at is None else aware(at)

"""Rows of paper autopilots and of the sample portfolio."""

from datetime import datetime

from volbal.storage.records.values import Connection, aware, stored
from volbal.storage.rows import StoredAutopilot, WaitingAutopilot


def find_autopilot(connection: Connection, position_id: int) -> StoredAutopilot | None:
    row = connection.execute(
        "select position_id, is_on, seen_until from autopilots where position_id = ?",
        [position_id],
    ).fetchone()
    return None if row is None else StoredAutopilot(row[0], row[1], aware(row[2]))


def running_autopilots(connection: Connection) -> list[StoredAutopilot]:
    """Those that are on, of open positions, by position."""
    rows = connection.execute(
        """
        select a.position_id, a.is_on, a.seen_until
        from autopilots as a join positions as p using (position_id)
        where a.is_on and p.is_open
        order by a.position_id
        """
    ).fetchall()
    return [StoredAutopilot(position_id, is_on, aware(at)) for position_id, is_on, at in rows]


def waiting_autopilots(connection: Connection) -> dict[int, WaitingAutopilot]:
    """By position, those of which the last thing told is that they wait."""
    rows = connection.execute(
        """
        select
            position_id, arg_max(json_extract_string(outputs, '$.code'), event_id),
            arg_max(sentence, event_id), arg_max(happened_at, event_id)
        from events
        where type in ('autopilot', 'autopilot_waits')
        group by position_id
        having arg_max(type, event_id) = 'autopilot_waits'
        """
    ).fetchall()
    return {number: WaitingAutopilot(code, told, aware(at)) for number, code, told, at in rows}


def store_autopilot(
    connection: Connection, position_id: int, is_on: bool, seen_until: datetime
) -> None:
    connection.execute(
        """
        insert into autopilots (position_id, is_on, seen_until) values (?, ?, ?)
        on conflict (position_id)
        do update set is_on = excluded.is_on, seen_until = excluded.seen_until
        """,
        [position_id, is_on, stored(seen_until)],
    )


def advance_autopilot(connection: Connection, position_id: int, seen_until: datetime) -> None:
    connection.execute(
        "update autopilots set seen_until = ? where position_id = ?",
        [stored(seen_until), position_id],
    )


def insert_sample(connection: Connection, position_id: int) -> None:
    connection.execute("insert into samples (position_id) values (?)", [position_id])


def samples(connection: Connection) -> dict[int, bool]:
    """Positions of the sample, and whether their removal has begun."""
    return dict(connection.execute("select position_id, is_going from samples").fetchall())


def begin_removing_samples(connection: Connection) -> None:
    """The first of three transactions: DuckDB lets no child and parent go in one."""
    connection.execute("update samples set is_going = true")
    connection.execute("delete from fills where position_id in (select position_id from samples)")


def remove_from_samples(connection: Connection) -> None:
    """The second: everything of theirs but themselves."""
    for statement in _REMOVALS:
        connection.execute(statement)


_REMOVALS = (
    "delete from orders where position_id in (select position_id from samples)",
    "delete from dividends where position_id in (select position_id from samples)",
    "delete from decisions where position_id in (select position_id from samples)",
    "delete from valuations where position_id in (select position_id from samples)",
    "delete from events where position_id in (select position_id from samples)",
    "delete from entries where position_id in (select position_id from samples)",
    "delete from configurations where position_id in (select position_id from samples)",
    "delete from autopilots where position_id in (select position_id from samples)",
)


def finish_removing_samples(connection: Connection) -> None:
    """The third: the positions, and that they were the sample."""
    connection.execute(
        "delete from positions where position_id in (select position_id from samples)"
    )
    connection.execute("delete from samples")

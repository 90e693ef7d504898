"""Rows of the "why" log as people filter and page through them."""

import json
from typing import Any

from volbal.storage.records.values import Connection, Row, aware, stored
from volbal.storage.rows import LogFilter, LogLine


def log_lines(
    connection: Connection, wanted: LogFilter, limit: int | None, offset: int = 0
) -> list[LogLine]:
    """Newest first; limit None for all."""
    rows = connection.execute(
        """
        select
            event_id, position_id, ticker, happened_at, type, action, reason, sentence, executed,
            inputs, outputs, decision_id
        from v_timeline
        where happened_at >= coalesce($since, happened_at)
        and happened_at < coalesce($before, timestamp 'infinity')
        and (len($types) = 0 or type in $types)
        and (len($actions) = 0 or action in $actions)
        and (len($positions) = 0 or position_id in $positions)
        and (executed or not $executed)
        order by happened_at desc, event_id desc
        limit $limit offset $offset
        """,
        _bound(wanted) | {"limit": limit, "offset": offset},
    ).fetchall()
    return [_line(row) for row in rows]


def count_log_lines(connection: Connection, wanted: LogFilter) -> int:
    row = connection.execute(
        """
        select count(*)
        from v_timeline
        where happened_at >= coalesce($since, happened_at)
        and happened_at < coalesce($before, timestamp 'infinity')
        and (len($types) = 0 or type in $types)
        and (len($actions) = 0 or action in $actions)
        and (len($positions) = 0 or position_id in $positions)
        and (executed or not $executed)
        """,
        _bound(wanted),
    ).fetchone()
    return 0 if row is None else int(row[0])


def log_types(connection: Connection) -> list[str]:
    """The types of events that there are, most frequent first."""
    rows = connection.execute(
        "select type from events group by type order by count(*) desc, type"
    ).fetchall()
    return [kind for (kind,) in rows]


def decision_numbers(connection: Connection, decision_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Every column of v_decisions by its name, by number of the decision."""
    cursor = connection.execute(
        """
        select
            decision_id, price, price_source, price_made_at, price_age, confirmed, anchor,
            distance, buy_level, sell_level, held, cash, receivable, orders_today, equity,
            stock_share, stock_share_after, wish, capped, guarded, funded, rounded, side,
            quantity, notional, commission
        from v_decisions
        where decision_id in ?
        """,
        [decision_ids],
    )
    names = [column[0] for column in cursor.description or ()]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cursor.fetchall()}


def _bound(wanted: LogFilter) -> dict[str, object]:
    return {
        "since": None if wanted.since is None else stored(wanted.since),
        "before": None if wanted.before is None else stored(wanted.before),
        "types": list(wanted.types),
        "actions": list(wanted.actions),
        "positions": list(wanted.position_ids),
        "executed": wanted.executed_only,
    }


def _line(row: Row) -> LogLine:
    return LogLine(
        event_id=row[0],
        position_id=row[1],
        ticker=row[2],
        happened_at=aware(row[3]),
        type=row[4],
        action=row[5],
        reason=row[6],
        sentence=row[7],
        executed=row[8],
        inputs=json.loads(row[9]),
        outputs=json.loads(row[10]),
        decision_id=row[11],
    )

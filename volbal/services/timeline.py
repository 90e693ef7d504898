"""The "why" log as people read it: filtered, page by page, and whole for a file."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import pandas as pd

from volbal.market.sessions import EXCHANGE
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.rows import LogFilter, LogLine

__all__ = ["LogFilter", "LogLine", "LogPage", "choices", "days", "page", "table"]

PAGE_SIZE: Final = 25


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines newest first, with the numbers of the decisions among them.

    number: from 1, the last one where a later one was asked for; total: lines on all pages.
    """

    lines: list[LogLine]
    decisions: dict[int, dict[str, Any]]
    number: int
    total: int

    @property
    def pages(self) -> int:
        return max(-(-self.total // PAGE_SIZE), 1)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a log can be filtered by: types of its events, positions by number and ticker."""

    types: list[str]
    positions: dict[int, str]


def days(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    """`since` and `before` of a filter for whole days of New York, both included."""
    return (
        None if first is None else datetime.combine(first, time(), EXCHANGE),
        None if last is None else datetime.combine(last + timedelta(days=1), time(), EXCHANGE),
    )


def page(database: Database, wanted: LogFilter, number: int = 1) -> LogPage:
    """One page of what is wanted."""
    with database.read() as connection:
        total = records.count_log_lines(connection, wanted)
        last = max(-(-total // PAGE_SIZE), 1)
        shown = min(max(number, 1), last)
        lines = records.log_lines(connection, wanted, PAGE_SIZE, (shown - 1) * PAGE_SIZE)
        ids = [line.decision_id for line in lines if line.decision_id is not None]
        return LogPage(lines, records.decision_numbers(connection, ids), shown, total)


def choices(database: Database) -> Choices:
    """What there is to filter by."""
    with database.read() as connection:
        positions = records.all_positions(connection)
        return Choices(
            records.log_types(connection), {one.position_id: one.ticker for one in positions}
        )


def table(database: Database, wanted: LogFilter) -> pd.DataFrame:
    """Everything that is wanted, newest first, a row a line."""
    with database.read() as connection:
        lines = records.log_lines(connection, wanted, None)
    columns = [name for name in LogLine.__slots__ if name != "decision_id"]
    return pd.DataFrame(
        [[getattr(line, name) for name in columns] for line in lines], columns=columns
    )

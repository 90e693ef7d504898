"""Queries that people write: examples, saved ones, what they can ask, how to ask elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pandas as pd

from volbal.config import Settings
from volbal.errors import InvalidInput
from volbal.services import maintenance
from volbal.services.exports import unique_names
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.rows import ViewColumn

__all__ = ["EXAMPLES", "Answer", "ViewColumn", "ask", "connecting", "delete", "save", "saved"]

LONGEST_NAME: Final = 60
LONGEST_SQL: Final = 20_000
MOST_ROWS: Final = 10_000
WORD: Final = 63
"""Bits of the whole numbers that every program takes, without their sign."""

EXAMPLES: Final[Mapping[str, str]] = {
    "Positions and their stock share": """\
select
    ticker, position_id, quantity, cash, stock_value,
    round(stock_value / (stock_value + cash + receivable), 4) as stock_share
from v_positions
where is_open
order by stock_value desc""",
    "Fills per month": """\
select
    date_trunc('month', filled_on) as month, side, count(*) as fills,
    sum(notional) as notional, sum(commission) as commission
from v_fills
group by month, side
order by month, side""",
    "Why the rule did nothing": """\
select reason, count(*) as times, round(avg(distance), 4) as mean_distance
from v_decisions
where action in ('HOLD', 'SKIP')
group by reason
order by times desc""",
    "Average buy and sell price by symbol": """\
select
    ticker,
    sum(notional) filter (where side = 'BUY') / sum(quantity) filter (where side = 'BUY')
        as bought_at,
    sum(notional) filter (where side = 'SELL') / sum(quantity) filter (where side = 'SELL')
        as sold_at,
    count(*) as fills
from v_fills
group by ticker
order by ticker""",
    "Value of the whole book over time": """\
select valued_on, sum(equity) as equity
from (
    select position_id, cast(valued_at as date) as valued_on, arg_max(equity, valued_at) as equity
    from v_equity
    group by all
)
group by valued_on
order by valued_on""",
    "Dividends by symbol and year": """\
select ticker, year(ex_on) as year, sum(gross) as gross, sum(withheld) as withheld, sum(net) as net
from v_dividends
where state <> 'announced'
group by ticker, year
order by ticker, year""",
    "The ledger sums to zero": """\
select
    kind, count(*) as lines,
    sum(leg_cash + leg_shares + leg_receivable + leg_commission + leg_withholding + leg_income
        + leg_external) as sum_of_legs
from v_ledger
group by kind
order by kind""",
}
"""By name; a page starts with the first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave: DECIMAL as Decimal, whole numbers of a column that are beyond 64 bits as
    text, which shows and exports every digit. truncated: there were more than MOST_ROWS rows."""

    frame: pd.DataFrame
    truncated: bool


def ask(settings: Settings, sql: str) -> Answer:
    """Run one reading statement on the snapshot.

    Raises InvalidInput, SqlRefused, SqlTooLarge, DatabaseBusy, DatabaseUnusable.
    """
    table = maintenance.query(settings, _statement(sql), rows=MOST_ROWS)
    frame = pd.DataFrame(dict(enumerate(zip(*table.rows, strict=True))), dtype=object)
    frame = frame.reindex(columns=range(len(table.columns))).infer_objects()
    for place in frame:
        frame[place] = _exact(frame[place])
    frame.columns = pd.Index(unique_names(table.columns))
    return Answer(frame, table.truncated)


def _exact(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Text in the place of numbers that no table on a page, nor Parquet, has room for."""
    wide = column.dtype == object and any(
        isinstance(cell, int) and cell.bit_length() > WORD for cell in column
    )
    return column.map(str, na_action="ignore") if wide else column


def _statement(sql: str) -> str:
    if not sql.strip():
        raise InvalidInput("sql", "it is blank", "write a SELECT, or choose an example")
    if len(sql) > LONGEST_SQL:
        raise InvalidInput("sql", f"{len(sql):,} characters", f"allowed: up to {LONGEST_SQL:,}")
    return sql


def saved(database: Database) -> dict[str, str]:
    """The user's own, by name."""
    with database.read() as connection:
        return records.saved_queries(connection)


def save(database: Database, name: str, sql: str, now: datetime, *, replace: bool = False) -> str:
    """Keep a query; returns its name.

    replace: an own one of that name with another text may go. Raises InvalidInput.
    """
    text = name.strip()
    if not text or len(text) > LONGEST_NAME:
        raise InvalidInput("name", f"{len(text)} characters", f"allowed: 1 to {LONGEST_NAME}")
    if text in EXAMPLES:
        raise InvalidInput("name", f"{text!r} is an example", "choose another name")
    with database.write() as connection:
        before = records.saved_queries(connection).get(text, sql)
        if before != sql and not replace:
            raise InvalidInput(
                "name",
                f"{text!r} is saved with another text",
                "choose another name, or say that it is replaced",
            )
        records.store_query(connection, text, _statement(sql), now)
    return text


def delete(database: Database, name: str) -> None:
    """Forget an own query; one that is not there is forgotten already."""
    with database.write() as connection:
        records.delete_query(connection, name)


def views(database: Database) -> dict[str, list[ViewColumn]]:
    """The documented views and their columns."""
    with database.read() as connection:
        columns = records.view_columns(connection)
    return {
        view: [one for one in columns if one.view == view]
        for view in dict.fromkeys(one.view for one in columns)
    }


def connecting(settings: Settings) -> dict[str, str]:
    """How other programs read the same records, by program."""
    live, copy = settings.database, settings.snapshot
    return {
        "duckdb command line": f'duckdb -readonly "{live}" "from v_positions"',
        "Python": (
            "import duckdb\n\n"
            f'with duckdb.connect(r"{live}", read_only=True) as records:\n'
            '    print(records.execute("from v_positions").fetchall())'
        ),
        "DBeaver and notebooks that stay open": (
            f"-- a DuckDB connection to this file, read-only:\n-- {copy}\nfrom v_positions"
        ),
        "volbal command line": 'python -m volbal sql "from v_positions"',
    }

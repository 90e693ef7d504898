"""Rows of saved queries, and what the documented views say about themselves."""

from datetime import datetime

from volbal.storage.records.values import Connection, stored
from volbal.storage.rows import ViewColumn


def store_query(connection: Connection, name: str, sql: str, saved_at: datetime) -> None:
    """Saves under a new name or replaces what was saved under it."""
    connection.execute(
        """
        insert into queries (name, sql, saved_at) values (?, ?, ?)
        on conflict (name) do update set sql = excluded.sql, saved_at = excluded.saved_at
        """,
        [name, sql, stored(saved_at)],
    )


def delete_query(connection: Connection, name: str) -> None:
    connection.execute("delete from queries where name = ?", [name])


def saved_queries(connection: Connection) -> dict[str, str]:
    """SQL by name."""
    return dict(connection.execute("select name, sql from queries order by name").fetchall())


def view_columns(connection: Connection) -> list[ViewColumn]:
    """Of every documented view, by view and then in their order."""
    rows = connection.execute(
        """
        select v.view_name, v.comment, c.column_name, c.data_type, c.comment
        from duckdb_views() as v
        join duckdb_columns() as c on c.table_name = v.view_name and c.schema_name = v.schema_name
        where not v.internal and v.comment is not null
        order by v.view_name, c.column_index
        """
    ).fetchall()
    return [ViewColumn(*row) for row in rows]

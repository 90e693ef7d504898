"""Rows of positions, their configuration history, and presets."""

from datetime import datetime
from decimal import Decimal

from volbal.domain import configuration as settings
from volbal.domain.configuration import Configuration, ConfigurationRecord
from volbal.domain.ledger import Balance
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.storage.records.values import Connection, Row, aware, number, stored


def insert_position(
    connection: Connection, ticker: str, opened_at: datetime, configuration: Configuration
) -> int:
    """A position with nothing in it yet; returns its number."""
    row = connection.execute(
        """
        insert into positions (
            ticker, opened_at, quantity, cash, receivable, fees, dividends, withheld,
            contributed, average_cost, is_open, policy, strict
        )
        values (?, ?, 0, 0, 0, 0, 0, 0, 0, 0, false, ?, ?)
        returning position_id
        """,
        [
            ticker,
            stored(opened_at),
            settings.to_json(configuration.policy),
            configuration.strict,
        ],
    ).fetchone()
    return number(row)


def find_position(connection: Connection, position_id: int) -> Position | None:
    row = connection.execute(
        """
        select
            position_id, ticker, opened_at, quantity, cash, receivable, fees, dividends,
            withheld, contributed, average_cost, anchor, anchor_on, is_open, policy, strict,
            last_price, last_price_at
        from positions
        where position_id = ?
        """,
        [position_id],
    ).fetchone()
    return None if row is None else _position(row)


def all_positions(connection: Connection) -> list[Position]:
    rows = connection.execute(
        """
        select
            position_id, ticker, opened_at, quantity, cash, receivable, fees, dividends,
            withheld, contributed, average_cost, anchor, anchor_on, is_open, policy, strict,
            last_price, last_price_at
        from positions
        order by position_id
        """
    ).fetchall()
    return [_position(row) for row in rows]


def store_balance(connection: Connection, position_id: int, balance: Balance) -> None:
    connection.execute(
        """
        update positions
        set
            quantity = ?, cash = ?, receivable = ?, fees = ?, dividends = ?, withheld = ?,
            contributed = ?, average_cost = ?, anchor = ?, anchor_on = ?, is_open = ?
        where position_id = ?
        """,
        [
            balance.quantity,
            balance.cash,
            balance.receivable,
            balance.fees,
            balance.dividends,
            balance.withheld,
            balance.contributed,
            balance.average_cost,
            balance.anchor,
            balance.anchor_on,
            balance.is_open,
            position_id,
        ],
    )


def store_price(
    connection: Connection, position_id: int, price: Decimal, made_at: datetime
) -> None:
    connection.execute(
        "update positions set last_price = ?, last_price_at = ? where position_id = ?",
        [price, stored(made_at), position_id],
    )


def insert_configuration(
    connection: Connection, position_id: int, record: ConfigurationRecord
) -> None:
    connection.execute(
        """
        insert into configurations (
            position_id, number, configured_at, configured_by, note, policy, strict
        )
        values (?, ?, ?, ?, ?, ?, ?)
        """,
        [
            position_id,
            record.number,
            stored(record.configured_at),
            record.configured_by,
            record.note,
            settings.to_json(record.configuration.policy),
            record.configuration.strict,
        ],
    )


def configurations(connection: Connection, position_id: int) -> list[ConfigurationRecord]:
    """Oldest first."""
    rows = connection.execute(
        """
        select number, configured_at, configured_by, note, policy, strict
        from configurations
        where position_id = ?
        order by number
        """,
        [position_id],
    ).fetchall()
    return [
        ConfigurationRecord(
            number, aware(at), who, note, Configuration(settings.from_json(policy), strict)
        )
        for number, at, who, note, policy, strict in rows
    ]


def store_configuration(
    connection: Connection, position_id: int, configuration: Configuration
) -> None:
    connection.execute(
        "update positions set policy = ?, strict = ? where position_id = ?",
        [settings.to_json(configuration.policy), configuration.strict, position_id],
    )


def insert_transfer_key(
    connection: Connection, position_id: int, key: str, kind: str, amount: Decimal
) -> None:
    connection.execute(
        """
        insert into transfer_keys (position_id, idempotency_key, kind, amount)
        values (?, ?, ?, ?)
        """,
        [position_id, key, kind, amount],
    )


def find_transfer(connection: Connection, position_id: int, key: str) -> tuple[str, Decimal] | None:
    """(kind, amount) of the deposit or withdrawal that the key stands for."""
    row = connection.execute(
        "select kind, amount from transfer_keys where position_id = ? and idempotency_key = ?",
        [position_id, key],
    ).fetchone()
    return None if row is None else (row[0], row[1])


def store_preset(connection: Connection, name: str, policy: Policy, saved_at: datetime) -> None:
    """Saves under a new name or replaces what was saved under it."""
    connection.execute(
        """
        insert into presets (name, policy, saved_at) values (?, ?, ?)
        on conflict (name) do update set policy = excluded.policy, saved_at = excluded.saved_at
        """,
        [name, settings.to_json(policy), stored(saved_at)],
    )


def delete_preset(connection: Connection, name: str) -> None:
    connection.execute("delete from presets where name = ?", [name])


def presets(connection: Connection) -> dict[str, Policy]:
    """The user's own, by name."""
    rows = connection.execute("select name, policy from presets order by name").fetchall()
    return {name: settings.from_json(policy) for name, policy in rows}


def _position(row: Row) -> Position:
    last_price_at = row[17]
    return Position(
        position_id=row[0],
        ticker=row[1],
        opened_at=aware(row[2]),
        balance=Balance(*row[3:14]),
        configuration=Configuration(settings.from_json(row[14]), row[15]),
        last_price=row[16],
        last_price_at=None if last_price_at is None else aware(last_price_at),
    )

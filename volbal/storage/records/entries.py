"""Rows of the ledger and of what positions were worth."""

from datetime import date, datetime
from decimal import Decimal

from volbal.domain.ledger import LEGS, Balance, Entry, Kind, Legs
from volbal.domain.money import EXACT
from volbal.domain.performance import Valuation
from volbal.storage.records.values import Connection, Row, aware, number, stored
from volbal.storage.rows import StoredEntry, StoredValuation


def insert_entry(
    connection: Connection, position_id: int, entry: Entry, recorded_at: datetime
) -> int:
    row = connection.execute(
        """
        insert into entries (
            position_id, recorded_at, entry_on, kind, leg_cash, leg_shares, leg_receivable,
            leg_commission, leg_withholding, leg_income, leg_external, quantity, price, anchor,
            anchor_on, new_shares, old_shares
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        returning entry_id
        """,
        [
            position_id,
            stored(recorded_at),
            entry.on,
            entry.kind.value,
            *(getattr(entry.legs, name) for name in LEGS),
            entry.quantity,
            entry.price,
            entry.anchor,
            entry.anchor_on,
            entry.new_shares,
            entry.old_shares,
        ],
    ).fetchone()
    return number(row)


def entries_after(connection: Connection, entry_id: int) -> list[StoredEntry]:
    """Of all positions, oldest first, from the one after `entry_id` on; 0 for all."""
    rows = connection.execute(
        """
        select
            entry_id, position_id, recorded_at, kind, entry_on, leg_cash, leg_shares,
            leg_receivable, leg_commission, leg_withholding, leg_income, leg_external, quantity,
            price, anchor, anchor_on, new_shares, old_shares
        from entries
        where entry_id > ?
        order by entry_id
        """,
        [entry_id],
    ).fetchall()
    return [_entry(row) for row in rows]


def entries_of(connection: Connection, position_id: int) -> list[StoredEntry]:
    """Of one position, oldest first."""
    rows = connection.execute(
        """
        select
            entry_id, position_id, recorded_at, kind, entry_on, leg_cash, leg_shares,
            leg_receivable, leg_commission, leg_withholding, leg_income, leg_external, quantity,
            price, anchor, anchor_on, new_shares, old_shares
        from entries
        where position_id = ?
        order by entry_id
        """,
        [position_id],
    ).fetchall()
    return [_entry(row) for row in rows]


def splits_of(connection: Connection, position_id: int) -> list[tuple[date, Decimal, Decimal]]:
    """The day, the new shares and the old ones of each split, oldest first."""
    return connection.execute(
        """
        select entry_on, new_shares, old_shares
        from entries
        where position_id = ? and kind = 'split'
        order by entry_id
        """,
        [position_id],
    ).fetchall()


def held_before(connection: Connection, position_id: int, day: date) -> tuple[Decimal, Decimal]:
    """Shares held at the close before `day`, and new shares per such share by splits since."""
    row = connection.execute(
        """
        select
            coalesce(sum(quantity) filter (where entry_on < $day), 0),
            coalesce(
                list((new_shares, old_shares)) filter (where entry_on >= $day and kind = 'split'),
                []
            )
        from entries
        where position_id = $position
        """,
        {"position": position_id, "day": day},
    ).fetchone()
    held, splits = row or (0, [])
    ratio = Decimal(1)
    for new, old in splits:
        ratio = EXACT.divide(EXACT.multiply(ratio, new), old)
    return Decimal(held), ratio


def insert_valuation(
    connection: Connection, position_id: int, balance: Balance, valuation: Valuation
) -> int:
    row = connection.execute(
        """
        insert into valuations (
            position_id, valued_at, price, quantity, cash, receivable, equity, flow, dividend,
            split
        )
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        returning valuation_id
        """,
        [
            position_id,
            stored(valuation.valued_at),
            valuation.price,
            balance.quantity,
            balance.cash,
            balance.receivable,
            valuation.equity,
            valuation.flow,
            valuation.dividend,
            valuation.split,
        ],
    ).fetchone()
    return number(row)


def valuations_of(connection: Connection, position_id: int) -> list[Valuation]:
    """Oldest first."""
    rows = connection.execute(
        """
        select valued_at, equity, flow, price, dividend, split
        from valuations
        where position_id = ?
        order by valuation_id
        """,
        [position_id],
    ).fetchall()
    return [Valuation(aware(at), *rest) for at, *rest in rows]


def holdings_of(
    connection: Connection, position_id: int
) -> list[tuple[datetime, Decimal | None, Decimal, Decimal, Decimal]]:
    """When it was valued, oldest first: time, price, quantity, cash, receivable."""
    rows = connection.execute(
        """
        select valued_at, price, quantity, cash, receivable
        from valuations
        where position_id = ?
        order by valuation_id
        """,
        [position_id],
    ).fetchall()
    return [
        (aware(at), price, quantity, cash, receivable)
        for at, price, quantity, cash, receivable in rows
    ]


def all_valuations(connection: Connection) -> list[StoredValuation]:
    rows = connection.execute(
        """
        select valuation_id, position_id, price, quantity, cash, receivable, equity, flow
        from valuations
        order by valuation_id
        """
    ).fetchall()
    return [StoredValuation(*row) for row in rows]


def _entry(row: Row) -> StoredEntry:
    kind, on, rest = Kind(row[3]), row[4], row[12:]
    legs = dict(zip(LEGS, row[5:12], strict=True))
    return StoredEntry(row[0], row[1], aware(row[2]), Entry(kind, on, Legs(**legs), *rest))

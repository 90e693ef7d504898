"""What positions cost and brought since a date."""

from datetime import date
from decimal import Decimal

from volbal.storage.records.values import Connection


def fees_and_dividends(
    connection: Connection, position_ids: list[int], since: date
) -> dict[int, tuple[Decimal, Decimal]]:
    """Commissions and net dividends by ex-date from `since` on, by position."""
    rows = connection.execute(
        """
        select
            position_id, sum(leg_commission),
            coalesce(sum(leg_receivable) filter (where kind = 'dividend_accrual'), 0)
        from entries
        where position_id in ? and entry_on >= ?
        group by position_id
        """,
        [position_ids, since],
    ).fetchall()
    return {position_id: (fees, dividends) for position_id, fees, dividends in rows}

"""Dividends of all positions with what is needed to say what they pay."""

from volbal.domain import configuration as settings
from volbal.storage.records.values import Connection
from volbal.storage.rows import DividendLine


def dividend_lines(connection: Connection) -> list[DividendLine]:
    """By ex-date, then by position."""
    rows = connection.execute(
        """
        select
            d.dividend_id, d.position_id, d.ticker, d.ex_on, d.pay_on, l.entry_on, d.per_share,
            d.state, d.held, d.gross, d.withheld, d.net, coalesce(e.quantity, 0), p.policy,
            p.is_open
        from v_dividends as d
        join positions as p using (position_id)
        left join v_ledger as l on l.entry_id = d.payment_entry_id
        left join (
            select d.dividend_id, sum(e.quantity) as quantity
            from dividends as d
            join entries as e on e.position_id = d.position_id and e.entry_on < d.ex_on
            where d.state = 'announced'
            group by d.dividend_id
        ) as e using (dividend_id)
        order by d.ex_on, d.position_id
        """
    ).fetchall()
    return [
        DividendLine(*(*row[:13], settings.from_json(row[13]).withholding_rate, row[14]))
        for row in rows
    ]

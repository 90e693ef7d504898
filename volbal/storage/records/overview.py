"""Rows of all positions at once, for screens that show them side by side."""

from collections import defaultdict
from datetime import date

from volbal.domain.dividends import Dividend, DividendState
from volbal.domain.order_states import OrderState
from volbal.domain.orders import Order, OrderRecord, Side
from volbal.domain.performance import Valuation
from volbal.storage.records.values import Connection, Row, aware
from volbal.storage.rows import StoredClose, StoredQuote


def every_valuation(connection: Connection) -> dict[int, list[Valuation]]:
    """By position, oldest first."""
    rows = connection.execute(
        """
        select position_id, valued_at, equity, flow, price, dividend, split
        from valuations
        order by position_id, valuation_id
        """
    ).fetchall()
    found: dict[int, list[Valuation]] = defaultdict(list)
    for position_id, at, *rest in rows:
        found[position_id].append(Valuation(aware(at), *rest))
    return found


def every_open_order(connection: Connection) -> dict[int, list[OrderRecord]]:
    """By position, oldest first."""
    rows = connection.execute(
        """
        select
            order_id, position_id, idempotency_key, fingerprint, side, quantity, state, filled,
            submitted_at
        from orders
        where closed_at is null
        order by order_id
        """
    ).fetchall()
    found: dict[int, list[OrderRecord]] = defaultdict(list)
    for order_id, position_id, key, print_of, side, quantity, state, filled, at in rows:
        order = Order(Side(side), quantity)
        found[position_id].append(
            OrderRecord(
                order_id, position_id, key, print_of, order, OrderState(state), filled, aware(at)
            )
        )
    return found


def every_order_count(connection: Connection, day: date) -> dict[int, int]:
    """Orders that count for the daily cap on `day`, by position."""
    rows = connection.execute(
        """
        select position_id, count(*)
        from orders
        where submitted_on = ? and (filled > 0 or closed_at is null)
        group by position_id
        """,
        [day],
    ).fetchall()
    return dict(rows)


def every_unpaid_dividend(connection: Connection) -> dict[int, list[Dividend]]:
    """Announced and accrued ones by position, by ex-date."""
    rows = connection.execute(
        """
        select dividend_id, position_id, ex_on, pay_on, per_share, state, net
        from dividends
        where state <> 'paid'
        order by position_id, ex_on
        """
    ).fetchall()
    found: dict[int, list[Dividend]] = defaultdict(list)
    for dividend_id, position_id, ex_on, pay_on, per_share, state, net in rows:
        found[position_id].append(
            Dividend(dividend_id, position_id, ex_on, pay_on, per_share, DividendState(state), net)
        )
    return found


def every_quote(connection: Connection) -> dict[str, StoredQuote]:
    """The last quote seen of each symbol."""
    rows = connection.execute(
        """
        select symbol, price, made_at, session, currency, previous_close, source, fetched_at
        from quotes
        """
    ).fetchall()
    return {quote.symbol: quote for quote in map(_quote, rows)}


def every_last_close(connection: Connection) -> dict[str, StoredClose]:
    """The last stored daily close of each symbol."""
    rows = connection.execute(
        """
        select b.symbol, max(b.starts_at), arg_max(b.close, b.starts_at), any_value(s.source),
            any_value(s.exchange)
        from bars as b join price_series as s using (symbol, interval)
        where b.interval = '1d'
        group by b.symbol
        """
    ).fetchall()
    return {
        symbol: StoredClose(at.date(), close, source, exchange)
        for symbol, at, close, source, exchange in rows
    }


def _quote(row: Row) -> StoredQuote:
    symbol, price, made_at, session, currency, previous, source, fetched_at = row
    return StoredQuote(
        symbol, price, aware(made_at), session, currency, previous, source, aware(fetched_at)
    )

"""The views that people query: documented, and with the numbers of the services."""

from decimal import Decimal

import pytest
from books import DAY, NOW, a_cell, at, carried_out

from volbal.services import income, positions, trading
from volbal.storage.database import Database

VIEWS = (
    "v_positions",
    "v_orders",
    "v_fills",
    "v_dividends",
    "v_ledger",
    "v_decisions",
    "v_equity",
    "v_prices",
    "v_price_dividends",
    "v_price_splits",
    "v_quotes",
    "v_timeline",
)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_and_every_column_of_it_is_documented(database: Database, view: str) -> None:
    with database.read() as connection:
        told = connection.execute(
            "select comment from duckdb_views() where view_name = ?", [view]
        ).fetchall()
        columns = connection.execute(
            "select column_name, comment from duckdb_columns() where table_name = ?", [view]
        ).fetchall()
    assert len(told) == 1
    assert told[0][0]
    assert len(columns) >= 4
    assert [name for name, comment in columns if not comment] == []


def test_the_views_show_what_the_services_did(database: Database) -> None:
    cell = a_cell(database)
    evaluation, filled = carried_out(database, cell.position_id, 97, NOW)
    assert filled is not None
    income.announce(database, cell.position_id, ex_on=(NOW + DAY).date(), per_share=1, now=NOW)
    trading.evaluate(database, cell.position_id, at("96.5"), NOW + DAY)
    stored = positions.find_position(database, cell.position_id)
    with database.read() as connection:

        def row(sql: str) -> tuple[object, ...] | None:
            return connection.execute(sql).fetchone()

        quantity = stored.balance.quantity
        worth = (quantity * Decimal("96.5")).quantize(Decimal("1e-6"))
        assert row("select ticker, quantity, stock_value, receivable from v_positions") == (
            "ACME",
            quantity,
            worth,
            stored.balance.receivable,
        )
        assert row("select state, remaining from v_orders") == ("filled", 0)
        assert row("select notional, commission, filled_on from v_fills") == (
            evaluation.decision.notional,
            evaluation.decision.commission,
            NOW.date(),
        )
        assert row("select state, held, net from v_dividends") == (
            "accrued",
            quantity,
            stored.balance.receivable,
        )
        assert row("select sum(leg_cash), sum(quantity) from v_ledger") == (
            stored.balance.cash,
            quantity,
        )
        assert row("select count(*) from v_decisions") == (2,)
        assert row("select equity from v_equity order by valuation_id desc limit 1") == (
            worth + stored.balance.cash + stored.balance.receivable,
        )


def test_shares_that_have_seen_no_price_yet_are_worth_their_opening_price(
    database: Database,
) -> None:
    opened = a_cell(database, quantity=50, anchor_price=100)
    positions.set_anchor(database, opened.position_id, 110, NOW)
    a_cell(database, quantity=50, anchor_price=None)
    with database.read() as connection:
        shown = connection.execute(
            "select stock_value from v_positions order by position_id"
        ).fetchall()
        valued = connection.execute("select equity - cash from v_equity").fetchall()
    assert shown == valued == [(Decimal(5000),), (None,)]


def test_the_largest_position_the_ledger_takes_can_still_be_shown(database: Database) -> None:
    # 9,999,999,999 shares at 99.99 are just below the ledger's limit of 10^12
    cell = a_cell(database, quantity="9999999999.999999999999", anchor_price="99.99", cash=0)
    trading.evaluate(database, cell.position_id, at("99.99"), NOW)
    with database.read() as connection:
        shown = connection.execute("select stock_value from v_positions").fetchone()
    assert shown == (Decimal("999900000000.000000"),)

import pytest
from books import DAY, NOW, a_cell, at, carried_out, filled_at

from volbal.services import income, trading, verify
from volbal.storage.database import Database


def a_busy_ledger(database: Database) -> None:
    cell = a_cell(database)
    carried_out(database, cell.position_id, 97, NOW)
    income.announce(database, cell.position_id, ex_on=(NOW + DAY).date(), per_share=1, now=NOW)
    trading.evaluate(database, cell.position_id, at(96), NOW + DAY)
    filled_at(database, cell.position_id, "SELL", 1, 97, NOW + DAY)


def test_a_busy_ledger_is_in_order(database: Database) -> None:
    a_busy_ledger(database)
    assert verify.verify(database) == []


@pytest.mark.parametrize(
    ("table", "damage", "field"),
    [
        ("positions", "cash = cash + 0.000001", "cash"),
        ("positions", "anchor_on = anchor_on + 1", "anchor_on"),
        ("positions", "average_cost = null", "average_cost"),
        ("positions", "strict = true", "configuration"),
        ("orders", "state = 'cancelled'", "state"),
        ("orders", "filled = 0", "filled"),
        ("orders", "fingerprint = 'x'", "fingerprint"),
        ("fills", "price = price + 1", "entry"),
        ("fills", "entry_id = 0", "entry"),
        ("dividends", "state = 'announced'", "state"),
        ("dividends", "net = net + 1", "net"),
        ("valuations", "equity = equity + 1", "equity"),
        ("valuations", "equity = null", "equity"),
    ],
)
def test_every_kind_of_damage_is_found_and_its_row_named(
    database: Database, table: str, damage: str, field: str
) -> None:
    a_busy_ledger(database)
    key = f"{table[:-1]}_id"
    with database.write() as connection:
        connection.execute(f"update {table} set {damage} where {key} = 1")
    found = verify.verify(database)
    assert (table, 1, field) in {(one.table, one.row, one.field) for one in found}
    assert any(str(one).startswith(f"{table} 1: {field} is stored as ") for one in found)


def test_a_flow_that_the_ledger_does_not_know_is_found(database: Database) -> None:
    a_busy_ledger(database)
    with database.write() as connection:
        connection.execute("update valuations set flow = flow + 1 where valuation_id = 1")
    (found,) = verify.verify(database)
    assert str(found) == (
        "positions 1: flows is stored as 10001.000000, the ledger says 10000.000000."
    )


def test_an_entry_whose_legs_do_not_balance_cannot_be_stored_at_all(database: Database) -> None:
    a_busy_ledger(database)
    with pytest.raises(Exception, match="CHECK"), database.write() as connection:
        connection.execute("update entries set leg_cash = leg_cash + 0.000001 where entry_id = 1")

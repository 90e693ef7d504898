"""The overview: what the rule would do at the newest price, what needs a look first."""

import shutil
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from books import DAY, NOW, a_cell, at, carried_out, contents, opened

from volbal.domain.decision import Action
from volbal.domain.ladder import ladder
from volbal.market.model import BASIS, PriceHistory, Provenance
from volbal.services import income, positions, price_store, settings, trading
from volbal.services.course import course
from volbal.services.overview import Concern, overview, row
from volbal.storage.database import Database


def test_a_row_shows_what_the_rule_would_do_and_records_nothing(database: Database) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(100), NOW)
    before = contents(database)
    (shown,) = overview(database, NOW + timedelta(minutes=5)).open
    assert contents(database) == before
    assert shown.decision is not None
    assert shown.decision.action is Action.HOLD
    assert shown.decision.price_age == 300
    assert (shown.decision.buy_level, shown.decision.sell_level) == (97, 103)
    assert shown.value == 10_000
    assert shown.concerns == ()


def test_the_newest_price_of_market_and_ledger_is_used(database: Database) -> None:
    now = datetime.fromisoformat("2023-09-18T15:00:00+00:00")
    positions.open_position(database, "AAPL", quantity=50, cash=9000, anchor_price=175, now=now)
    trading.evaluate(database, 1, at(176), now)
    later = datetime.fromisoformat("2023-09-25T15:00:00+00:00")
    shown = row(database, 1, later)
    # The bundled prices end with the close of 2023-09-21, which is newer than the evaluation.
    assert shown.quote is not None
    assert "2023-09-21" in shown.quote.source
    # And the returns are up to that price, like the value beside them.
    close = Decimal("173.93")
    assert shown.value == 9000 + 50 * close
    assert shown.performance.stock == pytest.approx(float(close / 175 - 1))
    assert shown.performance.time_weighted == pytest.approx(float(shown.value / 17_750 - 1))
    assert shown.trail[-1] == float(shown.value)
    trading.evaluate(database, 1, at(174), later)
    assert row(database, 1, later).quote.price == 174


def test_a_price_from_before_its_opening_is_none_of_its_own(database: Database) -> None:
    # The bundled prices of KO end in 2014.
    positions.open_position(database, "KO", quantity=50, cash=2000, anchor_price=60, now=NOW)
    shown = row(database, 1, NOW)
    assert shown.quote is not None
    assert (shown.quote.price, shown.quote.source) == (60, "opening price")
    assert shown.concerns == ()


def test_a_position_opened_at_a_known_close_has_a_price_as_old_as_that(database: Database) -> None:
    positions.open_position(
        database, "AAPL", quantity=50, cash=9000, anchor_price="173.93", now=NOW
    )
    shown = row(database, 1, NOW)
    assert shown.quote is not None
    assert "2023-09-21" in shown.quote.source
    assert Concern.STALE_PRICE in shown.concerns


def test_a_dividend_that_is_due_is_owed_and_no_stock(database: Database) -> None:
    now = datetime.fromisoformat("2023-09-18T15:00:00+00:00")
    positions.open_position(database, "AAPL", quantity=50, cash=9000, anchor_price=175, now=now)
    income.announce(database, 1, ex_on=date(2023, 9, 20), per_share=1, now=now)
    found = overview(database, datetime.fromisoformat("2023-09-25T15:00:00+00:00"))
    (shown,) = found.open
    assert shown.found.balance.anchor == 174
    assert (shown.found.balance.receivable, found.totals.receivable) == (37.5, 37.5)
    assert found.totals.stock_value == 50 * Decimal("173.93")
    assert shown.value == found.totals.stock_value + 9000 + Decimal("37.5")
    assert shown.received == 0


def test_a_stale_price_is_no_met_trigger(database: Database) -> None:
    a_cell(database)
    trading.evaluate(database, 1, at(97), NOW)
    assert row(database, 1, NOW).concerns == (Concern.TRIGGER_MET,)
    assert row(database, 1, NOW + 5 * DAY).concerns == (Concern.STALE_PRICE,)


def test_a_suspect_price_is_neither_value_nor_guardrail(database: Database) -> None:
    now = datetime.fromisoformat("2023-09-18T15:00:00+00:00")
    # After a forgotten split of 1 for 4 the market, at 173.93, is far from the anchor.
    positions.open_position(database, "AAPL", quantity=50, cash=2500, anchor_price=50, now=now)
    shown = row(database, 1, datetime.fromisoformat("2023-09-25T15:00:00+00:00"))
    assert shown.concerns[0] is Concern.SUSPECT_PRICE
    assert Concern.OUTSIDE_GUARDRAILS not in shown.concerns
    assert shown.value == 5000
    assert shown.stock_share == 0.5


def test_what_is_urgent_comes_first(database: Database) -> None:
    calm, stale, met, ordered, due = (a_cell(database).position_id for _ in range(5))
    trading.evaluate(database, stale, at(100), NOW)
    later = NOW + 6 * DAY
    trading.evaluate(database, calm, at(101), later)
    trading.evaluate(database, met, at(97), later)
    proposal = trading.evaluate(database, ordered, at(97), later).proposal
    assert proposal is not None
    trading.approve(database, ordered, proposal.key, later)
    trading.evaluate(database, due, at(101), later)
    income.announce(database, due, ex_on=later.date(), per_share=1, now=later)
    found = overview(database, later)
    assert [one.position.position_id for one in found.open] == [met, ordered, due, stale, calm]
    assert [one.concerns for one in found.open] == [
        (Concern.TRIGGER_MET,),
        (Concern.OPEN_ORDER,),
        (Concern.DIVIDEND_DUE,),
        (Concern.STALE_PRICE,),
        (),
    ]


def test_totals_are_the_sums_of_open_positions_with_a_price(database: Database) -> None:
    a_cell(database)
    trading.evaluate(database, 1, at(102), NOW)
    a_cell(database, anchor_price=None)
    a_cell(database)
    positions.close_position(database, 3, NOW)
    found = overview(database, NOW)
    # 50 shares at 102 and 5,000 cash, brought in at 100.
    assert found.totals.value == Decimal(10_100)
    assert (found.totals.stock_value, found.totals.cash) == (5_100, 5_000)
    assert found.totals.gain == 100
    assert found.totals.unpriced == 1
    assert [one.position.position_id for one in found.archived] == [3]


def test_one_row_is_the_same_as_in_the_overview(database: Database) -> None:
    cell = a_cell(database)
    carried_out(database, cell.position_id, 97, NOW)
    income.announce(database, 1, ex_on=date(2026, 1, 6), per_share=1, now=NOW)
    later = NOW + DAY
    assert row(database, 1, later) == overview(database, later).open[0]


def test_a_large_book_is_read_in_few_statements(
    large_book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "volbal.duckdb"
    shutil.copy(large_book, path)
    with opened(path) as database, database.read() as connection:
        asked: list[str] = []

        class Counting:
            def execute(self, sql: str, *args: object) -> object:
                asked.append(sql)
                return connection.execute(sql, *args)

        class Counted:
            def read(self) -> "Counted":
                return self

            def __enter__(self) -> Counting:
                return Counting()

            def __exit__(self, *_: object) -> None:
                return None

        last = connection.execute("select max(happened_at) from events").fetchone()
        now = last[0].replace(tzinfo=NOW.tzinfo)
        found = overview(Counted(), now)  # type: ignore[arg-type]
        due = sum(Concern.DIVIDEND_DUE in one.concerns for one in found.open)
        each = sum(len(one.dividends) + 1 for one in found.open if one.dividends)
    assert len(found.open) == 50
    assert len(asked) <= 9 + each, due


def test_the_ladder_is_what_the_services_do_then(database: Database) -> None:
    cell = a_cell(database, quantity=100, cash=10_000)
    settings.configure(
        database, 1, {"max_orders_per_day": 10, "max_stock_share": 0.6}, by="test", now=NOW
    )
    promised = ladder(positions.find_position(database, 1), NOW).down
    for rung in promised:
        evaluation, filled = carried_out(database, cell.position_id, rung.limit, NOW)
        expected, order = rung.decision, evaluation.decision.order
        assert (expected.order, expected.reason) == (order, evaluation.decision.reason)
        if filled is not None:
            assert filled.fill.execution.commission == expected.commission
    assert any(rung.is_pinned for rung in promised)


def test_a_course_has_prices_levels_fills_and_the_share(database: Database) -> None:
    cell = a_cell(database)
    trading.evaluate(database, cell.position_id, at(101), NOW)
    carried_out(database, cell.position_id, 97, NOW + DAY)
    settings.configure(database, 1, {"trigger_up": 0.05}, by="test", now=NOW + 2 * DAY)
    found = course(database, 1, NOW + 3 * DAY)
    days = found.days.set_index("date")
    first, last = days.iloc[0], days.iloc[-1]
    assert (first["anchor"], first["buy_level"], first["sell_level"]) == (100, 97, 103)
    assert first["stock_share"] == pytest.approx(5050 / 10050)
    # The fill at 97 is the new anchor; 97 · 1.05 = 101.85.
    assert (last["anchor"], last["sell_level"]) == (97, pytest.approx(101.85))
    assert found.fills[["side", "price"]].to_numpy().tolist() == [["BUY", 97.0]]


def test_an_impossible_price_or_anchor_spoils_its_own_row_only(database: Database) -> None:
    a_cell(database)
    huge = positions.open_position(
        database, "HUGE", quantity=50, cash=5000, anchor_price=100, now=NOW
    ).position_id
    moved = a_cell(database).position_id
    positions.set_anchor(database, moved, 10**15, NOW)
    nothing = pd.DatetimeIndex([]).as_unit("s")
    history = PriceHistory(
        "HUGE",
        pd.DataFrame(
            {name: [1e308] for name in ("open", "high", "low", "close", "volume")},
            index=pd.DatetimeIndex(["2026-01-06"], name="time").as_unit("s"),
        ),
        pd.DataFrame({"ex_date": nothing, "pay_date": nothing, "amount": []}),
        pd.DataFrame({"date": nothing, "ratio": []}),
        Provenance("test", BASIS, "1d", date(2026, 1, 6)),
    )
    with database.write() as connection:
        price_store.replace(connection, history, "file huge.csv", NOW)
    rows = {one.position.position_id: one for one in overview(database, NOW + 2 * DAY).open}
    assert len(rows) == 3
    assert rows[1].trouble == ""
    bad = rows[huge]
    # It falls back on the price it was opened at.
    assert (bad.value, bad.quote.price) == (10_000, 100)
    assert Concern.UNUSABLE_PRICE in bad.concerns
    assert "The newest price of HUGE cannot be used" in bad.trouble
    assert rows[moved].decision is None
    assert "Look at its price, anchor and dividends" in rows[moved].trouble
    assert row(database, huge, NOW + 2 * DAY).trouble == bad.trouble
    assert len(course(database, huge, NOW + 2 * DAY).days) > 0

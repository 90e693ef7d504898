"""Timeline, Dividends, SQL and Compare over no records, some, many, and broken ones."""

import os
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from books import DAY, NOW, carried_out
from streamlit.testing.v1 import AppTest
from yahoo_server import serving

from volbal.services import (
    comparison,
    exports,
    income,
    positions,
    queries,
    running,
    timeline,
    trading,
)

PAGES = ("timeline", "dividends", "sql", "compare")
EX_ON = date(2026, 1, 6)


def records_file() -> Path:
    return Path(os.environ["VOLBAL_DB"])


def some() -> None:
    """A cell that bought, was owed a dividend of 0.50 a share, and a note full of Markdown."""
    database = running.database()
    with database.lease():
        cell = positions.open_position(
            database, "KO", quantity=50, cash=5000, anchor_price=100, now=NOW
        )
        income.announce(database, 1, ex_on=EX_ON, per_share="0.5", now=NOW)
        carried_out(database, cell.position_id, 97, NOW)
        carried_out(database, cell.position_id, 98, NOW + DAY)
        order = trading.submit(database, 1, key="k", side="BUY", quantity=1, now=NOW + DAY).order
        trading.cancel(database, order.order_id, NOW + DAY, "*dear* $now$ and $then$ <b>")


def words(app: AppTest) -> str:
    """All text of the page."""
    shown = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.success]
    return " ".join(str(element.value) for element in shown)


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label == label)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_records_says_what_to_do_or_shows_its_example(open_page, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert not app.error
    expected = {
        "timeline": "Nothing has happened yet",
        "dividends": "No dividend is announced",
        "sql": "**0** rows",
        "compare": "AAPL · 2013-01-02",
    }
    assert expected[page] in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_many_records(open_page, large_book: Path, page: str) -> None:
    shutil.copy(large_book, records_file())
    app = open_page(page)
    assert not app.exception
    assert not app.error
    expected = {
        "timeline": "**10,000** events",
        "dividends": "went ex already",
        "sql": "**50** rows",
        "compare": "AAPL · 2013-01-02",
    }
    assert expected[page] in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_over_broken_records_says_so_and_leaves_the_file(open_page, page: str) -> None:
    records_file().write_bytes(b"no database" * 1000)
    app = open_page(page)
    assert not app.exception
    assert "cannot be opened" in words(app)
    assert records_file().read_bytes() == b"no database" * 1000


def test_the_timeline_takes_its_filters_from_the_link(open_page) -> None:
    some()
    app = open_page("timeline", {"kind": "Evaluation", "position": "KO #1", "to": "2026-01-05"})
    assert "**1** event" in words(app)
    (line,) = app.expander
    assert line.label.startswith("10\\:00 **KO \\#1** :blue-badge[BUY] BUY")
    app.button[0].click().run()
    # opened, announced, evaluated, ordered, filled; accrued, evaluated, ordered, cancelled
    assert "**9** events" in words(app)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kind", "Nonsense", "is not one of Evaluation, "),
        ("action", "buy", "is not one of BUY, SELL, HOLD, SKIP"),
        ("position", "KO 99", "is not one of KO \\#1"),
        ("from", "03/01/2026", "a date is written as 2026-03-01"),
        ("to", "2999-01-01", "a date is written as 2026-03-01"),
        ("executed", "perhaps", "is not one of true, false"),
    ],
)
def test_a_filter_in_a_link_that_cannot_be_is_named_and_left_out(
    open_page, name: str, value: str, said: str
) -> None:
    some()
    app = open_page("timeline", {name: value})
    assert not app.exception
    (warning,) = app.warning
    assert f"The link's {name} “{value}” is left out" in warning.value
    assert said in warning.value
    assert "**9** events" in words(app)


def test_days_of_the_timeline_are_those_of_new_york(open_page) -> None:
    some()
    late = datetime(2026, 1, 8, 2, 30, tzinfo=UTC)  # 21:30 of the 7th in New York
    positions.deposit(running.database(), 1, 100, late)
    first, before = timeline.days(date(2026, 1, 7), date(2026, 1, 7))
    found = timeline.table(running.database(), timeline.LogFilter(first, before))
    assert "deposit" in list(found["type"])
    app = open_page("timeline", {"kind": "Deposit"})
    assert app.expander[0].label.startswith("21\\:30")
    assert "Wednesday, 7 January 2026" in words(app)


def test_executed_is_what_moved_the_book_and_the_decision_behind_a_fill(open_page) -> None:
    some()
    app = open_page("timeline", {"executed": "true"})
    assert "**4** events" in words(app)
    found = timeline.table(running.database(), timeline.LogFilter(executed_only=True))
    assert list(found["type"]) == ["dividend_accrued", "fill", "evaluation", "opened"]


def test_what_people_wrote_is_shown_as_it_is(open_page) -> None:
    some()
    app = open_page("timeline", {"kind": "Cancel"})
    (line,) = app.expander
    assert r"\*dear\* \$now\$ and \$then\$ \<b\>" in line.label
    (details,) = [html.value for html in app.get("html") if "dear" in str(html.value)] or [""]
    assert "&lt;b&gt;" in details


def test_pages_of_the_timeline_follow_each_other(large_book: Path) -> None:
    shutil.copy(large_book, records_file())
    database = running.database()
    first, second = (timeline.page(database, timeline.LogFilter(), page) for page in (1, 2))
    whole = timeline.table(database, timeline.LogFilter())
    shown = [line.event_id for line in (*first.lines, *second.lines)]
    assert shown == list(whole["event_id"].head(50))
    beyond = timeline.page(database, timeline.LogFilter(), 9999)
    assert beyond.number == beyond.pages == 400
    assert [line.event_id for line in beyond.lines] == list(whole["event_id"].tail(25))


def test_a_dividend_is_announced_by_the_form_once(open_page) -> None:
    some()
    app = open_page("dividends")
    app.number_input(key="dividends.per_share").set_value(0.485)
    app.date_input(key="dividends.ex_on").set_value(date(2030, 3, 1))
    button(app, "Announce").click().run()
    button(app, "Announce").click().run()
    assert not app.exception
    announced = [
        one for one in income.list_dividends(running.database(), 1) if one.ex_on.year == 2030
    ]
    assert [one.per_share for one in announced] == [Decimal("0.485")]


def test_the_dates_of_the_next_dividend_are_looked_up(
    open_page, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        monkeypatch.setenv("VOLBAL_YAHOO_URL", server.url)
        some()
        server.announce("KO", date(2030, 3, 1), date(2030, 4, 1))
        app = open_page("dividends")
        button(app, "Look up the dates").click().run()
        assert app.date_input(key="dividends.ex_on").value == date(2030, 3, 1)
        assert app.date_input(key="dividends.pay_on").value == date(2030, 4, 1)
        assert "next ex-date 2030-03-01, pay date 2030-04-01, says Yahoo" in words(app)
    assert len(income.list_dividends(running.database(), 1)) == 1  # nothing is announced by that


def test_a_dividend_from_before_the_position_is_refused_by_the_form(open_page) -> None:
    some()
    app = open_page("dividends")
    app.number_input(key="dividends.per_share").set_value(0.485)
    app.date_input(key="dividends.ex_on").set_value(NOW.date())
    button(app, "Announce").click().run()
    assert "the position was opened on 2026-01-05" in words(app)
    assert len(income.list_dividends(running.database(), 1)) == 1


def test_a_large_dividend_is_confirmed_and_a_wrong_one_withdrawn(open_page) -> None:
    some()
    app = open_page("dividends")
    app.number_input(key="dividends.per_share").set_value(25.0)
    app.date_input(key="dividends.ex_on").set_value(date(2030, 3, 1))
    button(app, "Announce").click().run()
    assert "of the last price" in words(app)
    assert len(income.list_dividends(running.database(), 1)) == 1
    next(box for box in app.checkbox if box.label == "I confirm 25.00").check()
    button(app, "Announce").click().run()
    assert len(income.list_dividends(running.database(), 1)) == 2
    app.session_state["dividends-upcoming"] = {"selection": {"rows": [0], "columns": []}}
    app.run()
    button(app, "Withdraw").click().run()
    assert not app.exception
    assert "1 announcement is withdrawn." in words(app)
    (left,) = income.list_dividends(running.database(), 1)
    assert left.ex_on.year == 2026


def test_a_form_without_an_amount_says_what_is_missing(open_page) -> None:
    some()
    app = open_page("dividends")
    button(app, "Announce").click().run()
    assert "Gross per share: nothing is typed" in words(app)
    app.number_input(key="dividends.per_share").set_value(0.485)
    button(app, "Announce").click().run()
    assert "Ex-date: nothing is chosen" in words(app)


def test_a_ticked_dividend_is_paid_and_stands_in_its_month(open_page) -> None:
    some()
    app = open_page("dividends")
    # 55.234455 shares were held at the close before: 27.617228 gross, a quarter of it withheld.
    app.session_state["dividends-receivable"] = {"selection": {"rows": [0], "columns": []}}
    app.run()
    other = open_page("dividends")  # the same in another tab
    other.session_state["dividends-receivable"] = app.session_state["dividends-receivable"]
    other.run()
    pay = next(button for button in app.button if button.label.startswith("Record payment of"))
    assert pay.label == "Record payment of 20.71"
    pay.click().run()
    assert not app.exception
    assert "1 dividend is paid: 20.71 is cash now." in words(app)
    (paid,) = income.list_dividends(running.database(), 1)
    assert paid.state == "paid"
    button(other, pay.label).click().run()
    assert "it was paid already" in words(other)
    months = next(table.value for table in app.dataframe if "Jan" in table.value)
    assert float(months.set_index("ticker").loc["All", "Year"]) == pytest.approx(20.71, abs=0.005)


def test_the_answer_to_a_link_is_as_fresh_as_the_last_write(open_page) -> None:
    some()
    app = open_page("sql", {"sql": "select sum(quantity) as held from v_ledger"})
    before = app.dataframe[0].value["held"].iloc[0]
    positions.adjust(running.database(), 1, quantity=3, price=98, note="found", now=NOW + DAY)
    app.run()
    assert app.dataframe[0].value["held"].iloc[0] == before + 3


@pytest.mark.parametrize(
    "sql", ["select nothing from nowhere", "delete from events", "", "select 1; select 2"]
)
def test_sql_that_cannot_run_is_explained(open_page, sql: str) -> None:
    some()
    app = open_page("sql")
    app.text_area(key="sql.text").set_value(sql)
    next(button for button in app.button if button.label == "Run").click().run()
    assert not app.exception
    assert len(app.error) == 1


def test_whole_numbers_beyond_64_bits_are_shown_and_exported_to_the_last_digit(open_page) -> None:
    sql = f"select {2**100}::hugeint as wide union all select -1 union all select null order by 1"
    app = open_page("sql", {"sql": sql})
    assert not app.exception
    assert app.dataframe[0].value["wide"].dropna().tolist() == ["-1", str(2**100)]
    answer = queries.ask(running_settings(), sql)
    for kind in exports.MEDIA_TYPES:
        assert exports.table_bytes(answer.frame, kind)
    assert str(2**100).encode() in exports.table_bytes(answer.frame, "csv")


@pytest.mark.parametrize("name", queries.EXAMPLES)
def test_every_example_runs_and_has_rows(name: str) -> None:
    some()
    answer = queries.ask(running_settings(), queries.EXAMPLES[name])
    assert len(answer.frame) > 0


def running_settings() -> queries.Settings:
    return queries.Settings.from_environment()


def test_a_query_is_saved_offered_and_deleted(open_page) -> None:
    some()
    app = open_page("sql")
    app.text_area(key="sql.text").set_value("from v_fills")  # never run
    app.text_input[0].set_value("My fills")
    app.button(key="sql-save").click().run()
    assert queries.saved(running.database()) == {"My fills": "from v_fills"}
    assert app.selectbox(key="sql.chosen").value == "My fills"
    app.text_area(key="sql.text").set_value("from v_orders")
    app.button(key="sql-save").click().run()
    assert "'My fills' is saved with another text" in words(app)
    assert queries.saved(running.database()) == {"My fills": "from v_fills"}
    app.checkbox[0].check()
    app.button(key="sql-save").click().run()
    assert queries.saved(running.database()) == {"My fills": "from v_orders"}
    assert "Forget the saved query My fills? It is:" in words(app)
    app.button(key="sql-delete").click().run()
    assert queries.saved(running.database()) == {}
    assert app.text_area(key="sql.text").value == "from v_orders"


def test_an_answer_can_be_drawn(open_page) -> None:
    some()
    app = open_page("sql", {"sql": "select filled_on, price, side from v_fills"})
    app.button_group(key="sql-kind").set_value("Bar").run()
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 1


def test_columns_of_one_name_are_both_shown() -> None:
    some()
    answer = queries.ask(running_settings(), "select 1 as n, 2 as n, null as n")
    assert answer.frame.iloc[0].tolist()[:2] == [1, 2]
    assert list(answer.frame) == ["n", "n (2)", "n (3)"]


def test_compared_policies_are_their_own_simulations(open_page) -> None:
    app = open_page("compare", {"with": "aggressive"})
    table = next(one.value for one in app.dataframe if "Metric" in one.value)
    assert list(table) == ["Metric", "aggressive"]
    app.multiselect(key="compare.names").set_value(["standard", "conservative"]).run()
    assert not app.exception
    table = next(one.value for one in app.dataframe if "Metric" in one.value).set_index("Metric")
    # as Simulate shows the example: 186.61 %, and 186.98 % for the conservative preset
    assert list(table.loc["Total return"])[:3] == ["186.61 %", "186.98 %", "+0.37 %"]
    assert app.query_params["with"] == ["standard", "conservative"]


def test_the_configuration_of_a_position_can_be_compared(open_page) -> None:
    some()
    app = open_page("compare", {"with": "KO #1"})
    assert not app.error
    table = next(one.value for one in app.dataframe if "Metric" in one.value)
    assert "KO #1" in table


def test_a_link_to_a_policy_that_is_gone_is_explained(open_page) -> None:
    app = open_page("compare", {"with": "mine"})
    assert "mine, which is not here any more" in words(app)
    assert not app.exception


def test_what_a_link_to_compare_asks_in_vain_is_explained(open_page) -> None:
    some()
    app = open_page("compare", {"of": "Nope", "with": "standard"})
    assert "The link's of is 'Nope': not Policies or Positions; Policies is used." in words(app)
    query = {"of": "Positions", "positions": "zzz", "since": "2999-01-01"}
    app = open_page("compare", query)
    assert "The link's position 'zzz' is not there; it is left out." in words(app)
    assert "The link's since is '2999-01-01': no day from 1970-01-01 to " in words(app).replace(
        "\\", ""
    )
    assert not app.exception


def test_positions_are_compared_from_the_first_day_on_which_all_were_valued() -> None:
    some()
    database = running.database()
    second = positions.open_position(
        database, "PEP", quantity=10, cash=1000, anchor_price=100, now=NOW + 2 * DAY
    )
    trading.evaluate(database, second.position_id, quote(110), NOW + 3 * DAY)
    trading.evaluate(database, 1, quote(98), NOW + 3 * DAY)
    found = comparison.compare_positions(database, [1, second.position_id], None)
    assert found.since == (NOW + 2 * DAY).date()
    first, other = found.sides
    # 10 shares of 100 beside 1,000 of cash: half of what the stock's 10 % are
    assert other.time_weighted == pytest.approx(0.05)
    assert other.stock == pytest.approx(0.10)
    assert first.time_weighted == pytest.approx(0.0)  # the price stood still since that day
    assert (first.fees, first.dividends) == (0.0, 0.0)


def quote(price: float) -> trading.Quote:
    return trading.Quote(Decimal(price))


def test_positions_are_compared_on_the_page(open_page) -> None:
    some()
    app = open_page("compare", {"of": "Positions"})
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value.set_index("Position")
    assert table.loc["KO #1", "Dividends, net"] == "20.71"

"""Overview and Position over no records, the sample, many, and broken ones; every action once."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from books import DAY, NOW, a_cell, at
from streamlit.testing.v1 import AppTest

from volbal.domain.wording import short_percent
from volbal.errors import InvalidInput
from volbal.market.yahoo import Offline
from volbal.services import autopilot, income, positions, running, sample, settings, trading
from volbal.ui import acting, cards, holdings

PAGES = ("overview", "position")


def records_file() -> Path:
    return Path(os.environ["VOLBAL_DB"])


def words(app: AppTest) -> str:
    shown = [
        *app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.success, *app.title,
    ]  # fmt: skip
    html = [element.proto.body for element in app.get("html")]
    return " ".join([*(str(element.value) for element in shown), *html])


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label.startswith(label))


def a_position(**changes) -> int:
    database = running.database()
    return a_cell(database, **changes).position_id


@pytest.mark.parametrize("page", PAGES)
def test_without_records_it_says_what_to_do(open_page, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert not app.error
    expected = {"overview": "No positions yet", "position": "Enter a symbol"}
    assert expected[page] in words(app) + " ".join(one.value for one in app.subheader)


@pytest.mark.parametrize("page", PAGES)
def test_it_shows_the_sample_and_its_label(open_page, sample_book: Path, page: str) -> None:
    shutil.copy(sample_book, records_file())
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert "sells at" in words(app)
    assert "Sample" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_it_shows_a_large_book(open_page, large_book: Path, page: str) -> None:
    shutil.copy(large_book, records_file())
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert "in stock, kept" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_over_broken_records_it_says_so_and_leaves_the_file(open_page, page: str) -> None:
    records_file().write_bytes(b"no database" * 1000)
    app = open_page(page)
    assert not app.exception
    assert "cannot be opened" in words(app)
    assert "move it away to begin anew" in words(app)
    assert button(app, "Try again")
    assert records_file().read_bytes() == b"no database" * 1000


HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("page", PAGES)
def test_while_another_program_holds_the_records_it_says_so_and_tries_again(
    open_page, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    a_position()
    running.close()
    monkeypatch.setenv("VOLBAL_DB_TIMEOUT", "0.1")
    command = [sys.executable, "-c", HOLDER, str(records_file())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        app = open_page(page)
        assert not app.exception
        assert "nothing is lost" in words(app)
        assert str(holder.pid) in words(app)
        holder.stdin.close()
        holder.wait(30)
    button(app, "Try again").click().run()
    assert not app.error
    assert "ACME #1" in words(app) + " ".join(one.proto.label for one in app.get("page_link"))


@pytest.mark.parametrize("tab", holdings.TABS)
def test_every_tab_of_the_sample_is_drawn(open_page, sample_book: Path, tab: str) -> None:
    shutil.copy(sample_book, records_file())
    app = open_page("position", {"id": "1", "tab": tab})
    assert not app.exception
    assert not app.error


def test_the_form_previews_and_opens_a_position_once(open_page) -> None:
    app = open_page("position", {"id": "new"})
    app.text_input(key="opening.symbol").set_value("ko").run()
    app.number_input(key="opening.price").set_value(40.0).run()
    # 10,000 of which half at 40: 125 shares; the first trigger up is 41.20.
    assert "**KO**: 125 shares at 40.00 and 5,000.00 in cash." in words(app)
    ladder = next(one.value for one in app.dataframe if "limit" in one.value)
    assert [round(float(limit), 2) for limit in ladder["limit"]][4:6] == [41.2, 38.8]
    # What was typed last counts, even where the click comes before the preview.
    app.number_input(key="opening.capital").set_value(20_000.0)
    button(app, "Open position").click().run()
    assert not app.exception
    (made,) = positions.list_positions(running.database())
    assert (made.ticker, made.balance.quantity, made.balance.anchor) == ("KO", 250, 40)
    assert "open with 250 shares and 10,000.00 in cash" in app.success[0].value
    assert app.query_params["id"] == "1"
    assert "AAPL" not in words(app)
    assert "KO #1" in words(app)


def test_a_doubtful_preset_is_named_and_settled_by_its_button(open_page) -> None:
    app = open_page("position", {"id": "new"})
    app.text_input(key="opening.symbol").set_value("KO").run()
    app.number_input(key="opening.price").set_value(60.0).run()
    app.number_input(key="opening.capital").set_value(1000.0).run()
    assert any("below the smallest order of 100.00" in one.value for one in app.warning)
    ladder = next(one.value for one in app.dataframe if "limit" in one.value)
    assert ladder["side"].tolist() == ["no sell", "no buy"]
    assert all("is below the smallest one" in remark for remark in ladder["remark"])
    assert "Straight up, nothing is placed at trigger 1: an order of" in words(app)
    button(app, "Min notional").click().run()
    assert not app.warning
    button(app, "Open position").click().run()
    (made,) = positions.list_positions(running.database())
    assert made.configuration.policy.min_notional < 50


def test_what_cannot_be_opened_says_why_and_has_no_button(open_page) -> None:
    app = open_page("position", {"id": "new"})
    app.text_input(key="opening.symbol").set_value("KO").run()
    for field, typed, told in (
        ("stock_share", 50.0, "Stock share: 50.0 is out of range; allowed: in [0, 1]"),
        ("capital", 0.1234567, "Capital: 0.1234567 has too many decimals; allowed: a number, at"),
        ("price", -5.0, "Price: -5 is not above 0; allowed: above 0, at most 12 decimals"),
        ("price", 0.0, "Price: 0 is not above 0"),
    ):
        app.number_input(key=f"opening.{field}").set_value(typed).run()
        assert any(told in one.value for one in app.error)
        assert not [one for one in app.button if one.label == "Open position"]


def test_no_number_is_refused_by_its_input_alone_without_a_sentence(open_page) -> None:
    number = a_position()
    trading.submit(running.database(), number, key="k", side="SELL", quantity=5, now=NOW)
    pages = (
        ("position", {"id": str(number), "tab": "Money"}),
        ("position", {"id": "new"}),
        ("dividends", {}),
    )
    for app in (open_page(*page) for page in pages):
        assert app.number_input
        assert not [one.label for one in app.number_input if one.proto.has_min or one.proto.has_max]


def test_a_refusal_names_fields_as_the_form_does(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number), "tab": "Money"})
    app.number_input(key="adjust-1-0-cash").set_value(1.0)
    button(app, "Adjust").click().run()
    assert "Why: it is blank" in words(app)
    button(app, "Deposit").click().run()
    assert "Amount: nothing is typed" in words(app)


def test_an_odd_symbol_anchor_or_cell_is_named_before_it_is_opened(open_page) -> None:
    app = open_page("position", {"id": "new"})
    app.text_input(key="opening.symbol").set_value("KOO").run()
    app.number_input(key="opening.price").set_value(600.0).run()
    assert any("No price of this symbol is known" in one.value for one in app.warning)
    app.text_input(key="opening.symbol").set_value("KO").run()
    app.number_input(key="opening.price").set_value(600.0).run()
    assert any("from the newest price known" in one.value for one in app.warning)
    button(app, "Anchor: 42.22").click().run()
    assert not app.warning
    app.segmented_control(key="opening.how").set_value("Shares and cash I have").run()
    assert "there are neither shares nor cash" in words(app)
    assert not [one for one in app.button if one.label == "Open position"]


def test_evaluate_approve_fill_and_nothing_is_doubled(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number)})
    app.number_input(key="evaluate-1-0-price").set_value(97.0)
    button(app, "Evaluate").click().run()
    assert "BUY 5.23" in words(app)
    other = open_page("position", {"id": str(number)})
    button(app, "Approve").click().run()
    button(other, "Approve").click().run()
    assert not app.exception
    assert not other.exception
    (order,) = trading.list_orders(running.database(), number)
    assert "It is order 1 already" in words(other)

    base = f"fill-{order.order_id}-0"
    for tab in (app, other):
        tab.number_input(key=f"{base}-price").set_value(96.9)
        tab.number_input(key=f"{base}-quantity").set_value(2.0)
        button(tab, "Record fill").click().run()
        assert not tab.exception
    (fill,) = trading.list_fills(running.database(), number)
    assert (float(fill.execution.price), fill.execution.quantity) == (96.9, 2)
    assert fill.execution.commission == trading.expected_fee(
        positions.find_position(running.database(), number).configuration.policy, 96.9, 2
    )
    rest = f"fill-{order.order_id}-2"
    app.number_input(key=f"{rest}-price").set_value(96.9)
    button(app, "Record fill").click().run()
    assert trading.list_orders(running.database(), number)[0].state.value == "filled"


def test_a_price_of_0_is_refused_and_a_suspect_one_held_until_it_is_confirmed(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number)})
    app.number_input(key="evaluate-1-0-price").set_value(0.0)
    button(app, "Evaluate").click().run()
    assert "Price: 0 is not above 0; allowed: above 0, at most 12 decimals" in words(app)
    app.number_input(key="evaluate-1-0-price").set_value(40.0)
    button(app, "Evaluate").click().run()
    assert "confirm it to go on" in words(app)
    assert app.number_input(key="evaluate-1-1-price").value == 40.0
    app.checkbox(key="evaluate-1-1-confirmed").check()
    button(app, "Evaluate").click().run()
    assert "BUY" in words(app)


def test_a_refused_fill_says_why_and_keeps_what_was_typed(open_page) -> None:
    number = a_position()
    trading.submit(running.database(), number, key="k", side="SELL", quantity=5, now=NOW)
    app = open_page("position", {"id": str(number)})
    app.number_input(key="fill-1-0-price").set_value(100.0)
    app.number_input(key="fill-1-0-quantity").set_value(6.0)
    button(app, "Record fill").click().run()
    assert any("has 5 left" in one.value for one in app.error)
    assert app.number_input(key="fill-1-0-quantity").value == 6.0


def test_a_mistyped_fill_or_anchor_is_recorded_only_once_it_is_confirmed(open_page) -> None:
    number = a_position()
    database = running.database()
    trading.submit(database, number, key="k", side="SELL", quantity=5, now=NOW)
    app = open_page("position", {"id": str(number), "tab": "Money"})
    app.number_input(key="fill-1-0-price").set_value(10.0)
    button(app, "Record fill").click().run()
    assert "10.00 is \N{MINUS SIGN}90\N{NARROW NO-BREAK SPACE}% from the last price" in words(app)
    assert trading.list_orders(database, number)[0].filled == 0
    next(box for box in app.checkbox if box.label == "I confirm 10.00").check()
    button(app, "Record fill").click().run()
    assert trading.list_orders(database, number)[0].filled == 5
    app.number_input(key="anchor-1-0-anchor").set_value(1000.0)
    button(app, "Set anchor").click().run()
    assert "from the last price" in words(app)
    assert positions.find_position(database, number).balance.anchor != 1000


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The state of a session in which clicks are made without a page."""
    state: dict[str, object] = {}
    monkeypatch.setattr(acting.st, "session_state", state)
    acting.token("form")
    return state


def test_a_click_while_the_first_one_acts_does_not_act_again(acts: dict[str, object]) -> None:
    began, both = [], threading.Barrier(2)

    def deed() -> str:
        began.append(True)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)  # a second deed that began would come here too
        return "Done."

    clicks = [threading.Thread(target=acting.act, args=("form-0", deed)) for _ in range(2)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert len(began) == 1
    assert [one.sentence for one in acting._acts().said] == ["Done."]
    assert acting.token("form") == "form-1"


def test_the_second_half_of_a_double_click_on_the_next_form_means_the_first(
    acts: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def deed(name: str) -> str:
        done.append(name)
        return name

    monkeypatch.setattr(acting, "DOUBLE_CLICK", 60.0)
    for token in ("form-0", "form-1", "other-0"):
        acting.act(token, deed, token)
    monkeypatch.setattr(acting, "DOUBLE_CLICK", 0.0)
    acting.act("form-1", deed, "form-1")
    assert done == ["form-0", "other-0", "form-1"]


def test_a_refused_click_can_be_made_again(acts: dict[str, object]) -> None:
    def refused() -> str:
        raise InvalidInput("amount", "it is 0", "allowed: more")

    acting.act("form-0", refused)
    assert acting.token("form") == "form-0"
    acting.act("form-0", lambda: "Done.")
    assert [one.kind for one in acting._acts().said] == ["success"]


def test_a_form_drawn_before_the_ledger_grew_does_nothing(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number), "tab": "Money"})
    positions.deposit(running.database(), number, 100, NOW + DAY)
    app.number_input(key="split-1-0-new").set_value(1e6)
    app.number_input(key="split-1-0-old").set_value(1.0)
    button(app, "Record split").click().run()
    assert any("has grown since this form was drawn" in one.value for one in app.error)
    button(app, "Record split").click().run()
    assert any("more than any known split" in one.value for one in app.error)
    assert positions.find_position(running.database(), number).balance.quantity == 50
    app.number_input(key="split-1-0-new").set_value(2.0)
    button(app, "Record split").click().run()
    assert positions.find_position(running.database(), number).balance.quantity == 100


def test_money_is_moved_once_a_click(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number), "tab": "Money"})
    app.number_input(key="cash-1-0-amount").set_value(250.0)
    button(app, "Deposit").click().run()
    assert positions.find_position(running.database(), number).balance.cash == 5250
    app.number_input(key="cash-1-1-amount").set_value(10_000.0)
    button(app, "Withdraw").click().run()
    assert any("10,000.00" in one.value for one in app.error)
    assert app.number_input(key="cash-1-1-amount").value == 10_000.0
    app.number_input(key="anchor-1-0-anchor").set_value(101.0)
    button(app, "Set anchor").click().run()
    assert positions.find_position(running.database(), number).balance.anchor == 101


def test_settings_show_the_difference_are_saved_and_rolled_back(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number), "tab": "Settings"})
    app.number_input(key="setting.trigger_up").set_value(0.05).run()
    changed = app.table[-1].value
    before, after = map(short_percent, (0.03, 0.05))
    assert changed.to_numpy().tolist() == [["Trigger up (sell)", before, after]]
    app.text_input(key="setting-note").set_value("calmer")
    app.number_input(key="setting.trigger_down").set_value(0.06)  # and saved before it is drawn
    button(app, "Save settings").click().run()
    assert not app.exception
    steps = settings.history(running.database(), number)
    assert [one.note for one in steps] == ["opened", "calmer"]
    policy = steps[1].configuration.policy
    assert (policy.trigger_up, policy.trigger_down) == (0.05, 0.06)
    button(app, "Roll back to step 1").click().run()
    after = positions.find_position(running.database(), number)
    assert after.configuration.policy.trigger_up == 0.03
    assert app.number_input(key="setting.trigger_up").value == 0.03


def test_a_position_is_closed_after_a_question_and_reopened_without_its_autopilot(
    open_page,
) -> None:
    number, database = a_position(), running.database()
    autopilot.switch(database, number, True, NOW)
    income.announce(database, number, ex_on=date(2040, 1, 2), per_share=1, now=NOW)
    app = open_page("position", {"id": str(number), "tab": "Settings"})
    button(app, "Close position").click().run()
    assert "autopilot is switched off" in words(app)
    assert "ex-date 2040-01-02 is not recorded" in words(app)
    button(app, "Cancel").click().run()
    assert not app.info
    assert positions.find_position(database, number).balance.is_open
    button(app, "Close position").click().run()
    button(app, "Close it").click().run()
    assert not positions.find_position(database, number).balance.is_open
    app = open_page("position", {"id": str(number), "tab": "Settings"})
    button(app, "Reopen").click().run()
    assert positions.find_position(database, number).balance.is_open
    assert "Its paper autopilot is off." in words(app)


def test_a_position_with_an_open_order_cannot_be_closed_and_says_which(open_page) -> None:
    number = a_position()
    trading.submit(running.database(), number, key="k", side="SELL", quantity=5, now=NOW)
    app = open_page("position", {"id": str(number), "tab": "Settings"})
    button(app, "Close position").click().run()
    assert any("Order 1 is open with 5 shares left" in one.value for one in app.warning)
    assert button(app, "Close it").disabled


def test_the_autopilot_is_off_until_it_is_switched_on(open_page) -> None:
    number = a_position()
    app = open_page("position", {"id": str(number), "tab": "Autopilot"})
    assert app.toggle[0].value is False
    app.toggle[0].set_value(True).run()
    assert not app.exception
    found = autopilot.find(running.database(), number)
    assert found is not None
    assert found.is_on


def test_an_autopilot_that_yahoo_does_not_answer_says_so_and_since_when(open_page) -> None:
    number, database = a_position(), running.database()
    autopilot.switch(database, number, True, NOW)
    autopilot._wait_for_prices(database, "ACME", Offline("Yahoo cannot be reached."), NOW)
    overview = words(open_page("overview"))
    assert (
        "**Autopilot waits:** ACME #1. Since 2026-01-05 10:00 New York. Yahoo cannot be reached."
    ) in overview
    tab = words(open_page("position", {"id": str(number), "tab": "Autopilot"}))
    assert "It waits since 2026-01-05 10:00 New York. Yahoo cannot be reached. It asks" in tab


def test_the_sample_is_one_click_away_on_the_first_visit(
    open_page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "BEGINS", date(2023, 9, 12))
    app = open_page("overview")
    button(app, "Try it with a sample").click().run()
    assert not app.exception
    assert "The sample portfolio is there" in words(app)
    assert len(positions.list_positions(running.database())) == len(sample.CELLS)


def test_a_sample_that_was_cut_off_is_finished_by_a_click(
    open_page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "BEGINS", date(2023, 9, 18))
    with monkeypatch.context() as cut_off:
        cut_off.setattr(sample, "CELLS", sample.CELLS[:1])
        sample.add(running.database(), NOW.replace(year=2026))
    app = open_page("overview")
    button(app, "Finish adding it").click().run()
    assert not app.exception
    assert [one.ticker for one in positions.list_positions(running.database())] == [
        one.symbol for one in sample.CELLS
    ]
    assert not [one for one in app.button if one.label == "Finish adding it"]


def test_the_sample_is_removed_after_a_question_and_alone(open_page, sample_book: Path) -> None:
    shutil.copy(sample_book, records_file())
    mine = a_position()
    app = open_page("overview")
    button(app, "Remove the sample").click().run()
    assert len(positions.list_positions(running.database())) == 4
    button(app, "Remove them").click().run()
    assert [one.position_id for one in positions.list_positions(running.database())] == [mine]


def test_a_link_to_a_position_that_is_not_there_is_explained(open_page) -> None:
    a_position()
    app = open_page("position", {"id": "99"})
    assert not app.exception
    assert "which is not there" in words(app)


def test_what_needs_a_look_stands_above_the_cards(open_page) -> None:
    now = acting.now()
    first, second, third = (a_position(now=now) for _ in range(3))
    trading.evaluate(running.database(), second, at(97), now)
    trading.evaluate(running.database(), first, at(100), now)
    positions.set_anchor(running.database(), third, 10**15, now)
    app = open_page("overview")
    assert f"**Trigger met:** ACME #{second}." in words(app)
    assert f"**Unusable price:** ACME #{third}. ACME \\#{third} cannot be worked" in words(app)
    links = [one.proto.label for one in app.get("page_link")]
    assert links == [f"**ACME #{number}**" for number in (second, third, first)]


@pytest.mark.parametrize(
    ("distance", "place"), [(-0.03, 0), (-0.015, 25), (0, 50), (0.025, 75), (0.05, 100), (9, 100)]
)
def test_the_gauge_runs_from_the_buy_level_to_the_sell_level(distance, place) -> None:
    from volbal.domain.policy import Policy

    policy = Policy(trigger_down=0.03, trigger_up=0.05)
    assert cards.gauge_place(distance, policy) == pytest.approx(place)

"""Paper autopilot: each new bar once, in order, with its splits and dividends; crash-proof."""

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from books import contents, event_types, opened
from yahoo_server import YahooServer, serving

from volbal.domain.configuration import Configuration
from volbal.domain.dividends import DividendState
from volbal.domain.policy import Policy
from volbal.market.model import BASIS, Listing, PriceHistory, Provenance
from volbal.market.yahoo import YahooPrices, YahooSettings
from volbal.services import (
    autopilot,
    income,
    market_data,
    overview,
    positions,
    price_import,
    trading,
    verify,
)
from volbal.services.autopilot import CaughtUp, bars_after
from volbal.services.overview import Concern
from volbal.storage import records
from volbal.storage.database import Database

ROOT = Path(__file__).parents[2]
CALM = Configuration(Policy(trigger_up=0.02, trigger_down=0.02))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T21:30:00+00:00")  # after New York's close all year


def a_pilot(database: Database, symbol: str, price: float, on: str) -> int:
    made = positions.open_position(
        database,
        symbol,
        quantity=50,
        cash=Decimal(str(price)) * 50,
        anchor_price=price,
        configuration=CALM,
        now=moment(on),
    )
    autopilot.switch(database, made.position_id, True, moment(on))
    return made.position_id


def series(
    closes: dict[str, float],
    splits: dict[str, float] | None = None,
    dividends: dict[str, float] | None = None,
) -> PriceHistory:
    """Split-adjusted daily closes of ACME, as a source gives them; pay dates are not known."""
    index = pd.DatetimeIndex([pd.Timestamp(day) for day in closes], name="time").as_unit("s")
    bars = pd.DataFrame({"close": list(closes.values())}, index=index)
    dates = pd.DatetimeIndex([pd.Timestamp(day) for day in splits or {}]).as_unit("s")
    ex = pd.DatetimeIndex([pd.Timestamp(day) for day in dividends or {}]).as_unit("s")
    unknown = pd.DatetimeIndex([pd.NaT] * len(ex)).as_unit("s")
    amounts = list((dividends or {}).values())
    return PriceHistory(
        "ACME",
        bars,
        pd.DataFrame({"ex_date": ex, "pay_date": unknown, "amount": amounts}),
        pd.DataFrame({"date": dates, "ratio": list((splits or {}).values())}),
        Provenance("test", BASIS, "1d", index[-1].date()),
    )


def test_it_is_off_unless_switched_on_and_again_changes_nothing(database: Database) -> None:
    made = positions.open_position(
        database, "KO", quantity=50, cash=2000, anchor_price=40, now=moment("2014-03-03")
    )
    assert autopilot.find(database, made.position_id) is None
    assert autopilot.catch_up(database, 1, moment("2014-06-02")) == CaughtUp(0, 0)
    autopilot.switch(database, 1, True, moment("2014-03-03"))
    before = contents(database)
    autopilot.switch(database, 1, True, moment("2014-03-04"))
    assert contents(database) == before
    autopilot.switch(database, 1, False, moment("2014-03-05"))
    assert autopilot.catch_up(database, 1, moment("2014-06-02")) == CaughtUp(0, 0)
    assert event_types(database, 1) == ["opened", "autopilot", "autopilot"]


def test_missed_bars_are_replayed_in_order_and_once(database: Database) -> None:
    number = a_pilot(database, "KO", 38.0, "2014-03-03")
    done = autopilot.catch_up(database, number, moment("2014-06-30"))
    # 2014-03-04 to 2014-06-30 has 83 sessions: 20 + 21 + 21 + 21.
    assert done.bars == 83
    fills = trading.list_fills(database, number)
    assert done.orders == len(fills) > 0
    assert [one.filled_at for one in reversed(fills)] == sorted(one.filled_at for one in fills)
    closes = market_data.history(database, "KO").bars["close"]
    for fill in fills:
        day = pd.Timestamp(fill.filled_at.date())
        assert float(fill.execution.price) == closes[day]
    before = contents(database)
    assert autopilot.catch_up(database, number, moment("2014-06-30")) == CaughtUp(0, 0)
    assert contents(database) == before
    assert verify.verify(database) == []


def test_it_decides_as_the_same_evaluations_by_hand(database: Database) -> None:
    number = a_pilot(database, "KO", 38.0, "2014-03-03")
    autopilot.catch_up(database, number, moment("2014-04-30"))
    twin = positions.open_position(
        database,
        "KO",
        quantity=50,
        cash=1900,
        anchor_price=38,
        configuration=CALM,
        now=moment("2014-03-03"),
    ).position_id
    income.announce(
        database, twin, ex_on=date(2014, 3, 12), per_share="0.305", pay_on=date(2014, 4, 1),
        now=moment("2014-03-03"),
    )  # fmt: skip
    for bar in bars_after(
        market_data.history(database, "KO"), moment("2014-03-03"), moment("2014-04-30")
    ):
        made = trading.evaluate(database, twin, _quote(bar), bar.closed_at)
        if made.proposal is not None:
            order = trading.approve(database, twin, made.proposal.key, bar.closed_at).order
            trading.fill(
                database,
                order.order_id,
                price=bar.close,
                quantity=order.order.quantity,
                commission=made.decision.commission,
                now=bar.closed_at,
            )
    mine, other = (positions.find_position(database, one).balance for one in (number, twin))
    assert mine == other


def _quote(bar: autopilot.Bar) -> trading.Quote:
    return trading.Quote(bar.close, "close", bar.closed_at, validated=True)


def test_dividends_of_the_prices_are_announced_accrued_and_paid(database: Database) -> None:
    number = a_pilot(database, "KO", 38.0, "2014-03-03")
    autopilot.catch_up(database, number, moment("2014-04-30"))
    (paid,) = income.list_dividends(database, number)
    history = market_data.history(database, "KO").dividends
    expected = history[history["ex_date"] == pd.Timestamp(paid.ex_on)]
    assert float(paid.per_share) == expected["amount"].iloc[0]
    assert paid.state is DividendState.PAID


def test_one_announced_by_hand_is_left_as_it_is(database: Database) -> None:
    number = a_pilot(database, "KO", 38.0, "2014-03-03")
    ex_on = date(2014, 3, 12)
    income.announce(database, number, ex_on=ex_on, per_share="0.31", now=moment("2014-03-03"))
    autopilot.catch_up(database, number, moment("2014-04-30"))
    (known,) = income.list_dividends(database, number)
    assert (known.ex_on, known.per_share) == (ex_on, Decimal("0.31"))


def test_prices_before_a_split_are_those_traded_and_the_split_comes_on_its_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A split of 4 for 1 on the 7th: the source shows a traded 100 as 25 before it.
    history = series(
        {"2026-01-05": 25.0, "2026-01-06": 25.25, "2026-01-07": 25.0, "2026-01-08": 25.0},
        {"2026-01-07": 4.0},
    )
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    assert [
        bar.close for bar in bars_after(history, moment("2026-01-04"), moment("2026-01-08"))
    ] == [100, 101, 25, 25]
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    done = autopilot.catch_up(database, number, moment("2026-01-08"))
    assert done == CaughtUp(3, 0)
    after = positions.find_position(database, number).balance
    assert (after.quantity, after.anchor) == (200, 25)
    assert event_types(database, number).count("split") == 1


def test_a_dividend_of_a_split_day_is_paid_for_the_shares_before_the_split(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 4 for 1 and 0.25 a new share on one day: what 50 old shares at 1.00 are paid.
    plain = series({"2026-01-06": 25.0, "2026-01-07": 24.75}, {"2026-01-07": 4.0})
    day = pd.DatetimeIndex([pd.Timestamp("2026-01-07")]).as_unit("s")
    paid = pd.DataFrame({"ex_date": day, "pay_date": day + timedelta(days=9), "amount": [0.25]})
    history = replace(plain, dividends=paid)
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    autopilot.catch_up(database, number, moment("2026-01-08"))
    after = positions.find_position(database, number).balance
    # 50 · 1.00 · 0.75; (100 − 1.00) / 4
    assert (after.quantity, after.receivable, after.anchor) == (200, 37.5, Decimal("24.75"))
    (dividend,) = income.list_dividends(database, number)
    assert (dividend.per_share, dividend.state) == (1, DividendState.ACCRUED)
    assert trading.list_fills(database, number) == []
    assert verify.verify(database) == []


def test_a_split_recorded_by_hand_is_not_doubled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = series({"2026-01-05": 25.0, "2026-01-08": 25.0}, {"2026-01-07": 4.0})
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    positions.split(database, number, 4, 1, moment("2026-01-07") - timedelta(hours=5))
    autopilot.catch_up(database, number, moment("2026-01-08"))
    assert positions.find_position(database, number).balance.quantity == 200


@pytest.mark.parametrize("first", ["evaluates", "only sees"])
def test_missed_splits_and_dividends_outlive_a_look_by_hand(
    database: Database, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    history = series(
        {"2026-01-06": 50.0, "2026-01-07": 50.0, "2026-01-08": 49.5, "2026-01-09": 49.5},
        {"2026-01-07": 2.0},
        {"2026-01-08": 0.5},
    )
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    noon = moment("2026-01-09") - timedelta(hours=4)
    if first == "evaluates":
        before, made = autopilot.evaluate(database, number, trading.Quote(Decimal(49)), noon)
        assert (before, made.proposal) == (CaughtUp(3, 0), None)
        # 2026-01-09 has not closed yet; it comes in its turn.
        assert autopilot.catch_up(database, number, moment("2026-01-09")) == CaughtUp(1, 0)
    else:  # as a fill, or a program, does
        trading.evaluate(database, number, trading.Quote(Decimal(51)), noon)
        assert autopilot.catch_up(database, number, moment("2026-01-09")) == CaughtUp(4, 0)
    after = positions.find_position(database, number)
    # 100 new shares, which are owed 100 · 0.5 · 0.75; the anchor is 100 / 2 − 0.5.
    assert (after.balance.quantity, after.balance.receivable) == (100, Decimal("37.5"))
    assert (after.balance.anchor, after.last_price) == (Decimal("49.5"), Decimal("49.5"))
    told = [one.sentence for one in positions.events(database, number)]
    passed = [one for one in told if "is passed over: a price of then or later" in one]
    assert len(passed) == (0 if first == "evaluates" else 3)
    assert autopilot.missed(database, number, moment("2026-01-09")) == []
    assert verify.verify(database) == []


def test_a_split_recorded_the_evening_before_comes_once_and_no_older_close_is_traded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1 for 3: a traded 50 is 150 in the prices, which write the ratio as 0.333333.
    closes = {"2026-01-06": 150.0, "2026-01-07": 150.0, "2026-01-08": 150.0}
    history = series(closes, {"2026-01-08": 0.333333})
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 50.0, "2026-01-05")
    quantity = Decimal(50) / 3
    positions.split(database, number, 1, 3, moment("2026-01-07") + timedelta(hours=2))
    assert autopilot.catch_up(database, number, moment("2026-01-08")) == CaughtUp(3, 0)
    after = positions.find_position(database, number).balance
    assert (round(after.quantity, 9), after.anchor) == (round(quantity, 9), 150)
    events = positions.events(database, number)
    assert [one.type for one in events].count("evaluation") == 1
    assert sum("split of 2026-01-08 is recorded already" in one.sentence for one in events) == 2


def test_a_dividend_without_a_pay_date_counts_as_paid_after_three_weeks_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    closes = {"2026-01-06": 100.0, "2026-01-26": 100.0, "2026-01-27": 100.0}
    history = series(closes, dividends={"2026-01-06": 1.0})
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    autopilot.catch_up(database, number, moment("2026-01-26"))
    (owed,) = income.list_dividends(database, number)
    assert (owed.state, owed.pay_on) == (DividendState.ACCRUED, None)
    autopilot.catch_up(database, number, moment("2026-01-27"))
    (paid,) = income.list_dividends(database, number)
    assert paid.state is DividendState.PAID
    told = [one.sentence for one in reversed(positions.events(database, number))]
    announced, counted = (one for one in told if "pay date is not known" in one)
    assert announced.endswith("goes ex on 2026-01-06; its pay date is not known.")
    assert "counts as paid 21 days after it, an assumption" in counted
    assert verify.verify(database) == []


def test_bars_close_when_their_exchange_did_and_sessions_without_one_are_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The Friday after Thanksgiving closes at 13:00 in New York; Monday the 30th has no bar.
    history = series({"2026-11-25": 100.0, "2026-11-27": 100.0, "2026-12-01": 100.0})
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 100.0, "2026-11-25")
    early = datetime.fromisoformat("2026-11-27T18:01:00+00:00")
    assert autopilot.catch_up(database, number, early).bars == 1
    autopilot.catch_up(database, number, moment("2026-12-01"))
    told = [
        one.sentence for one in positions.events(database, number) if "no close" in one.sentence
    ]
    assert [one.partition(".")[0] for one in told] == [
        "The prices have no close of 2026-11-30, 1 session of the exchange"
    ]
    london = replace(history, listing=Listing("LSE", "Europe/London", "GBp"))
    bars = bars_after(london, moment("2026-11-25"), moment("2026-12-01"))
    # 16:30 in London is 11:30 in New York.
    assert [one.closed_at.isoformat()[10:] for one in bars] == ["T16:30:00+00:00"] * 2


def test_bad_prices_stop_only_their_own_autopilot_and_it_says_once_why(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = series({"2026-01-06": 100.0})
    bad = series({"2026-01-06": 100.0}, dividends={"2026-01-06": 1e300})
    monkeypatch.setattr(market_data, "history", lambda _, name: bad if name == "BAD" else good)
    first, second = (a_pilot(database, name, 100.0, "2026-01-05") for name in ("BAD", "GOOD"))
    for _ in range(2):
        found = autopilot.catch_up_all(database, moment("2026-01-06"))
    assert "daily prices of BAD cannot be used" in found[first].stopped
    assert event_types(database, first).count("autopilot_waits") == 1
    assert event_types(database, second).count("evaluation") == 1
    shown = overview.row(database, first, moment("2026-01-06"))
    assert Concern.AUTOPILOT_WAITS in shown.concerns
    assert "Import better ones" in shown.waits_for
    bad = good
    autopilot.catch_up(database, first, moment("2026-01-06"))
    assert not overview.row(database, first, moment("2026-01-06")).waits_for
    assert "The paper autopilot goes on." in [
        one.sentence for one in positions.events(database, first)
    ]


def test_one_whose_prices_came_from_a_file_says_once_that_it_waits_for_a_longer_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"Date,Close\n2026-01-05,100\n2026-01-06,100\n"
    looked_at = price_import.preview(database, "own.csv", text, "ACME")
    price_import.save(database, looked_at, moment("2026-01-06"))
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    monkeypatch.setattr(autopilot.running, "database", lambda: database)
    passes = [moment("2026-01-07") + timedelta(hours=hours) for hours in range(3)]
    watched(passes)
    assert event_types(database, number) == ["opened", "autopilot", "evaluation", "autopilot_waits"]
    waits_for = overview.row(database, number, passes[-1]).waits_for
    assert waits_for.startswith("The 1d prices of ACME were imported")
    assert "import a longer file" in waits_for


def test_an_open_order_before_a_split_stops_it_and_nothing_is_half_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = series({"2026-01-06": 25.0, "2026-01-07": 25.0}, {"2026-01-07": 4.0})
    monkeypatch.setattr(market_data, "history", lambda *_: history)
    number = a_pilot(database, "ACME", 100.0, "2026-01-05")
    trading.submit(database, number, key="k", side="BUY", quantity=1, now=moment("2026-01-05"))
    done = autopilot.catch_up(database, number, moment("2026-01-08"))
    assert done.bars == 1
    assert "Order 1 is open" in done.stopped
    assert autopilot.catch_up(database, number, moment("2026-01-08")).stopped
    assert event_types(database, number).count("autopilot_waits") == 1
    shown = overview.row(database, number, moment("2026-01-08"))
    assert (Concern.AUTOPILOT_WAITS in shown.concerns, done.stopped in shown.waits_for) == (
        True,
        True,
    )
    assert positions.find_position(database, number).balance.quantity == 50
    trading.cancel(database, 1, moment("2026-01-07"))
    assert autopilot.catch_up(database, number, moment("2026-01-08")).bars == 1


def test_two_that_catch_up_at_once_do_every_bar_once(database: Database) -> None:
    number = a_pilot(database, "KO", 38.0, "2014-03-03")
    until = moment("2014-04-30")
    both = [
        threading.Thread(target=autopilot.catch_up, args=(database, number, until))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    evaluations = event_types(database, number).count("evaluation")
    assert evaluations == len(
        list(bars_after(market_data.history(database, "KO"), moment("2014-03-03"), until))
    )
    assert verify.verify(database) == []


def test_one_without_prices_waits(database: Database) -> None:
    a_pilot(database, "ACME", 100.0, "2026-01-05")
    found = autopilot.catch_up_all(database, moment("2026-01-08"))
    assert "no 1d prices of ACME" in found[1].stopped


def test_a_server_that_ends_stops_it_between_two_bars(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = a_pilot(database, "KO", 38.0, "2014-03-03")
    monkeypatch.setattr(autopilot.running, "database", lambda: database)
    stop = threading.Event()

    def ends_meanwhile() -> datetime:
        stop.set()
        return moment("2014-06-30")

    autopilot.watch(stop, ends_meanwhile)
    assert event_types(database, number).count("evaluation") == 1
    assert autopilot.catch_up(database, number, moment("2014-06-30")).bars == 82


def watched(moments: list[datetime], after: Callable[[], None] = lambda: None) -> None:
    """`watch` in a pass at each of the moments, `after` called at the end of each."""
    done = 0

    class Passes(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal done
            after()
            done += 1
            if done == len(moments):
                self.set()
            return self.is_set()

    autopilot.watch(Passes(), lambda: moments[done])


def fetched(moments: list[datetime], server: YahooServer, database: Database) -> list[int]:
    """What `watch` asked of Yahoo in a pass at each of the moments, in requests."""
    counts: list[int] = []
    watched(moments, lambda: counts.append(server.asked("/KO")))
    return [after - before for before, after in itertools.pairwise([0, *counts])]


def evaluated_on(database: Database) -> list[str]:
    """Days of the evaluations, in the order in which they were recorded."""
    events = reversed(positions.events(database, 1))
    return [f"{one.happened_at:%m-%d}" for one in events if one.type == "evaluation"]


def test_new_closes_are_fetched_when_a_session_has_finished_and_missed_days_come_in_order_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = moment("2014-12-19")
    with serving(lambda: now) as server:
        yahoo = YahooPrices(YahooSettings(server.url, timeout=5.0), lambda: now)
        monkeypatch.setattr(market_data, "yahoo", lambda: yahoo)
        monkeypatch.setattr(autopilot.running, "database", lambda: database)
        market_data.refresh(database, yahoo, "KO", "1d", now)
        a_pilot(database, "KO", 42.0, "2014-12-19")

        now = moment("2014-12-22")
        server.requests.clear()
        noon = datetime.fromisoformat("2014-12-23T17:00:00+00:00")
        asked = fetched([now, now, noon], server, database)
        assert asked[0] > 0
        assert asked[1:] == [0, 0]
        assert evaluated_on(database) == ["12-22"]

        # Two days without a network, then Christmas, a Friday and a weekend: asked once an hour.
        server.failure, now = "error", moment("2014-12-24")
        server.requests.clear()
        asked = fetched(
            [now, now + timedelta(minutes=5), now + timedelta(hours=1)], server, database
        )
        assert asked[0] > 0
        assert asked[1] == 0
        assert asked[2] > 0
        assert evaluated_on(database) == ["12-22"]
        shown = overview.row(database, 1, now + timedelta(hours=1))
        assert event_types(database, 1).count("autopilot_waits") == 1
        assert shown.waits_since == now
        assert shown.waits_for.startswith("Yahoo failed over KO (HTTP 500)")
        assert Concern.AUTOPILOT_WAITS in shown.concerns
        server.failure, now = None, moment("2014-12-29")
        fetched([now, now], server, database)
        assert not overview.row(database, 1, now).waits_for
        told = [one.sentence for one in positions.events(database, 1)]
        assert len([one for one in told if one.startswith("Yahoo answers again. KO 1d got")]) == 1
    assert evaluated_on(database) == ["12-22", "12-23", "12-24", "12-26", "12-29"]
    closes = market_data.history(database, "KO").bars["close"]
    for fill in trading.list_fills(database, 1):
        assert float(fill.execution.price) == closes[pd.Timestamp(fill.filled_at.date())]
    assert verify.verify(database) == []


def test_nobody_asks_for_the_sample_or_for_one_that_is_switched_off(database: Database) -> None:
    now = moment("2026-01-08")
    number = a_pilot(database, "KO", 60.0, "2026-01-05")
    assert autopilot.waiting(database, now) == ["KO"]
    autopilot.switch(database, number, False, now)
    assert autopilot.waiting(database, now) == []
    autopilot.switch(database, number, True, now)
    with database.write() as connection:
        records.insert_sample(connection, number)
    assert autopilot.waiting(database, now) == []


CHILD = """
import sys
from datetime import datetime
from pathlib import Path
from volbal.services import autopilot
from volbal.storage.database import Database
database = Database(Path(sys.argv[1]), timeout=20)
database.open()
now = datetime.fromisoformat(sys.argv[2])
autopilot.catch_up(database, 1, now, lambda done, of: print(done, flush=True))
database.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX word")
def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    until = moment("2014-05-30")
    killed, whole = tmp_path / "killed.duckdb", tmp_path / "whole.duckdb"
    for path in (killed, whole):
        with opened(path) as database:
            a_pilot(database, "KO", 38.0, "2014-03-03")
    for bars in (1, 17):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(killed), until.isoformat()],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(bars):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        child.stdout.close()
    for path in (killed, whole):
        with opened(path) as database:
            autopilot.catch_up(database, 1, until)
            assert verify.verify(database) == []
    with opened(killed) as database:
        mine = _told(database)
    with opened(whole) as database:
        assert mine == _told(database)


def _told(database: Database) -> list[tuple[str, str]]:
    """The log without numbers of orders, which a killed transaction may have used up."""
    return [(event.type, event.happened_at.isoformat()) for event in positions.events(database, 1)]

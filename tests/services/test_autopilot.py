"""Paper autopilot: each new bar once, in order, with its splits and dividends; crash-proof."""

import itertools
import signal
import subprocess
import sys
import threading
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
from volbal.market.model import BASIS, PriceHistory, Provenance
from volbal.market.yahoo import YahooPrices, YahooSettings
from volbal.services import autopilot, income, market_data, positions, trading, verify
from volbal.services.autopilot import CaughtUp, bars_after
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


def series(closes: dict[str, float], splits: dict[str, float] | None = None) -> PriceHistory:
    """Split-adjusted daily closes of ACME, as a source gives them."""
    index = pd.DatetimeIndex([pd.Timestamp(day) for day in closes], name="time").as_unit("s")
    bars = pd.DataFrame({"close": list(closes.values())}, index=index)
    dates = pd.DatetimeIndex([pd.Timestamp(day) for day in splits or {}]).as_unit("s")
    nothing = pd.DatetimeIndex([]).as_unit("s")
    return PriceHistory(
        "ACME",
        bars,
        pd.DataFrame({"ex_date": nothing, "pay_date": nothing, "amount": []}),
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


def fetched(moments: list[datetime], server: YahooServer, database: Database) -> list[int]:
    """What `watch` asked of Yahoo in a pass at each of the moments, in requests."""
    counts = []

    class Passes(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            counts.append(server.asked("/KO"))
            if len(counts) == len(moments):
                self.set()
            return self.is_set()

    autopilot.watch(Passes(), lambda: moments[len(counts)])
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
        server.failure, now = None, moment("2014-12-29")
        fetched([now, now], server, database)
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

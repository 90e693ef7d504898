"""The Yahoo adapter against a local server in Yahoo's format, through yfinance as it is."""

import os
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo_server import serving

from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.bundled import BundledPrices
from volbal.market.model import Listing, PriceHistory
from volbal.market.validation import InvalidPrices, UnadjustedPrices
from volbal.market.yahoo import (
    REACH,
    MarketQuote,
    Offline,
    RangeUnavailable,
    RateLimited,
    UnknownSymbol,
    UpstreamBroken,
    YahooPrices,
    YahooSettings,
    earliest,
)

OPEN_AT = datetime(2014, 12, 30, 16, 0, tzinfo=UTC)  # 11:00 in New York
SUNDAY = datetime(2015, 1, 4, 16, 0, tzinfo=UTC)  # the bundle of KO ends on 2014-12-31
KO_CLOSES = {"2014-12-29": 42.86, "2014-12-30": 42.76, "2014-12-31": 42.22}


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(SUNDAY)


@pytest.fixture
def server(clock):
    with serving(clock) as running:
        yield running


@pytest.fixture
def yahoo(server, clock) -> YahooPrices:
    return YahooPrices(YahooSettings(server.url, timeout=30.0), clock)


def same(left: PriceHistory, right: PriceHistory) -> None:
    for name in ("bars", "dividends", "splits"):
        pd.testing.assert_frame_equal(
            getattr(left, name), getattr(right, name), check_exact=True, check_freq=False
        )


def test_bars_dividends_and_splits_equal_the_bundle_to_the_last_bit():
    with serving() as server:
        yahoo = YahooPrices(YahooSettings(server.url))
        for symbol in BundledPrices().symbols():
            same(yahoo.fetch(symbol), BundledPrices().history(symbol))


def test_a_history_says_where_it_comes_from(yahoo):
    history = yahoo.fetch(" ko ", "1d", date(2014, 12, 1))
    assert history.provenance.source == "Yahoo"
    assert history.provenance.basis == "split-adjusted, not dividend-adjusted"
    assert (history.provenance.interval, str(history.provenance.as_of)) == ("1d", "2014-12-31")
    assert history.listing == Listing("NYQ", "America/New_York", "USD")
    assert history.notes == ()


def test_both_dates_of_a_range_are_included(yahoo):
    history = yahoo.fetch("KO", "1d", date(2014, 12, 29), date(2014, 12, 30))
    assert history.bars["close"].to_dict() == {
        pd.Timestamp(day): KO_CLOSES[day] for day in ("2014-12-29", "2014-12-30")
    }


def test_yesterdays_answer_is_not_given_again_for_a_past_range(yahoo, server):
    asked = ("KO", "1d", date(2014, 12, 1), date(2014, 12, 10))
    before = yahoo.fetch(*asked).bars["close"].to_numpy()
    server.split("KO", date(2014, 12, 31), 2.0)
    assert yahoo.fetch(*asked).bars["close"].to_numpy() == pytest.approx(before / 2, rel=1e-15)


def test_a_split_is_handed_over_with_the_rescaled_history(yahoo, server):
    server.split("KO", date(2014, 12, 30), 4.0)
    history = yahoo.fetch("KO")
    assert (str(history.splits["date"].iloc[-1].date()), history.splits["ratio"].iloc[-1]) == (
        "2014-12-30",
        4.0,
    )
    whole = BundledPrices().history("KO")
    assert history.bars["close"].iloc[0] == whole.bars["close"].iloc[0] / 4.0
    assert history.dividends["amount"].iloc[0] == whole.dividends["amount"].iloc[0] / 4.0


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2014-12-30T16:00:00+00:00", "2014-12-29"),  # 11:00 in New York
        ("2014-12-30T20:59:59+00:00", "2014-12-29"),  # a second before the close
        ("2014-12-30T21:00:00+00:00", "2014-12-30"),
        ("2014-12-31T13:00:00+00:00", "2014-12-30"),  # before the next open
    ],
)
def test_the_bar_of_a_running_session_is_left_out(yahoo, clock, now, last):
    clock.now = datetime.fromisoformat(now)
    history = yahoo.fetch("KO", "1d", date(2014, 12, 1))
    assert str(history.last_date) == str(history.provenance.as_of) == last


def test_a_running_session_alone_is_no_history(yahoo, clock):
    clock.now = OPEN_AT
    with pytest.raises(RangeUnavailable, match="no finished 1d bar"):
        yahoo.fetch("KO", "1d", date(2014, 12, 30))


def test_a_dividend_of_a_running_session_is_known(yahoo, clock):
    clock.now = datetime(2014, 11, 26, 16, 0, tzinfo=UTC)  # KO's ex-date, before the close
    history = yahoo.fetch("KO", "1d", date(2014, 11, 3))
    assert str(history.last_date) == "2014-11-25"
    assert str(history.dividends["ex_date"].iloc[-1].date()) == "2014-11-26"


@pytest.mark.parametrize(
    ("interval", "bars_a_day", "last_start"),
    [("1h", 7, "15:30"), ("30m", 13, "15:30"), ("15m", 26, "15:45"), ("5m", 78, "15:55")],
)
def test_intraday_bars_start_at_exchange_local_times(yahoo, interval, bars_a_day, last_start):
    history = yahoo.fetch("KO", interval, date(2014, 12, 29), date(2014, 12, 30))
    assert history.provenance.interval == interval
    assert len(history.bars) == 2 * bars_a_day
    assert history.bars.index.dtype == "datetime64[s]"
    assert str(history.bars.index[0]) == "2014-12-29 09:30:00"
    assert str(history.bars.index[-1]) == f"2014-12-30 {last_start}:00"
    days = history.bars.groupby(history.bars.index.normalize())
    assert days["close"].last().tolist() == [KO_CLOSES["2014-12-29"], KO_CLOSES["2014-12-30"]]


def test_minutes_of_a_month_are_asked_for_in_parts_that_yahoo_allows(yahoo, server):
    history = yahoo.fetch("KO", "1m", end=date(2014, 12, 31))
    assert str(history.first_date) == "2014-12-08"  # two days inside of the 30, a Monday
    sessions = history.bars.index.normalize().nunique()
    assert sessions == 17
    assert len(history.bars) == 390 * (sessions - 1) + 210  # Christmas Eve closed at 13:00
    assert server.asked("interval=1m") == 4


@pytest.mark.parametrize(
    ("interval", "now", "last"),
    [
        ("1h", "2014-12-30T16:00:00+00:00", "2014-12-30 09:30:00"),  # 11:00: 10:30 is running
        ("1h", "2014-12-30T20:59:00+00:00", "2014-12-30 14:30:00"),
        ("1h", "2014-12-30T21:00:00+00:00", "2014-12-30 15:30:00"),  # cut short by the close
        ("5m", "2014-12-30T16:04:00+00:00", "2014-12-30 10:55:00"),
    ],
)
def test_an_intraday_bar_still_being_made_is_left_out(yahoo, clock, interval, now, last):
    clock.now = datetime.fromisoformat(now)
    history = yahoo.fetch("KO", interval, date(2014, 12, 29))
    assert str(history.bars.index[-1]) == last


@pytest.mark.parametrize("interval", [name for name, reach in REACH.items() if reach])
def test_bars_beyond_yahoos_reach_are_refused_before_asking(yahoo, server, interval):
    limit = earliest(interval, SUNDAY.date())
    with pytest.raises(RangeUnavailable, match=f"{interval} bars from {limit} on only"):
        yahoo.fetch("KO", interval, limit - timedelta(days=1))
    assert server.requests == []
    assert yahoo.fetch("KO", interval, limit, limit + timedelta(days=6)).first_date >= limit


def test_yahoos_own_reason_is_passed_on(yahoo, server):
    server.clock = lambda: SUNDAY + timedelta(days=100)  # Yahoo counts from another day
    with pytest.raises(RangeUnavailable) as refusal:
        yahoo.fetch("KO", "5m", date(2014, 12, 1), date(2014, 12, 5))
    assert "must be within the last 60 days" in refusal.value.reason
    assert str(refusal.value).startswith("KO: Yahoo says: 5m data not available")


def test_dates_before_the_listing_have_no_bars(yahoo):
    with pytest.raises(RangeUnavailable, match="Data doesn't exist"):
        yahoo.fetch("KO", "1d", date(1999, 1, 4), date(1999, 12, 31))


def test_other_bars_than_asked_for_are_not_taken(yahoo, server, monkeypatch):
    real = server._meta
    monkeypatch.setattr(
        server, "_meta", lambda symbol, _: {**real(symbol, "1mo"), "dataGranularity": "1mo"}
    )
    with pytest.raises(RangeUnavailable, match="1mo bars there, not 1d"):
        yahoo.fetch("KO")


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        ("limit", RateLimited, "try again in 60 seconds"),
        ("error", UpstreamBroken, "HTTP 500"),
        ("proxy", UpstreamBroken, "HTTP 404"),
        ("junk", UpstreamBroken, "no prices"),
        ("down", UpstreamBroken, "no prices"),
        ("unauthorized", UpstreamBroken, "KO"),
    ],
)
@pytest.mark.parametrize("what", ["fetch", "quote", "upcoming_dividend"])
def test_a_failure_has_its_error_and_is_not_remembered(
    yahoo, server, clock, failure, error, words, what
):
    server.failure = failure
    with pytest.raises(error, match=words):
        getattr(yahoo, what)("KO")
    server.failure = None
    clock.now += timedelta(seconds=60)
    getattr(yahoo, what)("KO")


def test_an_empty_chart_is_an_error_and_no_history(yahoo, server):
    server.failure = "empty"
    with pytest.raises(RangeUnavailable, match="Yahoo has no"):
        yahoo.fetch("KO")
    server.failure = None
    assert len(yahoo.fetch("KO").bars) == 754


@pytest.mark.parametrize("what", ["fetch", "quote", "upcoming_dividend"])
def test_an_unknown_symbol_is_told_with_few_requests(yahoo, server, what):
    with pytest.raises(UnknownSymbol, match=r"knows no symbol NOSUCH.*suffix"):
        getattr(yahoo, what)("nosuch")
    assert server.asked("NOSUCH") == 1
    assert len(server.requests) <= 3  # cookie, crumb, the question


def test_a_symbol_that_was_unknown_for_a_moment_is_found_again(yahoo, server):
    server.failure, server.failing_for = "gone", "/chart/"
    for _ in range(3):  # the first two times of a process yfinance looks for it elsewhere too
        with pytest.raises(PriceUnavailable, match="KO"):
            yahoo.fetch("KO")
    server.failure = None
    assert len(yahoo.fetch("KO").bars) == 754


@pytest.mark.parametrize("symbol", ["", "  ", "KO/../x", "KO?range=max", "ÄÖ", "US1912161007"])
def test_what_is_no_symbol_is_never_asked_for(yahoo, server, symbol):
    with pytest.raises(InvalidInput, match="no symbol of Yahoo's"):
        yahoo.fetch(symbol)
    assert server.requests == []


def test_an_unknown_interval_or_a_range_turned_round_is_refused(yahoo, server):
    with pytest.raises(InvalidInput, match="Yahoo has 1d, 1h, 30m, 15m, 5m, 1m"):
        yahoo.fetch("KO", "2h")
    with pytest.raises(InvalidInput, match="is after end"):
        yahoo.fetch("KO", "1d", date(2014, 12, 2), date(2014, 12, 1))
    assert server.requests == []


def test_a_silent_server_is_given_up_once_the_timeout_is_over(server, clock):
    impatient = YahooPrices(YahooSettings(server.url, timeout=1.5), clock)
    impatient.fetch("KO")
    server.failure = "hang"
    before = len(server.requests)
    with pytest.raises(Offline, match=r"did not answer within 1\.5 seconds"):
        impatient.fetch("KO")
    assert len(server.requests) == before + 1  # one timeout, not one for each way round it
    server.failure = None
    assert len(impatient.fetch("KO").bars) == 754


def test_a_refused_connection_is_offline(server, yahoo):
    server.stop()
    with pytest.raises(Offline, match="cannot be reached from here; check the connection"):
        yahoo.fetch("KO")


def test_while_yahoo_wants_no_requests_none_is_sent(yahoo, server, clock):
    server.failure = "limit"
    with pytest.raises(RateLimited) as first:
        yahoo.quote("KO")
    server.failure = None
    sent = len(server.requests)
    clock.now += timedelta(seconds=20.5)
    with pytest.raises(RateLimited) as second:
        yahoo.fetch("AAPL")
    assert (first.value.wait_seconds, second.value.wait_seconds) == (60, 40)
    assert first.value.code == "rate_limited"
    assert len(server.requests) == sent
    clock.now += timedelta(seconds=39.5)
    assert yahoo.quote("KO").price == Decimal("42.22")


def test_the_wait_doubles_while_yahoo_goes_on_refusing_and_ends_with_an_answer(
    yahoo, server, clock
):
    waits = []
    server.failure = "limit"
    for _ in range(8):
        with pytest.raises(RateLimited) as refusal:
            yahoo.quote("KO")
        waits.append(refusal.value.wait_seconds)
        clock.now += timedelta(seconds=waits[-1])
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    server.failure = None
    yahoo.quote("KO")
    server.failure = "limit"
    with pytest.raises(RateLimited, match="in 60 seconds"):
        yahoo.quote("KO")


def test_a_clock_set_back_locks_nobody_out(yahoo, server, clock):
    server.failure = "limit"
    with pytest.raises(RateLimited):
        yahoo.quote("KO")
    server.failure = None
    clock.now -= timedelta(days=1)
    assert yahoo.quote("KO").symbol == "KO"


def test_a_refused_crumb_does_not_keep_the_charts_away(yahoo, server, monkeypatch):
    real = server.answer
    monkeypatch.setattr(
        server,
        "answer",
        lambda path, *rest: (429, "Too Many Requests") if "crumb" in path else real(path, *rest),
    )
    assert len(yahoo.fetch("KO").bars) == 754


def test_two_servers_do_not_see_each_others_crumbs(server, yahoo, clock):
    with serving(clock) as other:
        other.announce("KO", date(2015, 3, 11), date(2015, 4, 1))
        beside = YahooPrices(YahooSettings(other.url), clock)
        assert yahoo.upcoming_dividend("KO").ex_on is None
        assert str(beside.upcoming_dividend("KO").ex_on) == "2015-03-11"
        assert yahoo.upcoming_dividend("KO").ex_on is None
    assert [len(it.requests) for it in (server, other)] == [6, 3]  # cookie, crumb, answer


def test_threads_take_turns_and_all_get_their_own_answer(yahoo):
    symbols = BundledPrices().symbols()
    got: dict[str, PriceHistory] = {}
    threads = [
        threading.Thread(
            target=lambda name=name: got.update({name: yahoo.fetch(name, "1d", date(2014, 1, 2))})
        )
        for name in symbols
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for symbol in symbols:
        expected = BundledPrices().history(symbol).bars.loc["2014-01-02":"2014-12-31", "close"]
        assert got[symbol].bars.loc[:"2014-12-31", "close"].tolist() == expected.tolist()


def test_a_row_that_cannot_be_is_refused_by_its_date(yahoo, server):
    server.spoil("KO", date(2014, 12, 30), high=1.0)
    with pytest.raises(InvalidPrices, match="1 row of Yahoo's KO cannot be used: 2014-12-30"):
        yahoo.fetch("KO")


def test_a_history_that_yahoo_forgot_to_adjust_is_refused(yahoo, server):
    closes = server.series["KO"]
    server.split("KO", date(2014, 12, 30), 2.0)
    server.series["KO"] = type(closes)(
        closes.bars, closes.dividends, server.series["KO"].splits, closes.listing
    )
    server.spoil("KO", date(2014, 12, 30), open=21.4, high=21.6, low=21.3, close=21.5)
    with pytest.raises(UnadjustedPrices, match="split of 2014-12-30 with ratio 2"):
        yahoo.fetch("KO")


def test_a_zero_open_is_taken_as_unknown_and_told(yahoo, server):
    server.spoil("KO", date(2012, 1, 4), open=0.0)
    history = yahoo.fetch("KO")
    assert np.isnan(history.bars["open"].loc["2012-01-04"])
    assert history.notes == (
        "Yahoo lacks open, high or low in 1 of 754 bars, 2012-01-04 to 2012-01-04: "
        "only their closes can be used",
    )


def test_a_share_abroad_keeps_its_currency_and_its_own_dates(yahoo, server, clock):
    server.list_at("KO", Listing("JPX", "Asia/Tokyo", "JPY"))
    clock.now = datetime(2014, 12, 29, 23, 0, tzinfo=UTC)  # Tuesday morning in Tokyo, before nine
    history = yahoo.fetch("KO", "1d", date(2014, 12, 1))
    assert history.listing == Listing("JPX", "Asia/Tokyo", "JPY")
    assert str(history.last_date) == "2014-12-29"
    hours = yahoo.fetch("KO", "1h", date(2014, 12, 29), date(2014, 12, 29))
    assert str(hours.bars.index[0]) == "2014-12-29 09:00:00"
    assert yahoo.quote("KO").currency == "JPY"


@pytest.mark.parametrize(
    ("now", "session", "made_at", "price"),
    [
        ("2014-12-30T13:00:00+00:00", "pre", "2014-12-29T21:00:00+00:00", "42.86"),
        ("2014-12-30T16:00:00+00:00", "regular", "2014-12-30T16:00:00+00:00", "42.76"),
        ("2014-12-30T21:30:00+00:00", "post", "2014-12-30T21:00:00+00:00", "42.76"),
        ("2015-01-04T16:00:00+00:00", "closed", "2014-12-31T21:00:00+00:00", "42.22"),
    ],
)
def test_a_quote_says_when_it_was_made_and_what_the_exchange_does(
    yahoo, server, clock, now, session, made_at, price
):
    clock.now = datetime.fromisoformat(now)
    quoted = yahoo.quote("ko")
    previous = {"42.86": "42.96", "42.76": "42.86", "42.22": "42.76"}[price]
    assert quoted == MarketQuote(
        "KO",
        Decimal(price),
        datetime.fromisoformat(made_at),
        session,
        "USD",
        Decimal(previous),
    )
    assert server.asked("/chart/") == 1


def test_a_quote_without_a_price_is_no_quote(yahoo, server):
    server.spoil("KO", date(2014, 12, 31), close=0.0)
    with pytest.raises(UpstreamBroken, match="gave no price of KO"):
        yahoo.quote("KO")


def test_a_dividend_without_dates_is_not_made_up(yahoo, server):
    assert yahoo.upcoming_dividend("KO").ex_on is None
    server.announce("KO", date(2015, 3, 11), None)
    announced = yahoo.upcoming_dividend("KO")
    assert (announced.ex_on, announced.pay_on) == (date(2015, 3, 11), None)


ASK_ELSEWHERE = """
import sys
from volbal.market.yahoo import YahooPrices, YahooSettings
import yfinance
yahoo = YahooPrices(YahooSettings(sys.argv[1]))
named = yahoo.upcoming_dividend("KO")
print(named.ex_on, named.pay_on, yahoo.fetch("KO").last_date)
"""


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo"])
def test_the_ex_date_is_the_same_day_wherever_the_machine_stands(server, zone, tmp_path):
    server.announce("KO", date(2015, 3, 11), date(2015, 4, 1))
    server.clock = lambda: datetime.now(UTC)
    said = subprocess.run(
        [sys.executable, "-c", ASK_ELSEWHERE, server.url],
        env={**os.environ, "TZ": zone, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert said.stdout.split() == ["2015-03-11", "2015-04-01", "2014-12-31"], said.stderr
    assert list(tmp_path.iterdir()) == []  # and yfinance left no files with the user

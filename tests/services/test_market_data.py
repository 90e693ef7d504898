"""Stored prices end to end: a server in Yahoo's format, yfinance, the DuckDB file.

The bundle of KO ends on 2014-12-31; the clock of the server decides how much of it has happened.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from yahoo_server import YahooServer, serving

from volbal.config import Settings
from volbal.domain import wording
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.bundled import BundledPrices
from volbal.market.model import Listing
from volbal.market.validation import UnadjustedPrices
from volbal.market.yahoo import (
    Offline,
    RangeUnavailable,
    RateLimited,
    UpstreamBroken,
    YahooPrices,
    YahooSettings,
)
from volbal.services import market_data, price_import, trading
from volbal.services.market_data import history, latest_price, refresh, refresh_quote
from volbal.storage.database import Database
from volbal.storage.rows import StoredClose

MONDAY = datetime(2014, 12, 22, 23, 0, tzinfo=UTC)
NEW_YEAR = datetime(2015, 1, 1, 16, 0, tzinfo=UTC)
INTRADAY = datetime(2014, 12, 30, 16, 0, tzinfo=UTC)  # 11:00 in New York


class Clock:
    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[YahooServer]:
    with serving(clock) as running:
        yield running


@pytest.fixture
def yahoo(server: YahooServer, clock: Clock) -> YahooPrices:
    return YahooPrices(YahooSettings(server.url, timeout=30.0), clock)


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything stored of prices."""
    with database.read() as connection:
        return {
            table: connection.execute(f"from {table} order by all").fetchall()
            for table in ("price_series", "bars", "price_dividends", "price_splits", "quotes")
        }


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_freq=False)


def test_what_was_fetched_comes_back_to_the_last_bit(database, yahoo, clock):
    clock.now = NEW_YEAR
    told = refresh(database, yahoo, "ko", "1d", clock.now)
    bundled = BundledPrices().history("KO")
    found = history(database, "KO")
    for name in ("bars", "dividends", "splits"):
        same(getattr(found, name), getattr(bundled, name))
    assert (told.new_bars, told.new_dividends, told.new_splits) == (754, 12, 1)
    assert told.sentence == (
        "KO 1d got 754 new bars, 12 new dividends, 1 new split: now 2012-01-03 to 2014-12-31."
    )
    assert found.provenance.source == "stored: Yahoo, fetched 2015-01-01 16:00 UTC"
    assert found.listing == Listing("NYQ", "America/New_York", "USD")


def test_a_symbol_without_dividends_is_fetched_again(database, yahoo, clock):
    clock.now = NEW_YEAR
    refresh(database, yahoo, "AMZN", "1d", clock.now - timedelta(days=10))
    assert refresh(database, yahoo, "AMZN", "1d", clock.now).new_dividends == 0


def test_a_second_fetch_asks_for_the_last_days_only_and_appends_what_is_new(
    database, yahoo, clock, server
):
    refresh(database, yahoo, "KO", "1d", clock.now)
    before = history(database, "KO")
    revision = market_data.revisions(database)["KO", "1d"]
    clock.now = NEW_YEAR
    del server.requests[:]
    told = refresh(database, yahoo, "KO", "1d", clock.now)
    # 23, 24, 26, 29, 30 and 31 December.
    assert (told.new_bars, told.refetched) == (6, "")
    assert told.sentence == "KO 1d got 6 new bars: now 2012-01-03 to 2014-12-31."
    asked = [request for request in server.requests if "/chart/KO" in request]
    start = int(datetime(2014, 12, 16, 5, tzinfo=UTC).timestamp())  # five sessions back
    assert [f"period1={start}" in request for request in asked] == [True]
    after = history(database, "KO")
    same(after.bars.iloc[: len(before.bars)], before.bars)
    same(after.bars, BundledPrices().history("KO").bars)
    assert market_data.revisions(database)["KO", "1d"] > revision


def test_a_fetch_without_anything_new_only_notes_its_time(database, yahoo, clock):
    refresh(database, yahoo, "KO", "1d", clock.now)
    revisions = market_data.revisions(database)
    later = clock.now + timedelta(hours=2)
    told = refresh(database, yahoo, "KO", "1d", later)
    assert told.sentence == "KO 1d has nothing new: it reaches to 2014-12-22."
    assert market_data.revisions(database) == revisions
    assert history(database, "KO").provenance.source.endswith("fetched 2014-12-23 01:00 UTC")


def test_a_split_between_two_fetches_replaces_the_whole_series(database, yahoo, clock, server):
    refresh(database, yahoo, "KO", "1d", clock.now)
    before = history(database, "KO")
    server.split("KO", date(2014, 12, 29), 4.0)
    clock.now = NEW_YEAR
    told = refresh(database, yahoo, "KO", "1d", clock.now)
    assert told.refetched == "there was a split of 4 for 1 on 2014-12-29"
    assert (told.new_bars, told.new_splits, told.lost_bars) == (6, 1, 0)
    after = history(database, "KO")
    assert after.bars["close"].iloc[0] == before.bars["close"].iloc[0] / 4
    assert after.dividends["amount"].iloc[0] == before.dividends["amount"].iloc[0] / 4
    # Once is enough: the split is known now.
    assert refresh(database, yahoo, "KO", "1d", clock.now).brings_nothing


def test_a_split_that_the_source_has_not_worked_in_yet_changes_nothing(
    database, yahoo, clock, server
):
    refresh(database, yahoo, "KO", "1d", clock.now)
    before = rows(database)
    server.series["KO"].splits[date(2014, 12, 29)] = 4.0
    for day in ("2014-12-29", "2014-12-30", "2014-12-31"):
        server.spoil("KO", date.fromisoformat(day), open=10.7, high=10.7, low=10.7, close=10.7)
    clock.now = NEW_YEAR
    with pytest.raises(UnadjustedPrices):
        refresh(database, yahoo, "KO", "1d", clock.now)
    assert rows(database) == before


def test_a_changed_row_replaces_the_whole_series_and_says_which(database, yahoo, clock, server):
    refresh(database, yahoo, "KO", "1d", clock.now)
    server.spoil("KO", date(2014, 12, 19), close=41.9)
    told = refresh(database, yahoo, "KO", "1d", clock.now)
    assert told.refetched == "the close of 2014-12-19 was 41.95, now 41.9"
    assert told.sentence.startswith("KO 1d was fetched anew because the close of 2014-12-19")
    assert history(database, "KO").bars.loc["2014-12-19", "close"] == 41.9


def test_pay_dates_that_only_a_file_knows_outlive_a_full_fetch(database, yahoo, clock, server):
    refresh(database, yahoo, "KO", "1d", clock.now)
    looked_at = price_import.preview(
        database, "paid.csv", b"Ex-Date,Amount,Pay Date\n2014-11-26,0.305,2014-12-15\n", "KO"
    )
    price_import.save(database, looked_at, clock.now)
    server.spoil("KO", date(2014, 12, 19), close=41.9)
    assert refresh(database, yahoo, "KO", "1d", clock.now).refetched
    paid = history(database, "KO").dividends.set_index("ex_date")["pay_date"]
    assert paid["2014-11-26"] == pd.Timestamp("2014-12-15")
    assert paid.isna().sum() == len(paid) - 1


def test_a_dividend_dated_today_is_stored_once(database, yahoo, clock, server):
    clock.now = INTRADAY  # the bar of the 30th is not finished
    server.series["KO"].dividends[date(2014, 12, 30)] = 0.5
    first = refresh(database, yahoo, "KO", "1d", clock.now)
    clock.now = NEW_YEAR
    second = refresh(database, yahoo, "KO", "1d", clock.now)
    assert (first.new_dividends, second.new_dividends) == (13, 0)
    dates = history(database, "KO").dividends["ex_date"].tolist()
    assert dates.count(pd.Timestamp("2014-12-30")) == 1


def test_odd_new_rows_are_stored_and_told(database, yahoo, clock, server):
    refresh(database, yahoo, "KO", "1d", clock.now)
    clock.now = NEW_YEAR
    series = server.series["KO"]
    server.series["KO"] = replace(series, bars=series.bars.drop(pd.Timestamp("2014-12-26")))
    server.spoil("KO", date(2014, 12, 31), open=99.0, high=99.0, low=99.0, close=99.0)
    assert refresh(database, yahoo, "KO", "1d", clock.now).findings == (
        "There is no bar of 2014-12-26, a session of the exchange.",
        "The close goes from 42.76 to 99 on 2014-12-31: a real move, or a split that the source "
        "missed.",
    )
    assert market_data.coverage(database)[6].gaps == (date(2014, 12, 26),)


FAILURES = {
    "limit": RateLimited,
    "error": UpstreamBroken,
    "junk": UpstreamBroken,
    "empty": RangeUnavailable,
    "hang": Offline,
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_fetch_leaves_the_stored_prices_and_the_next_one_works(
    database, server, clock, failure
):
    yahoo = YahooPrices(YahooSettings(server.url, timeout=2.0), clock)
    refresh(database, yahoo, "KO", "1d", clock.now)
    before = rows(database)
    server.failure, clock.now = failure, NEW_YEAR
    with pytest.raises(FAILURES[failure]) as refused:
        refresh(database, yahoo, "KO", "1d", clock.now)
    assert rows(database) == before
    assert latest_price(database, "KO", clock.now).price == Decimal("42.35")
    server.failure = None
    clock.now += timedelta(seconds=getattr(refused.value, "wait_seconds", 0))
    assert refresh(database, yahoo, "KO", "1d", clock.now).new_bars == 6


def test_offline_the_stored_prices_are_used_then_the_bundled_ones_and_both_say_their_age(
    database, clock
):
    with serving(clock) as server:
        yahoo = YahooPrices(YahooSettings(server.url), clock)
        refresh(database, yahoo, "KO", "1d", clock.now)
    with pytest.raises(Offline):
        refresh(database, yahoo, "KO", "1d", NEW_YEAR)
    with pytest.raises(Offline):
        refresh_quote(database, yahoo, "KO", NEW_YEAR)
    stored, bundled = history(database, "KO"), history(database, "MSFT")
    assert stored.provenance.source == "stored: Yahoo, fetched 2014-12-22 23:00 UTC"
    assert bundled.provenance.source.startswith("bundled: ")
    for symbol, source, day in (
        ("KO", "close of 2014-12-22 (stored, Yahoo)", 22),
        ("MSFT", "close of 2014-12-31 (bundled)", 31),
    ):
        seen = latest_price(database, symbol, NEW_YEAR)
        assert (seen.source, seen.is_live, seen.is_close) == (source, False, True)
        assert seen.made_at == datetime(2014, 12, day, 21, tzinfo=UTC)  # 16:00 in New York
        assert seen.age == NEW_YEAR - seen.made_at
    assert market_data.fallback(database, ["MSFT", "KO", "IBM", "zzz"], "1d", NEW_YEAR) == (
        "The bundled 1d prices of MSFT, IBM go on being used: the oldest end on 2014-12-31, "
        "19 h ago. The stored 1d prices of KO go on being used: they end on 2014-12-22, 10 days "
        "ago. There are no 1d prices of ZZZ here."
    )


@pytest.mark.parametrize("days", [0.6, 1.4, 1.6, 7.5, 4351.0])
def test_one_close_is_equally_old_wherever_it_is_told(database, days: float):
    now = datetime(2014, 12, 31, 21, tzinfo=UTC) + timedelta(days=days)  # after the last close
    told = wording.duration(latest_price(database, "KO", now).age.total_seconds())
    ko = next(one for one in market_data.coverage(database) if one.symbol == "KO")
    assert wording.age(ko.ends_at, now) == told
    assert market_data.fallback(database, ["KO"], "1d", now).endswith(f" 2014-12-31, {told} ago.")


def test_a_quote_is_live_for_a_quarter_of_an_hour_and_then_the_last_price_seen(
    database, yahoo, clock
):
    clock.now = INTRADAY
    refresh(database, yahoo, "KO", "1d", clock.now)
    live = refresh_quote(database, yahoo, "KO", clock.now)
    assert (live.source, live.is_live, live.session, live.currency) == (
        "Yahoo",
        True,
        "regular",
        "USD",
    )
    assert latest_price(database, "KO", clock.now) == live
    later = latest_price(database, "KO", clock.now + timedelta(minutes=16))
    assert (later.price, later.is_live, later.is_close) == (live.price, False, False)
    quote = live.as_quote()
    assert (quote.price, quote.made_at, quote.in_session) == (live.price, live.made_at, True)


def test_a_newer_stored_close_is_shown_before_an_older_quote(database, yahoo, clock):
    clock.now = INTRADAY
    refresh_quote(database, yahoo, "KO", clock.now)
    clock.now = NEW_YEAR
    refresh(database, yahoo, "KO", "1d", clock.now)
    assert latest_price(database, "KO", clock.now).source == "close of 2014-12-31 (stored, Yahoo)"


def test_no_close_is_ever_live(database, yahoo, clock):
    refresh(database, yahoo, "KO", "1d", clock.now)
    at_the_close = datetime(2014, 12, 22, 21, 0, tzinfo=UTC)
    assert not latest_price(database, "KO", at_the_close).is_live
    assert not latest_price(database, "AAPL", datetime(2023, 9, 21, 20, tzinfo=UTC)).is_live


def test_an_evaluation_records_where_its_price_comes_from(database, clock):
    from books import a_cell

    cell = a_cell(database)
    seen = latest_price(database, "KO", NEW_YEAR)
    told = trading.preview(database, cell.position_id, seen.as_quote(), NEW_YEAR)
    assert told.price_source == "close of 2014-12-31 (bundled)"
    assert told.price_age == seen.age.total_seconds()


def test_intraday_bars_are_a_series_of_their_own(database, yahoo, clock):
    refresh(database, yahoo, "KO", "1h", clock.now)
    clock.now += timedelta(days=1)
    told = refresh(database, yahoo, "KO", "1h", clock.now)
    assert (told.new_bars, told.refetched) == (7, "")
    assert history(database, "KO", "1h").bars.index[-1] == pd.Timestamp("2014-12-23 15:30")
    assert history(database, "KO").provenance.source.startswith("bundled")
    assert "KO" in market_data.known_symbols(database)


def test_bars_that_the_source_reaches_no_longer_are_not_torn_apart(database, yahoo, clock):
    clock.now = datetime(2013, 3, 1, 23, tzinfo=UTC)
    refresh(database, yahoo, "KO", "15m", clock.now)
    before = rows(database)
    clock.now = NEW_YEAR
    with pytest.raises(RangeUnavailable, match="delete the stored ones to start anew"):
        refresh(database, yahoo, "KO", "15m", clock.now)
    assert rows(database) == before


def test_two_threads_that_fetch_one_series_store_it_once(database, yahoo, clock):
    refresh(database, yahoo, "KO", "1d", clock.now)
    told, together = [], threading.Barrier(2)

    def fetch() -> None:
        together.wait()
        told.append(refresh(database, yahoo, "KO", "1d", NEW_YEAR))

    clock.now = NEW_YEAR
    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.new_bars for one in told) == [0, 6]
    same(history(database, "KO").bars, BundledPrices().history("KO").bars)


def test_a_series_from_a_file_is_not_overwritten_by_a_fetch(database, yahoo, clock):
    looked_at = price_import.preview(database, "own.csv", b"Date,Close\n2014-12-01,44\n", "KO")
    price_import.save(database, looked_at, clock.now)
    before = rows(database)
    with pytest.raises(InvalidInput, match=r"imported from file own\.csv; import a longer"):
        refresh(database, yahoo, "KO", "1d", clock.now)
    assert rows(database) == before


def test_deleting_brings_the_bundled_prices_back(database, yahoo, clock):
    refresh(database, yahoo, "KO", "1d", clock.now)
    assert market_data.delete(database, "KO") == (
        "The stored 1d prices of KO are deleted. The bundled ones take their place: they end on "
        "2014-12-31."
    )
    assert rows(database)["bars"] == []
    assert history(database, "KO").provenance.source.startswith("bundled")
    with pytest.raises(PriceUnavailable, match="No 1d prices of KO are stored"):
        market_data.delete(database, "KO")


def test_coverage_says_what_there_is_of_every_series(database, yahoo, clock):
    refresh(database, yahoo, "KO", "1d", clock.now)
    found = {one.symbol: one for one in market_data.coverage(database)}
    assert list(found) == list(BundledPrices().symbols())
    ko, aapl = found["KO"], found["AAPL"]
    assert (ko.source, ko.fetched_at, ko.bars, ko.dividends, ko.splits, ko.gaps) == (
        "Yahoo",
        MONDAY,
        748,
        12,
        1,
        (),
    )
    assert ko.ends_at == datetime(2014, 12, 22, 21, tzinfo=UTC)
    assert (ko.is_stored, aapl.is_stored, aapl.source) == (True, False, "bundled")
    assert (aapl.first_date, aapl.last_date) == (date(2000, 3, 1), date(2023, 9, 21))


def test_an_unknown_symbol_is_refused_with_what_is_known(database):
    with pytest.raises(PriceUnavailable, match=r"no 1d prices of ZZZ here.*AAPL, AMZN.*Data page"):
        history(database, "zzz")
    with pytest.raises(PriceUnavailable, match="No price of ZZZ is known"):
        latest_price(database, "ZZZ", NEW_YEAR)


def test_the_process_asks_the_server_that_the_environment_names(monkeypatch, server, clock):
    monkeypatch.setenv("VOLBAL_YAHOO_URL", server.url)
    yahoo = market_data.yahoo()
    assert yahoo is market_data.yahoo()
    server.announce("KO", date(2015, 3, 12), date(2015, 4, 1))
    upcoming = market_data.upcoming_dividend(yahoo, "ko")
    assert (upcoming.ex_on, upcoming.pay_on) == (date(2015, 3, 12), date(2015, 4, 1))
    assert Settings.from_environment().yahoo_url == server.url


def test_a_stored_close_is_stamped_by_the_exchange_it_comes_from():
    friday = date(2026, 1, 9)
    for exchange, closed in (("JPX", "06:30"), ("LSE", "16:30"), ("NYQ", "21:00")):
        seen = market_data.newest("X", None, StoredClose(friday, 10.0, "Yahoo", exchange), NEW_YEAR)
        assert seen is not None
        assert f"{seen.made_at.astimezone(UTC):%Y-%m-%d %H:%M}" == f"2026-01-09 {closed}"

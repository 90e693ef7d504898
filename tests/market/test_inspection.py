"""What is said about prices that can be used but look odd."""

from dataclasses import replace

import pandas as pd
import pytest

from volbal.market.bundled import BundledPrices
from volbal.market.inspection import calendar_for, findings, missing_sessions
from volbal.market.model import Listing

KO = BundledPrices().history("KO")


def sentences(**changes):
    return [one.sentence for one in findings(replace(KO, **changes))]


def without(*days):
    return KO.bars.drop(pd.DatetimeIndex(days))


def with_closes(closes):
    bars = KO.bars.copy()
    bars.loc[list(closes), "close"] = list(closes.values())
    return bars


def test_bundled_prices_show_what_their_notes_name_and_nothing_else():
    said = {
        symbol: [one.sentence for one in findings(BundledPrices().history(symbol))]
        for symbol in BundledPrices().symbols()
    }
    assert {symbol: len(found) for symbol, found in said.items() if found} == {"AAPL": 1, "MSFT": 1}
    assert said["AAPL"][0].startswith("The close goes from 0.955357 to 0.459821 on 2000-09-29")
    assert said["MSFT"][0].startswith("The dividend of 2004-11-15, 3.08, is large")


def test_missing_sessions_that_follow_one_another_are_one_finding():
    bars = without("2014-05-23", "2014-05-27", "2014-06-02")  # Memorial Day between the first two
    assert sentences(bars=bars) == [
        "There is no bar from 2014-05-23 to 2014-05-27, 2 sessions of the exchange.",
        "There is no bar of 2014-06-02, a session of the exchange.",
    ]
    assert [str(day) for day in missing_sessions(replace(KO, bars=bars))] == [
        "2014-05-23",
        "2014-05-27",
        "2014-06-02",
    ]


def test_a_bar_on_a_holiday_is_told():
    bars = KO.bars.rename(index={pd.Timestamp("2014-07-03"): pd.Timestamp("2014-07-04")})
    assert sentences(bars=bars) == [
        "There is no bar of 2014-07-03, a session of the exchange.",
        "There is a bar of 2014-07-04, when the exchange was closed.",
    ]


# 2014-12-30 closed at 42.76, and 42.76 / 1.4 = 30.543, 42.76 x 1.4 = 59.864.
@pytest.mark.parametrize(("close", "count"), [(30.54, 1), (30.55, 0), (59.86, 0), (59.87, 1)])
def test_a_close_beyond_two_fifths_of_the_one_before_is_told(close, count):
    assert len(sentences(bars=with_closes({pd.Timestamp("2014-12-31"): close}))) == count


def test_equal_closes_in_a_row_are_told():
    days = KO.bars.index[-5:]
    assert sentences(bars=with_closes(dict.fromkeys(days, 42.0))) == [
        "5 closes in a row, 2014-12-24 to 2014-12-31, are all 42: the source may have repeated one."
    ]


def test_where_the_exchange_is_unknown_no_session_is_missing():
    athens = Listing("ATH", "Europe/Athens", "EUR")
    assert calendar_for(replace(KO, listing=athens)) is None
    assert calendar_for(replace(KO, symbol="KO.XX")) is None
    assert missing_sessions(replace(KO, listing=athens, bars=without("2014-06-02"))) == ()


def test_a_listing_elsewhere_has_the_holidays_of_its_exchange():
    london = replace(KO, listing=Listing("LSE", "Europe/London", "GBp"))
    said = [one.sentence for one in findings(london)]
    assert "There is a bar of 2014-08-25, when the exchange was closed." in said
    assert "There is no bar of 2014-07-04, a session of the exchange." in said

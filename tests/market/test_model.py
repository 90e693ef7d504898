"""What `PriceHistory.between` gives, moves and refuses."""

import datetime

import pandas as pd
import pytest

from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.model import BAR_COLUMNS, BASIS, PriceHistory, Provenance

Date = datetime.date

# Friday 3rd, Monday 6th, Tuesday 7th, Thursday 9th (8th closed), Friday 10th of January 2020.
SESSIONS = ["2020-01-03", "2020-01-06", "2020-01-07", "2020-01-09", "2020-01-10"]


def history(times=SESSIONS, interval="1d"):
    index = pd.DatetimeIndex(times, name="time").as_unit("s")
    bars = pd.DataFrame(10.0, index=index, columns=list(BAR_COLUMNS))
    dates = pd.to_datetime(["2020-01-03", "2020-01-08", "2020-01-10"]).as_unit("s")
    dividends = pd.DataFrame({"ex_date": dates, "amount": [0.1, 0.2, 0.3]})
    dividends["pay_date"] = pd.Series(pd.NaT, index=dividends.index, dtype="datetime64[s]")
    splits = pd.DataFrame({"date": dates[:1], "ratio": [2.0]})
    provenance = Provenance("file x.csv", BASIS, interval, index[-1].date())
    return PriceHistory("KO", bars, dividends, splits, provenance, ("read from a file",))


def between(start, end):
    return history().between(start and Date.fromisoformat(start), end and Date.fromisoformat(end))


def test_without_dates_everything_is_kept_and_nothing_noted():
    whole = between(None, None)
    assert list(whole.bars.index.strftime("%Y-%m-%d")) == SESSIONS
    assert whole.notes == ("read from a file",)


def test_both_dates_are_included():
    part = between("2020-01-06", "2020-01-09")
    assert list(part.bars.index.strftime("%d")) == ["06", "07", "09"]
    assert (part.first_date, part.last_date) == (Date(2020, 1, 6), Date(2020, 1, 9))
    assert part.notes == ("read from a file",)


def test_dates_without_a_session_move_inwards_and_say_so():
    part = between("2020-01-04", "2020-01-08")
    assert (part.first_date, part.last_date) == (Date(2020, 1, 6), Date(2020, 1, 7))
    assert part.notes[1:] == (
        "start 2020-01-04 is no session; moved to 2020-01-06",
        "end 2020-01-08 is no session; moved to 2020-01-07",
    )


def test_up_to_six_days_outside_the_bars_move_to_their_edge():
    part = between("2019-12-28", "2020-01-16")
    assert (part.first_date, part.last_date) == (Date(2020, 1, 3), Date(2020, 1, 10))
    assert part.notes[1:] == (
        "start 2019-12-28 is no session; moved to 2020-01-03",
        "end 2020-01-16 is no session; moved to 2020-01-10",
    )


@pytest.mark.parametrize(
    ("start", "end", "outside"),
    [
        ("2019-12-27", None, "start 2019-12-27"),  # seven days early
        (None, "2020-01-17", "end 2020-01-17"),  # seven days late
        ("2020-01-11", None, "start 2020-01-11"),  # nothing lies inwards
        (None, "2020-01-02", "end 2020-01-02"),
    ],
)
def test_a_range_the_source_lacks_is_refused_with_what_it_has(start, end, outside):
    with pytest.raises(PriceUnavailable) as refusal:
        between(start, end)
    assert str(refusal.value) == (
        f"KO has bars from 2020-01-03 to 2020-01-10 here; {outside} is outside, "
        f"choose dates within that range."
    )


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (
            "2020-01-09",
            "2020-01-06",
            "dates: start 2020-01-09 is after end 2020-01-06; start must not be after end.",
        ),
        (
            "2020-01-04",
            "2020-01-05",
            "dates: 2020-01-04 to 2020-01-05 holds no bar of KO; "
            "choose a longer range, at least 2 bars.",
        ),
        (
            "2020-01-10",
            None,
            "dates: 2020-01-10 to 2020-01-10 holds only 1 bar of KO; "
            "choose a longer range, at least 2 bars.",
        ),
    ],
)
def test_a_range_without_two_bars_is_refused(start, end, sentence):
    with pytest.raises(InvalidInput) as refusal:
        between(start, end)
    assert str(refusal.value) == sentence
    assert refusal.value.code == "invalid_dates"


def test_two_bars_are_enough():
    assert len(between("2020-01-09", "2020-01-10").bars) == 2


def test_dividends_and_splits_outside_the_range_are_dropped():
    part = between("2020-01-06", "2020-01-09")
    assert part.dividends["amount"].tolist() == [0.2]  # its ex-date has no bar and still counts
    assert part.splits.empty


def test_dividends_on_the_first_and_last_day_are_kept():
    assert between("2020-01-03", "2020-01-10").dividends["amount"].tolist() == [0.1, 0.2, 0.3]


def test_the_last_intraday_bar_of_the_end_date_is_included():
    times = ["2020-01-06 09:30", "2020-01-06 15:30", "2020-01-07 09:30", "2020-01-07 15:30"]
    part = history(times, "6h").between(None, Date(2020, 1, 6))
    assert list(part.bars.index) == [pd.Timestamp(times[0]), pd.Timestamp(times[1])]
    assert part.last_date == Date(2020, 1, 6)


def test_two_intraday_bars_of_one_date_are_a_range():
    times = ["2020-01-06 09:30", "2020-01-06 15:30", "2020-01-07 09:30"]
    assert len(history(times, "6h").between(Date(2020, 1, 6), Date(2020, 1, 6)).bars) == 2


def test_a_part_still_says_how_far_its_source_reaches():
    part = between("2020-01-03", "2020-01-06")
    assert part.provenance.as_of == Date(2020, 1, 10)


@pytest.mark.parametrize("column", ["open", "high", "low"])
def test_one_missing_price_of_a_bar_means_no_ohlc(column):
    lacking = history()
    assert lacking.has_ohlc
    lacking.bars.loc[lacking.bars.index[2], column] = float("nan")
    assert not lacking.has_ohlc


def test_missing_volume_does_not_matter_for_ohlc():
    lacking = history()
    lacking.bars["volume"] = float("nan")
    assert lacking.has_ohlc

"""Which prices are refused, and in which words."""

import pandas as pd
import pytest

from volbal.errors import InvalidInput
from volbal.market.model import BASIS, PriceHistory, Provenance
from volbal.market.validation import InvalidPrices, UnadjustedPrices, validate

NAN, INF = float("nan"), float("inf")


def history(rows, dividends=(), splits=()):
    """rows: (date, open, high, low, close, volume); dividends, splits: (date, number)."""
    frame = pd.DataFrame(rows, columns=["time", "open", "high", "low", "close", "volume"])
    index = pd.DatetimeIndex(pd.to_datetime(frame.pop("time")), name="time").as_unit("s")
    bars = frame.astype("float64").set_index(index)
    paid = pd.DataFrame(dividends, columns=["ex_date", "amount"])
    split = pd.DataFrame(splits, columns=["date", "ratio"])
    paid["ex_date"] = pd.to_datetime(paid["ex_date"]).astype("datetime64[s]")
    paid["pay_date"] = pd.Series(pd.NaT, index=paid.index, dtype="datetime64[s]")
    split["date"] = pd.to_datetime(split["date"]).astype("datetime64[s]")
    paid["amount"], split["ratio"] = paid["amount"].astype(float), split["ratio"].astype(float)
    provenance = Provenance("test", BASIS, "1d", pd.Timestamp("2020-01-03").date())
    return PriceHistory("KO", bars, paid, split, provenance)


def closes(*prices, dividends=(), splits=(), first="2020-01-01"):
    days = pd.date_range(first, periods=len(prices))
    rows = [(day, NAN, NAN, NAN, price, NAN) for day, price in zip(days, prices, strict=True)]
    return history(rows, dividends, splits)


def reasons(bad):
    with pytest.raises(InvalidPrices) as refusal:
        validate(bad, "KO")
    assert not isinstance(refusal.value, UnadjustedPrices)
    return [(row.place, row.reason) for row in refusal.value.rows]


def bar(open_, high, low, close, volume=1.0):
    return history([("2020-01-02", open_, high, low, close, volume)])


def test_sound_bars_with_a_dividend_on_a_date_without_a_bar_pass():
    rows = [("2020-01-02", 10, 12, 9, 11, 5), ("2020-01-06", 11, 11, 11, 11, 0)]
    validate(history(rows, dividends=[("2020-01-04", 0.5)], splits=[("2020-01-05", 2.0)]), "KO")


def test_closes_alone_pass():
    validate(closes(10, 11), "KO")


def test_no_bar_at_all_is_refused():
    with pytest.raises(InvalidInput, match=r"^prices: KO has no bar; at least one is needed\.$"):
        validate(closes(), "KO")


@pytest.mark.parametrize(("close", "shown"), [(0, "0"), (-1.5, "-1.5"), (NAN, "nan"), (INF, "inf")])
def test_a_close_that_is_no_price_is_refused(close, shown):
    assert reasons(closes(10, close)) == [("2020-01-02", f"close {shown} is not a price above 0")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (bar(0, 12, NAN, 11), "open 0 is not a price above 0"),
        (bar(10, INF, 9, 11), "high inf is not a price above 0"),
        (bar(10, 12, -1, 11), "low -1 is not a price above 0"),
        (bar(10, 10.9, 9, 11), "high 10.9 is below 11 of the same bar"),
        (bar(12, 11.5, 9, 11), "high 11.5 is below 12 of the same bar"),
        (bar(10, 12, 10.5, 11), "low 10.5 is above 10 of the same bar"),
        (bar(10, 12, 9.5, 9), "low 9.5 is above 9 of the same bar"),
        (bar(NAN, NAN, 11.5, 11), "low 11.5 is above 11 of the same bar"),
        (bar(10, 12, 9, 11, -5), "volume -5 is not a number >= 0"),
        (bar(10, 12, 9, 11, INF), "volume inf is not a number >= 0"),
    ],
)
def test_a_bar_no_market_produces_is_refused(bad, reason):
    assert reasons(bad) == [("2020-01-02", reason)]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (closes(10, 1e308), "close 1e+308 is more than the ledger holds, below 1e+12"),
        (closes(10, 1e-300), "close 1e-300 is 0 with the 12 decimals that the ledger holds"),
        (
            closes(10, 11, dividends=[("2020-01-02", 1e300)]),
            "dividend 1e+300 is more than the ledger holds, below 1e+12",
        ),
        (
            closes(10, 11, splits=[("2020-01-02", 4e-13)]),
            "split ratio 4e-13 is 0 with the 12 decimals that the ledger holds",
        ),
    ],
)
def test_what_the_ledger_cannot_hold_is_refused(bad, told):
    assert reasons(bad) == [("2020-01-02", told)]


def test_what_the_ledger_just_holds_passes():
    validate(closes(5e-13, 9.9e11, dividends=[("2020-01-02", 1e-12)]), "KO")


def test_a_bar_that_has_not_come_yet_where_the_symbol_trades_is_refused():
    now = pd.Timestamp.now("America/New_York").floor("s").tz_localize(None)
    validate(closes(10, 11, first=now.normalize() - pd.Timedelta(days=1)), "KO")
    tomorrow = now.normalize() + pd.Timedelta(days=1)
    bad = closes(10, 11, first=tomorrow - pd.Timedelta(days=1))
    assert reasons(bad) == [(f"{tomorrow:%Y-%m-%d}", f"{tomorrow:%Y-%m-%d} has not come yet")]
    later = history([(now + pd.Timedelta(hours=2), NAN, NAN, NAN, 10, NAN)])
    assert [reason.endswith("has not come yet") for _, reason in reasons(later)] == [True]


def test_an_announced_dividend_may_be_ahead_but_not_by_years():
    soon = f"{pd.Timestamp.now() + pd.Timedelta(days=90):%Y-%m-%d}"
    validate(closes(10, 11, dividends=[(soon, 0.5)]), "KO")
    bad = closes(10, 11, dividends=[("9999-12-31", 0.5)], splits=[("9999-12-31", 2)])
    assert [reason for _, reason in reasons(bad)] == [
        "dividend of 9999-12-31 is more than two years ahead",
        "split of 9999-12-31 is more than two years ahead",
    ]


@pytest.mark.parametrize("high", [10.0, 10.0 * (1 - 0.9e-6)])
def test_a_high_short_by_rounding_passes(high):
    validate(bar(9, high, 9, 10), "KO")


@pytest.mark.parametrize(("high", "low"), [(10 * (1 - 1.1e-6), 9), (10, 9 * (1 + 1.1e-6))])
def test_a_range_short_by_more_than_rounding_is_refused(high, low):
    assert len(reasons(bar(9, high, low, 10))) == 1


def test_bad_bars_are_listed_by_date_whatever_is_wrong_with_them():
    bad = closes(10, 10, 0)
    bad.bars.loc["2020-01-02", "volume"] = -1
    assert [place for place, _ in reasons(bad)] == ["2020-01-02", "2020-01-03"]


def test_a_date_that_appears_twice_is_refused():
    rows = [(day, NAN, NAN, NAN, 10, NAN) for day in ("2020-01-02", "2020-01-02")]
    assert reasons(history(rows)) == [("2020-01-02", "2020-01-02 appears twice")]


def test_dates_that_fall_are_refused_with_intraday_times():
    rows = [(time, NAN, NAN, NAN, 10, NAN) for time in ("2020-01-02 10:30", "2020-01-02 09:30")]
    assert reasons(history(rows)) == [
        (
            "2020-01-02 09:30:00",
            "2020-01-02 09:30:00 stands after 2020-01-02 10:30:00, dates must rise",
        )
    ]


@pytest.mark.parametrize(("amount", "shown"), [(-0.1, "-0.1"), (NAN, "nan"), (INF, "inf")])
def test_a_dividend_that_is_no_amount_is_refused(amount, shown):
    bad = closes(10, 11, dividends=[("2020-01-02", amount)])
    assert reasons(bad) == [("2020-01-02", f"dividend {shown} is not an amount >= 0")]


def test_a_dividend_entered_twice_for_one_date_is_refused():
    bad = closes(10, 11, dividends=[("2020-01-02", 0.1), ("2020-01-02", 0.1)])
    assert reasons(bad) == [("2020-01-02", "dividend of 2020-01-02 appears twice")]


@pytest.mark.parametrize(("ratio", "shown"), [(0, "0"), (-2, "-2"), (NAN, "nan"), (INF, "inf")])
def test_a_split_ratio_that_is_none_is_refused(ratio, shown):
    bad = closes(10, 11, splits=[("2020-01-02", ratio)])
    assert reasons(bad) == [("2020-01-02", f"split ratio {shown} is not above 0")]


def test_a_refusal_lists_five_rows_with_all_their_reasons_and_counts_the_rest():
    bad = history(
        [("2020-01-01", 12, 11, 13, 0, 1)]
        + [(f"2020-01-0{day}", NAN, NAN, NAN, -1, NAN) for day in range(2, 9)]
    )
    with pytest.raises(InvalidPrices) as refusal:
        validate(bad, "KO")
    listed = "; ".join(f"2020-01-0{day}: close -1 is not a price above 0" for day in range(2, 6))
    # The first row is wrong in three ways and counts once.
    assert str(refusal.value) == (
        "prices: 8 rows of KO cannot be used: 2020-01-01: close 0 is not a price above 0, "
        "high 11 is below 13 of the same bar, low 13 is above 0 of the same bar; "
        f"{listed}; and 3 more; correct that at its source; nothing was read from it."
    )
    assert refusal.value.code == "invalid_prices"


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        (499.23, 129.04, 4),  # AAPL 2020-08-31 as traded: 3.4 % up on the day of its 4:1
        (645.57, 93.70, 7),  # AAPL 2014-06-09 as traded
        (100, 50, 2),
        (100, 66.67, 1.5),
        (100, 95.24, 1.05),
        (2.0, 20.5, 0.1),  # a reverse split multiplies the price
    ],
)
def test_a_close_that_jumps_by_a_split_ratio_is_unadjusted_data(before, after, ratio):
    with pytest.raises(UnadjustedPrices) as refusal:
        validate(closes(before, after, splits=[("2020-01-02", ratio)]), "KO")
    assert str(refusal.value) == (
        f"prices: unadjusted data, KO is not split-adjusted: 2020-01-02: close goes from "
        f"{before:g} to {after:g} at the split of 2020-01-02 with ratio {ratio:g}; divide every "
        f"price and dividend before a split by its ratio, or take split-adjusted ones "
        f"(yfinance with auto_adjust=False)."
    )


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        (100, 103.4, 4),  # adjusted, an ordinary day
        (100, 90, 2),
        (100, 48, 1.5),  # a crash well beyond the ratio
        (100, 200, 2),  # the other way round
        (100, 99.73, 1.0027455),  # GOOG 2015-04-27's ratio: any quiet day looks like it
    ],
)
def test_another_move_on_a_split_date_passes(before, after, ratio):
    validate(closes(before, after, splits=[("2020-01-02", ratio)]), "KO")


def test_a_halving_without_a_recorded_split_passes():
    validate(closes(100, 50, splits=[("2020-03-01", 2)]), "KO")


def test_a_split_on_a_date_without_a_bar_is_looked_for_at_the_next_bar():
    rows = [
        (day, NAN, NAN, NAN, price, NAN) for day, price in (("2020-01-03", 100), ("2020-01-06", 50))
    ]
    with pytest.raises(UnadjustedPrices, match="2020-01-06: close goes from 100 to 50"):
        validate(history(rows, splits=[("2020-01-04", 2)]), "KO")


def test_a_split_on_the_first_bar_has_nothing_to_jump_from():
    validate(closes(50, 100, splits=[("2020-01-01", 2)]), "KO")


def test_a_bar_or_dividend_without_a_date_is_refused():
    bad = closes(10, 11, dividends=[(None, 0.1)])
    bad.bars.index = pd.DatetimeIndex([pd.NaT, pd.Timestamp("2020-01-02")], name="time")
    assert reasons(bad) == [
        ("row 1", "no date"),
        ("2020-01-02", "2020-01-02 stands after no date, dates must rise"),
        ("row 1", "dividend of no date"),
    ]

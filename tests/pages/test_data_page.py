"""The Data page without a browser: nothing stored, much stored, Yahoo in every mood, no records."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from yahoo_server import YahooServer, serving

from volbal.services import market_data, positions, price_import, running
from volbal.ui import series as series_ui

NOW = datetime(2015, 1, 4, 16, tzinfo=UTC)  # a Sunday; the bundle of KO ends on 2014-12-31


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooServer]:
    with serving(lambda: NOW) as running_server:
        monkeypatch.setenv("VOLBAL_YAHOO_URL", running_server.url)
        yield running_server
    # Its wait after a 429 must not reach another test that gets the same port.
    market_data._yahoo_of.cache_clear()


def words(app: AppTest) -> str:
    """All text of the page."""
    shown = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.success]
    return "\n".join(str(element.value) for element in shown)


def fetch(app: AppTest, symbol: str) -> AppTest:
    app.text_input(key="data.wanted").set_value(symbol)
    return next(button for button in app.button if button.label == "Fetch").click().run()


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def series(app: AppTest) -> dict[str, list[object]]:
    """Source, freshness and bars of every series in the table, by symbol."""
    frame = app.dataframe[0].value
    return {row.symbol: [row.source, row.freshness, row.bars] for row in frame.itertuples()}


def test_with_nothing_stored_the_bundled_prices_are_shown_with_their_age(open_page) -> None:
    app = open_page("data")
    assert not app.exception
    shown = series(app)
    assert list(shown) == list(market_data.BUNDLED.symbols())
    assert shown["AAPL"][0] == "bundled"
    assert str(shown["AAPL"][1]).endswith("sessions behind")
    assert "**AAPL · 1d · 2000-03-01 to 2023-09-21**" in words(app)
    assert [tab.label for tab in app.tabs] == [
        "Bars (5,928)",
        "Dividends (45)",
        "Splits (4)",
        "Checks (1)",
    ]
    assert "Delete" not in [button.label for button in app.button]


def test_a_link_opens_its_symbol_in_any_case(open_page) -> None:
    app = open_page("data", {"symbol": "msft"})
    assert app.selectbox(key="symbol").value == "MSFT"
    assert "**MSFT · 1d · 2000-03-01 to 2014-12-31**" in words(app)


def test_a_link_to_an_unknown_symbol_offers_to_fetch_it(open_page) -> None:
    app = open_page("data", {"symbol": "zzz"})
    assert "There are no prices of ZZZ here yet" in words(app)
    assert app.text_input(key="data.wanted").value == "ZZZ"


def test_a_fetched_symbol_is_stored_and_shown(open_page, server) -> None:
    app = fetch(open_page("data"), "ko")
    assert not app.exception
    assert "KO 1d got 754 new bars, 12 new dividends, 1 new split" in words(app)
    assert app.selectbox(key="symbol").value == "KO"
    assert series(app)["KO"][0::2] == ["Yahoo", 754]
    app.selectbox(key="symbol").set_value("IBM").run()
    again = press(app, "Refresh all")
    assert "KO 1d has nothing new" in words(again)
    assert again.selectbox(key="symbol").value == "IBM"


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        ("limit", "try again in 60 seconds"),
        ("error", "Yahoo"),
        ("junk", "Yahoo"),
    ],
)
def test_a_failed_fetch_says_why_and_the_page_goes_on(
    open_page, server, failure: str, sentence: str
) -> None:
    server.failure = failure
    app = fetch(open_page("data", {"symbol": "KO"}), "KO")
    assert not app.exception
    assert sentence in app.error[0].value
    assert "**KO · 1d · 2012-01-03 to 2014-12-31**" in words(app)


def test_offline_the_first_failure_ends_the_round(open_page, monkeypatch) -> None:
    with serving(lambda: NOW) as gone:
        address = gone.url
        monkeypatch.setenv("VOLBAL_YAHOO_URL", address)
        database = running.database()
        for symbol in ("KO", "MSFT", "IBM"):
            market_data.refresh(database, market_data.yahoo(), symbol, "1d", NOW)
    app = press(open_page("data"), "Refresh all")
    assert len(app.error) == 1
    assert (
        "The stored 1d prices of IBM, KO, MSFT go on being used: the oldest end on 2014-12-31, "
        in app.error[0].value
    )
    assert series(app)["KO"][0] == "Yahoo"


def test_all_fetched_series_of_every_interval_are_refreshed(open_page, monkeypatch) -> None:
    with serving(lambda: datetime.now(UTC)) as replaying:
        replaying.replay()
        monkeypatch.setenv("VOLBAL_YAHOO_URL", replaying.url)
        app = press(open_page("data"), "Refresh all")
        assert "No prices were fetched before" in words(app)
        for symbol, interval in (("KO", "1d"), ("KO", "1h"), ("IBM", "1d")):
            now = datetime.now(UTC)
            market_data.refresh(running.database(), market_data.yahoo(), symbol, interval, now)
        app = press(app, "Refresh all")
        told = app.success[0].value.splitlines()
        assert [" ".join(line.split()[1:3]) for line in told] == ["IBM 1d", "KO 1d", "KO 1h"]
    app = press(app, "Refresh all")
    assert "The stored 1d prices of IBM, KO go on being used" in app.error[0].value
    assert "The stored 1h prices of KO go on being used" in app.error[0].value


def test_an_unknown_symbol_is_told(open_page, server) -> None:
    app = fetch(open_page("data"), "ZZZ")
    assert "knows no symbol ZZZ" in app.error[0].value
    assert app.selectbox(key="symbol").value == "AAPL"
    app = fetch(app, "KO")
    assert "KO 1d got 754 new bars" in app.success[0].value
    assert not app.error
    app = fetch(app, " ")
    assert "KO 1d got" not in words(app)
    assert "Name a symbol to fetch" in words(app)


def test_a_file_is_looked_at_then_saved_then_deleted(open_page) -> None:
    app = open_page("data")
    content = b"Date;Close\n03/04/2020;10,5\n06/04/2020;11\n"
    app = app.file_uploader[0].upload("own.csv", content, "text/csv").run()
    assert "can be read day first or month first" in app.warning[0].value
    assert app.warning[0].value.startswith("The dates of own")
    order = next(one for one in app.button_group if one.label == "Its dates are")
    app = order.set_value("day first").run()
    assert "**OWN · 1d · 2020-04-03 to 2020-04-06**" in words(app)
    assert "OWN" not in market_data.known_symbols(running.database())
    app = press(app, "Save OWN")
    assert "own.csv is saved" in app.success[0].value
    assert app.selectbox(key="symbol").value == "OWN"
    shorter = b"Date,Close\n2020-04-06,11\n"
    app = app.file_uploader[0].upload("own.csv", shorter, "text/csv").run()
    assert "2020-04-03 to 2020-04-06; 1 of those is lost" in words(app)
    assert next(one for one in app.button if one.label == "Save OWN").disabled
    app = app.checkbox[0].check().run()
    app = press(app, "Save OWN")
    assert len(market_data.history(running.database(), "OWN").bars) == 1
    app = press(app, "Delete OWN 1d")
    assert [one.value for one in app.toast] == ["The stored 1d prices of OWN are deleted."]
    assert not [*app.success, *app.info]
    assert "OWN" not in series(app)


def test_a_link_to_an_interval_without_prices_is_explained(open_page) -> None:
    app = open_page("data", {"symbol": "KO", "interval": "5m"})
    assert "There are no 5m prices of KO here: fetch them, or look at those of 1d." in words(app)
    assert "interval" not in app.query_params
    assert "There are no 5m prices" not in words(app.run())


def test_rows_that_cannot_be_used_are_listed_and_nothing_is_saved(open_page) -> None:
    app = open_page("data")
    content = b"Date,Close,Volume\n2020-01-02,x,-5\n2020-13-03,1,1\n"
    app = app.file_uploader[0].upload("own.csv", content, "text/csv").run()
    assert "2 rows cannot be used; nothing was saved" in app.error[0].value
    assert (
        "- line 2\\: Close 'x' is no number such as 1234.5; volume -5 is not a number \\>= 0\n"
        "- line 3\\: Date '2020-13-03' is no ISO date such as 2020-01-31"
    ) in words(app)
    app = app.file_uploader[0].upload("own.csv", b"Date,Close\n" + 11 * b"2020-01-02,x\n").run()
    refused = app.dataframe[0].value
    assert refused["row"].tolist() == [f"line {line}" for line in range(2, 13)]
    assert "OWN" not in market_data.known_symbols(running.database())


def test_a_file_that_is_too_large_is_refused_in_words_in_the_place_of_the_one_before(
    open_page,
) -> None:
    app = open_page("data")
    app = app.file_uploader[0].upload("own.csv", b"Date,Close\n2020-01-02,1\n").run()
    assert "Save OWN" in [button.label for button in app.button]
    app = app.file_uploader[0].upload("big.csv", b"x" * (price_import.LARGEST + 2**20)).run()
    assert "big.csv has 11.0 MB; allowed\\: up to 10 MB" in app.error[0].value
    assert "Save OWN" not in [button.label for button in app.button]
    assert "Symbol of the file" not in [field.label for field in app.text_input]


def test_unadjusted_prices_are_refused_with_what_to_do(open_page) -> None:
    app = open_page("data")
    content = b"Date,Close,Stock Splits\n2020-08-28,499.23,\n2020-08-31,129.04,4:1\n"
    app = app.file_uploader[0].upload("own.csv", content).run()
    assert "divide every price and dividend before a split by its ratio" in app.error[0].value


def test_findings_of_stored_prices_are_reported(open_page) -> None:
    content = b"Date,Close\n2020-01-02,10\n2020-01-03,10\n2020-01-07,30\n"
    database = running.database()
    price_import.save(database, price_import.preview(database, "x.csv", content, "X"), NOW)
    app = open_page("data", {"symbol": "X"})
    assert (
        "Odd, and left as it is:\n"
        "- There is no bar of 2020-01-06, a session of the exchange.\n"
        "- The close goes from 10 to 30 on 2020-01-07: a real move, or a split that the source "
        "missed."
    ) in words(app)


def test_closes_alone_are_told_and_shown_without_empty_columns(open_page) -> None:
    database = running.database()
    content = b"Date,Close\n2020-01-02,10\n2020-01-03,10\n"
    price_import.save(database, price_import.preview(database, "x.csv", content, "X"), NOW)
    app = open_page("data", {"symbol": "X"})
    assert "closes only: no limit ticks" in words(app)
    assert app.dataframe[1].value.columns.tolist() == ["time", "close"]
    [chart] = app.get("echarts_chart")
    assert "Volume" not in str(chart.proto)


def test_a_series_that_another_window_deleted_is_not_looked_at(open_page) -> None:
    database = running.database()
    content = b"Date,Close\n2020-01-02,10\n"
    price_import.save(database, price_import.preview(database, "x.csv", content, "X"), NOW)
    app = open_page("data", {"symbol": "X"})
    market_data.delete(database, "X")
    app = app.run()
    assert not app.exception
    assert app.selectbox(key="symbol").value == "AAPL"


def test_with_broken_records_the_page_says_so_and_research_goes_on(open_page) -> None:
    Path(os.environ["VOLBAL_DB"]).write_bytes(b"no database" * 1000)
    app = open_page("data")
    assert not app.exception
    assert "The records cannot be opened" in app.error[0].value
    research = open_page("simulate")
    assert not research.exception
    assert len(research.metric) == 8
    assert "Only the bundled prices can be used" in words(research)


def test_simulate_uses_what_was_stored_and_again_when_it_changes(open_page) -> None:
    database = running.database()
    content = b"Date,Close\n2020-01-02,10\n2020-01-03,11\n2020-01-06,12\n"
    price_import.save(database, price_import.preview(database, "x.csv", content, "X"), NOW)
    app = open_page("simulate", {"symbol": "X", "start": "2020-01-02", "end": "2020-01-06"})
    first = app.metric[0].value
    price_import.save(
        database, price_import.preview(database, "x.csv", content.replace(b",12", b",9"), "X"), NOW
    )
    assert app.run().metric[0].value != first


def test_a_quote_is_told_with_its_age_and_what_the_exchange_does(open_page, server) -> None:
    positions.open_position(running.database(), "KO", quantity=10, cash=1_000, now=NOW)
    app = press(open_page("position", {"id": "1"}), "Get a quote")
    assert re.fullmatch(  # the close of 2014-12-31 is years old by the clock of the page
        r"KO: 42\.22, [\d,]+ days old, from Yahoo; the exchange is closed\.", app.success[0].value
    )
    content = b"Date,Close\n2020-01-02,50\n"
    database = running.database()
    price_import.save(database, price_import.preview(database, "ko.csv", content, "KO"), NOW)
    app = press(app, "Get a quote")
    assert "Not used: 50.00, the close of 2020-01-02" in app.success[0].value


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-27T15:00", "the exchange is open until 13:00, an early close"),
        ("2026-11-27T19:00", "the exchange is closed, next session 2026-11-30"),
        ("2026-11-26T15:00", "the exchange is closed, next session 2026-11-27"),  # Thanksgiving
        ("2026-11-30T14:00", "the exchange is closed, next session 2026-11-30"),  # 9:00
        ("2026-11-30T15:00", "the exchange is open until 16:00"),
    ],
)
def test_the_page_knows_when_the_exchange_trades(moment: str, text: str) -> None:
    one = market_data.coverage(running.database())[0]
    assert series_ui.exchange_text(one, datetime.fromisoformat(f"{moment}+00:00")) == text

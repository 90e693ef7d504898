"""The Optimize page, run without a browser."""

import json
from dataclasses import replace
from datetime import date
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from volbal.domain.policy import Policy
from volbal.engine.grid import exact_range
from volbal.engine.metrics import METRIC
from volbal.formatting import metric_text, money
from volbal.market.bundled import BundledPrices
from volbal.services.research import Optimization, Setup, optimize, simulate
from volbal.ui import fields

EXAMPLE = Setup(start=date(2013, 1, 2), end=date(2023, 9, 21))


@pytest.fixture(scope="module")
def example() -> Optimization:
    """The example study without a page."""
    parameters = (
        exact_range("trigger_threshold", "0.01", "0.1", "0.01"),
        exact_range("rebalance_ratio", "0.5", "3", "0.25"),
    )
    return optimize(BundledPrices().history("AAPL"), Policy(), parameters, EXAMPLE)


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.subheader]
    return " ".join(element.value for element in elements)


def figure(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def test_opening_with_nothing_entered_shows_the_finished_example(
    open_page, example: Optimization
) -> None:
    app = open_page("optimize")
    assert not app.exception
    assert not app.error
    chart = app.get("vega_lite_chart")[0].proto
    assert "in 110 cells; best 1.62 % at Trigger threshold 0.05" in chart.alt
    best = example.best("excess_return")
    assert example.grid.cell(best) == {"trigger_threshold": 0.05, "rebalance_ratio": 1.25}
    value = float(example.cells["excess_return"].iloc[best])
    assert figure(app, "Excess return") == metric_text(METRIC["excess_return"], value)
    assert "the best of 110 combinations on one stretch of history is partly luck" in words(app)
    assert not app.query_params


def test_the_ranking_lists_the_best_first(open_page, example: Optimization) -> None:
    table = open_page("optimize").dataframe[0].value
    assert list(table.index) == list(example.ranked("excess_return").index[:100])
    assert table["excess_return"].iloc[0] == "1.62 %"


def test_the_number_of_combinations_follows_the_ranges_and_run_computes_them(open_page) -> None:
    app = open_page("optimize")
    assert "**110 combinations** = 10 × 11" in words(app)
    app.number_input(key="optimize.trigger_threshold.high").set_value(0.12).run()
    assert "**132 combinations** = 12 × 11" in words(app)
    assert "132 combinations that have not been run" in words(app)
    assert "in 110 cells" in app.get("vega_lite_chart")[0].proto.alt
    app.button(key="optimize.go").click().run()
    assert "have not been run" not in words(app)
    assert "in 132 cells" in app.get("vega_lite_chart")[0].proto.alt
    assert app.query_params["sweep.trigger_threshold"] == "0.01:0.12:0.01"


def test_a_chosen_cell_shows_its_own_simulation_and_a_link_to_it(
    open_page, example: Optimization
) -> None:
    app = open_page("optimize", {"cell": "30"})
    # Cell 30 is the third threshold (0.03) and the ninth ratio (0.5 + 8 × 0.25 = 2.5).
    policy = Policy(trigger_up=0.03, trigger_down=0.03, rebalance_ratio=2.5)
    result = simulate(BundledPrices().history("AAPL"), policy, EXAMPLE)
    assert "Selected cell" in words(app)
    assert "**Trigger threshold 0.03 · Rebalance ratio 2.5**" in words(app)
    assert figure(app, "Final value") == money(float(result.recording.equity[-1]))
    total = float(example.cells["total_return"].iloc[30])
    assert figure(app, "Total return") == metric_text(METRIC["total_return"], total)
    link = parse_qs(app.get("page_link")[0].proto.query_string)
    assert link["rebalance_ratio"] == ["2.5"]
    opened = open_page("simulate", {name: values[0] for name, values in link.items()})
    assert figure(opened, "Final value") == figure(app, "Final value")


def test_running_again_forgets_the_chosen_cell(open_page) -> None:
    app = open_page("optimize", {"cell": "30"})
    app.number_input(key="optimize.trigger_threshold.high").set_value(0.12).run()
    app.button(key="optimize.go").click().run()
    assert "Best cell" in words(app)
    assert "cell" not in app.query_params


@pytest.mark.parametrize("metric", ["max_drawdown", "volatility"])
def test_the_best_cell_is_that_of_the_metric_in_its_good_direction(
    open_page, example: Optimization, metric: str
) -> None:
    app = open_page("optimize")
    app.selectbox(key="optimize.metric").set_value(metric).run()
    values = example.cells[metric]
    # A drawdown is a number below 0, so the shallowest is the largest; the least volatility wins.
    best = values.idxmax() if metric == "max_drawdown" else values.idxmin()
    cell = example.grid.cell(int(best))
    assert f"at {fields.parameter_text(cell)}" in app.get("vega_lite_chart")[0].proto.alt
    assert f"**{fields.parameter_text(cell)}**" in words(app)
    assert app.query_params["metric"] == metric


def test_a_metric_without_a_good_direction_has_no_best_cell(open_page) -> None:
    app = open_page("optimize", {"metric": "fill_count"})
    assert "Best cell" not in words(app)
    assert "Click a cell to see its simulation" in words(app)


def test_one_parameter_is_drawn_as_a_line_and_one_without_order_as_bars(open_page) -> None:
    def marks(query: dict[str, str]) -> set[str]:
        chart = open_page("optimize", query).get("vega_lite_chart")[0].proto
        layers = json.loads(chart.spec)["layer"]
        return {layer["mark"]["type"] for layer in layers}

    assert "line" in marks({"sweep.trigger_threshold": "0.01:0.1:0.01"})
    assert "bar" in marks({"sweep.sizing": "proportional,original"})


def test_invalid_combinations_are_counted_and_crossed_out(open_page) -> None:
    app = open_page(
        "optimize",
        {"sweep.min_stock_share": "0.2:0.6:0.2", "sweep.max_stock_share": "0.4:0.8:0.2"},
    )
    # Of 3 × 3 pairs 0.4 ≥ 0.4, 0.6 ≥ 0.4 and 0.6 ≥ 0.6 are no guardrails.
    assert "9 combinations, 6 simulated, 3 invalid (× breaks a bound)" in words(app)


def test_other_parameters_can_be_held_or_summed_up(open_page) -> None:
    query = {
        "sweep.trigger_threshold": "0.02:0.04:0.01",
        "sweep.rebalance_ratio": "1:2:1",
        "sweep.sizing": "proportional,original",
    }
    app = open_page("optimize", query)
    assert "in 6 cells" in app.get("vega_lite_chart")[0].proto.alt
    held = app.selectbox(key="optimize.sizing.held")
    assert held.value is None
    best = app.get("vega_lite_chart")[0].proto.alt
    app.selectbox(key="optimize.aggregate").set_value("median").run()
    assert app.get("vega_lite_chart")[0].proto.alt != best
    app.selectbox(key="optimize.sizing.held").set_value(1).run()
    assert "Sizing original" in app.get("vega_lite_chart")[0].proto.alt
    app.selectbox(key="optimize.x").set_value("sizing").run()
    assert "Excess return by sizing and rebalance ratio in 4 cells" in (
        app.get("vega_lite_chart")[0].proto.alt
    )
    assert app.query_params["x"] == "sizing"


def test_a_range_without_values_is_refused_in_words(open_page) -> None:
    app = open_page("optimize")
    app.number_input(key="optimize.trigger_threshold.step").set_value(0.0).run()
    assert "holds no value" in app.error[0].value
    assert not app.exception
    assert app.number_input(key="optimize.trigger_threshold.step").value == 0.0


def test_a_refused_input_leaves_the_view_as_it_was(open_page) -> None:
    app = open_page("optimize", {"metric": "calmar_ratio", "x": "rebalance_ratio"})
    step = app.number_input(key="optimize.trigger_threshold.step")
    step.set_value(0.0).run()
    assert app.error
    app.number_input(key="optimize.trigger_threshold.step").set_value(0.01).run()
    assert app.selectbox(key="optimize.metric").value == "calmar_ratio"
    assert app.selectbox(key="optimize.x").value == "rebalance_ratio"


def test_a_field_swept_twice_is_refused_in_words(open_page) -> None:
    app = open_page("optimize")
    app.multiselect(key="optimize.sweep").set_value(["trigger_threshold", "trigger_up"]).run()
    assert "trigger_up is swept twice" in app.error[0].value


def test_no_parameter_at_all_is_refused_in_words(open_page) -> None:
    app = open_page("optimize")
    app.multiselect(key="optimize.sweep").set_value([]).run()
    assert "none given" in app.error[0].value


def test_a_newly_chosen_parameter_starts_with_a_usual_range(open_page) -> None:
    app = open_page("optimize")
    app.multiselect(key="optimize.sweep").set_value(["trigger_threshold", "cash_rate"]).run()
    assert app.number_input(key="optimize.cash_rate.high").value == 0.05
    assert "**60 combinations** = 10 × 6" in words(app)


def test_sweeping_a_field_that_cannot_matter_is_said(open_page) -> None:
    app = open_page("optimize", {"sweep.max_orders_per_day": "1:3:1"})
    assert "Max orders per day cannot matter here" in words(app)


def test_a_large_study_waits_for_run(open_page) -> None:
    app = open_page(
        "optimize",
        {"sweep.trigger_threshold": "0.0001:0.9:0.0001", "sweep.rebalance_ratio": "0.1:1:0.1"},
    )
    assert "90,000 combinations that have not been run" in words(app)
    assert not app.get("vega_lite_chart")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sweep.foo", "1:2:1", "'foo' cannot be swept"),
        ("sweep.trigger_up", "0.1:0.01", "write min:max:step"),
        ("sweep.trigger_up", "a:b:c", "are not three numbers"),
        ("sweep.sizing", "huge", "use proportional, fixed_percentage, original"),
        ("metric", "luck", "metric 'luck' is unknown"),
        ("x", "slippage", "'slippage' is not swept"),
        ("cell", "best", "'best' is no number"),
        ("symbol", "TSLA", "no prices for it here"),
    ],
)
def test_a_bad_part_of_a_link_is_named_and_the_example_stands_in(
    open_page, name: str, value: str, said: str
) -> None:
    app = open_page("optimize", {name: value})
    assert not app.exception
    assert said in app.warning[0].value
    assert "in 110 cells" in app.get("vega_lite_chart")[0].proto.alt


def test_a_cell_that_does_not_exist_falls_back_to_the_best(open_page) -> None:
    app = open_page("optimize", {"cell": "5000"})
    assert not app.exception
    assert "Best cell" in words(app)


@pytest.mark.parametrize("text", ["banana", "a:b:c", "0.01:0.1", "0.5:0.1:0.1"])
def test_a_malformed_range_in_a_link_is_left_out(open_page, text: str) -> None:
    app = open_page("optimize", {"sweep.trigger_threshold": text, "sweep.lot_size": "0:2:1"})
    assert not app.exception
    assert not app.error
    assert any(text in warning.value for warning in app.warning)
    assert "3 combinations" in words(app)


def test_an_only_malformed_range_leaves_the_example(open_page) -> None:
    app = open_page("optimize", {"sweep.trigger_threshold": "banana"})
    assert not app.exception
    assert "110 combinations" in words(app)


def test_an_invalid_cell_says_why_it_has_no_simulation(open_page) -> None:
    sweep = {"sweep.min_stock_share": "0.1:0.9:0.4", "cell": "2"}
    app = open_page("optimize", sweep)
    said = " ".join(warning.value for warning in app.warning)
    assert "cannot be simulated" in said
    assert "0.9 is not below max_stock_share 0.75" in said


def test_the_tick_model_is_swept_and_a_cell_opens_with_its_own(open_page) -> None:
    query = {"sweep.ticks": "close,limit", "sweep.trigger_threshold": "0.02:0.04:0.01", "cell": "4"}
    app = open_page("optimize", query)
    assert not app.exception
    # Cells 0 to 2 are close, 3 to 5 limit with thresholds 0.02, 0.03, 0.04.
    policy = Policy(trigger_up=0.03, trigger_down=0.03)
    result = simulate(BundledPrices().history("AAPL"), policy, replace(EXAMPLE, ticks="limit"))
    assert "**Tick model limit · Trigger threshold 0.03**" in words(app)
    assert figure(app, "Final value") == money(result.final_equity)
    (link,) = app.get("page_link")
    assert parse_qs(link.proto.query_string)["ticks"] == ["limit"]
    assert app.selectbox(key="optimize.ticks").disabled

"""Colours, marks and sizes of the charts, and the texts on them."""

import pandas as pd
import pytest

from volbal.domain.policy import Policy
from volbal.engine.grid import Grid, exact_range
from volbal.engine.metrics import METRIC, METRICS
from volbal.formatting import percent, short_texts
from volbal.ui import charts, fields, study_charts

LINE = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0], "loss": [5.0, 3.0, 4.0, 1.0, float("nan")]})


def spread(*values: float) -> pd.Series:
    return pd.Series(values)


def test_blue_is_the_good_end_whichever_way_a_metric_counts() -> None:
    values = spread(0.1, 0.3)
    reverses = {
        metric.name: study_charts.colour_scale(metric, values).to_dict().get("reverse")
        for metric in METRICS
        if metric.direction
    }
    assert {name for name, reverse in reverses.items() if reverse} == {
        "volatility",
        "ulcer_index",
        "turnover",
        "total_commissions",
    }


def test_values_on_one_side_of_a_natural_zero_have_the_colours_of_that_side() -> None:
    both = study_charts.colour_scale(METRIC["excess_return"], spread(-0.01, 0.03)).to_dict()
    assert both["domain"] == [-0.03, 0.03]
    assert both["domainMid"] == 0.0
    above = study_charts.colour_scale(METRIC["excess_return"], spread(0.01, 0.03)).to_dict()
    assert above["domainMid"] == 0.01
    assert above["domain"] == pytest.approx([-0.01, 0.03])
    below = study_charts.colour_scale(METRIC["bracket_low"], spread(-0.05, -0.01)).to_dict()
    assert below["domain"] == pytest.approx([-0.05, 0.03])
    # Round the colour circle the palest of both sides would meet in violet.
    assert [scale["interpolate"] for scale in (both, above, below)] == ["rgb"] * 3
    plain = study_charts.colour_scale(METRIC["max_drawdown"], spread(-0.05, -0.01)).to_dict()
    assert plain["domain"] == [-0.05, -0.01]


def test_a_metric_without_a_good_direction_is_neither_blue_nor_orange() -> None:
    scale = study_charts.colour_scale(METRIC["fill_count"], spread(1.0, 9.0)).to_dict()
    assert scale["range"] == study_charts.NEUTRAL


def test_equal_values_still_have_a_colour_scale() -> None:
    low, high = study_charts.colour_scale(METRIC["cagr"], spread(0.1, 0.1)).to_dict()["domain"]
    assert low < high


def test_labels_have_as_many_digits_as_tell_them_apart() -> None:
    assert short_texts(METRIC["cagr"], spread(0.1, 0.2)) == ["10.0 %", "20.0 %"]
    assert short_texts(METRIC["cagr"], spread(0.1, 0.101)) == ["10.00 %", "10.10 %"]
    assert short_texts(METRIC["fill_count"], spread(1.0, 1234.0)) == ["1", "1,234"]


def test_a_percent_that_rounds_to_zero_has_no_minus() -> None:
    assert percent(-0.0001, 1) == "0.0 %"


def test_every_sweepable_field_has_a_label_an_example_and_a_usable_range() -> None:
    for name, field in fields.FIELDS.items():
        assert fields.choices(name) or "Example" in field.help or "example" in field.help
        if not fields.choices(name):
            low, high, step = (f"{value:.10g}" for value in field.sweep)
            assert len(Grid(Policy(), (exact_range(name, low, high, step),))) >= 5, name


def test_moments_are_laid_out_in_time() -> None:
    times = pd.to_datetime(["2026-01-05 10:00", "2026-01-05 16:00"])
    answer = pd.DataFrame({"at": times, "equity": [1.0, 2.0]})
    drawn = {kind: charts.answer_chart(answer, kind, "at", "equity", None).to_dict() for kind in (
        "Line", "Bar")}  # fmt: skip
    assert drawn["Line"]["encoding"]["x"]["type"] == "temporal"
    assert drawn["Line"]["encoding"]["x"]["axis"]["format"] == "%-d %b %Y, %H:%M"
    assert drawn["Bar"]["encoding"]["x"]["timeUnit"] == "yearmonthdatehoursminutes"


@pytest.mark.parametrize(
    ("first", "last", "with_year"),
    [
        ("2026-03-02", "2026-03-20", {"day"}),
        ("2026-03-02", "2026-11-20", {"month"}),
        ("2025-12-02", "2026-03-20", {"year"}),
    ],
)
def test_some_label_of_a_time_axis_has_its_year(first: str, last: str, with_year: set[str]) -> None:
    curves = pd.DataFrame(
        1.0,
        pd.DatetimeIndex([first, last]),
        pd.MultiIndex.from_product([["A"], ["value", "drawdown"]]),
    )
    option, _ = charts.comparison_chart(curves, "Value")
    labels = option["xAxis"][0]["axisLabel"]["formatter"]
    assert {name for name, text in labels.items() if "{yyyy}" in text} == {"year", *with_year}

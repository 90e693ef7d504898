"""Numbers to text. The only place where percent exists; ratios are fractions everywhere else."""

import math
from decimal import Decimal

import pandas as pd

from volbal.domain.wording import MINUS
from volbal.engine.metrics import Metric

UNDEFINED = "–"
LONG = 1e15
"""From here on a value is told by its power of ten: nobody counts zeros."""
UNIT = " %"
"""How a percentage ends."""


def percent(ratio: float, digits: int = 2) -> str:
    """0.0312 as 3.12 %."""
    return UNDEFINED if math.isnan(ratio) else f"{number(ratio * 100, digits)} %"


def money(amount: float) -> str:
    """1234.5 as 1,234.50, in account currency."""
    return number(amount)


def number(value: float, digits: int = 2) -> str:
    """1234.5 as 1,234.50, without a unit."""
    return UNDEFINED if math.isnan(value) else f"{value:z,.{digits}f}".replace("-", MINUS)


def percent_points(ratios: pd.Series) -> pd.Series:
    """Fractions as percent, for a chart whose axis only appends the sign."""
    return ratios * 100.0


def short_texts(metric: Metric, values: pd.Series) -> list[str]:
    """Values of one metric side by side in little room: no digit more than tells them apart."""
    spread = float(values.max() - values.min())
    match metric.unit:
        case "ratio":
            digits = 1 if spread >= 0.02 else 2
            return [percent(value, digits) for value in values]
        case "number":
            digits = 1 if spread >= 10.0 else 2
            return [number(value, digits) for value in values]
        case _:
            return [number(value, 0) for value in values]


def axis_expression(metric: Metric) -> str:
    """The Vega expression that writes a metric's value at a tick of its scale."""
    if metric.unit == "ratio":
        return "format(datum.value * 100, ',~r') + ' %'"
    return "format(datum.value, ',~r')"


def metric_text(metric: Metric, value: float) -> str:
    """A metric's value in its unit."""
    match metric.unit:
        case "ratio":
            return percent(value)
        case "money":
            return money(value)
        case "count":
            return number(value, 0)
        case "days":
            return number(value, 1)
        case _:
            return number(value, 3)


def limit_text(metric: Metric, limit: float) -> str:
    """A limit on a metric in its unit, as short as it stays exact."""
    return f"{limit * 100:.10g} %" if metric.unit == "ratio" else f"{limit:,.10g}"


def value_text(value: float | bool | str) -> str:
    """A parameter's value as short as it stays exact."""
    if isinstance(value, bool | str):
        return str(value).lower()
    if abs(value) >= LONG:
        return repr(float(value))
    return f"{Decimal(repr(float(value))).normalize():f}"


def figure_text(value: float) -> str:
    """What was computed, without the digits that rounding left behind."""
    return f"{value:.10g}"

"""What the metrics of SPEC §8 are, and how they follow from the kernel's running sums.

A metric that is undefined for a cell is NaN here and null with a reason wherever it is shown.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from volbal.domain.rule import Terms
from volbal.engine.kernel import STATE, replay_blocks
from volbal.engine.paths import DayReturns, Floats, Ints, PricePath
from volbal.errors import InvalidInput

TRADING_DAYS = 252
ANNUAL = math.sqrt(TRADING_DAYS)
NO_SPREAD = 1e-12
"""Daily returns whose standard deviation is below this do not vary."""

Direction = Literal["up", "down"]
Unit = Literal["ratio", "number", "money", "days", "count"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a simulation. direction: which way is good, None where neither is."""

    name: str
    label: str
    unit: Unit
    direction: Direction | None
    description: str
    undefined: str = "the path has no full day after its start"


METRICS: tuple[Metric, ...] = (
    Metric("total_return", "Total return", "ratio", "up", "final equity / capital - 1"),
    Metric(
        "cagr",
        "Annual return (CAGR)",
        "ratio",
        "up",
        "constant annual growth from the capital to the final equity",
    ),
    Metric(
        "volatility",
        "Volatility",
        "ratio",
        "down",
        "standard deviation of daily returns, annualised by the root of 252",
        "fewer than two daily returns",
    ),
    Metric(
        "sharpe_ratio",
        "Sharpe ratio",
        "number",
        "up",
        "mean / standard deviation of daily returns, annualised; no interest subtracted",
        "the daily returns do not vary",
    ),
    Metric(
        "sortino_ratio",
        "Sortino ratio",
        "number",
        "up",
        "mean / downside deviation of daily returns (target 0), annualised",
        "no day lost money",
    ),
    Metric(
        "max_drawdown",
        "Maximum drawdown",
        "ratio",
        "up",
        "deepest fall of equity from a running peak, <= 0",
    ),
    Metric(
        "calmar_ratio",
        "Calmar ratio",
        "number",
        "up",
        "annual return / depth of the maximum drawdown",
        "equity never fell below a peak",
    ),
    Metric(
        "ulcer_index",
        "Ulcer index",
        "ratio",
        "down",
        "root mean square of the daily drawdowns: depth and length of the falls",
    ),
    Metric("positive_days", "Positive days", "ratio", "up", "share of days on which equity rose"),
    Metric(
        "win_rate",
        "Win rate",
        "ratio",
        "up",
        "share of sells above average cost after commission",
        "nothing was sold",
    ),
    Metric(
        "profit_factor",
        "Profit factor",
        "number",
        "up",
        "gains / losses of the sells against average cost",
        "no sell lost money",
    ),
    Metric(
        "avg_holding_days",
        "Average holding",
        "days",
        None,
        "calendar days from the mean purchase date to the sale, by quantity",
        "nothing was sold",
    ),
    Metric("fill_count", "Fills", "count", None, "number of orders filled"),
    Metric(
        "turnover",
        "Turnover per year",
        "ratio",
        "down",
        "the smaller of buys and sells / mean equity / years",
    ),
    Metric("total_commissions", "Commissions", "money", "down", "all commissions paid"),
    Metric(
        "total_dividends",
        "Dividends",
        "money",
        None,
        "dividends after withholding, counted on their ex-dates",
    ),
    Metric(
        "time_in_guardrails",
        "Time in guardrails",
        "ratio",
        "up",
        "share of ticks after the first, each asked level one of them, that end with the stock "
        "share inside its guardrails",
    ),
    Metric(
        "avg_stock_share",
        "Average stock share",
        "ratio",
        None,
        "mean share of equity held in stock at day ends",
    ),
    Metric(
        "buy_hold_return",
        "Buy & hold return",
        "ratio",
        None,
        "total return of all capital in stock from the first tick, net dividends kept as cash",
    ),
    Metric(
        "excess_return",
        "Excess return",
        "ratio",
        "up",
        "annual return minus that of a hold with the same average stock share",
    ),
    Metric(
        "alpha",
        "Alpha",
        "ratio",
        "up",
        "annualised intercept of daily returns on the stock's daily total returns",
        "the stock's returns do not vary",
    ),
    Metric(
        "beta",
        "Beta",
        "number",
        None,
        "slope of daily returns on the stock's daily total returns",
        "the stock's returns do not vary",
    ),
    Metric(
        "information_ratio",
        "Information ratio",
        "number",
        "up",
        "annualised mean / standard deviation of the daily excess over the exposure-matched hold",
        "the strategy never differs from the exposure-matched hold",
    ),
    Metric(
        "bracket_low",
        "Bracket, low end",
        "ratio",
        "up",
        "lower annual return of the two possible orders of a bar's high and low",
        "only limit ticks have a bracket",
    ),
    Metric(
        "bracket_high",
        "Bracket, high end",
        "ratio",
        "up",
        "higher annual return of the two possible orders of a bar's high and low",
        "only limit ticks have a bracket",
    ),
)
METRIC = {metric.name: metric for metric in METRICS}

CENTRES: Mapping[str, float] = {
    "total_return": 0.0,
    "cagr": 0.0,
    "bracket_low": 0.0,
    "bracket_high": 0.0,
    "sharpe_ratio": 0.0,
    "sortino_ratio": 0.0,
    "calmar_ratio": 0.0,
    "excess_return": 0.0,
    "alpha": 0.0,
    "information_ratio": 0.0,
    "profit_factor": 1.0,
    "win_rate": 0.5,
    "positive_days": 0.5,
}
"""Where a metric turns from bad to good."""


def rankable(name: str) -> Metric:
    """The metric of that name; raises InvalidInput if unknown or neither way of it is good."""
    ranked = ", ".join(metric.name for metric in METRICS if metric.direction)
    if name not in METRIC:
        raise InvalidInput("metric", f"{name!r} is unknown", f"choose one of {ranked}")
    if METRIC[name].direction is None:
        raise InvalidInput("metric", f"{name} has no better or worse", f"choose one of {ranked}")
    return METRIC[name]


def good_sign(name: str) -> float:
    """+1 where more of the metric is better or neither way is, -1 where less is."""
    return -1.0 if METRIC[name].direction == "down" else 1.0


def streamed_metrics(
    path: PricePath,
    terms: Floats,
    ended: Floats,
    shares: float,
    cash: float,
    mirrored: Floats | None = None,
) -> dict[str, Floats]:
    """Every metric of every cell, each of shape (m,), from what `kernel.replay` returned.

    terms: shape (len(Terms._fields), m); ended: shape (len(STATE), m); mirrored: the same of
    `path.mirrored`, for the bracket.
    """
    by_name = dict(zip(Terms._fields, terms, strict=True))
    end = dict(zip(STATE, ended, strict=True))
    days = len(path.days.price)
    years = path.total_years
    capital = shares * path.price[0] + cash
    start_share = shares * path.price[0] / capital
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = end["equity_now"] / capital
        cagr = _annual(growth, years)
        deviation = np.sqrt(end["return_squares"] / (days - 1)) if days > 1 else _none(growth)
        downside = np.sqrt(end["downside_squares"] / days) if days else _none(growth)
        mean = end["mean_return"] if days else _none(growth)
        share = end["share_sum"] / (days + path.starts_at_day_end)
        beta, alpha = _regression(path, by_name, end)
        smaller_side = np.minimum(end["bought"], end["sold"])
        mean_equity = end["equity_sum"] / (days + 1)
        other = _none(growth)
        if mirrored is not None:
            other = _annual(mirrored[STATE.index("equity_now")] / capital, years)
        values = {
            "total_return": growth - 1.0,
            "cagr": cagr,
            "volatility": deviation * ANNUAL,
            "sharpe_ratio": _ratio(mean, deviation) * ANNUAL,
            "sortino_ratio": _ratio(mean, downside) * ANNUAL,
            "max_drawdown": end["drawdown"],
            "calmar_ratio": _ratio(cagr, -end["drawdown"]),
            "ulcer_index": np.sqrt(end["drawdown_squares"] / (days + 1)),
            "positive_days": end["up_days"] / days,
            "win_rate": end["wins"] / end["sells"],
            "profit_factor": _ratio(end["gains"], -end["losses"]),
            "avg_holding_days": end["held_days"] / end["sold_shares"],
            "fill_count": end["fills"],
            "turnover": smaller_side / mean_equity / years,
            "total_commissions": end["commissions"],
            "total_dividends": end["dividends"],
            "time_in_guardrails": end["ticks_inside"] / (path.ticks - 1 + end["levels_asked"]),
            "avg_stock_share": share,
            "buy_hold_return": _buy_hold_returns(path, by_name, capital),
            "excess_return": cagr - _annual(end["matched_growth"], years),
            "alpha": alpha,
            "beta": beta,
            "information_ratio": _information_ratio(path, by_name, end, share - start_share),
            "bracket_low": np.minimum(cagr, other),
            "bracket_high": np.maximum(cagr, other),
        }
    return {name: np.where(np.isfinite(value), value, np.nan) for name, value in values.items()}


class BlockMoments(NamedTuple):
    """The daily excess over the exposure-matched hold in consecutive blocks of days.

    days, mean and squares (the sum of squared deviations from the block's mean) of every block
    and cell, each of shape (blocks, m); NaN for a cell that was not simulated. Two blocks make
    one: n = n1 + n2, mean = (n1 mean1 + n2 mean2) / n,
    squares = squares1 + squares2 + (mean1 - mean2)^2 n1 n2 / n.
    """

    days: Floats
    mean: Floats
    squares: Floats


def block_moments(
    path: PricePath, terms: Floats, shares: float, cash: float, blocks: int
) -> BlockMoments:
    """Replay every policy and sum up its excess block by block; blocks: equal to within a day.

    terms: shape (len(Terms._fields), m). The matched hold's stock share is the average over the
    whole path, as in the metrics. Raises InvalidInput for fewer days than blocks.
    """
    days = len(path.days.price)
    if not 1 <= blocks <= days:
        raise InvalidInput("blocks", f"{blocks} blocks of {days} days", f"allowed: 1 to {days}")
    by_name = dict(zip(Terms._fields, terms, strict=True))
    ends = np.arange(1, blocks + 1) * days // blocks
    share_sum, moments = replay_blocks(path, terms, shares, cash, ends)
    start_share = shares * path.price[0] / (shares * path.price[0] + cash)
    shift = share_sum / (days + path.starts_at_day_end) - start_share
    starts = np.concatenate(([0], ends[:-1]))
    excess = [
        _tracking(DayReturns(*(series[a:b] for series in path.days)), by_name, of_block, shift)
        for a, b, of_block in zip(starts, ends, moments, strict=True)
    ]
    return BlockMoments(
        np.repeat((ends - starts).astype(np.float64)[:, None], terms.shape[1], axis=1),
        np.stack([mean for mean, _ in excess]),
        np.stack([squares for _, squares in excess]),
    )


def hold(
    path: PricePath, shares: float, cash: float, withholding: Floats, cash_rate: Floats
) -> Iterator[Floats]:
    """Equity of a cell that never trades, tick by tick.

    withholding, cash_rate: shape (m,); each item has that shape. Net dividends become cash on
    their pay dates and all cash earns interest, in the order of work of SPEC §3.1.
    """
    moved = path.dividends
    net = [shares * amount * (1.0 - withholding) for amount in moved.per_share]
    paid, accrued = _by_tick(moved.pay_tick), _by_tick(moved.ex_tick)
    money = np.full(withholding.shape, cash)
    waiting = np.zeros(withholding.shape)
    for tick in range(path.ticks):
        for index in paid.get(tick, ()):
            money = money + net[index]
            waiting = waiting - net[index]
        for index in accrued.get(tick, ()):
            waiting = waiting + net[index]
        money = money + money * (cash_rate * path.years[tick])
        yield shares * path.price[tick] + money + waiting


def _by_tick(ticks: Ints) -> dict[int, list[int]]:
    indexes: dict[int, list[int]] = {}
    for index, tick in enumerate(ticks.tolist()):
        indexes.setdefault(tick, []).append(index)
    return indexes


def _none(like: Floats) -> Floats:
    return np.full(like.shape, np.nan)


def _ratio(value: Floats, spread: Floats) -> Floats:
    return np.where(spread > NO_SPREAD, value / spread, np.nan)


def _annual(growth: Floats, years: float) -> Floats:
    return np.power(growth, 1.0 / years) - 1.0 if years > 0.0 else _none(growth)


def _buy_hold_returns(path: PricePath, terms: dict[str, Floats], capital: float) -> Floats:
    rates = np.stack((terms["withholding_rate"], terms["cash_rate"]))
    distinct, back = np.unique(rates, axis=1, return_inverse=True)
    *_, final = hold(path, capital / path.price[0], 0.0, distinct[0], distinct[1])
    returns: Floats = (final / capital - 1.0)[back.reshape(-1)]
    return returns


def _regression(
    path: PricePath, terms: dict[str, Floats], end: dict[str, Floats]
) -> tuple[Floats, Floats]:
    """Beta and annualised alpha of the daily returns on the stock's total returns."""
    days = len(path.days.price)
    kept = 1.0 - terms["withholding_rate"]
    mean, squares = _combined(path.days, kept, np.zeros_like(kept))
    varies = np.sqrt(squares / max(days - 1, 1)) > NO_SPREAD
    beta = np.where(varies, end["return_by_stock"] / squares, np.nan)
    return beta, (end["mean_return"] - beta * mean) * TRADING_DAYS


def _information_ratio(
    path: PricePath, terms: dict[str, Floats], end: dict[str, Floats], shift: Floats
) -> Floats:
    days = len(path.days.price)
    if days < 2:
        return _none(shift)
    moments = (end["mean_excess"], end["excess_squares"], end["excess_by_stock"])
    mean, squares = _tracking(path.days, terms, moments, shift)
    return _ratio(mean, np.sqrt(squares / (days - 1))) * ANNUAL


def _tracking(
    days: DayReturns, terms: dict[str, Floats], moments: Sequence[Floats], shift: Floats
) -> tuple[Floats, Floats]:
    """Mean and sum of squared deviations of the daily excess over the exposure-matched hold.

    moments: the kernel's DAY_MOMENTS over `days`, of e = r - c - start share * y with y the
    stock's return over cash. The excess is e - shift * y, with shift the average stock share
    over the start share.
    """
    mean_excess, excess_squares, excess_by_stock = moments
    mean, squares = _combined(days, 1.0 - terms["withholding_rate"], -terms["cash_rate"])
    tracking = excess_squares - 2.0 * shift * excess_by_stock + shift * shift * squares
    return mean_excess - shift * mean, np.maximum(tracking, 0.0)


def _combined(days: DayReturns, dividend: Floats, years: Floats) -> tuple[Floats, Floats]:
    """Mean and sum of squared deviations of price + dividend * D + years * Y over `days`.

    dividend, years: shape (m,), the weights D and Y of the daily dividends and years.
    """
    price_mean, dividend_mean, years_mean = (series.mean() for series in days)
    p, d, y = (series - series.mean() for series in days)
    mean: Floats = price_mean + dividend_mean * dividend + years_mean * years
    squares: Floats = (
        (p * p).sum() + dividend * dividend * (d * d).sum() + years * years * (y * y).sum()
    )
    cross: Floats = (
        dividend * (p * d).sum() + years * (p * y).sum() + dividend * years * (d * y).sum()
    )
    squares = squares + 2.0 * cross
    return mean, squares

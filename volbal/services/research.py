"""Use cases of research: simulate one policy, optimize a grid of them, over real prices."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from volbal import jobs
from volbal.domain.policy import Policy
from volbal.domain.rule import REASONS
from volbal.engine import simulation
from volbal.engine.bounds import valid
from volbal.engine.grid import Grid, Parameter, no_valid_cell
from volbal.engine.metrics import (
    ANNUAL,
    METRICS,
    NO_SPREAD,
    TRADING_DAYS,
    good_sign,
    rankable,
)
from volbal.engine.paths import (
    TICK_MODELS,
    Bars,
    Dividend,
    Floats,
    Paths,
    PricePath,
    limit_path,
    price_path,
)
from volbal.engine.simulation import Recording
from volbal.errors import InvalidInput
from volbal.formatting import percent
from volbal.market.model import PriceHistory

LEAST_MONEY = 1e-6
MOST_MONEY = 1e12
"""Amounts that the ledger can hold; far beyond them doubles lose what is computed."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every replay needs besides prices and a policy.

    capital: account currency at the first tick; stock_share: the part of it in shares then.
    Raises InvalidInput.
    """

    start: date | None = None
    end: date | None = None
    capital: float = 10_000.0
    stock_share: float = 0.5
    ticks: str = "close"
    pay_lag_days: int = 21

    def __post_init__(self) -> None:
        if not LEAST_MONEY <= self.capital <= MOST_MONEY:
            allowed = f"allowed: {LEAST_MONEY:f} to {MOST_MONEY:,.0f}"
            raise InvalidInput("capital", f"{self.capital:g} is out of range", allowed)
        if not 0.0 <= self.stock_share <= 1.0:
            raise InvalidInput(
                "stock_share",
                f"{self.stock_share:g} is out of range",
                "allowed: in [0, 1] (fractions: 0.5 is 50 %)",
            )
        if self.ticks not in TICK_MODELS:
            allowed = f"allowed: {', '.join(TICK_MODELS)}"
            raise InvalidInput("ticks", f"{self.ticks!r} is no tick model", allowed)
        if self.pay_lag_days < 0:
            raise InvalidInput("pay_lag_days", f"{self.pay_lag_days} is negative", "allowed: >= 0")


TICKS_SENTENCES: Mapping[str, tuple[str, ...]] = {
    "close": ("Ticks close: the rule sees each bar's close and fills there.",),
    "limit": (
        "Ticks limit: orders rest at both trigger levels. Within a bar the price runs from the "
        "open over the low and the high to the close where the bar closes at or above its open, "
        "else over the high and the low; the rule is asked at the open, at every level the price "
        "meets on that way, and at the close, and fills there.",
        "Bracket: nobody knows which of a bar's extremes came first, so the annual return is "
        "also computed with the other order; the truth may lie outside both.",
    ),
}
"""What a reader must know of each tick model."""

STARTS = {"close": "close", "limit": "open"}
"""The first price of each tick model's path."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A price history cut to a setup's dates, laid out as paths, with the cell it starts."""

    history: PriceHistory
    setup: Setup
    paths: Paths

    @property
    def path(self) -> PricePath:
        """The path of the setup's tick model."""
        return self.paths.by_ticks[self.setup.ticks]

    @property
    def start(self) -> tuple[float, float]:
        """Shares and cash at its first tick."""
        return self.paths.start(self.setup.ticks)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of any result must know, as sentences."""
        provenance = self.history.provenance
        first = self.history.first_date
        unknown = int(self.history.dividends["pay_date"].isna().sum())
        starts = " or ".join(STARTS[ticks] for ticks in self.paths.by_ticks)
        lag = (
            f"{unknown} dividends without a known pay date are paid {self.setup.pay_lag_days} "
            "calendar days after their ex-date.",
        )
        return (
            f"Prices: {provenance.source}; {provenance.basis}; interval {provenance.interval}.",
            *(sentence for ticks in self.paths.by_ticks for sentence in TICKS_SENTENCES[ticks]),
            f"The cell starts at the {starts} of {first} with "
            f"{percent(self.setup.stock_share, 0)} in stock, without a decision or a fee.",
            *(lag if unknown else ()),
            *(f"{note[:1].upper()}{note[1:]}." for note in self.history.notes),
        )


def prepare(
    history: PriceHistory, setup: Setup, tick_models: tuple[str, ...] | None = None
) -> Prepared:
    """Cut `history` to the setup's session dates and lay it out for replay.

    tick_models: those of a grid; without them the setup's. Raises PriceUnavailable or
    InvalidInput where the dates cannot be had, or where `limit` ticks lack opens, highs, lows.
    """
    part = history.between(setup.start, setup.end)
    models = tick_models or (setup.ticks,)
    return Prepared(
        part,
        setup,
        Paths(
            {ticks: _path(part, ticks, setup.pay_lag_days) for ticks in models},
            setup.capital,
            setup.stock_share,
        ),
    )


def _path(history: PriceHistory, ticks: str, pay_lag_days: int) -> PricePath:
    paid, bars = history.dividends, history.bars
    dividends = [
        Dividend(ex_at.date(), amount, None if pd.isna(pay_at) else pay_at.date())
        for ex_at, amount, pay_at in zip(
            paid["ex_date"], paid["amount"], paid["pay_date"], strict=True
        )
    ]
    times = bars.index.to_numpy()
    if ticks == "close":
        return price_path(times, bars["close"].to_numpy(), dividends, pay_lag_days)
    if not history.has_ohlc:
        raise InvalidInput(
            "ticks",
            f"limit needs every bar's open, high and low, and {history.symbol} lacks some: "
            "with closes alone nobody knows which levels the price met",
            "choose close ticks, or prices with open, high and low",
        )
    ohlc = Bars(*(bars[name].to_numpy() for name in Bars._fields))
    return limit_path(times, ohlc, dividends, pay_lag_days)


BENCHMARKS = {
    "buy_and_hold": "Buy & hold",
    "start_mix": "Hold the start mix",
    "exposure_matched": "Exposure-matched hold",
}


@dataclass(frozen=True)
class Simulation:
    """One replay of one policy with everything that can be said about it.

    mirrored: with `limit` ticks, the same with the extremes of every bar in the other order.
    """

    prepared: Prepared
    policy: Policy
    recording: Recording
    mirrored: Recording | None

    @property
    def symbol(self) -> str:
        return self.prepared.history.symbol

    @property
    def final_equity(self) -> float:
        """Equity at the last tick, account currency."""
        return float(self.recording.equity[-1])

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric of SPEC §8 and cvar_95; NaN where undefined."""
        return simulation.metrics(self.recording, self.mirrored)

    @cached_property
    def undefined(self) -> dict[str, str]:
        """The reason of each undefined metric."""
        return simulation.undefined_metrics(self.metrics)

    @cached_property
    def benchmark_equity(self) -> dict[str, Floats]:
        """Daily equity V_0..V_n of each benchmark."""
        setup = self.prepared.setup
        matched = np.cumprod(1.0 + simulation.matched_returns(self.recording))
        return {
            "buy_and_hold": simulation.held_equity(self.recording, 1.0),
            "start_mix": simulation.held_equity(self.recording, setup.stock_share),
            "exposure_matched": setup.capital * np.concatenate(([1.0], matched)),
        }

    @cached_property
    def benchmarks(self) -> dict[str, dict[str, float]]:
        """Final equity and the metrics of each benchmark's equity curve; NaN where undefined."""
        years = self.recording.path.total_years
        return {
            name: {"final_equity": float(equity[-1])} | simulation.curve_metrics(equity, years)
            for name, equity in self.benchmark_equity.items()
        }

    @cached_property
    def days(self) -> pd.DataFrame:
        """One row per day from the start (V_0): the strategy and its benchmarks.

        Index date, the first one twice where the start is not its day's end; columns price,
        equity, cash, shares, receivable, stock_share, anchor, drawdown, the benchmarks' equity
        by name and their drawdown as drawdown_<name>.
        """
        recording, marks = self.recording, self.recording.day_marks
        columns = {
            "price": recording.price,
            "equity": recording.equity,
            "cash": recording.cash,
            "shares": recording.shares,
            "receivable": recording.receivable,
            "stock_share": recording.stock_share,
            "anchor": recording.anchor,
        }
        frame = pd.DataFrame({name: values[marks] for name, values in columns.items()})
        frame["drawdown"] = simulation.drawdowns(recording.daily_equity)
        for name, equity in self.benchmark_equity.items():
            frame[name] = equity
            frame[f"drawdown_{name}"] = simulation.drawdowns(equity)
        dates = recording.times[marks].astype("datetime64[D]").astype("datetime64[s]")
        frame.index = pd.DatetimeIndex(dates, name="date")
        return frame

    @cached_property
    def fills(self) -> pd.DataFrame:
        """One row per fill: time, side, quantity > 0, price, notional, commission and the cell
        after it (shares, cash, stock_share), gain of a sell against average cost, reason."""
        recording = self.recording
        places = [fill.at for fill in recording.fills]
        return pd.DataFrame(
            {
                "time": recording.times[places],
                "side": ["BUY" if fill.quantity > 0.0 else "SELL" for fill in recording.fills],
                "quantity": [abs(fill.quantity) for fill in recording.fills],
                "price": [fill.price for fill in recording.fills],
                "notional": [fill.notional for fill in recording.fills],
                "commission": [fill.commission for fill in recording.fills],
                "shares": [fill.shares for fill in recording.fills],
                "cash": [fill.cash for fill in recording.fills],
                "stock_share": recording.stock_share[places],
                "gain": [fill.gain if fill.quantity < 0.0 else np.nan for fill in recording.fills],
                "reason": [REASONS[int(fill.reason)] for fill in recording.fills],
            }
        )

    @cached_property
    def dividends(self) -> pd.DataFrame:
        """One row per dividend: ex_date, pay_date (ticks; NaT where that is after the end),
        per_share (gross), shares held before the ex-date, net (account currency)."""
        times = self.recording.path.times
        paid = self.recording.dividends
        until = np.append(times, np.datetime64("NaT"))
        return pd.DataFrame(
            {
                "ex_date": times[[dividend.ex_tick for dividend in paid]],
                "pay_date": until[[dividend.pay_tick for dividend in paid]],
                "per_share": [dividend.per_share for dividend in paid],
                "shares": [dividend.shares for dividend in paid],
                "net": [dividend.net for dividend in paid],
            }
        )

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """What there is to take away, by name: every day, fill and dividend, and the metrics of
        the strategy and its benchmarks (index metric; NaN where undefined or not theirs)."""
        names = [*self.metrics, "final_equity"]
        own = self.metrics | {"final_equity": self.final_equity}
        metrics = pd.DataFrame(
            {"strategy": own, **self.benchmarks},
            index=pd.Index(names, name="metric"),
        )
        return {
            "Days": self.days,
            "Fills": self.fills,
            "Dividends": self.dividends,
            "Metrics": metrics,
        }

    @cached_property
    def monthly_returns(self) -> pd.DataFrame:
        """Return of the strategy per calendar month: index year, columns 1..12 and "year".

        The first month counts from the start; NaN where the simulation has no day.
        """
        equity = self.days["equity"]
        days = pd.DatetimeIndex(equity.index)
        months = equity.groupby([days.year, days.month]).last()
        returns = months / months.shift(fill_value=equity.iloc[0]) - 1.0
        table = returns.unstack().reindex(columns=range(1, 13))
        years = months.groupby(level=0).last()
        table["year"] = years / years.shift(fill_value=equity.iloc[0]) - 1.0
        table.index.name = "year"
        return table

    @cached_property
    def falls(self) -> pd.DataFrame:
        """Every stretch below a peak, deepest first: peak_on, trough_on, recovered_on (NaT while
        it has not), depth < 0, days (calendar, from peak to recovery or the end)."""
        times = self.days.index
        found = simulation.falls(self.recording.daily_equity)
        frame = pd.DataFrame(
            {
                "peak_on": times[[fall.peak for fall in found]],
                "trough_on": times[[fall.trough for fall in found]],
                "recovered_on": pd.DatetimeIndex(
                    [pd.NaT if fall.end is None else times[fall.end] for fall in found]
                ),
                "depth": [fall.depth for fall in found],
            }
        )
        frame["days"] = (frame["recovered_on"].fillna(times[-1]) - frame["peak_on"]).dt.days
        return frame

    @cached_property
    def rolling(self) -> pd.DataFrame:
        """Figures of the last 252 daily returns at every day that has as many, index date:
        return (compound), volatility and sharpe_ratio (annualised)."""
        equity = self.days["equity"]
        returns = equity.pct_change().iloc[1:]
        window = returns.rolling(TRADING_DAYS)
        deviation = window.std()
        frame = pd.DataFrame(
            {
                "return": equity / equity.shift(TRADING_DAYS) - 1.0,
                "volatility": deviation * ANNUAL,
                "sharpe_ratio": window.mean() / deviation.where(deviation > NO_SPREAD) * ANNUAL,
            }
        )
        return frame.iloc[TRADING_DAYS:]

    def as_json(self) -> dict[str, Any]:
        """The simulation for machines, as SPEC §6 prints it; undefined metrics are None."""
        daily = self.prepared.history.provenance.interval == "1d"
        last = self.recording
        columns = ["time", "side", "quantity", "price", "commission", "shares", "cash", "reason"]
        fills = self.fills[columns]
        fills["time"] = fills["time"].dt.strftime("%Y-%m-%d" if daily else "%Y-%m-%dT%H:%M:%S")
        return {
            "symbol": self.symbol,
            "start": self.prepared.history.first_date.isoformat(),
            "end": self.prepared.history.last_date.isoformat(),
            "ticks": self.prepared.setup.ticks,
            "metrics": _null_undefined(self.metrics),
            "undefined": self.undefined,
            "fills": fills.to_dict("records"),
            "final": {
                "shares": float(last.shares[-1]),
                "cash": float(last.cash[-1]),
                "receivable": float(last.receivable[-1]),
                "equity": float(last.equity[-1]),
                "anchor": float(last.anchor[-1]),
            },
            "benchmarks": {
                name: _null_undefined(values) for name, values in self.benchmarks.items()
            },
            "assumptions": list(self.prepared.assumptions),
        }


def simulate(history: PriceHistory, policy: Policy, setup: Setup) -> Simulation:
    """Replay `policy` over `history`. Raises PriceUnavailable or InvalidInput."""
    prepared = prepare(history, setup)
    path, start = prepared.path, prepared.start
    recording = simulation.record(path, policy.terms, *start)
    mirrored = None
    if path.walked.any():
        mirrored = simulation.record(path.mirrored, policy.terms, *start)
    return Simulation(prepared, policy, recording, mirrored)


@dataclass(frozen=True)
class Optimization:
    """Every cell of a grid with its metrics.

    cells: one row per cell in the grid's order, index cell_id; columns: the parameters, valid
    (bool), every metric of SPEC §8 (float, NaN where undefined or not simulated).
    """

    prepared: Prepared
    grid: Grid
    cells: pd.DataFrame

    def best(self, metric: str) -> int:
        """The cell with the best value of `metric`; the first of equals.

        Raises InvalidInput where the metric has no good direction or no cell has a value.
        """
        rankable(metric)
        values = (self.cells[metric] * good_sign(metric)).to_numpy()
        if np.isnan(values).all():
            raise InvalidInput(
                "metric", f"{metric} is undefined in every cell", "choose another metric"
            )
        return int(np.nanargmax(values))

    def ranked(self, metric: str) -> pd.DataFrame:
        """The simulated cells from best to worst by `metric`, undefined ones last."""
        usable = self.cells[self.cells["valid"]]
        order = (usable[metric] * -good_sign(metric)).sort_values(kind="stable").index
        return usable.loc[order]


MOST_AT_ONCE = 1_000_000
"""Cells of a grid that is run whole and kept in memory."""

Progress = Callable[[int, int], None]
"""Told (cells completed, cells in all) after every chunk."""


def optimize(
    history: PriceHistory,
    policy: Policy,
    parameters: tuple[Parameter, ...],
    setup: Setup,
    progress: Progress = lambda completed, total: None,
    workers: int | None = None,
) -> Optimization:
    """Simulate every combination of `parameters` on top of `policy` over `history`.

    Raises PriceUnavailable or InvalidInput, the latter also where every cell is invalid.
    """
    grid = Grid(policy, parameters, setup.ticks)
    if len(grid) > MOST_AT_ONCE:
        raise InvalidInput(
            "parameters", f"{len(grid):,} cells", f"at most {MOST_AT_ONCE:,}; widen the steps"
        )
    if not valid(grid.terms(np.arange(len(grid)))).any():
        raise no_valid_cell(grid)
    prepared = prepare(history, setup, grid.tick_models)
    results = np.empty((len(METRICS), len(grid)))
    completed = 0
    progress(0, len(grid))
    for chunk, values in jobs.evaluate_grid(grid, prepared.paths, workers):
        results[:, chunk.start : chunk.stop] = values
        completed += chunk.stop - chunk.start
        progress(completed, len(grid))
    return Optimization(prepared, grid, _cells(grid, results))


def _cells(grid: Grid, results: Floats) -> pd.DataFrame:
    ids = np.arange(len(grid))
    columns: dict[str, Any] = {
        parameter.name: np.array(parameter.values)[index]
        for parameter, index in zip(grid.parameters, grid.value_indexes(ids), strict=True)
    }
    columns["valid"] = valid(grid.terms(ids))
    columns |= {metric.name: row for metric, row in zip(METRICS, results, strict=True)}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(grid), name="cell_id"))


def _null_undefined(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}

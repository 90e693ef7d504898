"""Random but reproducible policies and price paths for comparing implementations."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from volbal.engine.paths import Bars, Dividend, PricePath, limit_path, price_path


@dataclass(frozen=True)
class Sample:
    """One path with dividends, one policy as plain fields, and what the cell starts with.

    bars: open, high, low, close around the same closes.
    """

    closes: list[float]
    times: list[np.datetime64]
    dividends: list[Dividend]
    policy: dict[str, Any]
    capital: float
    stock_share: float
    bars: list[tuple[float, float, float, float]] = field(default_factory=list)

    @property
    def path(self) -> PricePath:
        return price_path(np.array(self.times), np.array(self.closes), self.dividends)

    @property
    def limit_path(self) -> PricePath:
        return limit_path(np.array(self.times), Bars(*np.array(self.bars).T), self.dividends)

    @property
    def dates(self) -> list[date]:
        return [time.astype("datetime64[D]").item() for time in self.times]

    @property
    def start(self) -> tuple[float, float]:
        """Shares and cash at the first close."""
        return self._start_at(self.closes[0])

    @property
    def limit_start(self) -> tuple[float, float]:
        """Shares and cash at the first open."""
        return self._start_at(self.bars[0][0])

    def _start_at(self, price: float) -> tuple[float, float]:
        in_stock = self.capital * self.stock_share
        return in_stock / price, self.capital - in_stock


def random_policy(rng: np.random.Generator) -> dict[str, Any]:
    """Policy fields over their whole useful range, with lots, fees and guardrails that bind."""
    sizing = str(rng.choice(["proportional", "fixed_percentage", "original"]))
    low, high = sorted(rng.choice(np.arange(0, 101, 5), size=2, replace=False) / 100)
    fixed = sizing == "fixed_percentage"
    return {
        "trigger_up": _pick(rng, 0.005, 0.02, 0.03, 0.1),
        "trigger_down": _pick(rng, 0.005, 0.02, 0.03, 0.1),
        "sizing": sizing,
        "rebalance_ratio": _pick(rng, 0.05, 0.3, 1.0) if fixed else _pick(rng, 0.5, 1.6667, 4.0),
        "min_stock_share": float(low),
        "max_stock_share": float(high),
        "auto_rebalance": bool(rng.integers(2)),
        "max_trade_share": _pick(rng, 0.05, 0.2, 1.0),
        "min_notional": _pick(rng, 0.0, 100.0, 400.0),
        "lot_size": _pick(rng, 0.0, 0.0, 0.1, 1.0, 10.0),
        "max_orders_per_day": int(rng.choice([1, 2, 5])),
        "commission_rate": _pick(rng, 0.0, 0.0001, 0.01),
        "commission_min": _pick(rng, 0.0, 0.0, 1.0, 30.0),
        "slippage": _pick(rng, 0.0, 0.0, 0.001, 0.05),
        "withholding_rate": _pick(rng, 0.0, 0.25, 1.0),
        "cash_rate": _pick(rng, 0.0, 0.0, 0.04),
    }


def random_sample(rng: np.random.Generator, days: int = 60) -> Sample:
    """A path in cents with gaps, weekends, several ticks on some days, and dividends."""
    per_day = int(rng.choice([1, 1, 1, 3]))
    times, day = [], date(2020, 1, 2)
    for _ in range(days):
        times += [np.datetime64(day, "s") + np.timedelta64(hour, "h") for hour in range(per_day)]
        day += timedelta(days=int(rng.choice([1, 1, 1, 3, 12])))
    moves = rng.normal(0.0, 0.02, len(times)) + rng.choice(
        [0.0, -0.3, 0.3], p=[0.97, 0.015, 0.015], size=len(times)
    )
    closes = np.round(_pick(rng, 12.0, 100.0, 900.0) * np.exp(np.cumsum(moves)), 2)
    closes = np.maximum(closes, 0.5)
    first, last = times[0].astype("datetime64[D]").item(), day
    count = int(rng.integers(0, 6))
    ex_dates = sorted(
        {first + timedelta(days=int(d)) for d in rng.integers(-3, (last - first).days, count)}
    )
    dividends = [
        Dividend(
            ex_on,
            round(float(closes.mean()) * _pick(rng, 0.005, 0.02, 0.25), 4),
            ex_on + timedelta(days=int(rng.integers(0, 60))) if rng.integers(2) else None,
        )
        for ex_on in ex_dates
    ]
    return Sample(
        closes=closes.tolist(),
        times=times,
        dividends=dividends,
        policy=random_policy(rng),
        capital=_pick(rng, 1_000.0, 10_000.0, 1_000_000.0),
        stock_share=_pick(rng, 0.0, 0.5, 0.7, 1.0),
        bars=random_bars(rng.spawn(1)[0], closes),
    )


def random_bars(
    rng: np.random.Generator, closes: np.ndarray
) -> list[tuple[float, float, float, float]]:
    """Bars in cents around `closes`: gaps at the open, wide and narrow ranges, some that do not
    move, some that open or close at their high or low."""
    before = np.concatenate((closes[:1], closes[:-1]))
    gaps = rng.choice(
        [0.0, 0.01, -0.02, 0.08, -0.08], p=[0.5, 0.2, 0.2, 0.05, 0.05], size=len(closes)
    )
    opens = np.maximum(np.round(before * (1.0 + gaps), 2), 0.5)
    opens = np.where(rng.random(len(closes)) < 0.1, closes, opens)
    wide = _pick(rng, 0.0, 0.01, 0.04, 0.2)
    above, below = rng.exponential(wide, (2, len(closes))) * (rng.random((2, len(closes))) < 0.8)
    highs = np.round(np.maximum(opens, closes) * (1.0 + above), 2)
    lows = np.round(np.minimum(opens, closes) / (1.0 + below), 2)
    lows = np.minimum(np.maximum(lows, 0.01), np.minimum(opens, closes))
    return list(zip(opens.tolist(), highs.tolist(), lows.tolist(), closes.tolist(), strict=True))


def _pick(rng: np.random.Generator, *values: float) -> float:
    return float(rng.choice(values))

"""`python bench/grid.py [--rounds N]`: bar-steps per second of the kernel beside slower ways.

One bar-step is one bar of one parameter combination including all metrics; with limit ticks also
including the bracket, a second replay of every cell. The ways take turns
within each round (A B C D A B C D …), on one core, over the same prices and policies; the table
shows medians and the kernel's factor as the median of the rounds' ratios.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

import oracle

from bench.scalar_loop import replay_daily
from volbal.domain.policy import Policy
from volbal.engine import simulation
from volbal.engine.grid import Grid, exact_range
from volbal.engine.kernel import LANES, replay
from volbal.engine.metrics import streamed_metrics
from volbal.engine.paths import TICK_MODELS
from volbal.market.bundled import BundledPrices
from volbal.services.research import Prepared, Setup, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    setup = Setup(start=date(2013, 9, 23), end=date(2023, 9, 21))
    prepared = prepare(BundledPrices().history("AAPL"), setup, TICK_MODELS)
    terms = _grid().terms(np.arange(len(_grid())))
    ways = _ways(prepared, terms)
    for run, _ in ways.values():
        run()
    steps: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (run, cells) in ways.items():
            started = time.perf_counter()
            run()
            seconds = time.perf_counter() - started
            steps[name].append(cells * prepared.path.ticks / seconds)
    _print(prepared, terms.shape[1], steps, rounds)


def _grid() -> Grid:
    thresholds = exact_range("trigger_threshold", "0.005", "0.1", "0.0025")
    ratios = exact_range("rebalance_ratio", "0.5", "3", "0.1")
    lows = exact_range("min_stock_share", "0", "0.4", "0.05")
    return Grid(Policy(), (thresholds, ratios, lows))


def _ways(prepared: Prepared, terms: np.ndarray) -> dict[str, tuple[Callable[[], object], int]]:
    """Name to (one run, cells it replays); slower ways get fewer cells."""
    path, (shares, cash) = prepared.path, prepared.start
    limit, at_open = prepared.paths.by_ticks["limit"], prepared.paths.start("limit")
    spread = np.linspace(0, terms.shape[1] - 1, LANES * 8).astype(int)
    some = np.ascontiguousarray(terms[:, spread])
    one = Policy()
    dividends = [
        (row.ex_date.date(), str(row.amount), None)
        for row in prepared.history.dividends.itertuples()
    ]
    dates = [moment.item().date() for moment in path.times]
    closes = [repr(price) for price in path.price.tolist()]

    def kernel() -> object:
        return streamed_metrics(path, terms, replay(path, terms, shares, cash), shares, cash)

    def limit_kernel() -> object:
        ended, mirrored = (replay(way, terms, *at_open) for way in (limit, limit.mirrored))
        return streamed_metrics(limit, terms, ended, *at_open, mirrored)

    def plain() -> object:
        return simulation.metrics(simulation.record(path, one.terms, shares, cash))

    def decimal() -> object:
        return oracle.simulate(closes, dates, {}, "10000", "0.5", dividends=dividends)

    return {
        "kernel, 64 lanes": (kernel, terms.shape[1]),
        "kernel, limit ticks": (limit_kernel, terms.shape[1]),
        "scalar numba loop": (lambda: replay_daily(path, some, shares, cash), len(spread)),
        "same rule, uncompiled": (plain, 1),
        "Decimal oracle of the tests": (decimal, 1),
    }


def _print(prepared: Prepared, cells: int, steps: dict[str, list[float]], rounds: int) -> None:
    kernel = steps["kernel, 64 lanes"]
    print(f"{cells:,} cells x {prepared.path.ticks:,} bars of AAPL, one core, {rounds} rounds")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'way':<30}{'bar-steps/s':>16}{'ns':>12}{'kernel is':>14}")
    for name, values in steps.items():
        median = statistics.median(values)
        factor = statistics.median(k / v for k, v in zip(kernel, values, strict=True))
        print(f"{name:<30}{median:>16,.0f}{1e9 / median:>12,.1f}{factor:>12,.1f} x")


if __name__ == "__main__":
    main()

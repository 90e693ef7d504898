"""The recorded simulation against the Decimal oracle and against the streaming kernel."""

import math
from datetime import date

import numpy as np
import oracle
import pytest
from samples import Sample, random_sample

from volbal.domain.policy import Policy
from volbal.engine import simulation
from volbal.engine.kernel import STATE, replay
from volbal.engine.metrics import METRICS, streamed_metrics
from volbal.engine.paths import Dividend, price_path
from volbal.engine.simulation import Recording

PAIRS_PER_SEED = 100


def recorded(sample: Sample) -> Recording:
    return simulation.record(sample.path, Policy(**sample.policy).terms, *sample.start)


@pytest.mark.parametrize("seed", range(11))
def test_recording_agrees_with_the_decimal_oracle_on_random_paths_and_policies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(PAIRS_PER_SEED):
        sample = random_sample(rng)
        ours = recorded(sample)
        theirs = oracle.simulate(
            sample.closes,
            sample.dates,
            sample.policy,
            sample.capital,
            sample.stock_share,
            dividends=sample.dividends,
        )
        assert_same_fills(ours, theirs, sample)
        assert_same_states(ours, theirs, sample)
        assert_same_metrics(simulation.metrics(ours), theirs.metrics, sample)


@pytest.mark.parametrize("seed", range(4))
def test_limit_ticks_agree_with_the_decimal_oracle_on_random_bars_and_policies(seed: int) -> None:
    rng = np.random.default_rng(500 + seed)
    within_bars = 0
    for _ in range(40):
        sample = random_sample(rng, days=40)
        policy = Policy(**sample.policy).terms
        paths = sample.limit_path, sample.limit_path.mirrored
        ours = [simulation.record(path, policy, *sample.limit_start) for path in paths]
        theirs = [
            oracle.simulate_limit(
                sample.bars,
                sample.dates,
                sample.policy,
                sample.capital,
                sample.stock_share,
                mirrored=mirrored,
                dividends=sample.dividends,
            )
            for mirrored in (False, True)
        ]
        for mine, other in zip(ours, theirs, strict=True):
            assert_same_fills(mine, other, sample)
            assert_same_states(mine, other, sample)
            within_bars += len(mine.ticks) - mine.path.ticks
        both = [run.metrics["cagr"] for run in theirs]
        bracket = {"bracket_low": min(both), "bracket_high": max(both)}
        assert_same_metrics(simulation.metrics(*ours), theirs[0].metrics | bracket, sample)
    assert within_bars > 1_000


def assert_same_fills(ours: Recording, theirs: oracle.OracleRun, sample: Sample) -> None:
    expected = [
        (i, t.order.action, t.order) for i, t in enumerate(theirs.ticks) if t.order.quantity > 0
    ]
    sides = [(fill.at, "BUY" if fill.quantity > 0 else "SELL") for fill in ours.fills]
    assert sides == [(tick, action) for tick, action, _ in expected], sample
    for fill, (_, _, order) in zip(ours.fills, expected, strict=True):
        assert abs(fill.quantity) == pytest.approx(float(order.quantity), rel=1e-9), sample
        assert fill.price == pytest.approx(float(order.price), rel=1e-12), sample
        assert fill.commission == pytest.approx(float(order.commission), rel=1e-9, abs=1e-12)


def assert_same_states(ours: Recording, theirs: oracle.OracleRun, sample: Sample) -> None:
    for name in ("price", "shares", "cash", "receivable", "anchor", "equity", "stock_share"):
        expected = np.array([float(getattr(tick, name)) for tick in theirs.ticks])
        scale = np.maximum(1.0, np.abs(expected).max())
        np.testing.assert_allclose(
            getattr(ours, name), expected, rtol=0, atol=1e-10 * scale, err_msg=f"{name} {sample}"
        )


def assert_same_metrics(ours: dict[str, float], theirs: dict[str, object], sample: Sample) -> None:
    for name, expected in theirs.items():
        if expected is None:
            assert math.isnan(ours[name]), (name, ours[name], sample)
        else:
            wanted = float(expected)  # type: ignore[arg-type]
            assert ours[name] == pytest.approx(wanted, rel=1e-8, abs=1e-10), (name, sample)


@pytest.mark.parametrize("ticks", ["close", "limit"])
@pytest.mark.parametrize("seed", range(5))
def test_streamed_fills_are_bit_equal_to_recorded_ones_and_metrics_agree_to_1e_12(
    seed: int, ticks: str
) -> None:
    rng = np.random.default_rng(1000 + seed)
    for _ in range(60):
        sample = random_sample(rng)
        path = sample.limit_path if ticks == "limit" else sample.path
        start = sample.limit_start if ticks == "limit" else sample.start
        policy = Policy(**sample.policy).terms
        terms = np.array([policy]).T
        ended = replay(path, terms, *start)
        recording = simulation.record(path, policy, *start)
        state = dict(zip(STATE, ended[:, 0], strict=True))
        assert state["shares"] == recording.shares[-1]
        assert state["cash"] == recording.cash[-1]
        assert state["receivable"] == recording.receivable[-1]
        assert state["anchor"] == recording.anchor[-1]
        assert state["fills"] == len(recording.fills)
        assert state["levels_asked"] == len(recording.ticks) - path.ticks
        assert state["bought"] == _summed(recording, +1.0)
        assert state["sold"] == _summed(recording, -1.0)
        mirrored = recorded_mirrored = None
        if ticks == "limit":
            mirrored = replay(path.mirrored, terms, *start)
            recorded_mirrored = simulation.record(path.mirrored, policy, *start)
        streamed = streamed_metrics(path, terms, ended, *start, mirrored)
        assert_metrics_close(streamed, simulation.metrics(recording, recorded_mirrored), sample)


def _summed(recording: Recording, side: float) -> float:
    total = 0.0
    for fill in recording.fills:
        total += fill.notional if fill.quantity * side > 0 else 0.0
    return total


def assert_metrics_close(
    streamed: dict[str, np.ndarray], expected: dict[str, float], sample: Sample
) -> None:
    for metric in METRICS:
        value = float(streamed[metric.name][0])
        wanted = expected[metric.name]
        assert math.isnan(value) == math.isnan(wanted), (metric.name, value, wanted, sample)
        if not math.isnan(wanted):
            assert value == pytest.approx(wanted, rel=1e-12, abs=1e-12), (metric.name, sample)


def test_golden_run_of_the_specification() -> None:
    closes = np.array([100.0, 100, 96, 96, 100, 104, 100, 97, 97])
    times = np.arange("2024-01-01", "2024-01-10", dtype="datetime64[D]").astype("datetime64[s]")
    run = simulation.record(price_path(times, closes), Policy().terms, 50.0, 5_000.0)
    fills = [(round(fill.quantity, 5), fill.price, round(fill.cash, 5)) for fill in run.fills]
    assert fills == [
        (7.08926, 96.0, 4319.36278),
        (-6.68566, 100.0, 4987.86189),
        (-6.30550, 104.0, 5643.56818),
        (6.70239, 100.0, 4973.26252),
        (5.26151, 97.0, 4462.84508),
    ]
    assert run.fills[0].commission == pytest.approx(0.06806, abs=5e-6)
    assert run.shares[-1] == pytest.approx(56.062, abs=5e-4)


def test_dividend_bought_on_its_ex_date_pays_nothing_and_the_gap_fires_no_trigger() -> None:
    # 100 -> 96 on the ex-date of 4: the anchor falls to 96 with it, so nothing is traded.
    days = ["2024-01-02", "2024-01-03", "2024-01-04"]
    sample = Sample(
        closes=[100.0, 96.0, 96.0],
        times=[np.datetime64(day, "s") for day in days],
        dividends=[dividend("2024-01-03", 4.0), dividend("2024-01-02", 9.0)],
        policy={},
        capital=10_000.0,
        stock_share=0.5,
    )
    run = recorded(sample)
    assert run.fills == ()
    assert run.anchor.tolist() == [100.0, 96.0, 96.0]
    # 50 shares x 4 x (1 - 0.25); the ex-date on the first day pays nothing.
    assert run.receivable.tolist() == [0.0, 150.0, 150.0]


def test_dividend_becomes_cash_on_its_pay_date_and_earns_interest_from_then_on() -> None:
    days = ["2024-01-02", "2024-01-03", "2024-01-24", "2024-01-25"]
    sample = Sample(
        closes=[100.0, 98.0, 98.0, 98.0],
        times=[np.datetime64(day, "s") for day in days],
        dividends=[dividend("2024-01-03", 2.0)],
        policy={"cash_rate": 0.36525, "auto_rebalance": False},
        capital=10_000.0,
        stock_share=1.0,
    )
    run = recorded(sample)
    # 100 shares x 2 x 0.75 = 150, paid 21 days after the ex-date. SPEC's order of work puts
    # interest after payments: 150 x 0.36525 x 21 / 365.25 = 3.15, then 153.15 x 0.001.
    assert run.receivable.tolist() == [0.0, 150.0, 0.0, 0.0]
    assert run.cash.tolist() == pytest.approx([0.0, 0.0, 153.15, 153.30315])


def dividend(ex_on: str, per_share: float) -> Dividend:
    return Dividend(date.fromisoformat(ex_on), per_share)


def test_falls_are_the_stretches_below_a_peak_deepest_first() -> None:
    equity = np.array([100.0, 90.0, 100.0, 110.0, 88.0, 99.0])
    # 100 -> 90 recovers at once; 110 -> 88 is 20 % deep and has not recovered.
    assert simulation.falls(equity) == [
        (3, 4, None, pytest.approx(-0.2)),
        (0, 1, 2, pytest.approx(-0.1)),
    ]


def test_a_curve_that_only_rises_has_no_fall() -> None:
    assert simulation.falls(np.array([1.0, 1.0, 2.0])) == []


@pytest.mark.parametrize("seed", range(3))
def test_no_fill_of_a_run_leaves_a_guardrail_breach_or_overdrawn_cell(seed: int) -> None:
    rng = np.random.default_rng(2000 + seed)
    fills = 0
    for _ in range(60):
        run = recorded(random_sample(rng))
        low, high = run.terms.min_stock_share, run.terms.max_stock_share
        for done in run.decisions:
            if done.quantity == 0.0:
                continue
            fills += 1
            before, after = done.stock_share, done.stock_share_after
            inside = low - 1e-9 <= after <= high + 1e-9
            assert inside or (before < after < low) or (high < after < before), done
        assert run.cash.min() >= 0.0
        assert run.shares.min() >= 0.0
    assert fills > 500

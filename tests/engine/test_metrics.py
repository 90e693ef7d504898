"""Metrics against two independent libraries: ffn and empyrical."""

import warnings

import numpy as np
import pandas as pd
import pytest

from volbal.domain.policy import Policy
from volbal.engine import simulation
from volbal.engine.metrics import METRICS
from volbal.engine.simulation import Recording
from volbal.market.bundled import BundledPrices
from volbal.services.research import Setup, simulate

with warnings.catch_warnings():
    # Their own use of deprecated names, at import.
    warnings.simplefilter("ignore")
    import empyrical
    import ffn


@pytest.fixture(scope="module", params=["AAPL", "IBM", "AMZN"])
def recording(request: pytest.FixtureRequest) -> Recording:
    return simulate(BundledPrices().history(request.param), Policy(), Setup()).recording


def daily_equity(recording: Recording) -> pd.Series:
    times = pd.DatetimeIndex(recording.times[recording.day_marks])
    return pd.Series(recording.daily_equity, index=times)


def test_growth_and_drawdown_figures_equal_ffn(recording: Recording) -> None:
    ours, equity = simulation.metrics(recording), daily_equity(recording)
    assert ours["cagr"] == pytest.approx(ffn.core.calc_cagr(equity), rel=1e-9)
    assert ours["max_drawdown"] == pytest.approx(ffn.core.calc_max_drawdown(equity), rel=1e-9)
    assert ours["calmar_ratio"] == pytest.approx(ffn.core.calc_calmar_ratio(equity), rel=1e-9)
    assert ours["ulcer_index"] * 100 == pytest.approx(ffn.core.to_ulcer_index(equity), rel=1e-9)


def test_risk_figures_equal_empyrical(recording: Recording) -> None:
    ours = simulation.metrics(recording)
    returns = daily_equity(recording).pct_change().iloc[1:]
    stock = pd.Series(simulation.stock_returns(recording), index=returns.index)
    expected = {
        "volatility": empyrical.annual_volatility(returns),
        "sharpe_ratio": empyrical.sharpe_ratio(returns),
        "sortino_ratio": empyrical.sortino_ratio(returns),
        "beta": empyrical.beta(returns, stock),
        "cvar_95": empyrical.conditional_value_at_risk(returns),
    }
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=1e-9), name


def test_every_metric_is_described_and_named_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) == 25
    assert all(metric.label and metric.description and metric.undefined for metric in METRICS)


def test_undefined_metrics_are_nan_with_a_reason_never_zero_or_infinite() -> None:
    # All cash at no interest: nothing moves, nothing is sold, nothing is at risk.
    policy = Policy(min_stock_share=0.0, auto_rebalance=False, trigger_down=0.99)
    run = simulate(BundledPrices().history("KO"), policy, Setup(stock_share=0.0, capital=1_000.0))
    undefined = {
        "sharpe_ratio",
        "sortino_ratio",
        "calmar_ratio",
        "win_rate",
        "profit_factor",
        "avg_holding_days",
        "information_ratio",
        "bracket_low",
        "bracket_high",
    }
    assert set(run.undefined) == undefined
    assert all(np.isnan(run.metrics[name]) for name in undefined)
    assert run.undefined["win_rate"] == "nothing was sold"
    assert run.metrics["volatility"] == 0.0

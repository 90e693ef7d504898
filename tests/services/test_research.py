"""Research use cases on bundled prices: best cells, heatmaps, workers, benchmarks."""

import io
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from volbal import jobs
from volbal.domain.policy import Policy
from volbal.engine.grid import Parameter, exact_range
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.bundled import BundledPrices
from volbal.market.model import BASIS, PriceHistory, Provenance
from volbal.services.exports import table_bytes
from volbal.services.research import Optimization, Setup, optimize, simulate

AAPL = BundledPrices().history("AAPL")
LIMIT_DECADE = Setup(start=date(2013, 9, 23), end=date(2023, 9, 21), ticks="limit")
DECADE = Setup(start=date(2013, 9, 23), end=date(2023, 9, 21))


@pytest.fixture(scope="module")
def swept() -> Optimization:
    return optimize(
        AAPL,
        Policy(),
        (
            exact_range("trigger_threshold", "0.01", "0.05", "0.01"),
            exact_range("rebalance_ratio", "0.5", "2", "0.5"),
            Parameter("min_stock_share", (0.2, 0.8)),
        ),
        DECADE,
    )


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_worker_processes_never_change_a_bit(
    workers: int, swept: Optimization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SMALL", 0)  # worker processes even for this small grid
    again = optimize(AAPL, Policy(), swept.grid.parameters, DECADE, workers=workers)
    assert again.cells.equals(swept.cells)


def test_progress_counts_every_cell_and_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    thresholds = exact_range("trigger_threshold", "0.0001", "0.5", "0.0001")
    optimize(
        AAPL, Policy(), (thresholds, Parameter("lot_size", (0.0, 1.0, 2.0, 5.0))), DECADE,
        lambda completed, total: seen.append((completed, total)),
    )  # fmt: skip
    assert seen[0] == (0, 20_000)
    assert seen[-1] == (20_000, 20_000)
    assert len(seen) > 2
    assert seen == sorted(seen)


def test_invalid_cells_are_counted_shown_and_never_best(swept: Optimization) -> None:
    cells = swept.cells
    assert (~cells["valid"]).sum() == 20  # min_stock_share 0.8 is above the maximum of 0.75
    assert cells.loc[~cells["valid"], "sharpe_ratio"].isna().all()
    assert swept.cells["valid"][swept.best("sharpe_ratio")]


def test_best_follows_the_metrics_good_direction(swept: Optimization) -> None:
    cells = swept.cells
    assert cells["sharpe_ratio"][swept.best("sharpe_ratio")] == cells["sharpe_ratio"].max()
    assert cells["volatility"][swept.best("volatility")] == cells["volatility"].min()


def test_all_cells_invalid_is_an_error_before_anything_runs() -> None:
    with pytest.raises(InvalidInput, match="all 2 combinations"):
        optimize(AAPL, Policy(), (Parameter("min_stock_share", (0.8, 0.9)),), DECADE)


def test_a_range_outside_the_prices_is_refused_with_what_there_is() -> None:
    with pytest.raises(PriceUnavailable, match="2023-09-21"):
        simulate(AAPL, Policy(), Setup(start=date(2024, 1, 2), end=date(2025, 1, 2)))


def test_benchmarks_start_with_the_capital_and_hold_what_they_say() -> None:
    run = simulate(AAPL, Policy(withholding_rate=1.0, cash_rate=0.0), DECADE)
    growth = run.days["price"].iloc[-1] / run.days["price"].iloc[0]
    # Without dividends or interest: shares grow with the price, cash stays.
    assert run.benchmarks["buy_and_hold"]["final_equity"] == pytest.approx(10_000 * growth)
    assert run.benchmarks["start_mix"]["final_equity"] == pytest.approx(5_000 * growth + 5_000)
    assert run.days["exposure_matched"].iloc[0] == 10_000.0
    assert run.metrics["buy_hold_return"] == pytest.approx(growth - 1)


def test_a_simulation_is_taken_away_whole_or_table_by_table() -> None:
    run = simulate(AAPL, Policy(), Setup(start=date(2013, 1, 2), end=date(2014, 12, 31)))
    frames = run.tables
    assert {name: len(frame) for name, frame in frames.items()} == {
        "Days": len(run.days),
        "Fills": len(run.fills),
        "Dividends": len(run.dividends),
        "Metrics": len(run.metrics) + 1,
    }
    cagr = frames["Metrics"].loc["cagr"]
    assert cagr["strategy"] == run.metrics["cagr"]
    assert cagr["buy_and_hold"] == run.benchmarks["buy_and_hold"]["cagr"]
    whole = json.loads(table_bytes(frames, "json"))
    assert [len(records) for records in whole.values()] == [len(one) for one in frames.values()]
    assert table_bytes(frames, "xlsx")
    back = pd.read_parquet(io.BytesIO(table_bytes({"Days": frames["Days"]}, "parquet")))
    assert back["equity"].tolist() == run.days["equity"].tolist()


def test_excess_is_against_the_exposure_matched_hold() -> None:
    run = simulate(AAPL, Policy(), DECADE)
    matched = run.benchmarks["exposure_matched"]["cagr"]
    assert run.metrics["excess_return"] == pytest.approx(run.metrics["cagr"] - matched, rel=1e-12)


def test_capital_scales_a_run_without_minimum_amounts() -> None:
    policy = Policy(min_notional=0.0)
    small = simulate(AAPL, policy, DECADE)
    large = simulate(AAPL, policy, Setup(DECADE.start, DECADE.end, capital=1e6))
    assert large.metrics["total_return"] == pytest.approx(small.metrics["total_return"], rel=1e-9)


def test_monthly_returns_compound_to_the_years_and_the_years_to_the_total() -> None:
    run = simulate(AAPL, Policy(), DECADE)
    table = run.monthly_returns
    months = table[list(range(1, 13))]
    assert table.index.tolist() == list(range(2013, 2024))
    assert np.isnan(months.loc[2013, 8])  # before the start
    years = (1.0 + months.fillna(0.0)).prod(axis=1) - 1.0
    assert years.to_numpy() == pytest.approx(table["year"].to_numpy())
    assert (1.0 + table["year"]).prod() - 1.0 == pytest.approx(run.metrics["total_return"])


def test_the_deepest_fall_is_the_maximum_drawdown() -> None:
    run = simulate(AAPL, Policy(), DECADE)
    deepest = run.falls.iloc[0]
    assert deepest["depth"] == pytest.approx(run.metrics["max_drawdown"])
    assert deepest["peak_on"] < deepest["trough_on"] < deepest["recovered_on"]


def test_rolling_figures_of_a_year_equal_the_metrics_of_that_year() -> None:
    run = simulate(AAPL, Policy(), DECADE)
    rolling = run.rolling
    assert len(rolling) == len(run.days) - 252
    # The first window is the first 252 daily returns.
    equity = run.days["equity"].iloc[:253]
    returns = equity.pct_change().iloc[1:]
    assert rolling["return"].iloc[0] == pytest.approx(equity.iloc[-1] / equity.iloc[0] - 1.0)
    assert rolling["volatility"].iloc[0] == pytest.approx(returns.std() * 252**0.5)
    assert rolling["sharpe_ratio"].iloc[0] == pytest.approx(
        returns.mean() / returns.std() * 252**0.5
    )


def bars_of(
    rows: list[tuple[float, float, float, float]], times: pd.DatetimeIndex, interval: str
) -> PriceHistory:
    bars = pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=times)
    bars["volume"] = 1.0
    dates = pd.Series(dtype="datetime64[s]")
    return PriceHistory(
        "XYZ",
        bars,
        pd.DataFrame({"ex_date": dates, "pay_date": dates, "amount": pd.Series(dtype=float)}),
        pd.DataFrame({"date": dates, "ratio": pd.Series(dtype=float)}),
        Provenance("made by hand", BASIS, interval, times[-1].date()),
    )


def test_limit_fills_are_at_levels_and_the_bracket_holds_both_orders_of_the_extremes() -> None:
    times = pd.DatetimeIndex(["2024-01-02", "2025-01-02"]).as_unit("s")
    history = bars_of([(100, 103, 97, 102), (102, 102, 102, 102)], times, "1d")
    run = simulate(history, Policy(), Setup(ticks="limit"))
    # 100 -> 97 -> 103 -> 102, as worked in tests/domain/test_walk.py.
    assert run.fills["price"].tolist() == pytest.approx([97.0, 99.91, 102.9073])
    assert run.fills["side"].tolist() == ["BUY", "SELL", "SELL"]
    assert run.mirrored is not None
    assert [fill.price for fill in run.mirrored.fills] == pytest.approx([103.0, 99.91])
    mirrored = float(run.mirrored.equity[-1])
    assert mirrored != run.final_equity
    ends = sorted([run.final_equity / 10_000 - 1, mirrored / 10_000 - 1])
    years = 366 / 365.25
    low, high = run.metrics["bracket_low"], run.metrics["bracket_high"]
    assert [low, high] == pytest.approx([(1 + end) ** (1 / years) - 1 for end in ends])
    # Ticks after the first: three levels and the close, then open and close.
    assert len(run.recording.ticks) - 1 == 6
    assert any(sentence.startswith("Ticks limit: orders rest") for sentence in
               run.prepared.assumptions)  # fmt: skip
    assert run.as_json()["ticks"] == "limit"


def test_limit_capital_is_put_in_at_the_first_open() -> None:
    run = simulate(AAPL, Policy(), LIMIT_DECADE)
    first = run.prepared.history.bars["open"].iloc[0]
    assert run.recording.shares[0] == pytest.approx(5_000.0 / first)
    assert run.days["equity"].iloc[0] == 10_000.0
    assert len(run.days) == len(run.prepared.history.bars) + 1
    assert run.benchmarks["buy_and_hold"]["final_equity"] > 0.0
    assert (1.0 + run.monthly_returns["year"]).prod() - 1.0 == pytest.approx(
        run.metrics["total_return"]
    )


def test_limit_ticks_on_closes_alone_are_refused_with_the_reason() -> None:
    history = BundledPrices().history("AAPL")
    history.bars["high"] = np.nan
    with pytest.raises(InvalidInput, match="nobody knows which levels the price met"):
        simulate(history, Policy(), LIMIT_DECADE)
    with pytest.raises(InvalidInput, match="choose close ticks"):
        optimize(history, Policy(), (Parameter("ticks", ("close", "limit")),), DECADE)


@pytest.mark.parametrize("ticks", ["close", "limit"])
def test_intraday_bars_become_days_for_the_metrics(ticks: str) -> None:
    days = pd.date_range("2024-01-02", periods=6, freq="D")
    times = pd.DatetimeIndex(
        [day + pd.Timedelta(hours=hour) for day in days for hour in (10, 12, 14)]
    ).as_unit("s")
    closes = 100.0 * (1.0 + 0.05 * np.sin(np.arange(len(times))))
    opens = np.concatenate(([100.0], closes[:-1]))
    rows = [(o, max(o, c) * 1.01, min(o, c) * 0.99, c) for o, c in zip(opens, closes, strict=True)]
    run = simulate(bars_of(rows, times, "2h"), Policy(), Setup(ticks=ticks))
    assert len(run.days) == 7  # V_0 at the first price, then six day ends
    assert run.days.index[1:].tolist() == days.tolist()
    assert run.days["price"].iloc[1:].tolist() == closes[2::3].tolist()
    equity = run.days["equity"]
    returns = equity.pct_change().iloc[1:]
    assert run.metrics["volatility"] == pytest.approx(returns.std() * 252**0.5)
    assert set(run.fills["time"]) <= set(times)
    assert run.as_json()["fills"][0]["time"].startswith("2024-01-02T")
    per_day = run.fills["time"].dt.date.value_counts()
    assert per_day.max() <= 5


def test_a_grid_over_tick_models_gives_each_cell_its_own_simulation() -> None:
    found = optimize(AAPL, Policy(), (Parameter("ticks", ("close", "limit")),), DECADE)
    for cell, setup in enumerate((DECADE, LIMIT_DECADE)):
        wanted = simulate(AAPL, Policy(), setup).metrics
        for name in ("cagr", "fill_count", "time_in_guardrails", "bracket_low", "bracket_high"):
            shown = found.cells[name][cell]
            assert shown == pytest.approx(wanted[name], rel=1e-12, nan_ok=True), name


def test_more_cells_than_fit_at_once_are_refused_with_the_count() -> None:
    many = exact_range("trigger_up", "0.0001", "0.2", "0.0001")
    other = exact_range("rebalance_ratio", "0.01", "10", "0.01")
    with pytest.raises(InvalidInput, match="2,000,000 cells"):
        optimize(AAPL, Policy(), (many, other), DECADE)

"""Research use cases on bundled prices: best cells, heatmaps, workers, benchmarks."""

from datetime import date

import numpy as np
import pytest

from volbal import jobs
from volbal.domain.policy import Policy
from volbal.engine.grid import Parameter, exact_range
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.bundled import BundledPrices
from volbal.services.research import Optimization, Setup, optimize, simulate

AAPL = BundledPrices().history("AAPL")
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


def test_heatmap_of_fixed_others_shows_exactly_those_cells(swept: Optimization) -> None:
    shown = swept.heatmap(
        "trigger_threshold", "rebalance_ratio", "cagr", fixed={"min_stock_share": 0.2}
    )
    assert len(shown) == 20
    for row in shown.itertuples():
        cell = swept.cells.loc[row.cell_id]
        assert (cell["trigger_threshold"], cell["rebalance_ratio"], cell["cagr"]) == (
            row.trigger_threshold,
            row.rebalance_ratio,
            row.cagr,
        )


@pytest.mark.parametrize(("metric", "pick"), [("cagr", "max"), ("volatility", "min")])
def test_heatmap_of_the_best_others_takes_the_good_end(
    swept: Optimization, metric: str, pick: str
) -> None:
    shown = swept.heatmap("min_stock_share", "rebalance_ratio", metric)
    expected = swept.cells.groupby(["min_stock_share", "rebalance_ratio"])[metric].agg(pick)
    for row in shown.itertuples():
        value = getattr(row, metric)
        wanted = expected[(row.min_stock_share, row.rebalance_ratio)]
        assert value == wanted or (np.isnan(value) and np.isnan(wanted))
        assert row.valid == (row.min_stock_share < 0.75)


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

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from volbal.domain.performance import Valuation, performance

START = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365.25)


def valued(years: float, equity: str | None, flow: str = "0", **more: Decimal) -> Valuation:
    worth = None if equity is None else Decimal(equity)
    return Valuation(START + years * YEAR, worth, Decimal(flow), **more)


def test_a_deposit_is_no_profit() -> None:
    result = performance([valued(0, "100", "100"), valued(0.5, "200", "100"), valued(1, "200")])
    assert result.time_weighted == 0.0
    assert result.money_weighted == pytest.approx(0.0, abs=1e-12)


def test_time_weighted_chains_the_periods_between_flows() -> None:
    # 100 -> 110 (+10 %), 90 in, 200 -> 180 (-10 %): 1.1 · 0.9 - 1 = -0.01
    result = performance([valued(0, "100", "100"), valued(0.5, "200", "90"), valued(1, "180")])
    assert result.time_weighted == pytest.approx(-0.01, abs=1e-15)


def test_a_withdrawal_is_no_loss() -> None:
    result = performance([valued(0, "100", "100"), valued(1, "40", "-60"), valued(2, "40")])
    assert result.time_weighted == 0.0


def test_money_weighted_is_the_annual_rate_that_explains_the_flows() -> None:
    # 100 for two years at 10 %: 121
    result = performance([valued(0, "100", "100"), valued(2, "121")])
    assert result.money_weighted == pytest.approx(0.10, abs=1e-12)
    # 100 now and 100 after a year at 20 %: 144 + 120 = 264
    late = [valued(0, "100", "100"), valued(1, "220", "100"), valued(2, "264")]
    assert performance(late).money_weighted == pytest.approx(0.20, abs=1e-12)


def test_a_flow_without_a_price_waits_for_the_next_valued_moment() -> None:
    rows = [valued(0, "100", "100"), valued(0.5, None, "50"), valued(1, "165")]
    # (165 - 50) / 100 - 1 = 0.15
    assert performance(rows).time_weighted == pytest.approx(0.15, abs=1e-15)
    assert performance(rows[:2]).unvalued_flow == 50


def test_the_stock_earns_its_dividends_and_survives_splits() -> None:
    rows = [
        valued(0, "1", price=Decimal(100)),
        # ex-dividend 1 net: (104 + 1) / 100; then 2 for 1: 54 · 2 / 104
        valued(0.5, "1", price=Decimal(104), dividend=Decimal(1)),
        valued(1, "1", price=Decimal(54), split=Decimal(2)),
    ]
    assert performance(rows).stock == pytest.approx(1.05 * 108 / 104 - 1, abs=1e-15)


def test_excess_is_time_weighted_less_the_stock() -> None:
    rows = [valued(0, "100", "100", price=Decimal(10)), valued(1, "104", price=Decimal(11))]
    assert performance(rows).excess == pytest.approx(0.04 - 0.10, abs=1e-15)


def test_what_is_undefined_is_none_with_a_reason() -> None:
    result = performance([valued(0, "100", "100")])
    assert (result.time_weighted, result.money_weighted, result.excess) == (None, None, None)
    assert set(result.undefined) == {"time_weighted", "money_weighted", "stock", "excess"}


def test_a_period_that_starts_with_nothing_earns_nothing() -> None:
    rows = [valued(0, "100", "100"), valued(1, "0", "-110"), valued(2, "50", "50"), valued(3, "55")]
    assert performance(rows).time_weighted == pytest.approx(1.1 * 1.1 - 1, abs=1e-15)

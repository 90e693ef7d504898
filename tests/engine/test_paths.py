"""Paths: where dividends fall on ticks, what a day is, and which series are refused."""

from datetime import date

import numpy as np
import pytest

from volbal.engine.paths import Bars, Dividend, limit_path, price_path
from volbal.errors import InvalidInput


def daily(*days: str) -> np.ndarray:
    return np.array(days, dtype="datetime64[s]")


def test_action_applies_at_the_first_tick_on_or_after_its_date() -> None:
    times = daily("2024-01-05", "2024-01-08", "2024-01-09")
    saturday = Dividend(date(2024, 1, 6), 1.0, date(2024, 1, 9))
    placed = price_path(times, np.ones(3), [saturday]).dividends
    assert (placed.ex_tick.tolist(), placed.pay_tick.tolist()) == ([1], [2])


def test_ex_date_on_the_first_day_or_after_the_last_is_left_out() -> None:
    times = daily("2024-01-05", "2024-01-08")
    outside = [Dividend(date(2024, 1, 5), 1.0), Dividend(date(2024, 1, 9), 1.0)]
    assert len(price_path(times, np.ones(2), outside).dividends.per_share) == 0


def test_unknown_pay_date_is_the_ex_date_plus_the_lag() -> None:
    times = daily("2024-01-01", "2024-01-02", "2024-01-22", "2024-01-23")
    path = price_path(times, np.ones(4), [Dividend(date(2024, 1, 2), 1.0)], pay_lag_days=21)
    assert path.dividends.pay_tick.tolist() == [3]


def test_payment_comes_at_least_one_tick_after_the_ex_date() -> None:
    times = daily("2024-01-01", "2024-01-02", "2024-01-03")
    same_day = Dividend(date(2024, 1, 2), 1.0, date(2024, 1, 2))
    assert price_path(times, np.ones(3), [same_day]).dividends.pay_tick.tolist() == [2]


def test_dividends_that_wait_at_the_same_time_have_different_slots() -> None:
    times = daily(*(f"2024-01-{day:02d}" for day in range(1, 29)))
    monthly = [Dividend(date(2024, 1, day), 1.0, date(2024, 1, day + 8)) for day in (3, 6, 12)]
    placed = price_path(times, np.ones(28), monthly).dividends
    assert placed.slots == 2
    assert placed.slot[0] != placed.slot[1]


def test_days_of_an_intraday_path_start_at_its_first_tick() -> None:
    times = daily("2024-01-01T10:00", "2024-01-01T15:00", "2024-01-02T10:00", "2024-01-02T15:00")
    path = price_path(times, np.array([100.0, 110.0, 120.0, 121.0]))
    assert path.starts_day.tolist() == [True, False, True, False]
    assert path.ends_day.tolist() == [False, True, False, True]
    assert path.days.price == pytest.approx([0.10, 0.10])
    assert not path.starts_at_day_end


def test_daily_return_of_an_ex_date_carries_its_dividend() -> None:
    times = daily("2024-01-01", "2024-01-02", "2024-01-03")
    path = price_path(times, np.array([100.0, 98.0, 98.0]), [Dividend(date(2024, 1, 2), 2.0)])
    assert path.days.price == pytest.approx([-0.02, 0.0])
    assert path.days.dividend == pytest.approx([0.02, 0.0])


@pytest.mark.parametrize(
    ("times", "prices"),
    [(("2024-01-01",), [1.0]), (("2024-01-01", "2024-01-01"), [1.0, 1.0]),
     (("2024-01-02", "2024-01-01"), [1.0, 1.0]), (("2024-01-01", "2024-01-02"), [1.0, 0.0]),
     (("2024-01-01", "2024-01-02"), [1.0, np.nan])],
)  # fmt: skip
def test_series_that_cannot_be_replayed_are_refused(
    times: tuple[str, ...], prices: list[float]
) -> None:
    with pytest.raises(InvalidInput, match=r"^prices: "):
        price_path(daily(*times), np.array(prices))


def test_limit_path_has_open_and_close_of_every_bar_and_the_extremes_between() -> None:
    times = daily("2024-01-01", "2024-01-02", "2024-01-03")
    bars = Bars(*np.array([[10, 12, 9, 11], [11, 13, 8, 10], [10, 11, 9, 10]], dtype=float).T)
    path = limit_path(times, bars)
    assert path.price.tolist() == [10, 11, 11, 10, 10, 10]
    assert path.walked.tolist() == [False, True] * 3
    # A bar that closes at or above its open goes over its low first, else over its high.
    assert path.first[path.walked].tolist() == [9, 13, 9]
    assert path.second[path.walked].tolist() == [12, 8, 11]
    assert path.mirrored.first[path.walked].tolist() == [12, 8, 11]
    assert path.day_marks.tolist() == [0, 1, 3, 5]
    assert path.days.price == pytest.approx([0.1, 10 / 11 - 1, 0.0])
    assert not path.starts_at_day_end


def test_limit_path_goes_as_far_as_open_and_close_where_sources_round_the_extremes() -> None:
    bars = Bars(*np.array([[10.0000004, 10.0, 9.0, 9.5], [9.5, 9.6, 9.5, 9.4999999]]).T)
    path = limit_path(daily("2024-01-01", "2024-01-02"), bars)
    assert path.first[1] == 10.0000004
    assert path.second[3] == 9.4999999


def test_limit_dividends_fall_on_the_open_and_are_paid_a_tick_later_at_the_earliest() -> None:
    times = daily("2024-01-01", "2024-01-02", "2024-01-03")
    bars = Bars(*np.full((4, 3), 10.0))
    same_day = Dividend(date(2024, 1, 2), 1.0, date(2024, 1, 2))
    placed = limit_path(times, bars, [same_day]).dividends
    assert (placed.ex_tick.tolist(), placed.pay_tick.tolist()) == ([2], [3])


def test_limit_path_refuses_bars_without_prices() -> None:
    bars = Bars(np.array([10.0, np.nan]), *np.full((3, 2), 10.0))
    with pytest.raises(InvalidInput, match="not all are finite"):
        limit_path(daily("2024-01-01", "2024-01-02"), bars)

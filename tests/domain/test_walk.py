"""`limit` ticks: which levels the price meets on its way through a bar, worked by hand."""

from itertools import pairwise

import pytest

from volbal.domain.policy import Policy
from volbal.domain.rule import CLOSE, Bar, Cell, Stop, Terms, decide, next_stop, walked_on


def asked(bar: Bar, cell: Cell, terms: Terms) -> tuple[list[tuple[float, float]], Cell]:
    """(level, signed quantity) of every level met, and the cell behind them."""
    found = []
    stop = next_stop(bar, Stop(0.0, bar.open), cell.anchor, terms)
    while stop.leg < CLOSE:
        done = decide(stop.price, cell, terms)
        filled = done.quantity != 0.0
        found.append((round(stop.price, 6), round(done.quantity, 6)))
        if filled:
            cell = Cell(
                done.shares_after,
                done.cash_after,
                cell.receivable,
                done.anchor_after,
                cell.orders_today + 1.0,
            )
        here = walked_on(bar, stop, filled)
        stop = next_stop(bar, here, cell.anchor, terms)
    return found, cell


def levels(bar: Bar, anchor: float = 100.0, **policy: object) -> list[float]:
    cell = Cell(50.0, 5_000.0, 0.0, anchor, 0.0)
    return [price for price, _ in asked(bar, cell, Policy(**policy).terms)[0]]  # type: ignore[arg-type]


def test_a_bar_between_the_levels_meets_none() -> None:
    assert levels(Bar(100.0, 97.5, 102.5, 101.0)) == []


def test_fills_are_at_the_levels_and_each_moves_the_anchor() -> None:
    # Down to 93: 97, then 97 x 0.97 = 94.09. Up to 99: 94.09 x 1.03 = 96.9127; the next would be
    # 99.82. Down to 98: nothing.
    assert levels(Bar(100.0, 93.0, 99.0, 98.0)) == [97.0, 94.09, 96.9127]


def test_the_order_of_the_extremes_decides_what_is_met() -> None:
    # Low first: 97, then up to 103: 97 x 1.03 = 99.91 and 102.9073. High first: 103, then down to
    # 97: 103 x 0.97 = 99.91; 96.91 is not reached; then up to 102: 99.91 x 1.03 = 102.9 is not.
    assert levels(Bar(100.0, 97.0, 103.0, 102.0)) == [97.0, 99.91, 102.9073]
    assert levels(Bar(100.0, 103.0, 97.0, 102.0)) == [103.0, 99.91]


def test_a_level_exactly_at_the_extreme_is_met_as_decimals_would_say() -> None:
    # 0.1 + 0.2 like: 100 x 1.07 is 107.00000000000001 in floats.
    assert levels(Bar(100.0, 99.0, 107.0, 106.0), trigger_up=0.07) == [pytest.approx(107.0)]
    assert levels(Bar(100.0, 99.0, 106.99, 106.0), trigger_up=0.07) == []


def test_the_last_leg_is_walked_too() -> None:
    # High first, to 102.9: short of 103. Down to 99: the buy level. Up to 102: 99 x 1.03 = 101.97.
    bar = Bar(101.0, 102.9, 99.0, 102.0)
    assert levels(bar, trigger_up=0.03, trigger_down=0.01) == [99.0, 101.97]


def test_the_daily_cap_ends_the_fills_and_a_skipped_order_the_rest_of_its_leg() -> None:
    cell = Cell(50.0, 5_000.0, 0.0, 100.0, 0.0)
    terms = Policy(max_orders_per_day=1).terms
    # 97 fills; 94.09 is asked, skipped by the cap, and the rest of the leg to 80 passed over.
    found, after = asked(Bar(100.0, 80.0, 95.0, 95.0), cell, terms)
    assert [price for price, _ in found] == [97.0, 94.09]
    assert found[1][1] == 0.0
    assert after.anchor == 97.0


def test_after_a_skip_the_next_leg_is_looked_at_again() -> None:
    # All in cash: nothing to sell at 103; on the way down from 110 the buy level 97 is met.
    cell = Cell(0.0, 10_000.0, 0.0, 100.0, 0.0)
    terms = Policy(min_stock_share=0.0, auto_rebalance=False).terms
    found, after = asked(Bar(100.0, 110.0, 96.0, 96.5), cell, terms)
    assert [price for price, _ in found] == [103.0, 97.0]
    assert after.shares > 0.0


def test_a_level_at_which_the_leg_begins_was_asked_already() -> None:
    # The open itself is at the sell level: asked there as a tick, not again on the way.
    assert levels(Bar(103.0, 103.0, 103.0, 103.0)) == []
    assert levels(Bar(103.0, 106.0, 103.5, 105.0)) == []


@pytest.mark.parametrize("slippage", [0.0, 0.02, 0.0301, 0.5])
def test_the_walk_ends_whatever_the_slippage(slippage: float) -> None:
    # Above about 0.0309 a buy's fill price lies so far up that its own level is met already.
    cell = Cell(50.0, 5_000.0, 0.0, 100.0, 0.0)
    terms = Policy(slippage=slippage, max_orders_per_day=10**9, min_notional=0.0).terms
    found, _ = asked(Bar(100.0, 50.0, 150.0, 60.0), cell, terms)
    assert 0 < len(found) < 1_000


def test_tiny_thresholds_step_through_a_leg_and_end() -> None:
    cell = Cell(50.0, 5_000.0, 0.0, 100.0, 0.0)
    terms = Policy(
        trigger_up=1e-4, trigger_down=1e-4, max_orders_per_day=10**9, min_notional=0.0
    ).terms
    found, _ = asked(Bar(100.0, 99.0, 100.0, 100.0), cell, terms)
    # ln(100 / 99) / 1e-4 = 100 steps each way.
    assert len(found) == 200
    falling = [price for price, _ in found[:100]]
    assert all(later < earlier for earlier, later in pairwise(falling))


def test_thresholds_below_the_tolerance_are_asked_once_a_leg() -> None:
    terms = Policy(trigger_up=1e-12, trigger_down=1e-12, min_notional=0.0).terms
    found, _ = asked(Bar(100.0, 90.0, 110.0, 100.0), Cell(50.0, 5e3, 0.0, 100.0, 0.0), terms)
    # Both levels lie at the open; the second and the third leg cross it.
    assert [price for price, _ in found] == [100.0, 100.0]

"""The trading rule: SPEC §3 by worked numbers, by its promises, and against the Decimal oracle."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import OracleCell, exact, read_policy, simulate, step

from volbal.domain import rule
from volbal.domain.policy import Policy
from volbal.domain.rule import Cell, Decision, Terms, decide

FREE = {"commission_rate": 0.0, "min_notional": 0.0}
"""No costs and no smallest order, where they are not what is tested."""


def ask(
    price: float,
    *,
    shares: float = 100.0,
    cash: float = 10_000.0,
    receivable: float = 0.0,
    anchor: float = 100.0,
    orders_today: int = 0,
    **policy: Any,
) -> Decision:
    cell = Cell(shares, cash, receivable, anchor, float(orders_today))
    return decide(price, cell, Policy(**policy).terms)


def near(expected: float) -> Any:
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


# Trigger and wish


def test_a_fall_to_97_wishes_to_buy_10_46891_shares():
    # V = 19,700; (100/97 - 1) * 1.6667 * 19,700 / 97 = 10.46891; * 97 = 1,015.48
    decision = ask(97.0, max_trade_share=1.0)
    assert round(decision.quantity, 5) == 10.46891
    assert round(decision.notional, 2) == 1015.48
    assert decision.wish == near(decision.quantity * 97.0)
    assert decision.reason == rule.TRIGGERED


def test_a_rise_to_103_wishes_to_sell_9_56754_shares():
    # V = 20,300; (100/103 - 1) * 1.6667 * 20,300 / 103 = -9.56754
    assert round(ask(103.0, max_trade_share=1.0).quantity, 5) == -9.56754


def test_fixed_percentage_buys_with_a_tenth_of_the_cash_unless_told_otherwise():
    # 10,000 * 0.10 / 97
    assert ask(97.0, sizing="fixed_percentage").quantity == near(1000.0 / 97.0)
    # 10,000 * 0.05 / 97
    half = ask(97.0, sizing="fixed_percentage", rebalance_ratio=0.05)
    assert half.quantity == near(500.0 / 97.0)


def test_fixed_percentage_sells_a_tenth_of_the_shares_unless_told_otherwise():
    assert ask(103.0, sizing="fixed_percentage").quantity == near(-10.0)


def test_original_sizing_takes_the_side_of_the_trigger_and_the_ratio_of_anchor_to_price():
    # buy: (100/97) * 0.01 * 19,700 / 97; sell: (100/103) * 0.01 * 20,300 / 103
    buy = ask(97.0, sizing="original", rebalance_ratio=0.01)
    assert buy.quantity == near(100 / 97 * 0.01 * 19_700 / 97)
    sell = ask(103.0, sizing="original", rebalance_ratio=0.01)
    assert sell.quantity == near(-100 / 103 * 0.01 * 20_300 / 103)


def test_no_trigger_inside_the_guardrails_holds():
    decision = ask(102.99)
    assert (decision.trigger, decision.wish, decision.quantity) == (0.0, 0.0, 0.0)
    assert decision.reason == rule.NO_TRIGGER


def test_up_and_down_triggers_are_separate():
    assert ask(104.0, trigger_up=0.05, trigger_down=0.02).trigger == 0.0
    assert ask(105.0, trigger_up=0.05, trigger_down=0.02).trigger == -1.0
    assert ask(98.0, trigger_up=0.05, trigger_down=0.02).trigger == 1.0


def whole_cent_boundaries() -> list[tuple[int, int, int, int]]:
    """(anchor, basis points, sell level, buy level): all cents, both levels whole cents."""
    found = []
    for points in (25, 50, 75, 100, 125, 200, 250, 300, 350, 500, 750, 1000, 2000, 3300):
        for anchor in range(40, 60_000, 20):
            if anchor * points % 10_000 == 0:
                move = anchor * points // 10_000
                found.append((anchor, points, anchor + move, anchor - move))
    return found


def test_triggers_fire_at_8000_exact_cent_boundaries_and_not_one_cent_before():
    boundaries = whole_cent_boundaries()
    assert len(boundaries) >= 8_000
    wrong, naive_wrong = [], 0
    for anchor, points, sell, buy in boundaries:
        threshold = points / 10_000
        terms = Policy(trigger_up=threshold, trigger_down=threshold).terms
        cell = Cell(10.0, 1_000.0, 0.0, anchor / 100, 0.0)
        cents = (sell, sell - 1, buy, buy + 1)
        fired = tuple(decide(cent / 100, cell, terms).trigger for cent in cents)
        if fired != (-1.0, 0.0, 1.0, 0.0):
            wrong.append((anchor, points, fired))
        at_sell = sell / 100 >= anchor / 100 * (1 + threshold)
        at_buy = buy / 100 <= anchor / 100 * (1 - threshold)
        naive_wrong += not (at_sell and at_buy)
    assert wrong == []
    # the boundaries are hard ones: plain float comparison misses many of them
    assert naive_wrong > len(boundaries) / 10


# The trims, one by one


def test_a_triggered_wish_is_cut_to_the_largest_trade():
    # 0.01 * 19,700 = 197 at 97
    decision = ask(97.0, max_trade_share=0.01)
    assert decision.quantity == near(197.0 / 97.0)
    assert round(decision.wish, 2) == 1015.48
    assert decision.capped == near(197.0)


def test_a_sale_stops_where_it_lands_on_the_lower_guardrail_after_its_fee():
    # A = 5,500, V = 15,500, gV = 3,875; 1,625 / (1 - 0.25 * 0.01) = 1,629.0727 at 110
    decision = ask(
        110.0, shares=50.0, rebalance_ratio=50.0, max_trade_share=1.0, commission_rate=0.01
    )
    assert decision.quantity == near(-1625.0 / 0.9975 / 110.0)
    assert decision.stock_share_after == near(0.25)


def test_a_purchase_stops_where_it_lands_on_the_upper_guardrail_after_its_fee():
    # A = 9,000, V = 14,000, GV = 10,500; 1,500 / (1 + 0.75 * 0.01) = 1,488.8337 at 90
    decision = ask(
        90.0, cash=5_000.0, rebalance_ratio=50.0, max_trade_share=1.0, commission_rate=0.01
    )
    assert decision.quantity == near(1500.0 / 1.0075 / 90.0)
    assert decision.stock_share_after == near(0.75)


def test_a_guardrail_enlarges_a_wish_of_its_side_beyond_the_largest_trade():
    # A = 10,300, V = 11,300: 10,300 - 0.75 * 11,300 = 1,825, far above 1 % of V = 113
    decision = ask(103.0, cash=1_000.0, max_trade_share=0.01, **FREE)
    assert decision.notional == near(1825.0)
    assert decision.quantity < 0
    assert decision.reason == rule.GUARDRAIL_REBALANCE


def test_a_guardrail_turns_a_purchase_round():
    # A = 9,700, V = 10,700: the fall asks to buy, 9,700 - 0.75 * 10,700 = 1,675 must be sold
    decision = ask(97.0, cash=1_000.0, **FREE)
    assert decision.trigger == 1.0
    assert decision.quantity == near(-1675.0 / 97.0)
    assert decision.reason == rule.GUARDRAIL_REBALANCE


def test_a_guardrail_turns_a_hold_into_an_order():
    # A = 10,000, V = 11,000: 10,000 - 8,250 = 1,750; and A = 1,000, V = 11,000: 2,750 - 1,000
    sell = ask(100.0, cash=1_000.0, **FREE)
    assert (sell.trigger, sell.quantity) == (0.0, near(-17.5))
    buy = ask(100.0, shares=10.0, **FREE)
    assert (buy.trigger, buy.quantity) == (0.0, near(17.5))


def test_without_auto_rebalance_a_guardrail_never_enlarges_a_wish():
    decision = ask(103.0, cash=1_000.0, max_trade_share=0.01, auto_rebalance=False, **FREE)
    assert decision.notional == near(113.0)
    assert decision.reason == rule.TRIGGERED


def test_without_auto_rebalance_a_guardrail_never_turns_a_wish_round():
    decision = ask(97.0, cash=1_000.0, auto_rebalance=False, **FREE)
    assert decision.quantity == 0.0
    assert decision.reason == rule.AT_GUARDRAIL


def test_without_auto_rebalance_there_is_no_order_without_a_trigger():
    for outside in ({"cash": 1_000.0}, {"shares": 10.0}):
        decision = ask(100.0, **outside, auto_rebalance=False, **FREE)
        assert (decision.quantity, decision.reason) == (0.0, rule.NO_TRIGGER)


def test_without_auto_rebalance_a_guardrail_still_stops_an_order():
    decision = ask(
        90.0, cash=5_000.0, rebalance_ratio=50.0, max_trade_share=1.0, auto_rebalance=False, **FREE
    )
    assert decision.notional == near(1500.0)


@pytest.mark.parametrize(("bound", "shares", "cash"), [("G", 75.0, 2500.0), ("g", 25.0, 7500.0)])
def test_a_stock_share_within_a_billionth_of_a_guardrail_is_on_it(bound, shares, cash):
    # dw/dC = -w/V: 5e-6 of 10,000 moves w by 3.75e-10 (G) and 1.25e-10 (g), 5e-4 by 100 times that
    outward = -1.0 if bound == "G" else 1.0
    assert ask(100.0, shares=shares, cash=cash + outward * 5e-6, **FREE).quantity == 0.0
    outside = ask(100.0, shares=shares, cash=cash + outward * 5e-4, **FREE)
    assert outside.quantity * outward > 0.0


COSTS = [
    {"commission_rate": 0.0},
    {"commission_rate": 0.01},
    {"commission_rate": 0.2},
    {"commission_rate": 0.001, "commission_min": 25.0},
    {"commission_rate": 0.01, "commission_min": 15.0, "slippage": 0.02},
    {"commission_rate": 0.0, "slippage": 0.3},
    {"commission_rate": 0.05, "commission_min": 0.01, "slippage": 0.9},
]


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize(
    ("price", "shares", "lands_on"),
    [
        (100.0, 180.0, 0.6),  # no trigger, above: rebalance down to G
        (100.0, 20.0, 0.4),  # no trigger, below: rebalance up to g
        (110.0, 90.0, 0.4),  # a sale that would go far below g
        (90.0, 90.0, 0.6),  # a purchase that would go far above G
        (110.0, 30.0, 0.4),  # the sell trigger below g: turned round, up to g
        (90.0, 180.0, 0.6),  # the buy trigger above G: turned round, down to G
    ],
)
def test_a_guardrail_order_lands_on_its_bound_after_every_cost(price, shares, lands_on, costs):
    decision = ask(
        price,
        shares=shares,
        sizing="original",
        max_trade_share=1.0,
        min_stock_share=0.4,
        max_stock_share=0.6,
        min_notional=0.0,
        **costs,
    )
    assert decision.quantity != 0.0
    stock = decision.shares_after * price
    assert stock / (stock + decision.cash_after) == near(lands_on)


def test_a_minimum_commission_that_carries_a_purchase_past_its_guardrail_leaves_no_order():
    # A = 2,490, V = 10,000: 10 below g, but a fee of 50 alone lowers gV by 12.5
    near_g = {"shares": 24.9, "cash": 7_510.0}
    assert ask(100.0, **near_g, commission_min=50.0, **FREE).quantity == 0.0
    # a fee of 20 lowers gV by 5, so 5 are bought: 2,495 / 9,980 = 0.25
    decision = ask(100.0, **near_g, commission_min=20.0, **FREE)
    assert decision.quantity == near(0.05)
    assert decision.stock_share_after == near(0.25)


def test_a_sale_whose_minimum_commission_would_push_the_share_over_the_guardrail_is_refused():
    # A = 7,490, V = 10,000; sell 20: 7,470 / (10,000 - 50) = 0.75075, above G and rising
    cell = {"shares": 74.9, "cash": 2_510.0, "anchor": 97.0, "max_trade_share": 0.002}
    refused = ask(100.0, **cell, commission_min=50.0, **FREE)
    assert (refused.quantity, refused.reason) == (0.0, rule.FEE_EXCEEDS_BENEFIT)
    # without the fee 7,470 / 10,000 is fine
    assert ask(100.0, **cell, **FREE).quantity == near(-0.2)


def test_a_sale_whose_fee_exceeds_proceeds_and_cash_is_refused():
    # proceeds 110 + cash 0 - fee 200 < 0
    decision = ask(
        110.0, shares=1.0, cash=0.0, min_stock_share=0.0, max_stock_share=0.5, commission_min=200.0
    )
    assert (decision.quantity, decision.reason) == (0.0, rule.FEE_EXCEEDS_BENEFIT)


@pytest.mark.parametrize("lot_size", [0.0, 0.01])
def test_a_sale_whose_fee_takes_all_its_proceeds_is_refused_outside_the_guardrails(lot_size):
    # all in stock, fee = proceeds: any sale leaves the stock share at 1 (or no equity at all)
    decision = ask(
        100.0, shares=12.3456, cash=0.0, commission_rate=1.0, min_notional=0.0, lot_size=lot_size
    )
    assert decision.quantity == 0.0
    assert decision.equity_after == decision.equity


def test_a_purchase_with_its_fee_never_costs_more_than_the_cash():
    # the receivable keeps the upper guardrail far away; 1,000 / 1.01 = 990.099 at 90
    greedy = {
        "cash": 1_000.0,
        "receivable": 5_000.0,
        "max_stock_share": 1.0,
        "rebalance_ratio": 50.0,
    }
    by_rate = ask(90.0, **greedy, max_trade_share=1.0, commission_rate=0.01)
    assert by_rate.quantity == near(1000.0 / 1.01 / 90.0)
    assert by_rate.cash_after == near(0.0)
    # 1,000 - 20 at 90
    by_minimum = ask(90.0, **greedy, max_trade_share=1.0, commission_min=20.0)
    assert by_minimum.quantity == near(980.0 / 90.0)
    # 1,000 at 90 * 1.25
    slipped = ask(90.0, **greedy, max_trade_share=1.0, commission_rate=0.0, slippage=0.25)
    assert slipped.quantity == near(1000.0 / 112.5)


def test_a_sale_never_sells_more_than_is_held():
    decision = ask(
        110.0, shares=10.0, min_stock_share=0.0, rebalance_ratio=50.0, max_trade_share=1.0
    )
    assert decision.quantity == -10.0
    assert decision.shares_after == 0.0


def test_receivable_counts_as_equity_but_cannot_be_spent():
    # V = 19,700 whoever holds the 10,000, so the wish is the same
    waiting = ask(97.0, cash=500.0, receivable=9_500.0)
    assert waiting.wish == ask(97.0).wish
    # but 1,015.48 wished, 500 / 1.0001 can be bought
    assert waiting.notional == near(500.0 / 1.0001)


@pytest.mark.parametrize(("lot_size", "expected"), [(1.0, 10.0), (7.5, 7.5), (0.1, 10.4)])
def test_orders_are_rounded_down_to_whole_lots(lot_size, expected):
    # the wish is 10.46891
    assert ask(97.0, lot_size=lot_size).quantity == near(expected)


def test_an_order_below_one_lot_is_skipped():
    decision = ask(97.0, lot_size=11.0)
    assert (decision.quantity, decision.reason) == (0.0, rule.BELOW_LOT)


def test_whole_lots_are_not_lost_to_binary_fractions_nor_sell_more_than_is_held():
    # 0.7 / 0.1 is 6.999999999999999 and 7 * 0.1 is 0.7000000000000001 in floats
    decision = ask(
        1030.0,
        shares=0.7,
        anchor=1000.0,
        sizing="fixed_percentage",
        rebalance_ratio=1.0,
        min_stock_share=0.0,
        lot_size=0.1,
    )
    assert (decision.quantity, decision.shares_after) == (-0.7, 0.0)


def test_min_notional_itself_is_enough_at_every_price():
    # 1,000 * 0.1 = 100 to buy; whatever quantity that is
    for cent in range(100, 9_700, 7):
        price = cent / 100
        at_minimum = {"shares": 500.0 / price, "cash": 1_000.0, "anchor": price * 1.1}
        assert ask(price, **at_minimum, sizing="fixed_percentage").quantity > 0.0


def test_an_order_just_below_min_notional_is_skipped():
    # 999.99 * 0.1 = 99.999
    decision = ask(97.0, shares=5.0, cash=999.99, sizing="fixed_percentage")
    assert (decision.quantity, decision.reason) == (0.0, rule.BELOW_MIN_NOTIONAL)


def test_min_notional_is_judged_at_the_fill_price():
    # buy 995 * 0.1 = 99.5 at 97, 100.495 at 97.97
    bought = ask(97.0, shares=5.0, cash=995.0, sizing="fixed_percentage", slippage=0.01)
    assert bought.notional == near(100.495)
    # sell 100.5 at 103, 99.495 at 101.97
    cell = {"shares": 1005.0 / 103.0, "cash": 1_000.0, "sizing": "fixed_percentage"}
    assert ask(103.0, **cell).notional == near(100.5)
    assert ask(103.0, **cell, slippage=0.01).quantity == 0.0


def test_dust_is_never_ordered_even_without_min_notional():
    # 1e-9 of the cash: 1e-5 of 19,700 is below 1e-9 * V
    dust = ask(97.0, sizing="fixed_percentage", rebalance_ratio=1e-9, min_notional=0.0)
    assert (dust.quantity, dust.reason) == (0.0, rule.BELOW_MIN_NOTIONAL)
    assert ask(97.0, sizing="fixed_percentage", rebalance_ratio=1e-8, min_notional=0.0).quantity > 0


def test_the_daily_cap_counts_orders_of_the_day():
    assert ask(97.0, max_orders_per_day=2, orders_today=1).quantity > 0.0
    capped = ask(97.0, max_orders_per_day=2, orders_today=2)
    assert (capped.quantity, capped.reason) == (0.0, rule.DAILY_CAP)


def test_the_daily_cap_holds_guardrail_rebalances_too():
    assert ask(100.0, cash=1_000.0, orders_today=5).quantity == 0.0


def test_an_empty_cell_holds():
    for price in (90.0, 100.0, 110.0):
        assert ask(price, shares=0.0, cash=0.0, min_notional=0.0).quantity == 0.0


# After the fill


def test_a_fill_moves_cash_shares_and_anchor_by_the_fill_price():
    # fixed 10 shares at 103 * 0.99 = 101.97: notional 1,019.70, fee 10.197
    sold = ask(103.0, sizing="fixed_percentage", slippage=0.01, commission_rate=0.01)
    assert sold.fill_price == near(101.97)
    assert sold.commission == near(10.197)
    assert sold.cash_after == near(10_000.0 + 1019.70 - 10.197)
    assert sold.shares_after == near(90.0)
    assert sold.anchor_after == sold.fill_price


def test_without_an_order_the_cell_stays_as_it_was():
    held = ask(101.0)
    assert (held.shares_after, held.cash_after, held.anchor_after) == (100.0, 10_000.0, 100.0)
    assert (held.notional, held.commission) == (0.0, 0.0)


GOLDEN_CLOSES = [100, 100, 96, 96, 100, 104, 100, 97, 97]
GOLDEN_FILLS = [  # SPEC §3.4: signed quantity, price, cash after
    (7.08926, 96, 4319.36278),
    (-6.68566, 100, 4987.86189),
    (-6.30550, 104, 5643.56818),
    (6.70239, 100, 4973.26252),
    (5.26151, 97, 4462.84508),
]


def test_the_golden_run_has_its_five_fills():
    terms = Policy().terms
    cell = Cell(50.0, 5_000.0, 0.0, 100.0, 0.0)
    fills, fees = [], []
    for close in GOLDEN_CLOSES[1:]:
        decision = decide(float(close), cell, terms)
        cell = Cell(decision.shares_after, decision.cash_after, 0.0, decision.anchor_after, 0.0)
        if decision.quantity:
            fills.append((round(decision.quantity, 5), close, round(decision.cash_after, 5)))
            fees.append(round(decision.commission, 5))
    assert fills == GOLDEN_FILLS
    assert fees[0] == 0.06806
    assert round(cell.shares, 3) == 56.062


def test_the_oracle_has_the_golden_run_too():
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(len(GOLDEN_CLOSES))]
    fills = simulate(GOLDEN_CLOSES, days, {}, 10_000, "0.5").fills
    sides = [1 if tick.order.action == "BUY" else -1 for tick in fills]
    assert [
        (float(round(side * tick.order.quantity, 5)), tick.price, float(round(tick.cash, 5)))
        for side, tick in zip(sides, fills, strict=True)
    ] == GOLDEN_FILLS


# Dividends and interest


def test_a_dividend_accrues_net_of_withholding():
    # 50 * 0.24 * 0.75
    assert rule.accrued_dividend(50.0, 0.24, 0.25) == near(9.0)


def test_the_anchor_falls_by_the_gross_dividend_and_never_to_zero():
    assert rule.anchor_after_ex_date(100.0, 98.0, 2.0) == 98.0
    assert rule.anchor_after_ex_date(2.0, 98.0, 2.0) == 98.0
    assert rule.anchor_after_ex_date(1.0, 98.0, 2.0) == 98.0


def test_interest_is_simple():
    # 10,000 * 0.05 * 3 / 365.25
    assert rule.interest(10_000.0, 0.05, 3 / 365.25) == near(1500 / 365.25)


# Promises, for any policy and any cell

amounts = st.one_of(st.just(0.0), st.floats(0.01, 1e6))
policies = st.builds(
    lambda bounds, **fields: Policy(
        min_stock_share=min(bounds), max_stock_share=max(bounds), **fields
    ),
    bounds=st.lists(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]), min_size=2, max_size=2, unique=True
    ),
    trigger_up=st.floats(1e-4, 0.9),
    trigger_down=st.floats(1e-4, 0.9),
    sizing=st.sampled_from(["proportional", "fixed_percentage", "original"]),
    rebalance_ratio=st.floats(0.01, 1.0),
    auto_rebalance=st.booleans(),
    max_trade_share=st.floats(0.001, 1.0),
    min_notional=st.sampled_from([0.0, 1.0, 100.0]),
    lot_size=st.sampled_from([0.0, 0.01, 1.0, 7.5, 100.0]),
    commission_rate=st.one_of(st.sampled_from([0.0, 1e-4, 1.0]), st.floats(0.0, 3.0)),
    commission_min=st.one_of(st.just(0.0), st.floats(0.0, 1e5)),
    slippage=st.one_of(st.just(0.0), st.floats(0.0, 0.95)),
)
cells = st.builds(
    Cell, amounts, amounts, amounts, st.floats(0.5, 5_000.0), st.integers(0, 6).map(float)
)
prices = st.floats(0.5, 5_000.0)


def share_of(price: float, shares: float, cash: float, receivable: float) -> float:
    equity = shares * price + cash + receivable
    return shares * price / equity if equity > 0.0 else 0.0


@settings(max_examples=600, deadline=None)
@given(prices, cells, policies)
def test_no_fill_leaves_a_guardrail_breach_unless_it_moved_toward_it(price, cell, policy):
    decision = decide(price, cell, policy.terms)
    if decision.quantity == 0.0:
        return
    before = share_of(price, cell.shares, cell.cash, cell.receivable)
    after = share_of(price, decision.shares_after, decision.cash_after, cell.receivable)
    if after > policy.max_stock_share + 1e-9:
        assert after < before
    if after < policy.min_stock_share - 1e-9:
        assert after > before


@settings(max_examples=600, deadline=None)
@given(prices, cells, policies)
def test_cash_and_shares_are_never_negative_and_every_fill_is_paid_for(price, cell, policy):
    decision = decide(price, cell, policy.terms)
    assert decision.cash_after >= 0.0
    assert decision.shares_after >= 0.0
    if decision.quantity:
        fee = max(policy.commission_rate * decision.notional, policy.commission_min)
        assert decision.commission == near(fee)
        assert decision.notional == near(abs(decision.quantity) * decision.fill_price)
        assert decision.notional >= policy.min_notional * (1 - 1e-9)
    paid = decision.quantity * decision.fill_price + decision.commission
    assert decision.cash_after == pytest.approx(cell.cash - paid, abs=2e-9 * decision.equity)


@settings(max_examples=600, deadline=None)
@given(prices, cells, policies)
def test_without_auto_rebalance_no_order_exceeds_the_wish_or_the_largest_trade(price, cell, policy):
    decision = decide(price, cell, policy.changed({"auto_rebalance": False}).terms)
    order = decision.quantity * price
    most = min(abs(decision.wish), policy.max_trade_share * decision.equity)
    assert order * decision.wish >= 0.0
    # lots may round up by their tolerance
    assert abs(order) <= most * (1 + 1e-9) + 2e-9 * policy.lot_size * price


# The independent second implementation


def random_policy(rng: random.Random) -> dict[str, Any]:
    """An ordinary or extreme policy: fees of 100 % and more, g = 0, G = 1, odd lots."""
    lower = rng.choice([0.0, 0.0, 0.25, 0.4, 0.9])
    sizing = rng.choice(["proportional", "fixed_percentage", "original"])
    ratios = [0.01, 0.1, 0.5, 1.0] if sizing == "fixed_percentage" else [0.01, 0.5, 1.6667, 3.0, 50]
    return {
        "trigger_up": rng.choice([0.0001, 0.01, 0.03, 0.0345, 0.5]),
        "trigger_down": rng.choice([0.0001, 0.01, 0.03, 0.0345, 0.5]),
        "sizing": sizing,
        "rebalance_ratio": rng.choice(ratios),
        "min_stock_share": lower,
        "max_stock_share": rng.choice([x for x in (0.3, 0.5, 0.75, 0.95, 1.0) if x > lower]),
        "auto_rebalance": rng.random() < 0.6,
        "max_trade_share": rng.choice([0.001, 0.05, 0.2, 1.0]),
        "min_notional": rng.choice([0.0, 0.0, 0.0, 1.0, 100.0, 1000.0]),
        "lot_size": rng.choice([0.0, 0.0, 0.0, 0.0, 1.0, 7.5, 1000.0]),
        "max_orders_per_day": rng.choice([1, 5]),
        "commission_rate": rng.choice([0.0, 0.0001, 0.0001, 0.001, 0.01, 0.2, 1.0, 1.5]),
        "commission_min": rng.choice([0.0, 0.0, 0.0, 0.5, 1.0, 9.99, 200.0, 20_000.0]),
        "slippage": rng.choice([0.0, 0.0, 0.0005, 0.05, 0.9]),
    }


def random_cell(rng: random.Random) -> tuple[float, Cell]:
    """A price in cents and a cell of any stock share, often near or at a trigger or guardrail."""
    low, high = rng.choice([(0.5, 2.0), (10.0, 500.0), (1000.0, 5000.0)])
    price = round(rng.uniform(low, high), 2)
    equity = rng.choice([50.0, 10_000.0, 10_000.0, 100_000.0])
    share = rng.choice([0.0, 1.0, 0.25, 0.5, 0.75, *(rng.random() for _ in range(5))])
    near_anchor = round(price * rng.uniform(0.95, 1.05), 2)
    far_anchor = round(price * rng.uniform(0.5, 1.8), 2)
    return price, Cell(
        shares=round(equity * share / price, rng.choice([0, 3, 6])),
        cash=round(equity * (1 - share) * rng.choice([1.0, rng.random()]), 2),
        receivable=round(rng.choice([0.0, 0.0, 0.02, 0.5]) * equity, 2),
        anchor=rng.choice([near_anchor, near_anchor, far_anchor, price]),
        orders_today=float(rng.choice([0, 0, 0, 0, 0, 0, 1, 5])),
    )


def oracle_order(price: float, cell: Cell, policy: dict[str, Any]) -> tuple[float, ...]:
    """Signed quantity, notional, commission and cash after, as the oracle has them."""
    twin = OracleCell(exact(cell.shares), exact(cell.cash), exact(cell.anchor))
    twin.orders_today = int(cell.orders_today)
    twin.pending = [(date.max, exact(cell.receivable))]
    order = step(price, twin, read_policy(policy))
    side = Decimal(1) if order.action == "BUY" else Decimal(-1)
    cash = order.cash_after if order.quantity else twin.cash
    return tuple(float(x) for x in (side * order.quantity, order.notional, order.commission, cash))


def test_the_rule_agrees_with_the_decimal_oracle_on_8000_random_cells():
    rng = random.Random(20261122)
    filled = 0
    for _ in range(8_000):
        policy = random_policy(rng)
        price, cell = random_cell(rng)
        decision = decide(price, cell, Policy(**policy).terms)
        quantity, *money = oracle_order(price, cell, policy)
        filled += quantity != 0.0
        case = f"price {price}, {cell}, {policy}"
        tolerance = 1e-9 * decision.equity
        ours = (decision.notional, decision.commission, decision.cash_after)
        assert decision.quantity * price == pytest.approx(quantity * price, abs=tolerance), case
        assert ours == pytest.approx(tuple(money), abs=tolerance), case
    assert filled > 1_500  # not a comparison of holds


def test_terms_hold_every_number_of_the_policy():
    policy = Policy(trigger_up=0.01, lot_size=2.0, auto_rebalance=False, sizing="original")
    terms = policy.terms
    assert (terms.trigger_up, terms.lot_size, terms.auto_rebalance) == (0.01, 2.0, 0.0)
    assert terms.sizing == rule.ORIGINAL
    assert all(type(value) is float for value in terms)
    assert set(Terms._fields) == set(Policy.__dataclass_fields__) - {"after_hours"}

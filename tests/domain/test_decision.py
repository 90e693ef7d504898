from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volbal.domain.configuration import Configuration
from volbal.domain.decision import (
    Action,
    Circumstances,
    Reason,
    TrimStep,
    commission,
    decide,
)
from volbal.domain.ledger import Balance
from volbal.domain.money import MONEY, multiplied
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.market.sessions import quote

NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)
CALM = Circumstances(NOW)


def position(
    quantity: str = "100", cash: str = "10000", anchor: str | None = "100", **policy: Any
) -> Position:
    balance = Balance(
        quantity=Decimal(quantity),
        cash=Decimal(cash),
        anchor=None if anchor is None else Decimal(anchor),
        anchor_on=None if anchor is None else NOW.date(),
        is_open=True,
    )
    return Position(1, "ACME", NOW, balance, Configuration(Policy(**policy)))


def test_the_worked_example_buys_at_97() -> None:
    # SPEC 3.2: q 100, C 10,000, a 100, m 1: +10.46891 shares, notional 1,015.48
    decision = decide(position(max_trade_share=1.0), quote(97), CALM)
    assert (decision.action, decision.reason) == (Action.BUY, Reason.TRIGGERED)
    assert decision.order is not None
    assert decision.order.quantity == pytest.approx(Decimal("10.46891"), abs=Decimal("5e-6"))
    assert decision.notional == pytest.approx(Decimal("1015.48"), abs=Decimal("0.005"))


def test_the_worked_example_sells_at_103() -> None:
    decision = decide(position(max_trade_share=1.0), quote(103), CALM)
    assert decision.action is Action.SELL
    assert decision.order is not None
    assert decision.order.quantity == pytest.approx(Decimal("9.56754"), abs=Decimal("5e-6"))


def test_it_holds_between_the_triggers_and_says_where_the_price_stands() -> None:
    decision = decide(position(), quote("102.99"), CALM)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.NO_TRIGGER)
    assert (decision.buy_level, decision.sell_level) == (97, 103)
    assert decision.sentence == (
        "Hold at 102.99: the price is +2.99\N{NARROW NO-BREAK SPACE}% from the anchor 100.00, "
        "between its triggers."
    )


def test_a_fired_trigger_whose_order_is_too_small_is_a_skip() -> None:
    decision = decide(position(min_notional=2000.0), quote(97), CALM)
    assert (decision.action, decision.reason) == (Action.SKIP, Reason.BELOW_MIN_NOTIONAL)
    assert decision.order is None
    assert decision.sizing.wish > 0


def test_the_daily_cap_skips() -> None:
    decision = decide(position(), quote(97), Circumstances(NOW, orders_today=5))
    assert (decision.action, decision.reason) == (Action.SKIP, Reason.DAILY_CAP)


def test_without_an_anchor_the_first_price_is_held() -> None:
    decision = decide(position(anchor=None), quote(97), CALM)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.FIRST_PRICE)
    assert decision.distance is None


def test_an_open_order_holds() -> None:
    decision = decide(position(), quote(97), Circumstances(NOW, open_order=True))
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.OPEN_ORDER)


def test_a_price_outside_the_session_holds_unless_the_policy_allows_it() -> None:
    late = quote(97, made_at=NOW - timedelta(hours=3))
    assert decide(position(), late, CALM).reason is Reason.AFTER_HOURS
    assert decide(position(after_hours=True), late, CALM).action is Action.BUY
    assert decide(position(), late, CALM).price_age == 3 * 3600


def test_a_suspect_price_is_held_before_anything_else_is_asked() -> None:
    crash = quote("49.99")
    decision = decide(position(), crash, Circumstances(NOW, open_order=True))
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.SUSPECT_PRICE)
    assert decide(position(), replace(crash, confirmed=True), CALM).action is Action.BUY


def test_the_last_accepted_price_comes_before_the_anchor_as_reference() -> None:
    seen = replace(position(), last_price=Decimal(60))
    assert decide(seen, quote(45), CALM).reason is not Reason.SUSPECT_PRICE


def test_slippage_belongs_to_simulations() -> None:
    # a rebalance onto a guardrail would be smaller if the rule knew of slippage
    without = decide(position(cash="1000"), quote(101), CALM)
    assert decide(position(cash="1000", slippage=0.01), quote(101), CALM).order == without.order


def test_a_lot_size_gives_exact_multiples() -> None:
    decision = decide(position(lot_size=0.1), quote(97), CALM)
    assert decision.order is not None
    assert decision.order.quantity == Decimal("10.4")


def test_the_trims_tell_what_changed_the_wish_in_their_order() -> None:
    # q 100, C 10,000, P 80: V 18,000, wish (100/80 - 1) · 1.6667 · 18,000 = 7,500.15;
    # m·V = 3,600; 45 shares of 80; the lots of 7 leave 42
    decision = decide(position(lot_size=7.0), quote(80), CALM)
    cap, lots = decision.trims
    assert (cap.step, lots.step) == (TrimStep.LARGEST_TRADE, TrimStep.WHOLE_LOTS)
    assert cap.before == pytest.approx(7500.15)
    assert (cap.after, lots.before, lots.after) == pytest.approx((3600, 3600, 3360))
    assert decision.sentence == (
        "BUY 42 shares at 80.00 for 3,360.00 plus a fee of 0.34: the price is −20.00\u202f% from "
        "the anchor 100.00, beyond its trigger. The largest trade changed it from buying 7,500.15 "
        "to buying 3,600.00. Whole lots changed it from buying 3,600.00 to buying 3,360.00. "
        "The stock share goes from 44.44\u202f% to 63.11\u202f%."
    )


def test_a_rebalance_says_that_the_guardrails_made_it_out_of_nothing() -> None:
    # q 100, C 1,000, P 101: w = 10,100 / 11,100 = 91 %, no trigger
    decision = decide(position(cash="1000"), quote(101), CALM)
    (trim,) = decision.trims
    assert (trim.step, trim.before) == (TrimStep.GUARDRAILS, 0.0)
    assert decision.reason is Reason.GUARDRAIL_REBALANCE
    assert "The guardrails changed it from nothing to selling 1,7" in decision.sentence


def test_dividends_not_yet_paid_count_in_equity_but_cannot_be_spent() -> None:
    # q 10, C 50, R 1,000, P 95: V 2,000, wish (100/95 - 1) · 1.6667 · 2,000 = 175.44
    cell = position(quantity="10", cash="50", min_notional=0.0)
    owed = replace(cell, balance=replace(cell.balance, receivable=Decimal(1000)))
    decision = decide(owed, quote(95), CALM)
    (trim,) = decision.trims
    assert trim.step is TrimStep.FUNDS
    assert trim.before == pytest.approx(175.44, abs=0.005)
    assert decision.notional + decision.commission == 50


def test_a_purchase_with_all_cash_gives_way_to_the_last_rounded_cent() -> None:
    # All of 16,044.8853 at 609.88 and 1 %: notional and fee, each rounded, are 0.000001 too much,
    # which is 0.00000000164 shares.
    cell = position(
        quantity="0",
        cash="16044.8853",
        anchor="1219.76",
        max_trade_share=1.0,
        max_stock_share=1.0,
        rebalance_ratio=5.0,
        commission_rate=0.01,
    )
    decision = decide(cell, quote("609.88"), CALM)
    assert decision.notional + decision.commission <= Decimal("16044.8853")
    assert decision.order is not None
    assert decision.order.quantity == pytest.approx(Decimal("26.04778817"), abs=Decimal("2e-9"))


def test_a_lot_that_the_last_rounded_cent_makes_too_dear_is_no_order() -> None:
    # In floats one lot costs 0.99999999999975 of 1; the ledger rounds it to 1 and its fee up.
    cell = position(
        quantity="0",
        cash="1.000000",
        anchor="1.5",
        lot_size=1.0,
        min_notional=0.0,
        max_trade_share=1.0,
        max_stock_share=1.0,
        rebalance_ratio=5.0,
        commission_rate=0.0000005,
        min_stock_share=0.0,
    )
    decision = decide(cell, quote("0.9999995"), CALM)
    assert decision.order is None
    assert (decision.action, decision.reason) == (Action.SKIP, Reason.NO_CASH)


def test_nothing_wished_is_nothing_trimmed() -> None:
    assert decide(position(), quote(100), CALM).trims == ()


@settings(deadline=None)  # the machine may be busy
@given(
    quantity=st.decimals(min_value=0, max_value=10**5, places=12),
    cash=st.decimals(min_value=0, max_value=10**7, places=6),
    price=st.decimals(min_value="0.01", max_value=10**4, places=4),
    distance=st.floats(min_value=0.6, max_value=1.6),
    lot=st.sampled_from([0.0, 0.1, 1.0, 7.0]),
    fee=st.sampled_from([(0.0, 0.0), (0.0001, 0.0), (0.01, 1.0)]),
    guardrail=st.sampled_from([0.75, 1.0]),
)
def test_every_proposed_order_can_be_paid_and_delivered_exactly(
    quantity: Decimal,
    cash: Decimal,
    price: Decimal,
    distance: float,
    lot: float,
    fee: tuple[float, float],
    guardrail: float,
) -> None:
    cell = position(
        str(quantity),
        str(cash),
        f"{float(price) * distance:.6f}",
        max_trade_share=1.0,
        min_notional=0.0,
        lot_size=lot,
        commission_rate=fee[0],
        commission_min=fee[1],
        max_stock_share=guardrail,
        rebalance_ratio=5.0,
    )
    decision = decide(cell, quote(price, validated=True), CALM)
    if decision.order is None:
        return
    notional = multiplied(MONEY, decision.order.quantity, price)
    assert decision.notional == notional
    assert decision.commission == commission(cell.configuration.policy, notional)
    if decision.action is Action.BUY:
        assert notional + decision.commission <= cash
    else:
        assert decision.order.quantity <= quantity
    if lot and decision.order.quantity != quantity:
        assert decision.order.quantity % Decimal(str(lot)) == 0

"""The trigger ladder: limits, sizes, and where a guardrail ends it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from volbal.domain.configuration import Configuration
from volbal.domain.decision import Reason
from volbal.domain.ladder import FARTHEST, RUNGS, Ladder, ladder, next_rungs
from volbal.domain.ledger import Balance
from volbal.domain.orders import Side
from volbal.domain.policy import Policy
from volbal.domain.position import Position

NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)


def cell(anchor: str = "100", quantity: str = "100", cash: str = "10000", **policy) -> Position:
    balance = Balance(
        quantity=Decimal(quantity),
        cash=Decimal(cash),
        average_cost=Decimal(anchor),
        anchor=Decimal(anchor),
        anchor_on=date(2026, 1, 2),
        is_open=True,
    )
    return Position(1, "ACME", NOW, balance, Configuration(Policy(**policy)))


def test_the_first_rungs_are_the_worked_example_of_the_rule() -> None:
    up, down = next_rungs(cell(), NOW)
    assert (up.limit, down.limit) == (Decimal(103), Decimal(97))
    assert up.decision.order.side is Side.SELL
    # SPEC §3.2: q 100, C 10,000, a 100: 97 buys 10.46891 for 1,015.48, 103 sells 9.56754.
    assert round(down.decision.order.quantity, 5) == Decimal("10.46891")
    assert round(down.decision.notional, 2) == Decimal("1015.48")
    assert round(up.decision.order.quantity, 5) == Decimal("9.56754")


def test_each_rung_starts_from_the_fill_of_the_one_before() -> None:
    found = ladder(cell(), NOW)
    # 103 · 1.03 = 106.09, · 1.03 = 109.2727: a sell limit is rounded up to 109.28.
    assert [rung.limit for rung in found.up[:3]] == [
        Decimal("103"),
        Decimal("106.09"),
        Decimal("109.28"),
    ]
    # 97 · 0.97 = 94.09, · 0.97 = 91.2673: a buy limit is rounded down to 91.26.
    assert [rung.limit for rung in found.down[:3]] == [
        Decimal("97"),
        Decimal("94.09"),
        Decimal("91.26"),
    ]
    assert found.up[1].decision.anchor == Decimal(103)
    assert len(found.up) == len(found.down) == RUNGS


def test_a_limit_below_one_is_stepped_in_hundredths_of_a_cent() -> None:
    up, down = next_rungs(cell("0.5", quantity="20000"), NOW)
    assert (up.limit, down.limit) == (Decimal("0.515"), Decimal("0.485"))


def test_the_guardrail_that_cuts_a_rung_ends_the_count() -> None:
    # After the buy at 97 the share is 54.39 %; the one at 94.09 may only go to 55 %.
    found = ladder(cell(max_stock_share=0.55), NOW)
    assert found.triggers_down == 2
    assert [rung.is_pinned for rung in found.down[:2]] == [False, True]
    assert found.down[1].decision.stock_share_after == pytest.approx(0.55, abs=1e-9)


def test_a_rung_without_an_order_is_the_last_and_says_why() -> None:
    # A 3 % move of a 20,000 cell wishes about 1,000.
    found = ladder(cell(min_notional=5000.0), NOW)
    assert len(found.up) == 1
    assert found.up[0].decision.order is None
    assert found.up[0].decision.reason is Reason.BELOW_MIN_NOTIONAL
    # 3/103 · 1.6667 of the equity, 10,000 + 100 · 103 = 20,300.
    assert found.up[0].decision.hindrance == "an order of 985.46 is below the smallest one"
    assert [rung.side for rung in (*found.up, *found.down)] == [Side.SELL, Side.BUY]
    assert found.triggers_up is None


def test_without_guardrails_nothing_pins_within_the_farthest_trigger() -> None:
    found = ladder(cell(min_stock_share=0.0, max_stock_share=1.0, rebalance_ratio=0.2), NOW)
    assert (found.triggers_up, found.triggers_down) == (None, None)
    assert FARTHEST == 60


def test_a_position_without_an_anchor_has_no_ladder() -> None:
    position = cell()
    bare = replace(position, balance=replace(position.balance, anchor=None))
    assert ladder(bare, NOW) == Ladder()
    assert next_rungs(bare, NOW) == (None, None)

"""The next triggers as resting limit orders: what the rule would do if the price only rose or fell.

Each rung asks THE rule at the price a broker would be given, and the next one starts from the
cell that its fill leaves. Guardrail rebalances between two triggers are not on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import islice
from typing import Final

from volbal.domain import entries
from volbal.domain.decision import Circumstances, Decision, Reason, TrimStep, decide, levels
from volbal.domain.ledger import fold
from volbal.domain.money import PRICE, round_to
from volbal.domain.orders import Side
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.domain.quotes import Quote

RUNGS: Final = 5
FARTHEST: Final = 60
"""Triggers one way beyond which nobody asks when a guardrail is met."""

CENT, MIL = Decimal("0.01"), Decimal("0.0001")
"""The steps in which brokers take limit prices, from 1 on and below it."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One trigger after all before it were filled. decision.order None: nothing to place.

    side: of the trigger; an order that a guardrail turns round has the other one.
    """

    side: Side
    limit: Decimal
    decision: Decision

    @property
    def is_pinned(self) -> bool:
        """A guardrail cuts this order, or leaves no room for one."""
        cut = any(
            trim.step is TrimStep.GUARDRAILS and abs(trim.after) < abs(trim.before)
            for trim in self.decision.trims
        )
        return cut or self.decision.reason is Reason.AT_GUARDRAIL


@dataclass(frozen=True, slots=True)
class Ladder:
    """The next rungs above and below the anchor, nearest first.

    triggers_up, triggers_down: how many triggers one way until a guardrail pins the cell, the
    one that it cuts included; None where something else ends the ladder, or nothing within
    FARTHEST.
    """

    up: tuple[Rung, ...] = ()
    down: tuple[Rung, ...] = ()
    triggers_up: int | None = None
    triggers_down: int | None = None


def ladder(position: Position, asked_at: datetime) -> Ladder:
    """The ladder of `position`; empty without an anchor."""
    up = list(islice(_rungs(position, Side.SELL, asked_at), FARTHEST))
    down = list(islice(_rungs(position, Side.BUY, asked_at), FARTHEST))
    return Ladder(tuple(up[:RUNGS]), tuple(down[:RUNGS]), _until_pinned(up), _until_pinned(down))


def next_rungs(position: Position, asked_at: datetime) -> tuple[Rung | None, Rung | None]:
    """The nearest rung above and below the anchor; None without an anchor."""
    up, down = (next(_rungs(position, side, asked_at), None) for side in (Side.SELL, Side.BUY))
    return up, down


def _rungs(position: Position, side: Side, asked_at: datetime) -> Iterator[Rung]:
    """Rung after rung until the rule places no order at one."""
    policy = position.configuration.policy
    while position.balance.anchor is not None:
        limit = _limit(position.balance.anchor, side, policy)
        if limit <= 0:
            return
        decision = _asked(position, limit, asked_at)
        yield Rung(side, limit, decision)
        if decision.order is None:
            return
        position = _filled(position, decision, asked_at)


def _limit(anchor: Decimal, side: Side, policy: Policy) -> Decimal:
    """The first price of a broker's steps at which the trigger of `side` has fired."""
    buy, sell = levels(anchor, policy)
    level, rounding = (sell, ROUND_CEILING) if side is Side.SELL else (buy, ROUND_FLOOR)
    step = CENT if level >= 1 else MIL
    return round_to(PRICE, level.quantize(step, rounding=rounding))


def _asked(position: Position, price: Decimal, asked_at: datetime) -> Decision:
    quote = Quote(price, "limit order", confirmed=True)
    return decide(position, quote, Circumstances(asked_at))


def _filled(position: Position, decision: Decision, asked_at: datetime) -> Position:
    order = decision.order
    if order is None:
        return position
    make = entries.purchase if order.side is Side.BUY else entries.sale
    entry = make(
        position.balance, order.quantity, decision.price, decision.commission, asked_at.date()
    )
    return replace(position, balance=fold(position.balance, entry))


def _until_pinned(rungs: list[Rung]) -> int | None:
    return next((count for count, rung in enumerate(rungs, 1) if rung.is_pinned), None)

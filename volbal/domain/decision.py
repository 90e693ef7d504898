"""What the rule says about a position at a price, with every number it used, and in words.

This is the one border between the exact decimals of the ledger and the floats of the rule.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from math import isclose
from typing import Final

from volbal.domain import rule
from volbal.domain.guardrails import stock_share
from volbal.domain.ledger import Balance, equity
from volbal.domain.money import (
    EXACT,
    MONEY,
    NO_MONEY,
    NO_SHARES,
    PRICE,
    SHARES,
    divided_up,
    from_float,
    multiplied,
    round_to,
    whole_lots,
)
from volbal.domain.orders import Order, Side
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.domain.quotes import Quote
from volbal.domain.wording import duration, money, percent, percent_change, price

NOISE: Final = 1e-9
"""Relative: sizes this near are one size, written by different float operations."""


class Action(StrEnum):
    """BUY or SELL: an order is proposed. SKIP: one was wished or due, and something stops it."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"
    SKIP = "SKIP"


class Reason(StrEnum):
    """Why there is an order, or why there is none."""

    TRIGGERED = "triggered"
    GUARDRAIL_REBALANCE = "guardrail_rebalance"
    NO_TRIGGER = "no_trigger"
    AT_GUARDRAIL = "at_guardrail"
    NO_CASH = "no_cash"
    NO_SHARES = "no_shares"
    BELOW_LOT = "below_lot"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    FEE_EXCEEDS_BENEFIT = "fee_exceeds_benefit"
    DAILY_CAP = "daily_cap"
    FIRST_PRICE = "first_price"
    OPEN_ORDER = "open_order"
    AFTER_HOURS = "after_hours"
    SUSPECT_PRICE = "suspect_price"


@dataclass(frozen=True, slots=True)
class Sizing:
    """How the order got its size: signed notional (+ buys) at the price, then shares.

    wish; capped by the largest trade; guarded by the guardrails; then shares > 0: funded by cash
    or shares held, rounded to whole lots.
    """

    wish: float = 0.0
    capped: float = 0.0
    guarded: float = 0.0
    funded: float = 0.0
    rounded: float = 0.0


class TrimStep(StrEnum):
    """What can change an order between the wish and its final size, in this order."""

    LARGEST_TRADE = "largest_trade"
    GUARDRAILS = "guardrails"
    FUNDS = "funds"
    WHOLE_LOTS = "whole_lots"


@dataclass(frozen=True, slots=True)
class Trim:
    """One step that changed the order: signed notional at the price, before and after it."""

    step: TrimStep
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the rule.

    price_age in seconds; distance = price / anchor − 1; levels, anchor: None without an anchor;
    stock_share_after: after the proposed order, else as before. order None: nothing to do;
    notional, commission: what the order is expected to cost, at the price.
    """

    action: Action
    reason: Reason
    price: Decimal
    price_source: str
    price_age: float
    anchor: Decimal | None
    distance: float | None
    buy_level: Decimal | None
    sell_level: Decimal | None
    equity: Decimal
    stock_share: float
    stock_share_after: float
    sizing: Sizing = Sizing()
    order: Order | None = None
    notional: Decimal = NO_MONEY
    commission: Decimal = NO_MONEY

    @property
    def trims(self) -> tuple[Trim, ...]:
        """What changed the wish, step by step; empty where nothing was wished or due."""
        return _trims(self.sizing, float(self.price))

    @property
    def hindrance(self) -> str:
        """What stands against the order that was wished or due, empty where nothing does."""
        return _told(self, _HINDRANCES.get(self.reason, ""))

    @property
    def sentence(self) -> str:
        return _sentence(self)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides besides the position and its policy."""

    asked_at: datetime
    orders_today: int = 0
    open_order: bool = False


def decide(position: Position, quote: Quote, circumstances: Circumstances) -> Decision:
    """Ask the rule about `position` at `quote`, unless there is a reason not to ask it."""
    reason = _held_back(position, quote, circumstances)
    if reason is not None:
        return _decision(Action.HOLD, reason, position, quote, circumstances)
    return _ruled(position, quote, circumstances)


def _held_back(position: Position, quote: Quote, circumstances: Circumstances) -> Reason | None:
    if quote.is_suspect(position.reference_price):
        return Reason.SUSPECT_PRICE
    if position.balance.anchor is None:
        return Reason.FIRST_PRICE
    if circumstances.open_order:
        return Reason.OPEN_ORDER
    if not (quote.in_session or position.configuration.policy.after_hours):
        return Reason.AFTER_HOURS
    return None


def _ruled(position: Position, quote: Quote, circumstances: Circumstances) -> Decision:
    policy = position.configuration.policy
    # Slippage belongs to simulations: a live order fills at a price that the broker reports.
    terms = policy.terms._replace(slippage=0.0)
    cell = rule.Cell(
        float(position.balance.quantity),
        float(position.balance.cash),
        float(position.balance.receivable),
        float(position.balance.anchor or 0),
        float(circumstances.orders_today),
    )
    ruled = rule.decide(float(quote.price), cell, terms)
    order = _order(ruled, position.balance, quote.price, policy)
    notional = multiplied(MONEY, order.quantity, quote.price) if order else NO_MONEY
    return _decision(
        _action(ruled, order),
        _reason(ruled, order),
        position,
        quote,
        circumstances,
        stock_share_after=ruled.stock_share_after,
        sizing=Sizing(ruled.wish, ruled.capped, ruled.guarded, ruled.funded, ruled.rounded),
        order=order,
        notional=notional,
        commission=commission(policy, notional) if order else NO_MONEY,
    )


def commission(policy: Policy, notional: Decimal) -> Decimal:
    """max(rate × notional, min), as the ledger writes it."""
    by_rate = EXACT.multiply(Decimal(repr(policy.commission_rate)), notional)
    return round_to(MONEY, max(by_rate, Decimal(repr(policy.commission_min))))


def _reason(ruled: rule.Decision, order: Order | None) -> Reason:
    """The rule's; or that nothing was left of its order once the ledger had rounded it."""
    if order is None and ruled.quantity != 0.0:
        return Reason.NO_CASH if ruled.quantity > 0.0 else Reason.NO_SHARES
    return Reason(rule.REASONS[int(ruled.reason)])


def _action(ruled: rule.Decision, order: Order | None) -> Action:
    if order is not None:
        return Action(order.side.value)
    return Action.HOLD if ruled.reason == rule.NO_TRIGGER else Action.SKIP


def _order(ruled: rule.Decision, balance: Balance, at: Decimal, policy: Policy) -> Order | None:
    """The rule's quantity in ledger decimals, payable to the last cent and held to the last bit."""
    quantity = from_float(SHARES, abs(ruled.quantity))
    if policy.lot_size > 0:  # a float multiple of a lot is only nearly one
        quantity = whole_lots(quantity, Decimal(repr(policy.lot_size)), ROUND_HALF_EVEN)
    if ruled.quantity < 0:
        quantity = min(quantity, balance.quantity)
    if ruled.quantity > 0:
        quantity = _affordable(quantity, balance.cash, at, policy)
    if quantity <= 0:
        return None
    return Order(Side.BUY if ruled.quantity > 0 else Side.SELL, quantity)


def _affordable(quantity: Decimal, cash: Decimal, at: Decimal, policy: Policy) -> Decimal:
    """`quantity`, less what rounding made too dear; by whole lots where there are lots."""
    while quantity > 0:
        notional = multiplied(MONEY, quantity, at)
        missing = notional + commission(policy, notional) - cash
        if missing <= 0:
            break
        quantity -= divided_up(SHARES, missing, at)
        if policy.lot_size > 0:
            quantity = whole_lots(max(quantity, NO_SHARES), Decimal(repr(policy.lot_size)))
    return max(quantity, NO_SHARES)


def _decision(
    action: Action,
    reason: Reason,
    position: Position,
    quote: Quote,
    circumstances: Circumstances,
    *,
    stock_share_after: float | None = None,
    sizing: Sizing = Sizing(),
    order: Order | None = None,
    notional: Decimal = NO_MONEY,
    commission: Decimal = NO_MONEY,
) -> Decision:
    balance, policy = position.balance, position.configuration.policy
    share = float(stock_share(balance, quote.price))
    anchor, asked_at = balance.anchor, circumstances.asked_at
    buy_level, sell_level = (None, None) if anchor is None else levels(anchor, policy)
    return Decision(
        action,
        reason,
        quote.price,
        quote.source,
        (asked_at - quote.seen_at(asked_at)).total_seconds(),
        anchor,
        None if anchor is None else float(EXACT.divide(quote.price, anchor) - 1),
        buy_level,
        sell_level,
        equity(balance, quote.price),
        share,
        share if stock_share_after is None else stock_share_after,
        sizing,
        order,
        notional,
        commission,
    )


def levels(anchor: Decimal, policy: Policy) -> tuple[Decimal, Decimal]:
    """The prices at which it buys and sells, for people; the rule compares its own."""
    down, up = (
        multiplied(PRICE, anchor, 1 + Decimal(repr(distance)))
        for distance in (-policy.trigger_down, policy.trigger_up)
    )
    return down, up


def _trims(sizing: Sizing, at: float) -> tuple[Trim, ...]:
    sign = 1.0 if sizing.guarded > 0.0 else -1.0
    sizes = (
        (TrimStep.LARGEST_TRADE, sizing.wish, sizing.capped),
        (TrimStep.GUARDRAILS, sizing.capped, sizing.guarded),
        (TrimStep.FUNDS, sizing.guarded, sign * sizing.funded * at),
        (TrimStep.WHOLE_LOTS, sign * sizing.funded * at, sign * sizing.rounded * at),
    )
    return tuple(Trim(*size) for size in sizes if not isclose(*size[1:], rel_tol=NOISE))


def _sentence(decision: Decision) -> str:
    at = price(decision.price)
    if decision.order is not None:
        return (
            f"{decision.order} at {at} for {money(decision.notional)} plus a fee of "
            f"{money(decision.commission)}: {_cause(decision)}.{_cuts(decision)} The stock share "
            f"goes from {percent(decision.stock_share)} to {percent(decision.stock_share_after)}."
        )
    word = "Hold" if decision.action is Action.HOLD else "No order"
    return f"{word} at {at}: {_cause(decision)}."


def _cuts(decision: Decision) -> str:
    """What changed the size of the order on its way, for people."""
    changes = (
        f" {_STEPS[trim.step]} changed it from {_order_of(trim.before)} to {_order_of(trim.after)}."
        for trim in decision.trims
    )
    return "".join(changes)


def _order_of(notional: float) -> str:
    side = "buying" if notional > 0.0 else "selling"
    return f"{side} {money(abs(notional))}" if notional else "nothing"


def _cause(decision: Decision) -> str:
    return _told(decision, _CAUSES[decision.reason])


def _told(decision: Decision, words: str) -> str:
    return words.format(
        where=_where(decision),
        size=money(abs(decision.sizing.guarded)),
        share=percent(decision.stock_share),
        age=duration(decision.price_age),
        source=decision.price_source,
    )


def _where(decision: Decision) -> str:
    """Where the price stands against the anchor and its levels."""
    if decision.anchor is None or decision.distance is None:
        return "there is no anchor yet"
    return (
        f"the price is {percent_change(decision.distance)} from the anchor {price(decision.anchor)}"
    )


_STEPS: Final = {
    TrimStep.LARGEST_TRADE: "The largest trade",
    TrimStep.GUARDRAILS: "The guardrails",
    TrimStep.FUNDS: "The cash or shares at hand",
    TrimStep.WHOLE_LOTS: "Whole lots",
}

_HINDRANCES: Final = {
    Reason.AT_GUARDRAIL: "at a stock share of {share} the guardrails leave no room",
    Reason.NO_CASH: "there is no cash to buy with",
    Reason.NO_SHARES: "there are no shares to sell",
    Reason.BELOW_LOT: "{size} is less than one lot",
    Reason.BELOW_MIN_NOTIONAL: "an order of {size} is below the smallest one",
    Reason.FEE_EXCEEDS_BENEFIT: "the fee of an order of {size} would do more harm than the order "
    "does good",
    Reason.DAILY_CAP: "the orders of today are used up",
}

_CAUSES: Final = {
    Reason.TRIGGERED: "{where}, beyond its trigger",
    Reason.GUARDRAIL_REBALANCE: "{where}, and a stock share of {share} has to come back to its "
    "guardrail",
    Reason.NO_TRIGGER: "{where}, between its triggers",
    Reason.FIRST_PRICE: "this first price becomes the anchor",
    Reason.OPEN_ORDER: "an order is open; fill or cancel it first",
    Reason.AFTER_HOURS: "the price is {age} old and was made outside the regular session",
    Reason.SUSPECT_PRICE: "the price ({source}) is far from the last one; confirm it to go on",
    **{reason: "{where}, but " + hindrance for reason, hindrance in _HINDRANCES.items()},
}

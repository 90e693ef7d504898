"""Settings that are allowed and yet hardly meant, each with a setting that would be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from volbal.domain.configuration import Value
from volbal.domain.decision import Reason
from volbal.domain.guardrails import stock_share
from volbal.domain.ladder import Rung, next_rungs
from volbal.domain.position import Position
from volbal.domain.wording import (
    Number,
    duration,
    money,
    percent,
    percent_change,
    price,
    shares,
)

STEP, FINE_STEP = Decimal("0.01"), Decimal("0.001")
"""In which suggested guardrails and triggers are rounded."""

FAR, FAR_FROM_OLD, OLD = Decimal("0.2"), Decimal("0.5"), 30 * 86400.0
"""Distance of a typed price or an opening anchor from the newest price known, and from one older
than OLD seconds, that is hardly meant."""

LARGE_DIVIDEND = Decimal("0.1")
"""Of the last price: a dividend above it is as often a wrong unit as a real special one."""

LARGE_SPLIT = 100
"""Shares for one, either way: more is as good as never done."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One sentence, and the settings (or the anchor) by name that would settle it, if any would."""

    sentence: str
    fix: Mapping[str, Value] = field(default_factory=dict)


def doubts(position: Position, at: Decimal, asked_at: datetime) -> list[Doubt]:
    """What somebody should know before `position` is left to its policy at price `at`."""
    up, down = next_rungs(position, asked_at)
    rungs = {"trigger_up": up, "trigger_down": down}
    return [
        *_excluded(position, at),
        *_one_sided(position),
        *_eaten_by_fees(position, rungs),
        *_too_small(position, rungs),
    ]


def far_anchor(anchor: Decimal, seen: Decimal, age: float) -> list[Doubt]:
    """An opening anchor far from the newest price known, `seen`, which is `age` seconds old."""
    distance = anchor / seen - 1
    if abs(distance) <= (FAR if age <= OLD else FAR_FROM_OLD):
        return []
    sentence = (
        f"The anchor {price(anchor)} is {percent_change(distance, 0)} from the newest price known, "
        f"{price(seen)}, which is {duration(age)} old: the rule trades as soon as it sees a price "
        "beyond a trigger. Is it right?"
    )
    return [Doubt(sentence, {"anchor": float(seen)})]


def far_price(typed: float | None, seen: Decimal | None) -> str:
    """How far a typed price is from the last one `seen`; empty where that is not odd, none is
    known, or the price is none."""
    if typed is None or typed <= 0 or seen is None:
        return ""
    away = Decimal(repr(typed)) / seen - 1
    if abs(away) <= FAR:
        return ""
    distance = percent_change(away, 0)
    return f"{price(typed)} is {distance} from the last price, {price(seen)}"


def large_dividend(per_share: Decimal, seen: Decimal | None) -> str:
    """How much a dividend is of the last price `seen`; empty where that is not odd, or unknown."""
    if seen is None or per_share <= LARGE_DIVIDEND * seen:
        return ""
    return f"{price(per_share)} is {percent(per_share / seen, 0)} of the last price, {price(seen)}"


def odd_split(new: Number, old: Number) -> str:
    """Whether a split is hardly meant; empty where it is not odd, or none."""
    more, less = max(new, old), min(new, old)
    if less <= 0 or more <= LARGE_SPLIT * less:
        return ""
    return f"{shares(new)} for {shares(old)} is more than any known split of {LARGE_SPLIT} for 1"


def _excluded(position: Position, at: Decimal) -> Iterator[Doubt]:
    """The cell stands outside its own guardrails."""
    policy = position.configuration.policy
    share = stock_share(position.balance, at)
    low, high = Decimal(repr(policy.min_stock_share)), Decimal(repr(policy.max_stock_share))
    if position.balance.quantity == 0 and position.balance.cash == 0:
        return
    kept = f"{percent(low, 0)} to {percent(high, 0)}"
    then = "the rule rebalances at once" if policy.auto_rebalance else "only triggers bring it back"
    if share > high:
        fix = {"max_stock_share": float(min(share.quantize(STEP, ROUND_CEILING), Decimal(1)))}
    elif share < low:
        fix = {"min_stock_share": float(share.quantize(STEP, ROUND_FLOOR))}
    else:
        return
    yield Doubt(f"{percent(share, 1)} in stock is outside its guardrails {kept}: {then}.", fix)


def _one_sided(position: Position) -> Iterator[Doubt]:
    if position.balance.cash == 0 and position.balance.quantity > 0:
        yield Doubt(
            "Without cash the rule can only sell. Deposit some, or start with fewer shares."
        )
    if position.balance.quantity == 0 and position.balance.cash > 0:
        yield Doubt("Without shares the rule can only buy.")


def _eaten_by_fees(position: Position, rungs: Mapping[str, Rung | None]) -> Iterator[Doubt]:
    """A buy and a sell one trigger apart cost more in fees than they earn."""
    policy = position.configuration.policy
    for name, rung in rungs.items():
        order = None if rung is None else rung.decision.order
        if rung is None or order is None:
            continue
        both_ways = 2 * rung.decision.commission / rung.decision.notional
        trigger = Decimal(repr(getattr(policy, name)))
        if trigger < both_ways:
            enough = min(float((3 * both_ways).quantize(FINE_STEP, ROUND_CEILING)), 0.5)
            yield Doubt(
                f"A trigger of {percent(trigger)} earns less than the fees of a round trip, "
                f"{percent(both_ways)} of the {money(rung.decision.notional)} order.",
                {name: enough},
            )


def _too_small(position: Position, rungs: Mapping[str, Rung | None]) -> Iterator[Doubt]:
    """The trigger fires and the order is too small to be placed."""
    policy = position.configuration.policy
    below = {
        reason: [one for one in rungs.values() if one and one.decision.reason is reason]
        for reason in (Reason.BELOW_MIN_NOTIONAL, Reason.BELOW_LOT)
    }
    if below[Reason.BELOW_MIN_NOTIONAL]:
        sizes = [abs(one.decision.sizing.guarded) for one in below[Reason.BELOW_MIN_NOTIONAL]]
        yield Doubt(
            f"{_where(below[Reason.BELOW_MIN_NOTIONAL])} is below the smallest order of "
            f"{money(policy.min_notional)}: nothing happens there.",
            {"min_notional": float(int(min(sizes)))},
        )
    if below[Reason.BELOW_LOT]:
        yield Doubt(
            f"{_where(below[Reason.BELOW_LOT])} is less than one lot of {policy.lot_size:g}: "
            "nothing happens there.",
            {"lot_size": 0.0},
        )


def _where(rungs: Sequence[Rung]) -> str:
    """Sizes at the triggers: "Selling 985.46 at 103.00 and buying 1,015.48 at 97.00"."""
    told = " and ".join(
        f"{'buying' if one.decision.sizing.guarded > 0 else 'selling'} "
        f"{money(abs(one.decision.sizing.guarded))} at {price(one.limit)}"
        for one in rungs
    )
    return told[:1].upper() + told[1:]

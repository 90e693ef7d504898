"""Orders and fills as the user means them, and what makes two of them the same.

A key stands for one order of a position, for ever. Whether a second request with that key is a
repetition or a mistake is told by the fingerprint: SHA-256 of the canonical JSON of the order.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from volbal.domain.ledger import Refused
from volbal.domain.money import MONEY, PRICE, SHARES, Number, not_negative, plain, positive
from volbal.domain.order_states import OPEN_STATES, OrderState
from volbal.domain.wording import money, price, share_count, shares
from volbal.errors import InvalidInput, VolbalError

LONGEST_KEY = 200


class KeyTooLong(InvalidInput):
    """An idempotency key that the ledger does not hold."""

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key",
            f"it has more than {LONGEST_KEY} characters",
            f"allowed: 1 to {LONGEST_KEY} characters",
        )


class MissingIdempotencyKey(VolbalError):
    """An order came without a key."""

    code = "missing_idempotency_key"

    def __init__(self) -> None:
        super().__init__(
            "An order needs an idempotency key (HTTP header Idempotency-Key): any text that is "
            "not blank, new for each order and the same when it is sent again."
        )


class IdempotencyConflict(Refused):
    """The key was already used for something else."""

    code = "idempotency_signature_mismatch"

    def __init__(self, key: str, first: str, second: str) -> None:
        super().__init__(
            f"Key {key} already stands for '{first}'; it cannot also stand for '{second}'. "
            "Use a new key."
        )


class Overfill(Refused):
    """A fill of more than is left of the order."""

    code = "overfill"

    def __init__(self, order_id: int, quantity: Decimal, left: Decimal) -> None:
        super().__init__(
            f"{share_count(quantity)} cannot be filled: order {order_id} has {shares(left)} left."
        )


class DailyOrderCap(Refused):
    """The position accepts no further order today."""

    code = "daily_order_cap"

    def __init__(self, cap: int) -> None:
        super().__init__(
            f"The position has reached its {cap} orders of today (max_orders_per_day); "
            "wait for the next session or raise the limit."
        )


class OrderOpen(Refused):
    """An open order stands in the way."""

    code = "order_open"

    def __init__(self, order_id: int, what: str) -> None:
        super().__init__(f"Order {order_id} is open; cancel or fill it before {what}.")


class ProposalOutdated(Refused):
    """What is approved is not what the latest evaluation proposes."""

    code = "proposal_outdated"

    def __init__(self) -> None:
        super().__init__(
            "This proposal is out of date: something has happened or been evaluated since. "
            "Evaluate again and approve the new one."
        )


class GuardrailBreach(Refused):
    """A strict position does not record a fill that leaves its guardrails."""

    code = "guardrail_breach"

    def __init__(self, share: str, allowed: str) -> None:
        super().__init__(
            f"This fill would leave {share} in stock, outside the guardrails {allowed}, and the "
            "position is strict; fill less, or turn strict off if it happened at the broker."
        )


class Side(StrEnum):
    """Which way the shares go."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True)
class Order:
    """An intention: buy or sell a quantity of shares > 0."""

    side: Side
    quantity: Decimal

    def __str__(self) -> str:
        return f"{self.side} {share_count(self.quantity)}"

    @property
    def fingerprint(self) -> str:
        return fingerprint({"quantity": plain(self.quantity), "side": self.side.value})


@dataclass(frozen=True, slots=True)
class Execution:
    """What the broker did: price per share > 0, shares > 0, commission >= 0."""

    price: Decimal
    quantity: Decimal
    commission: Decimal

    def __str__(self) -> str:
        return (
            f"{share_count(self.quantity)} at {price(self.price)}, "
            f"commission {money(self.commission)}"
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint(
            {
                "commission": plain(self.commission),
                "price": plain(self.price),
                "quantity": plain(self.quantity),
            }
        )


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """A stored order."""

    order_id: int
    position_id: int
    key: str
    fingerprint: str
    order: Order
    state: OrderState
    filled: Decimal
    submitted_at: datetime
    reason: str | None = None

    @property
    def left(self) -> Decimal:
        """Shares not filled yet."""
        return self.order.quantity - self.filled

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def rest(self) -> str:
        """What is still to be done: "BUY 3 shares", or "BUY 3 of 5 shares" once partly filled."""
        if self.filled == 0:
            return str(self.order)
        return f"{self.order.side} {shares(self.left)} of {share_count(self.order.quantity)}"


@dataclass(frozen=True, slots=True)
class FillRecord:
    """A stored fill; outside_guardrails: it left the position's guardrails and was recorded."""

    fill_id: int
    order_id: int
    position_id: int
    key: str | None
    fingerprint: str
    side: Side
    execution: Execution
    filled_at: datetime
    outside_guardrails: bool


def order(side: str, quantity: Number) -> Order:
    """A validated order; raises InvalidInput."""
    try:
        checked = Side(str(side).strip().upper())
    except ValueError as error:
        raise InvalidInput("side", f"{side!r} is no side", "allowed: BUY, SELL") from error
    return Order(checked, positive("qty", quantity, SHARES))


def execution(price: Number, quantity: Number, commission: Number = 0) -> Execution:
    """A validated execution; raises InvalidInput."""
    return Execution(
        positive("price", price, PRICE),
        positive("filled_qty", quantity, SHARES),
        not_negative("commission", commission, MONEY),
    )


def key(text: str | None) -> str:
    """A usable idempotency key; raises MissingIdempotencyKey, KeyTooLong."""
    if text is None or not text.strip():
        raise MissingIdempotencyKey
    if len(text) > LONGEST_KEY:
        raise KeyTooLong
    return text.strip()


def require_same(key: str, first: tuple[str, object], second: tuple[str, object]) -> None:
    """Raises IdempotencyConflict unless both (fingerprint, thing) have one fingerprint."""
    if first[0] != second[0]:
        raise IdempotencyConflict(key, str(first[1]), str(second[1]))


def proposal_key(position_id: int, last_change: int, order: Order, price: Decimal) -> str:
    """The key of a proposed order: the same as long as nothing that matters has changed.

    last_change: number of the last fill, cancel, reject, deposit, withdrawal or configuration
    event. So approving twice is one order, and a cancelled one can be proposed again.
    """
    return "proposal-" + fingerprint(
        {
            "last_change": last_change,
            "position": position_id,
            "price": plain(price),
            "quantity": plain(order.quantity),
            "side": order.side.value,
        }
    )


def fingerprint(content: Mapping[str, str | int]) -> str:
    """SHA-256 of the canonical JSON: sorted names, no spaces, ASCII, shortest decimal texts."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()

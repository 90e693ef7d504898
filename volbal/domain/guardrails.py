"""Whether a fill took a position out of its guardrails."""

from decimal import Decimal
from typing import Final

from volbal.domain.ledger import Balance, equity
from volbal.domain.money import EXACT, MONEY
from volbal.domain.policy import Policy

TOLERANCE: Final = Decimal("1e-9")
"""A stock share this near a guardrail is on it; money's rounding step comes on top."""


def stock_share(balance: Balance, price: Decimal) -> Decimal:
    """w = A / V at `price`; 0 for an empty cell."""
    worth = equity(balance, price)
    return EXACT.divide(EXACT.multiply(balance.quantity, price), worth) if worth > 0 else Decimal(0)


def is_breach(before: Balance, after: Balance, price: Decimal, policy: Policy) -> bool:
    """The fill left the guardrails, and did not move the position toward them."""
    worth = equity(after, price)
    if worth <= 0:
        return False
    share, share_before = stock_share(after, price), stock_share(before, price)
    slack = TOLERANCE + EXACT.divide(MONEY.step, worth)
    above = share > Decimal(repr(policy.max_stock_share)) + slack
    below = share < Decimal(repr(policy.min_stock_share)) - slack
    return (above and share > share_before) or (below and share < share_before)

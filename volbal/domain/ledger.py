"""The ledger of a position: append-only entries, and the balance that they add up to.

An entry moves money between seven legs and its money sums to exactly 0: what cash pays, shares
(at the price traded), receivable dividends, commission, withholding, income or the outside
world receive. A positive leg receives. A balance is a fold of entries from `EMPTY`; there is no
other way to a balance.
"""

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from volbal.domain.money import (
    EXACT,
    MONEY,
    NO_MONEY,
    NO_SHARES,
    PRICE,
    ZERO,
    divided,
    multiplied,
)
from volbal.errors import VolbalError


class Refused(VolbalError):
    """The request is understood and the answer is no (HTTP 409); nothing was moved."""

    code = "refused"


class Kind(StrEnum):
    """What an entry records."""

    OPEN = "open"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FILL = "fill"
    DIVIDEND_ACCRUAL = "dividend_accrual"
    DIVIDEND_PAYMENT = "dividend_payment"
    SPLIT = "split"
    ANCHOR = "anchor"
    ADJUSTMENT = "adjustment"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Legs:
    """Where the money of an entry went (> 0) and where it came from (< 0); the sum is 0."""

    cash: Decimal = NO_MONEY
    shares: Decimal = NO_MONEY
    receivable: Decimal = NO_MONEY
    commission: Decimal = NO_MONEY
    withholding: Decimal = NO_MONEY
    income: Decimal = NO_MONEY
    external: Decimal = NO_MONEY

    def __post_init__(self) -> None:
        if self.total != 0:
            raise ValueError(f"The legs of an entry sum to {self.total}, not to 0: {self}")

    @property
    def total(self) -> Decimal:
        return sum((getattr(self, name) for name in LEGS), ZERO)


LEGS: Final = tuple(field.name for field in fields(Legs))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger, on an exchange-local date.

    quantity: shares gained (> 0) or given up (< 0); price: per share, where there is one (for a
    dividend its gross amount per share); anchor, anchor_on: the anchor it leaves and the day
    that one was set, None where it does not move it; new_shares for old_shares: a split's ratio.
    """

    kind: Kind
    on: date
    legs: Legs = Legs()
    quantity: Decimal = NO_SHARES
    price: Decimal | None = None
    anchor: Decimal | None = None
    anchor_on: date | None = None
    new_shares: Decimal | None = None
    old_shares: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """What a position holds after its entries.

    quantity in shares; cash, receivable (net dividends not yet paid), fees, dividends (net, by
    ex-date), withheld and contributed (net money and shares brought in) in account currency;
    average_cost per share with buy commissions, None while opening shares wait for their first
    price; anchor and the day it was set, None before the first price.
    """

    quantity: Decimal = NO_SHARES
    cash: Decimal = NO_MONEY
    receivable: Decimal = NO_MONEY
    fees: Decimal = NO_MONEY
    dividends: Decimal = NO_MONEY
    withheld: Decimal = NO_MONEY
    contributed: Decimal = NO_MONEY
    average_cost: Decimal | None = NO_SHARES
    anchor: Decimal | None = None
    anchor_on: date | None = None
    is_open: bool = False


EMPTY: Final = Balance()


def fold(balance: Balance, entry: Entry) -> Balance:
    """The balance after `entry`."""
    legs = entry.legs
    moves_anchor = entry.anchor is not None
    return Balance(
        quantity=balance.quantity + entry.quantity,
        cash=balance.cash + legs.cash,
        receivable=balance.receivable + legs.receivable,
        fees=balance.fees + legs.commission,
        dividends=balance.dividends - legs.income - legs.withholding,
        withheld=balance.withheld + legs.withholding,
        contributed=balance.contributed - legs.external,
        average_cost=_average_cost(balance, entry),
        anchor=entry.anchor if moves_anchor else balance.anchor,
        anchor_on=entry.anchor_on if moves_anchor else balance.anchor_on,
        is_open=_is_open(balance, entry),
    )


def equity(balance: Balance, price: Decimal) -> Decimal:
    """V = q·P + C + R in account currency."""
    stock = multiplied(MONEY, balance.quantity, price)
    return stock + balance.cash + balance.receivable


def _is_open(balance: Balance, entry: Entry) -> bool:
    if entry.kind in (Kind.OPEN, Kind.CLOSE):
        return entry.kind is Kind.OPEN
    return balance.is_open


def _average_cost(balance: Balance, entry: Entry) -> Decimal | None:
    """Moving average including buy commissions; sells leave it, splits divide it."""
    held = balance.quantity + entry.quantity
    before = balance.average_cost
    if held == 0:
        return NO_SHARES
    if entry.kind is Kind.SPLIT:
        return _after_split(before, entry)
    if entry.quantity > 0 and entry.price is None:
        return None
    if entry.quantity < 0 or (entry.quantity == 0 and entry.legs.shares == 0):
        return before
    paid = entry.legs.shares + entry.legs.commission
    cost = EXACT.add(EXACT.multiply(balance.quantity, before or ZERO), paid)
    return divided(PRICE, cost, held)


def _after_split(average_cost: Decimal | None, entry: Entry) -> Decimal | None:
    if average_cost is None or entry.new_shares is None or entry.old_shares is None:
        return average_cost
    return divided(PRICE, EXACT.multiply(average_cost, entry.old_shares), entry.new_shares)

"""How each kind of entry is made from a balance, and when it must not be."""

from datetime import date
from decimal import Decimal

from volbal.domain.ledger import Balance, Entry, Kind, Legs, Refused
from volbal.domain.money import EXACT, MONEY, NO_MONEY, NO_SHARES, PRICE, SHARES, divided
from volbal.domain.money import multiplied as product
from volbal.domain.wording import money, share_count, shares
from volbal.errors import InvalidInput


class InsufficientCash(Refused):
    """More money is needed than the position's own cash."""

    code = "insufficient_cash"

    def __init__(self, needed: Decimal, cash: Decimal) -> None:
        super().__init__(
            f"This needs {money(needed)} and the position has {money(cash)} in cash; "
            f"make it smaller or deposit {money(needed - cash)} first."
        )


class InsufficientShares(Refused):
    """More shares are needed than the position holds."""

    code = "insufficient_shares"

    def __init__(self, needed: Decimal, held: Decimal) -> None:
        super().__init__(
            f"This needs {share_count(needed)} and the position holds {shares(held)}; "
            f"make it at most {shares(held)}."
        )


def opening(on: date, quantity: Decimal, cash: Decimal, price: Decimal | None) -> Entry:
    """Shares and cash brought in. price: what the shares cost, None if no price is known yet."""
    worth = NO_MONEY if price is None else product(MONEY, quantity, price)
    legs = Legs(cash=cash, shares=worth, external=-cash - worth)
    set_on = None if price is None else on
    return Entry(Kind.OPEN, on, legs, quantity, price, anchor=price, anchor_on=set_on)


def reopening(on: date) -> Entry:
    """An archived position used again."""
    return Entry(Kind.OPEN, on)


def closing(on: date) -> Entry:
    """The position archived as it is."""
    return Entry(Kind.CLOSE, on)


def opening_price(balance: Balance, price: Decimal, on: date) -> Entry:
    """The cost of opening shares that came without one: the first price seen."""
    worth = product(MONEY, balance.quantity, price)
    return Entry(Kind.ADJUSTMENT, on, Legs(shares=worth, external=-worth), price=price)


def deposit(amount: Decimal, on: date) -> Entry:
    """Money brought in."""
    return Entry(Kind.DEPOSIT, on, Legs(cash=amount, external=-amount))


def withdrawal(balance: Balance, amount: Decimal, on: date) -> Entry:
    """Money taken out; raises InsufficientCash."""
    if amount > balance.cash:
        raise InsufficientCash(amount, balance.cash)
    return Entry(Kind.WITHDRAWAL, on, Legs(cash=-amount, external=amount))


def purchase(
    balance: Balance, quantity: Decimal, price: Decimal, commission: Decimal, on: date
) -> Entry:
    """A fill that buys; the fill price becomes the anchor. Raises InsufficientCash."""
    notional = product(MONEY, quantity, price)
    if notional + commission > balance.cash:
        raise InsufficientCash(notional + commission, balance.cash)
    legs = Legs(cash=-notional - commission, shares=notional, commission=commission)
    return Entry(Kind.FILL, on, legs, quantity, price, anchor=price, anchor_on=on)


def sale(
    balance: Balance, quantity: Decimal, price: Decimal, commission: Decimal, on: date
) -> Entry:
    """A fill that sells; the fill price becomes the anchor.

    Raises InsufficientShares, and InsufficientCash where the commission eats more than is there.
    """
    if quantity > balance.quantity:
        raise InsufficientShares(quantity, balance.quantity)
    notional = product(MONEY, quantity, price)
    if commission > balance.cash + notional:
        raise InsufficientCash(commission, balance.cash + notional)
    legs = Legs(cash=notional - commission, shares=-notional, commission=commission)
    return Entry(Kind.FILL, on, legs, -quantity, price, anchor=price, anchor_on=on)


def split(balance: Balance, new: Decimal, old: Decimal, on: date) -> Entry:
    """`new` shares for `old` ones: q · new/old, anchor and average cost · old/new.

    Raises InvalidInput for a ratio that leaves no anchor.
    """
    quantity = divided(SHARES, EXACT.multiply(balance.quantity, new), old)
    return Entry(
        Kind.SPLIT,
        on,
        quantity=quantity - balance.quantity,
        anchor=None if balance.anchor is None else price_after_split(balance.anchor, new, old),
        anchor_on=balance.anchor_on,
        new_shares=new,
        old_shares=old,
    )


def price_after_split(price: Decimal, new: Decimal, old: Decimal) -> Decimal:
    """A price per share in the shares after the split; raises InvalidInput if it becomes 0."""
    after = divided(PRICE, EXACT.multiply(price, old), new)
    if after == 0:
        raise InvalidInput("ratio", f"{new} for {old} leaves a price of 0", "check the ratio")
    return after


def anchor(price: Decimal, on: date) -> Entry:
    """The anchor set by hand, or by the first price seen."""
    return Entry(Kind.ANCHOR, on, anchor=price, anchor_on=on)


def adjustment(
    balance: Balance, quantity: Decimal, cash: Decimal, price: Decimal | None, on: date
) -> Entry:
    """Shares and cash corrected to what the broker shows; never profit. Deltas, may be < 0.

    price: the cost of the shares, needed where quantity is not 0. Raises InsufficientCash,
    InsufficientShares, InvalidInput.
    """
    if balance.cash + cash < 0:
        raise InsufficientCash(-cash, balance.cash)
    if balance.quantity + quantity < 0:
        raise InsufficientShares(-quantity, balance.quantity)
    if quantity == NO_SHARES:
        return Entry(Kind.ADJUSTMENT, on, Legs(cash=cash, external=-cash))
    if price is None:
        raise InvalidInput("price", "shares cannot be valued without one", "give a price > 0")
    worth = product(MONEY, quantity, price)
    legs = Legs(cash=cash, shares=worth, external=-cash - worth)
    return Entry(Kind.ADJUSTMENT, on, legs, quantity, price)

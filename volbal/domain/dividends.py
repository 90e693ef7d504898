"""Dividends: announced, accrued once on the ex-date, paid once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from volbal.domain.ledger import Balance, Entry, Kind, Legs
from volbal.domain.money import EXACT, MONEY, PRICE, divided, multiplied, round_to
from volbal.errors import InvalidInput

ONE: Final = Decimal(1)


class DividendState(StrEnum):
    """How far a dividend has come."""

    ANNOUNCED = "announced"
    ACCRUED = "accrued"
    PAID = "paid"


class DividendNotAccrued(InvalidInput):
    """Nothing can be paid before the ex-date has been worked off."""

    def __init__(self, ex_on: date) -> None:
        super().__init__(
            "dividend",
            f"it goes ex on {ex_on} and nothing is owed yet",
            "evaluate the position on or after that day first",
        )


@dataclass(frozen=True, slots=True)
class Dividend:
    """A dividend of one position. per_share: gross, account currency.

    pay_on None: paid when the user says so. net: what was accrued, None before the ex-date.
    """

    dividend_id: int
    position_id: int
    ex_on: date
    pay_on: date | None
    per_share: Decimal
    state: DividendState
    net: Decimal | None = None

    def accrues_by(self, day: date) -> bool:
        return self.state is DividendState.ANNOUNCED and self.ex_on <= day

    def pays_by(self, day: date) -> bool:
        is_due = self.pay_on is not None and self.pay_on <= day
        return self.state is DividendState.ACCRUED and is_due


def payments_due(dividends: Sequence[Dividend], day: date) -> list[Dividend]:
    """Accrued dividends whose pay date has come, oldest ex-date first."""
    return sorted((one for one in dividends if one.pays_by(day)), key=_by_ex_date)


def accruals_due(dividends: Sequence[Dividend], day: date) -> list[Dividend]:
    """Announced dividends whose ex-date has come, oldest first."""
    return sorted((one for one in dividends if one.accrues_by(day)), key=_by_ex_date)


def accrual(
    balance: Balance,
    dividend: Dividend,
    held: Decimal,
    withholding_rate: float,
    *,
    price: Decimal | None,
    on: date,
    splits: Decimal = ONE,
) -> Entry:
    """What `held` shares of the close before the ex-date will be paid.

    The anchor follows the price over the gap if it was set before the ex-date; one that would
    vanish restarts at `price`. price None: no price is known; such an anchor stays. splits: new
    shares per share of that close, where a split is in the balance already.
    """
    gross = multiplied(MONEY, held, dividend.per_share)
    withheld = round_to(MONEY, EXACT.multiply(gross, Decimal(repr(withholding_rate))))
    anchor, anchor_on = _anchor_after(balance, dividend, price, on, splits)
    return Entry(
        Kind.DIVIDEND_ACCRUAL,
        on,
        Legs(receivable=gross - withheld, withholding=withheld, income=-gross),
        price=dividend.per_share,
        anchor=anchor,
        anchor_on=anchor_on,
    )


def payment(dividend: Dividend, on: date) -> Entry:
    """The receivable becomes cash; raises DividendNotAccrued."""
    if dividend.net is None:
        raise DividendNotAccrued(dividend.ex_on)
    return Entry(
        Kind.DIVIDEND_PAYMENT,
        on,
        Legs(cash=dividend.net, receivable=-dividend.net),
        price=dividend.per_share,
    )


def _anchor_after(
    balance: Balance, dividend: Dividend, price: Decimal | None, on: date, splits: Decimal
) -> tuple[Decimal | None, date | None]:
    if balance.anchor is None or balance.anchor_on is None or balance.anchor_on >= dividend.ex_on:
        return None, None
    lowered = balance.anchor - divided(PRICE, dividend.per_share, splits)
    if lowered > 0:
        return lowered, balance.anchor_on
    return price, None if price is None else on


def _by_ex_date(dividend: Dividend) -> date:
    return dividend.ex_on

"""Exact units of the ledger: money to 6 decimals, quantities, prices and anchors to 12.

Input is never rounded: more decimals than its unit holds are refused. What the ledger itself
computes (a notional, a commission, a net dividend) is rounded here, in `round_to`, and nowhere
else: half away from zero, as DuckDB rounds.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, InvalidOperation
from typing import Final

from volbal.errors import InvalidInput

Number = Decimal | int | float | str
"""What a caller may pass; a float means the decimal number that Python prints for it."""

EXACT: Final = Context(prec=60)
"""Wide enough for the product of any two ledger numbers; digits are dropped in `round_to` only."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A fixed number of decimals and of digits before them, as the database column holds."""

    name: str
    digits: int
    decimals: int

    @property
    def step(self) -> Decimal:
        """The smallest amount."""
        return Decimal(1).scaleb(-self.decimals)

    @property
    def limit(self) -> Decimal:
        """Amounts are smaller than this."""
        return Decimal(1).scaleb(self.digits - self.decimals)


MONEY: Final = Unit("money", 18, 6)
SHARES: Final = Unit("shares", 28, 12)
PRICE: Final = Unit("a price", 28, 12)

ZERO: Final = Decimal(0)
NO_MONEY: Final = ZERO.quantize(MONEY.step)
NO_SHARES: Final = ZERO.quantize(SHARES.step)


def round_to(unit: Unit, value: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """`value` in `unit`; raises InvalidInput where the ledger has no room for it."""
    if not abs(value) < unit.limit:
        raise InvalidInput(
            "amount",
            f"{value:.6g} is more than the ledger holds",
            f"allowed: below {unit.limit:,f}",
        )
    return value.quantize(unit.step, rounding=rounding, context=EXACT)


def multiplied(unit: Unit, left: Decimal, right: Decimal) -> Decimal:
    """left · right, exact, then in `unit`."""
    return round_to(unit, EXACT.multiply(left, right))


def divided(unit: Unit, dividend: Decimal, divisor: Decimal) -> Decimal:
    """dividend / divisor to 60 digits, then in `unit`."""
    return round_to(unit, EXACT.divide(dividend, divisor))


def divided_up(unit: Unit, dividend: Decimal, divisor: Decimal) -> Decimal:
    """The smallest amount of `unit` that is at least dividend / divisor."""
    return round_to(unit, EXACT.divide(dividend, divisor), ROUND_UP)


def from_float(unit: Unit, value: float) -> Decimal:
    """A number of the rule as the ledger writes it: nearest step of `unit`."""
    return round_to(unit, Decimal(repr(value)))


def whole_lots(quantity: Decimal, lot: Decimal, rounding: str = ROUND_DOWN) -> Decimal:
    """The largest multiple of `lot` (> 0) that is at most `quantity` (>= 0)."""
    lots = EXACT.divide(quantity, lot).to_integral_value(rounding)
    return round_to(SHARES, EXACT.multiply(lots, lot))


def positive(field: str, value: Number, unit: Unit) -> Decimal:
    """Input > 0 in `unit`; raises InvalidInput naming `field`."""
    number = parsed(field, value, unit)
    if number <= 0:
        raise InvalidInput(
            field, f"{plain(number)} is not above 0", f"allowed: above 0, {_range(unit)}"
        )
    return number


def not_negative(field: str, value: Number, unit: Unit) -> Decimal:
    """Input >= 0 in `unit`; raises InvalidInput naming `field`."""
    number = parsed(field, value, unit)
    if number < 0:
        raise InvalidInput(
            field, f"{plain(number)} is below 0", f"allowed: 0 or more, {_range(unit)}"
        )
    return number


def parsed(field: str, value: Number, unit: Unit) -> Decimal:
    """Input in `unit`, exactly as given; raises InvalidInput naming `field`.

    Refused: what is no finite number, has more decimals than the unit, or is too large for it.
    """
    allowed = f"allowed: a number, {_range(unit)}"
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float | str):
        raise InvalidInput(field, "not a number", allowed)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation as error:
        raise InvalidInput(field, "not a number", allowed) from error
    if not number.is_finite():
        raise InvalidInput(field, "not a finite number", allowed)
    if abs(number) >= unit.limit:
        raise InvalidInput(field, f"{number:.6g} is too large", allowed)
    exact = number.quantize(unit.step, rounding=ROUND_DOWN, context=EXACT)
    if exact != number:
        raise InvalidInput(field, f"{number} has too many decimals", allowed)
    return exact + 0  # -0 becomes 0


def plain(value: Decimal) -> str:
    """The shortest text of a number: 1.50 and 1.5 are one number and give one text."""
    text = f"{value.normalize(EXACT) + 0:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _range(unit: Unit) -> str:
    return f"at most {unit.decimals} decimals, below {unit.limit:,f}"

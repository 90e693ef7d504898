"""Numbers as text in the sentences that decisions, events and refusals write about themselves."""

from decimal import ROUND_HALF_UP, Decimal, localcontext

MINUS = "−"
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"

SMALL = 1e-6

Number = float | Decimal


def percent(ratio: Number, decimals: int = 2) -> str:
    """0.03 as "3.00 %"."""
    return f"{_signed(ratio * 100, f',.{decimals}f')}{THIN_SPACE}%"


def as_fraction(typed: float) -> str:
    """What to type for a number that was meant in percent: "fractions: 50 % is 0.5"."""
    return f"fractions: {typed:g} % is {typed / 100:g}"


def percent_change(ratio: Number, decimals: int = 2) -> str:
    """0.03 as "+3.00 %"."""
    sign = "+" if ratio > 0 else ""
    return sign + percent(ratio, decimals)


def money(amount: Number) -> str:
    """Account currency with cents: "10,000.00"."""
    return _signed(amount, ",.2f")


def price(amount: Number) -> str:
    """A price per share: cents, and further decimals only where there are any.

    Up to 6 of them, and up to 12 of one that 6 would show as 0.
    """
    return _at_least(amount, 2, 6 if abs(float(amount)) >= SMALL else 12)


def shares(quantity: Number) -> str:
    """A quantity: up to 6 decimals, none for whole shares."""
    return _at_least(quantity, 0, 6)


def duration(seconds: float) -> str:
    """How old something is, in its largest unit: "45 s", "12 min", "3 h", "2 days"."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {'day' if name == 'days' and count == 1 else name}"
    return f"{int(max(seconds, 0))} s"


def _at_least(value: Number, fewest: int, most: int) -> str:
    whole, _, fraction = _signed(value, f",.{most}f").partition(".")
    kept = fraction.rstrip("0").ljust(fewest, "0")
    return f"{whole}.{kept}" if kept else whole


def _signed(value: Number, spec: str) -> str:
    """Halves away from zero, a real minus sign, and none for what rounds to zero."""
    with localcontext(rounding=ROUND_HALF_UP):
        text = format(value, spec)
    if not text.startswith("-"):
        return text
    return MINUS + text[1:] if text.strip("-0.,") else text[1:]

"""Numbers as text in the sentences that decisions, events and refusals write about themselves."""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

DAY = 86_400
MINUS = "−"
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"

SMALL = 1e-6
LONG = 1e18
"""More than the ledger holds: a mistyped number, told by its power of ten."""

Number = float | Decimal


def percent(ratio: Number, decimals: int = 2) -> str:
    """0.03 as "3.00 %"."""
    return f"{_signed(ratio * 100, f',.{decimals}f')}{THIN_SPACE}%"


def short_percent(ratio: float) -> str:
    """0.03 as "3 %", as short as it stays exact."""
    return f"{ratio * 100:.10g}{THIN_SPACE}%"


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


def share_count(quantity: Number) -> str:
    """A quantity and what it counts: "2.5 shares", "1 share" where it reads as 1."""
    text = shares(quantity)
    return f"{text} {'share' if text.removeprefix(MINUS) == '1' else 'shares'}"


def counted(count: int, thing: str) -> str:
    """How many of what takes an s in the plural: "1 bar", "1,200 bars"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """How old something is, in its largest unit: "45 s", "12 min", "3 h", "2 days", "1,165 days".

    Elapsed time, whatever midnights lie within; days to the nearest, smaller units complete ones.
    """
    if seconds >= DAY:
        days = int(seconds / DAY + 0.5)
        return counted(days, "day")
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return f"{int(max(seconds, 0))} s"


def age(made_at: datetime, now: datetime) -> str:
    """How old what was made at `made_at` is `now`, both aware."""
    return duration((now - made_at).total_seconds())


def few(items: Sequence[str], rest: str = "more", most: int = 5) -> list[str]:
    """The first `most` of `items`, then how many there are beyond: "and 3 more"."""
    beyond = len(items) - most
    return [*items[:most], *([f"and {beyond:,} {rest}"] if beyond > 0 else [])]


def listed(words: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _at_least(value: Number, fewest: int, most: int) -> str:
    if abs(float(value)) >= LONG:
        return _signed(value, ".6g")
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

"""A price that the rule is asked about: where it comes from, when it was made, whether to trust it.

Days are exchange-local dates and the regular session is that of the New York exchanges.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from volbal.domain.money import EXACT, PRICE, Number, positive
from volbal.errors import InvalidInput

EXCHANGE: Final = ZoneInfo("America/New_York")
SESSION_OPENS: Final = time(9, 30)
SESSION_CLOSES: Final = time(16, 0)
SATURDAY: Final = 5

LARGEST_JUMP: Final = Decimal("0.5")
"""A price further than this from the last one is a doubtful print until somebody confirms it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One price per share > 0.

    made_at: when it was made; None for a price typed without a time, which counts as made in
    session and now. confirmed: a person vouches for it. validated: a bar of a checked series.
    """

    price: Decimal
    source: str = "typed"
    made_at: datetime | None = None
    confirmed: bool = False
    validated: bool = False

    def day(self, now: datetime) -> date:
        """The exchange-local date it belongs to; a clock ahead of ours does not bring tomorrow."""
        return exchange_date(min(self.made_at or now, now))

    def age(self, now: datetime) -> float:
        """Seconds since it was made, never below 0."""
        return max((now - (self.made_at or now)).total_seconds(), 0.0)

    @property
    def is_in_session(self) -> bool:
        """Made during a regular session, its close included."""
        if self.made_at is None:
            return True
        local = self.made_at.astimezone(EXCHANGE)
        is_open = SESSION_OPENS <= local.time().replace(tzinfo=None) <= SESSION_CLOSES
        return is_open and local.weekday() < SATURDAY

    def is_suspect(self, reference: Decimal | None) -> bool:
        """More than 50 % from `reference`, and nobody vouches for it."""
        if reference is None or self.confirmed or self.validated:
            return False
        return abs(self.price - reference) > EXACT.multiply(reference, LARGEST_JUMP)


def quote(
    price: Number,
    source: str = "typed",
    made_at: datetime | None = None,
    *,
    confirmed: bool = False,
    validated: bool = False,
) -> Quote:
    """A validated quote; raises InvalidInput."""
    if made_at is not None and made_at.tzinfo is None:
        raise InvalidInput("made_at", f"{made_at} has no time zone", "give one, such as +00:00")
    return Quote(positive("price", price, PRICE), source, made_at, confirmed, validated)


def exchange_date(moment: datetime) -> date:
    """The exchange-local date of an aware moment."""
    return moment.astimezone(EXCHANGE).date()

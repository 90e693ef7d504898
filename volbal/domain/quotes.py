"""A price that the rule is asked about: where it comes from, when it was made, its trust."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from volbal.domain.money import EXACT, PRICE, positive
from volbal.errors import InvalidInput

LARGEST_JUMP: Final = Decimal("0.5")
"""A price further than this from the last one is a doubtful print until somebody confirms it."""


def require_aware(field: str, moment: datetime) -> None:
    """Raises InvalidInput for a moment that could mean any place's time."""
    if moment.tzinfo is None:
        raise InvalidInput(field, f"{moment} has no time zone", "give one, such as +00:00")


@dataclass(frozen=True, slots=True)
class Quote:
    """One price per share > 0, at most 12 decimals. Raises InvalidInput.

    made_at: when it was made; None for a price typed without a time, which counts as made in
    session and now. confirmed: a person vouches for it. validated: a bar of a checked series.
    """

    price: Decimal
    source: str = "typed"
    made_at: datetime | None = None
    in_session: bool = True
    confirmed: bool = False
    validated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "price", positive("price", self.price, PRICE))
        if self.made_at is not None:
            require_aware("made_at", self.made_at)

    def seen_at(self, asked_at: datetime) -> datetime:
        """When it was made, as far as it can be known: a clock ahead of ours counts as ours."""
        return min(self.made_at or asked_at, asked_at)

    def is_suspect(self, reference: Decimal | None) -> bool:
        """More than 50 % from `reference`, and nobody vouches for it."""
        if reference is None or self.confirmed or self.validated:
            return False
        return abs(self.price - reference) > EXACT.multiply(reference, LARGEST_JUMP)

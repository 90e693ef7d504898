"""What looks odd in prices that can be used: said, never mended."""

from dataclasses import dataclass
from datetime import date

from volbal.market.model import PriceHistory


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd about one date. sentence: what, with its date and values."""

    on: date
    sentence: str


def findings(history: PriceHistory) -> list[Finding]:
    """Everything odd about a validated history, by date."""
    return []

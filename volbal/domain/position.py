"""A position: a cell of shares and its own cash with an anchor price."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from volbal.domain.configuration import Configuration
from volbal.domain.ledger import Balance
from volbal.errors import InvalidInput, VolbalError


class PositionNotFound(VolbalError):
    """No position has this number."""

    code = "position_not_found"

    def __init__(self, position_id: int) -> None:
        super().__init__(f"There is no position {position_id}; list the positions to see them.")


class PositionClosed(InvalidInput):
    """The position is archived."""

    def __init__(self, position_id: int) -> None:
        super().__init__("position", f"{position_id} is closed", "reopen it first")


@dataclass(frozen=True, slots=True)
class Position:
    """What is stored of a position.

    last_price, last_price_at: the last accepted price and when it was made, None before one.
    """

    position_id: int
    ticker: str
    opened_at: datetime
    balance: Balance
    configuration: Configuration
    last_price: Decimal | None = None
    last_price_at: datetime | None = None

    @property
    def reference_price(self) -> Decimal | None:
        """What a new price is compared with: the last accepted one, else the anchor."""
        return self.last_price if self.last_price is not None else self.balance.anchor

"""When the New York exchanges trade: the date of a moment, and whether it is in session."""

from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from volbal.domain.money import PRICE, Number, positive
from volbal.domain.quotes import Quote, require_aware

EXCHANGE: Final = ZoneInfo("America/New_York")
SESSION_OPENS: Final = time(9, 30)
SESSION_CLOSES: Final = time(16, 0)
SATURDAY: Final = 5


def exchange_date(moment: datetime) -> date:
    """The exchange-local date of an aware moment; raises InvalidInput for a naive one."""
    require_aware("now", moment)
    return moment.astimezone(EXCHANGE).date()


def is_in_session(moment: datetime) -> bool:
    """Within regular hours of a weekday, the close included. Holidays are not known here."""
    local = moment.astimezone(EXCHANGE)
    is_open = SESSION_OPENS <= local.time() <= SESSION_CLOSES
    return is_open and local.weekday() < SATURDAY


def quote(
    price: Number,
    source: str = "typed",
    made_at: datetime | None = None,
    *,
    confirmed: bool = False,
    validated: bool = False,
) -> Quote:
    """A validated quote; raises InvalidInput."""
    return Quote(
        positive("price", price, PRICE),
        source,
        made_at,
        in_session=made_at is None or is_in_session(made_at),
        confirmed=confirmed,
        validated=validated,
    )

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from volbal.domain.quotes import Quote
from volbal.errors import InvalidInput
from volbal.market.sessions import exchange_date, quote


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-01-05T14:29:59+00:00", False),  # 09:29:59 in New York
        ("2026-01-05T14:30:00+00:00", True),
        ("2026-01-05T21:00:00+00:00", True),  # the close itself
        ("2026-01-05T21:00:01+00:00", False),
        ("2026-07-06T20:00:00+00:00", True),  # summer time: 16:00
        ("2026-01-03T15:00:00+00:00", False),  # a Saturday
    ],
)
def test_a_session_is_half_past_nine_to_four_in_new_york(moment: str, inside: bool) -> None:
    assert quote(100, made_at=datetime.fromisoformat(moment)).in_session is inside


def test_a_price_typed_without_a_time_counts_as_in_session() -> None:
    assert quote(100).in_session


@pytest.mark.parametrize(
    ("price", "suspect"), [("150", False), ("150.01", True), ("50", False), ("49.99", True)]
)
def test_a_price_is_suspect_beyond_half_of_the_last_one(price: str, suspect: bool) -> None:
    assert quote(price).is_suspect(Decimal(100)) is suspect
    assert not quote(price, confirmed=True).is_suspect(Decimal(100))
    assert not quote(price, validated=True).is_suspect(Decimal(100))


def test_the_day_is_the_one_in_new_york() -> None:
    assert str(exchange_date(datetime(2026, 1, 6, 3, tzinfo=UTC))) == "2026-01-05"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="made_at"):
        quote(100, made_at=datetime(2026, 1, 5))


def test_a_price_stamped_tomorrow_counts_as_seen_now() -> None:
    now = datetime(2026, 1, 5, 15, tzinfo=UTC)
    ahead = quote(100, made_at=datetime(2026, 1, 7, 15, tzinfo=UTC))
    assert ahead.seen_at(now) == now


@pytest.mark.parametrize("price", ["0", "-5", "NaN", "Infinity", "1e20", "10.0000000000001"])
def test_a_quote_needs_a_price_above_zero_that_the_ledger_can_hold(price: str) -> None:
    with pytest.raises(InvalidInput, match=r"^price: "):
        Quote(Decimal(price))


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        exchange_date(datetime(2026, 3, 2, 15))
    with pytest.raises(InvalidInput, match="time zone"):
        Quote(Decimal(100), made_at=datetime(2026, 3, 2, 15))

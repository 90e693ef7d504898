import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from volbal.domain.quotes import Quote
from volbal.errors import InvalidInput
from volbal.market.bundled import BundledPrices
from volbal.market.sessions import (
    BeyondCalendar,
    Calendar,
    calendar_of,
    exchange_date,
    is_in_session,
    quote,
)


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


def new_york() -> Calendar:
    calendar = calendar_of("NMS")
    assert calendar is not None
    return calendar


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-26T15:00:00+00:00", False),  # Thanksgiving
        ("2026-11-27T18:00:00+00:00", True),  # the day after closes at 13:00 in New York
        ("2026-11-27T18:00:01+00:00", False),
        ("2026-04-03T15:00:00+00:00", False),  # Good Friday
        ("2001-09-12T15:00:00+00:00", False),
        ("2026-07-03T15:00:00+00:00", False),  # Independence Day, which is a Saturday, observed
        ("2025-12-24T18:30:00+00:00", False),  # Christmas Eve closed at 13:00
    ],
)
def test_holidays_and_early_closes_are_known(moment: str, inside: bool) -> None:
    assert quote(100, made_at=datetime.fromisoformat(moment)).in_session is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("1950-01-03T15:00:00+00:00", True),  # a Tuesday, 10:00 in New York
        ("1950-01-03T14:29:00+00:00", False),
        ("2999-01-01T15:00:00+00:00", True),  # a Tuesday: its holiday is not known
        ("2999-01-05T15:00:00+00:00", False),  # a Saturday
    ],
)
def test_where_no_calendar_reaches_regular_hours_of_weekdays_count(
    moment: str, inside: bool
) -> None:
    assert is_in_session(datetime.fromisoformat(moment)) is inside


def test_the_sessions_are_those_of_the_bundled_prices() -> None:
    days = BundledPrices().history("AAPL").bars.index.date
    assert new_york().sessions(days[0], days[-1]) == tuple(days)


def test_a_missing_session_is_named_and_a_holiday_is_not() -> None:
    there = [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 27)]
    missing = new_york().missing(there, date(2026, 11, 21), date(2026, 11, 29))
    assert missing == (date(2026, 11, 25),)  # 26 is Thanksgiving, 28 and 29 a weekend


def test_missing_sessions_are_told_only_where_the_calendar_reaches() -> None:
    found = new_york().missing([], date(1900, 1, 1), date(1971, 1, 5))
    assert found == (date(1971, 1, 4), date(1971, 1, 5))


def test_the_next_session_jumps_over_a_long_weekend() -> None:
    assert new_york().next_session(date(2026, 4, 2)) == date(2026, 4, 6)
    assert new_york().next_session(date(2026, 4, 4)) == date(2026, 4, 6)


def test_a_session_has_its_hours_and_a_holiday_has_none() -> None:
    opens, closes = new_york().hours(date(2026, 11, 27))
    assert (opens.isoformat(), closes.isoformat()) == (
        "2026-11-27T09:30:00-05:00",
        "2026-11-27T13:00:00-05:00",
    )
    assert new_york().closes_early(date(2026, 11, 27))
    assert not new_york().closes_early(date(2026, 11, 25))
    with pytest.raises(InvalidInput, match="XNYS has no session on 2026-11-26"):
        new_york().hours(date(2026, 11, 26))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-30T20:59:59+00:00", "2026-11-27"),  # Monday, a second before the close
        ("2026-11-30T21:00:00+00:00", "2026-11-30"),
        ("2026-11-29T12:00:00+00:00", "2026-11-27"),  # Sunday
    ],
)
def test_the_last_finished_session_is_the_newest_that_has_closed(moment: str, day: str) -> None:
    assert str(new_york().last_finished(datetime.fromisoformat(moment))) == day


@pytest.mark.parametrize("day", [date(1970, 12, 31), date(2999, 1, 2)])
def test_a_date_beyond_the_calendar_is_refused_with_its_range(day: date) -> None:
    for ask in (new_york().is_session, new_york().next_session, new_york().closes_early):
        with pytest.raises(BeyondCalendar, match=r"XNYS are not known.*from 1971-01-04 to 20"):
            ask(day)
    with pytest.raises(BeyondCalendar):
        new_york().is_open(datetime(day.year, day.month, day.day, 15, tzinfo=UTC))
    with pytest.raises(BeyondCalendar):
        new_york().next_session(new_york().last)


@pytest.mark.parametrize("exchange", ["CCC", "CCY", "ATH", "XNYS", ""])
def test_an_exchange_that_is_not_known_is_not_guessed(exchange: str) -> None:
    assert calendar_of(exchange) is None


@pytest.mark.parametrize(
    ("exchange", "moment", "is_open"),
    [
        ("LSE", "2026-08-31T10:00:00+00:00", False),  # a bank holiday in England only
        ("LSE", "2026-09-01T15:30:00+00:00", True),  # 16:30 in London
        ("GER", "2026-09-01T15:31:00+00:00", False),  # 17:31 in Frankfurt
        ("HKG", "2026-09-01T04:30:00+00:00", False),  # 12:30: the midday break
        ("HKG", "2026-09-01T05:00:00+00:00", True),
    ],
)
def test_exchanges_abroad_have_their_own_hours(exchange: str, moment: str, is_open: bool) -> None:
    calendar = calendar_of(exchange)
    assert calendar is not None
    assert calendar.is_open(datetime.fromisoformat(moment)) is is_open


def test_the_calendar_costs_nothing_until_it_is_asked() -> None:
    code = (
        "import sys; import volbal.market.sessions as s; s.quote(1);"
        "assert not {'exchange_calendars', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""When exchanges trade: sessions, holidays, early closes, and the date of a moment in New York.

The days come from exchange-calendars, which is imported when a calendar is first asked for.
"""

import threading
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from volbal.domain.money import PRICE, Number, positive
from volbal.domain.quotes import Quote, require_aware
from volbal.errors import InvalidInput

EXCHANGE: Final = ZoneInfo("America/New_York")
NEW_YORK: Final = "NYQ"
SESSION_OPENS: Final = time(9, 30)
SESSION_CLOSES: Final = time(16, 0)
SATURDAY: Final = 5

FIRST_KNOWN: Final[Mapping[str, str]] = {"XNYS": "1971-01-01"}
"""Where a calendar begins. The library lacks holidays of New York before that; what is not listed
here begins 20 years ago."""

CALENDARS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS", "OEM"), "XNYS"),
    **dict.fromkeys(("OQB", "OQX", "PNK", "SNP", "DJI", "NIM"), "XNYS"),
    **dict.fromkeys(("TOR", "VAN"), "XTSE"),
    "MEX": "XMEX",
    "SAO": "BVMF",
    "LSE": "XLON",
    "ISE": "XDUB",
    "GER": "XETR",
    "FRA": "XFRA",
    "PAR": "XPAR",
    "AMS": "XAMS",
    "BRU": "XBRU",
    "LIS": "XLIS",
    "MIL": "XMIL",
    "MCE": "XMAD",
    "EBS": "XSWX",
    "VIE": "XWBO",
    "STO": "XSTO",
    "CPH": "XCSE",
    "HEL": "XHEL",
    "OSL": "XOSL",
    "WSE": "XWAR",
    "JNB": "XJSE",
    "JPX": "XTKS",
    "HKG": "XHKG",
    **dict.fromkeys(("SHH", "SHZ"), "XSHG"),
    **dict.fromkeys(("KSC", "KOE"), "XKRX"),
    "TAI": "XTAI",
    "SES": "XSES",
    **dict.fromkeys(("BSE", "NSI"), "XBOM"),
    "ASX": "XASX",
    "NZE": "XNZE",
}
"""Yahoo's code of an exchange to the market identifier code of its calendar. Exchanges that never
close, and those whose calendar the library cannot build with pandas 3 (Athens, Tel Aviv), are not
here: nothing is known of their sessions."""


class BeyondCalendar(InvalidInput):
    """A date for which nobody can say yet, or any more, whether the exchange trades."""

    def __init__(self, calendar: "Calendar", day: date) -> None:
        super().__init__(
            "date",
            f"the sessions of {calendar.code} are not known on {day}",
            f"use a date from {calendar.first} to {calendar.last}",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """The sessions of one exchange, `first` and `last` of them included.

    code: market identifier code. days: dates in the exchange's zone, rising. opens, closes: Unix
    times of each. pauses: Unix times of the midday break of a session that has one, by position.
    early: sessions that close before their usual time.
    Whatever asks about a date outside `first` to `last` raises BeyondCalendar, unless it says
    otherwise; a moment without a time zone is refused with InvalidInput.
    """

    code: str
    zone: ZoneInfo
    days: tuple[date, ...]
    opens: tuple[int, ...]
    closes: tuple[int, ...]
    pauses: Mapping[int, tuple[int, int]]
    early: frozenset[date]

    @property
    def first(self) -> date:
        return self.days[0]

    @property
    def last(self) -> date:
        return self.days[-1]

    def knows(self, day: date) -> bool:
        return self.first <= day <= self.last

    def is_session(self, day: date) -> bool:
        self._require(day)
        return self.days[bisect_left(self.days, day)] == day

    def is_open(self, moment: datetime) -> bool:
        """Within a session, its open and its close included, its midday break not."""
        self._require(self.date_of(moment))
        at = moment.timestamp()
        position = bisect_right(self.opens, at) - 1
        if position < 0 or at > self.closes[position]:
            return False
        start, end = self.pauses.get(position, (at, at))
        return not start < at < end

    def date_of(self, moment: datetime) -> date:
        """The exchange-local date, session or not; known or not."""
        require_aware("now", moment)
        return moment.astimezone(self.zone).date()

    def closes_early(self, day: date) -> bool:
        """Whether `day` is a session that is shorter than others."""
        self._require(day)
        return day in self.early

    def hours(self, day: date) -> tuple[datetime, datetime]:
        """Open and close of the session `day`, exchange-local; InvalidInput where it is none."""
        if not self.is_session(day):
            raise InvalidInput("date", f"{self.code} has no session on {day}", "choose a session")
        position = bisect_left(self.days, day)
        return self._moment(self.opens[position]), self._moment(self.closes[position])

    def next_session(self, day: date) -> date:
        """The first session after `day`."""
        self._require(day)
        if day == self.last:
            raise BeyondCalendar(self, day)
        return self.days[bisect_right(self.days, day)]

    def last_finished(self, moment: datetime) -> date:
        """The newest session that had closed at `moment`."""
        self._require(self.date_of(moment))
        position = bisect_right(self.closes, moment.timestamp()) - 1
        if position < 0:
            raise BeyondCalendar(self, self.date_of(moment))
        return self.days[position]

    def sessions(self, start: date, end: date) -> tuple[date, ...]:
        """The known sessions from `start` to `end`, both included; dates may lie outside."""
        return self.days[bisect_left(self.days, start) : bisect_right(self.days, end)]

    def missing(self, days: Iterable[date], start: date, end: date) -> tuple[date, ...]:
        """The known sessions from `start` to `end`, both included, that are not among `days`."""
        there = set(days)
        return tuple(day for day in self.sessions(start, end) if day not in there)

    def _require(self, day: date) -> None:
        if not self.knows(day):
            raise BeyondCalendar(self, day)

    def _moment(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self.zone)


_loading = threading.Lock()
_loaded: dict[str, Calendar] = {}


def calendar_of(exchange: str = NEW_YORK) -> Calendar | None:
    """The calendar of an exchange by Yahoo's code, such as "NMS"; None where none is known.

    The first call of a process takes about a tenth of a second.
    """
    code = CALENDARS.get(exchange)
    if code is None:
        return None
    with _loading:
        if code not in _loaded:
            _loaded[code] = _load(code)
        return _loaded[code]


def _load(code: str) -> Calendar:
    import exchange_calendars

    with warnings.catch_warnings():  # what pandas 3.1 says of its future to that library
        warnings.simplefilter("ignore", DeprecationWarning)
        source = exchange_calendars.get_calendar(code, start=FIRST_KNOWN.get(code))
    starts, ends = _seconds(source.break_starts_nanos), _seconds(source.break_ends_nanos)
    return Calendar(
        code=code,
        zone=ZoneInfo(str(source.tz)),
        days=tuple(source.sessions.date),
        opens=_seconds(source.opens_nanos),
        closes=_seconds(source.closes_nanos),
        pauses={
            position: (start, end)
            for position, (start, end) in enumerate(zip(starts, ends, strict=True))
            if start > 0  # sessions without a break have the least integer there
        },
        early=frozenset(source.early_closes.date),
    )


def _seconds(nanoseconds: "Iterable[int]") -> tuple[int, ...]:
    return tuple(int(moment) // 1_000_000_000 for moment in nanoseconds)


def exchange_date(moment: datetime) -> date:
    """The date in New York of an aware moment; raises InvalidInput for a naive one."""
    require_aware("now", moment)
    return moment.astimezone(EXCHANGE).date()


def close_of(day: date, calendar: Calendar | None) -> datetime:
    """When the session `day` closed; as usual in New York where its hours are not known."""
    if calendar is not None and calendar.knows(day) and calendar.is_session(day):
        return calendar.hours(day)[1]
    return datetime.combine(day, SESSION_CLOSES, EXCHANGE)


def is_in_session(moment: datetime) -> bool:
    """Within a session of the New York exchanges, the close included.

    Where their calendar is not known, regular hours of any weekday count.
    """
    require_aware("made_at", moment)
    calendar = calendar_of()
    if calendar is not None and calendar.knows(calendar.date_of(moment)):
        return calendar.is_open(moment)
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

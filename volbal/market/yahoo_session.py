"""One conversation with Yahoo at a time: yfinance on a leash.

Importing this takes a while (yfinance, curl), so it happens at the first request of a process.
"""

import json
import logging
import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import yfinance
from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import ConnectionError as Unreachable
from curl_cffi.requests.exceptions import HTTPError, RequestException, Timeout
from pandas.errors import Pandas4Warning
from yfinance.data import YfData
from yfinance.exceptions import (
    YFException,
    YFPricesMissingError,
    YFRateLimitError,
    YFTzMissingError,
)

from volbal.errors import PriceUnavailable
from volbal.market.yahoo import (
    Offline,
    RangeUnavailable,
    RateLimited,
    UnknownSymbol,
    UpstreamBroken,
    YahooSettings,
)

DATA_HOSTS = ("query1.finance.yahoo.com", "query2.finance.yahoo.com")
CHART = "https://query2.finance.yahoo.com/v8/finance/chart/"
SUMMARY = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/"
COOKIE = "https://fc.yahoo.com"

UNREACHABLE = "Yahoo cannot be reached from here; check the connection and try again."

SIDE_TIMEOUT = 2.0
"""Seconds for the hosts that hand out cookies: charts come without them too."""

FIRST_WAIT, LONGEST_WAIT = 60, 3600
"""Seconds without a request after Yahoo refused one; they double while it goes on refusing."""

NONSENSE = (YFException, LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What yfinance raises over an answer that is not what it expects."""

Answer = Mapping[str, Any]

yfinance.config.debug.hide_exceptions = False
logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # what it would log, our errors say
# A folder that cannot be made: yfinance then keeps its sqlite files nowhere. They would hold a
# connection open per thread, for time zones and a cookie that are remembered here as well.
yfinance.set_tz_cache_location(str(Path(__file__) / "no-cache"))

_turn = threading.Lock()


class Conversation:
    """What is asked of Yahoo with one setting; all conversations of a process take turns.

    yfinance has one session, one crumb and one cache of answers a process: each turn takes them
    over, and forgets the cache, which would give a bad or outdated answer again and again.
    Methods raise Offline, RateLimited, UnknownSymbol, RangeUnavailable, UpstreamBroken.
    """

    _speaking: "ClassVar[YahooSession | None]" = None

    def __init__(self, settings: YahooSettings, clock: Callable[[], datetime]) -> None:
        self._session = YahooSession(settings)
        self._clock = clock
        self._tickers: dict[str, Any] = {}
        self._refused_at: datetime | None = None
        self._wait = 0

    def bars(
        self, symbol: str, interval: str, windows: Sequence[tuple[date, date | None]]
    ) -> tuple[pd.DataFrame, Answer]:
        """Rows of the windows (start included, end not; None is now), and the last one's metadata.

        Columns and time zone are yfinance's; nothing is adjusted for dividends.
        """
        with self._conversation(symbol):
            ticker = self._ticker(symbol)
            frames = [
                ticker.history(
                    interval=interval, start=start, end=end, auto_adjust=False, actions=True
                )
                for start, end in windows
            ]
            return pd.concat(frames), ticker.get_history_metadata()

    def chart(self, symbol: str) -> Answer:
        """The metadata of the newest daily chart."""
        with self._conversation(symbol) as data:
            answer = data.get_raw_json(CHART + symbol, {"range": "1d", "interval": "1d"})
            return dict(answer["chart"]["result"][0]["meta"])

    def calendar(self, symbol: str) -> Answer:
        """The calendar events of a symbol.

        Not by yfinance's own `calendar`: it takes the dates, which are midnights in Greenwich, in
        the machine's time zone, so that west of there they are a day early.
        """
        with self._conversation(symbol) as data:
            answer = data.get_raw_json(
                SUMMARY + symbol, {"modules": "calendarEvents", "formatted": "false"}
            )
            return dict(answer["quoteSummary"]["result"][0]["calendarEvents"])

    def _ticker(self, symbol: str) -> Any:
        """Kept, as it knows the time zone of its exchange, which costs a request."""
        if symbol not in self._tickers:
            self._tickers[symbol] = yfinance.Ticker(symbol, self._session)
        return self._tickers[symbol]

    @contextmanager
    def _conversation(self, symbol: str) -> Iterator[YfData]:
        with _turn:
            self._require_patience()
            data = self._take_over()
            try:
                yield data
            except PriceUnavailable:
                self._forget(data, symbol)
                raise
            except (YFRateLimitError, RequestException, *NONSENSE) as error:
                self._forget(data, symbol)
                raise self._refusal(symbol, error) from error
            self._wait = 0

    def _take_over(self) -> YfData:
        warnings.filterwarnings("ignore", category=Pandas4Warning, module="yfinance")
        data = YfData(session=self._session)
        if Conversation._speaking is not self._session:
            Conversation._speaking = self._session
            self._forget(data)
        data.cache_get.cache_clear()
        return data

    def _forget(self, data: YfData, symbol: str = "") -> None:
        """Begin anew: whatever failed is looked up again by the next turn."""
        data._crumb = None
        data._cookie = None
        data._cookie_strategy = "basic"
        self._session.forget()
        self._tickers.pop(symbol, None)

    def _require_patience(self) -> None:
        if self._refused_at is None:
            return
        waited = (self._clock() - self._refused_at).total_seconds()
        if 0 <= waited < self._wait:  # a clock that was set back must not lock anybody out
            raise RateLimited(math.ceil(self._wait - waited))

    def _refusal(self, symbol: str, error: Exception) -> PriceUnavailable:
        match error:
            case YFRateLimitError():
                self._refused_at = self._clock()
                self._wait = min(2 * self._wait, LONGEST_WAIT) if self._wait else FIRST_WAIT
                return RateLimited(self._wait)
            case YFTzMissingError():
                return UnknownSymbol(symbol)
            case YFPricesMissingError():
                return RangeUnavailable(symbol, _said(error.yahoo_reason))
            case HTTPError():
                return UpstreamBroken(f"refused to answer about {symbol} ({error})")
            case RequestException():
                return Offline(UNREACHABLE)
        return UpstreamBroken(f"answered about {symbol} with no prices ({type(error).__name__})")


class YahooSession(Session[Response]):
    """A browser's session whose requests are short and whose failures are ours.

    Raises Offline, UnknownSymbol, RangeUnavailable, UpstreamBroken for the hosts of the data, and
    YFRateLimitError, which yfinance can live with where it only lacks a crumb.
    """

    def __init__(self, settings: YahooSettings) -> None:
        super().__init__(impersonate="chrome")
        self._settings = settings
        self.forget()

    def forget(self) -> None:
        """Also what was learnt about hosts that do not answer."""
        self._cookie: Response | None = None
        self._side_is_silent = False
        self.cookies.clear()

    def request(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        if urlsplit(url).hostname not in DATA_HOSTS:
            return self._ask_side(method, url, *args, **options)
        options["timeout"] = self._settings.timeout
        try:
            response = super().request(method, self._address(url), *args, **options)
        except Timeout as error:
            raise Offline(
                f"Yahoo did not answer within {self._settings.timeout:g} seconds; "
                f"check the connection and try again."
            ) from error
        except RequestException as error:
            raise Offline(UNREACHABLE) from error
        _require_answer(response, url)
        return response

    def _ask_side(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        """Cookies and consent, without which yfinance goes on; the cookie is asked for once."""
        if url == COOKIE and self._cookie is not None:
            return self._cookie
        if self._side_is_silent:
            raise Unreachable("these hosts did not answer before")
        options["timeout"] = min(SIDE_TIMEOUT, self._settings.timeout)
        try:
            response = super().request(method, self._address(url), *args, **options)
        except RequestException:
            self._side_is_silent = True
            raise
        if url == COOKIE:
            self._cookie = response
        return response

    def _address(self, url: str) -> str:
        """`url`, at the server that stands in for Yahoo where one is set."""
        stand_in = urlsplit(self._settings.base_url)
        if not stand_in.netloc:
            return url
        return urlunsplit(urlsplit(url)._replace(scheme=stand_in.scheme, netloc=stand_in.netloc))


def _require_answer(response: Response, url: str) -> None:
    """Raise what a failed answer means; a refused crumb (401, 403) is for yfinance to renew."""
    status = response.status_code
    if status == 429:
        raise YFRateLimitError
    if status < 400 or status in (401, 403) or not url.startswith((CHART, SUMMARY)):
        return
    symbol = urlsplit(url).path.rpartition("/")[2]
    reason = _reason(response)
    if status == 404 and reason:  # without one it is not Yahoo who speaks, but some proxy
        raise UnknownSymbol(symbol)
    if status in (400, 422) and reason:
        raise RangeUnavailable(symbol, _said(reason))
    raise UpstreamBroken(f"failed over {symbol} (HTTP {status})")


def _reason(response: Response) -> str:
    """Yahoo's own sentence in a refusal; empty where it has none."""
    try:
        (part,) = json.loads(response.content).values()
        return str(part["error"]["description"])
    except (ValueError, AttributeError, LookupError, TypeError):
        return ""


def _said(reason: str | None) -> str:
    return f"Yahoo says: {reason}" if reason else "Yahoo has no prices for it"

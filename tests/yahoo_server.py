"""A local server that speaks Yahoo's chart format, for tests and for runs by hand.

    python -m tests.yahoo_server --port 8700 [--replay]
    VOLBAL_YAHOO_URL=http://127.0.0.1:8700 python start.py

It serves the bundled prices. With `--replay` their dates are moved so that the newest bar is of
today or of the last session, as if the market were being quoted now; what it serves then is a test
pattern, no market data. Intraday bars are always a test pattern, drawn through the daily ones.
"""

import argparse
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from volbal.market.bundled import BundledPrices
from volbal.market.model import Listing
from volbal.market.sessions import calendar_of

NEW_YORK = Listing("NYQ", "America/New_York", "USD")
HOURS = {
    "America/New_York": (time(9, 30), time(16)),
    "Europe/London": (time(8), time(16, 30)),
    "Asia/Tokyo": (time(9), time(15, 30)),
}
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "60m": 60}
REACH_DAYS = {"1m": 30, "5m": 60, "15m": 60, "30m": 60, "1h": 730, "60m": 730}
CRUMB, COOKIE = "cRumB.x", "A3=d-test"

Answer = tuple[int, str]


@dataclass(frozen=True)
class Series:
    """What is served of one symbol: daily bars by date, dividends and split ratios by date."""

    bars: pd.DataFrame
    dividends: Mapping[date, float]
    splits: Mapping[date, float]
    listing: Listing = NEW_YORK


class YahooServer:
    """Serves on 127.0.0.1 until `stop`; what it serves and how it fails may change meanwhile.

    requests: path and query of every request, oldest first. clock: what the server takes for now.
    failure: None or how data requests fail: "limit" (429), "error" (500), "unauthorized" (401),
    "proxy" (404 of somebody else), "gone" (an unknown symbol, told with 200), "junk" and "down"
    (text in place of JSON), "empty" (a chart without bars), "hang" (no answer). `failing_for`
    narrows it to requests whose path contains it.
    """

    def __init__(
        self, port: int = 0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.requests: list[str] = []
        self.clock = clock
        self.failure: str | None = None
        self.failing_for = ""
        self.series = {symbol: _bundled(symbol) for symbol in BundledPrices().symbols()}
        self.upcoming: dict[str, dict[str, int]] = {}
        self._stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        """Hanging requests end too; from now on connections are refused."""
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def asked(self, part: str) -> int:
        """How many requests had `part` in their path or query."""
        return sum(part in request for request in self.requests)

    def split(self, symbol: str, on: date, ratio: float) -> None:
        """A split happens: everything before it is served adjusted, as Yahoo does."""
        series = self.series[symbol]
        before = series.bars.index < pd.Timestamp(on)
        bars = series.bars.copy()
        bars.loc[before, ["open", "high", "low", "close"]] /= ratio
        bars.loc[before, "volume"] *= ratio
        dividends = {
            day: amount / ratio if day < on else amount for day, amount in series.dividends.items()
        }
        self.series[symbol] = replace(
            series, bars=bars, dividends=dividends, splits={**series.splits, on: ratio}
        )

    def spoil(self, symbol: str, on: date, **values: float) -> None:
        """Serve other values in the bar of a day."""
        bars = self.series[symbol].bars.copy()
        bars.loc[pd.Timestamp(on), list(values)] = list(values.values())
        self.series[symbol] = replace(self.series[symbol], bars=bars)

    def list_at(self, symbol: str, listing: Listing) -> None:
        """Serve a symbol as if it traded elsewhere (London, Tokyo)."""
        self.series[symbol] = replace(self.series[symbol], listing=listing)

    def announce(self, symbol: str, ex_on: date | None, pay_on: date | None) -> None:
        """The next dividend; None leaves a date out."""
        named = {"exDividendDate": ex_on, "dividendDate": pay_on}
        self.upcoming[symbol] = {
            name: int(datetime.combine(day, time(), UTC).timestamp())
            for name, day in named.items()
            if day is not None
        }

    def replay(self) -> None:
        """Move every series so that its newest bar is that of the newest session begun by now."""
        calendar = calendar_of()
        assert calendar is not None
        today = calendar.date_of(self.clock())
        begun = [
            day
            for day in calendar.sessions(calendar.first, today)
            if calendar.hours(day)[0] <= self.clock()
        ]
        for symbol, series in self.series.items():
            days = begun[-len(series.bars) :]
            moved = dict(zip(series.bars.index[-len(days) :].date, days, strict=True))
            self.series[symbol] = replace(
                series,
                bars=series.bars.iloc[-len(days) :].set_axis(
                    pd.DatetimeIndex(days, dtype="datetime64[s]"), axis="index"
                ),
                dividends={moved[day]: a for day, a in series.dividends.items() if day in moved},
                splits={moved[day]: r for day, r in series.splits.items() if day in moved},
            )

    def answer(self, path: str, query: Mapping[str, str], cookie: str) -> Answer:
        if path == "/v1/test/getcrumb":
            return (200, CRUMB) if COOKIE in cookie else (401, "no cookie")
        if path.startswith(("/v8/finance/chart/", "/v10/finance/quoteSummary/")):
            failed = self._failed(path)
            if failed is not None:
                return failed
            symbol = unquote(path.rpartition("/")[2])
            if path.startswith("/v8"):
                return self._chart(symbol, query)
            return self._summary(symbol, query, cookie)
        return 404, "<html><body>nothing here</body></html>"  # also fc.yahoo.com, with its cookie

    def _failed(self, path: str) -> Answer | None:
        if self.failure is None or self.failing_for not in path:
            return None
        if self.failure == "hang":
            self._stopping.wait(60)
            return 0, ""
        empty = {"chart": {"result": [self._emptied()], "error": None}}
        gone = _refusal(200, "Not Found", "No data found, symbol may be delisted")
        return {
            "gone": gone,
            "limit": (429, "Too Many Requests\r\n"),
            "error": (500, "<html><body>Internal Server Error</body></html>"),
            "proxy": (404, "<html><body>There is no such page</body></html>"),
            "junk": (200, "<html><body>Sign in to your account</body></html>"),
            "down": (200, "Will be right back...\n"),
            "empty": (200, json.dumps(empty)),
            "unauthorized": (401, '{"finance":{"result":null,"error":{"code":"Unauthorized"}}}'),
        }[self.failure]

    def _emptied(self) -> dict[str, Any]:
        series = self.series["KO"]
        return _result("KO", series.bars.iloc[:0], series, "1d", self._meta("KO", "1d"), [])

    def _summary(self, symbol: str, query: Mapping[str, str], cookie: str) -> Answer:
        if query.get("crumb") != CRUMB or COOKIE not in cookie:
            error = {"code": "Unauthorized", "description": "Invalid Crumb"}
            return 401, json.dumps({"finance": {"result": None, "error": error}})
        if symbol not in self.series:
            error = {"code": "Not Found", "description": f"Quote not found for symbol: {symbol}"}
            return 404, json.dumps({"quoteSummary": {"result": None, "error": error}})
        events = {"maxAge": 1, "earnings": {"earningsDate": []}, **self.upcoming.get(symbol, {})}
        return 200, json.dumps(
            {"quoteSummary": {"result": [{"calendarEvents": events}], "error": None}}
        )

    def _chart(self, symbol: str, query: Mapping[str, str]) -> Answer:
        if symbol not in self.series:
            return _refusal(404, "Not Found", "No data found, symbol may be delisted")
        interval, now = query["interval"], self.clock().timestamp()
        series = self.series[symbol]
        begun = [day for day in series.bars.index.date if _edges(series, day)[0] <= now]
        bars = series.bars.loc[pd.DatetimeIndex(begun)]
        if "range" in query:
            count = {"1d": 1, "5d": 5}.get(query["range"], len(bars))
            first, stop = _edges(series, begun[-count:][0])[0], now + 1
        else:
            first, stop = float(query["period1"]), float(query["period2"])
        refusal = _out_of_reach(interval, first, stop, now)
        if refusal is not None:
            return refusal
        if interval in MINUTES:
            days = [day for day in begun if _edges(series, day)[1] > first]
            rows = _test_pattern(series, days, MINUTES[interval], now)
        else:
            rows = bars.set_axis([_edges(series, day)[0] for day in begun], axis="index")
        rows = rows[(rows.index >= first) & (rows.index < stop)]
        if rows.empty:
            said = f"Data doesn't exist for startDate = {first:.0f}, endDate = {stop:.0f}"
            return _refusal(400, "Bad Request", said)
        meta = self._meta(symbol, interval)
        before = bars["close"][[_edges(series, day)[0] < rows.index[0] for day in begun]]
        meta["chartPreviousClose"] = before.iloc[-1] if len(before) else bars["close"].iloc[0]
        days = sorted({_local(series, at).date() for at in rows.index})
        return 200, json.dumps(
            {
                "chart": {
                    "result": [_result(symbol, rows, series, interval, meta, days)],
                    "error": None,
                }
            }
        )

    def _meta(self, symbol: str, interval: str) -> dict[str, Any]:
        series, now = self.series[symbol], self.clock().timestamp()
        begun = [day for day in series.bars.index.date if _edges(series, day)[0] <= now]
        opens, closes = self._current_session(series)
        return {
            "currency": series.listing.currency,
            "symbol": symbol,
            "exchangeName": series.listing.exchange,
            "instrumentType": "EQUITY",
            "firstTradeDate": _edges(series, begun[0])[0],
            "regularMarketTime": min(_edges(series, begun[-1])[1], int(now)),
            "gmtoffset": int(_local(series, now).utcoffset().total_seconds()),
            "exchangeTimezoneName": series.listing.timezone,
            "regularMarketPrice": float(series.bars["close"].loc[pd.Timestamp(begun[-1])]),
            "priceHint": 2,
            "currentTradingPeriod": {
                "pre": _period(series, opens - 19_800, opens),
                "regular": _period(series, opens, closes),
                "post": _period(series, closes, closes + 14_400),
            },
            "dataGranularity": interval,
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "max"],
        }

    def _current_session(self, series: Series) -> tuple[int, int]:
        """The session of today, or the next one when its late trading is over."""
        calendar = calendar_of(series.listing.exchange)
        assert calendar is not None
        day = calendar.date_of(self.clock())
        over = not calendar.is_session(day) or _edges(series, day)[1] + 14_400 <= (
            self.clock().timestamp()
        )
        return _edges(series, calendar.next_session(day) if over else day)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                status, text = server.answer(parts.path, query, self.headers.get("Cookie", ""))
                if not status:  # whoever asked has long gone
                    return
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if parts.path in ("", "/"):
                    self.send_header("Set-Cookie", f"{COOKIE}; Path=/; Max-Age=31536000")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler


@contextmanager
def serving(clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[YahooServer]:
    server = YahooServer(clock=clock)
    try:
        yield server
    finally:
        server.stop()


def _bundled(symbol: str) -> Series:
    history = BundledPrices().history(symbol)
    dividends, splits = history.dividends, history.splits
    return Series(
        history.bars,
        dict(zip(dividends["ex_date"].dt.date, dividends["amount"].tolist(), strict=True)),
        dict(zip(splits["date"].dt.date, splits["ratio"].tolist(), strict=True)),
        replace(NEW_YORK, exchange="NMS") if symbol in ("AAPL", "AMZN", "GOOG") else NEW_YORK,
    )


def _edges(series: Series, day: date) -> tuple[int, int]:
    """Unix times of a session's open and close; usual hours where the day is no session there."""
    calendar = calendar_of(series.listing.exchange)
    if calendar is not None and calendar.knows(day) and calendar.is_session(day):
        opens, closes = calendar.hours(day)
    else:
        zone = ZoneInfo(series.listing.timezone)
        opens, closes = (datetime.combine(day, at, zone) for at in HOURS[series.listing.timezone])
    return int(opens.timestamp()), int(closes.timestamp())


def _local(series: Series, at: float) -> datetime:
    return datetime.fromtimestamp(at, ZoneInfo(series.listing.timezone))


def _period(series: Series, start: int, end: int) -> dict[str, Any]:
    moment = _local(series, start)
    offset = moment.utcoffset()
    assert offset is not None
    return {
        "timezone": moment.tzname(),
        "start": start,
        "end": end,
        "gmtoffset": int(offset.total_seconds()),
    }


def _refusal(status: int, code: str, description: str) -> Answer:
    error = {"code": code, "description": description}
    return status, json.dumps({"chart": {"result": None, "error": error}})


def _out_of_reach(interval: str, first: float, stop: float, now: float) -> Answer | None:
    """What Yahoo answers where intraday bars are asked for too far back, or too many at once."""
    days = REACH_DAYS.get(interval)
    if days is None:
        return None
    if interval == "1m" and stop - first > 8 * 86_400:
        said = "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
    elif now - first > days * 86_400:
        said = (
            f"{interval} data not available for startTime={first:.0f} and endTime={stop:.0f}. "
            f"The requested range must be within the last {days} days."
        )
    else:
        return None
    return _refusal(422, "Unprocessable Entity", said)


def _test_pattern(series: Series, days: list[date], minutes: int, now: float) -> pd.DataFrame:
    """Intraday rows, by Unix time, that go straight from each day's open to its close by `now`.

    The first touches the day's high and low. These are no market data.
    """
    rows = {}
    for day in days:
        opens, closes = _edges(series, day)
        bar = series.bars.loc[pd.Timestamp(day)]
        starts = range(opens, min(closes, int(now) + 1), minutes * 60)
        steps = np.linspace(bar["open"], bar["close"], len(starts) + 1).round(4)
        for at, start in enumerate(starts):
            high, low = max(steps[at], steps[at + 1]), min(steps[at], steps[at + 1])
            if at == 0:
                high, low = bar["high"], bar["low"]
            rows[start] = (steps[at], high, low, steps[at + 1], bar["volume"] // len(starts))
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["open", "high", "low", "close", "volume"]
    )


def _result(
    symbol: str,
    rows: pd.DataFrame,
    series: Series,
    interval: str,
    meta: dict[str, Any],
    days: list[date],
) -> dict[str, Any]:
    """The one entry of a chart: `rows` by Unix time, and the events of its days."""
    columns = {
        name: [None if np.isnan(value) else value for value in rows[name].tolist()]
        for name in ("open", "high", "low", "close")
    }
    volumes = [None if np.isnan(value) else int(value) for value in rows["volume"].tolist()]
    result: dict[str, Any] = {
        "meta": meta,
        "timestamp": rows.index.tolist(),
        "indicators": {"quote": [{**columns, "volume": volumes}]},
        "events": {
            "dividends": {
                str(at): {"amount": series.dividends[day], "date": at}
                for day in days
                if day in series.dividends
                for at in [_edges(series, day)[0]]
            },
            "splits": {
                str(at): {
                    "date": at,
                    "numerator": series.splits[day],
                    "denominator": 1,
                    "splitRatio": f"{series.splits[day]:g}:1",
                }
                for day in days
                if day in series.splits
                for at in [_edges(series, day)[0]]
            },
        },
    }
    if interval in MINUTES:
        meta["tradingPeriods"] = [[_period(series, *_edges(series, day))] for day in days]
    else:
        result["indicators"]["adjclose"] = [{"adjclose": columns["close"]}]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--replay", action="store_true", help="move the dates up to today")
    arguments = parser.parse_args()
    server = YahooServer(arguments.port)
    if arguments.replay:
        server.replay()
    print(f"VOLBAL_YAHOO_URL={server.url}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()

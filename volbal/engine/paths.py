"""The path a simulation walks: ticks, days and dividends as arrays, prepared once per series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volbal.errors import InvalidInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

YEAR = 365.25
"""Calendar days of a year, for interest and annual growth."""

TICK_MODELS = ("close", "limit")
"""What the rule sees of a bar (SPEC §6): its close; or its open, each trigger level that the
price meets within it, and its close."""


LIMIT_COST = 3
"""What a tick of a `limit` path costs beside one of a `close` path, both orders of the extremes
run: 2.5 measured."""


class Dividend(NamedTuple):
    """One cash dividend: gross money per share, split-adjusted like the prices."""

    ex_on: date
    per_share: float
    pay_on: date | None = None


class DividendTicks(NamedTuple):
    """Dividends in the order of their ex-dates, placed on ticks; arrays of shape (k,).

    ex_tick and pay_tick are the first ticks on or after the dates; a pay tick comes at least one
    tick after the ex tick (payments are worked off before accruals) and equals the number of
    ticks if it lies beyond the path. slot: where the amount waits between the two; the slots of
    dividends that wait at the same time differ.
    """

    per_share: Floats
    ex_tick: Ints
    pay_tick: Ints
    slot: Ints
    slots: int


class DayReturns(NamedTuple):
    """The stock day by day after the start, shape (days,): what strategies are compared with.

    price: close / previous close - 1; dividend: gross dividend per share / previous close;
    years: calendar time since the previous day, in years.
    """

    price: Floats
    dividend: Floats
    years: Floats


@dataclass(frozen=True, slots=True)
class PricePath:
    """Prices the rule sees, one per tick, shape (n,), n >= 2.

    times: datetime64[s]; price: > 0, account currency per share; years: calendar time since the
    last tick's date; age: calendar days since the first tick's date; starts_day, ends_day: first
    and last tick of their date. The first tick starts the cell; decisions begin with the second.

    walked: the price moves to this tick from the last one over two extremes, `first` and then
    `second` (elsewhere they are the price), and the rule is asked at the levels it meets.
    """

    times: NDArray[np.datetime64]
    price: Floats
    years: Floats
    age: Floats
    starts_day: Flags
    ends_day: Flags
    dividends: DividendTicks
    days: DayReturns
    walked: Flags
    first: Floats
    second: Floats

    @property
    def mirrored(self) -> "PricePath":
        """The same path with the two extremes of every bar in the other order."""
        return replace(self, first=self.second, second=self.first)

    @property
    def day_marks(self) -> Ints:
        """Ticks of V_0..V_n: the start, then every day's end."""
        return _day_marks(self.ends_day)

    @property
    def ticks(self) -> int:
        return len(self.price)

    @property
    def total_years(self) -> float:
        """Calendar time from the first to the last date."""
        return float(self.age[-1]) / YEAR

    @property
    def starts_at_day_end(self) -> bool:
        """Whether the first tick is its day's last, as with daily closes."""
        return bool(self.ends_day[0])


class Bars(NamedTuple):
    """Open, high, low and close of every bar, each of shape (n,), account currency per share."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


@dataclass(frozen=True, slots=True)
class Paths:
    """What the cells of a grid are simulated on: a path per tick model, and their start.

    capital: account currency at a path's first tick; stock_share: the part of it in shares then.
    """

    by_ticks: Mapping[str, PricePath]
    capital: float
    stock_share: float

    @property
    def steps(self) -> int:
        """Work of one cell, counted in ticks of the `close` model."""
        return max(
            path.ticks * (LIMIT_COST if path.walked.any() else 1) for path in self.by_ticks.values()
        )

    def start(self, ticks: str) -> tuple[float, float]:
        """Shares and cash at the first tick of the tick model's path."""
        in_stock = self.capital * self.stock_share
        return in_stock / float(self.by_ticks[ticks].price[0]), self.capital - in_stock


def price_path(
    times: NDArray[np.datetime64],
    prices: Floats,
    dividends: Sequence[Dividend] = (),
    pay_lag_days: int = 21,
) -> PricePath:
    """Lay prices and dividends out for simulation with `close` ticks.

    times: shape (n,), strictly increasing; prices: shape (n,), finite and > 0. A dividend
    without a pay date is paid `pay_lag_days` calendar days after its ex-date; one whose ex-date
    is on or before the first date pays nothing and is left out. Raises InvalidInput.
    """
    _check(times, prices)
    if len(prices) < 2:
        raise InvalidInput("prices", f"{len(prices)} prices", "a simulation needs at least 2")
    price = np.array(prices, dtype=np.float64)
    nowhere = np.zeros(len(price), dtype=np.bool_)
    return _laid_out(times, price, (nowhere, price, price), dividends, pay_lag_days)


def limit_path(
    times: NDArray[np.datetime64],
    bars: Bars,
    dividends: Sequence[Dividend] = (),
    pay_lag_days: int = 21,
) -> PricePath:
    """Lay bars and dividends out for simulation with `limit` ticks: two ticks a bar.

    times: shape (n,), n >= 1, strictly increasing; both ticks of a bar have its time. Between
    open and close the price goes over low and high where the bar closes at or above its open,
    else over high and low (SPEC §6). Dividends as in `price_path`. Raises InvalidInput.
    """
    for prices in bars:
        _check(times, prices)
    # Sources round the four prices apart; the way of the price includes all of them.
    low = np.minimum(bars.low, np.minimum(bars.open, bars.close))
    high = np.maximum(bars.high, np.maximum(bars.open, bars.close))
    rises = bars.close >= bars.open
    price = _alternating(bars.open, bars.close)
    first = _alternating(bars.open, np.where(rises, low, high))
    second = _alternating(bars.open, np.where(rises, high, low))
    walked = np.tile([False, True], len(times))
    twice = np.repeat(times, 2)
    return _laid_out(twice, price, (walked, first, second), dividends, pay_lag_days)


def _alternating(at_open: Floats, at_close: Floats) -> Floats:
    return np.column_stack((at_open, at_close)).astype(np.float64).reshape(-1)


def _check(times: NDArray[np.datetime64], prices: Floats) -> None:
    if not len(prices) or len(times) != len(prices):
        raise InvalidInput("prices", f"{len(prices)} prices", "a simulation needs at least 2")
    if not (np.isfinite(prices).all() and (prices > 0).all()):
        raise InvalidInput("prices", "not all are finite and > 0", "clean the series first")
    if (np.diff(times.astype("datetime64[s]")).astype(np.int64) <= 0).any():
        raise InvalidInput("prices", "times do not increase", "sort them and drop repeated ones")


def _laid_out(
    times: NDArray[np.datetime64],
    price: Floats,
    way: tuple[Flags, Floats, Floats],
    dividends: Sequence[Dividend],
    pay_lag_days: int,
) -> PricePath:
    days = times.astype("datetime64[D]")
    gaps = np.diff(days).astype(np.int64)
    ends_day = np.concatenate((gaps > 0, [True]))
    placed = _place(dividends, days, pay_lag_days)
    walked, first, second = way
    return PricePath(
        times=times.astype("datetime64[s]"),
        price=price,
        years=np.concatenate(([0.0], gaps / YEAR)),
        age=(days - days[0]).astype(np.float64),
        starts_day=np.concatenate(([True], gaps > 0)),
        ends_day=ends_day,
        dividends=placed,
        days=_day_returns(days, price, _day_marks(ends_day), placed),
        walked=walked,
        first=first,
        second=second,
    )


def _day_marks(ends_day: Flags) -> Ints:
    ends = np.flatnonzero(ends_day)
    return ends if ends[0] == 0 else np.concatenate(([0], ends))


def _place(
    dividends: Sequence[Dividend], days: NDArray[np.datetime64], pay_lag_days: int
) -> DividendTicks:
    first, last = days[0].item(), days[-1].item()
    kept = sorted(item for item in dividends if first < item.ex_on <= last)
    lag = timedelta(days=pay_lag_days)
    ex_on = np.array([item.ex_on for item in kept], dtype="datetime64[D]")
    pay_on = np.array([item.pay_on or item.ex_on + lag for item in kept], dtype="datetime64[D]")
    ex_tick = np.searchsorted(days, ex_on)
    pay_tick = np.maximum(np.searchsorted(days, pay_on), ex_tick + 1)
    slot, free_at = [], list[int]()
    for start, end in zip(ex_tick, pay_tick, strict=True):
        free = next((index for index, at in enumerate(free_at) if at <= start), len(free_at))
        free_at[free : free + 1] = [end]
        slot.append(free)
    return DividendTicks(
        per_share=np.array([item.per_share for item in kept], dtype=np.float64),
        ex_tick=ex_tick.astype(np.int64),
        pay_tick=np.minimum(pay_tick, len(days)).astype(np.int64),
        slot=np.array(slot, dtype=np.int64),
        slots=len(free_at),
    )


def _day_returns(
    days: NDArray[np.datetime64], prices: Floats, marks: Ints, dividends: DividendTicks
) -> DayReturns:
    closes = prices[marks]
    paid = np.zeros(len(marks) - 1)
    np.add.at(paid, np.searchsorted(marks, dividends.ex_tick) - 1, dividends.per_share)
    return DayReturns(
        price=closes[1:] / closes[:-1] - 1.0,
        dividend=paid / closes[:-1],
        years=np.diff(days[marks]).astype(np.float64) / YEAR,
    )

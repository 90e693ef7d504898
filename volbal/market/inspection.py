"""What looks odd in prices that can be used: said, never mended."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pandas as pd

from volbal.market.model import DAILY, PriceHistory
from volbal.market.sessions import EXCHANGE, Calendar, calendar_of, close_of

LARGE_MOVE = 1.4
"""From one close to the next: larger ones are as often a missed split as a real day."""

LARGE_DIVIDEND = 0.1
"""Of the close before: larger ones are as often a wrong unit as a real special dividend."""

STILL_BARS = 5
"""Equal closes in a row that a traded stock hardly shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd from the date `on`. sentence: what, with dates and values."""

    on: date
    sentence: str


def calendar_for(history: PriceHistory) -> Calendar | None:
    """The calendar of where a history trades; None where that cannot be known.

    A symbol without a suffix is taken as one of New York, where its source does not say.
    """
    if history.listing is not None:
        return calendar_of(history.listing.exchange)
    return None if "." in history.symbol else calendar_of()


def ends_at(history: PriceHistory) -> datetime:
    """The moment of the last bar: the close of a daily one, the start of an intraday one."""
    calendar = calendar_for(history)
    if history.provenance.interval == DAILY:
        return close_of(history.last_date, calendar)
    zone = EXCHANGE if calendar is None else calendar.zone
    return pd.Timestamp(history.bars.index[-1]).to_pydatetime().replace(tzinfo=zone)


def missing_sessions(history: PriceHistory) -> tuple[date, ...]:
    """Sessions between the first and the last bar without one; empty where none are known."""
    calendar = calendar_for(history)
    if calendar is None:
        return ()
    return calendar.missing(_dates(history), history.first_date, history.last_date)


def findings(history: PriceHistory) -> list[Finding]:
    """Everything odd about a validated history, by date."""
    found = [
        *_missing(missing_sessions(history), calendar_for(history)),
        *_without_session(history),
        *_large_moves(history),
        *_large_dividends(history),
        *_still(history),
    ]
    return sorted(found, key=lambda one: one.on)


def _dates(history: PriceHistory) -> tuple[date, ...]:
    return tuple(pd.DatetimeIndex(history.bars.index).normalize().unique().date)


def _missing(days: tuple[date, ...], calendar: Calendar | None) -> Iterator[Finding]:
    """One sentence for sessions that follow one another."""
    if calendar is None:
        return
    first = 0
    for at in range(1, len(days) + 1):
        if at == len(days) or calendar.next_session(days[at - 1]) != days[at]:
            yield _missing_run(days[first:at])
            first = at


def _missing_run(days: tuple[date, ...]) -> Finding:
    if len(days) == 1:
        return Finding(days[0], f"There is no bar of {days[0]}, a session of the exchange.")
    return Finding(
        days[0],
        f"There is no bar from {days[0]} to {days[-1]}, {len(days)} sessions of the exchange.",
    )


def _without_session(history: PriceHistory) -> Iterator[Finding]:
    calendar = calendar_for(history)
    if calendar is None:
        return
    for day in _dates(history):
        if calendar.knows(day) and not calendar.is_session(day):
            yield Finding(day, f"There is a bar of {day}, when the exchange was closed.")


def _large_moves(history: PriceHistory) -> Iterator[Finding]:
    closes = history.bars["close"].to_numpy()
    ratios = closes[1:] / closes[:-1]
    for at in map(int, np.flatnonzero((ratios > LARGE_MOVE) | (ratios < 1.0 / LARGE_MOVE))):
        time = history.bars.index[at + 1]
        yield Finding(
            time.date(),
            f"The close goes from {closes[at]:.6g} to {closes[at + 1]:.6g} on {_stamp(time)}: "
            f"a real move, or a split that the source missed.",
        )


def _large_dividends(history: PriceHistory) -> Iterator[Finding]:
    bars, paid = history.bars, history.dividends
    for day, amount in zip(paid["ex_date"], paid["amount"], strict=True):
        at = int(bars.index.searchsorted(day)) - 1
        if at >= 0 and amount > LARGE_DIVIDEND * bars["close"].iloc[at]:
            yield Finding(
                day.date(),
                f"The dividend of {day:%Y-%m-%d}, {amount:.6g}, is large beside the close before, "
                f"{bars['close'].iloc[at]:.6g}: a special one, or not in the currency of the bars.",
            )


def _still(history: PriceHistory) -> Iterator[Finding]:
    """Runs of daily bars that all close at one price."""
    if history.provenance.interval != DAILY:
        return
    closes = history.bars["close"].to_numpy()
    edges = [0, *(np.flatnonzero(closes[1:] != closes[:-1]) + 1).tolist(), len(closes)]
    for start, stop in pairwise(edges):
        if stop - start >= STILL_BARS:
            first, last = (history.bars.index[at].date() for at in (start, stop - 1))
            yield Finding(
                first,
                f"{stop - start} closes in a row, {first} to {last}, are all {closes[start]:.6g}: "
                f"the source may have repeated one.",
            )


def _stamp(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"

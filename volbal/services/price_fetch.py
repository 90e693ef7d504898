"""What a fetch means for a stored series: more bars behind it, or all of it anew."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from volbal.market.inspection import findings
from volbal.market.model import PriceHistory
from volbal.market.sessions import exchange_date
from volbal.market.validation import validate
from volbal.services import price_store
from volbal.storage.records import Connection

if TYPE_CHECKING:  # yfinance is slow to import: not before the first fetch
    from volbal.market.yahoo import YahooPrices

OVERLAP_SESSIONS: Final = 5
"""Stored sessions that are fetched again, to see whether the source still says the same."""

SAME_PRICE: Final = 1e-6
"""Relative: what a price may differ by and still be the same one, as sources round."""

PRICES: Final = ["open", "high", "low", "close"]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a fetch brought.

    new_bars, new_dividends, new_splits: later than what was stored. refetched: why all of it was
    fetched again, empty where it was not. lost_bars: stored ones that the source no longer gives
    and that went with that. findings: what is odd about the new rows; they are stored as they came.
    """

    symbol: str
    interval: str
    first_date: date
    last_date: date
    new_bars: int
    new_dividends: int
    new_splits: int
    refetched: str = ""
    lost_bars: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """A fetch ready to be stored. since: the last stored bar where only later rows are new."""

    history: PriceHistory
    since: pd.Timestamp | None
    told: Refreshed

    def store(self, connection: Connection, source: str, now: datetime) -> None:
        """All of it; the connection is of a `Database.write()` block."""
        if self.since is None:
            price_store.replace(connection, self.history, source, now)
        else:
            price_store.append(connection, self.history, self.since, source, now)


def whole(yahoo: "YahooPrices", symbol: str, interval: str) -> Update:
    """All that the source has of a symbol that is not stored yet."""
    fetched = yahoo.fetch(symbol, interval)
    return Update(fetched, None, _told(fetched, None))


def lengthened(yahoo: "YahooPrices", stored: PriceHistory, now: datetime) -> Update:
    """The stored series with what came since; fetched whole where the two do not fit.

    Raises RangeUnavailable where the source no longer reaches back to the stored bars.
    """
    symbol, interval = stored.symbol, stored.provenance.interval
    fetched = yahoo.fetch(symbol, interval, _overlap_from(stored, now))
    misfit = difference(stored, fetched)
    if misfit:
        anew = _with_pay_dates(yahoo.fetch(symbol, interval), stored)
        lost = int((~stored.bars.index.isin(anew.bars.index)).sum())
        return Update(anew, None, replace(_told(anew, stored), refetched=misfit, lost_bars=lost))
    joined = _joined(stored, fetched)
    validate(joined, f"{symbol} {interval} of {yahoo.name}")
    return Update(joined, stored.bars.index[-1], _told(joined, stored))


def _overlap_from(stored: PriceHistory, now: datetime) -> date:
    """The first date to fetch again: a few sessions back, but not before the source's reach."""
    from volbal.market.yahoo import RangeUnavailable, earliest

    interval = stored.provenance.interval
    dates = pd.DatetimeIndex(stored.bars.index).normalize().unique()
    start: date = dates[-OVERLAP_SESSIONS:][0].date()
    reach = earliest(interval, exchange_date(now))
    if reach is None or reach <= start:
        return start
    if reach > stored.last_date:
        raise RangeUnavailable(
            stored.symbol,
            f"the stored {interval} bars end on {stored.last_date} and Yahoo gives none before "
            f"{reach}, so the two cannot be joined; delete the stored ones to start anew.",
        )
    return reach


def difference(stored: PriceHistory, fetched: PriceHistory) -> str:
    """Why bars of `fetched` cannot be put behind `stored`, as a clause; empty where they can.

    fetched: from some session of `stored` on.
    """
    last = pd.Timestamp(stored.last_date)
    new_splits = fetched.splits[fetched.splits["date"] > last]
    if len(new_splits):
        split = new_splits.iloc[0]
        return f"there was a split of {split['ratio']:g} for 1 on {split['date']:%Y-%m-%d}"
    before = stored.bars.loc[fetched.bars.index[0] :, PRICES]
    again = fetched.bars.loc[: stored.bars.index[-1], PRICES]
    if not before.index.equals(again.index):
        odd = pd.Timestamp(before.index.symmetric_difference(again.index)[0])
        here = "no longer has" if odd in before.index else "now has"
        return f"the source {here} a bar of {_stamp(odd)}"
    same = np.isclose(before, again, rtol=SAME_PRICE, atol=0.0, equal_nan=True)
    if not same.all():
        row, column = np.argwhere(~same)[0]
        was, now = float(before.iloc[row, column]), float(again.iloc[row, column])
        return f"the {PRICES[column]} of {_stamp(before.index[row])} was {was:.10g}, now {now:.10g}"
    return _different_action(stored, fetched)


def _different_action(stored: PriceHistory, fetched: PriceHistory) -> str:
    """The first dividend or split of the common dates that is not the same in both."""
    first, last = pd.Timestamp(fetched.first_date), pd.Timestamp(stored.last_date)
    for what, dated, size in (("dividend", "ex_date", "amount"), ("split", "date", "ratio")):
        before, again = (
            frame.loc[frame[dated].between(first, last)].set_index(dated)[size]
            for frame in _actions(what, stored, fetched)
        )
        for day in before.index.union(again.index):
            was, now = before.get(day, 0.0), again.get(day, 0.0)
            if not np.isclose(was, now, rtol=SAME_PRICE, atol=0.0):
                return f"the {what} of {_stamp(day)} was {was:.10g}, now {now:.10g}"
    return ""


def _actions(what: str, *histories: PriceHistory) -> list[pd.DataFrame]:
    return [one.dividends if what == "dividend" else one.splits for one in histories]


def _joined(stored: PriceHistory, fetched: PriceHistory) -> PriceHistory:
    last = pd.Timestamp(stored.last_date)
    later = fetched.bars[fetched.bars.index > stored.bars.index[-1]]
    dividends = fetched.dividends[fetched.dividends["ex_date"] > last]
    splits = fetched.splits[fetched.splits["date"] > last]
    return replace(
        fetched,
        bars=_under(stored.bars, later),
        dividends=_under(stored.dividends, dividends).reset_index(drop=True),
        splits=_under(stored.splits, splits).reset_index(drop=True),
    )


def _under(above: pd.DataFrame, below: pd.DataFrame) -> pd.DataFrame:
    """Both, one under the other; pandas warns of an empty one, whose types could win."""
    return pd.concat([part for part in (above, below) if len(part)]) if len(below) else above


def _with_pay_dates(fetched: PriceHistory, stored: PriceHistory) -> PriceHistory:
    """`fetched` with the pay dates that only the stored dividends know."""
    known = stored.dividends.set_index("ex_date")["pay_date"]
    dividends = fetched.dividends.copy()
    dividends["pay_date"] = dividends["pay_date"].fillna(dividends["ex_date"].map(known))
    return replace(fetched, dividends=dividends)


def _told(history: PriceHistory, stored: PriceHistory | None) -> Refreshed:
    last = pd.Timestamp.min if stored is None else stored.bars.index[-1]
    day = last.normalize() if stored is not None else last
    return Refreshed(
        history.symbol,
        history.provenance.interval,
        history.first_date,
        history.last_date,
        int((history.bars.index > last).sum()),
        int((history.dividends["ex_date"] > day).sum()),
        int((history.splits["date"] > day).sum()),
        findings=tuple(one.sentence for one in findings(history) if one.on > day.date()),
    )


def _stamp(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"

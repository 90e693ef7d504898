"""What a fetch means for a stored series: more bars behind it, or all of it anew."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from volbal.domain.wording import counted
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

    new_bars: later than those stored; new_dividends, new_splits: not stored before. refetched: why
    all of it was fetched again, empty where it was not. lost_bars: stored ones that the source no
    longer gives and that went with that. findings: what is odd about the new rows, which are
    stored as they came.
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

    @property
    def brings_nothing(self) -> bool:
        """Nothing was new and nothing was fetched again."""
        return not (self.new_bars or self.new_dividends or self.new_splits or self.refetched)

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        name = f"{self.symbol} {self.interval}"
        reach = f"now {self.first_date} to {self.last_date}"
        if self.refetched:
            lost = f"; {self.lost_bars:,} older bars are gone" if self.lost_bars else ""
            return f"{name} was fetched anew because {self.refetched}: {reach}{lost}."
        if self.brings_nothing:
            return f"{name} has nothing new: it reaches to {self.last_date}."
        counts = (
            _counted(self.new_bars, "bar"),
            _counted(self.new_dividends, "dividend"),
            _counted(self.new_splits, "split"),
        )
        return f"{name} got {', '.join(filter(None, counts))}: {reach}."


def _counted(count: int, thing: str) -> str:
    """Empty for none."""
    return counted(count, f"new {thing}") if count else ""


@dataclass(frozen=True, slots=True)
class Update:
    """A fetch ready to be stored. since: the last stored bar where only later bars are new."""

    history: PriceHistory
    since: pd.Timestamp | None
    told: Refreshed

    def store(self, connection: Connection, source: str, now: datetime) -> None:
        """All of it; the connection is of a `Database.write()` block."""
        if self.since is None:
            price_store.replace(connection, self.history, source, now)
        elif self.told.brings_nothing:
            price_store.checked(connection, self.history, now)
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
    new_splits = _unknown(fetched.splits, stored.splits, "date")
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
    """The stored bars with the later ones; actions of the fetched dates as they are now."""
    first = pd.Timestamp(fetched.first_date)
    fetched = _with_pay_dates(fetched, stored)
    return replace(
        fetched,
        bars=_under(stored.bars, fetched.bars[fetched.bars.index > stored.bars.index[-1]]),
        dividends=_under(stored.dividends[stored.dividends["ex_date"] < first], fetched.dividends),
        splits=_under(stored.splits[stored.splits["date"] < first], fetched.splits),
    )


def _under(above: pd.DataFrame, below: pd.DataFrame) -> pd.DataFrame:
    """Both, one under the other; an empty one could change the types of the other."""
    parts = [part for part in (above, below) if len(part)]
    joined = pd.concat(parts) if parts else above
    return joined if joined.index.name == "time" else joined.reset_index(drop=True)


def _unknown(found: pd.DataFrame, known: pd.DataFrame, dated: str) -> pd.DataFrame:
    return found[~found[dated].isin(known[dated])]


def _with_pay_dates(fetched: PriceHistory, stored: PriceHistory) -> PriceHistory:
    """`fetched` with the pay dates that only the stored dividends know."""
    if fetched.dividends.empty or stored.dividends.empty:  # an empty column has another type
        return fetched
    known = stored.dividends.set_index("ex_date")["pay_date"]
    dividends = fetched.dividends.copy()
    dividends["pay_date"] = dividends["pay_date"].fillna(dividends["ex_date"].map(known))
    return replace(fetched, dividends=dividends)


def _told(history: PriceHistory, stored: PriceHistory | None) -> Refreshed:
    told = Refreshed(
        history.symbol,
        history.provenance.interval,
        history.first_date,
        history.last_date,
        len(history.bars),
        len(history.dividends),
        len(history.splits),
        findings=tuple(one.sentence for one in findings(history)),
    )
    if stored is None:
        return told
    return replace(
        told,
        new_bars=int((history.bars.index > stored.bars.index[-1]).sum()),
        new_dividends=len(_unknown(history.dividends, stored.dividends, "ex_date")),
        new_splits=len(_unknown(history.splits, stored.splits, "date")),
        findings=tuple(one.sentence for one in findings(history) if one.on > stored.last_date),
    )


def _stamp(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"

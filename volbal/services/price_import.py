"""Use cases of price files: read and look first, then save, all of it or nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pandas as pd

from volbal.domain.wording import counted
from volbal.errors import InvalidInput
from volbal.market.files import NO_DIVIDENDS, Actions, DateOrder, read_bytes
from volbal.market.inspection import Finding, findings
from volbal.market.model import DAILY, PriceHistory, as_symbol
from volbal.market.validation import validate
from volbal.services import price_store
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.rows import StoredSeries

LARGEST: Final = 10 * 2**20
"""Bytes of a file."""

DONE: Final = {"Saves": "Saved", "Puts": "Put"}
"""The verbs of an effect, once it has happened."""


@dataclass(frozen=True, slots=True, eq=False)
class Import:
    """A file read for a symbol, checked, and not yet saved.

    history: the series as saving leaves it; source: how it will name its origin. before: the
    stored series that it replaces, or whose dividends and splits it changes. lost: stored bars that
    the file lacks. effect: what saving does, one sentence. findings: what is odd about the series
    then, and was not before. actions: what a file without bars has; None for a file with bars.
    """

    name: str
    history: PriceHistory
    source: str
    before: StoredSeries | None
    lost: int
    effect: str
    findings: tuple[Finding, ...]
    actions: Actions | None = None

    @property
    def outcome(self) -> str:
        """`effect`, once it is saved."""
        verb, _, rest = self.effect.partition(" ")
        return f"{DONE[verb]} {rest}"


class StoredMeanwhile(InvalidInput):
    """The series is not the one the file was looked at beside."""

    def __init__(self, symbol: str, interval: str) -> None:
        super().__init__(
            "prices",
            f"the stored {interval} prices of {symbol} have changed since the preview",
            "look at the preview again, then save",
        )


class BarsLost(InvalidInput):
    """Saving would forget stored bars, and nobody has agreed to that."""

    def __init__(self, looked_at: Import) -> None:
        told = f"{looked_at.effect[:1].lower()}{looked_at.effect[1:]}".rstrip(".")
        super().__init__(
            "replace",
            f"{looked_at.name} {told}",
            "take a file with all of them, or agree to lose them (on the command line with "
            "--replace)",
        )


def require_size(name: str, size: int) -> None:
    """Raises InvalidInput for a file of more bytes than are read."""
    if size > LARGEST:
        raise InvalidInput(
            "prices",
            f"{name} has {size / 2**20:.1f} MB",
            f"allowed: up to {LARGEST // 2**20} MB; save fewer years or less frequent bars",
        )


def preview(
    database: Database, name: str, content: bytes, symbol: str, order: DateOrder | None = None
) -> Import:
    """Read a CSV or Parquet file of prices, or of dividends and splits; nothing is saved.

    Prices replace the stored series of their symbol and interval; dividends and splits alone go
    into the stored daily series, over those of the same dates.
    Raises InvalidPrices with the line and reason of every row that cannot be used, AmbiguousDates
    where `order` is needed, InvalidInput for what is no such file.
    """
    ticker = as_symbol(symbol)
    require_size(name, len(content))
    found = read_bytes(name, content, ticker, order)
    if isinstance(found, Actions):
        return _with_actions(database, name, found, ticker)
    interval = found.provenance.interval
    with database.read() as connection:
        before = records.find_series(connection, ticker, interval)
        times = None if before is None else records.bars_of(connection, ticker, interval)["time"]
    lost, effect = 0, f"Saves {counted(len(found.bars), f'{interval} bar')} of {ticker}"
    if before is not None and times is not None:
        lost = int((~times.isin(found.bars.index)).sum())
        reach = f"{times.iloc[0].date()} to {times.iloc[-1].date()}"
        effect += f" in place of the {len(times):,} from {before.source}, {reach}"
        effect += f"; {lost:,} of those {'is' if lost == 1 else 'are'} lost" if lost else ""
    return Import(name, found, f"file {name}", before, lost, f"{effect}.", tuple(findings(found)))


def _with_actions(database: Database, name: str, given: Actions, symbol: str) -> Import:
    with database.read() as connection:
        before = records.find_series(connection, symbol, DAILY)
        stored = None if before is None else price_store.assembled(connection, before)
    if before is None or stored is None:
        raise InvalidInput(
            "prices",
            f"{name} has no bars, and none of {symbol} are stored to put its actions to",
            "fetch or import daily prices first",
        )
    history = replace(
        stored,
        dividends=_over(stored.dividends, given.dividends, "ex_date"),
        splits=_over(stored.splits, given.splits, "date"),
        notes=stored.notes if given.dividends is None else _paid(stored.notes),
    )
    validate(history, f"{symbol} with {name}")
    counts = [
        counted(len(rows), what)
        for rows, what in ((given.dividends, "dividend"), (given.splits, "split"))
        if rows is not None
    ]
    effect = f"Puts {' and '.join(counts)} into the daily prices of {symbol}."
    known = set(findings(stored))
    odd = tuple(one for one in findings(history) if one not in known)
    return Import(name, history, before.source, before, 0, effect, odd, given)


def _paid(notes: tuple[str, ...]) -> tuple[str, ...]:
    """The notes of a series that has its dividends now."""
    return tuple(note for note in notes if not note.endswith(NO_DIVIDENDS))


def _over(stored: pd.DataFrame, given: pd.DataFrame | None, dated: str) -> pd.DataFrame:
    """The stored rows with the given ones, which win on the same date."""
    if given is None or given.empty:
        return stored
    kept = stored[~stored[dated].isin(given[dated])]
    joined = pd.concat([kept, given]) if len(kept) else given
    return joined.sort_values(dated).reset_index(drop=True)


def save(database: Database, looked_at: Import, now: datetime, *, lose: bool = False) -> None:
    """Save a previewed file, all of it at once.

    lose: stored bars that the file lacks may go; else it raises BarsLost where there are any.
    Raises StoredMeanwhile where the preview is outdated.
    """
    if looked_at.lost and not lose:
        raise BarsLost(looked_at)
    history = looked_at.history
    symbol, interval = history.symbol, history.provenance.interval
    with database.write() as connection:
        if records.find_series(connection, symbol, interval) != looked_at.before:
            raise StoredMeanwhile(symbol, interval)
        price_store.replace(connection, history, looked_at.source, now)

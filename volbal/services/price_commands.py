"""`python -m volbal prices …`: one call each, answered in text; and prices for other commands."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from volbal.config import Settings
from volbal.domain.wording import age, few
from volbal.errors import InvalidInput, PriceUnavailable, VolbalError
from volbal.market.files import DateOrder
from volbal.market.model import DAILY, PriceHistory
from volbal.services import market_data, price_import
from volbal.services.market_data import Coverage
from volbal.storage.database import Database
from volbal.storage.session import opened

PATIENCE: Final = 2.0
"""Seconds that a program which holds the records gets before a command is refused at its start.
One that looks at them is gone by then; a running volbal holds them as long as it runs."""

UNSEEN: Final = "more, to be seen under Checks on the Data page."


@contextlib.contextmanager
def _changing(settings: Settings) -> Iterator[Database]:
    """The records, open and free to be written: found out before anything is fetched or read."""
    with opened(settings) as database:
        database.require_writable(min(PATIENCE, settings.busy_timeout))
        yield database


def known_history(settings: Settings, symbol: str, interval: str) -> tuple[PriceHistory, str]:
    """Stored prices, else bundled ones; and why the stored ones could not be looked at, if so.

    Makes no records where there are none. Raises PriceUnavailable.
    """
    problem = ""
    if settings.database.exists():
        database = Database(settings.database, timeout=settings.busy_timeout)
        try:
            database.open()
        except VolbalError as error:
            problem = f"Only bundled prices were looked at. {error}"
        else:
            with contextlib.closing(database):
                return market_data.history(database, symbol, interval), ""
    if interval != DAILY:
        raise PriceUnavailable(
            f"There are no {interval} prices of {symbol} here: fetch them with "
            f"python -m volbal prices refresh {symbol} --interval {interval}. {problem}".rstrip()
        )
    return market_data.BUNDLED.history(symbol), problem


def list_text(settings: Settings, now: datetime) -> list[list[str]]:
    """Every series as a row of texts, the header first."""
    with opened(settings) as database:
        found = market_data.coverage(database)
    header = [
        "Symbol",
        "Interval",
        "First",
        "Last",
        "Bars",
        "Missing",
        "Dividends",
        "Age",
        "Source",
    ]
    return [header, *(_row(one, now) for one in found)]


def _row(one: Coverage, now: datetime) -> list[str]:
    return [
        one.symbol,
        one.interval,
        str(one.first_date),
        str(one.last_date),
        f"{one.bars:,}",
        f"{len(one.gaps):,}",
        f"{one.dividends:,}",
        age(one.ends_at, now),
        one.source,
    ]


def refreshed(
    settings: Settings, symbols: Sequence[str], interval: str
) -> Iterator[tuple[str, bool]]:
    """Fetch each symbol, or all whose bars of `interval` were fetched before.

    Of each a sentence, and whether it failed.

    Ends at the first one where Yahoo cannot be asked at all.
    Raises DatabaseBusy where the records cannot be written, before anything is fetched.
    """
    from volbal.market.yahoo import Offline, RateLimited

    yahoo = market_data.yahoo()
    with _changing(settings) as database:
        fetched = market_data.fetched_series(database)
        names = symbols or [symbol for symbol, spacing in fetched if spacing == interval]
        if not names:
            raise InvalidInput(
                "symbols", f"no {interval} prices were fetched before", "name one, such as KO"
            )
        for done, name in enumerate(names):
            now = datetime.now(UTC)
            try:
                told = market_data.refresh(database, yahoo, name, interval, now)
            except (Offline, RateLimited) as error:
                left = market_data.fallback(database, names[done:], interval, now)
                yield f"{error} {left}", True
                return
            except (PriceUnavailable, InvalidInput) as error:
                yield str(error), True
            else:
                yield told.sentence, False
                yield from ((f"  {finding}", False) for finding in few(told.findings, UNSEEN))


def import_text(
    settings: Settings, file: Path, symbol: str, order: DateOrder | None, *, lose: bool
) -> str:
    """Save a price file and say what was saved; `lose`: also where stored bars are not in it."""
    if not file.is_file():
        raise InvalidInput("prices", f"there is no file {file}", "name an existing file")
    with _changing(settings) as database:
        looked_at = price_import.preview(database, file.name, file.read_bytes(), symbol, order)
        price_import.save(database, looked_at, datetime.now(UTC), lose=lose)
    notes = (f"  {note[:1].upper()}{note[1:]}." for note in looked_at.history.notes)
    odd = (f"  {one}" for one in few([one.sentence for one in looked_at.findings], UNSEEN))
    return "\n".join([looked_at.outcome, *notes, *odd])


def delete_text(settings: Settings, symbol: str, interval: str = DAILY) -> str:
    """Forget a stored series and say so."""
    with _changing(settings) as database:
        return market_data.delete(database, symbol, interval)

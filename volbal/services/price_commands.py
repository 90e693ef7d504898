"""`python -m volbal prices …`: one call each, answered in text; and prices for other commands."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from volbal.config import Settings
from volbal.errors import InvalidInput, PriceUnavailable, VolbalError
from volbal.market.files import DateOrder
from volbal.market.model import DAILY, PriceHistory
from volbal.services import market_data, price_import
from volbal.services.market_data import Coverage
from volbal.storage.database import Database
from volbal.storage.session import opened


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


def list_text(settings: Settings, today: date) -> list[list[str]]:
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
    return [header, *(_row(one, today) for one in found)]


def _row(one: Coverage, today: date) -> list[str]:
    return [
        one.symbol,
        one.interval,
        str(one.first_date),
        str(one.last_date),
        f"{one.bars:,}",
        f"{len(one.gaps):,}",
        f"{one.dividends:,}",
        f"{one.age(today):,} days",
        one.source,
    ]


def refreshed(
    settings: Settings, symbols: Sequence[str], interval: str
) -> Iterator[tuple[str, bool]]:
    """Fetch each symbol, or all that were fetched before: a sentence, and whether it failed.

    Ends at the first one where Yahoo cannot be asked at all.
    """
    from volbal.market.yahoo import Offline, RateLimited

    yahoo = market_data.yahoo()
    with opened(settings) as database:
        names = symbols or market_data.fetched_symbols(database, interval)
        if not names:
            raise InvalidInput("symbols", "none was fetched before", "name one, such as KO")
        for name in names:
            try:
                told = market_data.refresh(database, yahoo, name, interval, datetime.now(UTC))
            except (PriceUnavailable, InvalidInput) as error:
                yield str(error), True
                if isinstance(error, Offline | RateLimited):
                    return
            else:
                yield told.sentence, False
                yield from ((f"  {finding}", False) for finding in told.findings)


def import_text(settings: Settings, file: Path, symbol: str, order: DateOrder | None) -> str:
    """Save a price file and say what was saved."""
    if not file.is_file():
        raise InvalidInput("prices", f"there is no file {file}", "name an existing file")
    with opened(settings) as database:
        looked_at = price_import.preview(database, file.name, file.read_bytes(), symbol, order)
        price_import.save(database, looked_at, datetime.now(UTC))
    notes = (f"  {note[:1].upper()}{note[1:]}." for note in looked_at.history.notes)
    odd = (f"  {finding.sentence}" for finding in looked_at.findings)
    return "\n".join([looked_at.effect, *notes, *odd])


def delete_text(settings: Settings, symbol: str, interval: str = DAILY) -> str:
    """Forget a stored series and say so."""
    with opened(settings) as database:
        market_data.delete(database, symbol, interval)
    return f"The {interval} prices of {symbol.strip().upper()} are deleted."

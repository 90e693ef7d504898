"""The sample portfolio: positions over bundled prices, lived through by the real services.

It is labelled everywhere and the only thing that can be deleted: the ledger of every other
position is append-only for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from volbal.domain import entries
from volbal.domain.configuration import Configuration
from volbal.domain.policy import PRESETS
from volbal.market.sessions import EXCHANGE, exchange_date
from volbal.services import autopilot, market_data, positions
from volbal.services.autopilot import Bar
from volbal.storage import records
from volbal.storage.database import Database

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One position of the sample: an amount of which half is in stock at the first close."""

    symbol: str
    preset: str
    capital: Decimal


BEGINS: Final = date(2023, 4, 3)
CELLS: Final = (
    Cell("AAPL", "standard", Decimal(10_000)),
    Cell("AMZN", "aggressive", Decimal(8_000)),
    Cell("GOOG", "conservative", Decimal(12_000)),
)


def finish_removal(database: Database) -> None:
    """Finish a removal that was cut off; nothing where none was."""
    with database.read() as connection:
        is_going = any(records.samples(connection).values())
    if is_going:
        remove(database)


def add(database: Database, now: datetime, progress: Progress | None = None) -> None:
    """Open the sample and let its autopilots live through the bundled prices.

    Again adds nothing, and finishes what was cut off. progress: called with the part done, to 1.
    """
    for number, cell in enumerate(CELLS):
        position_id = _opened(database, cell)
        bars = autopilot.missed(database, position_id, now)
        with database.write() as connection:  # a hundred of them would take much longer
            for done, bar in enumerate(bars, 1):
                autopilot.live_through(connection, position_id, bar)
                if progress is not None:
                    progress((number + done / len(bars)) / len(CELLS))


def _opened(database: Database, cell: Cell) -> int:
    """The number of the cell's position, opened where it is not there yet."""
    first = _first_bar(cell.symbol)
    at = first.closed_at
    quantity, cash = positions.bought(cell.capital, Decimal("0.5"), first.close, 0)
    opening = entries.opening(exchange_date(at), quantity, cash, first.close)
    configuration = Configuration(PRESETS[cell.preset])
    with database.write() as connection:
        samples = records.samples(connection)
        for known in records.all_positions(connection):
            if known.position_id in samples and known.ticker == cell.symbol:
                return known.position_id
        position = positions.opened(connection, cell.symbol, opening, configuration, "sample", at)
        records.insert_sample(connection, position.position_id)
        autopilot.switched(connection, position.position_id, True, at)
        return position.position_id


def _first_bar(symbol: str) -> Bar:
    history = market_data.BUNDLED.history(symbol)
    begins = datetime.combine(BEGINS, time(), EXCHANGE)
    return next(autopilot.bars_after(history, begins, begins + timedelta(days=7)))


def remove(database: Database) -> None:
    """Delete the sample's positions with all that is theirs, and nothing else.

    Three transactions, as DuckDB lets no row go together with one that refers to it; one that is
    cut off is finished by `finish_removal`.
    """
    with database.lease():
        for step in (
            records.begin_removing_samples,
            records.remove_from_samples,
            records.finish_removing_samples,
        ):
            with database.write() as connection:
                step(connection)

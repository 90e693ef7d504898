"""A large book: 50 positions over real prices, 10,000 events, made by the real services.

`build` has every event recorded by them, in about a minute:

    PYTHONPATH=. python tests/large.py FILE.duckdb

`build_quickly` is for tests: five sessions by the services, then their log once more for every
following week, as copies of the rows. Its ledger is short, its log as long as the real one's.
"""

import sys
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from books import DAY, carried_out, opened

from volbal.domain.configuration import Configuration
from volbal.domain.ledger import Refused
from volbal.domain.money import PRICE, from_float
from volbal.domain.policy import PRESETS
from volbal.market.bundled import BundledPrices
from volbal.market.model import PriceHistory
from volbal.services import income, positions, settings, trading
from volbal.storage.database import Database

POSITIONS = 50
EVENTS = 10_000
FIRST, LAST = date(2014, 2, 3), date(2014, 12, 31)  # three stocks go ex in the first week
NEW_YORK = ZoneInfo("America/New_York")


def build(path: Path) -> None:
    """Every session each position is evaluated and carried out, until EVENTS are recorded."""
    with opened(path) as database:
        for _ in _lived(database):
            if _events(database) >= EVENTS:
                return


def build_quickly(path: Path) -> None:
    """Five sessions, and their log repeated."""
    with opened(path) as database:
        for _ in islice(_lived(database), 5):
            pass
        with database.write() as connection:
            connection.execute(
                """
                insert into events (position_id, happened_at, type, inputs, outputs, sentence)
                select position_id, happened_at + to_weeks(week), type, inputs, outputs, sentence
                from events, range(1, 100) as later(week)
                where type not in ('opened', 'dividend_announced')
                order by week, event_id
                limit greatest(? - (select count(*) from events), 0)
                """,
                [EVENTS],
            )


def _lived(database: Database) -> Iterator[date]:
    """The sessions of the book, each lived through when it is asked for."""
    source = BundledPrices()
    histories = {symbol: source.history(symbol).between(FIRST, LAST) for symbol in source.symbols()}
    cells = _open(database, histories)
    for number, session in enumerate(histories["AAPL"].bars.index):
        moment = datetime.combine(session.date(), time(16), NEW_YORK)
        for position_id, symbol in cells.items():
            carried_out(database, position_id, _close(histories[symbol], number), moment)
        _by_hand(database, list(cells), number, moment)
        yield session.date()


def _close(history: PriceHistory, number: int) -> Decimal:
    return from_float(PRICE, float(history.bars["close"].iloc[number]))


def _open(database: Database, histories: dict[str, PriceHistory]) -> dict[int, str]:
    """Positions of every symbol and preset in turn, with the dividends to come announced."""
    symbols, presets = list(histories), list(PRESETS.values())
    moment = datetime.combine(FIRST, time(12), NEW_YORK)
    cells: dict[int, str] = {}
    for number in range(POSITIONS):
        symbol = symbols[number % len(symbols)]
        history = histories[symbol]
        price = _close(history, 0)
        made = positions.open_position(
            database,
            symbol,
            quantity=Decimal(5000 + 100 * number) // price,
            cash=5000,
            anchor_price=price,
            configuration=Configuration(presets[number % len(presets)]),
            now=moment,
        )
        cells[made.position_id] = symbol
        for ex_at, amount in zip(
            history.dividends["ex_date"], history.dividends["amount"], strict=True
        ):
            income.announce(
                database,
                made.position_id,
                ex_on=ex_at.date(),
                per_share=from_float(PRICE, float(amount)),
                pay_on=(ex_at + 21 * DAY).date() if number % 4 else None,
                now=moment,
            )
    return cells


def _by_hand(database: Database, cells: list[int], number: int, now: datetime) -> None:
    """What people do besides: money in and out, other settings, a cancelled and a refused order."""
    position_id = cells[number % len(cells)]
    match number % 5:
        case 0:
            positions.deposit(database, position_id, amount=500, now=now)
        case 1:
            positions.withdraw(database, position_id, amount=250, now=now)
        case 2:
            settings.configure(
                database, position_id, {"trigger_threshold": 0.04}, by="user", now=now
            )
        case 3:
            made = trading.submit(
                database, position_id, key=f"resting {number}", side="BUY", quantity=5, now=now
            )
            trading.cancel(database, made.order.order_id, now, "changed my mind")
        case 4:
            made = trading.submit(
                database,
                position_id,
                key=f"too many {number}",
                side="SELL",
                quantity=10**6,
                now=now,
            )
            try:
                trading.fill(
                    database, made.order.order_id, price=1, quantity=10**6, key="broker", now=now
                )
            except Refused:
                trading.reject(database, made.order.order_id, "not enough shares", now)


def _events(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute("select event_id from events").fetchall())


if __name__ == "__main__":
    build(Path(sys.argv[1]))

"""Use cases of a position: open, close, money and shares by hand, splits, what it has earned.

`now` is the moment of the call, aware. Refusals leave one `refused` event and nothing else;
every other error leaves nothing at all.
"""

from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final

from volbal.domain import entries, orders
from volbal.domain.configuration import Configuration
from volbal.domain.ledger import EMPTY, Entry, fold
from volbal.domain.money import (
    EXACT,
    MONEY,
    NO_MONEY,
    PRICE,
    SHARES,
    Number,
    divided,
    from_float,
    multiplied,
    not_negative,
    parsed,
    plain,
    positive,
    round_to,
    whole_lots,
)
from volbal.domain.orders import OrderOpen
from volbal.domain.performance import Performance, Valuation, performance
from volbal.domain.position import Position
from volbal.domain.wording import money, price, share_count, shares
from volbal.errors import InvalidInput
from volbal.market.model import DAILY, as_symbol
from volbal.market.sessions import exchange_date
from volbal.services import book, income, settings
from volbal.services.book import Attempt, Since
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import Event, StoredEntry

FINEST_SHARE: Final = Decimal("0.000001")
"""Fractions of a share as brokers count them."""


def open_position(
    database: Database,
    ticker: str,
    *,
    quantity: Number = 0,
    cash: Number = 0,
    anchor_price: Number | None = None,
    configuration: Configuration | None = None,
    by: str = "user",
    now: datetime,
) -> Position:
    """A new position with shares and cash; a ticker may have several. Raises InvalidInput."""
    symbol = as_symbol(ticker, "ticker")
    opened_with = entries.opening(
        exchange_date(now),
        not_negative("qty", quantity, SHARES),
        not_negative("cash", cash, MONEY),
        None if anchor_price is None else positive("anchor_price", anchor_price, PRICE),
    )
    chosen = configuration or Configuration()
    with database.write() as connection:
        return opened(connection, symbol, opened_with, chosen, by, now)


def opened(
    connection: Connection,
    ticker: str,
    opened_with: Entry,
    configuration: Configuration,
    by: str,
    now: datetime,
) -> Position:
    """`open_position` within a unit of work."""
    position_id = records.insert_position(connection, ticker, now, configuration)
    settings.record(connection, position_id, configuration, by, "opened", now)
    position = book.position(connection, position_id)
    position, entry_id = book.post(connection, position, opened_with, now)
    flow = -opened_with.legs.external
    book.value(connection, position, now, opened_with.price, Since(flow))
    book.tell(
        connection,
        position_id,
        now,
        "opened",
        f"Opened with {share_count(opened_with.quantity)} of {ticker} and "
        f"{money(opened_with.legs.cash)} in cash.",
        {"ticker": ticker, "anchor_price": opened_with.price},
        {"entry_id": entry_id},
    )
    return position


def draft(
    ticker: str,
    quantity: Number,
    cash: Number,
    price: Number,
    configuration: Configuration,
    now: datetime,
) -> Position:
    """The position that `open_position` would make with this anchor price; nothing is recorded.

    Raises InvalidInput.
    """
    opened_with = entries.opening(
        exchange_date(now),
        not_negative("qty", quantity, SHARES),
        not_negative("cash", cash, MONEY),
        positive("anchor_price", price, PRICE),
    )
    return Position(0, as_symbol(ticker, "ticker"), now, fold(EMPTY, opened_with), configuration)


def bought(
    capital: Number, stock_share: Number, price: Number, lot_size: Number
) -> tuple[Decimal, Decimal]:
    """Shares and cash that `capital` makes at `price`, without a fee; whole lots where there are.

    stock_share: the part of it meant for shares, in [0, 1]. Raises InvalidInput.
    """
    amount, share = positive("capital", capital, MONEY), parsed("stock_share", stock_share, SHARES)
    at, lot = positive("price", price, PRICE), not_negative("lot_size", lot_size, SHARES)
    if not 0 <= share <= 1:
        raise InvalidInput(
            "stock_share",
            f"{stock_share} is out of range",
            "allowed: in [0, 1] (fractions: 0.5 is 50 %)",
        )
    quantity = EXACT.divide(EXACT.multiply(amount, share), at)
    fine = quantity.quantize(FINEST_SHARE, ROUND_DOWN, context=EXACT)
    held = whole_lots(quantity, lot) if lot > 0 else round_to(SHARES, fine)
    return held, amount - multiplied(MONEY, held, at)


def find_position(database: Database, position_id: int) -> Position:
    """Raises PositionNotFound."""
    with database.read() as connection:
        return book.position(connection, position_id)


def list_positions(database: Database) -> list[Position]:
    """All, archived ones included, oldest first."""
    with database.read() as connection:
        return records.all_positions(connection)


def close_position(database: Database, position_id: int, now: datetime) -> Position:
    """Archive it as it is, its autopilot off. Raises PositionNotFound, PositionClosed, OrderOpen.

    Left on, the autopilot would trade the days of the archive once the position is reopened.
    """
    with book.unit_of_work(database, Attempt("close", now, position_id, {})) as connection:
        position = book.open_position(connection, position_id)
        _require_no_open_order(connection, position_id, "closing the position")
        position, entry_id = book.post(
            connection, position, entries.closing(exchange_date(now)), now
        )
        autopilot = records.find_autopilot(connection, position_id)
        ran_itself = autopilot is not None and autopilot.is_on
        if ran_itself:
            records.store_autopilot(connection, position_id, False, now)
        sentence = (
            f"Position {position_id} ({position.ticker}) is closed and archived"
            f"{'; its paper autopilot is off' if ran_itself else ''}."
        )
        book.tell(connection, position_id, now, "closed", sentence, {}, {"entry_id": entry_id})
        return position


def reopen_position(database: Database, position_id: int, now: datetime) -> Position:
    """Use an archived position again; an open one stays as it is. Raises PositionNotFound."""
    with database.write() as connection:
        position = book.position(connection, position_id)
        if position.balance.is_open:
            return position
        position, entry_id = book.post(
            connection, position, entries.reopening(exchange_date(now)), now
        )
        sentence = f"Position {position_id} ({position.ticker}) is open again."
        book.tell(connection, position_id, now, "reopened", sentence, {}, {"entry_id": entry_id})
        return position


def deposit(
    database: Database, position_id: int, amount: Number, now: datetime, key: str | None = None
) -> Position:
    """Money in; never profit. Without an accepted price the last stored close values it.

    With a key it happens once. Raises PositionNotFound, PositionClosed, InvalidInput,
    IdempotencyConflict.
    """
    paid = positive("amount", amount, MONEY)
    used = None if key is None else orders.key(key)
    attempt = Attempt("deposit", now, position_id, {"amount": paid, "key": used})
    with book.unit_of_work(database, attempt) as connection:
        if not _is_first(connection, position_id, used, "deposit", paid):
            return book.position(connection, position_id)
        position = book.open_position(connection, position_id)
        entry = entries.deposit(paid, exchange_date(now))
        sentence = f"{money(paid)} deposited."
        return _move(
            connection, position, entry, "deposit", sentence, _close(connection, position), now
        )


def withdraw(
    database: Database, position_id: int, amount: Number, now: datetime, key: str | None = None
) -> Position:
    """Money out; never loss. Without an accepted price the last stored close values it.

    With a key it happens once. Raises PositionNotFound, PositionClosed, InvalidInput,
    InsufficientCash, IdempotencyConflict.
    """
    paid = positive("amount", amount, MONEY)
    used = None if key is None else orders.key(key)
    attempt = Attempt("withdrawal", now, position_id, {"amount": paid, "key": used})
    with book.unit_of_work(database, attempt) as connection:
        if not _is_first(connection, position_id, used, "withdrawal", paid):
            return book.position(connection, position_id)
        position = book.open_position(connection, position_id)
        entry = entries.withdrawal(position.balance, paid, exchange_date(now))
        sentence = f"{money(paid)} withdrawn."
        return _move(
            connection, position, entry, "withdrawal", sentence, _close(connection, position), now
        )


def _is_first(
    connection: Connection, position_id: int, key: str | None, kind: str, amount: Decimal
) -> bool:
    """Take the key for this deposit or withdrawal; False where it stands for it already.

    Raises PositionNotFound, IdempotencyConflict.
    """
    if key is None:
        return True
    book.position(connection, position_id)
    known = records.find_transfer(connection, position_id, key)
    if known is None:
        records.insert_transfer_key(connection, position_id, key, kind, amount)
        return True
    first, second = (f"{one[0]} of {plain(one[1])}" for one in (known, (kind, amount)))
    orders.require_same(key, (first, first), (second, second))
    return False


def adjust(
    database: Database,
    position_id: int,
    *,
    quantity: Number = 0,
    cash: Number = 0,
    price: Number | None = None,
    note: str,
    now: datetime,
) -> Position:
    """Correct shares and cash (differences, may be < 0) to what the broker shows.

    price: of the shares; the last accepted one if left out. Raises PositionNotFound,
    PositionClosed, InvalidInput, InsufficientCash, InsufficientShares.
    """
    by = parsed("qty", quantity, SHARES)
    amount = parsed("cash", cash, MONEY)
    given = None if price is None else positive("price", price, PRICE)
    if not note.strip():
        raise InvalidInput("note", "it is blank", "say why the position is adjusted")
    if by == 0 and amount == 0:
        raise InvalidInput("qty", "nothing changes", "give a quantity or cash other than 0")
    inputs = {"quantity": by, "cash": amount, "price": given, "note": note}
    attempt = Attempt("adjustment", now, position_id, inputs)
    with book.unit_of_work(database, attempt) as connection:
        position = book.open_position(connection, position_id)
        at = given if given is not None else position.reference_price
        day = exchange_date(now)
        entry = entries.adjustment(position.balance, by, amount, at, day)
        sentence = f"Adjusted by {share_count(by)} and {money(amount)} in cash: {note}"
        return _move(connection, position, entry, "adjustment", sentence, at, now)


def _close(connection: Connection, position: Position) -> Decimal | None:
    """The last stored close of the position's stock."""
    bar = records.last_bar(connection, position.ticker, DAILY)
    return None if bar is None else from_float(PRICE, bar[1])


def _move(
    connection: Connection,
    position: Position,
    entry: Entry,
    kind: str,
    sentence: str,
    fallback: Decimal | None,
    now: datetime,
) -> Position:
    """Post an entry that brings in or takes out, valued at the last accepted price."""
    at = position.last_price if position.last_price is not None else fallback
    opened = NO_MONEY
    if at is not None:
        position, opened = book.price_opening_shares(connection, position, at, now, entry.on)
    position, entry_id = book.post(connection, position, entry, now)
    book.value(connection, position, now, at, Since(opened - entry.legs.external))
    inputs = {"cash": entry.legs.cash, "quantity": entry.quantity, "price": entry.price}
    outputs = {"entry_id": entry_id, "cash": position.balance.cash, "valued_at": at}
    book.tell(connection, position.position_id, now, kind, sentence, inputs, outputs)
    return position


def set_anchor(
    database: Database, position_id: int, anchor_price: Number, now: datetime
) -> Position:
    """Set the anchor by hand. Raises PositionNotFound, PositionClosed, InvalidInput."""
    anchor = positive("anchor_price", anchor_price, PRICE)
    with database.write() as connection:
        position = book.open_position(connection, position_id)
        before = position.balance.anchor
        position, entry_id = book.post(
            connection, position, entries.anchor(anchor, exchange_date(now)), now
        )
        moved = f"from {price(before)} " if before is not None else ""
        book.tell(
            connection,
            position_id,
            now,
            "anchor",
            f"The anchor is moved {moved}to {price(anchor)} by hand.",
            {"anchor_price": anchor},
            {"entry_id": entry_id, "before": before},
        )
        return position


def split(
    database: Database, position_id: int, new: Number, old: Number, now: datetime
) -> Position:
    """`new` shares for `old` ones, 7 for 1 or 1 for 10; dividends due before it come first.

    Raises PositionNotFound, PositionClosed, InvalidInput, OrderOpen.
    """
    issued, given = positive("new_shares", new, SHARES), positive("old_shares", old, SHARES)
    inputs = {"new_shares": issued, "old_shares": given}
    attempt = Attempt("split", now, position_id, inputs)
    with book.unit_of_work(database, attempt) as connection:
        return was_split(connection, position_id, issued, given, exchange_date(now), now)


def was_split(
    connection: Connection,
    position_id: int,
    issued: Decimal,
    given: Decimal,
    day: date,
    now: datetime,
) -> Position:
    """`split` of `day` within a unit of work: `issued` shares for `given` ones, both > 0."""
    position = book.open_position(connection, position_id)
    _require_no_open_order(connection, position_id, "recording a split")
    due_by = income.Day(day, position.last_price)
    position, dividend = income.work_off(connection, position, due_by, now)
    entry = entries.split(position.balance, issued, given, day)
    position, entry_id = book.post(connection, position, entry, now)
    position = _split_last_price(connection, position, issued, given, day)
    ratio = divided(SHARES, issued, given)
    per_new_share = divided(PRICE, dividend, ratio)
    since = Since(dividend=per_new_share, split=ratio)
    book.value(connection, position, now, position.last_price, since)
    sentence = (
        f"Split {shares(issued)} for {shares(given)}: {share_count(position.balance.quantity)} now."
    )
    outputs = {"entry_id": entry_id, "quantity": position.balance.quantity}
    inputs = {"new_shares": issued, "old_shares": given}
    book.tell(connection, position_id, now, "split", sentence, inputs, outputs)
    return position


def _split_last_price(
    connection: Connection, position: Position, new: Decimal, old: Decimal, day: date
) -> Position:
    """The last price in shares after the split; one made after `day` is in them already."""
    price, made_at = position.last_price, position.last_price_at
    if price is None or made_at is None or exchange_date(made_at) > day:
        return position
    after = entries.price_after_split(price, new, old)
    records.store_price(connection, position.position_id, after, made_at)
    return replace(position, last_price=after)


def returns(database: Database, position_id: int) -> Performance:
    """Time-weighted, money-weighted, and against the stock. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return performance(records.valuations_of(connection, position_id))


def ledger(database: Database, position_id: int) -> list[StoredEntry]:
    """Every line of its ledger, oldest first. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.entries_of(connection, position_id)


def valuations(database: Database, position_id: int) -> list[Valuation]:
    """What it was worth, oldest first. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.valuations_of(connection, position_id)


def events(database: Database, position_id: int, limit: int = 1000) -> list[Event]:
    """The "why" log, newest first. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.events_of(connection, position_id, limit)


def _require_no_open_order(connection: Connection, position_id: int, what: str) -> None:
    """Raises OrderOpen."""
    still_open = next(
        (one for one in records.orders_of(connection, position_id) if one.is_open), None
    )
    if still_open is not None:
        raise OrderOpen(still_open.order_id, what)

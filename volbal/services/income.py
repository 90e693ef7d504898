"""Use cases of dividends: announce or take back, accrue on the ex-date, pay. Each step once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from volbal.domain import dividends
from volbal.domain.dividends import Dividend, DividendState
from volbal.domain.ledger import Balance, Entry, equity, fold
from volbal.domain.money import (
    EXACT,
    MONEY,
    NO_SHARES,
    PRICE,
    ZERO,
    Number,
    plain,
    positive,
    round_to,
)
from volbal.domain.position import Position
from volbal.domain.wording import money, price, share_count
from volbal.errors import InvalidInput, VolbalError
from volbal.market.sessions import exchange_date
from volbal.services import book
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import DividendAccrual


class DividendNotFound(VolbalError):
    """No dividend has this number."""

    code = "dividend_not_found"

    def __init__(self, dividend_id: int) -> None:
        super().__init__(
            f"There is no dividend {dividend_id}; list the position's dividends to see them."
        )


@dataclass(frozen=True, slots=True)
class Due:
    """A dividend step whose day has come, as the entry that will record it.

    held: shares at the close before the ex-date; None for a payment. splits: new shares per share
    of that close, by splits in the ledger.
    """

    dividend: Dividend
    entry: Entry
    held: Decimal | None = None
    splits: Decimal = dividends.ONE


@dataclass(frozen=True, slots=True)
class Day:
    """What dividends are worked off by: an exchange-local date and, if known, its price."""

    on: date
    price: Decimal | None


def announce(
    database: Database,
    position_id: int,
    *,
    ex_on: date,
    per_share: Number,
    pay_on: date | None = None,
    now: datetime,
) -> Dividend:
    """Expect a dividend: gross per share on its ex-date, specials of that date included.

    Announcing the same again changes nothing; another amount or pay date corrects it until the
    ex-date has been worked off. Without a pay date it is paid when `pay` says so. Raises
    PositionNotFound, PositionClosed, InvalidInput.
    """
    amount = positive("per_share", per_share, PRICE)
    if pay_on is not None and pay_on < ex_on:
        raise InvalidInput("pay_on", f"{pay_on} is before {ex_on}", "pay on or after the ex-date")
    with database.write() as connection:
        return announced(connection, position_id, ex_on, amount, pay_on, now)


def require_held(position: Position, ex_on: date) -> None:
    """Refuse an ex-date for which `position` can have held nothing. Raises InvalidInput."""
    opened_on = exchange_date(position.opened_at)
    if ex_on <= opened_on:
        raise InvalidInput(
            "ex_on",
            f"the position was opened on {opened_on}, so a dividend of {ex_on} pays it nothing",
            f"allowed: after {opened_on}; deposit what the broker pays for earlier shares",
        )


def announced(
    connection: Connection,
    position_id: int,
    ex_on: date,
    amount: Decimal,
    pay_on: date | None,
    now: datetime,
) -> Dividend:
    """`announce` within a unit of work: `amount` per share > 0, pay_on not before ex_on."""
    position = book.open_position(connection, position_id)
    _require_room(position, amount)
    known = records.find_dividend_on(connection, position_id, ex_on)
    if known is not None and (known.per_share, known.pay_on) == (amount, pay_on):
        return known
    dividend_id = _announced(connection, position_id, known, ex_on, pay_on, amount)
    book.tell(
        connection,
        position_id,
        now,
        "dividend_announced",
        f"A dividend of {price(amount)} per share of {position.ticker} goes ex on {ex_on}"
        f"{f' and is paid on {pay_on}' if pay_on else '; its pay date is not known'}.",
        {"ex_on": ex_on, "pay_on": pay_on, "per_share": amount},
        {"dividend_id": dividend_id},
    )
    return find(connection, dividend_id)


def _require_room(position: Position, per_share: Decimal) -> None:
    """Refuse a dividend that would be more money than the ledger holds. Raises InvalidInput."""
    balance, at = position.balance, position.reference_price
    held = max(balance.quantity, Decimal(1))
    room = MONEY.limit - equity(balance, at if at is not None else ZERO)
    if EXACT.multiply(held, per_share) >= room:
        raise InvalidInput(
            "per_share",
            f"{plain(per_share)} on {share_count(held)} is more than the ledger holds",
            f"allowed: below {price(EXACT.divide(room, held))}",
        )


def withdraw(database: Database, dividend_id: int, now: datetime) -> Dividend:
    """Take back an announcement that nothing has come of yet; returns what it was.

    Raises DividendNotFound, InvalidInput once its ex-date has been worked off.
    """
    with database.write() as connection:
        dividend = find(connection, dividend_id)
        if dividend.state is not DividendState.ANNOUNCED:
            raise InvalidInput(
                "dividend",
                f"the one of {dividend.ex_on} is {dividend.state} already",
                "record the difference as an adjustment",
            )
        records.delete_dividend(connection, dividend_id)
        book.tell(
            connection,
            dividend.position_id,
            now,
            "dividend_withdrawn",
            f"The announcement of {price(dividend.per_share)} per share with ex-date "
            f"{dividend.ex_on} is withdrawn.",
            {"dividend_id": dividend_id},
            {"ex_on": dividend.ex_on, "per_share": dividend.per_share},
        )
        return dividend


def _announced(
    connection: Connection,
    position_id: int,
    known: Dividend | None,
    ex_on: date,
    pay_on: date | None,
    per_share: Decimal,
) -> int:
    if known is None:
        return records.insert_dividend(connection, position_id, ex_on, pay_on, per_share)
    if known.state is DividendState.PAID or (
        known.per_share != per_share and known.net is not None
    ):
        raise InvalidInput(
            "ex_on",
            f"the dividend of {ex_on} is {known.state} with {price(known.per_share)} per share",
            "record the difference as an adjustment",
        )
    records.store_announcement(connection, known.dividend_id, pay_on, per_share)
    return known.dividend_id


def pay(database: Database, dividend_id: int, now: datetime) -> Dividend:
    """The broker paid: the receivable becomes cash, once; again changes nothing.

    Raises DividendNotFound, DividendNotAccrued.
    """
    with database.write() as connection:
        dividend = find(connection, dividend_id)
        if dividend.state is not DividendState.PAID:
            paid(connection, dividend, exchange_date(now), now)
        return find(connection, dividend_id)


def paid(
    connection: Connection, dividend: Dividend, day: date, now: datetime, assumed: str = ""
) -> None:
    """`pay` within a unit of work. assumed: the day, where nobody knows it. Not paid yet."""
    position = book.position(connection, dividend.position_id)
    _store(connection, position, Due(dividend, dividends.payment(dividend, day)), now, assumed)


def accrue(database: Database, position_id: int, now: datetime) -> list[Dividend]:
    """Work off what is due by today without asking the rule; returns what has moved.

    Raises PositionNotFound, PositionClosed.
    """
    with database.write() as connection:
        position = book.open_position(connection, position_id)
        today = Day(exchange_date(now), position.last_price)
        steps: list[Due] = []
        while waiting := list(due(connection, position, today)):  # accrued ones may be paid too
            for step in waiting:
                position = _store(connection, position, step, now)
            steps += waiting
        moved = dict.fromkeys(step.dividend.dividend_id for step in steps)
        per_share = net_per_share(steps, position)
        if steps:
            since = book.Since(dividend=per_share)
            book.value(connection, position, now, position.last_price, since)
        return [find(connection, dividend_id) for dividend_id in moved]


def list_dividends(database: Database, position_id: int) -> list[Dividend]:
    """By ex-date. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.dividends_of(connection, position_id)


def work_off(
    connection: Connection, position: Position, day: Day, now: datetime
) -> tuple[Position, Decimal]:
    """Payments, then ex-dates that are due by `day` (SPEC's order of work at a tick).

    Returns the position after them and the net dividend per share that went ex.
    """
    steps = list(due(connection, position, day))
    for step in steps:
        position = _store(connection, position, step, now)
    return position, net_per_share(steps, position)


def due(connection: Connection, position: Position, day: Day) -> Iterator[Due]:
    """What `work_off` would record, each step on the balance that the one before leaves."""
    waiting = records.unpaid_dividends(connection, position.position_id, day.on)
    balance = position.balance
    for dividend in dividends.payments_due(waiting, day.on):
        step = Due(dividend, dividends.payment(dividend, day.on))
        balance = fold(balance, step.entry)
        yield step
    for dividend in dividends.accruals_due(waiting, day.on):
        step = _accrual_due(connection, position, balance, dividend, day)
        balance = fold(balance, step.entry)
        yield step


def _accrual_due(
    connection: Connection, position: Position, balance: Balance, dividend: Dividend, day: Day
) -> Due:
    held, splits = records.held_before(connection, position.position_id, dividend.ex_on)
    rate = position.configuration.policy.withholding_rate
    entry = dividends.accrual(
        balance, dividend, held, rate, price=day.price, on=day.on, splits=splits
    )
    return Due(dividend, entry, held, splits)


def net_per_share(steps: list[Due], position: Position) -> Decimal:
    """What went ex among `steps` since the opening, per share of now and net of withholding.

    What had gone ex before is not in the price that it was opened at.
    """
    opened_on = exchange_date(position.opened_at)
    gross = sum(
        (
            EXACT.divide(step.dividend.per_share, step.splits)
            for step in steps
            if step.held is not None and step.dividend.ex_on > opened_on
        ),
        NO_SHARES,
    )
    rate = Decimal(repr(position.configuration.policy.withholding_rate))
    return round_to(PRICE, EXACT.multiply(gross, 1 - rate))


def _store(
    connection: Connection, position: Position, step: Due, now: datetime, assumed: str = ""
) -> Position:
    position, entry_id = book.post(connection, position, step.entry, now)
    if step.held is None:
        _store_payment(connection, position, step, entry_id, now, assumed)
    else:
        _store_accrual(connection, position, step, entry_id, now)
    return position


def _store_payment(
    connection: Connection,
    position: Position,
    step: Due,
    entry_id: int,
    now: datetime,
    assumed: str,
) -> None:
    how = f"counts as paid {assumed}, an assumption as its pay date is not known" if assumed else ""
    records.store_payment(connection, step.dividend.dividend_id, entry_id)
    book.tell(
        connection,
        position.position_id,
        now,
        "dividend_paid",
        f"The dividend of {step.dividend.ex_on} {how or 'is paid'}: {money(step.entry.legs.cash)}.",
        {"dividend_id": step.dividend.dividend_id, "on": step.entry.on},
        {"cash": step.entry.legs.cash, "entry_id": entry_id},
    )


def _store_accrual(
    connection: Connection, position: Position, step: Due, entry_id: int, now: datetime
) -> None:
    legs, held = step.entry.legs, step.held or NO_SHARES
    accrual = DividendAccrual(held, -legs.income, legs.withholding, legs.receivable, entry_id)
    records.store_accrual(connection, step.dividend.dividend_id, accrual)
    moved = step.entry.anchor
    book.tell(
        connection,
        position.position_id,
        now,
        "dividend_accrued",
        f"{position.ticker} went ex on {step.dividend.ex_on}: {share_count(held)} at "
        f"{price(step.dividend.per_share)} are {money(-legs.income)} gross, "
        f"{money(legs.receivable)} net"
        f"{f'; the anchor moves to {price(moved)}' if moved is not None else ''}.",
        {"dividend_id": step.dividend.dividend_id, "held": held, "on": step.entry.on},
        {"net": legs.receivable, "anchor": moved, "entry_id": entry_id},
    )


def find(connection: Connection, dividend_id: int) -> Dividend:
    """The stored dividend; raises DividendNotFound."""
    found = records.find_dividend(connection, dividend_id)
    if found is None:
        raise DividendNotFound(dividend_id)
    return found

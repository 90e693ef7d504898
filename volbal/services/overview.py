"""What an investor looks at first: every position and what the rule would do about it now.

Nothing is recorded here. All positions are read in a handful of statements, however many there
are; only dividends that are due today cost a further one each.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from volbal.domain import guardrails
from volbal.domain.decision import Circumstances, Decision, Reason, decide
from volbal.domain.dividends import Dividend, DividendState
from volbal.domain.ladder import Rung, next_rungs
from volbal.domain.ledger import equity
from volbal.domain.money import NO_MONEY, NO_SHARES, ZERO
from volbal.domain.orders import OrderRecord
from volbal.domain.performance import Performance, Valuation, performance
from volbal.domain.policy import Policy
from volbal.domain.position import Position
from volbal.domain.quotes import Quote
from volbal.domain.wording import price
from volbal.errors import InvalidInput
from volbal.market.sessions import exchange_date
from volbal.services import autopilot, book, market_data, trading
from volbal.services.market_data import SeenPrice
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import WaitingAutopilot

STALE_AFTER: Final = timedelta(days=4)
"""A weekend with a holiday; a price older than this is no ground for an order."""

ON_BOUND: Final = 1e-9
"""A stock share this near a guardrail is on it."""

TRAIL: Final = 60
"""Valuations that a sparkline shows."""


class Concern(StrEnum):
    """Why a position needs a look, most urgent first."""

    TRIGGER_MET = "trigger_met"
    OPEN_ORDER = "open_order"
    SUSPECT_PRICE = "suspect_price"
    UNUSABLE_PRICE = "unusable_price"
    AUTOPILOT_WAITS = "autopilot_waits"
    OUTSIDE_GUARDRAILS = "outside_guardrails"
    DIVIDEND_DUE = "dividend_due"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"


@dataclass(frozen=True, slots=True)
class Row:
    """One position as it stands at the newest price known.

    found: the position as the rule finds it there, with dividends that are due worked off.
    quote, decision: None where no price is known. next_up, next_down: the orders at the nearest
    triggers, None without an anchor. trail: what it was worth, oldest first. dividends:
    announced or accrued ones, by ex-date. runs_itself: its paper autopilot is on; waits_for,
    waits_since: why that does not go on, else empty, and since when. trouble: why the newest
    price, or the position at it, cannot be used, else empty; quote is an older price then, or
    None. concerns: most urgent first.
    """

    position: Position
    found: Position
    quote: Quote | None
    decision: Decision | None
    next_up: Rung | None
    next_down: Rung | None
    open_orders: tuple[OrderRecord, ...]
    performance: Performance
    trail: tuple[float, ...]
    dividends: tuple[Dividend, ...]
    is_sample: bool
    runs_itself: bool
    waits_for: str = ""
    waits_since: datetime | None = None
    trouble: str = ""
    concerns: tuple[Concern, ...] = ()

    @property
    def value(self) -> Decimal | None:
        """V, at the last trusted price where the newest is suspect; None without a price."""
        balance, trusted = self.position.balance, self.position.reference_price
        if self.is_suspect and trusted is not None:
            return equity(balance, trusted)
        if self.decision is not None:
            return self.decision.equity
        return equity(balance, ZERO) if balance.quantity == 0 else None

    @property
    def stock_share(self) -> float | None:
        """w at the price that `value` is at; None where no price is known."""
        balance, trusted = self.position.balance, self.position.reference_price
        if self.is_suspect and trusted is not None:
            return float(guardrails.stock_share(balance, trusted))
        return None if self.decision is None else self.decision.stock_share

    @property
    def is_suspect(self) -> bool:
        return self.decision is not None and self.decision.reason is Reason.SUSPECT_PRICE

    @property
    def received(self) -> Decimal:
        """Net dividends paid so far."""
        return self.found.balance.dividends - self.found.balance.receivable


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over open positions with a price. gain = value − contributed. unpriced: the others."""

    value: Decimal
    stock_value: Decimal
    cash: Decimal
    contributed: Decimal
    gain: Decimal
    received: Decimal
    receivable: Decimal
    unpriced: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Open positions, what needs a look first; archived ones; totals of the open ones."""

    open: tuple[Row, ...]
    archived: tuple[Row, ...]
    totals: Totals


@dataclass(frozen=True, slots=True)
class _Facts:
    """Rows of all positions by their numbers, prices by symbol."""

    valuations: Mapping[int, Sequence[Valuation]]
    open_orders: Mapping[int, Sequence[OrderRecord]]
    orders_today: Mapping[int, int]
    dividends: Mapping[int, Sequence[Dividend]]
    prices: Mapping[str, SeenPrice]
    unusable: Mapping[str, str]
    waiting: Mapping[int, WaitingAutopilot]
    samples: Container[int]
    autopilots: Container[int]


def overview(database: Database, now: datetime) -> Overview:
    """Every position at the newest price known."""
    with database.read() as connection:
        positions = records.all_positions(connection)
        facts = _Facts(
            records.every_valuation(connection),
            records.every_open_order(connection),
            records.every_order_count(connection, exchange_date(now)),
            records.every_unpaid_dividend(connection),
            *_prices(connection, {one.ticker for one in positions}, now),
            records.waiting_autopilots(connection),
            *_labels(connection),
        )
        rows = [_row(connection, position, facts, now) for position in positions]
    held = sorted((one for one in rows if one.position.balance.is_open), key=_urgency)
    archived = (one for one in rows if not one.position.balance.is_open)
    return Overview(tuple(held), tuple(archived), _totals(held))


def _labels(connection: Connection) -> tuple[Container[int], Container[int]]:
    """Positions of the sample, and those that run by themselves."""
    return records.samples(connection), {
        one.position_id for one in records.running_autopilots(connection)
    }


def _prices(
    connection: Connection, symbols: Iterable[str], now: datetime
) -> tuple[dict[str, SeenPrice], dict[str, str]]:
    """The newest price of each symbol that has one, as `market_data.latest_price` gives it.

    And by symbol why the price of others cannot be used.
    """
    quotes, closes = records.every_quote(connection), records.every_last_close(connection)
    found, unusable = {}, {}
    for symbol in symbols:
        try:
            seen = market_data.newest(symbol, quotes.get(symbol), closes.get(symbol), now)
        except InvalidInput as error:
            unusable[symbol] = (
                f"The newest price of {symbol} cannot be used: {error.reason} Delete its "
                "prices on the Data page, or import better ones."
            )
        else:
            if seen is not None:
                found[symbol] = seen
    return found, unusable


def row(database: Database, position_id: int, now: datetime) -> Row:
    """One position at the newest price known. Raises PositionNotFound."""
    with database.read() as connection:
        position = book.position(connection, position_id)
        today = exchange_date(now)
        orders = records.orders_of(connection, position_id)
        counted, _ = records.orders_today_and_open(connection, position_id, today)
        facts = _Facts(
            {position_id: records.valuations_of(connection, position_id)},
            {position_id: [one for one in reversed(orders) if one.is_open]},
            {position_id: counted},
            {
                position_id: [
                    one
                    for one in records.dividends_of(connection, position_id)
                    if one.state is not DividendState.PAID
                ]
            },
            *_prices(connection, {position.ticker}, now),
            records.waiting_autopilots(connection),
            *_labels(connection),
        )
        return _row(connection, position, facts, now)


def _row(connection: Connection, position: Position, facts: _Facts, now: datetime) -> Row:
    """At the newest price; at one that works, with the trouble, where that one does not."""
    trouble = facts.unusable.get(position.ticker, "")
    is_sample = position.position_id in facts.samples  # which keeps to the prices it came with
    market = newest_quote(position, None if is_sample else facts.prices.get(position.ticker))
    for quote in (market, newest_quote(position, None)):
        try:
            return _row_at(connection, position, facts, quote, trouble, now)
        except InvalidInput as error:
            at = "" if quote is None else f" at {price(quote.price)}"
            trouble = trouble or (
                f"{position.ticker} #{position.position_id} cannot be worked out{at}: "
                f"{error.reason} Look at its price, anchor and dividends."
            )
    known = facts.valuations.get(position.position_id, ())
    return _with_concerns(_bare_row(position, None, None, facts, trouble, known), now)


def _row_at(
    connection: Connection,
    position: Position,
    facts: _Facts,
    quote: Quote | None,
    trouble: str,
    now: datetime,
) -> Row:
    """Raises InvalidInput where a number is more than the ledger holds."""
    number = position.position_id
    found, decision, dividend = position, None, NO_SHARES
    valuations = facts.valuations.get(number, ())
    if quote is not None and position.balance.is_open:
        if any(_is_due(one, exchange_date(now)) for one in facts.dividends.get(number, ())):
            found, dividend = trading.worked_off(connection, position, quote, now)
        is_ordered = bool(facts.open_orders.get(number))
        circumstances = Circumstances(now, facts.orders_today.get(number, 0), is_ordered)
        decision = decide(found, quote, circumstances)
        if decision.reason is not Reason.SUSPECT_PRICE:
            valuations = _with_newest(valuations, quote, decision, dividend, now)
    up, down = next_rungs(found, now)
    row = _bare_row(position, quote, decision, facts, trouble, valuations)
    return _with_concerns(replace(row, found=found, next_up=up, next_down=down), now)


def _with_newest(
    valuations: Sequence[Valuation],
    quote: Quote,
    decision: Decision,
    dividend: Decimal,
    now: datetime,
) -> Sequence[Valuation]:
    """What was recorded, and what the position is worth at a newer price, with the net dividend
    per share that goes ex by it: the returns belong to the value beside them."""
    seen_at = quote.seen_at(now)
    if valuations and seen_at <= valuations[-1].valued_at:
        return valuations
    newest = Valuation(seen_at, decision.equity, price=quote.price, dividend=dividend)
    return (*valuations, newest)


def _bare_row(
    position: Position,
    quote: Quote | None,
    decision: Decision | None,
    facts: _Facts,
    trouble: str,
    valuations: Sequence[Valuation],
) -> Row:
    """valuations: what the returns are of."""
    number = position.position_id
    runs_itself = number in facts.autopilots
    waiting = facts.waiting.get(number) if runs_itself else None
    return Row(
        position,
        position,
        quote,
        decision,
        None,
        None,
        tuple(facts.open_orders.get(number, ())),
        performance(valuations),
        tuple(float(one.equity) for one in valuations[-TRAIL:] if one.equity is not None),
        tuple(facts.dividends.get(number, ())),
        number in facts.samples,
        runs_itself,
        "" if waiting is None else waiting.sentence.removeprefix(autopilot.WAITS),
        None if waiting is None else waiting.since,
        trouble,
    )


def _with_concerns(row: Row, now: datetime) -> Row:
    return replace(row, concerns=tuple(_concerns(row, now)))


def newest_quote(position: Position, seen: SeenPrice | None) -> Quote | None:
    """The market's newest price or the position's own last one, whichever is newer.

    Its own: the last accepted one, else the price it was opened at.
    """
    own, made_at = position.reference_price, position.last_price_at or position.opened_at
    if seen is not None:
        is_opening_price = position.last_price is None and seen.price == own  # and as old as it is
        if own is None or seen.made_at > made_at or is_opening_price:
            return seen.as_quote()
    if own is None:
        return None
    # It was accepted before, so it counts as confirmed and in session.
    source = "opening price" if position.last_price is None else "last accepted"
    return Quote(own, source, made_at, confirmed=True)


def is_stale(quote: Quote, now: datetime) -> bool:
    """Too old to be a ground for an order."""
    return now - quote.seen_at(now) > STALE_AFTER


def _concerns(row: Row, now: datetime) -> Iterator[Concern]:
    position, decision, quote = row.position, row.decision, row.quote
    if not position.balance.is_open:
        return
    stale = quote is not None and is_stale(quote, now) and not row.is_sample
    if decision is not None and decision.order is not None and not stale:
        yield Concern.TRIGGER_MET
    if row.open_orders:
        yield Concern.OPEN_ORDER
    if row.is_suspect:
        yield Concern.SUSPECT_PRICE
    if row.trouble:
        yield Concern.UNUSABLE_PRICE
    if row.waits_for:
        yield Concern.AUTOPILOT_WAITS
    is_outside = decision is not None and _is_outside(decision, position.configuration.policy)
    if is_outside and not row.is_suspect:
        yield Concern.OUTSIDE_GUARDRAILS
    if any(_is_due(one, exchange_date(now)) for one in row.dividends):
        yield Concern.DIVIDEND_DUE
    if quote is None:
        yield Concern.NO_PRICE
    elif stale:
        yield Concern.STALE_PRICE


def _is_outside(decision: Decision, policy: Policy) -> bool:
    share = decision.stock_share
    low, high = policy.min_stock_share, policy.max_stock_share
    return decision.equity > 0 and not low - ON_BOUND <= share <= high + ON_BOUND


def _is_due(dividend: Dividend, today: date) -> bool:
    return dividend.accrues_by(today) or dividend.pays_by(today)


def _urgency(row: Row) -> tuple[int, int]:
    """What needs a look first comes first, then the order of opening."""
    ranks = tuple(Concern)
    first = ranks.index(row.concerns[0]) if row.concerns else len(ranks)
    return first, row.position.position_id


def _totals(rows: Sequence[Row]) -> Totals:
    priced = [one for one in rows if one.value is not None]
    balances = [one.found.balance for one in priced]
    value = sum((one.value or NO_MONEY for one in priced), NO_MONEY)
    contributed = sum((one.contributed for one in balances), NO_MONEY)
    receivable = sum((one.receivable for one in balances), NO_MONEY)
    cash = sum((one.cash for one in balances), NO_MONEY)
    return Totals(
        value,
        value - cash - receivable,
        cash,
        contributed,
        value - contributed,
        sum((one.received for one in priced), NO_MONEY),
        receivable,
        len(rows) - len(priced),
    )

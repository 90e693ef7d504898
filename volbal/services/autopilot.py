"""Paper autopilot: a position that looks at every new daily bar and carries out what the rule says.

No broker is involved: its orders fill at the close that the rule saw, as ordinary orders with
ordinary keys. A bar is one transaction, its splits and dividends included, so a crash in the
middle leaves it done or not begun, and two that catch up at once do it once. New closes are asked
for by `watch`, once a session has finished; the sample stays with the prices it came with.

Bars are adjusted for splits; a ledger is not. So prices and dividends are taken back to what was
traded on their day, and a split is recorded on its own day. A bar older than what the position has
seen since is passed over, its splits and dividends are not.

What stops it leaves one event, and shows on the overview until it goes on.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import pandas as pd

from volbal.domain.dividends import DividendState
from volbal.domain.ledger import Refused
from volbal.domain.money import EXACT, PRICE, SHARES, from_float, round_to
from volbal.domain.orders import Execution
from volbal.domain.position import Position
from volbal.domain.quotes import Quote
from volbal.domain.wording import counted, price
from volbal.errors import InvalidInput, PriceUnavailable, VolbalError
from volbal.market.inspection import calendar_for
from volbal.market.model import DAILY, PriceHistory
from volbal.market.sessions import EXCHANGE, Calendar, close_of, exchange_date
from volbal.services import book, income, market_data, positions, running, trading
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.records import Connection
from volbal.storage.rows import StoredAutopilot, WaitingAutopilot
from volbal.storage.startup import DatabaseBusy

LOG = logging.getLogger("volbal")

PAY_LAG: Final = timedelta(days=21)
"""From the ex-date to the day a dividend without a pay date counts as paid: an assumption."""

EARLY, LATE = timedelta(days=4), timedelta(days=10)
"""How early and how late a split may be recorded by hand and still be the one of the prices."""

SAME_RATIO: Final = Decimal("1e-6")
"""Relative: ratios this near are one ratio; 1 for 3 comes from a source as 0.333333."""

WATCH_SECONDS: Final = 300.0

ASK_AGAIN: Final = timedelta(hours=1)
"""How long a symbol is left alone after its closes were asked for, whatever came of it."""

NAMED: Final = 5
"""Sessions without a close that are named one by one."""

WAITS: Final = "The paper autopilot waits. "
"""How it begins to tell why."""

UNANSWERED: Final = "unanswered"
"""Why it waits, for machines: nobody gives the closes that are lacking, for now."""

LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Action:
    """A split (ratio: new shares per old) or a dividend (per_share, as traded) of one day."""

    on: date
    ratio: Decimal | None = None
    per_share: Decimal | None = None
    pay_on: date | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A daily close as it was traded, with what happened since the bar before, in order.

    lacking: sessions since the bar before without one. coming: splits after it, which its close
    does not know yet.
    """

    closed_at: datetime
    close: Decimal
    actions: tuple[Action, ...]
    lacking: tuple[date, ...] = ()
    coming: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Bars looked at and orders filled. stopped: why it went no further, empty where it did."""

    bars: int
    orders: int
    stopped: str = ""


def switch(database: Database, position_id: int, is_on: bool, now: datetime) -> None:
    """Let a position run by itself from the next bar on, or stop it; again changes nothing.

    Raises PositionNotFound, PositionClosed.
    """
    with database.write() as connection:
        book.open_position(connection, position_id)
        switched(connection, position_id, is_on, now)


def switched(connection: Connection, position_id: int, is_on: bool, now: datetime) -> None:
    """`switch` within a unit of work."""
    known = records.find_autopilot(connection, position_id)
    if is_on == (known is not None and known.is_on):
        return
    records.store_autopilot(connection, position_id, is_on, now)
    sentence = (
        "The paper autopilot is on: it evaluates every new daily close and fills its orders there."
        if is_on
        else "The paper autopilot is off."
    )
    book.tell(connection, position_id, now, "autopilot", sentence, {"is_on": is_on}, {})


def find(database: Database, position_id: int) -> StoredAutopilot | None:
    """How the position's autopilot stands; None where it never had one. Raises PositionNotFound."""
    with database.read() as connection:
        book.position(connection, position_id)
        return records.find_autopilot(connection, position_id)


def missed(database: Database, position_id: int, now: datetime) -> list[Bar]:
    """The bars that its autopilot has not seen yet, oldest first; none where it is off.

    Raises PositionNotFound, PriceUnavailable.
    """
    with database.read() as connection:
        position = book.position(connection, position_id)
        autopilot = records.find_autopilot(connection, position_id)
        is_sample = position_id in records.samples(connection)
    if autopilot is None or not autopilot.is_on or not position.balance.is_open:
        return []
    known = market_data.BUNDLED.history if is_sample else partial(market_data.history, database)
    try:
        return list(bars_after(known(position.ticker), autopilot.seen_until, now))
    except InvalidInput as error:
        raise PriceUnavailable(
            f"The daily prices of {position.ticker} cannot be used: {error.reason} Import better "
            "ones on the Data page, or switch the autopilot off."
        ) from error


def catch_up(
    database: Database, position_id: int, now: datetime, progress: Progress | None = None
) -> CaughtUp:
    """Replay the missed bars in order, each once. progress: called with bars done and in all.

    What cannot be done ends it before the bar in question. Raises PositionNotFound.
    """
    done = orders = 0
    try:
        bars = missed(database, position_id, now)
        if not bars:
            return CaughtUp(0, 0)
        with database.lease():
            for bar in bars:
                with database.write() as connection:
                    if not done and position_id in records.waiting_autopilots(connection):
                        _tell(connection, position_id, now, "The paper autopilot goes on.")
                    orders += live_through(connection, position_id, bar)
                done += 1
                if progress is not None:
                    progress(done, len(bars))
    except (Refused, InvalidInput, PriceUnavailable) as error:
        _wait(database, position_id, error.code, str(error), now)
        return CaughtUp(done, orders, str(error))
    return CaughtUp(done, orders)


def evaluate(
    database: Database, position_id: int, quote: Quote, now: datetime
) -> tuple[CaughtUp, trading.Evaluation]:
    """`trading.evaluate`, after the bars that the position's autopilot has missed.

    Raises PositionNotFound, PositionClosed.
    """
    caught_up = catch_up(database, position_id, now)
    return caught_up, trading.evaluate(database, position_id, quote, now)


def catch_up_all(
    database: Database, now: datetime, progress: Progress | None = None
) -> dict[int, CaughtUp]:
    """Every autopilot that is on, by position; none stops the others. Raises DatabaseBusy."""
    with database.read() as connection:
        on = records.running_autopilots(connection)
    found = {}
    for autopilot in on:
        try:
            found[autopilot.position_id] = catch_up(database, autopilot.position_id, now, progress)
        except DatabaseBusy:
            raise
        except VolbalError as error:
            found[autopilot.position_id] = CaughtUp(0, 0, str(error))
    return found


def _wait(database: Database, position_id: int, code: str, why: str, now: datetime) -> None:
    """Tell that the autopilot waits, unless that was the last thing told of it."""
    with database.read() as connection:
        known = records.waiting_autopilots(connection).get(position_id)
        autopilot = records.find_autopilot(connection, position_id)
    if autopilot is None or not autopilot.is_on or (known is not None and known.code == code):
        return
    with database.write() as connection:
        sentence = f"{WAITS}{why}"
        book.tell(connection, position_id, now, "autopilot_waits", sentence, {}, {"code": code})


def waiting(database: Database, now: datetime) -> list[str]:
    """Symbols of autopilots that are on whose prices lack a finished session; not the sample's."""
    with database.read() as connection:
        on = {one.position_id for one in records.running_autopilots(connection)}
        mine = on - records.samples(connection).keys()
        symbols = {
            one.ticker for one in records.all_positions(connection) if one.position_id in mine
        }
    return [one for one in sorted(symbols) if market_data.is_behind(database, one, now)]


def fetch(database: Database, symbol: str, now: datetime) -> str:
    """Ask Yahoo for the closes of `symbol` that are not here yet; says what came of it.

    Raises VolbalError where none could be had; the closes that are here go on being used.
    """
    done = market_data.refresh(database, market_data.yahoo(), symbol, DAILY, now).sentence
    unanswered = [
        number
        for number, waiting in _waiting_for(database, symbol).items()
        if waiting is not None and waiting.code == UNANSWERED
    ]
    if unanswered:
        with database.write() as connection:
            for number in unanswered:
                _tell(connection, number, now, f"Yahoo answers again. {done}")
    return done


def watch(stop: threading.Event, now: Callable[[], datetime]) -> None:
    """Ask for new closes and catch up whenever there are some, until `stop` is set."""
    asked: dict[str, datetime] = {}

    def go_on(_: int, __: int) -> None:
        if stop.is_set():
            raise _Stopped

    while not stop.is_set():
        try:
            database, moment = running.database(), now()
            refused: dict[str, VolbalError] = {}
            for symbol in waiting(database, moment):
                if not stop.is_set() and moment - asked.get(symbol, LONG_AGO) >= ASK_AGAIN:
                    asked[symbol] = moment
                    try:
                        fetch(database, symbol, moment)
                    except DatabaseBusy:
                        raise
                    except VolbalError as error:
                        refused[symbol] = error
            catch_up_all(database, moment, go_on)
            for symbol, refusal in refused.items():
                _wait_for_prices(database, symbol, refusal, moment)
        except VolbalError as error:
            LOG.warning("The autopilots wait. %s", error)
        except _Stopped:
            return
        stop.wait(WATCH_SECONDS)


def _wait_for_prices(database: Database, symbol: str, error: VolbalError, now: datetime) -> None:
    """Tell it of every autopilot of `symbol` that does not wait for something already."""
    if isinstance(error, InvalidInput):
        code, why = error.code, error.reason[:1].upper() + error.reason[1:]
    else:
        code, why = UNANSWERED, f"{error} It asks again by itself, once an hour."
    for position_id, waiting in _waiting_for(database, symbol).items():
        if waiting is None:
            _wait(database, position_id, code, why, now)


def _waiting_for(database: Database, symbol: str) -> dict[int, WaitingAutopilot | None]:
    """By position, what the autopilots of `symbol` that are on wait for; None: nothing."""
    with database.read() as connection:
        waiting = records.waiting_autopilots(connection)
        return {
            one.position_id: waiting.get(one.position_id)
            for one in records.running_autopilots(connection)
            if book.position(connection, one.position_id).ticker == symbol
        }


class _Stopped(Exception):
    """The server ends; the bars that are left wait for its next start."""


def live_through(connection: Connection, position_id: int, bar: Bar) -> int:
    """One bar, within a unit of work: its actions, then the evaluation, its order and fill,
    unless it is passed over. Returns the orders filled.
    """
    autopilot = records.find_autopilot(connection, position_id)
    if autopilot is None or not autopilot.is_on or autopilot.seen_until >= bar.closed_at:
        return 0  # somebody else was quicker, or switched it off
    if bar.lacking:
        _tell(connection, position_id, bar.closed_at, _lacking(bar))
    position = book.open_position(connection, position_id)
    at = max(bar.closed_at, position.last_price_at or bar.closed_at)
    _count_as_paid(connection, position, exchange_date(bar.closed_at), at)
    for action in bar.actions:
        _honour(connection, position_id, action, at)
    newer = _newer(connection, position, bar)
    if newer:
        sentence = (
            f"The close {price(bar.close)} of {bar.closed_at.date()} is passed over: {newer}."
        )
        _tell(connection, position_id, at, sentence)
        filled = 0
    else:
        filled = _evaluate(connection, position_id, bar)
    records.advance_autopilot(connection, position_id, bar.closed_at)
    return filled


def _tell(connection: Connection, position_id: int, at: datetime, sentence: str) -> None:
    book.tell(connection, position_id, at, "autopilot", sentence, {}, {})


def _lacking(bar: Bar) -> str:
    days = bar.lacking
    named = ", ".join(map(str, days)) if len(days) <= NAMED else f"{days[0]} to {days[-1]}"
    return (
        f"The prices have no close of {named}, {counted(len(days), 'session')} of the exchange. "
        f"The autopilot goes on with {bar.closed_at.date()}."
    )


def _newer(connection: Connection, position: Position, bar: Bar) -> str:
    """What the position has seen since `bar`, so that the rule is not asked about it."""
    if position.last_price_at is not None and position.last_price_at >= bar.closed_at:
        return "a price of then or later was seen already"
    for split in bar.coming:
        if _is_recorded(connection, position.position_id, split):
            return f"the split of {split.on} is recorded already"
    return ""


def _count_as_paid(connection: Connection, position: Position, day: date, at: datetime) -> None:
    """Dividends without a pay date, once PAY_LAG has passed since their ex-date."""
    for dividend in records.unpaid_dividends(connection, position.position_id, day - PAY_LAG):
        if dividend.state is DividendState.ACCRUED and dividend.pay_on is None:
            income.paid(connection, dividend, day, at, assumed=f"{PAY_LAG.days} days after it")


def _evaluate(connection: Connection, position_id: int, bar: Bar) -> int:
    quote = Quote(bar.close, f"close of {bar.closed_at.date()}", bar.closed_at, validated=True)
    evaluation = trading.evaluated(connection, position_id, quote, bar.closed_at)
    if evaluation.proposal is None:
        return 0
    _carry_out(connection, position_id, evaluation, bar)
    return 1


def _carry_out(
    connection: Connection, position_id: int, evaluation: trading.Evaluation, bar: Bar
) -> None:
    proposal, at = evaluation.proposal, bar.closed_at
    if proposal is None:
        return
    submission = trading.submitted(connection, position_id, proposal.key, proposal.order, at)
    order_id = submission.order.order_id
    book.tell(
        connection,
        position_id,
        at,
        "autopilot",
        f"The autopilot approves order {order_id} and fills it on paper at the close it saw, "
        f"{price(bar.close)}.",
        {"decision_id": evaluation.decision_id, "close": bar.close},
        {"order_id": order_id},
    )
    done = Execution(bar.close, proposal.order.quantity, evaluation.decision.commission)
    trading.executed(connection, order_id, done, f"autopilot-{at.date()}", at, at)


def _honour(connection: Connection, position_id: int, action: Action, at: datetime) -> None:
    """Record a split or announce a dividend, unless somebody did already."""
    if action.ratio is not None and not _is_recorded(connection, position_id, action):
        positions.was_split(connection, position_id, action.ratio, Decimal(1), action.on, at)
    known = records.find_dividend_on(connection, position_id, action.on)
    if action.per_share is not None and known is None:
        income.announced(connection, position_id, action.on, action.per_share, action.pay_on, at)


def _is_recorded(connection: Connection, position_id: int, split: Action) -> bool:
    """Is there a split of this ratio, recorded by hand about its day?"""
    return any(
        -EARLY <= on - split.on <= LATE
        and abs(EXACT.divide(EXACT.multiply(split.ratio or 1, old), new) - 1) <= SAME_RATIO
        for on, new, old in records.splits_of(connection, position_id)
    )


def bars_after(history: PriceHistory, seen_until: datetime, now: datetime) -> Iterator[Bar]:
    """Closes after `seen_until` and by `now`, as traded, oldest first."""
    actions, calendar = _actions(history), calendar_for(history)
    seen_at = seen_until.astimezone(EXCHANGE if calendar is None else calendar.zone)
    closes = history.bars["close"]
    closes = closes[closes.index >= pd.Timestamp(seen_at.date())]
    for stamp, close in zip(closes.index, closes, strict=True):
        day = pd.Timestamp(stamp).date()
        closed_at = close_of(day, calendar)
        if seen_at < closed_at <= now:
            traded = EXACT.multiply(Decimal(repr(float(close))), _splits_after(history, day))
            yield Bar(
                closed_at,
                round_to(PRICE, traded),
                tuple(one for one in actions if seen_at.date() < one.on <= day),
                _without_close(calendar, seen_at, day),
                tuple(one for one in actions if one.ratio is not None and one.on > day),
            )
            seen_at = closed_at


def _without_close(calendar: Calendar | None, seen_at: datetime, day: date) -> tuple[date, ...]:
    """Sessions that closed after `seen_at` and before `day`."""
    if calendar is None:
        return ()
    since = calendar.sessions(seen_at.date(), day - timedelta(days=1))
    return tuple(one for one in since if calendar.hours(one)[1] > seen_at)


def _actions(history: PriceHistory) -> list[Action]:
    """Splits and dividends by day, a dividend first: it is for the shares of the close before."""
    splits = [
        Action(at.date(), ratio=from_float(SHARES, float(ratio)))
        for at, ratio in zip(history.splits["date"], history.splits["ratio"], strict=True)
    ]
    paid = history.dividends
    dividends = [
        _dividend(history, ex_at.date(), float(amount), pay_at)
        for ex_at, amount, pay_at in zip(
            paid["ex_date"], paid["amount"], paid["pay_date"], strict=True
        )
    ]
    return sorted(splits + dividends, key=lambda one: (one.on, one.ratio is not None))


def _dividend(history: PriceHistory, ex_on: date, amount: float, pay_at: pd.Timestamp) -> Action:
    held_on = ex_on - timedelta(days=1)
    traded = EXACT.multiply(Decimal(repr(amount)), _splits_after(history, held_on))
    pay_on = None if pd.isna(pay_at) else pay_at.date()
    return Action(ex_on, per_share=round_to(PRICE, traded), pay_on=pay_on)


def _splits_after(history: PriceHistory, day: date) -> Decimal:
    """New shares per share of `day`, by all later splits of the series."""
    ratio = Decimal(1)
    for at, one in zip(history.splits["date"], history.splits["ratio"], strict=True):
        if at.date() > day:
            ratio = EXACT.multiply(ratio, Decimal(repr(float(one))))
    return ratio

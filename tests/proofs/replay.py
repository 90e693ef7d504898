"""Proof: a price path driven tick by tick through the services is the simulation of that path."""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from books import at

from volbal.domain.configuration import Configuration
from volbal.domain.money import PRICE, from_float
from volbal.domain.policy import SIZINGS, Policy
from volbal.engine import simulation
from volbal.engine.paths import Dividend, price_path
from volbal.market.bundled import BundledPrices
from volbal.market.sessions import calendar_of
from volbal.services import income, positions, trading
from volbal.storage.database import Database

NEW_YORK = ZoneInfo("America/New_York")
NYSE = calendar_of()
assert NYSE is not None


@dataclass(frozen=True)
class Story:
    """What happens: prices at exchange-local times, dividends, and who holds what at the start."""

    times: list[datetime]
    prices: list[float]
    dividends: list[Dividend]
    policy: Policy
    shares: float
    cash: float


@dataclass(frozen=True)
class Compared:
    """How much one replay had to compare, and the largest distance in parts of equity."""

    ticks: int
    orders: int
    dividends: int
    largest_error: float


def prove(database: Database, story: Story) -> Compared:
    """Decisions tick by tick, cash and stock value to 1e-8 of equity."""
    recorded = _simulate(story)
    position_id = _open(database, story)
    orders, largest = 0, 0.0
    for tick, (moment, price) in enumerate(zip(story.times, story.prices, strict=True)):
        made = _live(database, position_id, price, moment, follows=tick > 0)
        if tick > 0:
            expected = recorded.decisions[tick - 1]
            reason = simulation.rule.REASONS[int(expected.reason)]
            assert made.reason.value == reason, f"tick {tick}: {made.sentence}"
            gap = abs(_signed(made) - expected.quantity) * price
            assert gap <= 1e-8 * expected.equity, f"tick {tick}: {made.sentence}"
            orders += made.order is not None
        balance = positions.find_position(database, position_id).balance
        equity = recorded.equity[tick]
        stock = float(balance.quantity) * price
        gaps = (
            float(balance.cash) - recorded.cash[tick],
            stock - recorded.shares[tick] * price,
            float(balance.receivable) - recorded.receivable[tick],
        )
        largest = max(largest, *(abs(gap) / equity for gap in gaps))
        assert largest <= 1e-8, f"tick {tick}: {gaps}"
    return Compared(len(story.times), orders, len(recorded.dividends), largest)


def _simulate(story: Story) -> simulation.Recording:
    times = np.array([one.replace(tzinfo=None) for one in story.times], dtype="datetime64[s]")
    path = price_path(times, np.array(story.prices), story.dividends)
    return simulation.record(path, story.policy.terms, story.shares, story.cash)


def _open(database: Database, story: Story) -> int:
    position_id = positions.open_position(
        database,
        "ACME",
        quantity=story.shares,
        cash=story.cash,
        configuration=Configuration(story.policy),
        now=story.times[0],
    ).position_id
    for dividend in story.dividends:
        income.announce(
            database,
            position_id,
            ex_on=dividend.ex_on,
            per_share=dividend.per_share,
            pay_on=dividend.pay_on,
            now=story.times[0],
        )
    return position_id


def _live(
    database: Database, position_id: int, price: float, moment: datetime, *, follows: bool
) -> trading.Decision:
    """Evaluate; submit and fill what is proposed, as a user who approves everything."""
    quote = at(from_float(PRICE, price), made_at=moment, validated=True)
    made = trading.evaluate(database, position_id, quote, moment)
    if made.proposal is not None:
        assert follows
        order = made.proposal.order
        submission = trading.submit(
            database,
            position_id,
            key=made.proposal.key,
            side=order.side,
            quantity=order.quantity,
            now=moment,
        )
        trading.fill(
            database,
            submission.order.order_id,
            price=quote.price,
            quantity=order.quantity,
            commission=made.decision.commission,
            key="broker",
            now=moment,
        )
    return made.decision


def _signed(decision: trading.Decision) -> float:
    if decision.order is None:
        return 0.0
    sign = 1 if decision.order.side == "BUY" else -1
    return sign * float(decision.order.quantity)


def random_story(seed: int, days: int) -> Story:
    """A random walk with dividends, weekends, one to three ticks a day and a random policy."""
    chance = random.Random(seed)
    ticks_a_day = chance.choice([1, 1, 3])
    times = _times(date(2024, 1, 2), days, ticks_a_day)
    volatility = chance.choice([0.01, 0.03, 0.08]) / ticks_a_day**0.5
    prices, price = [], chance.choice([0.8, 42.0, 950.0])
    for _ in times:
        prices.append(round(price, 4))
        price = max(price * (1.0 + chance.gauss(0.0, volatility)), 0.05)
    return Story(
        times,
        prices,
        _dividends(chance, times, prices[0]),
        _policy(chance),
        shares=round(5000 / prices[0], 6),
        cash=5000.0,
    )


def _times(first: date, days: int, ticks_a_day: int) -> list[datetime]:
    hours = (16,) if ticks_a_day == 1 else (10, 13, 16)
    working = (first + timedelta(days=number) for number in range(2 * days))
    kept = [day for day in working if NYSE.is_session(day) and not NYSE.closes_early(day)][:days]
    return [datetime.combine(day, time(hour), NEW_YORK) for day in kept for hour in hours]


def _dividends(chance: random.Random, times: list[datetime], price: float) -> list[Dividend]:
    """On any calendar day, the first one included; two may wait for their pay date at once."""
    first, last = times[0].date(), times[-1].date()
    count = max((last - first).days // 25, 1)
    days = {first} | {
        first + timedelta(days=chance.randrange(1, (last - first).days)) for _ in range(count)
    }
    return [
        Dividend(
            day,
            round(price * chance.choice([0.002, 0.01, 0.2]), 6),
            day + timedelta(days=chance.choice([0, 3, 21, 40])),
        )
        for day in sorted(days)
    ]


def _policy(chance: random.Random) -> Policy:
    sizing = chance.choice(sorted(SIZINGS))
    return Policy(
        trigger_up=chance.choice([0.01, 0.03, 0.06]),
        trigger_down=chance.choice([0.01, 0.03, 0.06]),
        sizing=sizing,
        rebalance_ratio=chance.choice([0.1, 0.5, 1.0] if sizing == "fixed_percentage" else [1, 2]),
        min_stock_share=chance.choice([0.0, 0.25, 0.4]),
        max_stock_share=chance.choice([0.6, 0.75, 1.0]),
        auto_rebalance=chance.random() < 0.7,
        max_trade_share=chance.choice([0.05, 0.2, 1.0]),
        min_notional=chance.choice([0.0, 20.0, 100.0]),
        lot_size=chance.choice([0.0, 0.0, 1.0]),
        max_orders_per_day=chance.choice([1, 2, 5]),
        commission_rate=chance.choice([0.0, 0.0001, 0.005]),
        commission_min=chance.choice([0.0, 0.0, 1.0]),
        withholding_rate=chance.choice([0.0, 0.25]),
    )


def real_story(symbol: str, first: date, last: date, policy: Policy) -> Story:
    """Bundled closes and dividends of `symbol`, paid 21 days after the ex-date."""
    history = BundledPrices().history(symbol)
    closes = history.bars["close"]
    days = [day.date() for day in closes.index]
    kept = [index for index, day in enumerate(days) if first <= day <= last]
    prices = [float(closes.iloc[index]) for index in kept]
    dividends = [
        Dividend(day.date(), float(amount), day.date() + timedelta(days=21))
        for day, amount in zip(
            history.dividends["ex_date"], history.dividends["amount"], strict=True
        )
        if first <= day.date() <= last
    ]
    times = [NYSE.hours(days[index])[1].astimezone(NEW_YORK) for index in kept]
    return Story(times, prices, dividends, policy, round(5000 / prices[0], 6), 5000.0)

"""The rule and its simulation a second time, in plain Decimal arithmetic, written from SPEC alone.

It shares no line with volbal/: what both say is checked by agreement. Written for clarity, with
ordinary branches. Everything is Decimal with 50 digits, powers and roots included: no float
arithmetic at all. Floats given are read as the decimals they print as (0.03 is 3/100).

How SPEC is read where it is short:
- A trigger fires at its level with a relative tolerance of 1e-9 on the level, so does the
  comparison with min_notional; notional <= 1e-9 V is dust and skipped.
- A landing order with signed notional N at P solves A + N = share * (V - costs(N)), where
  costs = slippage s|N| + fee and fee = max(f |N| (1 +- s), commission_min). When the minimum
  commission alone carries a buy past the bound, the landing order is 0. A share that selling
  cannot reach (the fee eats equity faster than stock) has an infinite landing order.
- Lots never sell more than is held; cash that the lot tolerance takes within 1e-9 V below zero
  becomes 0.
- An order is refused when its fee would make cash negative, would take all the equity, or would
  leave the cell outside a guardrail and no nearer to it than before (relatively, to 1e-9).
- A dividend without pay date is paid pay_lag_days after its ex-date; it is paid at the first tick
  on or after the pay date, at the earliest one tick after it accrued. Ex-dates on or before the
  first tick's date pay nothing; several between two ticks add up.
- With limit ticks a rising leg can meet the sell level and a falling one the buy level. A level at
  which a leg begins is not met again there: that price was asked already or belongs to the leg
  before. After a fill the way goes on from the level, whatever slippage made of the fill price.
  Each asked level is a tick with its whole order of work.
- Ratios whose denominator is a deviation (or drawdown) below 1e-12 are undefined: None.
  Figures of dispersion need 2 daily returns, annual ones a last date after the first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Context, Decimal, localcontext
from functools import wraps
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

PRECISION = Context(prec=50)
ZERO, ONE, TOLERANCE = Decimal(0), Decimal(1), Decimal("1e-9")
FLAT = Decimal("1e-12")
YEAR, SESSIONS = Decimal("365.25"), Decimal(252)

DEFAULTS: Mapping[str, Any] = {
    "trigger_up": "0.03",
    "trigger_down": "0.03",
    "sizing": "proportional",
    "min_stock_share": "0.25",
    "max_stock_share": "0.75",
    "auto_rebalance": True,
    "max_trade_share": "0.20",
    "min_notional": "100",
    "lot_size": "0",
    "max_orders_per_day": 5,
    "commission_rate": "0.0001",
    "commission_min": "0",
    "slippage": "0",
    "withholding_rate": "0.25",
    "cash_rate": "0",
    "after_hours": False,
}


def with_fifty_digits(work: Callable[P, T]) -> Callable[P, T]:
    """`work`, done at PRECISION whatever the caller's decimal context is."""

    @wraps(work)
    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        with localcontext(PRECISION):
            return work(*args, **kwargs)

    return done


def exact(value: Any) -> Decimal:
    """The decimal a number prints as."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def read_policy(given: Mapping[str, Any]) -> SimpleNamespace:
    """SPEC §2's fields with their defaults, numbers as Decimal; `trigger_threshold` sets both."""
    named = dict(given)
    if "trigger_threshold" in named:
        named["trigger_up"] = named["trigger_down"] = named.pop("trigger_threshold")
    policy = {**DEFAULTS, **named}
    if policy.get("rebalance_ratio") is None:
        fixed = policy["sizing"] == "fixed_percentage"
        policy["rebalance_ratio"] = "0.10" if fixed else "1.6667"
    unknown = set(policy) - set(DEFAULTS) - {"rebalance_ratio"}
    if unknown:
        raise KeyError(f"not policy fields: {sorted(unknown)}")
    words = ("sizing", "auto_rebalance", "after_hours")
    return SimpleNamespace(**{k: v if k in words else exact(v) for k, v in policy.items()})


@dataclass
class OracleCell:
    """Shares, cash and net dividends on their way [(pay date, amount)] of one position."""

    shares: Decimal
    cash: Decimal
    anchor: Decimal | None = None
    orders_today: int = 0
    pending: list[tuple[date, Decimal]] = field(default_factory=list)

    @property
    def receivable(self) -> Decimal:
        return sum((amount for _, amount in self.pending), ZERO)

    def equity(self, price: Decimal) -> Decimal:
        return self.shares * price + self.cash + self.receivable

    def stock_share(self, price: Decimal) -> Decimal:
        equity = self.equity(price)
        return self.shares * price / equity if equity > 0 else ZERO


@dataclass(frozen=True)
class Order:
    """What the rule does: BUY or SELL with a quantity, HOLD (nothing asked) or SKIP (dropped)."""

    action: str
    reason: str
    wish: Decimal = ZERO  # signed shares, + buys, before any trim
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    notional: Decimal = ZERO
    commission: Decimal = ZERO
    cash_after: Decimal = ZERO


def trigger_wish(price: Decimal, cell: OracleCell, policy: SimpleNamespace) -> tuple[int, Decimal]:
    """Side of the trigger that fires (+1 buy, -1 sell, 0 none) and the signed wish in shares."""
    assert cell.anchor is not None
    if price >= cell.anchor * (1 + policy.trigger_up) * (1 - TOLERANCE):
        side = -1
    elif price <= cell.anchor * (1 - policy.trigger_down) * (1 + TOLERANCE):
        side = 1
    else:
        return 0, ZERO
    ratio, per_share = policy.rebalance_ratio, cell.equity(price) / price
    if policy.sizing == "proportional":
        return side, (cell.anchor / price - 1) * ratio * per_share
    if policy.sizing == "original":
        return side, side * cell.anchor / price * ratio * per_share
    if side > 0:
        return side, cell.cash * ratio / price
    return side, -cell.shares * ratio


def landing(bound: Decimal, price: Decimal, cell: OracleCell, policy: SimpleNamespace) -> Decimal:
    """Signed shares of the order after whose costs the stock share is exactly `bound`."""
    equity, slip, least = cell.equity(price), policy.slippage, policy.commission_min
    missing = bound * equity - cell.shares * price
    if abs(missing) <= TOLERANCE * equity:
        return ZERO
    if missing > 0:
        fee_rate = policy.commission_rate * (1 + slip)
        value = (missing - bound * least) / (1 + bound * slip)
        if value <= 0:
            return ZERO
        if fee_rate * value > least:
            value = missing / (1 + bound * (slip + fee_rate))
        return value / price
    fee_rate = policy.commission_rate * (1 - slip)
    value = (bound * least - missing) / (1 - bound * slip)
    if fee_rate * value > least:
        kept = 1 - bound * (slip + fee_rate)
        value = -missing / kept if kept > 0 else Decimal("Infinity")
    return -value / price


@with_fifty_digits
def step(price: Any, cell: OracleCell, policy: SimpleNamespace) -> Order:
    """One decision of the rule (SPEC §3.2, §3.3). Does not change `cell`."""
    price = exact(price)
    equity = cell.equity(price)
    if cell.anchor is None or equity <= 0:
        return Order("HOLD", "no_anchor" if cell.anchor is None else "empty")

    side, wish = trigger_wish(price, cell, policy)
    most = policy.max_trade_share * equity / price
    asked = max(-most, min(wish, most))
    lowest = landing(policy.min_stock_share, price, cell, policy)
    highest = landing(policy.max_stock_share, price, cell, policy)
    order = min(max(asked, lowest), highest)
    if not policy.auto_rebalance:
        order = max(order, ZERO) if asked > 0 else min(order, ZERO)
        if abs(order) > abs(asked):
            order = asked
    if order == 0:
        return Order("SKIP", "guardrail", wish) if side else Order("HOLD", "no_trigger")
    order = within_means(order, price, cell, policy)
    filled = fill(in_lots(order, cell, policy), price, policy, cell.cash)
    refusal = refuse(filled, price, cell, policy)
    if refusal:
        return Order("SKIP", refusal, wish)
    reason = "trigger" if abs(order) <= abs(asked) and order * asked > 0 else "guardrail"
    return replace(filled, reason=reason, wish=wish, cash_after=max(filled.cash_after, ZERO))


def within_means(
    order: Decimal, price: Decimal, cell: OracleCell, policy: SimpleNamespace
) -> Decimal:
    """Signed `order`, no larger than the shares held or what the cash buys with its fee."""
    if order < 0:
        return max(order, -cell.shares)
    by_rate = cell.cash / (1 + policy.commission_rate)
    by_least = cell.cash - policy.commission_min
    return min(order, max(ZERO, min(by_rate, by_least)) / (price * (1 + policy.slippage)))


def in_lots(order: Decimal, cell: OracleCell, policy: SimpleNamespace) -> Decimal:
    """Signed `order` in whole lots, never selling more than is held."""
    if policy.lot_size == 0:
        return order
    quantity = (abs(order) / policy.lot_size + TOLERANCE) // 1 * policy.lot_size
    return quantity if order > 0 else -min(quantity, cell.shares)


def fill(order: Decimal, price: Decimal, policy: SimpleNamespace, cash: Decimal) -> Order:
    """The signed `order` executed from `cash`, without asking whether it may be."""
    slip = policy.slippage if order > 0 else -policy.slippage
    fill_price, quantity = price * (1 + slip), abs(order)
    notional = quantity * fill_price
    fee = max(policy.commission_rate * notional, policy.commission_min)
    cash_after = cash - order * fill_price - fee
    action = "BUY" if order > 0 else "SELL"
    return Order(action, "", ZERO, quantity, fill_price, notional, fee, cash_after)


def refuse(order: Order, price: Decimal, cell: OracleCell, policy: SimpleNamespace) -> str:
    """Why the rule drops `order`, or nothing."""
    equity, before = cell.equity(price), cell.stock_share(price)
    signed = order.quantity if order.action == "BUY" else -order.quantity
    cell_after = replace(cell, shares=cell.shares + signed, cash=order.cash_after)
    after = cell_after.stock_share(price)
    if order.notional <= TOLERANCE * equity:
        return "nothing_left"
    if order.notional < policy.min_notional * (1 - TOLERANCE):
        return "min_notional"
    if cell.orders_today >= policy.max_orders_per_day:
        return "daily_cap"
    if order.cash_after < -TOLERANCE * equity:
        return "fee_exceeds_cash"
    if cell_after.equity(price) <= TOLERANCE * equity:
        return "fee_takes_everything"
    too_high = after > max(policy.max_stock_share + TOLERANCE, before * (1 - TOLERANCE))
    too_low = after < min(policy.min_stock_share - TOLERANCE, before * (1 + TOLERANCE))
    return "fee_breaks_guardrail" if too_high or too_low else ""


@dataclass(frozen=True)
class Tick:
    """State after deciding at one tick; order fields are 0 where nothing was filled."""

    day: date
    price: Decimal
    order: Order
    shares: Decimal
    cash: Decimal
    receivable: Decimal
    anchor: Decimal
    equity: Decimal
    stock_share: Decimal


@dataclass(frozen=True)
class OracleRun:
    """One simulation: per-tick states, fills, SPEC §8's metrics, benchmarks' equity per day."""

    ticks: list[Tick]
    metrics: dict[str, Decimal | None]
    benchmarks: dict[str, list[Decimal]]  # buy_hold, hold_start_mix, exposure_matched

    @property
    def fills(self) -> list[Tick]:
        return [tick for tick in self.ticks if tick.order.quantity > 0]


@dataclass(frozen=True)
class Dividend:
    """Gross cash per share of one ex-date."""

    ex_on: date
    per_share: Decimal
    pay_on: date


@dataclass
class Books:
    """Sums over fills that the metrics need."""

    cost: Decimal  # moving average price paid, buy commissions included
    bought_on: Decimal  # quantity-weighted mean purchase date, as ordinal
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    sold: Decimal = ZERO
    held_days: Decimal = ZERO
    gains: list[Decimal] = field(default_factory=list)

    def record(self, held: Decimal, order: Order, day: date) -> None:
        """Book a fill of a cell that held `held` shares before it."""
        today, quantity = Decimal(day.toordinal()), order.quantity
        if order.action == "BUY":
            paid = order.notional + order.commission
            self.cost = (held * self.cost + paid) / (held + quantity)
            self.bought_on = (held * self.bought_on + quantity * today) / (held + quantity)
            self.buys += order.notional
        else:
            self.gains.append(quantity * (order.price - self.cost) - order.commission)
            self.held_days += quantity * (today - self.bought_on)
            self.sold += quantity
            self.sells += order.notional


Bar = tuple[Any, Any, Any, Any]  # open, high, low, close


@with_fifty_digits
def simulate(
    closes: Sequence[Any],
    dates: Sequence[date],
    policy: Mapping[str, Any],
    capital: Any,
    stock_share: Any,
    *,
    dividends: Iterable[tuple[date, Any, date | None]] = (),
    pay_lag_days: int = 21,
) -> OracleRun:
    """Replay `closes` (one per tick; a date may repeat) as SPEC §6's `close` ticks.

    dividends: (ex-date, gross per share, pay date or None).
    """
    replay = Replay(policy, capital, stock_share, _schedule(dividends, pay_lag_days))
    for close, today in zip(closes, dates, strict=True):
        replay.visit(exact(close), today)
    return replay.result()


@with_fifty_digits
def simulate_limit(
    bars: Sequence[Bar],
    dates: Sequence[date],
    policy: Mapping[str, Any],
    capital: Any,
    stock_share: Any,
    *,
    mirrored: bool = False,
    dividends: Iterable[tuple[date, Any, date | None]] = (),
    pay_lag_days: int = 21,
) -> OracleRun:
    """Replay `bars` (a date may repeat) as SPEC §6's `limit` ticks.

    mirrored: with the two extremes of every bar in the other order. Dividends as in `simulate`.
    """
    replay = Replay(policy, capital, stock_share, _schedule(dividends, pay_lag_days))
    for bar, today in zip(bars, dates, strict=True):
        opening, high, low, close = (exact(price) for price in bar)
        low_first = (close >= opening) != mirrored
        replay.visit(opening, today)
        way = [opening, low, high, close] if low_first else [opening, high, low, close]
        for start, end in pairwise(way):
            replay.travel(start, end, today)
        replay.visit(close, today)
    return replay.result()


def _schedule(
    dividends: Iterable[tuple[date, Any, date | None]], pay_lag_days: int
) -> list[Dividend]:
    return [
        Dividend(ex, exact(per_share), pay or ex + timedelta(days=pay_lag_days))
        for ex, per_share, pay in dividends
    ]


class Replay:
    """A cell and its benchmarks while prices are shown to them, and all that is noted down."""

    def __init__(
        self,
        policy: Mapping[str, Any],
        capital: Any,
        stock_share: Any,
        schedule: list[Dividend],
    ) -> None:
        self.rules = read_policy(policy)
        self.capital, self.start_share = exact(capital), exact(stock_share)
        self.schedule = schedule
        self.ticks: list[Tick] = []
        self.net_per_share: list[Decimal] = []  # of the ex-dates applied at each tick
        self.held: dict[str, list[Decimal]] = {"buy_hold": [], "hold_start_mix": []}
        self.total_dividends = ZERO

    def visit(self, price: Decimal, today: date) -> bool:
        """One tick: the whole order of work of SPEC §3.1; whether an order was filled."""
        if not self.ticks:
            return self._start(price, today)
        cell, rules, before = self.cell, self.rules, self.ticks[-1].day
        if today != before:
            cell.orders_today = 0
        going_ex = [item for item in self.schedule if before < item.ex_on <= today]
        days = (today - before).days
        self.total_dividends += _income(cell, today, days, going_ex, rules)
        for name, holder in self.holders.items():
            _income(holder, today, days, going_ex, rules)
            self.held[name].append(holder.equity(price))
        gross = sum((item.per_share for item in going_ex), ZERO)
        self.net_per_share.append(gross * (1 - rules.withholding_rate))
        if gross > 0:
            assert cell.anchor is not None
            cell.anchor = cell.anchor - gross if cell.anchor > gross else price
        order = step(price, cell, rules)
        if order.quantity > 0:
            self.books.record(cell.shares, order, today)
            cell.shares += order.quantity if order.action == "BUY" else -order.quantity
            cell.cash, cell.anchor = order.cash_after, order.price
            cell.orders_today += 1
        self.ticks.append(_tick(today, price, order, cell))
        return order.quantity > 0

    def travel(self, start: Decimal, end: Decimal, today: date) -> None:
        """The price runs from `start` to `end` past resting orders at both trigger levels."""
        here, up = start, end > start
        while True:
            anchor = self.cell.anchor
            assert anchor is not None
            if up:
                level = anchor * (1 + self.rules.trigger_up)
                met = here * (1 + TOLERANCE) < level <= end * (1 + TOLERANCE)
            else:
                level = anchor * (1 - self.rules.trigger_down)
                met = end * (1 - TOLERANCE) <= level < here * (1 - TOLERANCE)
            if not (met and self.visit(level, today)):
                return
            here = level

    def _start(self, first: Decimal, today: date) -> bool:
        in_stock = self.capital * self.start_share
        self.cell = OracleCell(in_stock / first, self.capital - in_stock, first)
        self.holders = {
            "buy_hold": OracleCell(self.capital / first, ZERO),
            "hold_start_mix": OracleCell(self.cell.shares, self.cell.cash),
        }
        self.books = Books(first, Decimal(today.toordinal()))
        self.ticks.append(_tick(today, first, Order("HOLD", "start"), self.cell))
        self.net_per_share.append(ZERO)
        for name, holder in self.holders.items():
            self.held[name].append(holder.equity(first))
        return False

    def result(self) -> OracleRun:
        """Everything SPEC §6 and §8 ask of a simulation, once the last price was shown."""
        ticks, rules, capital, held = self.ticks, self.rules, self.capital, self.held
        dates, prices = [tick.day for tick in ticks], [tick.price for tick in ticks]
        last_of_day = [
            i for i, day in enumerate(dates) if i + 1 == len(dates) or dates[i + 1] != day
        ]
        points = last_of_day if last_of_day[0] == 0 else [0, *last_of_day]  # V_0, V_1 .. V_n
        spans = list(pairwise(points))
        stock_returns = [
            (prices[j] + sum(self.net_per_share[i + 1 : j + 1], ZERO)) / prices[i] - 1
            for i, j in spans
        ]
        exposure = _mean([ticks[i].stock_share for i in last_of_day])
        matched = [capital]
        for (i, j), gain in zip(spans, stock_returns, strict=True):
            interest = rules.cash_rate * (dates[j] - dates[i]).days / YEAR
            matched.append(matched[-1] * (1 + exposure * gain + (1 - exposure) * interest))
        benchmarks = {name: [values[i] for i in points] for name, values in held.items()}
        benchmarks["exposure_matched"] = matched

        inside = [
            rules.min_stock_share - TOLERANCE
            <= tick.stock_share
            <= rules.max_stock_share + TOLERANCE
            for tick in ticks[1:]
        ]
        years = Decimal((dates[-1] - dates[0]).days) / YEAR
        equity = [ticks[i].equity for i in points]
        metrics = {
            **_return_metrics(equity, years),
            **_relative_metrics(equity, stock_returns, matched, years),
            **_fill_metrics(self.books, years, _mean(equity)),
            "fill_count": Decimal(sum(tick.order.quantity > 0 for tick in ticks)),
            "total_commissions": sum((tick.order.commission for tick in ticks), ZERO),
            "total_dividends": self.total_dividends,
            "time_in_guardrails": _mean([Decimal(flag) for flag in inside]) if inside else None,
            "avg_stock_share": exposure,
            "buy_hold_return": benchmarks["buy_hold"][-1] / capital - 1,
        }
        return OracleRun(ticks, metrics, benchmarks)


def _tick(today: date, price: Decimal, order: Order, cell: OracleCell) -> Tick:
    assert cell.anchor is not None
    return Tick(
        today,
        price,
        order,
        cell.shares,
        cell.cash,
        cell.receivable,
        cell.anchor,
        cell.equity(price),
        cell.stock_share(price),
    )


def _income(
    cell: OracleCell,
    today: date,
    days: int,
    going_ex: list[Dividend],
    policy: SimpleNamespace,
) -> Decimal:
    """Pay, accrue, interest, in SPEC §3.1's order; returns the net amount accrued."""
    cell.cash += sum((amount for pay_on, amount in cell.pending if pay_on <= today), ZERO)
    cell.pending = [item for item in cell.pending if item[0] > today]
    accrued = [
        (item.pay_on, cell.shares * item.per_share * (1 - policy.withholding_rate))
        for item in going_ex
    ]
    cell.pending += accrued
    cell.cash += cell.cash * policy.cash_rate * days / YEAR
    return sum((amount for _, amount in accrued), ZERO)


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, ZERO) / len(values)


def _sd(values: Sequence[Decimal]) -> Decimal:
    """Sample standard deviation (ddof 1)."""
    mean = _mean(values)
    return (sum((v - mean) ** 2 for v in values) / Decimal(len(values) - 1)).sqrt()


def _ratio(above: Decimal, below: Decimal) -> Decimal | None:
    return above / below if abs(below) >= FLAT else None


def _returns(values: Sequence[Decimal]) -> list[Decimal]:
    return [after / before - 1 for before, after in pairwise(values)]


def _cagr(values: Sequence[Decimal], years: Decimal) -> Decimal | None:
    return (values[-1] / values[0]) ** (1 / years) - 1 if years > 0 else None


def _return_metrics(equity: list[Decimal], years: Decimal) -> dict[str, Decimal | None]:
    peak, falls = equity[0], []
    for value in equity:
        peak = max(peak, value)
        falls.append(value / peak - 1)
    returns, cagr, deepest = _returns(equity), _cagr(equity, years), min(falls)
    rises = sum(r > 0 for r in returns)
    metrics: dict[str, Decimal | None] = {
        "total_return": equity[-1] / equity[0] - 1,
        "cagr": cagr,
        "max_drawdown": deepest,
        "calmar_ratio": None if cagr is None else _ratio(cagr, -deepest),
        "ulcer_index": _mean([fall**2 for fall in falls]).sqrt(),
        "positive_days": Decimal(rises) / len(returns) if returns else None,
        "volatility": None,
        "sharpe_ratio": None,
        "sortino_ratio": None,
    }
    if len(returns) >= 2:
        annual, deviation = SESSIONS.sqrt(), _sd(returns)
        downside = _mean([min(r, ZERO) ** 2 for r in returns]).sqrt()
        metrics["volatility"] = deviation * annual
        metrics["sharpe_ratio"] = _ratio(_mean(returns) * annual, deviation)
        metrics["sortino_ratio"] = _ratio(_mean(returns) * annual, downside)
    return metrics


def _relative_metrics(
    equity: list[Decimal], stock: list[Decimal], matched: list[Decimal], years: Decimal
) -> dict[str, Decimal | None]:
    """Against the stock's daily total return and the exposure-matched hold."""
    cagr, hold = _cagr(equity, years), _cagr(matched, years)
    metrics: dict[str, Decimal | None] = {
        "excess_return": None if cagr is None or hold is None else cagr - hold,
        "alpha": None,
        "beta": None,
        "information_ratio": None,
    }
    returns = _returns(equity)
    if len(returns) < 2:
        return metrics
    excess = [r - m for r, m in zip(returns, _returns(matched), strict=True)]
    metrics["information_ratio"] = _ratio(_mean(excess) * SESSIONS.sqrt(), _sd(excess))
    if _sd(stock) >= FLAT:
        ours, theirs = _mean(returns), _mean(stock)
        joint = sum((r - ours) * (s - theirs) for r, s in zip(returns, stock, strict=True))
        beta = joint / sum((s - theirs) ** 2 for s in stock)
        metrics["beta"] = Decimal(beta)
        metrics["alpha"] = (ours - beta * theirs) * SESSIONS
    return metrics


def _fill_metrics(books: Books, years: Decimal, mean: Decimal) -> dict[str, Decimal | None]:
    won = sum((gain for gain in books.gains if gain > 0), ZERO)
    lost = sum((gain for gain in books.gains if gain < 0), ZERO)
    sales = len(books.gains)
    return {
        "win_rate": Decimal(sum(gain > 0 for gain in books.gains)) / sales if sales else None,
        "profit_factor": won / -lost if lost < 0 else None,
        "avg_holding_days": books.held_days / books.sold if sales else None,
        "turnover": min(books.buys, books.sells) / mean / years if years > 0 else None,
    }

"""One simulation with its full path: every tick's decision, from the same rule as the kernel.

The loop runs the rule uncompiled; its fills are bit-equal to the kernel's. The metrics are
computed here from the recorded path, independently of the kernel's running sums.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volbal.domain import rule
from volbal.domain.rule import CLOSE, Bar, Cell, Decision, Stop, Terms
from volbal.engine.kernel import ROUNDING
from volbal.engine.metrics import ANNUAL, METRICS, NO_SPREAD, TRADING_DAYS, hold
from volbal.engine.paths import Floats, Ints, PricePath

SHARE_TOLERANCE = rule.SHARE_TOLERANCE


@dataclass(frozen=True, slots=True)
class DividendReceived:
    """One dividend of a simulation: what it paid on how many shares, and when."""

    ex_tick: int
    pay_tick: int
    per_share: float
    shares: float
    net: float


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of a simulation. at: its position in the recording; quantity: signed shares;
    gain: of a sell against average cost after commission, 0 for a buy; held_days: calendar days
    since the mean purchase date."""

    at: int
    quantity: float
    price: float
    notional: float
    commission: float
    shares: float
    cash: float
    reason: float
    gain: float
    held_days: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A simulation of one policy.

    Arrays have shape (n,), one entry per price at which the rule was asked: every tick of the
    path and, on the way through a bar, every level; taken after deciding. ticks: the tick of the
    path, for a level the one that ends the bar; price: account currency per share.
    decisions[0] belongs to the second entry: the first tick only starts the cell.
    """

    path: PricePath
    terms: Terms
    ticks: Ints
    price: Floats
    shares: Floats
    cash: Floats
    receivable: Floats
    anchor: Floats
    equity: Floats
    stock_share: Floats
    decisions: tuple[Decision, ...]
    fills: tuple[Fill, ...]
    dividends: tuple[DividendReceived, ...]

    @property
    def times(self) -> NDArray[np.datetime64]:
        """When: datetime64[s], for a price within a bar the bar's time."""
        return self.path.times[self.ticks]

    @property
    def day_marks(self) -> Ints:
        """Positions of V_0..V_n: the start, then every day's end."""
        # The last time the rule is asked at a tick is at the tick's own price.
        return np.searchsorted(self.ticks, self.path.day_marks, side="right") - 1

    @property
    def daily_equity(self) -> Floats:
        """V_0..V_n, account currency."""
        return self.equity[self.day_marks]

    @property
    def average_share(self) -> float:
        """Mean stock share at day ends."""
        ends = self.day_marks[0 if self.path.starts_at_day_end else 1 :]
        return float(self.stock_share[ends].mean())


def record(path: PricePath, terms: Terms, shares: float, cash: float) -> Recording:
    """Replay one policy tick by tick, starting with `shares` and `cash` at the first tick."""
    book = _Book(path, terms, shares, cash)
    for tick in range(1, path.ticks):
        book.work_off(tick)
    columns = np.array(book.cells).T
    prices = np.array(book.asked_at)
    equity = columns[0] * prices + columns[1] + columns[2]
    return Recording(
        path=path,
        terms=terms,
        ticks=np.array(book.ticks),
        price=prices,
        shares=columns[0],
        cash=columns[1],
        receivable=columns[2],
        anchor=columns[3],
        equity=equity,
        stock_share=columns[0] * prices / equity,
        decisions=tuple(book.decisions),
        fills=tuple(book.fills),
        dividends=tuple(book.dividends),
    )


class _Book:
    """The cell while it is replayed, and everything written down about it."""

    def __init__(self, path: PricePath, terms: Terms, shares: float, cash: float) -> None:
        self.prices: list[float] = path.price.tolist()
        self.years: list[float] = path.years.tolist()
        self.age: list[float] = path.age.tolist()
        first = self.prices[0]
        self.path = path
        self.terms = terms
        self.cell = Cell(shares, cash, 0.0, first, 0.0)
        self.cells = [self.cell]
        self.ticks = [0]
        self.asked_at = [first]
        self.pending = [0.0] * path.dividends.slots
        self.average_cost = first
        self.purchase_age = 0.0
        self.decisions: list[Decision] = []
        self.fills: list[Fill] = []
        self.dividends: list[DividendReceived] = []
        moved = path.dividends
        self.payments = sorted(range(len(moved.per_share)), key=lambda i: moved.pay_tick[i])
        self.next_payment = 0
        self.next_accrual = 0

    def work_off(self, tick: int) -> None:
        """One tick in the order of SPEC §3.1."""
        path, terms = self.path, self.terms
        if path.starts_day[tick]:
            self.cell = self.cell._replace(orders_today=0.0)
        self._pay_dividends(tick)
        self._accrue_dividends(tick)
        cash = self.cell.cash
        earned = rule.interest(cash, terms.cash_rate, self.years[tick])
        self.cell = self.cell._replace(cash=cash + earned)
        if path.walked[tick]:
            self._walk(tick)
        self._ask(tick, self.prices[tick])

    def _walk(self, tick: int) -> None:
        """Ask the rule at every level that the price meets on its way through the bar."""
        path = self.path
        bar = Bar(
            self.prices[tick - 1],
            float(path.first[tick]),
            float(path.second[tick]),
            self.prices[tick],
        )
        stop = rule.next_stop(bar, Stop(0.0, bar.open), self.cell.anchor, self.terms)
        while stop.leg < CLOSE:
            filled = self._ask(tick, stop.price)
            here = rule.walked_on(bar, stop, filled)
            stop = rule.next_stop(bar, here, self.cell.anchor, self.terms)

    def _ask(self, tick: int, price: float) -> bool:
        """Decide at `price` and fill; whether there was a fill."""
        done = rule.decide(price, self.cell, self.terms)
        filled = done.quantity != 0.0
        if filled:
            self._fill(tick, done)
        self.decisions.append(done)
        self.cells.append(self.cell)
        self.ticks.append(tick)
        self.asked_at.append(price)
        return filled

    def _pay_dividends(self, tick: int) -> None:
        moved = self.path.dividends
        while self.next_payment < len(self.payments):
            index = self.payments[self.next_payment]
            if moved.pay_tick[index] != tick:
                return
            cash = self.cell.cash + self.pending[moved.slot[index]]
            self.pending[moved.slot[index]] = 0.0
            self.cell = self.cell._replace(cash=cash, receivable=sum(self.pending))
            self.next_payment += 1

    def _accrue_dividends(self, tick: int) -> None:
        moved = self.path.dividends
        while self.next_accrual < len(moved.ex_tick) and moved.ex_tick[self.next_accrual] == tick:
            index = self.next_accrual
            per_share = float(moved.per_share[index])
            shares = self.cell.shares
            net = rule.accrued_dividend(shares, per_share, self.terms.withholding_rate)
            price = self.prices[tick]
            self.pending[moved.slot[index]] = net
            self.cell = self.cell._replace(
                receivable=sum(self.pending),
                anchor=rule.anchor_after_ex_date(self.cell.anchor, price, per_share),
            )
            pay_tick = int(moved.pay_tick[index])
            self.dividends.append(DividendReceived(tick, pay_tick, per_share, shares, net))
            self.next_accrual += 1

    def _fill(self, tick: int, done: Decision) -> None:
        cell, age = self.cell, self.age[tick]
        gain = held_days = 0.0
        if done.quantity > 0.0:
            paid = cell.shares * self.average_cost + done.notional + done.commission
            aged = cell.shares * self.purchase_age + done.quantity * age
            self.average_cost = paid / done.shares_after
            self.purchase_age = aged / done.shares_after
        else:
            held_days = age - self.purchase_age
            gain = -done.quantity * (done.fill_price - self.average_cost) - done.commission
        self.cell = Cell(
            done.shares_after,
            done.cash_after,
            cell.receivable,
            done.anchor_after,
            cell.orders_today + 1.0,
        )
        self.fills.append(
            Fill(
                at=len(self.cells),
                quantity=done.quantity,
                price=done.fill_price,
                notional=done.notional,
                commission=done.commission,
                shares=done.shares_after,
                cash=done.cash_after,
                reason=done.reason,
                gain=gain,
                held_days=held_days,
            )
        )


def stock_returns(recording: Recording) -> Floats:
    """The stock's daily total returns after the policy's withholding, shape (n,)."""
    days = recording.path.days
    return days.price + days.dividend * (1.0 - recording.terms.withholding_rate)


def matched_returns(recording: Recording) -> Floats:
    """Daily returns of the exposure-matched hold: the average stock share, rebalanced daily."""
    share = recording.average_share
    idle = recording.terms.cash_rate * recording.path.days.years
    return share * stock_returns(recording) + (1.0 - share) * idle


def drawdowns(equity: Floats) -> Floats:
    """Fall from the running peak at every point, <= 0; equity: shape (n,), > 0."""
    return equity / np.maximum.accumulate(equity) - 1.0


class Fall(NamedTuple):
    """One stretch below a peak, as positions on an equity curve.

    peak: the last high before it; trough: its lowest point; end: the first point back at the
    peak, None while it has not recovered. depth: equity at the trough / peak - 1, < 0.
    """

    peak: int
    trough: int
    end: int | None
    depth: float


def falls(equity: Floats) -> list[Fall]:
    """Every stretch of `equity` (shape (n,), > 0) below its running peak, deepest first."""
    below = drawdowns(equity) < 0.0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    found = []
    for first, end in edges.reshape(-1, 2).tolist():
        trough = first + int(np.argmin(equity[first:end]))
        depth = float(equity[trough] / equity[first - 1] - 1.0)
        found.append(Fall(first - 1, trough, end if end < len(equity) else None, depth))
    return sorted(found, key=lambda fall: fall.depth)


def held_equity(recording: Recording, stock_share: float) -> Floats:
    """Daily equity V_0..V_n of holding `stock_share` of the capital from the first tick on."""
    path, terms = recording.path, recording.terms
    capital = float(recording.equity[0])
    shares = capital * stock_share / float(path.price[0])
    rates = np.array([terms.withholding_rate]), np.array([terms.cash_rate])
    by_tick = np.concatenate([*hold(path, shares, capital * (1.0 - stock_share), *rates)])
    return by_tick[path.day_marks]


def curve_metrics(equity: Floats, years: float) -> dict[str, float]:
    """The metrics that follow from daily equity V_0..V_n alone; NaN where undefined.

    equity: shape (n + 1,), > 0; years: calendar time from first to last.
    """
    returns = equity[1:] / equity[:-1] - 1.0
    falls = drawdowns(equity)
    growth = float(equity[-1] / equity[0])
    cagr = _annual(growth, years)
    mean, deviation = _mean(returns), _deviation(returns)
    downside = math.sqrt(_mean(np.minimum(returns, 0.0) ** 2))
    return {
        "total_return": growth - 1.0,
        "cagr": cagr,
        "volatility": deviation * ANNUAL,
        "sharpe_ratio": _ratio(mean, deviation) * ANNUAL,
        "sortino_ratio": _ratio(mean, downside) * ANNUAL,
        "max_drawdown": float(falls.min()),
        "calmar_ratio": _ratio(cagr, -float(falls.min())),
        "ulcer_index": math.sqrt(_mean(falls**2)),
        "positive_days": _mean((equity[1:] > equity[:-1] * (1.0 + ROUNDING)).astype(float)),
        "cvar_95": expected_shortfall(returns),
    }


def metrics(recording: Recording, mirrored: Recording | None = None) -> dict[str, float]:
    """Every metric of SPEC §8 and cvar_95 from the recorded path; NaN where undefined.

    mirrored: the same policy over `path.mirrored`, for the bracket.
    """
    equity = recording.daily_equity
    years = recording.path.total_years
    curve = curve_metrics(equity, years)
    other = math.nan
    if mirrored is not None:
        other = _annual(float(mirrored.equity[-1] / equity[0]), years)
    return (
        {metric.name: math.nan for metric in METRICS}
        | curve
        | _fill_metrics(recording, float(equity.mean()), years)
        | _comparison_metrics(recording, equity, curve["cagr"])
        | {
            "bracket_low": float(np.minimum(curve["cagr"], other)),
            "bracket_high": float(np.maximum(curve["cagr"], other)),
        }
    )


def _fill_metrics(recording: Recording, mean_equity: float, years: float) -> dict[str, float]:
    fills, terms = recording.fills, recording.terms
    sells = [fill for fill in fills if fill.quantity < 0.0]
    bought = sum(fill.notional for fill in fills if fill.quantity > 0.0)
    sold = sum(fill.notional for fill in sells)
    won = [fill.gain for fill in sells if fill.gain > ROUNDING * fill.notional]
    lost = [fill.gain for fill in sells if fill.gain <= ROUNDING * fill.notional]
    held = sum(-fill.quantity * fill.held_days for fill in sells)
    shares = recording.stock_share[1:]
    inside = (shares >= terms.min_stock_share - SHARE_TOLERANCE) & (
        shares <= terms.max_stock_share + SHARE_TOLERANCE
    )
    return {
        "win_rate": _ratio(len(won), len(sells)),
        "profit_factor": _ratio(sum(won), -sum(lost)),
        "avg_holding_days": _ratio(held, -sum(fill.quantity for fill in sells)),
        "fill_count": float(len(fills)),
        "turnover": _ratio(min(bought, sold) / mean_equity, years),
        "total_commissions": sum(fill.commission for fill in fills),
        "total_dividends": sum(dividend.net for dividend in recording.dividends),
        "time_in_guardrails": _mean(inside.astype(float)),
        "avg_stock_share": recording.average_share,
    }


def _comparison_metrics(recording: Recording, equity: Floats, cagr: float) -> dict[str, float]:
    returns = equity[1:] / equity[:-1] - 1.0
    matched = matched_returns(recording)
    excess = returns - matched
    growth = float(np.prod(1.0 + matched))
    alpha, beta = _regression(returns, stock_returns(recording))
    return {
        "buy_hold_return": float(held_equity(recording, 1.0)[-1] / equity[0]) - 1.0,
        "excess_return": cagr - _annual(growth, recording.path.total_years),
        "alpha": alpha,
        "beta": beta,
        "information_ratio": _ratio(_mean(excess), _deviation(excess)) * ANNUAL,
    }


def undefined_metrics(values: dict[str, float]) -> dict[str, str]:
    """Why each undefined metric of `values` is undefined."""
    reasons = {metric.name: metric.undefined for metric in METRICS}
    return {
        name: reasons.get(name, "fewer than two daily returns")
        for name, value in values.items()
        if math.isnan(value)
    }


def expected_shortfall(returns: Floats) -> float:
    """Mean of the worst 5 % of daily returns (CVaR 95 %), at least one; <= 0 in bad times.

    Source: as empyrical's `conditional_value_at_risk` with cutoff 0.05.
    """
    if not len(returns):
        return math.nan
    worst = int((len(returns) - 1) * 0.05) + 1
    return _mean(np.partition(returns, worst - 1)[:worst])


def _regression(returns: Floats, stock: Floats) -> tuple[float, float]:
    if _deviation(stock) <= NO_SPREAD or math.isnan(_deviation(stock)):
        return math.nan, math.nan
    centred = stock - stock.mean()
    beta = float((returns * centred).sum() / (centred * centred).sum())
    return (_mean(returns) - beta * float(stock.mean())) * TRADING_DAYS, beta


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _ratio(value: float, spread: float) -> float:
    return value / spread if spread > NO_SPREAD else math.nan


def _annual(growth: float, years: float) -> float:
    return growth ** (1.0 / years) - 1.0 if years > 0.0 else math.nan

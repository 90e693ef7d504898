"""The straightforward compiled loop: one policy after the other, state in local variables.

What one writes first with numba. It uses the same compiled rule and streams the same sums as the
kernel; `bench/grid.py` measures how much the kernel's lanes gain over it.
"""

import numba
import numpy as np

from volbal.domain.rule import SHARE_TOLERANCE, Cell, Terms
from volbal.engine.compiled import RULE
from volbal.engine.kernel import ROUNDING
from volbal.engine.paths import Floats, PricePath

decide = RULE["decide"]
interest = RULE["interest"]
accrued_dividend = RULE["accrued_dividend"]
anchor_after_ex_date = RULE["anchor_after_ex_date"]


@numba.njit(error_model="numpy")
def _replay_one(terms, price, years, age, per_share, ex_tick, pay_tick, start, days, centred, out):
    shares, cash = start
    receivable = 0.0
    pending = np.zeros(len(per_share))
    anchor = average_cost = price[0]
    purchase_age = gains = losses = wins = sells = fills = bought = sold = commissions = 0.0
    dividends = held_days = sold_shares = inside = up_days = drawdown = drawdown_squares = 0.0
    mean = squares = downside = by_stock = mean_excess = excess_squares = excess_by_stock = 0.0
    equity_before = equity_peak = equity_sum = shares * price[0] + cash
    share_sum = reference = shares * price[0] / equity_before
    kept = 1.0 - terms.withholding_rate
    rate = terms.cash_rate
    next_ex = 0
    next_pay = 0
    for tick in range(1, len(price)):
        while next_pay < len(pay_tick) and pay_tick[next_pay] == tick:
            cash += pending[next_pay]
            receivable -= pending[next_pay]
            next_pay += 1
        while next_ex < len(ex_tick) and ex_tick[next_ex] == tick:
            pending[next_ex] = accrued_dividend(shares, per_share[next_ex], terms.withholding_rate)
            receivable += pending[next_ex]
            dividends += pending[next_ex]
            anchor = anchor_after_ex_date(anchor, price[tick], per_share[next_ex])
            next_ex += 1
        cash += interest(cash, rate, years[tick])
        done = decide(price[tick], Cell(shares, cash, receivable, anchor, 0.0), terms)
        if done.quantity != 0.0:
            fills += 1.0
            commissions += done.commission
            if done.quantity > 0.0:
                bought += done.notional
                paid = shares * average_cost + done.notional + done.commission
                average_cost = paid / done.shares_after
                aged = shares * purchase_age + done.quantity * age[tick]
                purchase_age = aged / done.shares_after
            else:
                sold += done.notional
                sells += 1.0
                gain = -done.quantity * (done.fill_price - average_cost) - done.commission
                if gain > ROUNDING * done.notional:
                    wins += 1.0
                    gains += gain
                else:
                    losses += gain
                held_days -= done.quantity * (age[tick] - purchase_age)
                sold_shares -= done.quantity
            shares = done.shares_after
            cash = done.cash_after
            anchor = done.anchor_after
        share = done.stock_share_after
        if (
            terms.min_stock_share - SHARE_TOLERANCE
            <= share
            <= terms.max_stock_share + SHARE_TOLERANCE
        ):
            inside += 1.0
        equity = done.equity_after
        day = tick - 1
        daily = equity / equity_before - 1.0
        stock_centred = centred[0][day] + centred[1][day] * kept
        idle = rate * years[tick]
        excess = daily - idle - reference * (days[0][day] + days[1][day] * kept - idle)
        if equity > equity_before * (1.0 + ROUNDING):
            up_days += 1.0
        equity_peak = max(equity_peak, equity)
        fall = equity / equity_peak - 1.0
        drawdown = min(drawdown, fall)
        drawdown_squares += fall * fall
        equity_sum += equity
        share_sum += share
        before = mean
        mean += (daily - before) / tick
        squares += (daily - before) * (daily - mean)
        downside += min(daily, 0.0) ** 2
        by_stock += daily * stock_centred
        before = mean_excess
        mean_excess += (excess - before) / tick
        excess_squares += (excess - before) * (excess - mean_excess)
        excess_by_stock += excess * (stock_centred - rate * centred[2][day])
        equity_before = equity
    growth = 1.0
    average_share = share_sum / len(price)
    for day in range(len(days[0])):
        stock = days[0][day] + days[1][day] * kept
        growth *= 1.0 + average_share * stock + (1.0 - average_share) * rate * days[2][day]
    results = (
        shares, cash, equity_before, fills, commissions, dividends, gains, losses, wins, sells,
        bought, sold, held_days, sold_shares, inside, up_days, drawdown, drawdown_squares,
        equity_sum, share_sum, mean, squares, downside, by_stock, mean_excess, excess_squares,
        excess_by_stock, growth,
    )  # fmt: skip
    for index in range(len(results)):
        out[index] = results[index]


RESULTS = 28


@numba.njit(error_model="numpy")
def _replay_all(
    columns, price, years, age, per_share, ex_tick, pay_tick, start, days, centred, out
):
    for cell in range(columns.shape[1]):
        c = columns[:, cell]
        terms = Terms(
            c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7],
            c[8], c[9], c[10], c[11], c[12], c[13], c[14], c[15],
        )  # fmt: skip
        _replay_one(
            terms, price, years, age, per_share, ex_tick, pay_tick, start, days, centred, out[cell]
        )


def replay_daily(path: PricePath, terms: Floats, shares: float, cash: float) -> Floats:
    """Sums of every policy (column of `terms`) over daily closes; shape (m, RESULTS)."""
    out = np.empty((terms.shape[1], RESULTS))
    moved = path.dividends
    _replay_all(
        np.ascontiguousarray(terms),
        path.price,
        path.years,
        path.age,
        moved.per_share,
        moved.ex_tick,
        moved.pay_tick,
        (shares, cash),
        tuple(path.days),
        tuple(values - values.mean() for values in path.days),
        out,
    )
    return out

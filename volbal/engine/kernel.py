"""The kernel: one loop over the rule that replays many policies at once.

Ticks are the outer loop, `LANES` policies (lanes) the inner one. Everything a lane knows is one
row entry of a single flat array, so that the compiler turns the inner loop into vector code
(structure of arrays). A tick is several short loops over the lanes, so that the processor can
overlap one group of lanes with the next. Metrics are streamed: the kernel keeps running sums per
lane and nothing per tick. A lane sees only itself, so neither the batch nor the chunk changes a
bit of a result.

True divisions and no fastmath keep every fill bit-equal to the uncompiled rule.
"""

from typing import Final

import numba
import numpy as np

from volbal.domain.policy import Policy
from volbal.domain.rule import CLOSE, SHARE_TOLERANCE, Bar, Cell, Intent, Stop, Terms
from volbal.engine.compiled import RULE
from volbal.engine.paths import Floats, Ints, PricePath, price_path

LANES: Final = 64
"""Policies per batch; measured best between 64 and 128."""

ROUNDING: Final = 1e-12
"""Relative: money that differs by less is the same money, added up in another order."""

STATE = (
    "shares",
    "cash",
    "receivable",
    "anchor",
    "orders_today",
    "average_cost",
    "purchase_age",
    "gains",
    "losses",
    "wins",
    "sells",
    "fills",
    "bought",
    "sold",
    "commissions",
    "dividends",
    "held_days",
    "sold_shares",
    "ticks_inside",
    "share_now",
    "equity_now",
    "equity_before",
    "equity_peak",
    "drawdown",
    "drawdown_squares",
    "equity_sum",
    "share_sum",
    "up_days",
    "mean_return",
    "return_squares",
    "downside_squares",
    "return_by_stock",
    "mean_excess",
    "excess_squares",
    "excess_by_stock",
    "matched_growth",
    "guarded",
    "quantity",
    "fill_price",
    "notional",
    "commission",
    "shares_before",
    "leg",
    "level",
    "levels_asked",
)
"""What a lane remembers behind its policy. All money in account currency, days in calendar days.

share/equity_now: at the last tick; equity_before: at the last day's end. return_squares: sum of
squared deviations of the daily returns r from their mean. The excess of a day is
e = r - c - start_share * y, with c the day's interest rate and y = stock return - c; its moments
give the tracking error against any constant stock share without a second run.
*_by_stock: sums of r * (stock return - its mean) and e * (y - its mean). matched_growth: final
value of 1 in the exposure-matched hold. guarded to shares_before: the last tick's intent and
fill. leg and level: where a lane stands on its way through a bar; levels_asked: how often it was
asked on such ways.
"""

ROWS = (*Terms._fields, *STATE)
ROW = {name: index for index, name in enumerate(ROWS)}

_OFFSETS = {name.upper(): index * LANES for index, name in enumerate(ROWS)}
WITHHOLDING_RATE: Final = _OFFSETS["WITHHOLDING_RATE"]
CASH_RATE: Final = _OFFSETS["CASH_RATE"]
(
    SHARES,
    CASH,
    RECEIVABLE,
    ANCHOR,
    ORDERS_TODAY,
    AVERAGE_COST,
    PURCHASE_AGE,
    GAINS,
    LOSSES,
    WINS,
    SELLS,
    FILLS,
    BOUGHT,
    SOLD,
    COMMISSIONS,
    DIVIDENDS,
    HELD_DAYS,
    SOLD_SHARES,
    TICKS_INSIDE,
    SHARE_NOW,
    EQUITY_NOW,
    EQUITY_BEFORE,
    EQUITY_PEAK,
    DRAWDOWN,
    DRAWDOWN_SQUARES,
    EQUITY_SUM,
    SHARE_SUM,
    UP_DAYS,
    MEAN_RETURN,
    RETURN_SQUARES,
    DOWNSIDE_SQUARES,
    RETURN_BY_STOCK,
    MEAN_EXCESS,
    EXCESS_SQUARES,
    EXCESS_BY_STOCK,
    MATCHED_GROWTH,
    GUARDED,
    QUANTITY,
    FILL_PRICE,
    NOTIONAL,
    COMMISSION,
    SHARES_BEFORE,
    LEG,
    LEVEL,
    LEVELS_ASKED,
) = (_OFFSETS[name.upper()] for name in STATE)
PENDING: Final = len(ROWS) * LANES
"""Behind the named rows: one row per dividend slot with the amount that waits to be paid."""

intend = RULE["intend"]
settle = RULE["settle"]
interest = RULE["interest"]
accrued_dividend = RULE["accrued_dividend"]
anchor_after_ex_date = RULE["anchor_after_ex_date"]
next_stop = RULE["next_stop"]
walked_on = RULE["walked_on"]

DAY_MOMENTS: Final = (MEAN_EXCESS, EXCESS_SQUARES, EXCESS_BY_STOCK)
"""Rows of the daily excess that a run by blocks hands out, and begins anew, at a block's end."""

inlined = numba.njit(forceinline=True, error_model="numpy")


@inlined
def _terms(s, j):  # type: ignore[no-untyped-def]
    return Terms(
        s[0 * LANES + j],
        s[1 * LANES + j],
        s[2 * LANES + j],
        s[3 * LANES + j],
        s[4 * LANES + j],
        s[5 * LANES + j],
        s[6 * LANES + j],
        s[7 * LANES + j],
        s[8 * LANES + j],
        s[9 * LANES + j],
        s[10 * LANES + j],
        s[11 * LANES + j],
        s[12 * LANES + j],
        s[13 * LANES + j],
        s[14 * LANES + j],
        s[15 * LANES + j],
    )


@inlined
def _total_pending(s, j, slots):  # type: ignore[no-untyped-def]
    total = 0.0
    for slot in range(slots):
        total += s[PENDING + slot * LANES + j]
    return total


@inlined
def _pay_dividend(s, slot, slots):  # type: ignore[no-untyped-def]
    for j in range(LANES):
        s[CASH + j] += s[PENDING + slot * LANES + j]
        s[PENDING + slot * LANES + j] = 0.0
        s[RECEIVABLE + j] = _total_pending(s, j, slots)


@inlined
def _accrue_dividend(s, slot, slots, price, per_share):  # type: ignore[no-untyped-def]
    for j in range(LANES):
        net = accrued_dividend(s[SHARES + j], per_share, s[WITHHOLDING_RATE + j])
        s[PENDING + slot * LANES + j] = net
        s[RECEIVABLE + j] = _total_pending(s, j, slots)
        s[DIVIDENDS + j] += net
        s[ANCHOR + j] = anchor_after_ex_date(s[ANCHOR + j], price, per_share)


@inlined
def _intend(s, price, years):  # type: ignore[no-untyped-def]
    """Interest, then what the rule wants at this tick."""
    for j in range(LANES):
        terms = _terms(s, j)
        cash = s[CASH + j]
        cash = cash + interest(cash, terms.cash_rate, years)
        cell = Cell(s[SHARES + j], cash, s[RECEIVABLE + j], s[ANCHOR + j], s[ORDERS_TODAY + j])
        s[CASH + j] = cash
        s[GUARDED + j] = intend(price, cell, terms).guarded


@inlined
def _settle(s, price):  # type: ignore[no-untyped-def]
    for j in range(LANES):
        _settle_lane(s, j, price, 1.0)


@inlined
def _settle_lane(s, j, price, asked):  # type: ignore[no-untyped-def]
    """What comes of the intent: an order that is filled, or none. asked: 1, or 0 for a lane
    without intent whose tick does not count."""
    terms = _terms(s, j)
    shares = s[SHARES + j]
    orders_today = s[ORDERS_TODAY + j]
    cell = Cell(shares, s[CASH + j], s[RECEIVABLE + j], s[ANCHOR + j], orders_today)
    # Only `guarded` makes the fill; the rest of an intent explains it.
    done = settle(price, cell, Intent(0.0, 0.0, 0.0, s[GUARDED + j]), terms)
    share = done.stock_share_after
    inside = (share >= terms.min_stock_share - SHARE_TOLERANCE) & (
        share <= terms.max_stock_share + SHARE_TOLERANCE
    )
    s[QUANTITY + j] = done.quantity
    s[FILL_PRICE + j] = done.fill_price
    s[NOTIONAL + j] = done.notional
    s[COMMISSION + j] = done.commission
    s[SHARES_BEFORE + j] = shares
    s[SHARES + j] = done.shares_after
    s[CASH + j] = done.cash_after
    s[ANCHOR + j] = done.anchor_after
    s[ORDERS_TODAY + j] = orders_today + (1.0 if done.quantity != 0.0 else 0.0)
    s[TICKS_INSIDE + j] += asked if inside else 0.0
    s[SHARE_NOW + j] = share
    s[EQUITY_NOW + j] = done.equity_after


@inlined
def _book(s, age):  # type: ignore[no-untyped-def]
    """Cost, gains and sums of the tick's fill; all zero without one."""
    for j in range(LANES):
        quantity = s[QUANTITY + j]
        notional = s[NOTIONAL + j]
        commission = s[COMMISSION + j]
        shares = s[SHARES_BEFORE + j]
        shares_after = s[SHARES + j]
        cost = s[AVERAGE_COST + j]
        bought_at = s[PURCHASE_AGE + j]
        buys = quantity > 0.0
        sells = quantity < 0.0
        per_share = 1.0 / (shares_after if buys else 1.0)
        paid = shares * cost + notional + commission
        aged = shares * bought_at + quantity * age
        sold_shares = -quantity if sells else 0.0
        gain = sold_shares * (s[FILL_PRICE + j] - cost) - commission
        wins = sells & (gain > ROUNDING * notional)

        s[AVERAGE_COST + j] = paid * per_share if buys else cost
        s[PURCHASE_AGE + j] = aged * per_share if buys else bought_at
        s[GAINS + j] += gain if wins else 0.0
        s[LOSSES + j] += gain if sells & (not wins) else 0.0
        s[WINS + j] += 1.0 if wins else 0.0
        s[SELLS + j] += 1.0 if sells else 0.0
        s[FILLS + j] += 1.0 if quantity != 0.0 else 0.0
        s[BOUGHT + j] += notional if buys else 0.0
        s[SOLD + j] += notional if sells else 0.0
        s[COMMISSIONS + j] += commission
        s[HELD_DAYS + j] += sold_shares * (age - bought_at)
        s[SOLD_SHARES + j] += sold_shares


@inlined
def _go_to_next_level(s, bar):  # type: ignore[no-untyped-def]
    """Take every lane to the next level it meets, or to the close; returns how many met one."""
    met = 0
    for j in range(LANES):
        stop = next_stop(bar, Stop(s[LEG + j], s[LEVEL + j]), s[ANCHOR + j], _terms(s, j))
        s[LEG + j] = stop.leg
        s[LEVEL + j] = stop.price
        met += 1 if stop.leg < CLOSE else 0
    return met


@inlined
def _ask_at_levels(s, bar, age):  # type: ignore[no-untyped-def]
    """Ask the rule in the lanes that stand at a level; the others wait at the close."""
    for j in range(LANES):
        price = s[LEVEL + j]
        asked = s[LEG + j] < CLOSE
        orders_today = s[ORDERS_TODAY + j]
        cell = Cell(s[SHARES + j], s[CASH + j], s[RECEIVABLE + j], s[ANCHOR + j], orders_today)
        wanted = intend(price, cell, _terms(s, j)).guarded
        s[GUARDED + j] = wanted if asked else 0.0
    for j in range(LANES):
        asked = 1.0 if s[LEG + j] < CLOSE else 0.0
        _settle_lane(s, j, s[LEVEL + j], asked)
        s[LEVELS_ASKED + j] += asked
    _book(s, age)
    for j in range(LANES):
        here = walked_on(bar, Stop(s[LEG + j], s[LEVEL + j]), s[QUANTITY + j] != 0.0)
        s[LEG + j] = here.leg
        s[LEVEL + j] = here.price


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk(s, bar, age):  # type: ignore[no-untyped-def]
    """Take the lanes through a bar, each at its own pace, and ask at every level they meet."""
    for j in range(LANES):
        s[LEG + j] = 0.0
        s[LEVEL + j] = bar.open
    while _go_to_next_level(s, bar) > 0:
        _ask_at_levels(s, bar, age)


@inlined
def _close_day(s, inverse, start_share, years, price_return, dividend_return, centred):  # type: ignore[no-untyped-def]
    """One day's end: returns, drawdown and their running sums; `inverse` = 1 / day count."""
    price_centred, dividend_centred, years_centred = centred
    for j in range(LANES):
        equity = s[EQUITY_NOW + j]
        before = s[EQUITY_BEFORE + j]
        kept = 1.0 - s[WITHHOLDING_RATE + j]
        rate = s[CASH_RATE + j]
        daily = equity / before - 1.0
        stock = price_return + dividend_return * kept
        stock_centred = price_centred + dividend_centred * kept
        excess = daily - rate * years - start_share * (stock - rate * years)
        peak = max(s[EQUITY_PEAK + j], equity)
        drawdown = equity / peak - 1.0
        downside = min(daily, 0.0)
        mean = s[MEAN_RETURN + j]
        mean_after = mean + (daily - mean) * inverse
        mean_excess = s[MEAN_EXCESS + j]
        mean_excess_after = mean_excess + (excess - mean_excess) * inverse

        s[EQUITY_BEFORE + j] = equity
        s[EQUITY_PEAK + j] = peak
        s[DRAWDOWN + j] = min(s[DRAWDOWN + j], drawdown)
        s[DRAWDOWN_SQUARES + j] += drawdown * drawdown
        s[EQUITY_SUM + j] += equity
        s[SHARE_SUM + j] += s[SHARE_NOW + j]
        s[UP_DAYS + j] += 1.0 if equity > before * (1.0 + ROUNDING) else 0.0
        s[MEAN_RETURN + j] = mean_after
        s[RETURN_SQUARES + j] += (daily - mean) * (daily - mean_after)
        s[DOWNSIDE_SQUARES + j] += downside * downside
        s[RETURN_BY_STOCK + j] += daily * stock_centred
        s[MEAN_EXCESS + j] = mean_excess_after
        s[EXCESS_SQUARES + j] += (excess - mean_excess) * (excess - mean_excess_after)
        s[EXCESS_BY_STOCK + j] += excess * (stock_centred - rate * years_centred)


@inlined
def _grow_matched(s, shares_seen, days):  # type: ignore[no-untyped-def]
    """Growth of 1 in the exposure-matched hold, whose stock share is known only at the end."""
    price_return, dividend_return, years = days
    for day in range(len(price_return)):
        for j in range(LANES):
            share = s[SHARE_SUM + j] / shares_seen
            idle = s[CASH_RATE + j] * years[day]
            stock = price_return[day] + dividend_return[day] * (1.0 - s[WITHHOLDING_RATE + j])
            s[MATCHED_GROWTH + j] *= 1.0 + share * stock + (1.0 - share) * idle


@inlined
def _hand_out(s, moments):  # type: ignore[no-untyped-def]
    """A block of days ends: its moments go to `moments`, and the next block's begin at 0."""
    for row in range(len(DAY_MOMENTS)):
        for j in range(LANES):
            moments[row, j] = s[DAY_MOMENTS[row] + j]
            s[DAY_MOMENTS[row] + j] = 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _replay(  # type: ignore[no-untyped-def]
    s, start_share, ticks, ways, dividends, payments, slots, days, centred, shares_seen, block_ends,
    moments,
):  # fmt: skip
    """Take one batch of lanes over the path; `s` is the flat array of rows, changed in place."""
    price, years, age, starts_day, ends_day = ticks
    walked, first, second = ways
    per_share, ex_tick, ex_slot = dividends
    pay_tick, pay_slot = payments
    next_ex = 0
    next_pay = 0
    day = 0
    block = 0
    block_start = 0
    for tick in range(1, len(price)):
        if starts_day[tick]:
            for j in range(LANES):
                s[ORDERS_TODAY + j] = 0.0
        while next_pay < len(pay_tick) and pay_tick[next_pay] == tick:
            _pay_dividend(s, pay_slot[next_pay], slots)
            next_pay += 1
        while next_ex < len(ex_tick) and ex_tick[next_ex] == tick:
            _accrue_dividend(s, ex_slot[next_ex], slots, price[tick], per_share[next_ex])
            next_ex += 1
        if walked[tick]:
            _walk(s, Bar(price[tick - 1], first[tick], second[tick], price[tick]), age[tick])
        _intend(s, price[tick], years[tick])
        _settle(s, price[tick])
        _book(s, age[tick])
        if ends_day[tick]:
            here = (centred[0][day], centred[1][day], centred[2][day])
            inverse = 1.0 / (day + 1.0 - block_start)
            _close_day(s, inverse, start_share, days[2][day], days[0][day], days[1][day], here)
            day += 1
            if block < len(block_ends) and block_ends[block] == day:
                _hand_out(s, moments[block])
                block += 1
                block_start = day
    _grow_matched(s, shares_seen, days)


def replay(path: PricePath, terms: Floats, shares: float, cash: float) -> Floats:
    """Simulate many policies over one path; every lane starts with `shares` and `cash`.

    terms: shape (len(Terms._fields), m), one column a policy. Returns shape (len(STATE), m): the
    rows named in `STATE` at the end of the path.
    """
    return _replay_batches(path, terms, shares, cash, np.empty(0, dtype=np.int64))[0]


def replay_blocks(
    path: PricePath, terms: Floats, shares: float, cash: float, ends: Ints
) -> tuple[Floats, Floats]:
    """Simulate as `replay` does and cut the days into blocks, the last days of which are `ends`.

    ends: counts of days, rising, the last one all. Returns share_sum of shape (m,) and of every
    block the rows of `DAY_MOMENTS`, shape (blocks, 3, m), as if its days were all there are.
    """
    ended, moments = _replay_batches(path, terms, shares, cash, ends)
    return ended[STATE.index("share_sum")], moments


def _replay_batches(
    path: PricePath, terms: Floats, shares: float, cash: float, block_ends: Ints
) -> tuple[Floats, Floats]:
    fields, count = terms.shape
    batches = -(-count // LANES)
    ended = np.empty((len(STATE), batches * LANES))
    moments = np.empty((len(block_ends), len(DAY_MOMENTS), batches * LANES))
    of_batch = np.empty((len(block_ends), len(DAY_MOMENTS), LANES))
    flat = _aligned((len(ROWS) + path.dividends.slots) * LANES)
    rows = flat.reshape(-1, LANES)
    moved = path.dividends
    by_payment = np.argsort(moved.pay_tick, kind="stable")
    centred = tuple(_centred(values, block_ends) for values in path.days)
    share = shares * path.price[0] / (shares * path.price[0] + cash)
    shares_seen = len(path.days.price) + float(path.starts_at_day_end)
    for batch in range(batches):
        here = slice(batch * LANES, (batch + 1) * LANES)
        lanes = terms[:, here]
        rows[:] = 0.0
        rows[:fields, : lanes.shape[1]] = lanes
        rows[:fields, lanes.shape[1] :] = lanes[:, -1:]
        _start(rows, path, shares, cash)
        _replay(
            flat,
            share,
            (path.price, path.years, path.age, path.starts_day, path.ends_day),
            (path.walked, path.first, path.second),
            (moved.per_share, moved.ex_tick, moved.slot),
            (moved.pay_tick[by_payment], moved.slot[by_payment]),
            moved.slots,
            tuple(path.days),
            centred,
            shares_seen,
            block_ends,
            of_batch,
        )
        ended[:, here] = rows[fields : len(ROWS)]
        moments[:, :, here] = of_batch
    return ended[:, :count], moments[:, :, :count]


def _centred(values: Floats, block_ends: Ints) -> Floats:
    """`values` less the mean of their block; of all where there are no blocks."""
    parts = np.split(values, block_ends[:-1])
    centred: Floats = np.concatenate([part - part.mean() for part in parts])
    return centred


def _start(rows: Floats, path: PricePath, shares: float, cash: float) -> None:
    """The first tick: a cell worth the capital, its anchor the first price; no decision."""
    first = path.price[0]
    equity = shares * first + cash
    share = shares * first / equity
    rows[ROW["shares"]] = shares
    rows[ROW["cash"]] = cash
    rows[ROW["anchor"]] = rows[ROW["average_cost"]] = first
    rows[ROW["share_now"]] = share
    rows[ROW["share_sum"]] = share if path.starts_at_day_end else 0.0
    for name in ("equity_now", "equity_before", "equity_peak", "equity_sum"):
        rows[ROW[name]] = equity
    rows[ROW["matched_growth"]] = 1.0


def _aligned(size: int) -> Floats:
    """Doubles that begin on a 64-byte border; unaligned lanes cost up to twice the time."""
    raw = np.empty(size + 8)
    offset = -(raw.ctypes.data // 8) % 8
    return raw[offset : offset + size]


def warm_up() -> None:
    """Compile the kernel (or load it from numba's cache) by replaying two ticks."""
    times = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[s]")
    path = price_path(times, np.array([100.0, 97.0]))
    replay(path, np.array([Policy().terms]).T, 50.0, 5000.0)

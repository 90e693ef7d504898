"""THE trading rule of volatility balancing. It stands here and nowhere else.

`decide` is one step of the rule: a price and a cell in, a decision out. Live evaluation calls
it once; a simulation calls it at every tick; the compiled kernel inlines this very source for
64 parameter combinations at a time. It therefore uses only floats, arithmetic and conditional
expressions: no branch, no loop, no object but named tuples of floats.

Signs: a positive quantity or notional buys, a negative one sells. Units: prices in account
currency per share, money in account currency, shares and notional signed, ratios as fractions.
"""

from typing import NamedTuple

THRESHOLD_TOLERANCE = 1e-9
"""Relative: a price this near a trigger level is at it, as decimal arithmetic would say."""

SHARE_TOLERANCE = 1e-9
"""A stock share this near a guardrail is on it."""

LOT_TOLERANCE = 1e-9
"""In lots: a quantity this little short of a whole lot is that lot."""

DUST = 1e-9
"""An order below this part of equity is never placed."""

PROPORTIONAL, FIXED_PERCENTAGE, ORIGINAL = 0.0, 1.0, 2.0
"""`Terms.sizing` as a number."""

(
    TRIGGERED,
    GUARDRAIL_REBALANCE,
    NO_TRIGGER,
    AT_GUARDRAIL,
    NO_CASH,
    NO_SHARES,
    BELOW_LOT,
    BELOW_MIN_NOTIONAL,
    FEE_EXCEEDS_BENEFIT,
    DAILY_CAP,
) = (float(code) for code in range(10))
"""`Decision.reason` as a number: why there is an order, or why there is none."""

REASONS = (
    "triggered",
    "guardrail_rebalance",
    "no_trigger",
    "at_guardrail",
    "no_cash",
    "no_shares",
    "below_lot",
    "below_min_notional",
    "fee_exceeds_benefit",
    "daily_cap",
)
"""The same by name, in the order of their numbers."""


class Terms(NamedTuple):
    """A policy as the rule reads it: floats only (SPEC §2); booleans are 0 or 1."""

    trigger_up: float
    trigger_down: float
    sizing: float
    rebalance_ratio: float
    min_stock_share: float
    max_stock_share: float
    auto_rebalance: float
    max_trade_share: float
    min_notional: float
    lot_size: float
    max_orders_per_day: float
    commission_rate: float
    commission_min: float
    slippage: float
    withholding_rate: float
    cash_rate: float


class Cell(NamedTuple):
    """A position at one moment: shares, its own cash, dividends not yet paid, its anchor."""

    shares: float
    cash: float
    receivable: float
    anchor: float
    orders_today: float


class Intent(NamedTuple):
    """What the rule wants at one price, before money, lots and minimums.

    trigger: +1 the price fell to the buy level, -1 it rose to the sell level, 0 neither.
    wish, capped, guarded: signed notional at the price: wished, after the largest trade, after
    the guardrails.
    """

    trigger: float
    wish: float
    capped: float
    guarded: float


class Decision(NamedTuple):
    """What the rule does at one price, with every number it used.

    trigger, wish, capped, guarded: as in Intent. equity: before the order. funded, rounded:
    shares >= 0, after cash or shares held, after whole lots.
    quantity: signed shares of the order, 0 for none; fill_price, notional (>= 0), commission
    are its execution, shares/cash/anchor/stock_share ``_after`` the cell it leaves.
    """

    trigger: float
    equity: float
    wish: float
    capped: float
    guarded: float
    funded: float
    rounded: float
    quantity: float
    fill_price: float
    notional: float
    commission: float
    shares_after: float
    cash_after: float
    anchor_after: float
    equity_after: float
    stock_share: float
    stock_share_after: float
    reason: float


class Bar(NamedTuple):
    """The way of the price through one bar: open, the two extremes in their order, close."""

    open: float
    first: float
    second: float
    close: float


class Stop(NamedTuple):
    """A place on the way through a bar. leg: 0, 1, 2 on the way to the first extreme, to the
    second, to the close; CLOSE where the close is reached."""

    leg: float
    price: float


CLOSE = 3.0
"""`Stop.leg` behind the last leg."""


def decide(price: float, cell: Cell, terms: Terms) -> Decision:
    """Ask the rule what to do at `price` (> 0) with `cell` under `terms`."""
    return settle(price, cell, intend(price, cell, terms), terms)


def intend(price: float, cell: Cell, terms: Terms) -> Intent:
    """Trigger and wish (SPEC §3.2), trimmed to the largest trade and the guardrails (§3.3)."""
    stock = cell.shares * price
    equity = stock + cell.cash + cell.receivable
    trigger = fired_trigger(price, cell.anchor, terms)
    wish = wished_notional(price, trigger, equity, cell, terms)
    largest = terms.max_trade_share * equity
    capped = min(max(wish, -largest), largest)
    guarded = within_guardrails(capped, stock, equity, terms)
    return Intent(trigger, wish, capped, guarded)


def settle(price: float, cell: Cell, intent: Intent, terms: Terms) -> Decision:
    """Turn the intent into an order, or none: the other trims of SPEC §3.3 in their order.

    Cash or shares held, whole lots, smallest notional, daily cap.
    """
    trigger, wish, capped, guarded = intent
    stock = cell.shares * price
    equity = stock + cell.cash + cell.receivable

    buys = guarded > 0.0
    side = 1.0 if buys else -1.0
    fill_price = price * (1.0 + side * terms.slippage)
    funded = funded_shares(abs(guarded), side, fill_price, cell, terms)
    rounded = whole_lots(funded, terms.lot_size)
    rounded = rounded if buys else min(rounded, cell.shares)

    gross = rounded * fill_price
    fee = max(terms.commission_rate * gross, terms.commission_min)
    cash_left = cell.cash - side * gross - fee
    shares_left = cell.shares + side * rounded
    stock_left = shares_left * price
    equity_left = stock_left + cash_left + cell.receivable

    dust = DUST * equity
    too_small = (gross < terms.min_notional * (1.0 - THRESHOLD_TOLERANCE)) | (gross <= dust)
    strays = strays_further(stock, equity, stock_left, equity_left, terms)
    fee_too_high = (cash_left < -dust) | (equity_left <= dust) | strays
    capped_today = cell.orders_today >= terms.max_orders_per_day
    placed = not (too_small | fee_too_high | capped_today)

    beyond_wish = (guarded > max(capped, 0.0)) | (guarded < min(capped, 0.0))
    reason = reason_against(trigger, wish, guarded, funded, rounded, too_small, fee_too_high)
    reason = (GUARDRAIL_REBALANCE if beyond_wish else TRIGGERED) if placed else reason

    quantity = side * rounded if placed else 0.0
    notional = gross if placed else 0.0
    commission = fee if placed else 0.0
    shares_after = shares_left if placed else cell.shares
    cash_after = max(cash_left, 0.0) if placed else cell.cash
    anchor_after = fill_price if placed else cell.anchor
    stock_after = shares_after * price
    equity_after = stock_after + cash_after + cell.receivable
    return Decision(
        trigger,
        equity,
        wish,
        capped,
        guarded,
        funded,
        rounded,
        quantity,
        fill_price,
        notional,
        commission,
        shares_after,
        cash_after,
        anchor_after,
        equity_after,
        stock_share(stock, equity),
        stock_share(stock_after, equity_after),
        reason,
    )


def stock_share(stock: float, equity: float) -> float:
    """Share of `equity` held in stock; 0 for an empty cell."""
    return stock / equity if equity > 0.0 else 0.0


def fired_trigger(price: float, anchor: float, terms: Terms) -> float:
    """-1 at or above the sell level, +1 at or below the buy level, 0 between them."""
    sells = price >= sell_level(anchor, terms) * (1.0 - THRESHOLD_TOLERANCE)
    buys = price <= buy_level(anchor, terms) * (1.0 + THRESHOLD_TOLERANCE)
    return -1.0 if sells else (1.0 if buys else 0.0)


def sell_level(anchor: float, terms: Terms) -> float:
    """The lowest price at which the rule sells."""
    return anchor * (1.0 + terms.trigger_up)


def buy_level(anchor: float, terms: Terms) -> float:
    """The highest price at which the rule buys."""
    return anchor * (1.0 - terms.trigger_down)


def next_stop(bar: Bar, here: Stop, anchor: float, terms: Terms) -> Stop:
    """The next trigger level that the price meets on its way from `here`, or else the close.

    A rising leg can meet the sell level, a falling one the buy level (SPEC §6, `limit`). A level
    at which a leg begins is not met again: there the rule has been asked already.
    """
    low_first = bar.first < bar.second
    buy, sell = buy_level(anchor, terms), sell_level(anchor, terms)
    # The first and the last leg lead the same way.
    outer = buy if low_first else sell
    inner = sell if low_first else buy
    second_start = here.price if here.leg == 1.0 else bar.first
    third_start = here.price if here.leg == 2.0 else bar.second
    on_first = (here.leg == 0.0) & is_met(outer, here.price, bar.first)
    on_second = (here.leg <= 1.0) & is_met(inner, second_start, bar.second)
    on_third = (here.leg <= 2.0) & is_met(outer, third_start, bar.close)
    late_leg = 2.0 if on_third else CLOSE
    late_price = outer if on_third else bar.close
    later_leg = 1.0 if on_second else late_leg
    later_price = inner if on_second else late_price
    return Stop(0.0 if on_first else later_leg, outer if on_first else later_price)


def is_met(level: float, start: float, end: float) -> bool:
    """Whether a price that moves from `start` to `end` comes to `level` after the start."""
    above, below = 1.0 + THRESHOLD_TOLERANCE, 1.0 - THRESHOLD_TOLERANCE
    rising = (level > start * above) & (level <= end * above)
    falling = (level < start * below) & (level >= end * below)
    return rising if end > start else falling


def walked_on(bar: Bar, asked: Stop, filled: bool) -> Stop:
    """Where the walk goes on after a level: there with a fill, else at the end of the leg."""
    later_end = bar.second if asked.leg == 1.0 else bar.close
    leg_end = bar.first if asked.leg == 0.0 else later_end
    return Stop(asked.leg if filled else asked.leg + 1.0, asked.price if filled else leg_end)


def wished_notional(price: float, trigger: float, equity: float, cell: Cell, terms: Terms) -> float:
    """The order the sizing asks for when the trigger fired, as signed notional at `price`."""
    distance = cell.anchor / price
    ratio = terms.rebalance_ratio
    proportional = (distance - 1.0) * ratio * equity
    original = trigger * distance * ratio * equity
    fixed = (cell.cash if trigger > 0.0 else -cell.shares * price) * ratio
    sized = fixed if terms.sizing == FIXED_PERCENTAGE else proportional
    sized = original if terms.sizing == ORIGINAL else sized
    return sized if trigger != 0.0 else 0.0


def within_guardrails(wanted: float, stock: float, equity: float, terms: Terms) -> float:
    """`wanted` (signed notional) clamped between the orders that land on the two guardrails.

    Without auto_rebalance the guardrails only shrink an order: never enlarge it, turn it round
    or make one.
    """
    to_min = notional_landing_on(terms.min_stock_share, stock, equity, terms)
    to_max = notional_landing_on(terms.max_stock_share, stock, equity, terms)
    may_rebalance = terms.auto_rebalance > 0.0
    lowest = to_min if may_rebalance else min(to_min, 0.0)
    highest = to_max if may_rebalance else max(to_max, 0.0)
    return min(max(wanted, lowest), highest)


def notional_landing_on(share: float, stock: float, equity: float, terms: Terms) -> float:
    """Signed notional at the price that brings the stock share exactly to `share`.

    Solves stock + N = share * (equity - cost of N), where the cost is slippage and the larger
    of the two commissions. 0 where the share is reached already, or where the smallest
    commission alone carries the cell past it.
    """
    gap = share * equity - stock
    side = 1.0 if gap > 0.0 else -1.0
    drag = terms.slippage + terms.commission_rate * (1.0 + side * terms.slippage)
    gap_by_minimum = gap - share * terms.commission_min
    per_rate = max(1.0 + side * share * drag, DUST)
    per_minimum = 1.0 + side * share * terms.slippage
    minimum_binds = gap_by_minimum * per_rate < gap * per_minimum
    landing = (gap_by_minimum if minimum_binds else gap) / (
        per_minimum if minimum_binds else per_rate
    )
    landing = max(landing, 0.0) if gap > 0.0 else landing
    return landing if abs(gap) > SHARE_TOLERANCE * equity else 0.0


def funded_shares(
    notional: float, side: float, fill_price: float, cell: Cell, terms: Terms
) -> float:
    """Shares (>= 0) for `notional` at the price that cash (fee included) or shares allow."""
    wanted = notional * (1.0 + side * terms.slippage)
    spendable = min(cell.cash / (1.0 + terms.commission_rate), cell.cash - terms.commission_min)
    spent = min(wanted, max(spendable, 0.0)) if side > 0.0 else wanted
    shares = spent / fill_price
    return shares if side > 0.0 else min(shares, cell.shares)


def whole_lots(shares: float, lot_size: float) -> float:
    """`shares` (>= 0) cut to whole lots; a lot size of 0 allows fractions."""
    lot = lot_size if lot_size > 0.0 else 1.0
    lots = floor(shares / lot + LOT_TOLERANCE) * lot
    return lots if lot_size > 0.0 else shares


def strays_further(
    stock: float, equity: float, stock_left: float, equity_left: float, terms: Terms
) -> bool:
    """Whether an order leaves the cell outside a guardrail and no nearer to it than it was.

    Only a commission of about the order's own size can do that. Products instead of quotients:
    both equities are >= 0.
    """
    above = stock_left > (terms.max_stock_share + SHARE_TOLERANCE) * equity_left
    below = stock_left < (terms.min_stock_share - SHARE_TOLERANCE) * equity_left
    moved = stock_left * equity - stock * equity_left
    still = SHARE_TOLERANCE * stock * equity_left
    return (above & (moved > -still)) | (below & (moved < still))


def reason_against(
    trigger: float,
    wish: float,
    guarded: float,
    funded: float,
    rounded: float,
    too_small: bool,
    fee_too_high: bool,
) -> float:
    """Why no order is placed: the first trim that left nothing of it."""
    buys = guarded > 0.0 if guarded != 0.0 else trigger > 0.0
    out_of_funds = NO_CASH if buys else NO_SHARES
    unwanted = AT_GUARDRAIL if wish != 0.0 else out_of_funds
    unwanted = unwanted if trigger != 0.0 else NO_TRIGGER
    reason = FEE_EXCEEDS_BENEFIT if fee_too_high else DAILY_CAP
    reason = BELOW_MIN_NOTIONAL if too_small else reason
    reason = reason if rounded > 0.0 else BELOW_LOT
    reason = reason if funded > 0.0 else out_of_funds
    return reason if guarded != 0.0 else unwanted


def accrued_dividend(shares: float, per_share: float, withholding_rate: float) -> float:
    """Net money that `shares` held at the close before an ex-date will be paid."""
    return shares * per_share * (1.0 - withholding_rate)


def anchor_after_ex_date(anchor: float, price: float, per_share: float) -> float:
    """The anchor follows the price over an ex-date gap; one that would vanish restarts."""
    lowered = anchor - per_share
    return lowered if lowered > 0.0 else price


def interest(cash: float, cash_rate: float, years: float) -> float:
    """Simple interest on `cash`; `years` = calendar days since the last tick's date / 365.25."""
    return cash * (cash_rate * years)


def floor(value: float) -> float:
    """Largest whole number <= value, as float, for value >= 0.

    Adding 2**52 leaves no room for a fraction; `math.floor` would go through an integer, which
    the compiler cannot do for many lanes at once.
    """
    nearest = (value + 4503599627370496.0) - 4503599627370496.0
    whole = nearest - 1.0 if nearest > value else nearest
    return whole if value < 4503599627370496.0 else value

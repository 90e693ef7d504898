"""What a position has earned: time-weighted, money-weighted, and against its stock.

Money brought in or taken out is never profit: it ends one period and starts the next.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

YEAR: Final = 365.25 * 86400
"""Seconds of a year."""

LOWEST_RATE: Final = -0.999999
HIGHEST_RATE: Final = 1e6


@dataclass(frozen=True, slots=True)
class Valuation:
    """A position at one moment, after `flow` (> 0 brought in) has happened.

    equity None: nothing was known to value the shares with; the flow waits for the next valued
    moment. price in account currency per share, None where there was none. dividend: net per
    share that went ex since the valuation before, in shares of today; split: new shares per old
    one since then.
    """

    valued_at: datetime
    equity: Decimal | None
    flow: Decimal = Decimal(0)
    price: Decimal | None = None
    dividend: Decimal = Decimal(0)
    split: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Performance:
    """Returns as fractions, since the first valued moment; None with its reason in `undefined`.

    time_weighted, stock (its total return, dividends net), excess = time_weighted − stock;
    money_weighted: annual rate that makes all flows worth the equity of the last moment.
    """

    time_weighted: float | None
    money_weighted: float | None
    stock: float | None
    excess: float | None
    unvalued_flow: Decimal
    undefined: dict[str, str]


def performance(valuations: Sequence[Valuation]) -> Performance:
    """Performance over `valuations`, oldest first."""
    weighted, stock = time_weighted(valuations), stock_return(valuations)
    money = money_weighted(valuations)
    excess = None if weighted is None or stock is None else weighted - stock
    few = "the position has been valued at fewer than two moments"
    reasons = {
        "time_weighted": (weighted, few),
        "money_weighted": (money, "no annual rate explains the flows, or no time has passed"),
        "stock": (stock, "fewer than two prices are known"),
        "excess": (excess, "it needs both returns"),
    }
    undefined = {name: why for name, (value, why) in reasons.items() if value is None}
    return Performance(weighted, money, stock, excess, unvalued_flow(valuations), undefined)


def time_weighted(valuations: Sequence[Valuation]) -> float | None:
    """Π (equity before the flow / equity after the last one) − 1.

    A period that starts with nothing earns nothing. None with fewer than two valued moments.
    """
    steps = growth(valuations)
    return steps[-1][1] - 1.0 if len(steps) > 1 else None


def growth(valuations: Sequence[Valuation]) -> list[tuple[datetime, float]]:
    """What 1 has become at each valued moment, time-weighted; 1 at the first."""
    steps: list[tuple[datetime, float]] = []
    worth = 1.0
    start: Decimal | None = None
    waiting = Decimal(0)
    for valuation in valuations:
        waiting += valuation.flow
        if valuation.equity is None:
            continue
        if start is not None and start > 0:
            worth *= float((valuation.equity - waiting) / start)
        start, waiting = valuation.equity, Decimal(0)
        steps.append((valuation.valued_at, worth))
    return steps


def unvalued_flow(valuations: Sequence[Valuation]) -> Decimal:
    """Money brought in (or out, < 0) that still waits for a price to value the cell with."""
    waiting = Decimal(0)
    for valuation in valuations:
        waiting = waiting + valuation.flow if valuation.equity is None else Decimal(0)
    return waiting


def stock_return(valuations: Sequence[Valuation]) -> float | None:
    """Total return of the stock between the first and the last known price.

    Π (price + net dividend) · split / price before − 1. None with fewer than two prices.
    """
    growth, prices = 1.0, 0
    before: Decimal | None = None
    dividend, split = Decimal(0), Decimal(1)
    for valuation in valuations:
        dividend = dividend / valuation.split + valuation.dividend
        split *= valuation.split
        if valuation.price is None:
            continue
        if before is not None:
            growth *= float((valuation.price + dividend) * split / before)
        before, dividend, split = valuation.price, Decimal(0), Decimal(1)
        prices += 1
    return growth - 1.0 if prices > 1 else None


def money_weighted(valuations: Sequence[Valuation]) -> float | None:
    """The annual rate r with Σ flow · (1 + r)^(years to the end) = equity at the end.

    Solved by bisection between −99.9999 % and a millionfold. None where no rate in that range
    does it or no time has passed.
    """
    valued = [index for index, one in enumerate(valuations) if one.equity is not None]
    if not valued:
        return None
    counted = valuations[: valued[-1] + 1]
    end = counted[-1]
    flows = [
        (float(one.flow), (end.valued_at - one.valued_at).total_seconds() / YEAR)
        for one in counted
        if one.flow != 0
    ]
    if not flows or flows[0][1] <= 0:
        return None
    worth = float(end.equity or 0)

    def surplus(rate: float) -> float:
        return sum(flow * math.pow(1.0 + rate, years) for flow, years in flows) - worth

    return _root(surplus, LOWEST_RATE, HIGHEST_RATE)


def _root(surplus: Callable[[float], float], low: float, high: float) -> float | None:
    """Where `surplus` changes its sign; None where it has one sign at both ends."""
    try:
        at_low, at_high = surplus(low), surplus(high)
    except OverflowError:
        return None
    if at_low * at_high > 0:
        return None
    for _ in range(200):
        middle = (low + high) / 2.0
        if surplus(middle) * at_low > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0

"""Policies on the same prices, and positions since the same day, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

import pandas as pd

from volbal.domain import guardrails
from volbal.domain.performance import Valuation, growth, stock_return
from volbal.domain.policy import PRESETS, Policy
from volbal.engine import simulation
from volbal.engine.metrics import METRICS
from volbal.errors import InvalidInput
from volbal.market.sessions import EXCHANGE, exchange_date
from volbal.services.research import Simulation
from volbal.storage import records
from volbal.storage.database import Database

MOST: Final = 4
"""More lines than this are not told apart."""


def policies(database: Database) -> dict[str, Policy]:
    """What can be compared by name: presets, own presets, the configuration of each position."""
    with database.read() as connection:
        positions = records.all_positions(connection)
        return {
            **PRESETS,
            **records.presets(connection),
            **{
                f"{one.ticker} #{one.position_id}": one.configuration.policy
                for one in positions
                if one.balance.is_open
            },
        }


def curves(results: Mapping[str, Simulation]) -> pd.DataFrame:
    """Index date; the equity of each by name, its drawdown as (name, drawdown) of the columns."""
    parts: dict[tuple[str, str], pd.Series] = {}
    for name, result in results.items():
        parts[name, "value"] = result.days["equity"]
        parts[name, "drawdown"] = result.days["drawdown"]
    return pd.DataFrame(parts)


def metrics(results: Mapping[str, Simulation]) -> pd.DataFrame:
    """Index metric; a column a name, and what each but the first has more than it."""
    names = [metric.name for metric in METRICS]
    frame = pd.DataFrame(
        {name: [result.metrics[metric] for metric in names] for name, result in results.items()},
        index=pd.Index(names, name="metric"),
    )
    first, *others = results
    for name in others:
        frame[difference(name)] = frame[name] - frame[first]
    return frame


def difference(name: str) -> str:
    """The column that holds what `name` has more than the first."""
    return f"{name}, difference"


@dataclass(frozen=True, slots=True)
class Side:
    """A position from a common day on; None where it is undefined. Ratios are fractions."""

    position_id: int
    ticker: str
    time_weighted: float | None
    stock: float | None
    excess: float | None
    stock_share: float | None
    equity: float | None
    dividends: float
    fees: float


@dataclass(frozen=True, slots=True)
class PositionsCompared:
    """Positions from `since` on. curves: as of `curves`, growth of 1 as the value."""

    since: date
    sides: list[Side]
    curves: pd.DataFrame


def compare_positions(
    database: Database, position_ids: Sequence[int], since: date | None
) -> PositionsCompared:
    """Side by side from `since`, or from the first day on which all were valued.

    A day before that moves to it. Raises InvalidInput where one was never valued.
    """
    with database.read() as connection:
        known = {one.position_id: one for one in records.all_positions(connection)}
        valued = {number: records.valuations_of(connection, number) for number in position_ids}
        common = max(_first_valued(number, valued[number]) for number in position_ids)
        start = max(since or common, common)
        costs = records.fees_and_dividends(connection, list(position_ids), start)
    sides, parts = [], {}
    for number in position_ids:
        position, kept = known[number], _from(valued[number], start)
        steps = growth(kept)
        earned = steps[-1][1] - 1.0 if len(steps) > 1 else None
        stock = stock_return(kept)
        price, balance = position.last_price, position.balance
        fees, dividends = costs.get(number, (0, 0))
        worth = next((one.equity for one in reversed(kept) if one.equity is not None), None)
        sides.append(
            Side(
                number,
                position.ticker,
                earned,
                stock,
                None if earned is None or stock is None else earned - stock,
                None if price is None else float(guardrails.stock_share(balance, price)),
                None if worth is None else float(worth),
                float(dividends),
                float(fees),
            )
        )
        parts[f"{position.ticker} #{number}"] = _daily(steps, start)
    return PositionsCompared(start, sides, _with_drawdowns(parts))


def _first_valued(position_id: int, valuations: list[Valuation]) -> date:
    for one in valuations:
        if one.equity:
            return exchange_date(one.valued_at)
    raise InvalidInput(
        "position", f"{position_id} was never valued", "evaluate it at a price first"
    )


def _from(valuations: list[Valuation], start: date) -> list[Valuation]:
    """From the last valued moment of `start` or before on, which later ones are measured by."""
    begin = datetime.combine(start, time.max, EXCHANGE)
    before = [
        place for place, one in enumerate(valuations) if one.equity and one.valued_at <= begin
    ]
    return valuations[before[-1] :] if before else valuations


def _daily(steps: list[tuple[datetime, float]], start: date) -> pd.Series:
    """Growth at the end of each day that has one, the first on `start`."""
    days = pd.DatetimeIndex([max(exchange_date(moment), start) for moment, _ in steps], name="date")
    series = pd.Series([worth for _, worth in steps], index=days)
    return series.groupby(level=0).last()


def _with_drawdowns(parts: Mapping[str, pd.Series]) -> pd.DataFrame:
    frame = pd.DataFrame(parts).sort_index().ffill()
    columns: dict[tuple[str, str], pd.Series] = {}
    for name in parts:
        columns[name, "value"] = frame[name]
        fallen = simulation.drawdowns(frame[name].to_numpy())
        columns[name, "drawdown"] = pd.Series(fallen, index=frame.index)
    return pd.DataFrame(columns)

"""Dividends of the whole book: what comes, what is owed, what was paid, month by month."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal

import pandas as pd

from volbal.domain.dividends import DividendState
from volbal.domain.money import EXACT, MONEY, NO_MONEY, multiplied, round_to
from volbal.errors import InvalidInput
from volbal.storage import records
from volbal.storage.database import Database
from volbal.storage.rows import DividendLine

Amount = Literal["net", "withheld", "gross"]
AMOUNTS: Final[tuple[Amount, ...]] = ("net", "withheld", "gross")

Month = Literal["paid_on", "ex_on"]
"""What puts a dividend into a month: the day its cash came, or its ex-date."""


@dataclass(frozen=True, slots=True)
class Payouts:
    """Every dividend that shares were held for, by its state.

    Upcoming ones carry what the shares held by the close before their ex-date will be paid; those
    for which there were none are there too, at 0.
    """

    upcoming: list[DividendLine]
    receivable: list[DividendLine]
    paid: list[DividendLine]


def payouts(database: Database) -> Payouts:
    """Upcoming and receivable ones next first, paid ones last first."""
    with database.read() as connection:
        lines = records.dividend_lines(connection)
    by_state = {state: [one for one in lines if one.state == state] for state in DividendState}
    return Payouts(
        [_expected(one) for one in by_state[DividendState.ANNOUNCED] if one.is_open],
        [one for one in by_state[DividendState.ACCRUED] if one.held],
        sorted(
            (one for one in by_state[DividendState.PAID] if one.held),
            key=_newest_paid,
            reverse=True,
        ),
    )


def _newest_paid(line: DividendLine) -> tuple[object, ...]:
    return line.paid_on, line.ex_on, line.position_id


def _expected(line: DividendLine) -> DividendLine:
    """With its amounts; without them where they are more than the ledger holds."""
    try:
        gross = multiplied(MONEY, line.quantity, line.per_share)
    except InvalidInput:
        return replace(line, held=line.quantity)
    withheld = round_to(MONEY, EXACT.multiply(gross, Decimal(repr(line.withholding_rate))))
    return replace(line, held=line.quantity, gross=gross, withheld=withheld, net=gross - withheld)


def total(lines: list[DividendLine], amount: Amount = "net") -> Decimal:
    """The sum of one amount."""
    return sum((getattr(one, amount) or NO_MONEY for one in lines), NO_MONEY)


def table(lines: list[DividendLine]) -> pd.DataFrame:
    """A row a dividend; amounts as Decimal."""
    columns = [
        "dividend_id", "position_id", "ticker", "ex_on", "pay_on", "paid_on", "per_share", "held",
        "gross", "withheld", "net",
    ]  # fmt: skip
    return pd.DataFrame(
        [[getattr(line, name) for name in columns] for line in lines], columns=columns
    )


def years(found: Payouts) -> list[int]:
    """Years in which a dividend went ex or was paid, newest first."""
    days = {day for one in (*found.receivable, *found.paid) for day in (one.ex_on, one.paid_on)}
    return sorted({day.year for day in days if day is not None}, reverse=True)


def by_month(found: Payouts, year: int, amount: Amount, month: Month) -> pd.DataFrame:
    """One amount by symbol and month of a year: index ticker, columns 1..12 and "year", Decimals.

    By the day the cash came only paid dividends count, by ex-date receivable ones too. The last
    row, "All", has the sums; no row where nothing falls into the year.
    """
    cells: dict[tuple[str, int], Decimal] = {}
    for line in (*found.receivable, *found.paid):
        day = getattr(line, month)
        if day is not None and day.year == year:
            for ticker in (line.ticker, "All"):
                for column in (day.month, 0):
                    before = cells.get((ticker, column), NO_MONEY)
                    cells[ticker, column] = before + (getattr(line, amount) or NO_MONEY)
    tickers = sorted({ticker for ticker, _ in cells} - {"All"})
    rows = [[cells.get((name, column)) for column in (*range(1, 13), 0)] for name in tickers]
    if tickers:
        rows.append([cells.get(("All", column)) for column in (*range(1, 13), 0)])
        tickers.append("All")
    index = pd.Index(tickers, name="ticker", dtype=object)
    return pd.DataFrame(rows, index=index, columns=[*range(1, 13), "year"], dtype=object)

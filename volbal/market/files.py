"""A file of the user with prices, or with dividends and splits alone: CSV or Parquet."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from volbal.errors import InvalidInput
from volbal.market.cells import (
    AmbiguousDates,
    BadCell,
    DateOrder,
    Numbers,
    dates,
    decimal_mark,
    numbers,
)
from volbal.market.model import BAR_COLUMNS, BASIS, DAILY, PriceHistory, Provenance
from volbal.market.tables import (
    ASKED,
    DATE,
    DIVIDENDS,
    NUMBERS,
    PAY_DATE,
    SPLITS,
    Table,
    read_table,
)
from volbal.market.validation import (
    BadRow,
    InvalidPrices,
    Places,
    bad_values,
    validate,
    validate_actions,
)

__all__ = ["NO_DIVIDENDS", "Actions", "AmbiguousDates", "DateOrder", "read_bytes", "read_prices"]

LONGEST_DAILY_SPACING: Final = 4.0
"""Days between bars; a median above it means weekly or monthly bars."""

NO_DIVIDENDS: Final = "has no Dividends column: no dividends are paid"


@dataclass(frozen=True, slots=True, eq=False)
class Actions:
    """Dividends and splits without bars, shaped as in a PriceHistory; None: the file has no such
    column."""

    dividends: pd.DataFrame | None
    splits: pd.DataFrame | None


def read_prices(path: Path | str, symbol: str, order: DateOrder | None = None) -> PriceHistory:
    """The prices of `symbol` in a file; see `read_bytes`.

    Raises InvalidInput also where there is no file, or one without prices.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput("prices", f"there is no file {path}", "name an existing file")
    found = read_bytes(path.name, path.read_bytes(), symbol, order)
    if isinstance(found, Actions):
        raise InvalidInput("prices", f"{path.name} has no column Close", ASKED)
    return found


def read_bytes(
    name: str, content: bytes, symbol: str, order: DateOrder | None = None
) -> PriceHistory | Actions:
    """What a file called `name` (.csv or .parquet) has of `symbol`: bars, or else actions alone.

    Dates are local to the exchange (an offset behind them is ignored): ISO, 2020/01/31, 20200131,
    31.01.2020, 31-Jan-2020, Jan 31, 2020, or with slashes, where `order` says which comes first if
    no row tells; years may have two digits behind points, slashes and names. Numbers may
    have a decimal comma and marked thousands; a split may also be 2:1 or 2/1, new shares to old.
    Rows may all run from new to old. Column names in any case; unknown columns and Adj Close are
    ignored. Where at least half of the dates have several bars they are intraday with the median
    spacing as interval, else daily. A dividend's date is its ex-date.
    Raises InvalidInput where a column is missing or the file unreadable, AmbiguousDates where
    `order` is needed, InvalidPrices with the line of every row that cannot be used,
    UnadjustedPrices where a split shows as a jump.
    """
    rows = _read_rows(read_table(name, content), order)
    return _prices(rows, symbol) if "close" in rows.columns else _actions(rows)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table with its cells read, oldest row first. columns: those of NUMBERS that it has."""

    name: str
    times: pd.DatetimeIndex
    columns: dict[str, Numbers]
    paid: pd.DatetimeIndex
    places: list[str]
    notes: tuple[str, ...]

    def numbers(self, column: str) -> Numbers:
        return self.columns.get(column, np.full(len(self.times), np.nan))


def _read_rows(table: Table, order: DateOrder | None) -> _Rows:
    name, bad = table.name, list[BadCell]()
    there = {column: table.columns[column] for column in NUMBERS if column in table.columns}
    mark = decimal_mark(list(there.values()))
    times = dates(name, "Date", table.columns[DATE], order, bad)
    bad += [
        (at, "Date is empty") for at, cell in enumerate(table.columns[DATE]) if not cell.strip()
    ]
    columns = {
        column: numbers(
            column.title(),
            cells,
            mark,
            bad,
            required=column == "close",
            ratios=column == SPLITS,
        )
        for column, cells in there.items()
    }
    paid = pd.DatetimeIndex([pd.NaT] * len(times)).as_unit("s")
    if PAY_DATE in table.columns:
        paid = dates(name, "Pay date", table.columns[PAY_DATE], order, bad)
    rows = _Rows(name, times, columns, paid, list(table.places), ())
    if bad:
        raise InvalidPrices(name, _bad_rows(rows, bad))
    falling = len(times) > 1 and bool((times[1:] < times[:-1]).all())
    return _turned(rows) if falling else rows


def _bad_rows(rows: _Rows, unread: list[BadCell]) -> list[BadRow]:
    """Cells that could not be read, and what is wrong with the others, by row."""
    found = [BadRow(rows.places[at], why) for at, why in sorted(unread)]
    found += bad_values(_bars(rows), _dividends(rows), _splits(rows), _places(rows))
    position = {place: at for at, place in enumerate(rows.places)}
    return sorted(found, key=lambda row: position[row.place])


def _turned(rows: _Rows) -> _Rows:
    return _Rows(
        rows.name,
        rows.times[::-1],
        {column: values[::-1] for column, values in rows.columns.items()},
        rows.paid[::-1],
        rows.places[::-1],
        (f"the rows of {rows.name} run from new to old; they were turned round",),
    )


def _prices(rows: _Rows, symbol: str) -> PriceHistory:
    interval = _interval(rows.times)
    bars = _bars(rows)
    if interval == DAILY:
        bars.index = rows.times.normalize().rename("time")
    # An unsorted file is refused by `validate`; until then the last date is only the last row's.
    provenance = Provenance(
        f"file {rows.name}", f"taken as {BASIS}", interval, rows.times[-1].date()
    )
    history = PriceHistory(symbol, bars, _dividends(rows), _splits(rows), provenance)
    validate(history, rows.name, _places(rows))
    return replace(history, notes=rows.notes + _notes(history, rows))


def _actions(rows: _Rows) -> Actions:
    dividends, splits = _dividends(rows), _splits(rows)
    validate_actions(dividends, splits, rows.name, _places(rows))
    return Actions(
        dividends if DIVIDENDS in rows.columns else None,
        splits if SPLITS in rows.columns else None,
    )


def _bars(rows: _Rows) -> pd.DataFrame:
    return pd.DataFrame(
        {column: rows.numbers(column) for column in BAR_COLUMNS}, index=rows.times.rename("time")
    )


def _dividends(rows: _Rows) -> pd.DataFrame:
    amounts = rows.numbers(DIVIDENDS)
    at = _entered(amounts)
    return pd.DataFrame(
        {
            "ex_date": rows.times.normalize()[at],
            "amount": amounts[at],
            "pay_date": rows.paid.normalize()[at],
        }
    )


def _splits(rows: _Rows) -> pd.DataFrame:
    ratios = rows.numbers(SPLITS)
    at = _entered(ratios)
    return pd.DataFrame({"date": rows.times.normalize()[at], "ratio": ratios[at]})


def _places(rows: _Rows) -> Places:
    def of(column: str) -> list[str]:
        return [rows.places[int(at)] for at in np.flatnonzero(_entered(rows.numbers(column)))]

    return Places(rows.places, of(DIVIDENDS), of(SPLITS))


def _entered(actions: Numbers) -> npt.NDArray[np.bool_]:
    """Where a dividend or split is: yfinance writes 0 on every other row."""
    entered: npt.NDArray[np.bool_] = ~np.isnan(actions) & (actions != 0.0)
    return entered


def _notes(history: PriceHistory, rows: _Rows) -> tuple[str, ...]:
    notes, name = [], rows.name
    if not history.has_ohlc:
        lacking = int(history.bars[["open", "high", "low"]].isna().any(axis=1).sum())
        notes.append(
            f"the file {name} lacks open, high or low in {lacking} of {len(history.bars)} bars: "
            f"only its closes can be used"
        )
    if DIVIDENDS not in rows.columns:
        notes.append(f"the file {name} {NO_DIVIDENDS}")
    days = np.diff(history.bars.index.to_numpy()) / np.timedelta64(1, "D")
    if len(days) and np.median(days) > LONGEST_DAILY_SPACING:
        notes.append(
            f"the bars in {name} are about {np.median(days):.0f} days apart: yearly figures, which "
            f"count 252 bars a year, do not hold"
        )
    return tuple(notes)


def _interval(times: pd.DatetimeIndex) -> str:
    """ "1d", or the median spacing of bars within a date, such as "1h", "30m" or "15s".

    A file in which only some date has a second bar is daily: that row is a mistake (an unfinished
    day behind its own bar) that validation then names.
    """
    dates = times.normalize()
    bars_a_date = dates.value_counts()
    if (bars_a_date > 1).mean() < 0.5:
        return DAILY
    gaps = (times[1:] - times[:-1]).total_seconds().to_numpy()
    within = gaps[dates[1:] == dates[:-1]]
    if not len(within):  # the dates of an unsorted file, which validation refuses
        return DAILY
    seconds = round(float(np.quantile(within, 0.5, method="lower")))
    if seconds % 60:
        return f"{seconds}s"
    minutes = seconds // 60
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"

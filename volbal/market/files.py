"""A price file of the user: CSV or Parquet with yfinance's columns (auto_adjust=False)."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from volbal.errors import InvalidInput
from volbal.market.model import BAR_COLUMNS, BASIS, DAILY, PriceHistory, Provenance
from volbal.market.validation import BadRow, InvalidPrices, Places, validate

DATE_NAMES = ("date", "datetime")
"""yfinance calls its index Date for daily bars and Datetime for intraday ones."""

NUMBER_NAMES = (*BAR_COLUMNS, "dividends", "stock splits")
ASKED_COLUMNS = (
    "a price file has the columns Date, Open, High, Low, Close, Volume, Dividends, Stock Splits, "
    "of which only Date and Close are required"
)

MISSING = ("", "nan", "null")
"""Cells that say "no value", in any case."""

ISO_TIME = (
    r"^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2})?)(?:\.0+)?\s*(?:Z|[+-]\d{2}:?\d{2})?)?$"
)
"""Date and exchange-local time of a stamp. The UTC offset behind it is dropped, not applied:
yfinance prints local time together with the offset of that day."""

LONGEST_DAILY_SPACING = 4.0
"""Days between bars; a median above it means weekly or monthly bars."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Table:
    """The cells of a file as text, by lower-case column name, and where each row stands."""

    columns: Mapping[str, Sequence[str]]
    places: Sequence[str]


def read_prices(path: Path | str, symbol: str) -> PriceHistory:
    """The prices of `symbol` in a file ending in .csv or .parquet.

    Dates are ISO dates or date-times, local to the exchange (an offset behind them is ignored).
    Column names in any case; unknown columns and Adj Close are ignored. Where at least half of
    the dates have several bars they are intraday with the median spacing as interval, else daily.
    A dividend's date is its ex-date.
    Raises InvalidInput where the file or a column is missing or unreadable, InvalidPrices with
    the line of every row that cannot be used, UnadjustedPrices where a split shows as a jump.
    """
    path = Path(path)
    table = _read_table(path)
    bad: list[tuple[int, str]] = []
    times = _times(table.columns[_date_name(path, table)], bad)
    numbers = {name: _numbers(name, table, bad) for name in NUMBER_NAMES}
    if bad:
        raise InvalidPrices(path.name, [BadRow(table.places[at], why) for at, why in sorted(bad)])
    history = _history(path.name, symbol, times, numbers)
    validate(history, path.name, _places(table.places, numbers))
    return _with_notes(history, path.name, "dividends" in table.columns)


def _history(
    name: str, symbol: str, times: pd.DatetimeIndex, numbers: Mapping[str, Numbers]
) -> PriceHistory:
    interval = _interval(times)
    if interval == DAILY:
        times = times.normalize()
    bars = pd.DataFrame({column: numbers[column] for column in BAR_COLUMNS}, index=times)
    dates = times.normalize()
    paid, split = _entered(numbers["dividends"]), _entered(numbers["stock splits"])
    dividends = pd.DataFrame({"ex_date": dates[paid], "amount": numbers["dividends"][paid]})
    dividends["pay_date"] = pd.Series(pd.NaT, index=dividends.index, dtype="datetime64[s]")
    splits = pd.DataFrame({"date": dates[split], "ratio": numbers["stock splits"][split]})
    # An unsorted file is refused by `validate`; until then the last date is only the last row's.
    provenance = Provenance(f"file {name}", f"taken as {BASIS}", interval, times[-1].date())
    return PriceHistory(symbol, bars, dividends, splits, provenance)


def _places(places: Sequence[str], numbers: Mapping[str, Numbers]) -> Places:
    def of(name: str) -> list[str]:
        return [places[int(at)] for at in np.flatnonzero(_entered(numbers[name]))]

    return Places(places, of("dividends"), of("stock splits"))


def _entered(actions: Numbers) -> npt.NDArray[np.bool_]:
    """Where a dividend or split is: yfinance writes 0 on every other row."""
    entered: npt.NDArray[np.bool_] = ~np.isnan(actions) & (actions != 0.0)
    return entered


def _with_notes(history: PriceHistory, name: str, has_dividends: bool) -> PriceHistory:
    notes = []
    if not history.has_ohlc:
        lacking = int(history.bars[["open", "high", "low"]].isna().any(axis=1).sum())
        notes.append(
            f"{name} lacks open, high or low in {lacking} of {len(history.bars)} bars: "
            f"only its closes can be used"
        )
    if not has_dividends:
        notes.append(f"{name} has no Dividends column: no dividends are paid")
    days = np.diff(history.bars.index.to_numpy()) / np.timedelta64(1, "D")
    if len(days) and np.median(days) > LONGEST_DAILY_SPACING:
        notes.append(
            f"the bars in {name} are about {np.median(days):.0f} days apart: yearly figures, which "
            f"count 252 bars a year, do not hold"
        )
    return replace(history, notes=tuple(notes))


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


def _date_name(path: Path, table: _Table) -> str:
    name = next((name for name in DATE_NAMES if name in table.columns), None)
    missing = [] if name else ["Date"]
    if "close" not in table.columns:
        missing.append("Close")
    if name is None or missing:
        found = ", ".join(repr(column) for column in table.columns)
        raise InvalidInput(
            "prices",
            f"{path.name} has no column {' and no column '.join(missing)}, only {found}",
            ASKED_COLUMNS,
        )
    return name


def _times(cells: Sequence[str], bad: list[tuple[int, str]]) -> pd.DatetimeIndex:
    """Exchange-local times of the cells; adds to `bad` each cell that holds none."""
    texts = pd.Series(cells, dtype="str").str.strip()
    parts = texts.str.extract(ISO_TIME)
    stamps = parts[0] + " " + parts[1].fillna("00:00")
    times = pd.to_datetime(stamps, format="ISO8601", errors="coerce")
    for at in np.flatnonzero(times.isna()):
        text = texts.iloc[at]
        reason = f"{text!r} is no ISO date such as 2020-01-31" if text else "is empty"
        bad.append((int(at), f"Date {reason}"))
    return pd.DatetimeIndex(times, name="time").as_unit("s")


def _numbers(name: str, table: _Table, bad: list[tuple[int, str]]) -> Numbers:
    """A column as numbers, NaN where it has none; adds to `bad` each cell that is no number."""
    numbers = np.full(len(table.places), np.nan)
    for at, cell in enumerate(table.columns.get(name, ())):
        text = cell.strip()
        if text.lower() in MISSING:
            if name == "close":
                bad.append((at, "Close is empty"))
            continue
        try:
            numbers[at] = _number(text)
        except ValueError:
            bad.append((at, f"{name.title()} {text!r} is no number such as 1234.5"))
    return numbers


def _number(text: str) -> float:
    if "_" in text:  # Python's own notation, which no price file means
        raise ValueError(text)
    return float(text)


def _read_table(path: Path) -> _Table:
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            "prices", f"{path} is neither CSV nor Parquet", "name a file ending in .csv or .parquet"
        )
    if not path.is_file():
        raise InvalidInput("prices", f"there is no file {path}", "name an existing file")
    table = reader(path)
    if not table.places:
        raise InvalidInput("prices", f"{path.name} has no row of prices", ASKED_COLUMNS)
    return table


def _read_csv(path: Path) -> _Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, "comma-separated text in UTF-8", error) from error
    ragged = [
        BadRow(f"line {line}", f"cell count {len(row)} differs from the header's {len(header)}")
        for line, row in rows
        if len(row) != len(header)
    ]
    names = _column_names(path, header)
    if ragged:
        raise InvalidPrices(path.name, ragged)
    cells = [[row[at] for _, row in rows] for at in range(len(header))]
    return _Table(dict(zip(names, cells, strict=True)), [f"line {line}" for line, _ in rows])


def _read_parquet(path: Path) -> _Table:
    try:
        frame = pd.read_parquet(path)
        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, "a Parquet table", error) from error
    names = _column_names(path, frame.columns)
    cells = [_texts(frame.iloc[:, at]) for at in range(len(names))]
    places = [f"row {row}" for row in range(1, len(frame) + 1)]
    return _Table(dict(zip(names, cells, strict=True)), places)


def _texts(column: pd.Series) -> list[str]:
    return ["" if empty else str(cell) for cell, empty in zip(column, column.isna(), strict=True)]


def _column_names(path: Path, header: Iterable[object]) -> list[str]:
    """Lower-case names; refuses a known one that stands twice, as nobody could say which counts."""
    names = [str(name).strip().lower() for name in header]
    twice = [name for name, count in Counter(names).items() if count > 1]
    for name in twice:
        if name in (*DATE_NAMES, *NUMBER_NAMES):
            raise InvalidInput(
                "prices", f"{path.name} has two columns {name.title()}", "leave one of them"
            )
    return names


def _unreadable(path: Path, kind: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        "prices",
        f"{path.name} cannot be read as {kind} ({type(error).__name__})",
        "save it again as CSV or Parquet",
    )

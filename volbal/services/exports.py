"""Tables as files: csv, xlsx, json and parquet. The only place that writes them.

No text becomes a formula: in csv a text that a spreadsheet would run gets an apostrophe before it,
in xlsx it is stored as quoted text. Numbers stay numbers. Decimals keep every digit (text in json;
Excel has binary numbers only). Dates are ISO, times with a zone are written in UTC. What is
undefined (NaN, NaT, infinite) is empty, in json null.
"""

import contextlib
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from volbal.errors import InvalidInput

Tables = Mapping[str, "pd.DataFrame | Heatmap"]
"""Several tables by their names, which become the sheets of a workbook."""

MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
SEVERAL = ("xlsx", "json")
"""Formats whose files hold more than one table."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
EXCEL_ROWS = 1_048_576
EXCEL_COLUMNS = 16_384
EXCEL_TEXT = 32_767
EXCEL_SHEET_NAME = 31
EXCEL_EXACT = 10**15
EXCEL_BEGIN = date(1900, 3, 1)  # before it Excel counts a day that never was
WIDEST = 60
PALE, GOOD, NEITHER, BAD = "#F6F8FB", "#1C5C86", "#F6F1EC", "#9E3D22"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A table of numbers whose cells are coloured in a workbook; its index is the y axis.

    middle: colours part here, such as 0 for an excess; None for a one-sided metric. The good end
    has the same colour whichever it is.
    """

    frame: pd.DataFrame
    middle: float | None = None
    more_is_better: bool = True


def table_bytes(tables: pd.DataFrame | Tables, kind: str) -> bytes:
    """One file with a table, or with several (xlsx and json only).

    kind: csv, xlsx, json or parquet. A named index of a frame becomes its first columns. Raises
    InvalidInput for another kind, several tables in a csv or parquet, more than Excel can hold.
    """
    if kind not in MEDIA_TYPES:
        raise InvalidInput("format", f"{kind!r} is not known", f"use {', '.join(MEDIA_TYPES)}")
    if isinstance(tables, pd.DataFrame):
        return _xlsx({"Table": _Sheet(tables)}) if kind == "xlsx" else blocks_bytes([tables], kind)
    if kind not in SEVERAL and len(tables) != 1:
        raise InvalidInput(
            "format", f"{kind} holds one table, not {len(tables)}", f"use {' or '.join(SEVERAL)}"
        )
    sheets = {name: _sheet(table) for name, table in tables.items()}
    several = {"xlsx": _xlsx, "json": _json_tables}
    return several[kind](sheets) if kind in several else _STREAMED[kind](sheets.values())


def blocks_bytes(blocks: Iterable[pd.DataFrame], kind: str) -> bytes:
    """One file with a table that is too large to be held at once, and comes in blocks of rows.

    blocks: at least one; the same columns with the same types in each. kind: csv, json or parquet.
    """
    return _STREAMED[kind](map(_Sheet, blocks))


class _Sheet:
    """A frame as plain columns: unique names, cells of Python's own types or None."""

    def __init__(self, frame: pd.DataFrame, heatmap: Heatmap | None = None) -> None:
        self.index_columns = frame.index.nlevels if any(frame.index.names) else 0
        self.frame = frame.reset_index(allow_duplicates=True) if self.index_columns else frame
        self.heatmap = heatmap
        self.names = unique_names(_plain(name) for name in self.frame.columns)

    @property
    def series(self) -> "Iterator[pd.Series[Any]]":
        return (self.frame.iloc[:, place] for place in range(len(self.names)))

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        return zip(*map(_cells, self.series), strict=True)


def _sheet(table: pd.DataFrame | Heatmap) -> _Sheet:
    return _Sheet(table.frame, table) if isinstance(table, Heatmap) else _Sheet(table)


def unique_names(names: Iterable[Any]) -> list[Any]:
    """Names as they are; one that was there before gets a number."""
    found: list[Any] = []
    for name in names:
        unlike, number = name, 2
        while unlike in found:
            unlike, number = f"{name} ({number})", number + 1
        found.append(unlike)
    return found


def _cells(column: "pd.Series[Any]") -> list[Any]:
    if pd.api.types.is_integer_dtype(column.dtype) and not column.hasnans:
        return column.tolist()
    cells = [_plain(value) for value in column.array]
    return [cell and cell.date() for cell in cells] if _are_days(column) else cells


def _are_days(column: "pd.Series[Any]") -> bool:
    """Days of a daily series are stamped at midnight; they are dates to everybody else."""
    if not pd.api.types.is_datetime64_dtype(column.dtype):
        return False
    return bool((column.dropna() == column.dropna().dt.normalize()).all())


def _plain(value: Any) -> Any:
    """A cell as one of Python's own types; None where it is undefined."""
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        value = value.tolist()
    if isinstance(value, float | Decimal):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | Mapping | list | tuple):
        return value
    if pd.isna(value):
        return None
    if isinstance(value, datetime):  # pandas' Timestamp is one
        zoned = value if value.tzinfo is None else value.astimezone(UTC)
        return zoned.to_pydatetime(warn=False) if isinstance(zoned, pd.Timestamp) else zoned
    return value if isinstance(value, date) else str(value)


def _text(value: Any) -> str:
    """A plain cell as text that loses nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return _nested(value) if isinstance(value, Mapping | list | tuple) else str(value)


def _nested(value: Any) -> str:
    return json.dumps(_json_cell(value), ensure_ascii=False, allow_nan=False)


def _json_cell(value: Any) -> Any:
    """A plain cell for json: numbers, flags, nested values as they are, the rest as text."""
    if isinstance(value, Mapping):
        return {str(name): _json_cell(_plain(inner)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_cell(_plain(inner)) for inner in value]
    return value if value is None or isinstance(value, int | float) else _text(value)


def _csv(blocks: Iterable[_Sheet]) -> bytes:
    file = io.BytesIO()
    text = io.TextIOWrapper(file, "utf-8", "replace", newline="", write_through=True)
    writer = csv.writer(text)  # its line end, \r\n, also has a lone \r quoted
    for place, sheet in enumerate(blocks):
        if place == 0:
            writer.writerow([_csv_cell(name) for name in sheet.names])
        writer.writerows(zip(*map(_csv_column, sheet.series), strict=True))
    text.flush()
    return file.getvalue()


def _csv_column(column: "pd.Series[Any]") -> list[str]:
    if column.dtype != np.float64:
        return [_csv_cell(value) for value in _cells(column)]
    finite = np.isfinite(column.to_numpy())
    texts = map(repr, column.tolist())
    return [text if known else "" for text, known in zip(texts, finite.tolist(), strict=True)]


def _csv_cell(value: Any) -> str:
    text = _text(value)
    is_text = not isinstance(value, int | float | Decimal)
    return f"'{text}" if is_text and text.startswith(FORMULA_STARTS) else text


def _json(blocks: Iterable[_Sheet]) -> bytes:
    """A list with one record a line."""
    file = io.BytesIO()
    before = b"["
    for sheet in blocks:
        for line in _json_lines(sheet):
            file.write(before)
            file.write(line.encode("utf-8", "replace"))
            before = b",\n"
    file.write(b"[]\n" if before == b"[" else b"]\n")
    return file.getvalue()


def _json_lines(sheet: _Sheet) -> Iterator[str]:
    names = [_text(name) for name in sheet.names]
    return (_nested(dict(zip(names, row, strict=True))) for row in sheet.rows)


def _json_tables(sheets: Mapping[str, _Sheet]) -> bytes:
    tables = (
        f"{_nested(name)}: [" + ",\n".join(_json_lines(sheet)) + "]"
        for name, sheet in sheets.items()
    )
    return ("{" + ",\n".join(tables) + "}\n").encode("utf-8", "replace")


def _parquet(blocks: Iterable[_Sheet]) -> bytes:
    import pyarrow as pa  # slow to import
    import pyarrow.parquet

    file = io.BytesIO()
    writer = None
    for sheet in blocks:
        names = [_text(name) for name in sheet.names]
        table = pa.table([_arrow(column) for column in sheet.series], names=names)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return file.getvalue()


def _arrow(column: "pd.Series[Any]") -> Any:
    """A column in its own type; mixed and nested cells as text."""
    import pyarrow as pa

    if _are_days(column):
        return pa.array(_cells(column), type=pa.date32())
    if pd.api.types.is_float_dtype(column.dtype):
        return pa.Array.from_pandas(column.where(column.abs() < math.inf))
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return pa.Array.from_pandas(column.dt.tz_convert("UTC"))
    if not pd.api.types.is_object_dtype(column.dtype):
        return pa.Array.from_pandas(column)
    cells = _cells(column)
    if not any(isinstance(cell, Mapping | list | tuple) for cell in cells):
        # Numbers and texts can stand side by side, as in a column of a policy's fields.
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array(cells)
    return pa.array([None if cell is None else _text(cell) for cell in cells])


def _xlsx(sheets: Mapping[str, _Sheet]) -> bytes:
    from xlsxwriter import Workbook

    file = io.BytesIO()
    with Workbook(file, {"in_memory": True}) as book:
        book.set_properties({"application": "volbal"})
        styles = {
            "header": book.add_format(
                {"bold": True, "bg_color": "#E8EDF5", "bottom": 1, "quote_prefix": True}
            ),
            "quoted": book.add_format({"quote_prefix": True}),
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        for name, sheet in zip(_sheet_names(sheets), sheets.values(), strict=True):
            _write_sheet(book.add_worksheet(name), sheet, styles)
    return file.getvalue()


def _sheet_names(names: Iterable[str]) -> list[str]:
    """Names that Excel takes: short, without its own signs, unlike each other."""
    found: list[str] = []
    for name in names:
        clean = "".join(
            " " if sign in "[]:*?/\\" or not sign.isprintable() else sign for sign in name
        )
        short = clean.strip(" '")[:EXCEL_SHEET_NAME].strip(" '") or "Table"
        number = 2
        while short.lower() in {*map(str.lower, found), "history"}:
            tail = f" {number}"
            short = f"{short.removesuffix(f' {number - 1}')[: EXCEL_SHEET_NAME - len(tail)]}{tail}"
            number += 1
        found.append(short)
    return found


def _write_sheet(page: Any, sheet: _Sheet, styles: Mapping[str, Any]) -> None:
    height, width = len(sheet.frame), len(sheet.names)
    require_room(height, width)
    for place, (name, cells) in enumerate(zip(sheet.names, map(_cells, sheet.series), strict=True)):
        _write_cell(page, 0, place, name, styles, styles["header"])
        for row, value in enumerate(cells, start=1):
            _write_cell(page, row, place, value, styles)
        page.set_column(place, place, _width([name, *cells[:200]]))
    page.freeze_panes(1, sheet.index_columns)
    if sheet.heatmap is not None and height:
        area = (1, sheet.index_columns, height, width - 1)
        page.conditional_format(*area, _colours(sheet.heatmap))
    elif height:
        page.autofilter(0, 0, height, width - 1)


def require_room(height: int, width: int) -> None:
    """Raises InvalidInput where a sheet of Excel cannot hold so many rows and columns."""
    if height >= EXCEL_ROWS or width > EXCEL_COLUMNS:
        raise InvalidInput(
            "format",
            f"{height:,} rows of {width:,} columns are more than Excel holds",
            f"up to {EXCEL_ROWS - 1:,} rows and {EXCEL_COLUMNS:,} columns, or use csv or parquet",
        )


def _write_cell(
    page: Any, row: int, place: int, value: Any, styles: Mapping[str, Any], style: Any = None
) -> None:
    if isinstance(value, bool):
        page.write_boolean(row, place, value, style)
    elif isinstance(value, int) and abs(value) > EXCEL_EXACT:
        page.write_string(row, place, str(value), style)
    elif isinstance(value, int | float | Decimal):
        page.write_number(row, place, float(value), style)
    elif isinstance(value, datetime) and value.date() >= EXCEL_BEGIN:
        page.write_datetime(row, place, value.replace(tzinfo=None), style or styles["time"])
    elif isinstance(value, date) and not isinstance(value, datetime) and value >= EXCEL_BEGIN:
        page.write_datetime(row, place, value, style or styles["date"])
    elif value is not None:
        text = _text(value)
        quoted = styles["quoted"] if text.startswith(FORMULA_STARTS) else None
        cut = text if len(text) <= EXCEL_TEXT else f"{text[: EXCEL_TEXT - 1]}…"
        page.write_string(row, place, cut, style or quoted)


def _width(cells: Sequence[Any]) -> float:
    """Room for the longest of `cells` in Excel's unit, about one digit."""
    longest = max(len(f"{cell:,.4f}" if isinstance(cell, float) else _text(cell)) for cell in cells)
    return float(min(max(longest + 2, 8), WIDEST))


def _colours(heatmap: Heatmap) -> dict[str, Any]:
    low, high = ("min", "max") if heatmap.more_is_better else ("max", "min")
    if heatmap.middle is None:
        return {"type": "2_color_scale", f"{low}_color": PALE, f"{high}_color": GOOD}
    values = heatmap.frame.to_numpy(dtype=float, na_value=math.nan)
    reach = max(
        (abs(value - heatmap.middle) for value in values.flat if math.isfinite(value)), default=0.0
    )
    scale: dict[str, Any] = {"type": "3_color_scale", f"{low}_color": BAD, f"{high}_color": GOOD}
    for end, away in (("min", -reach), ("mid", 0.0), ("max", reach)):
        scale |= {f"{end}_type": "num", f"{end}_value": heatmap.middle + away}
    return scale | {"mid_color": NEITHER}


_STREAMED: dict[str, Callable[[Iterable[_Sheet]], bytes]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}

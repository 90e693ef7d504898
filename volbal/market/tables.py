"""A CSV or Parquet file as columns of text: the names and cells that a price file may have."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from volbal.domain.wording import few
from volbal.errors import InvalidInput
from volbal.market.cells import shown
from volbal.market.model import BAR_COLUMNS
from volbal.market.validation import BadRow, InvalidPrices

DATE, PAY_DATE, DIVIDENDS, SPLITS = "date", "pay date", "dividends", "stock splits"
NUMBERS = (*BAR_COLUMNS, DIVIDENDS, SPLITS)
KNOWN = (DATE, PAY_DATE, *NUMBERS)

OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("datetime", "time", "timestamp"), DATE),
    **dict.fromkeys(("ex-date", "ex date", "ex_date", "ex-dividend date", "ex/eff date"), DATE),
    **dict.fromkeys(("pay-date", "pay_date", "payment date", "payment_date"), PAY_DATE),
    **dict.fromkeys(("dividend", "amount", "cash amount"), DIVIDENDS),
    **dict.fromkeys(("dividende", "dividenden", "dividendes"), DIVIDENDS),
    **dict.fromkeys(("dividendo", "dividendos", "dividendi"), DIVIDENDS),
    **dict.fromkeys(("split", "splits", "ratio", "split ratio"), SPLITS),
    "close/last": "close",
    **dict.fromkeys(("datum", "fecha", "data"), DATE),
    **dict.fromkeys(("eröffnung", "ouverture", "apertura"), "open"),
    **dict.fromkeys(("hoch", "plus haut", "máximo", "massimo"), "high"),
    **dict.fromkeys(("tief", "plus bas", "mínimo", "minimo"), "low"),
    **dict.fromkeys(("schluss", "schlusskurs", "clôture", "cierre", "chiusura"), "close"),
}
"""How others call them; the rest is yfinance's. In lower case. German "Volumen" is not among them:
some mean money by it."""

LAST_PRICES = ("price", "dernier", "zuletzt", "último", "ultimo")
"""What Investing.com calls the close; it is one where a file has no other."""

ASKED = (
    "a price file has the columns Date, Open, High, Low, Close, Volume, Dividends, Stock Splits, "
    "of which only Date and Close are required"
)

DELIMITERS = ",;\t|"
EXCEL_SAYS = "sep="
"""How a first line begins in which Excel names the delimiter."""

SHOWN_NAMES, SHOWN_OF_A_NAME = 5, 20
"""Of the columns of a file that has not the right ones, in a message."""


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a file as text, by the name in KNOWN or else lower-case name, and where each
    row stands, such as "line 7"."""

    name: str
    columns: Mapping[str, Sequence[str]]
    places: Sequence[str]


def read_table(name: str, content: bytes) -> Table:
    """The table in the bytes of a file called `name`.

    CSV is UTF-8, its cells parted by comma, semicolon, tab or |. Raises InvalidInput for a file
    that is neither CSV nor Parquet, cannot be read or lacks a required column, InvalidPrices for
    rows of another length.
    """
    ending = name.lower().rpartition(".")[2]
    if ending == "csv":
        table = _read_csv(name, content)
    elif ending == "parquet":
        table = _read_parquet(name, content)
    else:
        raise InvalidInput(
            "prices", f"{name} is neither CSV nor Parquet", "name a file ending in .csv or .parquet"
        )
    if not table.places:
        raise _without_rows(name)
    return table


def _without_rows(name: str) -> InvalidInput:
    return InvalidInput("prices", f"{name} has no row of prices", ASKED)


def _read_csv(name: str, content: bytes) -> Table:
    text = _decoded(name, content)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=_delimiter(text))
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InvalidInput(
            "prices",
            f"{name} has a cell of more than {csv.field_size_limit():,} characters near line "
            f"{reader.line_num}",
            "look for a quote that is not closed, or a file that is no table",
        ) from error
    if lines and lines[0][1][0].lower().startswith(EXCEL_SAYS):
        del lines[0]
    if not lines:
        raise _without_rows(name)
    header, rows = _without_tickers(name, lines)
    names = _column_names(name, header)
    ragged = [
        BadRow(f"line {line}", f"cell count {len(row)} differs from the header's {len(header)}")
        for line, row in rows
        if len(row) != len(header)
    ]
    if ragged:
        raise InvalidPrices(name, ragged)
    cells = [[row[at] for _, row in rows] for at in range(len(header))]
    places = [f"line {line}" for line, _ in rows]
    return Table(name, dict(zip(names, cells, strict=True)), places)


def _decoded(name: str, content: bytes) -> str:
    kind = "comma-separated text in UTF-8"
    if b"\0" in content:
        raise _unreadable(name, kind, "it looks like UTF-16 or binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(name, kind, "it is in another encoding") from error


def _delimiter(text: str) -> str:
    """The one that Excel names; else what parts the header into the most known names; where none
    is known, into the most cells."""
    header = next(iter(text.lstrip().splitlines()), "")
    named = header.lower().removeprefix(EXCEL_SAYS)
    if len(named) == 1 and named in DELIMITERS:
        return named

    def names(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return sum(_known_name(cell) in KNOWN for cell in cells), len(cells)

    return max(DELIMITERS, key=names)


Line = tuple[int, list[str]]


def _without_tickers(name: str, lines: list[Line]) -> tuple[list[str], list[Line]]:
    """Header and rows; yfinance's `download` writes three lines of header: Price, Ticker, Date."""
    header = lines[0][1]
    first = [line[1][0].strip().lower() for line in lines[:3]]
    if first[:2] != ["price", "ticker"] or len(first) < 3:
        return header, lines[1:]
    _require_one_symbol(name, lines[1][1][1:])
    return [lines[2][1][0], *header[1:]], lines[3:]


def _require_one_symbol(name: str, symbols: Iterable[str]) -> None:
    found = dict.fromkeys(symbol for symbol in symbols if symbol)
    if len(found) > 1:
        raise InvalidInput(
            "prices", f"{name} holds {', '.join(found)}", "save one symbol in each file"
        )


def _read_parquet(name: str, content: bytes) -> Table:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(name, "a Parquet table", type(error).__name__) from error
    if isinstance(frame.columns, pd.MultiIndex):  # yfinance's `download`: price, ticker
        _require_one_symbol(name, frame.columns.get_level_values(-1))
        frame.columns = frame.columns.get_level_values(0)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    names = _column_names(name, frame.columns)
    cells = [_texts(frame.iloc[:, at]) for at in range(len(names))]
    places = [f"row {row}" for row in range(1, len(frame) + 1)]
    return Table(name, dict(zip(names, cells, strict=True)), places)


def _texts(column: pd.Series) -> list[str]:
    return ["" if empty else str(cell) for cell, empty in zip(column, column.isna(), strict=True)]


def _known_name(cell: str) -> str:
    name = cell.strip().lower()
    return OTHER_NAMES.get(name, name)


def _column_names(name: str, header: Iterable[object]) -> list[str]:
    """Known names; refuses one that stands twice, as nobody could say which counts."""
    given = [str(cell).strip() for cell in header]
    names = [_known_name(cell) for cell in given]
    if "close" not in names:
        names = ["close" if name in LAST_PRICES else name for name in names]
    _require_columns(name, given, names)
    for twice in (known for known, count in Counter(names).items() if count > 1):
        if twice in KNOWN:
            raise InvalidInput(
                "prices", f"{name} has two columns {twice.title()}", "leave one of them"
            )
    return names


def _require_columns(name: str, header: Sequence[str], names: Sequence[str]) -> None:
    """A date, and a close or else actions."""
    lacking = [] if DATE in names else ["Date"]
    if not {"close", DIVIDENDS, SPLITS} & set(names):
        lacking.append("Close")
    if lacking:
        names = few([shown(cell, SHOWN_OF_A_NAME) for cell in header], most=SHOWN_NAMES)
        found = ", ".join(names) or "no column at all"
        raise InvalidInput(
            "prices", f"{name} has no column {' and no column '.join(lacking)}, only {found}", ASKED
        )


def _unreadable(name: str, kind: str, problem: str) -> InvalidInput:
    return InvalidInput(
        "prices",
        f"{name} cannot be read as {kind} ({problem})",
        "save it again as CSV in UTF-8, or as Parquet",
    )

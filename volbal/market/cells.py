"""Texts of a file's cells as dates and numbers, whatever form the whole file writes them in.

Nothing is guessed: where a file can be read in two ways it is refused with both.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from volbal.errors import InvalidInput

DateOrder = Literal["day first", "month first"]
DATE_ORDERS: Final[tuple[DateOrder, DateOrder]] = ("day first", "month first")

BadCell = tuple[int, str]
"""Position of the row, and the reason."""

Numbers = npt.NDArray[np.float64]

MISSING = ("", "nan", "null")
"""Cells that say "no value", in any case."""

TIME = r"(?:[ T](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:\.0+)?\s*(?:Z|[+-]\d{2}:?\d{2})?)?$"
"""Exchange-local time behind a date. The UTC offset behind it is dropped, not applied: yfinance
prints local time together with the offset of that day."""


EARLIEST_YEAR: Final = 1900

LONGEST_SHOWN: Final = 40
"""Characters of a cell that a message repeats."""


def _month_names() -> dict[str, str]:
    """Month names without accents, and their beginnings of three letters or more, to "01".."12"."""
    languages = (
        "january february march april may june july august september october november december",
        "januar februar marz april mai juni juli august september oktober november dezember",
        "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
        "dicembre",
    )
    found: dict[str, set[str]] = {"janner": {"01"}, "mrz": {"03"}}
    for language in languages:
        for number, name in enumerate(language.split(), start=1):
            for length in range(3, len(name) + 1):
                found.setdefault(name[:length], set()).add(f"{number:02}")
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


MONTHS: Final = _month_names()
"""In English, German, French, Spanish and Italian; "jui" is not there, it can be two."""

NAMED_MONTH: Final = r"(?P<month>[^\W\d_]+)\.?"
SHORT_YEAR: Final = r"(?P<year>\d{4}|\d{2})"
FIRST_SHORT_YEAR: Final = 69
"""Two digits are 1969 to 2068, as POSIX has it; validation refuses what is still to come."""


@dataclass(frozen=True, slots=True)
class _Form:
    """One way of writing dates. example: what 31 January 2020 looks like, for messages."""

    pattern: str
    example: str


ISO = _Form(rf"^(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}}){TIME}", "2020-01-31")
SLASHED = {
    order: _Form(
        rf"^(?P<{first}>\d{{1,2}})[/-](?P<{second}>\d{{1,2}})[/-](?P<year>\d{{4}}|(?<=/)\d{{2}})"
        rf"{TIME}",
        example,
    )
    for order, first, second, example in (
        ("day first", "day", "month", "31/01/2020"),
        ("month first", "month", "day", "01/31/2020"),
    )
}
FORMS: Final = (
    ISO,
    _Form(rf"^(?P<year>\d{{4}})/(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}}){TIME}", "2020/01/31"),
    _Form(rf"^(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}}){TIME}", "20200131"),
    _Form(rf"^(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.{SHORT_YEAR}{TIME}", "31.01.2020"),
    _Form(rf"^(?P<day>\d{{1,2}})\.?[ -]{NAMED_MONTH}[ -]{SHORT_YEAR}{TIME}", "31-Jan-2020"),
    _Form(rf"^{NAMED_MONTH} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}}){TIME}", "Jan 31, 2020"),
)
EXAMPLES: Final = "2020-01-31, 31.01.2020, 01/31/2020 or Jan 31, 2020"
LAST_MONTH: Final = 12


class AmbiguousDates(InvalidInput):
    """Dates such as 03/04/2020 that can be 3 April or 4 March; somebody has to say which."""

    def __init__(self, name: str, example: str) -> None:
        super().__init__(
            "dates",
            f"the dates of {name}, such as {example}, can be read day first or month first",
            f"say which it is, {' or '.join(map(repr, DATE_ORDERS))}",
        )


def dates(
    name: str, title: str, cells: Sequence[str], order: DateOrder | None, bad: list[BadCell]
) -> pd.DatetimeIndex:
    """Exchange-local times of a column; NaT for an empty cell, also for each that goes to `bad`.

    All are written in the form of the first; order: of day and month where that form has slashes.
    Raises AmbiguousDates where it is not given and no cell tells.
    """
    texts = pd.Series(cells, dtype="str").str.strip()
    texts = texts.mask(texts.str.lower().isin(MISSING), "")
    form = _form(name, texts[texts != ""], order)
    parts = texts.str.extract((form or ISO).pattern).fillna("")
    months = parts["month"].map(_month).str.zfill(2)
    days = parts["year"].map(_year) + "-" + months + "-" + parts["day"].str.zfill(2)
    times = parts["time"].replace("", "00:00")
    found = pd.to_datetime(days + " " + times, format="ISO8601", errors="coerce")
    early = found.dt.year < EARLIEST_YEAR
    found = found.mask(early)
    for at in map(int, np.flatnonzero(found.isna() & (texts != ""))):
        why = f"is before {EARLIEST_YEAR}" if early[at] else _no_date(form)
        bad.append((at, f"{title} {shown(texts.iloc[at])} {why}"))
    return pd.DatetimeIndex(found).as_unit("s")


def shown(text: str, most: int = LONGEST_SHOWN) -> str:
    """A text of a file as a message repeats it: quoted, its beginning where it is long."""
    return repr(text if len(text) <= most else f"{text[: most - 1]}…")


def _no_date(form: _Form | None) -> str:
    if form is None:
        return f"is no date such as {EXAMPLES}"
    return f"is no {'ISO date' if form is ISO else 'date'} such as {form.example}"


def _month(text: str) -> str:
    """The digits of a month, also of a name; empty for what is none."""
    if not text[:1].isalpha():
        return text
    plain = unicodedata.normalize("NFD", text.lower())
    return MONTHS.get("".join(sign for sign in plain if not unicodedata.combining(sign)), "")


def _year(text: str) -> str:
    if len(text) != len("69"):
        return text
    return f"{19 if int(text) >= FIRST_SHORT_YEAR else 20}{text}"


def _form(name: str, texts: pd.Series, order: DateOrder | None) -> _Form | None:
    """The form of the first text; None where that has none."""
    if texts.empty:
        return ISO
    first = texts.iloc[0]
    for form in FORMS:
        if re.match(form.pattern, first):
            return form
    if not re.match(SLASHED["day first"].pattern, first):
        return None
    return SLASHED[order or _order(name, texts)]


def _order(name: str, texts: pd.Series) -> DateOrder:
    """What the cells with a number above 12 say."""
    parts = texts.str.extract(SLASHED["day first"].pattern)[["day", "month"]].astype("float64")
    beyond = (parts > LAST_MONTH).sum()
    if beyond["day"] == beyond["month"]:
        raise AmbiguousDates(name, str(texts.iloc[0]))
    return "day first" if beyond["day"] > beyond["month"] else "month first"


POINT, COMMA = ".", ","
GROUPED = {
    mark: re.compile(rf"[+-]?\d{{1,3}}(?:\{other}\d{{3}})+(?:\{mark}\d+)?")
    for mark, other in ((POINT, COMMA), (COMMA, POINT))
}
"""A number with its thousands marked, by its decimal mark."""


def decimal_mark(columns: Sequence[Sequence[str]]) -> str:
    """The decimal mark of a file: "." or ","; "" where its only commas are as in 1,234."""
    if not any(COMMA in cell for cells in columns for cell in cells):
        return POINT
    votes = Counter(_mark_of(cell.strip()) for cells in columns for cell in cells)
    if votes[POINT] == votes[COMMA]:
        return ""
    return POINT if votes[POINT] > votes[COMMA] else COMMA


def _mark_of(cell: str) -> str:
    """What one cell says of the decimal mark; "" for 1,234 and for a number without marks."""
    point, comma = cell.rfind(POINT), cell.rfind(COMMA)
    if point >= 0 and comma >= 0:
        return POINT if point > comma else COMMA
    mark, other, at = (COMMA, POINT, comma) if comma >= 0 else (POINT, COMMA, point)
    if at < 0:
        return ""
    if cell.count(mark) > 1:
        return other
    return "" if len(cell) - at - 1 == 3 else mark


def numbers(
    title: str,
    cells: Sequence[str],
    mark: str,
    bad: list[BadCell],
    *,
    required: bool = False,
    ratios: bool = False,
) -> Numbers:
    """A column as numbers; NaN for an empty cell, also for each that goes to `bad`.

    mark: as `decimal_mark` found it. Marks of thousands and a currency sign in front are taken.
    required: no cell may be empty. ratios: they may be written new:old or new/old.
    """
    found = np.full(len(cells), np.nan)
    for at, cell in enumerate(cells):
        text = cell.strip()
        if text.lower() in MISSING:
            if required:
                bad.append((at, f"{title} is empty"))
            continue
        try:
            found[at] = _ratio(text, mark) if ratios else _number(text.lstrip("$€£"), mark)
        except ValueError:
            form = (
                "ratio such as 2 or 2:1, new shares to old" if ratios else "number such as 1234.5"
            )
            reason = f"{title} {shown(text)} is no {form}"
            if not mark and COMMA in text:
                reason = f"{title} {shown(text)} can be 1234 or 1.234; write it without the comma"
            bad.append((at, reason))
    return found


def _ratio(text: str, mark: str) -> float:
    parts = [_number(part.strip(), mark) for part in re.split("[:/]", text)]
    if len(parts) == 1:
        return parts[0]
    new, old = parts
    if not (0.0 < new < math.inf and 0.0 < old < math.inf):
        raise ValueError(text)
    return new / old


def _number(text: str, mark: str) -> float:
    if "_" in text:  # Python's own notation, which no price file means
        raise ValueError(text)
    if COMMA in text or mark == COMMA:
        if not mark:
            raise ValueError(text)
        other = COMMA if mark == POINT else POINT
        if other in text and not GROUPED[mark].fullmatch(text):
            raise ValueError(text)
        text = text.replace(other, "").replace(mark, POINT)
    return float(text)

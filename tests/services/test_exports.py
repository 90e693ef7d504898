"""Tables as files, read back by other programs' readers."""

import csv
import io
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet
import pytest

from volbal.errors import InvalidInput
from volbal.services.exports import MEDIA_TYPES, Heatmap, table_bytes

HOSTILE = [
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    '=1,"2"\n=3',
]


def rows_of_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


def book(data: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(data))


def test_no_text_of_a_csv_is_a_formula_and_no_character_is_lost() -> None:
    header, *rows = rows_of_csv(table_bytes(pd.DataFrame({"=a": HOSTILE}), "csv"))
    assert header == ["'=a"]
    assert [row[0] for row in rows] == [f"'{text}" for text in HOSTILE]


def test_no_text_of_a_workbook_is_a_formula() -> None:
    frame = pd.DataFrame({"=1+1": HOSTILE, "@b": ["x"] * len(HOSTILE)})
    sheet = book(table_bytes({"=evil": frame}, "xlsx")).active
    for row in sheet.iter_rows():
        for cell in row:
            assert cell.data_type == "s", cell.value
    assert [cell.value for cell in sheet[1]] == ["=1+1", "@b"]
    assert sheet["A2"].value == HOSTILE[0]
    assert all(cell.quotePrefix for (cell,) in sheet["A2:A9"])


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_decimal_keeps_every_digit(kind: str) -> None:
    amounts = [Decimal("-123456789012.123456"), Decimal("1E-12"), Decimal("NaN"), None]
    frame = pd.DataFrame({"amount": pd.Series(amounts, dtype=object)})
    data = table_bytes(frame, kind)
    if kind == "csv":
        found = [row[0] if row else "" for row in rows_of_csv(data)[1:]]
        assert found == ["-123456789012.123456", "0.000000000001", "", ""]
    else:
        found = [row["amount"] for row in json.loads(data)]
        assert found == ["-123456789012.123456", "0.000000000001", None, None]


def test_numbers_of_a_workbook_are_numbers() -> None:
    frame = pd.DataFrame(
        {"a": [Decimal("-1.5"), 2, 0.25], "b": [1, -2, 3], "c": [True, False, True]}
    )
    sheet = book(table_bytes(frame, "xlsx")).active
    assert [cell.value for (cell,) in sheet["A2:A4"]] == [-1.5, 2, 0.25]
    assert [cell.data_type for cell in sheet[2]] == ["n", "n", "b"]


def test_an_integer_that_excel_would_round_is_text() -> None:
    sheet = book(table_bytes(pd.DataFrame({"n": [2**62 + 1]}), "xlsx")).active
    assert sheet["A2"].value == str(2**62 + 1)


def times() -> pd.DataFrame:
    new_york = timezone(timedelta(hours=-5))
    return pd.DataFrame(
        {
            "on": [date(2024, 1, 2), None],
            "day": pd.to_datetime(["2024-01-02", None]),
            "at": [datetime(2024, 1, 2, 9, 30, tzinfo=new_york), None],
            "naive": pd.to_datetime(["2024-01-02 09:30", None]),
        }
    )


def test_dates_and_times_are_iso_and_zones_become_utc() -> None:
    (record, empty) = json.loads(table_bytes(times(), "json"))
    assert record == {
        "on": "2024-01-02",
        "day": "2024-01-02",
        "at": "2024-01-02T14:30:00Z",
        "naive": "2024-01-02T09:30:00",
    }
    assert set(empty.values()) == {None}
    assert rows_of_csv(table_bytes(times(), "csv"))[1:] == [list(record.values()), [""] * 4]


def test_dates_and_times_of_a_workbook_are_its_own() -> None:
    sheet = book(table_bytes(times(), "xlsx")).active
    assert [cell.value for cell in sheet[2]] == [
        datetime(2024, 1, 2),
        datetime(2024, 1, 2),
        datetime(2024, 1, 2, 14, 30),
        datetime(2024, 1, 2, 9, 30),
    ]
    assert [cell.number_format for cell in sheet[2]][:3] == [
        "yyyy-mm-dd",
        "yyyy-mm-dd",
        "yyyy-mm-dd hh:mm:ss",
    ]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_what_is_undefined_is_empty(kind: str) -> None:
    cells = [math.nan, math.inf, -math.inf, 1.5]
    data = table_bytes(pd.DataFrame({"a": cells, "b": [None, pd.NaT, pd.NA, "x"]}), kind)
    if kind == "csv":
        assert rows_of_csv(data)[1:] == [["", ""], ["", ""], ["", ""], ["1.5", "x"]]
    elif kind == "json":
        assert [list(row.values()) for row in json.loads(data)] == [[None, None]] * 3 + [[1.5, "x"]]
    else:
        rows = [[cell.value for cell in row] for row in book(data).active["A2:B5"]]
        assert rows == [[None, None]] * 3 + [[1.5, "x"]]


def test_parquet_keeps_types() -> None:
    frame = times().assign(
        amount=[Decimal("1.50"), None], number=[1.5, math.inf], count=[1, 2], text=["=a", None]
    )
    table = pyarrow.parquet.read_table(io.BytesIO(table_bytes(frame, "parquet")))
    names = {field.name: str(field.type) for field in table.schema}
    assert names["on"] == names["day"] == "date32[day]"
    assert names["at"].startswith("timestamp[")
    assert names["at"].endswith("tz=UTC]")
    assert (names["amount"], names["number"], names["count"]) == (
        "decimal128(3, 2)",
        "double",
        "int64",
    )
    assert table["text"].to_pylist() == ["=a", None]
    assert table["number"].to_pylist() == [1.5, None]
    assert table["day"].to_pylist() == [date(2024, 1, 2), None]


def test_cells_of_several_types_and_nested_ones_survive_every_format() -> None:
    nested = {"price": Decimal("1.50"), "at": datetime(2024, 1, 2, tzinfo=UTC), "list": [1, None]}
    frame = pd.DataFrame({"value": [1.5, "close", True], "inputs": [nested, None, {}]})
    text = '{"price": "1.50", "at": "2024-01-02T00:00:00Z", "list": [1, null]}'
    assert json.loads(table_bytes(frame, "json"))[0]["inputs"] == json.loads(text)
    assert rows_of_csv(table_bytes(frame, "csv"))[1:] == [
        ["1.5", text],
        ["close", ""],
        ["true", "{}"],
    ]
    assert book(table_bytes(frame, "xlsx")).active["B2"].value == text
    table = pyarrow.parquet.read_table(io.BytesIO(table_bytes(frame, "parquet")))
    assert table["value"].to_pylist() == ["1.5", "close", "true"]
    assert table["inputs"].to_pylist() == [text, None, "{}"]


def test_several_tables_are_sheets_with_names_that_excel_takes() -> None:
    frame = pd.DataFrame({"a": [1]})
    names = ["Fills", "fills", "x" * 40, "x" * 41, "a/b:[c]", "'", "History"]
    sheets = book(table_bytes(dict.fromkeys(names, frame), "xlsx"))
    assert sheets.sheetnames == [
        "Fills",
        "fills 2",
        "x" * 31,
        f"{'x' * 29} 2",
        "a b  c",
        "Table",
        "History 2",
    ]
    assert all(sheet.freeze_panes == "A2" for sheet in sheets)
    assert json.loads(table_bytes({"Fills": frame, "b": frame}, "json")) == {
        "Fills": [{"a": 1}],
        "b": [{"a": 1}],
    }


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_format_of_one_table_refuses_several(kind: str) -> None:
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(InvalidInput, match="one table, not 2"):
        table_bytes({"a": frame, "b": frame}, kind)


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="csv, xlsx, json, parquet"):
        table_bytes(pd.DataFrame(), "pdf")


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_an_empty_table_keeps_its_header(kind: str) -> None:
    data = table_bytes(pd.DataFrame({"a": pd.Series(dtype=float), "b": pd.Series(dtype=str)}), kind)
    if kind == "csv":
        assert rows_of_csv(data) == [["a", "b"]]
    elif kind == "xlsx":
        assert [cell.value for cell in book(data).active[1]] == ["a", "b"]
    elif kind == "json":
        assert json.loads(data) == []
    else:
        assert pyarrow.parquet.read_table(io.BytesIO(data)).column_names == ["a", "b"]


def test_columns_of_one_name_are_told_apart() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["n", "n", "n (2)"])
    assert json.loads(table_bytes(frame, "json")) == [{"n": 1, "n (2)": 2, "n (2) (2)": 3}]


def test_more_rows_than_excel_holds_are_refused_and_another_format_is_named() -> None:
    with pytest.raises(InvalidInput, match="csv or parquet"):
        table_bytes(pd.DataFrame({"a": np.zeros(1_048_576)}), "xlsx")


def test_a_text_longer_than_a_cell_is_cut_and_shows_it() -> None:
    text = book(table_bytes(pd.DataFrame({"a": ["x" * 40_000]}), "xlsx")).active["A2"].value
    assert len(text) == 32_767
    assert text.endswith("x…")


def test_a_heatmap_has_its_axes_and_colours_that_part_at_the_middle() -> None:
    frame = pd.DataFrame(
        [[0.1, -0.3], [math.nan, 0.2]], index=pd.Index([0.01, 0.02], name="trigger"), columns=[1, 2]
    )
    sheet = book(table_bytes({"map": Heatmap(frame, middle=0.0)}, "xlsx")).active
    assert [cell.value for cell in sheet[1]] == ["trigger", 1, 2]
    assert [cell.value for (cell,) in sheet["A2:A3"]] == [0.01, 0.02]
    ((area, rules),) = sheet.conditional_formatting._cf_rules.items()
    assert str(area.sqref) == "B2:C3"
    assert [float(end.val) for end in rules[0].colorScale.cfvo] == [-0.3, 0.0, 0.3]

"""Tables on pages, and the one control that downloads them."""

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.wording import duration
from volbal.market.sessions import EXCHANGE
from volbal.services import exports

Source = pd.DataFrame | exports.Tables | Callable[[], pd.DataFrame]

MANY = 10
"""Rows beyond which a table scrolls."""

ROW_PIXELS, BAR_PIXELS = 35, 14
"""As Streamlit draws them."""

LONG_ROWS = 50_000
XLSX_ROWS_A_SECOND = 5_000
"""Measured on the cells of a study."""

LABELS = {
    "csv": "CSV, for any program",
    "xlsx": "Excel workbook",
    "json": "JSON, for programs",
    "parquet": "Parquet, for notebooks and DuckDB",
    "png": "PNG picture",
    "svg": "SVG picture, for print",
}
MEDIA_TYPES = exports.MEDIA_TYPES | {"png": "image/png", "svg": "image/svg+xml"}


def moment(label: str) -> Any:
    """A column of moments, as the exchange's clock shows them."""
    return st.column_config.DatetimeColumn(
        f"{label} (New York)", format="YYYY-MM-DD HH:mm", timezone=EXCHANGE.key
    )


def show(
    frame: pd.DataFrame,
    key: str,
    config: Mapping[str, Any] | None = None,
    *,
    alt: str,
    name: str = "",
    height: int | str = "content",
    **more: Any,
) -> Any:
    """A table, and below it its downloads where it has a `name` for their files.

    more: as st.dataframe takes it. Returns what that returns.
    """
    drawn = st.dataframe(
        frame,
        key=key,
        hide_index=True,
        column_config=config,
        height=height,  # type: ignore[arg-type]  # "content" or pixels, as st.dataframe takes it
        placeholder="",
        alt=alt,
        **more,
    )
    if name:
        downloads(frame, name, f"{key}-downloads")
    return drawn


def fitting(frame: pd.DataFrame) -> int | str:
    """The height of a table that shows all its rows where they are few, and else scrolls."""
    return "content" if len(frame) <= MANY else 400


def roomy(rows: Sized) -> int:
    """The height of a table that shows all its rows, and below them the bar that scrolls it
    sideways."""
    return ROW_PIXELS * (len(rows) + 1) + BAR_PIXELS


def pick(
    frame: pd.DataFrame, key: str, config: Mapping[str, Any] | None = None, *, alt: str, name: str
) -> list[int]:
    """A table whose rows can be ticked; returns the places of those that are."""
    event = show(
        frame,
        key,
        config,
        alt=alt,
        name=name,
        height=fitting(frame),
        on_select="rerun",
        selection_mode="multi-row",
    )
    return [row for row in event["selection"]["rows"] if row < len(frame)]


def downloads(source: Source, name: str, key: str) -> None:
    """A menu that downloads `source` as NAME.csv, .xlsx, .json or .parquet.

    source: a table; several by name, of which a csv or parquet holds one; or what fetches a table
    too long for the page. The file is made when it is asked for.
    """
    if not isinstance(source, Mapping):
        files({kind: _maker(source, kind) for kind in exports.MEDIA_TYPES}, name, key)
        return
    entries = [_File(LABELS[kind], name, kind, _maker(source, kind)) for kind in exports.SEVERAL]
    entries += [
        _File(
            f"{table}, {LABELS[kind].partition(',')[0]}",
            f"{name}-{table.lower()}",
            kind,
            _maker({table: one}, kind),
        )
        for table, one in source.items()
        for kind in exports.MEDIA_TYPES
        if kind not in exports.SEVERAL
    ]
    _menu(entries, key, "Download")


def files(
    makers: Mapping[str, Callable[[], bytes]],
    name: str,
    key: str,
    title: str = "Download",
    rows: int = 0,
) -> None:
    """A menu that downloads NAME in one of several formats, each made when it is asked for.

    rows: of the table, where there may be so many that a format takes long.
    """
    note = ""
    if rows >= LONG_ROWS:
        note = (
            f"{rows:,} rows: an Excel workbook takes about {duration(rows / XLSX_ROWS_A_SECOND)} "
            "to make, Parquet and CSV a few seconds. Its button turns until the file is there."
        )
    entries = [_File(LABELS[kind], name, kind, make) for kind, make in makers.items()]
    _menu(entries, key, title, note)


@dataclass(frozen=True, slots=True)
class _File:
    """One entry of a menu."""

    label: str
    name: str
    kind: str
    make: Callable[[], bytes]


def _menu(entries: Iterable[_File], key: str, title: str, note: str = "") -> None:
    with st.popover(title, icon=":material/download:", key=key, type="tertiary"):
        if note:
            st.caption(note)
        for one in entries:
            st.download_button(
                one.label,
                data=one.make,
                file_name=f"{one.name}.{one.kind}",
                mime=MEDIA_TYPES[one.kind],
                on_click="ignore",
                key=f"{key}-{one.name}.{one.kind}",
                width="stretch",
            )


def _maker(source: Source, kind: str) -> Callable[[], bytes]:
    return lambda: exports.table_bytes(source() if callable(source) else source, kind)

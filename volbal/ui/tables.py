"""Tables on pages, and the one control that downloads them."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from volbal.market.sessions import EXCHANGE
from volbal.services import exports

Source = pd.DataFrame | exports.Tables | Callable[[], pd.DataFrame]

MANY = 10
"""Rows beyond which a table scrolls."""

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

    source: a table; several by name (xlsx and json only); or what fetches a table too long for
    the page. The file is made when it is asked for.
    """
    several = isinstance(source, Mapping)
    kinds = exports.SEVERAL if several else tuple(exports.MEDIA_TYPES)
    files({kind: _maker(source, kind) for kind in kinds}, name, key)


def files(
    makers: Mapping[str, Callable[[], bytes]], name: str, key: str, title: str = "Download"
) -> None:
    """A menu that downloads NAME in one of several formats, each made when it is asked for."""
    with st.popover(title, icon=":material/download:", key=key, type="tertiary"):
        for kind, maker in makers.items():
            st.download_button(
                LABELS[kind],
                data=maker,
                file_name=f"{name}.{kind}",
                mime=MEDIA_TYPES[kind],
                on_click="ignore",
                key=f"{key}-{kind}",
                width="stretch",
            )


def _maker(source: Source, kind: str) -> Callable[[], bytes]:
    return lambda: exports.table_bytes(source() if callable(source) else source, kind)

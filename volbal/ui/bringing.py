"""A price file on screen: chosen, read, looked at, then saved."""

from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.wording import few
from volbal.errors import InvalidInput, VolbalError
from volbal.market.cells import DATE_ORDERS
from volbal.market.files import AmbiguousDates, DateOrder
from volbal.market.validation import InvalidPrices, UnadjustedPrices
from volbal.services import price_import, running
from volbal.services.price_import import Import
from volbal.ui import acting, log, tables
from volbal.ui.fields import refusal
from volbal.ui.series import DIVIDEND_COLUMNS, SPLIT_COLUMNS, bar_columns

PAGE = "data"
TURN, ORDER = f"{PAGE}.file.turn", f"{PAGE}.file.order"
SAVED = f"{PAGE}.file.saved"
LARGEST_MB = price_import.LARGEST // 2**20
MOST_SENT_MB = 200
"""What the uploader takes: its own refusal is a red mark without a reason, so ours comes first."""
SHOWN = 5
"""Rows at each end of a preview."""


def inputs() -> None:
    """Choose a file and say whose prices it has; the preview and its Save button."""
    _show_saved()
    turn = st.session_state.get(TURN, 0)
    st.markdown(
        "CSV or Parquet: Date and Close at least, Open, High, Low, Volume, Dividends and Stock "
        "Splits if you have them, as yfinance writes them with auto_adjust=False. A file of "
        "dividends (Ex-Date, Amount, Pay Date) or splits (Date, Ratio) alone goes into stored "
        "prices."
    )
    file = st.file_uploader(
        f"Price file, up to {LARGEST_MB} MB",
        ["csv", "parquet"],
        key=f"{PAGE}.file-{turn}",
        max_upload_size=MOST_SENT_MB,
        help="Prices adjusted for splits and not for dividends; a split "
        "is 2 or 2:1 for two new shares per old one. Example: KO.csv.",
    )
    if file is None:
        return
    try:
        price_import.require_size(file.name, file.size)
    except InvalidInput as error:
        _refuse(error)
        return
    symbol = st.text_input(
        "Symbol of the file",
        PurePath(file.name).stem.partition("-")[0].upper(),
        key=f"{PAGE}.file.symbol-{file.file_id}",
        help="Whose prices these are. Example: KO.",
    )
    order = st.session_state.get(f"{ORDER}-{file.file_id}")
    try:
        looked_at = _previewed(file.file_id, symbol, order, running.database().commits, file)
    except AmbiguousDates as error:
        st.warning(log.plain(error.reason[:1].upper() + error.reason[1:]), icon=":material/help:")
        _order_input(file.file_id)
    except InvalidPrices as error:
        _show_refusal(error)
    except VolbalError as error:
        _refuse(error)
    else:
        if order is not None:
            _order_input(file.file_id)
        _show(looked_at, file.file_id)


def _refuse(error: VolbalError) -> None:
    """Say in words why a file cannot be used."""
    told = refusal(error)
    if isinstance(error, InvalidInput) and error.field == "prices":
        told = error.reason
    st.error(log.plain(told), icon=":material/error:")


@st.cache_resource(max_entries=2, show_spinner="Reading the file")
def _previewed(
    file_id: str, symbol: str, order: DateOrder | None, commits: int, _file: Any
) -> Import:
    content = _file.getvalue()
    return price_import.preview(running.database(), _file.name, content, symbol, order)


def _order_input(file_id: str) -> None:
    st.segmented_control(
        "Its dates are",
        DATE_ORDERS,
        key=f"{ORDER}-{file_id}",
        help="Example: day first, 03/04/2020 is 3 April.",
    )


def _show_refusal(error: InvalidPrices) -> None:
    """Every bad row with its reasons."""
    reasons = error.reasons
    advice = "Correct the file and choose it again."
    if isinstance(error, UnadjustedPrices):
        advice = f"These prices are not split-adjusted: {error.allowed}. {advice}"
    st.error(
        f"{len(reasons):,} {'row' if len(reasons) == 1 else 'rows'} cannot be used; nothing was "
        f"saved. {advice}",
        icon=":material/error:",
    )
    frame = pd.DataFrame({"row": list(reasons), "reason": list(map("; ".join, reasons.values()))})
    if len(frame) <= tables.MANY:  # as text: a narrow screen cuts the cells of a table off
        lines = (
            f"- {log.plain(f'{place}: {why}')}" for place, why in frame.itertuples(index=False)
        )
        st.markdown("\n".join(lines))
        tables.downloads(frame, "refused-rows", f"{PAGE}-refused-downloads")
        return
    row = st.column_config.TextColumn("Row", width="small")
    config = {"row": row, "reason": st.column_config.TextColumn("Reason", width="large")}
    tables.show(
        frame,
        f"{PAGE}-refused",
        config,
        alt="Rows that cannot be used",
        name="refused-rows",
        height=400,
    )


def _show(looked_at: Import, file_id: str) -> None:
    history = looked_at.history
    st.markdown(
        f"**{history.symbol} · {history.provenance.interval} · {history.first_date} to "
        f"{history.last_date}**. Bars {len(history.bars):,}, dividends "
        f"{len(history.dividends):,}, splits {len(history.splits):,}. {log.plain(looked_at.effect)}"
    )
    told = [f":material/info: {log.plain(note[:1].upper() + note[1:])}." for note in history.notes]
    odd = few(
        [one.sentence for one in looked_at.findings], "more, to be seen under Checks once saved."
    )
    told += [f":material/warning: {sentence}" for sentence in odd]
    if told:
        st.caption("  \n".join(told))
    if looked_at.actions is None:
        bars = history.bars.reset_index().dropna(axis="columns", how="all")
        _show_ends(bars, "bars", bar_columns(history))
    else:
        _show_ends(looked_at.actions.dividends, "dividends", DIVIDEND_COLUMNS)
        _show_ends(looked_at.actions.splits, "splits", SPLIT_COLUMNS)
    lose = looked_at.lost > 0 and st.checkbox(
        f"Lose the {looked_at.lost:,} stored bars that this file lacks",
        key=f"{PAGE}.lose-{file_id}-{history.symbol}",
        help="Saving puts the file in the place of the stored series. Example: a file of 2024 "
        "over bars from 2012 on leaves 2024 only.",
    )
    st.button(
        f"Save {history.symbol}",
        key=f"{PAGE}.save-{file_id}",
        type="primary",
        icon=":material/save:",
        disabled=looked_at.lost > 0 and not lose,
        on_click=acting.act,
        args=(
            f"{PAGE}.save-{file_id}-{history.symbol}",
            _save,
            looked_at,
            lose,
            st.session_state[SAVED],
        ),
    )


def _show_ends(rows: pd.DataFrame | None, what: str, columns: dict[str, Any]) -> None:
    """The first and the last rows of what a file has."""
    if rows is None:
        return
    ends = rows if len(rows) <= 2 * SHOWN else pd.concat([rows.head(SHOWN), rows.tail(SHOWN)])
    alt = f"The first and the last {what} of the file"
    tables.show(ends, f"{PAGE}-preview-{what}", columns, alt=alt)


def _show_saved() -> None:
    """Where a file has just been saved: let go of it, and show its prices below."""
    saved: list[Import] = st.session_state.setdefault(SAVED, [])
    if saved:
        history = saved[-1].history
        st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
        st.session_state["symbol"] = history.symbol
        st.session_state["interval"] = history.provenance.interval
        saved.clear()


def _save(looked_at: Import, lose: bool, saved: list[Import]) -> str:
    price_import.save(running.database(), looked_at, acting.now(), lose=lose)
    saved.append(looked_at)
    return f"{log.plain(looked_at.name)} is saved: {looked_at.history.symbol} is shown below."

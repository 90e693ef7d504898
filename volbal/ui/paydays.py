"""Dividends on screen: their tables, and symbol by month."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import streamlit as st

from volbal.services import payouts
from volbal.services.payouts import AMOUNTS, Payouts
from volbal.ui import tables

MONEY = "%,.2f"
DAY = "YYYY-MM-DD"

MONTHS = {"Day paid": "paid_on", "Ex-date": "ex_on"}


def _amounts(expected: bool) -> dict[str, Any]:
    of = "Shares so far" if expected else "Shares held"
    return {
        "per_share": st.column_config.NumberColumn("Per share", format="%.6g"),
        "held": st.column_config.NumberColumn(of, format="%,.4f"),
        "gross": st.column_config.NumberColumn("Gross", format=MONEY),
        "withheld": st.column_config.NumberColumn("Withheld", format=MONEY),
        "net": st.column_config.NumberColumn("Net", format=MONEY),
    }


COMMON: dict[str, Any] = {
    "dividend_id": None,
    "ticker": st.column_config.TextColumn("Symbol", width=80, pinned=True),
    "position_id": st.column_config.NumberColumn("Position", width=70),
    "ex_on": st.column_config.DateColumn("Ex-date", format=DAY),
    "pay_on": st.column_config.DateColumn("Pay date", format=DAY, help="Empty: not known"),
}
UPCOMING = COMMON | {"paid_on": None} | _amounts(expected=True)
RECEIVABLE = COMMON | {"paid_on": None} | _amounts(expected=False)
PAID = COMMON | {
    "pay_on": None,
    "paid_on": st.column_config.DateColumn("Paid", format=DAY),
    **_amounts(expected=False),
}


def draw(found: Payouts, years: Sequence[int]) -> None:
    """One amount by symbol and month of a chosen year."""
    with st.container(horizontal=True):
        year = st.selectbox(
            "Year",
            years,
            key="dividends.year",
            bind="query-params",
            width=110,
            help="Year of the days below. Example: 2026.",
        )
        amount = st.segmented_control(
            "Amount",
            AMOUNTS,
            default="net",
            required=True,
            format_func=str.capitalize,
            key="dividends.amount",
            bind="query-params",
            help="Net is gross without what was withheld. Example: 18.75 net of 25.00 gross.",
        )
        month = st.segmented_control(
            "Month of",
            list(MONTHS),
            default="Day paid",
            required=True,
            key="dividends.month",
            bind="query-params",
            help="Day paid: what came as cash. Ex-date: receivable dividends are in it too. "
            "Example: ex in November, paid in December.",
        )
    table = payouts.by_month(found, year, amount, MONTHS[month])  # type: ignore[arg-type]  # one of its two
    if table.empty:
        st.caption(f"Nothing falls into {year}.")
        return
    names = {number: date(2000, number, 1).strftime("%b") for number in range(1, 13)}
    shown = table.rename(columns=names | {"year": "Year"}).reset_index()
    cells = {
        name: st.column_config.NumberColumn(name, format=MONEY, width=70, pinned=name == "Year")
        for name in (*names.values(), "Year")
    }
    tables.show(
        shown,
        "dividends-months",
        {"ticker": st.column_config.TextColumn("Symbol", width=80, pinned=True)} | cells,
        alt=f"{amount} dividends of {year} by symbol and month",
        name=f"dividends-{year}-{amount}",
    )

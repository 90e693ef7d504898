"""The overview's parts: totals, what needs a look, cards, archive, and the first run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.wording import few, money
from volbal.services import sample
from volbal.services.overview import Concern, Overview, Row, Totals
from volbal.services.running import Database
from volbal.ui import acting, cards, log, tables

PAGES = Path(__file__).resolve().parents[2] / "pages"

POSITION = PAGES / "position.py"
PER_PAGE, NAMED = 10, 6
"""Cards on a page, and positions that a line of concerns names."""

CONCERNS = {
    Concern.TRIGGER_MET: ("Trigger met", "red", "The rule wants an order now: evaluate it."),
    Concern.OPEN_ORDER: ("Open order", "blue", "Record its fill, or cancel it."),
    Concern.SUSPECT_PRICE: ("Suspect price", "orange", "The price is far from the last one."),
    Concern.UNUSABLE_PRICE: ("Unusable price", "red", "Its card says why and what to do."),
    Concern.AUTOPILOT_WAITS: ("Autopilot waits", "orange", "Its Autopilot tab says why."),
    Concern.OUTSIDE_GUARDRAILS: ("Outside guardrails", "orange", "The stock share left them."),
    Concern.DIVIDEND_DUE: ("Dividend due", "green", "An ex-date or pay date has come."),
    Concern.NO_PRICE: ("No price", "gray", "Evaluate it at a typed price, or fetch prices."),
    Concern.STALE_PRICE: ("Stale price", "gray", "The price is older than four days."),
}
"""Badge, its colour, and what it asks for."""


def welcome(database: Database) -> None:
    """What a first visit offers."""
    with st.container(border=True):
        st.subheader("No positions yet")
        st.markdown(
            "A position is a cell of shares and its own cash. Open one with the shares and the "
            "cash you have; evaluate it a few times a week, and volbal says what the rule would "
            "do and why. You place the order at your broker and record what was filled."
        )
        with st.container(horizontal=True):
            _to_new("primary")
            wants = st.button(
                "Try it with a sample portfolio",
                icon=":material/science:",
                help="Three labelled positions that lived through real prices of 2023. "
                "One click removes them again.",
            )
    if wants:
        _add_sample(database)


def _add_sample(database: Database) -> None:
    bar = st.progress(0.0, "The sample lives through half a year of real prices")
    sample.add(database, acting.now(), lambda part: _show(bar, part))
    acting.say("success", "The sample portfolio is there. Its prices end in September 2023.")
    st.rerun()


def _show(bar: Any, part: float) -> None:
    bar.progress(part)


def draw(database: Database, found: Overview) -> None:
    """Totals, what needs a look, a card a position."""
    now = acting.now()
    sampled = sum(row.is_sample for row in (*found.open, *found.archived))
    if sampled:
        _show_sample(database, is_whole=sampled >= len(sample.CELLS))
    _show_totals(found.totals, len(found.open))
    _show_attention(found.open)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Positions", width="stretch")
        _to_new("secondary")
    pages = -(-len(found.open) // PER_PAGE)
    page = st.pagination(pages, key="overview.page", bind="query-params") if pages > 1 else 1
    for row in found.open[(page - 1) * PER_PAGE : page * PER_PAGE]:
        with st.container(border=True):
            heading(row)
            st.html(cards.card(row, now))
    _show_archive(found.archived)
    with st.expander("All positions as a table", icon=":material/table:"):
        rows = (*found.open, *found.archived)
        tables.show(table(rows), "overview-table", alt="Every position in figures", name="overview")


def _show_sample(database: Database, is_whole: bool) -> None:
    """What the sample is, the way to be rid of it, and to the rest of one that was cut off."""
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(
            ":material/science: **Positions marked Sample are an example** over real prices of "
            "2023, filled on paper. They count in the totals until they are removed.",
            width="stretch",
        )
        finish = not is_whole and st.button(
            "Finish adding it",
            type="primary",
            icon=":material/science:",
            help="It was interrupted. What is there stays as it is.",
        )
        if st.button("Remove the sample", icon=":material/delete:"):
            _confirm_removal(database, acting.token("remove-sample"))
    if finish:
        _add_sample(database)


@st.dialog("Remove the sample portfolio?")
def _confirm_removal(database: Database, token: str) -> None:
    st.markdown(
        "The positions marked Sample are deleted with their orders, fills and log, also what you "
        "did with them yourself. This cannot be undone. **Nothing else is touched.**"
    )
    with st.container(horizontal=True):
        removes = st.button(
            "Remove them",
            type="primary",
            icon=":material/delete:",
            on_click=acting.act,
            args=(token, _remove_sample, database),
        )
        if st.button("Cancel") or removes:
            st.rerun()


def _remove_sample(database: Database) -> str:
    sample.remove(database)
    return "The sample portfolio is removed."


def _to_new(kind: str) -> None:
    if st.button("New position", icon=":material/add:", type=kind):  # type: ignore[arg-type]  # one of its own words
        st.switch_page(POSITION, query_params={"id": "new"})


def _show_totals(totals: Totals, count: int) -> None:
    grid = st.grid(4, min_column_width=140, gap="xsmall")
    unpriced = f"; {totals.unpriced} without a price are not in it" if totals.unpriced else ""
    grid.metric(
        "Value",
        money(totals.value),
        f"{count} open",
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=f"Stock at the newest prices, cash and receivable dividends{unpriced}.",
    )
    grid.metric(
        "Gain",
        money(totals.gain),
        money(totals.contributed),
        delta_color="off",
        delta_arrow="off",
        delta_description="brought in",
        border=True,
        help="Value less what was brought in, at the prices then.",
    )
    grid.metric(
        "In stock",
        money(totals.stock_value),
        money(totals.cash),
        delta_color="off",
        delta_arrow="off",
        delta_description="cash",
        border=True,
        help="What the shares are worth at the newest prices.",
    )
    grid.metric(
        "Dividends received",
        money(totals.received),
        money(totals.receivable),
        delta_color="off",
        delta_arrow="off",
        delta_description="receivable",
        border=True,
        help="Net of withholding, paid so far; receivable ones went ex and are not paid yet.",
    )


def _show_attention(rows: Sequence[Row]) -> None:
    """What needs a look, most urgent first, as one line a concern."""
    for concern, (badge, _, told) in CONCERNS.items():
        mine = [row for row in rows if concern in row.concerns]
        if mine and concern is not Concern.STALE_PRICE:
            names = ", ".join(few([name_of(row) for row in mine], most=NAMED))
            st.markdown(f"**{badge}:** {names}. {_asked(concern, mine) or told}")


def _asked(concern: Concern, rows: Sequence[Row]) -> str:
    """What a concern of `rows` asks for where that is more than the concern's own words."""
    match concern:
        case Concern.UNUSABLE_PRICE:
            (why, *others) = {row.trouble for row in rows}
            return "" if others else log.plain(why)
        case Concern.AUTOPILOT_WAITS:
            since = min(row.waits_since for row in rows if row.waits_since is not None)
            (why, *others) = {row.waits_for for row in rows}
            told = "Their Autopilot tabs say why." if others else log.plain(why)
            return f"Since {log.moment(since)}. {told}"
    return ""


def name_of(row: Row) -> str:
    """Ticker and number, which tells positions of one ticker apart."""
    return f"{row.position.ticker} #{row.position.position_id}"


def heading(row: Row) -> None:
    """Its name as a link, and a badge a concern."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(
            POSITION,
            label=f"**{name_of(row)}**",
            icon=":material/arrow_forward:",
            query_params={"id": str(row.position.position_id)},
        )
        badges(row)


def badges(row: Row) -> None:
    """Its labels, then what needs a look."""
    if row.is_sample:
        st.badge("Sample", icon=":material/science:", color="violet", help="Part of the sample.")
    if row.runs_itself:
        st.badge("Autopilot", icon=":material/smart_toy:", color="violet", help="Runs on paper.")
    for concern in row.concerns:
        badge, colour, told = CONCERNS[concern]
        why = row.waits_for if concern is Concern.AUTOPILOT_WAITS else told
        st.badge(badge, color=colour, help=log.plain(why))  # type: ignore[arg-type]  # one of its colours


def _show_archive(rows: Sequence[Row]) -> None:
    if not rows:
        return
    with st.expander(f"Archived ({len(rows)})", icon=":material/archive:"):
        for row in rows:
            heading(row)


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Every position in one line of plain figures, for downloads and those who like tables."""
    return pd.DataFrame(
        [
            {
                "position": row.position.position_id,
                "ticker": row.position.ticker,
                "is_open": row.position.balance.is_open,
                "price": None if row.quote is None else row.quote.price,
                "price_source": None if row.quote is None else row.quote.source,
                "quantity": row.position.balance.quantity,
                "cash": row.found.balance.cash,
                "receivable": row.found.balance.receivable,
                "value": row.value,
                "anchor": row.found.balance.anchor,
                "stock_share": row.stock_share,
                "action": None if row.decision is None else row.decision.action.value,
                "time_weighted": row.performance.time_weighted,
                "stock_return": row.performance.stock,
                "excess": row.performance.excess,
                "dividends_received": row.received,
            }
            for row in rows
        ]
    )

"""One position: its card, the decision and its order, and everything it holds in tabs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain import sanity
from volbal.domain.decision import Action, Decision, Reason
from volbal.domain.money import plain
from volbal.domain.orders import OrderRecord
from volbal.domain.position import Position
from volbal.domain.wording import counted, duration, money, percent, percent_change, price, shares
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import UNDEFINED
from volbal.market.sessions import quote
from volbal.services import autopilot, market_data, overview, positions, trading
from volbal.services.market_data import SeenPrice
from volbal.services.overview import Row
from volbal.services.running import Database
from volbal.services.trading import LatestEvaluation
from volbal.ui import acting, cards, holdings, log, portfolio, tables
from volbal.ui.opening import NEW


def choose(database: Database) -> int | None:
    """The position that the address names, chosen in the title's line; None for a new one."""
    found = {str(one.position_id): one for one in positions.list_positions(database)}
    first = next((name for name, one in found.items() if one.balance.is_open), NEW)
    asked = st.query_params.get("id", first)
    unknown = asked not in (*found, NEW)
    st.session_state["position.id"] = first if unknown else asked
    title, chooser = st.columns([3, 2], vertical_alignment="bottom")
    chosen: str = chooser.selectbox(
        "Position",
        [*found, NEW],
        key="position.id",
        format_func=lambda name: "New position" if name == NEW else _named(found[name]),
        on_change=_follow,
        help="Which position to show. Example: AAPL #1.",
    )
    title.title("New position" if chosen == NEW else _named(found[chosen]))
    if unknown:
        st.warning(
            f"The link asks for position {asked!r}, which is not there.", icon=":material/link_off:"
        )
    return None if chosen == NEW else int(chosen)


def _named(position: Position) -> str:
    archived = "" if position.balance.is_open else " (archived)"
    return f"{position.ticker} #{position.position_id}{archived}"


def _follow() -> None:
    """Show what was chosen; a choice that has another name by now comes as that name alone."""
    chosen = st.session_state["position.id"]
    if chosen == NEW or chosen.isdecimal():
        st.query_params.from_dict({"id": chosen})


def draw(database: Database, position_id: int) -> None:
    """Card, decision, order, tabs."""
    now = acting.now()
    row = overview.row(database, position_id, now)
    with st.container(border=True):
        with st.container(horizontal=True, gap="small"):
            portfolio.badges(row)
        st.html(cards.card(row, now))
    if row.position.balance.is_open:
        _draw_decision(database, row, now)
    holdings.draw(database, row, now)


def _draw_decision(database: Database, row: Row, now: datetime) -> None:
    latest = trading.latest_evaluation(database, row.position.position_id)
    for order in row.open_orders:
        _draw_order(database, row, order, latest)
    with st.container(border=True):
        _evaluate_form(database, row, latest)
        _live_quote(database, row)
        if latest is None:
            st.caption("Not evaluated yet.")
        else:
            _show_decision(database, row, latest, now)


def _evaluate_form(database: Database, row: Row, latest: LatestEvaluation | None) -> None:
    suspect = latest is not None and latest.decision.reason is Reason.SUSPECT_PRICE
    newest = None if row.quote is None else row.quote.price
    token = acting.token(f"evaluate-{row.position.position_id}")
    with st.form("evaluate", border=False):
        at, button = st.columns([2, 1], vertical_alignment="bottom")
        at.number_input(
            "Price",
            value=float(latest.decision.price) if suspect and latest else None,
            step=0.01,
            format="%.12g",
            key=f"{token}-price",
            placeholder="none known: type one" if newest is None else f"newest: {price(newest)}",
            help="What the rule is asked about. Left empty: the newest price known. "
            "Example: 187.40.",
        )
        if suspect:
            st.checkbox(
                "I confirm this price",
                key=f"{token}-confirmed",
                help="A price more than 50 % from the last one is held until somebody confirms "
                "it. Example: after a profit warning halved the stock.",
            )
        button.form_submit_button(
            "Evaluate",
            key=token,
            type="secondary" if latest and latest.proposal else "primary",
            icon=":material/gavel:",
            width="stretch",
            on_click=acting.act,
            args=(token, _evaluate, database, row, token),
        )


def _live_quote(database: Database, row: Row) -> None:
    """Ask the network, only when told to; the newest price is evaluated with the next click."""
    ticker = row.position.ticker
    if st.button(
        "Get a quote",
        icon=":material/cloud_download:",
        type="tertiary",
        help="Asks Yahoo for the newest price of the symbol. Example: 20 minutes old in session.",
    ):
        acting.forget_said()
        with st.spinner(f"Asking for {ticker}", show_time=True):
            now = acting.now()
            try:
                seen = market_data.refresh_quote(database, market_data.yahoo(), ticker, now)
            except VolbalError as error:
                acting.say("error", _without_quote(database, ticker, error, now))
            else:
                newest = market_data.latest_price(database, ticker, now)
                acting.say("success", _quote_text(seen, newest))
        st.rerun()


def _without_quote(database: Database, ticker: str, error: VolbalError, now: datetime) -> str:
    """A refusal, and the price that goes on being used, with its age."""
    try:
        newest = market_data.latest_price(database, ticker, now)
    except VolbalError:
        return f"{error} No price of {ticker} is known here: type one."
    age = duration(newest.age.total_seconds())
    return f"{error} In use: {price(newest.price)}, {log.plain(newest.source)}, {age} old."


def _quote_text(seen: SeenPrice, newest: SeenPrice) -> str:
    """A quote that came, and the price in use where that is newer."""
    told = (
        f"{seen.symbol}: {price(seen.price)}, {duration(seen.age.total_seconds())} old, from "
        f"{seen.source}; {EXCHANGE_IS[seen.session or 'closed']}."
    )
    if not newest.is_close:
        return told
    return f"{told} Not used: {price(newest.price)}, the {log.plain(newest.source)}, is newer."


def _evaluate(database: Database, row: Row, token: str) -> str:
    typed = st.session_state[f"{token}-price"]
    confirmed = st.session_state.get(f"{token}-confirmed", False)
    if typed is not None:
        asked = quote(typed, confirmed=confirmed)
    elif row.quote is not None:
        asked = replace(row.quote, confirmed=confirmed or row.quote.confirmed)
    else:
        raise InvalidInput("price", "none is known", "type one, or fetch prices on the Data page")
    before, made = autopilot.evaluate(database, row.position.position_id, asked, acting.now())
    missed = counted(before.bars, "close")
    first = f" {missed} that its autopilot had missed came first." if before.bars else ""
    if made.decision.reason is Reason.SUSPECT_PRICE:
        return f"{price(made.decision.price)} is held, far from the last price: see below.{first}"
    return f"Evaluated at {price(made.decision.price)}: see the decision below.{first}"


EXCHANGE_IS = {
    "regular": "the exchange is open",
    "pre": "the exchange has not opened yet",
    "post": "the exchange has closed for today",
    "closed": "the exchange is closed",
}

COLOURS = {Action.BUY: "blue", Action.SELL: "orange", Action.HOLD: "gray", Action.SKIP: "gray"}


def _show_decision(database: Database, row: Row, latest: LatestEvaluation, now: datetime) -> None:
    decision = latest.decision
    ago = duration((now - latest.decided_at).total_seconds())
    colour: Any = COLOURS[decision.action]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(decision.action.value, color=colour)
        source = log.plain(decision.price_source)
        st.caption(f"Evaluated {ago} ago at {price(decision.price)} ({source})")
    st.markdown(log.plain(decision.sentence))
    if decision.order is not None and decision.price_age > overview.STALE_AFTER.total_seconds():
        st.warning(
            f"The price was {duration(decision.price_age)} old. Type today's before you order.",
            icon=":material/history:",
        )
    proposal = latest.proposal
    if proposal is not None and not row.open_orders:
        key = f"approve-{proposal.key}"
        st.button(
            f"Approve: {proposal.order}",
            key=key,
            type="primary",
            icon=":material/check:",
            on_click=acting.act,
            args=(key, _approve, database, row.position.position_id, proposal.key),
            help="Makes it an order, once. Place it at your broker and record the fill here.",
        )
    elif (decision.order or decision.reason is Reason.OPEN_ORDER) and not row.open_orders:
        st.caption("Something has happened since. Evaluate again for what the rule wants now.")
    with st.expander("Every number behind it", icon=":material/calculate:"):
        shown = numbers(decision)
        st.table(shown, border="horizontal", hide_header=True, hide_index=True)
        key = f"decision-{row.position.position_id}"
        tables.downloads(shown, f"{row.position.ticker}-decision", f"{key}-downloads")


def _approve(database: Database, position_id: int, key: str) -> str:
    done = trading.approve(database, position_id, key, acting.now())
    order = done.order
    if done.replayed:
        return f"It is order {order.order_id} already; nothing was doubled."
    return f"Order {order.order_id} is on record: {order.order}. Place it at your broker."


def numbers(decision: Decision) -> pd.DataFrame:
    """Every number of a decision, in the order in which the rule uses them."""
    sizing = decision.sizing
    order = decision.order
    rows = {
        "Price": f"{price(decision.price)}, {duration(decision.price_age)} old "
        f"({decision.price_source})",
        "Anchor": _or_none(decision.anchor, price),
        "Distance from the anchor": _or_none(decision.distance, percent_change),
        "Buys at or below": _or_none(decision.buy_level, price),
        "Sells at or above": _or_none(decision.sell_level, price),
        "Equity": money(decision.equity),
        "Stock share": percent(decision.stock_share),
        "Wish (+ buys, − sells)": money(sizing.wish),
        "After the largest trade": money(sizing.capped),
        "After the guardrails": money(sizing.guarded),
        "Shares that cash or holdings allow": shares(sizing.funded),
        "Shares in whole lots": shares(sizing.rounded),
        "Order": "none" if order is None else str(order),
        "Notional": money(decision.notional),
        "Expected fee": money(decision.commission),
        "Stock share after": percent(decision.stock_share_after),
        "Reason": decision.reason.value.replace("_", " "),
    }
    return pd.DataFrame(rows.items(), columns=["name", "value"])


def _or_none(value: Any, text: Callable[[Any], str]) -> str:
    return UNDEFINED if value is None else text(value)


def _draw_order(
    database: Database, row: Row, order: OrderRecord, latest: LatestEvaluation | None
) -> None:
    """An open order: how far it is filled, the next fill, or its end."""
    with st.container(border=True):
        st.markdown(
            f"**Order {order.order_id}: {order.order}** · submitted "
            f"{log.moment(order.submitted_at)}"
        )
        st.progress(
            float(order.filled / order.order.quantity),
            f"{shares(order.filled)} filled, {shares(order.left)} left",
        )
        _fill_form(database, row.position, order, latest)
        with st.container(horizontal=True):
            _end_order(database, order, "Cancel order", trading.cancel)
            _end_order(database, order, "Rejected by broker", trading.reject)


def _fill_form(
    database: Database, position: Position, order: OrderRecord, latest: LatestEvaluation | None
) -> None:
    base = f"fill-{order.order_id}-{plain(order.filled)}"
    suggested = None if latest is None else float(latest.decision.price)
    with st.form(f"form-{base}", border=False):
        at, quantity, fee, button = st.columns([2, 2, 2, 1.4], vertical_alignment="bottom")
        at.number_input(
            "Fill price",
            key=f"{base}-price",
            value=suggested,
            format="%.12g",
            help="What the broker's confirmation says, per share. Example: 96.98.",
        )
        quantity.number_input(
            "Shares filled",
            key=f"{base}-quantity",
            value=None,
            format="%.12g",
            placeholder=f"all {shares(order.left)}",
            help="Left empty: all that is left. Less is a partial fill. Example: 4.",
        )
        fee.number_input(
            "Commission",
            key=f"{base}-fee",
            value=None,
            format="%.12g",
            placeholder="as the policy says",
            help="Left empty: what the position's policy expects. Example: 0.10.",
        )
        asked = st.session_state.get(f"{base}-price")
        acting.confirm(
            base, asked, sanity.far_price(asked, position.reference_price), "a crash within the day"
        )
        button.form_submit_button(
            "Record fill",
            key=base,
            type="primary",
            width="stretch",
            on_click=acting.act,
            args=(base, _fill, database, position, order, base),
        )


def _fill(database: Database, position: Position, order: OrderRecord, base: str) -> str:
    """Record it under a key that a second click, or another tab on the same state, shares."""
    at = acting.given("price", f"{base}-price")
    quantity, fee = (st.session_state[f"{base}-{name}"] for name in ("quantity", "fee"))
    doubted = sanity.far_price(at, position.reference_price)
    acting.require_confirmed("price", base, at, doubted)
    quantity = order.left if quantity is None else quantity
    if fee is None:
        fee = trading.expected_fee(position.configuration.policy, at, quantity)
    done = trading.fill(
        database,
        order.order_id,
        price=at,
        quantity=quantity,
        commission=fee,
        key=base,
        now=acting.now(),
    )
    return (
        f"Order {order.order_id}: {done.fill.execution} recorded; it is "
        f"{done.order.state.value.replace('_', ' ')}."
    )


def _end_order(
    database: Database, order: OrderRecord, label: str, end: Callable[..., OrderRecord]
) -> None:
    name = f"{label}-{order.order_id}"
    with st.popover(label, icon=":material/block:", key=f"{name}-popover"):
        st.text_input(
            "Reason",
            key=f"{name}-reason",
            help="For the log. Example: the price ran away.",
        )
        st.button(
            label,
            key=name,
            on_click=acting.act,
            args=(acting.token(name), _end, database, order.order_id, end, f"{name}-reason"),
        )


def _end(database: Database, order_id: int, end: Callable[..., OrderRecord], key: str) -> str:
    """key: of the input that holds the reason."""
    done = end(database, order_id, reason=st.session_state[key], now=acting.now())
    return f"Order {order_id} is {done.state.value}; the rule may propose it again."

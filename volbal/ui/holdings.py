"""What a position holds and what happened to it, in tabs; only the open tab is computed."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain import sanity
from volbal.domain.position import Position
from volbal.domain.wording import counted, money, price, share_count
from volbal.errors import PriceUnavailable, VolbalError
from volbal.market.model import DAILY
from volbal.services import autopilot, income, market_data, positions, trading
from volbal.services.course import course
from volbal.services.overview import Row
from volbal.services.running import Database
from volbal.ui import acting, charts, log, portfolio, rungs, setting, tables

TABS = ("Ladder", "Chart", "Orders", "Dividends", "Money", "Settings", "Autopilot")

MONEY, QUANTITY = "%,.2f", "%,.6f"


def draw(database: Database, row: Row, now: datetime) -> None:
    """The tabs; the address names the open one."""
    tabs = st.tabs(TABS, key="tab", on_change="rerun", bind="query-params")
    drawn = dict(zip(TABS, tabs, strict=True))
    setting.keep()
    position = row.position
    for name, tab in drawn.items():
        if not tab.open:
            continue
        with tab:
            match name:
                case "Ladder" if not position.balance.is_open:
                    st.info("The position is archived: it takes no orders.")
                case "Ladder":
                    rungs.draw(row.found, "ladder")
                case "Chart":
                    _chart(database, position, now)
                case "Orders":
                    _orders(database, position)
                case "Dividends":
                    _dividends(database, position)
                case "Money":
                    _money(database, position)
                case "Settings":
                    setting.draw(database, row, now)
                case _:
                    _autopilot(database, row, now)


def _chart(database: Database, position: Position, now: datetime) -> None:
    found = course(database, position.position_id, now)
    if found.days["price"].notna().sum() < 2:
        st.info("The chart starts with the second price.", icon=":material/show_chart:")
        return
    option, tall = charts.course_chart(found, position.configuration.policy)
    st.echarts_chart(
        option,
        height=tall,
        key="course",
        alt=f"Price of {position.ticker} with the anchor, both trigger levels, "
        f"{len(found.fills)} fills and {len(found.dividends)} dividends; below, the stock share.",
    )
    st.caption("Times are New York’s, the exchange’s.")


def _orders(database: Database, position: Position) -> None:
    orders = trading.list_orders(database, position.position_id)
    fills = trading.list_fills(database, position.position_id)
    if not orders:
        st.info("No orders yet. Evaluate the position; what is approved becomes an order.")
        return
    st.markdown("**Orders**")
    tables.show(
        pd.DataFrame(
            [
                {
                    "order": one.order_id,
                    "submitted_at": one.submitted_at,
                    "side": one.order.side.value,
                    "quantity": one.order.quantity,
                    "filled": one.filled,
                    "state": one.state.value.replace("_", " "),
                    "reason": one.reason or "",
                }
                for one in orders
            ]
        ),
        "orders",
        _columns(),
        alt="Orders, newest first",
        name=f"orders-{position.ticker}-{position.position_id}",
        height=_tall(len(orders)),
    )
    st.markdown("**Fills**")
    if not fills:
        st.caption("None yet.")
        return
    tables.show(
        pd.DataFrame(
            [
                {
                    "fill": one.fill_id,
                    "order": one.order_id,
                    "filled_at": one.filled_at,
                    "side": one.side.value,
                    "quantity": one.execution.quantity,
                    "price": one.execution.price,
                    "commission": one.execution.commission,
                    "remark": "outside guardrails" if one.outside_guardrails else "",
                }
                for one in fills
            ]
        ),
        "fills",
        _columns(),
        alt="Fills, newest first",
        name=f"fills-{position.ticker}-{position.position_id}",
        height=_tall(len(fills)),
    )


def _tall(rows: int) -> str | int:
    return "content" if rows <= 10 else 400


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "order": number("Order", width=60),
        "fill": number("Fill", width=60),
        "submitted_at": tables.moment("Submitted"),
        "filled_at": tables.moment("Filled"),
        "recorded_at": tables.moment("Recorded"),
        "side": st.column_config.TextColumn("Side", width=60),
        "quantity": number("Quantity", format=QUANTITY),
        "filled": number("Filled", format=QUANTITY),
        "price": number("Price", format="%,.4f"),
        "commission": number("Commission", format=MONEY),
        "state": "State",
        "reason": "Reason",
        "remark": "Remark",
        "kind": st.column_config.TextColumn("Kind", width=130),
        "on": st.column_config.DateColumn("On", format="YYYY-MM-DD"),
        "cash": number("Cash", format="%+,.2f"),
        "receivable": number("Receivable", format="%+,.2f"),
        "anchor": number("Anchor after", format="%,.4f"),
        "ex_on": st.column_config.DateColumn("Ex-date", format="YYYY-MM-DD"),
        "pay_on": st.column_config.DateColumn("Pay date", format="YYYY-MM-DD"),
        "per_share": number("Gross per share", format="%,.4f"),
        "net": number("Net", format=MONEY),
    }


def _dividends(database: Database, position: Position) -> None:
    found = income.list_dividends(database, position.position_id)
    if not found:
        st.info("No dividends yet. Announce one on the Dividends page; its ex-date is honoured.")
    else:
        tables.show(
            pd.DataFrame(
                [
                    {
                        "ex_on": one.ex_on,
                        "pay_on": one.pay_on,
                        "per_share": one.per_share,
                        "net": one.net,
                        "state": one.state.value,
                    }
                    for one in reversed(found)
                ]
            ),
            "dividends",
            _columns(),
            alt="Dividends, latest ex-date first",
            name=f"dividends-{position.ticker}-{position.position_id}",
        )
    st.page_link(
        portfolio.PAGES / "dividends.py",
        label="Announce and pay dividends",
        icon=":material/payments:",
    )


def _money(database: Database, position: Position) -> None:
    """Deposits, withdrawals, corrections, the anchor; and the ledger behind them."""
    ledger = positions.ledger(database, position.position_id)
    if position.balance.is_open:
        _money_forms(database, position, len(ledger))
    st.markdown("**Ledger**", help="Append-only: every balance is the sum of these lines.")
    lines = pd.DataFrame(
        [
            {
                "recorded_at": line.recorded_at,
                "on": line.entry.on,
                "kind": line.entry.kind.value.replace("_", " "),
                "quantity": line.entry.quantity,
                "price": line.entry.price,
                "cash": line.entry.legs.cash,
                "receivable": line.entry.legs.receivable,
                "commission": line.entry.legs.commission,
                "anchor": line.entry.anchor,
            }
            for line in reversed(ledger)
        ]
    )
    moves = ["quantity", "cash", "receivable", "commission"]
    shown = lines.astype(object)
    shown[moves] = shown[moves].mask(shown[moves] == 0, None)
    tables.show(
        shown,
        "ledger",
        _columns(),
        alt="Every line of the ledger, newest first",
        height=_tall(len(ledger)),
    )
    tables.downloads(lines, f"ledger-{position.ticker}-{position.position_id}", "ledger-downloads")


class FormOutdated(VolbalError):
    """The ledger has grown since the form was drawn: in another tab, or by the autopilot."""

    code = "form_outdated"

    def __init__(self) -> None:
        super().__init__(
            "The ledger has grown since this form was drawn; nothing was done. Look at the ledger "
            "below, and press the button again if it is still to be done."
        )


def _money_forms(database: Database, position: Position, lines: int) -> None:
    """One form a deed. lines: how long the ledger is that the forms are about."""
    about = (database, position.position_id, lines)
    grid = st.grid(2, min_column_width=300)
    with grid.container(border=True):
        token = acting.token(f"cash-{position.position_id}")
        with st.form("cash", border=False):
            st.markdown("**Cash**", help="Money in or out is never profit or loss.")
            _number("Amount", f"{token}-amount", 100.0, "In account currency. Example: 1000.")
            with st.container(horizontal=True):
                _submit("Deposit", token, _deposit, *about)
                _submit("Withdraw", token, _withdraw, *about)
    with grid.container(border=True):
        token = acting.token(f"anchor-{position.position_id}")
        with st.form("anchor", border=False):
            st.markdown("**Anchor**", help="Both triggers are measured from it.")
            _number("Anchor price", f"{token}-anchor", 1.0, "Per share. Example: 187.40.")
            asked = st.session_state.get(f"{token}-anchor")
            doubted = sanity.far_price(asked, position.reference_price)
            acting.confirm(token, asked, doubted, "after a crash")
            _submit("Set anchor", token, _set_anchor, *about)
    with grid.container(border=True):
        token = acting.token(f"adjust-{position.position_id}")
        with st.form("adjust", border=False):
            st.markdown("**Correct to what the broker shows**")
            left, right = st.columns(2)
            with left:
                _number("Shares more or less", f"{token}-shares", 1.0, "Example: -0.5.")
            with right:
                _number("Cash more or less", f"{token}-cash", 10.0, "Example: 12.34.")
            st.text_input("Why", key=f"{token}-note", help="For the log. Example: stock dividend.")
            _submit("Adjust", token, _adjust, *about)
    with grid.container(border=True):
        token = acting.token(f"split-{position.position_id}")
        with st.form("split", border=False):
            st.markdown("**Split**", help="New shares for old ones; the anchor follows.")
            left, right = st.columns(2)
            with left:
                _number("New shares", f"{token}-new", 1.0, "Example: 4 in a split of 4 for 1.")
            with right:
                _number("For old shares", f"{token}-old", 1.0, "Example: 1 in a split of 4 for 1.")
            new, old = (st.session_state.get(f"{token}-{name}") for name in ("new", "old"))
            if new is not None and old is not None:
                doubted = sanity.odd_split(new, old)
                acting.confirm(token, new, doubted, "shares of a company close to its end")
            _submit("Record split", token, _split, *about)


def _number(label: str, key: str, step: float, told: str) -> None:
    st.number_input(label, key=key, value=None, step=step, format="%.12g", help=told)


def _submit(
    label: str, token: str, does: Any, database: Database, position_id: int, lines: int
) -> None:
    st.form_submit_button(
        label,
        key=f"{label}-{token}",
        on_click=acting.act,
        args=(token, _once_seen, does, token, database, position_id, lines),
    )


def _once_seen(does: Any, token: str, database: Database, position_id: int, lines: int) -> str:
    """`does`, unless the ledger has more lines than it had when the form was drawn."""
    if len(positions.ledger(database, position_id)) != lines:
        raise FormOutdated
    said: str = does(token, database, position_id)
    return said


def _deposit(token: str, database: Database, position_id: int) -> str:
    amount = acting.given("amount", f"{token}-amount")
    after = positions.deposit(database, position_id, amount, acting.now())
    return f"Deposited {money(amount)}; {money(after.balance.cash)} in cash now."


def _withdraw(token: str, database: Database, position_id: int) -> str:
    amount = acting.given("amount", f"{token}-amount")
    after = positions.withdraw(database, position_id, amount, acting.now())
    return f"Withdrawn {money(amount)}; {money(after.balance.cash)} in cash now."


def _set_anchor(token: str, database: Database, position_id: int) -> str:
    at = acting.given("anchor_price", f"{token}-anchor")
    position = positions.find_position(database, position_id)
    doubted = sanity.far_price(at, position.reference_price)
    acting.require_confirmed("anchor_price", token, at, doubted)
    after = positions.set_anchor(database, position_id, at, acting.now())
    return f"The anchor is {price(after.balance.anchor or 0)} now."


def _adjust(token: str, database: Database, position_id: int) -> str:
    quantity, cash = (st.session_state[f"{token}-{name}"] or 0 for name in ("shares", "cash"))
    note = st.session_state[f"{token}-note"]
    after = positions.adjust(
        database, position_id, quantity=quantity, cash=cash, note=note, now=acting.now()
    )
    balance = after.balance
    return f"{share_count(balance.quantity)} and {money(balance.cash)} in cash now."


def _split(token: str, database: Database, position_id: int) -> str:
    new = acting.given("new_shares", f"{token}-new")
    old = acting.given("old_shares", f"{token}-old")
    acting.require_confirmed("new_shares", token, new, sanity.odd_split(new, old))
    after = positions.split(database, position_id, new, old, acting.now())
    return f"{share_count(after.balance.quantity)} now."


def _autopilot(database: Database, row: Row, now: datetime) -> None:
    """Paper only: off unless somebody switches it on."""
    position = row.position
    st.markdown(
        "On paper, the position evaluates every new daily close, submits what the rule says and "
        "fills it at the close it saw. **No broker is involved**; every step is in the timeline. "
        "While it is on, volbal asks Yahoo for the close of each finished session by itself; the "
        "sample keeps to the prices it came with."
    )
    if not position.balance.is_open:
        st.info("The position is archived.")
        return
    known = autopilot.find(database, position.position_id)
    is_on = known is not None and known.is_on
    token = f"autopilot-{position.position_id}-{is_on}-{known and known.seen_until}"
    st.toggle(
        "Paper autopilot",
        value=is_on,
        key=token,
        on_change=acting.act,
        args=(token, _switch, database, position.position_id, not is_on),
        help="Off by default. Example: on, it looks at tomorrow's close by itself.",
    )
    if known is None or not is_on:
        return
    _show_waiting(database, row, known.seen_until, now)


def _show_waiting(database: Database, row: Row, seen_until: datetime, now: datetime) -> None:
    """Bars that the autopilot has not seen yet, and the button that has them looked at now."""
    position = row.position
    st.caption(f"Bars that closed by {log.moment(seen_until)} are done.")
    if row.waits_since is not None:
        st.warning(
            f"It waits since {log.moment(row.waits_since)}. {log.plain(row.waits_for)}",
            icon=":material/hourglass_top:",
        )
    try:
        bars = len(autopilot.missed(database, position.position_id, now))
    except PriceUnavailable as error:
        if not row.waits_for:
            st.warning(str(error), icon=":material/cloud_off:")
        bars = 0
    if bars:
        label = f"Catch up on {counted(bars, 'bar')}"
        if st.button(label, type="primary", icon=":material/fast_forward:"):
            _catch_up(database, position.position_id)
        return
    st.caption("There is no newer bar here.")
    if not row.is_sample and st.button(
        "Ask for new closes now",
        icon=":material/cloud_download:",
        help="Fetches them from Yahoo and catches up. Example: after a week offline.",
    ):
        _ask_yahoo(database, position.ticker, now)
        _catch_up(database, position.position_id)


def _ask_yahoo(database: Database, symbol: str, now: datetime) -> None:
    try:
        with st.spinner(f"Asking for {symbol}", show_time=True):
            acting.say("success", autopilot.fetch(database, symbol, now))
    except VolbalError as error:
        left = market_data.fallback(database, [symbol], DAILY, now)
        acting.say("error", f"{error} {left}")


def _switch(database: Database, position_id: int, is_on: bool) -> str:
    autopilot.switch(database, position_id, is_on, acting.now())
    return f"The paper autopilot is {'on' if is_on else 'off'}."


def _catch_up(database: Database, position_id: int) -> None:
    bar = st.progress(0.0, "Looking at the missed bars in order")

    def show(done: int, of: int) -> None:
        bar.progress(done / of, f"{done:,} of {counted(of, 'bar')}")

    done = autopilot.catch_up(database, position_id, acting.now(), show)
    if done.stopped:
        acting.say("error", done.stopped)
    if done.bars:
        bars, orders = counted(done.bars, "bar"), counted(done.orders, "order")
        acting.say("success", f"{bars} looked at, {orders} filled on paper.")
    st.rerun()

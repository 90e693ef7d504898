"""Dividends: what comes, what is owed, what was paid, month by month."""

from datetime import date
from decimal import Decimal

import streamlit as st

from volbal.domain import sanity
from volbal.domain.wording import money, price
from volbal.errors import InvalidInput, PriceUnavailable
from volbal.market.sessions import exchange_date
from volbal.services import income, market_data, payouts, positions, running
from volbal.services.payouts import DividendLine, Payouts
from volbal.ui import acting, log, paydays, tables

EARLIEST = date(1970, 1, 1)


def figures(found: Payouts) -> None:
    """Paid, receivable and expected, net, with what was withheld."""
    grid = st.grid(3, min_column_width=150, gap="xsmall")
    told = (
        ("Paid", found.paid, "Net of withholding, received as cash so far."),
        ("Receivable", found.receivable, "Net; went ex and is not paid yet."),
        (
            "Upcoming",
            found.upcoming,
            "Net; what the shares held by the close before the ex-date will be paid.",
        ),
    )
    for label, lines, note in told:
        grid.metric(
            label,
            money(payouts.total(lines)),
            money(payouts.total(lines, "withheld")),
            delta_color="off",
            delta_arrow="off",
            delta_description="withheld",
            help=note,
            border=True,
        )


def pay(lines: list[DividendLine]) -> str:
    with running.database().lease():
        owed = {one.dividend_id for one in payouts.payouts(running.database()).receivable}
        for line in lines:
            income.pay(running.database(), line.dividend_id, acting.now())
    moved = [one for one in lines if one.dividend_id in owed]
    if not moved:
        return "Nothing was left to record: it was paid already."
    count = "1 dividend is" if len(moved) == 1 else f"{len(moved)} dividends are"
    return f"{count} paid: {money(payouts.total(moved))} is cash now."


def accrue(position_ids: list[int]) -> str:
    with running.database().lease():
        moved = [
            dividend
            for position_id in position_ids
            for dividend in income.accrue(running.database(), position_id, acting.now())
        ]
    count = "1 dividend has" if len(moved) == 1 else f"{len(moved)} dividends have"
    return f"{count} been worked off."


def draw_receivable(lines: list[DividendLine]) -> None:
    """What went ex, and the button that records its payment."""
    st.subheader("Receivable")
    if not lines:
        st.caption("Nothing is owed: no dividend went ex and waits for its payment.")
        return
    picked = tables.pick(
        payouts.table(lines),
        "dividends-receivable",
        paydays.RECEIVABLE,
        alt="Dividends that went ex and are not paid",
        name="dividends-receivable",
    )
    chosen = [lines[row] for row in picked]
    today = exchange_date(acting.now())
    early = [one for one in chosen if one.pay_on is not None and one.pay_on > today]
    if early:
        days = ", ".join(sorted({str(one.pay_on) for one in early}))
        st.warning(
            f"The pay date {days} is still to come. Record it now only if the money is there.",
            icon=":material/event_upcoming:",
        )
    st.button(
        f"Record payment of {money(payouts.total(chosen))}" if chosen else "Record payment",
        type="primary",
        icon=":material/payments:",
        disabled=not chosen,
        help="Tick the dividends your broker has paid. One with a pay date is recorded by itself "
        "when its position is next evaluated.",
        on_click=acting.act,
        args=(f"pay-{[line.dividend_id for line in chosen]}", pay, chosen),
    )


def draw_upcoming(lines: list[DividendLine]) -> None:
    """What was announced; what is due already can be worked off without an evaluation."""
    st.subheader("Upcoming")
    if not lines:
        st.caption("No dividend is announced. Announce one below to have its ex-date honoured.")
        return
    late = [line for line in lines if line.ex_on <= exchange_date(acting.now())]
    if late:
        due = sorted({line.position_id for line in late})
        it_is = "It is" if len(late) == 1 else "They are"
        st.warning(
            f"{len(late):,} of them went ex already. {it_is} worked off when the position is "
            "next evaluated, or now.",
            icon=":material/event_busy:",
        )
        st.button(
            "Work off what is due",
            on_click=acting.act,
            args=(f"accrue-{[line.dividend_id for line in late]}", accrue, due),
        )
    picked = tables.pick(
        payouts.table(lines),
        "dividends-upcoming",
        paydays.UPCOMING,
        alt="Announced dividends with what today's shares would be paid",
        name="dividends-upcoming",
    )
    chosen = [lines[row] for row in picked]
    st.button(
        "Withdraw",
        icon=":material/event_busy:",
        disabled=not chosen,
        help="Tick announcements that are wrong, such as one with another ex-date. Nothing has "
        "come of them yet; their withdrawal stays in the timeline.",
        on_click=acting.act,
        args=(f"withdraw-{[line.dividend_id for line in chosen]}", withdraw, chosen),
    )


def withdraw(lines: list[DividendLine]) -> str:
    with running.database().lease():
        for line in lines:
            income.withdraw(running.database(), line.dividend_id, acting.now())
    count = "1 announcement is" if len(lines) == 1 else f"{len(lines)} announcements are"
    return f"{count} withdrawn."


def doubt(position_id: int) -> str:
    """What is odd about the amount in the form, for this position; empty where nothing is."""
    amount = st.session_state.get("dividends.per_share")
    if amount is None:
        return ""
    position = positions.find_position(running.database(), position_id)
    return sanity.large_dividend(Decimal(repr(amount)), position.reference_price)


def announce(named: dict[str, int]) -> str:
    """What the form asks; its inputs keep their values. Raises VolbalError."""
    state = st.session_state
    asked, ex_on = acting.given("per_share", "dividends.per_share"), state["dividends.ex_on"]
    if ex_on is None:
        raise InvalidInput("ex_on", "nothing is chosen", "choose the first day without it")
    position_id = named[state["dividends.position"]]
    position = positions.find_position(running.database(), position_id)
    income.require_held(position, ex_on)
    acting.require_confirmed("per_share", f"dividends-{position_id}", asked, doubt(position_id))
    made = income.announce(
        running.database(),
        position_id,
        ex_on=ex_on,
        per_share=asked,
        pay_on=state["dividends.pay_on"],
        now=acting.now(),
    )
    return f"Announced: {price(made.per_share)} per share, ex-date {made.ex_on}."


def look_up(named: dict[str, int]) -> str:
    """Fill the form's dates with those that Yahoo names. Raises PriceUnavailable."""
    state = st.session_state
    position = positions.find_position(running.database(), named[state["dividends.position"]])
    found = market_data.upcoming_dividend(market_data.yahoo(), position.ticker)
    if found.ex_on is None:
        raise PriceUnavailable(f"Yahoo names no ex-date of {position.ticker}; type what you know.")
    state["dividends.ex_on"], state["dividends.pay_on"] = found.ex_on, found.pay_on
    past = found.ex_on <= exchange_date(acting.now())
    which = "last" if past else "next"
    paid = "" if found.pay_on is None else f", pay date {found.pay_on}"
    return f"{position.ticker}: {which} ex-date {found.ex_on}{paid}, says Yahoo."


def draw_form(named: dict[str, int]) -> None:
    """Announce a dividend, or correct one before its ex-date."""
    st.subheader("Announce")
    if not named:
        st.caption("Open a position first: a dividend belongs to one.")
        return
    token = acting.token("announce")
    with st.form("dividends.announce"):
        grid = st.grid(4, min_column_width=150, gap="small")
        grid.selectbox(
            "Position", list(named), key="dividends.position", help="Who holds it. Example: KO #1."
        )
        grid.number_input(
            "Gross per share",
            value=None,
            step=0.01,
            format="%.12g",
            key="dividends.per_share",
            help="Before withholding, specials of that date included. Example: 0.485.",
        )
        grid.date_input(
            "Ex-date",
            None,
            min_value=EARLIEST,
            format="YYYY-MM-DD",
            key="dividends.ex_on",
            help="First day a buyer gets nothing; who held at the close before is paid. "
            "Example: 2026-11-30.",
        )
        grid.date_input(
            "Pay date",
            None,
            min_value=EARLIEST,
            format="YYYY-MM-DD",
            key="dividends.pay_on",
            help="Empty: it is paid when you record it. Example: 2026-12-15.",
        )
        position_id = named[st.session_state["dividends.position"]]
        asked = st.session_state.get("dividends.per_share")
        acting.confirm(f"dividends-{position_id}", asked, doubt(position_id), "a special dividend")
        with st.container(horizontal=True):
            st.form_submit_button("Announce", on_click=acting.act, args=(token, announce, named))
            looks = acting.token("look-up")
            st.form_submit_button(
                "Look up the dates",
                icon=":material/cloud_download:",
                type="tertiary",
                key=looks,
                help="Asks Yahoo for the symbol's next ex-date and pay date. The amount is typed. "
                "Example: KO goes ex on 2026-11-30.",
                on_click=acting.act,
                args=(looks, look_up, named),
            )
    st.caption(
        "Announcing the same again changes nothing; another amount or pay date for the same "
        "ex-date corrects it. One with a wrong ex-date is withdrawn above."
    )


def draw_paid(found: Payouts) -> None:
    """Symbol by month, and every payment."""
    st.subheader("By month")
    years = payouts.years(found)
    if not years:
        st.caption("No dividend went ex yet.")
        return
    paydays.draw(found, years)
    st.subheader("Paid")
    if found.paid:
        tables.show(
            payouts.table(found.paid),
            "dividends-paid",
            paydays.PAID,
            alt="Paid dividends, newest first",
            name="dividends-paid",
            height="content" if len(found.paid) <= tables.MANY else 400,
        )
    else:
        st.caption("Nothing was paid yet.")


st.title("Dividends")
st.caption("Gross, what is withheld at each position’s own rate, and net.")
with acting.records() as database:
    acting.show_said()
    everything = payouts.payouts(database)
    figures(everything)
    draw_receivable(everything.receivable)
    draw_upcoming(everything.upcoming)
    draw_form(
        {
            log.position_text(one.position_id, one.ticker): one.position_id
            for one in positions.list_positions(database)
            if one.balance.is_open
        }
    )
    draw_paid(everything)

"""A position's configuration: its fields, what would change, its history and the way back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pandas as pd
import streamlit as st

from volbal.domain.configuration import (
    Change,
    Configuration,
    ConfigurationRecord,
    difference,
    in_words,
)
from volbal.domain.configuration import settings as configuration_values
from volbal.domain.dividends import DividendState
from volbal.domain.position import Position
from volbal.domain.sanity import doubts
from volbal.domain.wording import money, share_count
from volbal.errors import InvalidInput
from volbal.services import autopilot, positions, settings
from volbal.services.overview import Row
from volbal.services.running import Database
from volbal.ui import acting, forms, rungs, tables
from volbal.ui.address import policy_values
from volbal.ui.fields import LABELS, policy_sentence, refusal
from volbal.ui.forms import recalled, remember

PAGE = "setting"
IDLE = {"slippage": "is for simulations: a live order fills at the price the broker reports."}


def draw(database: Database, row: Row, now: datetime) -> None:
    """Fields beside what they change; history below; close or reopen at the end."""
    position = row.position
    history = settings.history(database, position.position_id)
    if position.balance.is_open:
        _show_fields(database, position, history, now)
    _show_history(database, position, history)
    _show_end(database, row)


def _show_fields(
    database: Database, position: Position, history: list[ConfigurationRecord], now: datetime
) -> None:
    _fill_in(position, len(history))
    left, right = st.columns([1, 1], gap="large")
    with left:
        forms.policy_inputs(PAGE, IDLE)
        st.toggle(
            LABELS["after_hours"],
            key=f"{PAGE}.after_hours",
            help="May a price made outside the regular session cause an order? "
            "Example: off holds at a price of 18:30.",
        )
        st.toggle(
            LABELS["strict"],
            key=f"{PAGE}.strict",
            help="Refuse a fill that leaves the guardrails, instead of recording and flagging it. "
            "Example: on, buying up to 80 % of stock under a guardrail of 75 % is refused.",
        )
    with right:
        _preview(database, position, now, len(history))


def keep() -> None:
    """What is typed and not saved outlasts a look at another tab."""
    for key in list(st.session_state):
        if str(key).startswith(f"{PAGE}."):
            st.session_state[key] = st.session_state[key]


def _fill_in(position: Position, step: int) -> None:
    """Take the inputs from the configuration in force whenever that is another one."""
    of = (position.position_id, step)
    inputs = {
        **policy_values(position.configuration.policy),
        "after_hours": position.configuration.policy.after_hours,
        "strict": position.configuration.strict,
    }
    is_new = st.session_state.get(f"{PAGE}-of") != of
    st.session_state[f"{PAGE}-of"] = of
    for name, value in inputs.items():
        key = f"{PAGE}.{name}"
        st.session_state[key] = value if is_new else st.session_state.get(key, value)


def _preview(database: Database, position: Position, now: datetime, step: int) -> None:
    try:
        after = _asked(position)
    except InvalidInput as error:
        st.error(refusal(error), icon=":material/error:")
        return
    st.caption(policy_sentence(after.policy))
    changes = difference(position.configuration, after)
    if not changes:
        st.caption("Change a field to see here what becomes different.")
    else:
        st.markdown("**What changes**")
        _show_changes(changes, f"{PAGE}-changes")
    at = position.reference_price
    if at is not None:
        for doubt in doubts(replace(position, configuration=after), at, now):
            rungs.show_doubt(doubt, f"{PAGE}-doubt", lambda fix: remember(PAGE, fix))
    if changes:
        st.text_input(
            "Note", key=f"{PAGE}-note", help="For the history. Example: calmer before earnings."
        )
        key = f"save-{position.position_id}-{step}"
        st.button(
            "Save settings",
            key=key,
            type="primary",
            icon=":material/save:",
            on_click=acting.act,
            args=(key, _save, database, position),
        )


def _asked(position: Position) -> Configuration:
    """What the inputs say. Raises InvalidInput."""
    names = (*policy_values(position.configuration.policy), "after_hours", "strict")
    return position.configuration.changed({name: recalled(PAGE, name) for name in names})


def _save(database: Database, position: Position) -> str:
    changes, note = configuration_values(_asked(position)), st.session_state[f"{PAGE}-note"]
    settings.configure(
        database, position.position_id, changes, by="user", note=note, now=acting.now()
    )
    return "Saved. The next evaluation uses it; a proposal made before has to be made again."


def _show_changes(changes: tuple[Change, ...], key: str) -> None:
    shown = told(changes)
    st.table(shown, border="horizontal", hide_index=True)
    tables.downloads(shown, "settings-changes", f"{key}-downloads")


def told(changes: tuple[Change, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Setting": LABELS[one.name],
                "Before": in_words(one.name, one.before),
                "After": in_words(one.name, one.after),
            }
            for one in changes
        ]
    )


def _show_history(
    database: Database, position: Position, history: list[ConfigurationRecord]
) -> None:
    st.markdown("**History**")
    tables.show(
        pd.DataFrame(
            [
                {
                    "step": one.number,
                    "configured_at": one.configured_at,
                    "by": one.configured_by,
                    "note": one.note,
                    "changes": ", ".join(_steps(history, one)),
                }
                for one in reversed(history)
            ]
        ),
        "configurations",
        {
            "step": st.column_config.NumberColumn("Step", width=50),
            "configured_at": tables.moment("When"),
            "by": "By",
            "note": "Note",
            "changes": st.column_config.TextColumn("Changes", width="large"),
        },
        alt="Every configuration, newest first",
        name=f"settings-{position.ticker}-{position.position_id}",
    )
    if len(history) < 2 or not position.balance.is_open:
        return
    numbers = [one.number for one in history[:-1]]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox(
            "Back to step",
            numbers,
            index=len(numbers) - 1,
            key=f"{PAGE}-back",
            width=160,
            help="Takes over that step's settings as a new step. Example: 1 is how it was opened.",
        )
        key = f"back-{position.position_id}-{len(history)}-{number}"
        st.button(
            f"Roll back to step {number}",
            key=key,
            icon=":material/undo:",
            on_click=acting.act,
            args=(key, _roll_back, database, position.position_id, number),
        )
    changes = difference(position.configuration, history[number - 1].configuration)
    if changes:
        _show_changes(changes, f"{PAGE}-back-changes")
    else:
        st.caption(f"Step {number} is what is in force.")


def _steps(history: list[ConfigurationRecord], one: ConfigurationRecord) -> list[str]:
    if one.number == 1:
        return ["as opened"]
    before = history[one.number - 2].configuration
    changes = told(difference(before, one.configuration))
    return [f"{row.Setting} {row.Before} → {row.After}" for row in changes.itertuples()]


def _roll_back(database: Database, position_id: int, number: int) -> str:
    settings.roll_back(database, position_id, number, by="user", now=acting.now())
    return f"The settings of step {number} are in force again."


def _show_end(database: Database, row: Row) -> None:
    st.divider()
    position, position_id = row.position, row.position.position_id
    if not position.balance.is_open:
        token = acting.token(f"reopen-{position_id}")
        st.button(
            "Reopen position",
            key=token,
            type="primary",
            icon=":material/unarchive:",
            on_click=acting.act,
            args=(token, _reopen, database, position_id),
        )
    elif st.button("Close position", key=f"close-{position_id}", icon=":material/archive:"):
        _confirm_closing(database, row, acting.token(f"closing-{position_id}"))


def _reopen(database: Database, position_id: int) -> str:
    positions.reopen_position(database, position_id, acting.now())
    known = autopilot.find(database, position_id)
    runs = "" if known is None else f" Its paper autopilot is {'on' if known.is_on else 'off'}."
    return f"The position is open again.{runs}"


@st.dialog("Close this position?")
def _confirm_closing(database: Database, row: Row, token: str) -> None:
    position = row.position
    st.markdown(
        f"**{position.ticker} #{position.position_id}** is archived as it is: nothing is sold and "
        "nothing deleted. It takes no orders until it is reopened."
    )
    for order in row.open_orders:
        st.warning(
            f"Order {order.order_id} is open with {share_count(order.left)} left: record its "
            "fill or cancel it first.",
            icon=":material/outgoing_mail:",
        )
    for told in _left_open(row):
        st.info(told, icon=":material/info:")
    with st.container(horizontal=True):
        closes = st.button(
            "Close it",
            type="primary",
            icon=":material/archive:",
            disabled=bool(row.open_orders),
            on_click=acting.act,
            args=(token, _close, database, position.position_id),
        )
        if st.button("Cancel") or closes:
            st.rerun()


def _left_open(row: Row) -> Iterator[str]:
    """What closing means for an autopilot and for dividends."""
    if row.runs_itself:
        yield "Its paper autopilot is switched off, and stays off when the position is reopened."
    owed = [one for one in row.dividends if one.state is DividendState.ACCRUED and one.net]
    if owed:
        amount = money(row.position.balance.receivable)
        yield f"{amount} of dividends is still owed: record the payment on Dividends."
    awaited = [one for one in row.dividends if one.state is DividendState.ANNOUNCED]
    if awaited:
        days = ", ".join(str(one.ex_on) for one in awaited)
        yield f"The dividend with ex-date {days} is not recorded before it is reopened."


def _close(database: Database, position_id: int) -> str:
    positions.close_position(database, position_id, acting.now())
    return "Closed and archived. Settings has the button that reopens it."

"""The trigger ladder as a table, and doubts about settings with their remedy."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from volbal.domain.ladder import Rung, ladder
from volbal.domain.position import Position
from volbal.domain.sanity import Doubt
from volbal.domain.wording import counted, percent
from volbal.formatting import value_text
from volbal.ui import acting, tables
from volbal.ui.fields import FIELDS

COLUMNS: dict[str, Any] = {
    "side": st.column_config.TextColumn("Side", width=65),
    "limit": st.column_config.NumberColumn("Limit price", format="%,.2f"),
    "quantity": st.column_config.NumberColumn("Quantity", format="%,.6f"),
    "notional": st.column_config.NumberColumn("Notional", format="%,.2f"),
    "commission": st.column_config.NumberColumn("Fee", format="%,.2f"),
    "stock_share_after": st.column_config.TextColumn("Stock share after", alignment="right"),
    "remark": "Remark",
}


def draw(position: Position, key: str) -> None:
    """The next triggers both ways as limit orders, for `position` as it stands."""
    found = ladder(position, acting.now())
    st.markdown(
        "**Trigger ladder**",
        help="Limit orders for your broker: each supposes that those before it were filled. "
        "Example: after SELL at 103 the next sell trigger is 3 % above 103.",
    )
    if not (found.up or found.down):
        st.info("The ladder starts with the anchor: evaluate the position at a price first.")
        return
    rungs = frame([*reversed(found.up), *found.down])
    shares_after = [percent(share) for share in rungs["stock_share_after"]]
    tables.show(
        rungs.assign(stock_share_after=shares_after),
        key,
        COLUMNS,
        alt="The next sell triggers above the anchor and buy triggers below it",
    )
    tables.downloads(rungs, f"ladder-{position.ticker}", f"{key}-downloads")
    st.caption(
        f"{_end(found.up, found.triggers_up, 'up')} "
        f"{_end(found.down, found.triggers_down, 'down')} "
        f"At most {position.configuration.policy.max_orders_per_day} orders a day."
    )


def _end(rungs: Sequence[Rung], triggers: int | None, way: str) -> str:
    """How far it goes if the price only moves one way. triggers: until a guardrail pins it."""
    if triggers is None and rungs and rungs[-1].decision.order is None:
        why = rungs[-1].decision.hindrance
        return f"Straight {way}, nothing is placed at trigger {len(rungs)}: {why}."
    guardrail = "lower" if way == "up" else "upper"
    if triggers is None:
        return f"Straight {way}, no trigger of the next 60 reaches the {guardrail} guardrail."
    return f"Straight {way}, the {guardrail} guardrail stops it at {counted(triggers, 'trigger')}."


def frame(rungs: Sequence[Rung]) -> pd.DataFrame:
    """One row a rung: side, limit, quantity, notional, commission, stock_share_after, remark."""
    return pd.DataFrame(
        [
            {
                "side": _side(rung),
                "limit": rung.limit,
                "quantity": _quantity(rung),
                "notional": rung.decision.notional if rung.decision.order else None,
                "commission": rung.decision.commission if rung.decision.order else None,
                "stock_share_after": rung.decision.stock_share_after,
                "remark": remark(rung),
            }
            for rung in rungs
        ]
    )


def _side(rung: Rung) -> str:
    order = rung.decision.order
    return f"no {rung.side.value.lower()}" if order is None else order.side.value


def _quantity(rung: Rung) -> Decimal | None:
    return None if rung.decision.order is None else rung.decision.order.quantity


def remark(rung: Rung) -> str:
    """Why an order is smaller than wished or there is none, or empty."""
    if rung.decision.order is None:
        return rung.decision.hindrance
    return "cut by the guardrail" if rung.is_pinned else ""


def show_doubt(doubt: Doubt, key: str, settle: Callable[[dict[str, Any]], None]) -> None:
    """A doubt, with a button that settles it where a setting can."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(doubt.sentence, icon=":material/rule:", width="stretch")
        for name, value in doubt.fix.items():
            label = FIELDS[name].label if name in FIELDS else name.capitalize()
            st.button(
                f"{label}: {value_text(value if value is not None else '')}",
                key=f"{key}-{name}-{value}",
                on_click=settle,
                args=({name: value},),
                help="Takes this instead.",
            )

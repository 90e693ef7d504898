"""The "why" log on screen: a line an event, its inputs and outputs behind it."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from volbal.domain.wording import duration, money, percent, percent_change, price, shares
from volbal.formatting import UNDEFINED, figure_text, value_text
from volbal.market.sessions import EXCHANGE, exchange_date
from volbal.services.timeline import LogLine, LogPage

ICONS = {
    "evaluation": "psychology_alt",
    "submission": "outgoing_mail",
    "fill": "check_circle",
    "cancel": "cancel",
    "reject": "block",
    "refused": "gpp_bad",
    "anchor": "anchor",
    "deposit": "south_west",
    "withdrawal": "north_east",
    "dividend_announced": "event_upcoming",
    "dividend_withdrawn": "event_busy",
    "dividend_accrued": "event_available",
    "dividend_paid": "payments",
    "configuration": "tune",
    "split": "call_split",
    "adjustment": "edit",
    "autopilot_waits": "hourglass_top",
    "opened": "add_circle",
    "closed": "inventory_2",
    "reopened": "unarchive",
    "autopilot": "smart_toy",
}
COLOURS = {"BUY": "blue", "SELL": "orange", "SKIP": "gray", "HOLD": "gray"}

NUMBERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "price": ("Price", price),
    "price_source": ("Source of the price", str),
    "price_age": ("Age of the price", duration),
    "confirmed": ("Price confirmed", lambda confirmed: "yes" if confirmed else "no"),
    "anchor": ("Anchor", price),
    "distance": ("Distance from the anchor", percent_change),
    "buy_level": ("Buys at", price),
    "sell_level": ("Sells at", price),
    "held": ("Shares held", shares),
    "cash": ("Cash", money),
    "receivable": ("Receivable", money),
    "equity": ("Equity", money),
    "stock_share": ("Stock share before", percent),
    "stock_share_after": ("Stock share after", percent),
    "orders_today": ("Orders that day before", str),
    "wish": ("Wish, notional", money),
    "capped": ("Within the largest trade", money),
    "guarded": ("Within the guardrails", money),
    "funded": ("Shares within the funds", shares),
    "rounded": ("Shares in whole lots", shares),
    "quantity": ("Shares proposed", shares),
    "notional": ("Notional proposed", money),
    "commission": ("Fee expected", money),
}
"""Columns of v_decisions in the order of the rule's work: label and how the number is written."""

STYLE = """<style>
.vb-facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr));
  gap: .5rem 1.2rem; margin: .2rem 0 .6rem; }
.vb-facts dt { font-size: .8rem; opacity: .72; font-weight: 400; margin: 0; }
.vb-facts dd { margin: 0; overflow-wrap: anywhere; }
.vb-facts-title { font-size: .85rem; font-weight: 600; margin-top: .4rem; }
</style>"""

SPECIAL = re.compile(r"([\\`*_\[\]$~<>|:#])")


def plain(text: str) -> str:
    """Text that people or sources wrote, as Markdown that shows it as it is."""
    return SPECIAL.sub(r"\\\1", text)


def kind_text(kind: str) -> str:
    """dividend_paid as Dividend paid."""
    return kind.replace("_", " ").capitalize()


def moment(at: datetime) -> str:
    """A moment as the exchange's clock shows it."""
    return f"{at.astimezone(EXCHANGE):%Y-%m-%d %H:%M} New York"


def draw(page: LogPage) -> None:
    """The lines of a page under their days."""
    day = None
    for line in page.lines:
        if exchange_date(line.happened_at) != day:
            day = exchange_date(line.happened_at)
            st.markdown(f"**{day:%A}, {day.day} {day:%B %Y}**")
        with st.expander(_title(line), icon=f":material/{ICONS.get(line.type, 'history')}:"):
            numbers = page.decisions.get(line.decision_id or 0, {})
            st.html(details(line, numbers))
    st.html(STYLE)


def _title(line: LogLine) -> str:
    action = f":{COLOURS[line.action]}-badge[{line.action}] " if line.action in COLOURS else ""
    position = plain(position_text(line.position_id, line.ticker))
    at = line.happened_at.astimezone(EXCHANGE)
    return f"{at:%H\\:%M} **{position}** {action}{plain(line.sentence)}"


def details(line: LogLine, numbers: Mapping[str, Any]) -> str:
    """Inputs, every number of the decision, and outputs; HTML."""
    about = {
        "Event": line.event_id,
        "Kind": kind_text(line.type),
        "Position": f"{line.position_id} ({line.ticker})",
        "Time": f"{line.happened_at.astimezone(EXCHANGE):%Y-%m-%d %H:%M:%S %Z}",
        "Time, UTC": f"{line.happened_at:%Y-%m-%d %H:%M:%S}",
    }
    told = (
        (label, write(numbers[name]))
        for name, (label, write) in NUMBERS.items()
        if numbers.get(name) is not None
    )
    return (
        _facts("", about.items())
        + _facts("Asked with", _named(line.inputs))
        + _facts("Numbers of the decision", told)
        + _facts("Came of it", _named(line.outputs))
    )


def _named(values: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    return ((kind_text(name), _value(value)) for name, value in values.items())


def _value(value: object) -> str:
    match value:
        case {"step": step, "before": before, "after": after}:
            text = f"{kind_text(str(step))}: {_value(before)} → {_value(after)}"
        case {**inner}:
            text = "; ".join(f"{kind_text(str(name))} {_value(one)}" for name, one in inner.items())
        case [before, after] if not isinstance(before, dict):
            text = f"{_value(before)} → {_value(after)}"
        case [*several]:
            text = "; ".join(map(_value, several))
        case bool():
            text = value_text(value)
        case int() | float():
            text = figure_text(value)
        case _:
            text = "" if value is None else str(value)
    return text or UNDEFINED


def _facts(title: str, facts: Iterable[tuple[str, object]]) -> str:
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts
    )
    heading = f'<div class="vb-facts-title">{escape(title)}</div>' if title else ""
    return f'{heading}<dl class="vb-facts">{cells}</dl>' if cells else ""


def position_text(position_id: int, ticker: str) -> str:
    """How a position is named in a choice and in a link."""
    return f"{ticker} #{position_id}"

"""A position at a glance, drawn as HTML: gauge of the triggers, guardrails, figures, sparkline.

Colours and words are those of the charts. Every text that a person or a source wrote is escaped.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from volbal.domain.decision import Action
from volbal.domain.ladder import Rung
from volbal.domain.policy import Policy
from volbal.domain.wording import duration, money, percent, percent_change, price, shares
from volbal.formatting import UNDEFINED
from volbal.services.overview import Row
from volbal.ui.charts import BLUE, ORANGE, SLATE

STYLE = f"""<style>
.vb-card {{ display: grid; grid-template-columns: 1.1fr 2fr 1.5fr; gap: .4rem 2.2rem; }}
.vb-card > div {{ min-width: 0; }}
.vb-big {{ font-size: 1.45rem; font-weight: 600; line-height: 1.25; white-space: nowrap; }}
.vb-small {{ font-size: .82rem; opacity: .72; line-height: 1.35; overflow-wrap: anywhere; }}
.vb-track {{ position: relative; height: .5rem; border-radius: .25rem; margin: .75rem 0 .3rem;
  background: rgba(131, 146, 167, .25); }}
.vb-zone {{ position: absolute; top: 0; bottom: 0; background: rgba(59, 130, 246, .35); }}
.vb-mid {{ position: absolute; top: -.15rem; bottom: -.15rem; width: 2px; margin-left: -1px;
  background: {SLATE}; }}
.vb-dot {{ position: absolute; top: 50%; width: .95rem; height: .95rem; border-radius: 50%;
  margin: -.475rem 0 0 -.475rem; border: 2px solid rgba(255, 255, 255, .85); }}
.vb-ends {{ display: flex; justify-content: space-between; gap: .5rem; font-size: .82rem;
  line-height: 1.3; }}
.vb-ends > * {{ flex: 1; text-align: center; }}
.vb-ends > :first-child {{ text-align: left; }}
.vb-ends > :last-child {{ text-align: right; }}
.vb-buy {{ color: {BLUE}; font-weight: 600; }}
.vb-sell {{ color: {ORANGE}; font-weight: 600; }}
.vb-figures {{ display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); gap: .4rem 1rem;
  grid-column: 1 / -1; margin-top: .3rem; }}
.vb-figures b {{ display: block; font-weight: 600; white-space: nowrap; }}
.vb-figures img {{ width: 100%; height: 2.2rem; display: block; }}
@media (max-width: 900px) {{
  .vb-card {{ grid-template-columns: minmax(0, 1fr); }}
  .vb-figures {{ grid-template-columns: repeat(3, minmax(0, 1fr)); }}
  .vb-line {{ grid-column: 1 / -1; }}
}}
</style>"""


def card(row: Row, now: datetime) -> str:
    """Everything of `row` but its name and its concerns; with its style, so that nothing jumps."""
    return (
        f'<div class="vb-card">{STYLE}{_price(row, now)}{_gauge(row)}{_guardrails(row)}'
        f"{_figures(row)}</div>"
    )


def _price(row: Row, now: datetime) -> str:
    seen = row.quote
    if seen is None:
        return _block(
            UNDEFINED,
            row.trouble or "No price yet: evaluate at a typed one, or fetch prices",
        )
    age = duration((now - seen.seen_at(now)).total_seconds())
    told = f"{age} old · {seen.source}"
    trusted = row.position.reference_price
    if row.is_suspect and trusted is not None:
        told += f". Not trusted: the figures are at the last accepted price, {price(trusted)}"
    return _block(price(seen.price), f"{told}. {row.trouble}" if row.trouble else told)


def _block(value: str, below: str) -> str:
    return (
        f'<div><div class="vb-big">{escape(value)}</div>'
        f'<div class="vb-small">{escape(below)}</div></div>'
    )


def _gauge(row: Row) -> str:
    """Where the price stands between the levels at which the rule buys and sells."""
    decision, policy = row.decision, row.position.configuration.policy
    if decision is None or decision.distance is None or decision.anchor is None:
        return f'<div><div class="vb-small">{escape(_first_step(row))}</div></div>'
    buy = price(row.next_down.limit if row.next_down else decision.buy_level or 0)
    sell = price(row.next_up.limit if row.next_up else decision.sell_level or 0)
    anchor = price(decision.anchor)
    told = (
        f"Price {price(decision.price)}, {percent_change(decision.distance)} from the anchor "
        f"{anchor}; buys at {buy}, sells at {sell}"
    )
    colour = BLUE if decision.distance < 0 else ORANGE
    place = gauge_place(decision.distance, policy)
    return (
        f'<div><div class="vb-track" role="img" aria-label="{escape(told)}">'
        f'<span class="vb-mid" style="left:50%"></span>'
        f'<span class="vb-dot" style="left:{place:.2f}%;background:{colour}"></span></div>'
        f'<div class="vb-ends"><span><span class="vb-buy">{buy}</span><br>'
        f"buys at {percent_change(-policy.trigger_down)}</span>"
        f"<span>{percent_change(decision.distance)}<br>anchor {anchor}</span>"
        f'<span><span class="vb-sell">{sell}</span><br>'
        f"sells at {percent_change(policy.trigger_up)}</span></div></div>"
    )


def _first_step(row: Row) -> str:
    if not row.position.balance.is_open:
        return "Archived. Reopen it to use it again."
    return "No anchor yet: the first price it is evaluated at becomes the anchor."


def gauge_place(distance: float, policy: Policy) -> float:
    """Percent from the left: 0 at the buy level, 50 at the anchor, 100 at the sell level."""
    reach = policy.trigger_down if distance < 0 else policy.trigger_up
    return min(max(50.0 + 50.0 * distance / reach, 0.0), 100.0)


def _guardrails(row: Row) -> str:
    """The stock share between its guardrails, and what comes next."""
    stock_share, policy = row.stock_share, row.position.configuration.policy
    if stock_share is None:
        return "<div></div>"
    low, high = policy.min_stock_share, policy.max_stock_share
    share, kept = percent(stock_share, 1), f"{percent(low, 0)} to {percent(high, 0)}"
    inside = low <= stock_share <= high
    colour = BLUE if inside else ORANGE
    return (
        f'<div><div class="vb-track" role="img" aria-label="Stock share {share}, kept {kept}">'
        f'<span class="vb-zone" style="left:{low:.2%};right:{1 - high:.2%}"></span>'
        f'<span class="vb-dot" style="left:{stock_share:.2%};background:{colour}"></span>'
        f'</div><div class="vb-small"><b>{share}</b> in stock, kept {kept}</div>'
        f'<div class="vb-small">{next_action(row)}</div></div>'
    )


def next_action(row: Row) -> str:
    """What the rule wants now, or at its nearest triggers; HTML."""
    decision = row.decision
    if decision is not None and decision.order is not None:
        side = "vb-buy" if decision.action is Action.BUY else "vb-sell"
        return (
            f'Now: <span class="{side}">{escape(str(decision.order))}</span> for '
            f"{money(decision.notional)}"
        )
    if row.open_orders:
        order = row.open_orders[0]
        return f"Order {order.order_id} is open: {escape(order.rest)}"
    nearest = " or ".join(_rung(rung) for rung in (row.next_down, row.next_up) if rung is not None)
    skipped = decision is not None and decision.action is Action.SKIP
    reason = decision.reason.value.replace("_", " ") if decision is not None else ""
    return f"No order now: {reason}. Next: {nearest}" if skipped else f"Next: {nearest}"


def _rung(rung: Rung) -> str:
    order = rung.decision.order
    if order is None:
        reason = rung.decision.reason.value.replace("_", " ")
        return f"no {rung.side.value.lower()} at {price(rung.limit)} ({escape(reason)})"
    return f"{order.side.value.lower()} {shares(order.quantity)} at {price(rung.limit)}"


def _figures(row: Row) -> str:
    balance, earned = row.found.balance, row.performance
    value = UNDEFINED if row.value is None else money(row.value)
    figures = (
        ("Value", value, "Stock, cash and receivable dividends"),
        ("Return", _ratio(earned.time_weighted), "Time-weighted since its first price"),
        ("Stock", _ratio(earned.stock), "Total return of the stock since then"),
        ("Excess", _ratio(earned.excess), "Return less the stock's"),
        ("Dividends", money(row.received), "Net of withholding, received so far"),
        ("Receivable", money(balance.receivable), "Net dividends not paid yet"),
    )
    cells = "".join(
        f'<div title="{told}"><span class="vb-small">{name}</span><b>{text}</b></div>'
        for name, text, told in figures
    )
    line = sparkline(row.trail)
    first = f'<div class="vb-line">{line}</div>' if line else ""
    return f'<div class="vb-figures">{first}{cells}</div>'


def _ratio(value: float | None) -> str:
    return UNDEFINED if value is None else percent_change(value)


def sparkline(values: Sequence[float]) -> str:
    """A line of `values`, oldest first, as a picture; empty with fewer than two."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    reach = high - low or 1.0
    step = 100.0 / (len(values) - 1)
    points = " ".join(
        f"{number * step:.1f},{28.0 - 26.0 * (value - low) / reach:.1f}"
        for number, value in enumerate(values)
    )
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 30" preserveAspectRatio="none">'
        f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="1.5" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )
    # Streamlit lets no SVG element through, but it does let a picture.
    told = f"Value from {money(values[0])} to {money(values[-1])}"
    return f'<img src="data:image/svg+xml,{quote(drawing)}" alt="{told}">'

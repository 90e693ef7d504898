"""How people see the policy: a label, an example and a usual range for every field."""

import re
from dataclasses import dataclass

from volbal.domain.policy import BOOLEANS, PRESETS, Policy
from volbal.engine.grid import CATEGORIES, Value
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import percent, value_text


@dataclass(frozen=True, slots=True)
class Field:
    """One policy field on screen. step: of its stepper; sweep: usual min, max, step of a study."""

    label: str
    help: str
    step: float = 0.01
    sweep: tuple[float, float, float] = (0.0, 0.0, 0.0)


FIELDS: dict[str, Field] = {
    "trigger_threshold": Field(
        "Trigger threshold",
        "Both triggers at once: how far from the anchor the price fires. Example: 0.03 is 3 %.",
        sweep=(0.01, 0.1, 0.01),
    ),
    "trigger_up": Field(
        "Trigger up (sell)",
        "Sell when the price is this far above the anchor. "
        "Example: with 0.03 and an anchor of 100 the rule sells at 103.",
        sweep=(0.01, 0.1, 0.01),
    ),
    "trigger_down": Field(
        "Trigger down (buy)",
        "Buy when the price is this far below the anchor. "
        "Example: with 0.03 and an anchor of 100 the rule buys at 97.",
        sweep=(0.01, 0.1, 0.01),
    ),
    "sizing": Field(
        "Sizing",
        "How large a triggered order is. proportional: distance from the anchor × ratio × equity. "
        "fixed_percentage: that share of the cash or of the shares. "
        "original: the whole price ratio, much larger orders. "
        "Example: proportional, 3 % × 1.6667 × 10,000 = an order of about 500.",
    ),
    "rebalance_ratio": Field(
        "Rebalance ratio",
        "Aggressiveness. Example: 1.6667 trades about 5 % of equity on a 3 % move. "
        "Left empty it follows the sizing: 1.6667, or 0.1 for fixed_percentage (at most 1 there).",
        step=0.1,
        sweep=(0.5, 3.0, 0.25),
    ),
    "min_stock_share": Field(
        "Min stock share",
        "Lower guardrail: stock is never sold below this share of equity. Example: 0.25 is 25 %.",
        step=0.05,
        sweep=(0.1, 0.4, 0.05),
    ),
    "max_stock_share": Field(
        "Max stock share",
        "Upper guardrail: stock is never bought above this share of equity. Example: 0.75 is 75 %.",
        step=0.05,
        sweep=(0.6, 1.0, 0.05),
    ),
    "auto_rebalance": Field(
        "Auto rebalance",
        "May the guardrails themselves cause or enlarge an order? Off: only a trigger can. "
        "Example: after a long rise on keeps the share at 75 %, off lets it drift higher.",
    ),
    "max_trade_share": Field(
        "Max trade share",
        "A triggered order is at most this share of equity. "
        "Example: 0.2 allows 2,000 of a 10,000 cell.",
        step=0.05,
        sweep=(0.05, 0.5, 0.05),
    ),
    "min_notional": Field(
        "Min notional",
        "Orders smaller than this amount are skipped. Example: 100.",
        step=50.0,
        sweep=(0.0, 500.0, 100.0),
    ),
    "lot_size": Field(
        "Lot size",
        "Quantities are whole multiples of it. Example: 1 for whole shares, 0 for fractions.",
        step=1.0,
        sweep=(0.0, 5.0, 1.0),
    ),
    "max_orders_per_day": Field(
        "Max orders per day",
        "Orders beyond this number on one day are skipped. Example: 5.",
        step=1.0,
        sweep=(1.0, 5.0, 1.0),
    ),
    "commission_rate": Field(
        "Commission rate",
        "Broker's fee as a share of the notional. Example: 0.0001 is 1 on 10,000.",
        step=0.0001,
        sweep=(0.0, 0.002, 0.0005),
    ),
    "commission_min": Field(
        "Commission minimum",
        "Smallest fee of an order, in account currency. Example: 1.",
        step=0.5,
        sweep=(0.0, 5.0, 1.0),
    ),
    "slippage": Field(
        "Slippage",
        "How much worse than the price a fill is. Example: with 0.001 a buy at 100 fills at 100.1.",
        step=0.0005,
        sweep=(0.0, 0.005, 0.001),
    ),
    "withholding_rate": Field(
        "Withholding rate",
        "Tax kept from dividends. Example: with 0.25 a dividend of 1.00 pays 0.75.",
        step=0.05,
        sweep=(0.0, 0.3, 0.05),
    ),
    "cash_rate": Field(
        "Cash rate",
        "Yearly interest on cash. Example: 0.02 is 2 % a year.",
        step=0.005,
        sweep=(0.0, 0.05, 0.01),
    ),
    "ticks": Field(
        "Tick model",
        "When the rule sees a price. close: each bar's close, as an investor who looks once a day. "
        "limit: resting orders at both triggers, filled within the bar. Example: close.",
    ),
}
"""In the order of the forms; the last and `trigger_threshold` are no fields of a policy."""

LABELS: dict[str, str] = {name: field.label for name, field in FIELDS.items()} | {
    "after_hours": "After hours",
    "strict": "Strict guardrails",
    "qty": "Shares",
    "filled_qty": "Shares filled",
    "old_shares": "For old shares",
    "note": "Why",
    "ex_on": "Ex-date",
    "pay_on": "Pay date",
    "per_share": "Gross per share",
    "sql": "Query",
}
"""What inputs are called on screen, where that is not their name in words."""

POLICY = tuple(name for name in FIELDS if name not in ("trigger_threshold", "ticks"))
MAIN = (
    "trigger_up",
    "trigger_down",
    "min_stock_share",
    "max_stock_share",
    "rebalance_ratio",
    "max_trade_share",
    "sizing",
)
MORE = tuple(name for name in POLICY if name not in MAIN)


def preset_of(policy: Policy) -> str | None:
    """The name of the preset that `policy` is, None where it is none."""
    return next((name for name, preset in PRESETS.items() if preset == policy), None)


def choices(name: str) -> tuple[Value, ...]:
    """The values of a boolean or categorical field; empty for a number."""
    if name in BOOLEANS:
        return (True, False)
    return CATEGORIES.get(name, ())


def shown_value(value: Value) -> str:
    """A parameter's value as people say it; numbers as they are typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return value.replace("_", " ") if isinstance(value, str) else value_text(value)


def parameter_text(values: dict[str, Value]) -> str:
    """Parameter values of a cell in one line."""
    return " · ".join(f"{FIELDS[name].label} {shown_value(v)}" for name, v in values.items())


def refusal(error: VolbalError) -> str:
    """A refusal on screen: the field, and others that it speaks of, by their labels."""
    if not isinstance(error, InvalidInput):
        return str(error)
    name = error.field
    label = LABELS.get(name, name.replace("_", " ").capitalize())
    return f"{label}: {_NAMES.sub(lambda found: _SPOKEN[found[0]], error.reason)}"


_SPOKEN = {"fixed_percentage": "fixed percentage"} | {
    name: label for name, label in LABELS.items() if "_" in name
}
_NAMES = re.compile(rf"\b(?:{'|'.join(_SPOKEN)})\b")


def policy_sentence(policy: Policy) -> str:
    """What the policy does, in one sentence."""
    sold, bought = (percent(share, 1) for share in policy.order_shares)
    of = ("of the shares", "of the cash") if policy.sizing == "fixed_percentage" else ("of equity",)
    return (
        f"Sells {percent(policy.trigger_up, 1)} above the anchor ({sold} {of[0]}) and buys "
        f"{percent(policy.trigger_down, 1)} below it ({bought} {of[-1]}), at most "
        f"{percent(policy.max_trade_share, 0)} of equity an order; keeps "
        f"{percent(policy.min_stock_share, 0)} to {percent(policy.max_stock_share, 0)} in stock."
    )

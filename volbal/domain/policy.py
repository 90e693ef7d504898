"""The policy: the parameters of the rule, their bounds, presets and numeric form (SPEC §2)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

from volbal.domain import rule
from volbal.domain.wording import as_fraction
from volbal.errors import InvalidInput

SIZINGS = {
    "proportional": rule.PROPORTIONAL,
    "fixed_percentage": rule.FIXED_PERCENTAGE,
    "original": rule.ORIGINAL,
}
DEFAULT_RATIOS = {"proportional": 1.6667, "fixed_percentage": 0.10, "original": 1.6667}
"""`rebalance_ratio` where it is not given."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a number may lie, as SPEC §2 prints it; round brackets exclude the end."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def contain(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{'>' if self.low_open else '>='} {self.low:g}"
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


OPEN_UNIT = Bounds(0.0, 1.0, low_open=True, high_open=True)
UNIT = Bounds(0.0, 1.0)
NOT_NEGATIVE = Bounds(0.0, math.inf)

BOUNDS: Mapping[str, Bounds] = {
    "trigger_up": OPEN_UNIT,
    "trigger_down": OPEN_UNIT,
    "rebalance_ratio": Bounds(0.0, math.inf, low_open=True),
    "min_stock_share": UNIT,
    "max_stock_share": UNIT,
    "max_trade_share": Bounds(0.0, 1.0, low_open=True),
    "min_notional": NOT_NEGATIVE,
    "lot_size": NOT_NEGATIVE,
    "max_orders_per_day": Bounds(1.0, math.inf),
    "commission_rate": NOT_NEGATIVE,
    "commission_min": NOT_NEGATIVE,
    "slippage": Bounds(0.0, 1.0, high_open=True),
    "withholding_rate": UNIT,
    "cash_rate": NOT_NEGATIVE,
}
BOOLEANS = ("auto_rebalance", "after_hours")
SHORTHANDS = {"trigger_threshold": ("trigger_up", "trigger_down")}
"""One name that sets several fields."""


def _number(name: str, value: object, bounds: Bounds) -> float:
    allowed = f"allowed: {bounds}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidInput(name, f"{value!r} is not a number", allowed)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInput(name, "not a finite number", allowed)
    if not bounds.contain(number):
        hint = f" ({as_fraction(number)})" if bounds.high == 1.0 and number >= 1.0 else ""
        raise InvalidInput(name, f"{value} is out of range", allowed + hint)
    return number


def _whole(value: float) -> int:
    if value != int(value):
        raise InvalidInput(
            "max_orders_per_day", f"{value} is not a whole number", "allowed: 1, 2, 3 …"
        )
    return int(value)


def _boolean(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidInput(name, f"{value!r} is not a boolean", "allowed: true, false")


@dataclass(frozen=True, slots=True)
class Policy:
    """The parameters of the rule. All ratios are fractions; money is in account currency.

    Raises InvalidInput for a value outside SPEC §2's bounds. `rebalance_ratio` not given
    follows the sizing: 1.6667, or 0.10 for fixed_percentage.
    """

    trigger_up: float = 0.03
    trigger_down: float = 0.03
    sizing: str = "proportional"
    rebalance_ratio: float | None = None
    min_stock_share: float = 0.25
    max_stock_share: float = 0.75
    auto_rebalance: bool = True
    max_trade_share: float = 0.20
    min_notional: float = 100.0
    lot_size: float = 0.0
    max_orders_per_day: int = 5
    commission_rate: float = 0.0001
    commission_min: float = 0.0
    slippage: float = 0.0
    withholding_rate: float = 0.25
    cash_rate: float = 0.0
    after_hours: bool = False

    def __post_init__(self) -> None:
        if self.sizing not in tuple(SIZINGS):
            raise InvalidInput(
                "sizing", f"{self.sizing!r} is not a sizing", f"choose one of {', '.join(SIZINGS)}"
            )
        for name in BOOLEANS:
            object.__setattr__(self, name, _boolean(name, getattr(self, name)))
        for name, bounds in BOUNDS.items():
            value = getattr(self, name)
            if name != "rebalance_ratio" or value is not None:
                object.__setattr__(self, name, _number(name, value, bounds))
        object.__setattr__(self, "max_orders_per_day", _whole(self.max_orders_per_day))
        if self.min_stock_share >= self.max_stock_share:
            raise InvalidInput(
                "min_stock_share",
                f"{self.min_stock_share:g} is not below max_stock_share {self.max_stock_share:g}",
                "0 <= min_stock_share < max_stock_share <= 1",
            )
        if self.sizing == "fixed_percentage" and self.ratio > 1.0:
            raise InvalidInput(
                "rebalance_ratio",
                f"{self.ratio:g} of the cash or shares cannot be traded",
                "allowed for fixed_percentage sizing: in (0, 1]",
            )

    @property
    def ratio(self) -> float:
        """`rebalance_ratio`, or the default of the sizing where it is not given."""
        if self.rebalance_ratio is None:
            return DEFAULT_RATIOS[self.sizing]
        return self.rebalance_ratio

    @property
    def order_shares(self) -> tuple[float, float]:
        """What the rule wishes to sell and to buy at its triggers, untrimmed: of equity; of the
        shares and of the cash where sizing is fixed_percentage."""
        terms = self.terms
        high, low = rule.sell_level(1.0, terms), rule.buy_level(1.0, terms)
        # One unit of money, all in shares and all in cash, with an anchor of 1.
        in_stock = rule.Cell(1.0 / high, 0.0, 0.0, 1.0, 0.0)
        in_cash = rule.Cell(0.0, 1.0, 0.0, 1.0, 0.0)
        return -rule.intend(high, in_stock, terms).wish, rule.intend(low, in_cash, terms).wish

    @property
    def terms(self) -> rule.Terms:
        """This policy as the rule reads it."""
        numbers = {name: getattr(self, name) for name in rule.Terms._fields}
        numbers["sizing"] = SIZINGS[self.sizing]
        numbers["rebalance_ratio"] = self.ratio
        return rule.Terms(**{name: float(number) for name, number in numbers.items()})

    def changed(self, changes: Mapping[str, Any]) -> "Policy":
        """This policy with `changes`: field names or `trigger_threshold` to new values."""
        return replace(self, **expand(changes))


FIELDS = tuple(field.name for field in fields(Policy))
SWEEPABLE = tuple(name for name in FIELDS if name != "after_hours")

PRESETS: Mapping[str, Policy] = {
    "conservative": Policy(
        trigger_up=0.05,
        trigger_down=0.05,
        rebalance_ratio=1.2,
        min_stock_share=0.30,
        max_stock_share=0.70,
        max_trade_share=0.10,
    ),
    "standard": Policy(),
    "aggressive": Policy(
        trigger_up=0.02,
        trigger_down=0.02,
        rebalance_ratio=2.0,
        min_stock_share=0.20,
        max_stock_share=0.80,
        max_trade_share=0.30,
    ),
}


def expand(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` with shorthands replaced by the fields they set.

    Raises InvalidInput for a name that is no policy field, and for a field set twice.
    """
    expanded: dict[str, Any] = {}
    for name, value in changes.items():
        for field in SHORTHANDS.get(name, (name,)):
            if field not in FIELDS:
                raise InvalidInput(
                    "policy",
                    f"{name!r} is not a policy field",
                    f"allowed: {', '.join((*SHORTHANDS, *FIELDS))}",
                )
            if field in expanded:
                raise InvalidInput(
                    "policy", f"{field} is set twice", "name it once, alone or by its shorthand"
                )
            expanded[field] = value
    return expanded

"""Policies in requests: the names of SPEC §2 and those of the earlier system, both as fractions."""

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from volbal.api.exact import Number
from volbal.domain.configuration import STANDARD
from volbal.domain.policy import BOUNDS, SHORTHANDS, SIZINGS, Policy
from volbal.errors import InvalidInput

OLDER_NAMES: Final[Mapping[str, str]] = {
    "trigger_threshold_pct": "trigger_threshold",
    "min_stock_alloc_pct": "min_stock_share",
    "max_stock_alloc_pct": "max_stock_share",
    "withholding_tax_rate": "withholding_rate",
    "allow_after_hours": "after_hours",
}
"""Names of the earlier system and what they are called here; the values mean the same."""


def setting(name: str) -> Any:
    """An optional field of a request, described by what the policy allows for `name`."""
    own = OLDER_NAMES.get(name, name)
    field = SHORTHANDS.get(own, (own,))[0]
    default = STANDARD.ratio if field == "rebalance_ratio" else getattr(STANDARD, field)
    older = f"The older name of {own}; default" if own != name else "Default"
    return Field(None, description=f"{older} {default}", json_schema_extra=_schema(field))


def _schema(field: str) -> dict[str, Any]:
    if field == "sizing":
        return {"enum": [*SIZINGS, None]}
    if field not in BOUNDS:
        return {}
    bounds = BOUNDS[field]
    limits = {"exclusiveMinimum" if bounds.low_open else "minimum": bounds.low}
    if not math.isinf(bounds.high):
        limits["exclusiveMaximum" if bounds.high_open else "maximum"] = bounds.high
    return limits | ({"multipleOf": 1} if field == "max_orders_per_day" else {})


class PolicyChanges(BaseModel):
    """Parameters of the rule; what is left out keeps its default. Ratios are fractions."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"trigger_threshold": 0.03, "rebalance_ratio": 1.6667}]},
    )

    trigger_up: Number | None = setting("trigger_up")
    trigger_down: Number | None = setting("trigger_down")
    trigger_threshold: Number | None = setting("trigger_threshold")
    trigger_threshold_pct: Number | None = setting("trigger_threshold_pct")
    sizing: str | None = setting("sizing")
    rebalance_ratio: Number | None = setting("rebalance_ratio")
    min_stock_share: Number | None = setting("min_stock_share")
    max_stock_share: Number | None = setting("max_stock_share")
    min_stock_alloc_pct: Number | None = setting("min_stock_alloc_pct")
    max_stock_alloc_pct: Number | None = setting("max_stock_alloc_pct")
    auto_rebalance: StrictBool | None = setting("auto_rebalance")
    max_trade_share: Number | None = setting("max_trade_share")
    min_notional: Number | None = setting("min_notional")
    lot_size: Number | None = setting("lot_size")
    max_orders_per_day: Number | None = setting("max_orders_per_day")
    commission_rate: Number | None = setting("commission_rate")
    commission_min: Number | None = setting("commission_min")
    slippage: Number | None = setting("slippage")
    withholding_rate: Number | None = setting("withholding_rate")
    withholding_tax_rate: Number | None = setting("withholding_tax_rate")
    cash_rate: Number | None = setting("cash_rate")
    after_hours: StrictBool | None = setting("after_hours")
    allow_after_hours: StrictBool | None = setting("allow_after_hours")


class Guardrails(BaseModel):
    """The part of a policy that the earlier system kept apart."""

    model_config = ConfigDict(extra="forbid")

    min_stock_share: Number | None = setting("min_stock_share")
    max_stock_share: Number | None = setting("max_stock_share")
    min_stock_alloc_pct: Number | None = setting("min_stock_alloc_pct")
    max_stock_alloc_pct: Number | None = setting("max_stock_alloc_pct")
    max_orders_per_day: Number | None = setting("max_orders_per_day")


def sent(*parts: BaseModel | None) -> list[tuple[str, Any]]:
    """The fields that were sent with a value, part by part."""
    return [
        pair
        for part in parts
        if part is not None
        for pair in part.model_dump(exclude_none=True).items()
    ]


def policy(fields: Iterable[tuple[str, Any]]) -> Policy:
    """The standard policy with `fields`; raises InvalidInput with the name that was sent."""
    names: dict[str, str] = {}
    changes: dict[str, Any] = {}
    for name, value in fields:
        own = OLDER_NAMES.get(name, name)
        for field in (own, *SHORTHANDS.get(own, ())):
            if field in names:
                raise InvalidInput(name, f"{names[field]} sets the same", "send one of them")
            names[field] = name
        changes[own] = float(value) if isinstance(value, Decimal) else value
    try:
        return STANDARD.changed(changes)
    except InvalidInput as error:
        raise InvalidInput(names.get(error.field, error.field), *error.args[1:]) from error

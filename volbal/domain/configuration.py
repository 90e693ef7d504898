"""How a position is set: its policy and how strictly it takes its guardrails."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from volbal.domain.policy import FIELDS, Policy
from volbal.domain.wording import short_percent
from volbal.errors import InvalidInput

STANDARD: Final = Policy()

RATIOS: Final = (
    "trigger_up",
    "trigger_down",
    "min_stock_share",
    "max_stock_share",
    "max_trade_share",
    "commission_rate",
    "slippage",
    "withholding_rate",
    "cash_rate",
)
"""Settings that are shares of something: people say them in percent."""

Told = float | int | bool | str
Value = Told | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """strict: a fill that leaves the guardrails is refused instead of recorded and flagged."""

    policy: Policy = STANDARD
    strict: bool = False

    def changed(self, changes: Mapping[str, Any]) -> "Configuration":
        """With `changes`: names of policy fields, `trigger_threshold`, or `strict`.

        Raises InvalidInput.
        """
        strict = changes.get("strict", self.strict)
        if not isinstance(strict, bool):
            raise InvalidInput("strict", f"{strict!r} is not a boolean", "allowed: true, false")
        fields = {name: value for name, value in changes.items() if name != "strict"}
        return replace(self, policy=self.policy.changed(fields), strict=strict)


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs, in words where it was left empty."""

    name: str
    before: Told
    after: Told


def in_words(name: str, value: Told) -> str:
    """The value of a setting as people say it: on or off, words, ratios in percent."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value.replace("_", " ")
    return short_percent(value) if name in RATIOS else f"{value:.10g}"


@dataclass(frozen=True, slots=True)
class ConfigurationRecord:
    """One step of a position's configuration history, numbered 1, 2, 3 … per position."""

    number: int
    configured_at: datetime
    configured_by: str
    note: str
    configuration: Configuration


def difference(before: Configuration, after: Configuration) -> tuple[Change, ...]:
    """What changes from `before` to `after`, in the order of the policy's fields."""
    old, new = settings(before), settings(after)
    return tuple(
        Change(name, _in_force(before, old[name]), _in_force(after, new[name]))
        for name in new
        if old[name] != new[name]
    )


def _in_force(configuration: Configuration, value: Value) -> Told:
    """What an empty setting means: only the ratio can be empty, and then follows the sizing."""
    return f"{configuration.policy.ratio:g} (from sizing)" if value is None else value


def settings(configuration: Configuration) -> dict[str, Value]:
    """Every setting by name."""
    policy = asdict(configuration.policy)
    return {**{name: policy[name] for name in FIELDS}, "strict": configuration.strict}


def to_json(policy: Policy) -> str:
    """The policy as stored."""
    return json.dumps(asdict(policy))


def from_json(text: str) -> Policy:
    """The policy that `to_json` wrote."""
    return Policy(**json.loads(text))

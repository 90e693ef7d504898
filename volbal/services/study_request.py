"""What a study is asked to do, and how that stands in JSON and TOML."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volbal.domain.configuration import STANDARD
from volbal.domain.policy import Policy
from volbal.engine.goals import Constraint, Goal
from volbal.engine.grid import Parameter
from volbal.services.research import Setup

WHOLE_RANGE: Final = Setup()


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """The configuration of a study.

    symbols: each is swept with the same parameters, ranked by itself and pooled. setup: dates,
    capital, stock share, ticks. policy: what the parameters do not sweep. parameters: policy
    fields, `trigger_threshold`, or `ticks` (the tick model; then setup.ticks does not matter).
    max_cells: combinations per symbol above which a sample seeded by `seed` is taken instead.
    split: search on the first 60 % of the range, select on 20 %, keep 20 % in the vault.
    Raises InvalidInput.
    """

    name: str
    symbols: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    goals: tuple[Goal, ...] = (Goal("excess_return"),)
    constraints: tuple[Constraint, ...] = ()
    setup: Setup = WHOLE_RANGE
    policy: Policy = STANDARD
    max_cells: int = 1_000_000
    seed: int = 0
    split: bool = False

    def __post_init__(self) -> None:
        raise NotImplementedError

    @property
    def combinations(self) -> int:
        """Cells of the whole grid per symbol, before sampling."""
        raise NotImplementedError

    @property
    def sampled(self) -> bool:
        """Whether the grid is too large to run whole."""
        return self.combinations > self.max_cells

    def as_mapping(self) -> dict[str, Any]:
        """The request as JSON or TOML holds it; `request_from` reads it back, equal."""
        raise NotImplementedError


def request_from(content: Mapping[str, Any]) -> StudyRequest:
    """The request that `as_mapping` or a user's TOML file wrote. Raises InvalidInput.

    {name, symbols: [...], start, end, capital, stock_share, ticks, pay_lag_days, max_cells, seed,
    split, policy: {field: value}, parameters: {name: {min, max, step} or [values]},
    goals: {metric: weight or {weight, direction}}, constraints: [{metric, kind, value}]}; all but
    symbols and parameters may be left out, unknown names are refused.
    """
    raise NotImplementedError

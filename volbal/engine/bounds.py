"""The bounds of SPEC §2 over many policies at once: which one each of them breaks, and in words."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from volbal.domain.policy import BOUNDS
from volbal.domain.rule import FIXED_PERCENTAGE, Terms
from volbal.engine.paths import Flags, Floats, Ints


class Bound(NamedTuple):
    """One bound. fields: those it is on, the first as `Policy` names it in its refusal; broken:
    what is wrong where it is broken, with a place for each field's name."""

    fields: tuple[str, ...]
    broken: str

    def text(self, name: Callable[[str], str] = str) -> str:
        """What is wrong; name: what a field is called."""
        return self.broken.format(*map(name, self.fields))


EVERY_BOUND = (
    *(Bound((name,), f"{{0}} is not {bounds}") for name, bounds in BOUNDS.items()),
    Bound(("max_orders_per_day",), "{0} is not a whole number"),
    Bound(("min_stock_share", "max_stock_share"), "{0} is not below {1}"),
    Bound(("rebalance_ratio", "sizing"), "{0} is above 1 with {1} fixed_percentage"),
)
"""In the order in which `Policy` looks at them."""


def valid(terms: Floats) -> Flags:
    """Which columns of `terms`, shape (len(Terms._fields), m), keep every bound, shape (m,)."""
    kept: Flags = np.ones(terms.shape[1], dtype=np.bool_)
    for keeps in _kept(terms):
        kept &= keeps
    return kept


def first_broken(terms: Floats) -> Ints:
    """The place in EVERY_BOUND of the first bound that each column of `terms` breaks, shape (m,);
    len(EVERY_BOUND) where it breaks none."""
    found = np.full(terms.shape[1], len(EVERY_BOUND), dtype=np.int64)
    for place, keeps in enumerate(_kept(terms)):
        found[~keeps & (found > place)] = place
    return found


def _kept(terms: Floats) -> Iterator[Flags]:
    """Which columns keep each of EVERY_BOUND."""
    by_name = dict(zip(Terms._fields, terms, strict=True))
    for name, bounds in BOUNDS.items():
        values = by_name[name]
        above = values > bounds.low if bounds.low_open else values >= bounds.low
        yield above & (values < bounds.high if bounds.high_open else values <= bounds.high)
    yield by_name["max_orders_per_day"] == np.floor(by_name["max_orders_per_day"])
    yield by_name["min_stock_share"] < by_name["max_stock_share"]
    yield (by_name["sizing"] != FIXED_PERCENTAGE) | (by_name["rebalance_ratio"] <= 1.0)

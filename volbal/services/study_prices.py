"""What a study runs on: the parts of its range, the paths of its symbols, and their fingerprint."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Literal

import numpy as np

from volbal.engine.paths import Paths
from volbal.errors import InvalidInput
from volbal.market.model import PriceHistory
from volbal.services import market_data
from volbal.services.research import Prepared, prepare
from volbal.services.study_request import StudyRequest
from volbal.storage.database import Database

Part = Literal["whole", "search", "select", "vault"]
"""whole: the range of a study without a split."""

CUTS: Mapping[Part, tuple[float, float]] = {
    "whole": (0.0, 1.0),
    "search": (0.0, 0.6),
    "select": (0.6, 0.8),
    "vault": (0.8, 1.0),
}
LEAST_DAYS = 10
"""Dates of each part of a split range; fewer are no evidence of anything."""


def searched(request: StudyRequest) -> Part:
    """The part that the metrics of every cell are of."""
    return "search" if request.split else "whole"


def histories(database: Database, request: StudyRequest) -> dict[str, PriceHistory]:
    """Prices of every symbol in the range asked for. Raises PriceUnavailable, InvalidInput."""
    setup = request.setup
    return {
        symbol: market_data.history(database, symbol).between(setup.start, setup.end)
        for symbol in request.symbols
    }


def prepared(database: Database, request: StudyRequest, part: Part) -> dict[str, Prepared]:
    """Every symbol laid out for the replay of one part of the range.

    The parts are cut at the same dates for all symbols, so that no symbol's search has seen
    another's vault. Raises PriceUnavailable, InvalidInput.
    """
    known = histories(database, request)
    first, last = _dates(known, part)
    setup = replace(request.setup, start=first, end=last)
    models = request.grid.tick_models
    return {symbol: prepare(history, setup, models) for symbol, history in known.items()}


def _dates(known: Mapping[str, PriceHistory], part: Part) -> tuple[date | None, date | None]:
    if part == "whole":
        return None, None
    days = np.unique(
        np.concatenate(
            [history.bars.index.to_numpy().astype("datetime64[D]") for history in known.values()]
        )
    )
    low, high = (int(cut * len(days)) for cut in CUTS[part])
    if high - low < LEAST_DAYS:
        raise InvalidInput(
            "split",
            f"{len(days)} dates are too few to split",
            f"allowed: at least {5 * LEAST_DAYS}, or no split",
        )
    return days[low].item(), days[high - 1].item()


def fingerprint(paths: Paths) -> str:
    """The same for the same prices and dividends, whatever else of their source has changed."""
    digest = hashlib.sha256()
    for ticks in sorted(paths.by_ticks):
        path = paths.by_ticks[ticks]
        moved = path.dividends
        arrays = (
            path.times, path.price, path.first, path.second, path.walked, moved.per_share,
            moved.ex_tick, moved.pay_tick,
        )  # fmt: skip
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]

"""What a study runs on: the parts of its range, the paths of its symbols, and their fingerprint."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Literal

import numpy as np

from volbal.engine.paths import Paths
from volbal.errors import InvalidInput, VolbalError
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


def histories(
    database: Database, request: StudyRequest, kept: Mapping[str, Any] | None = None
) -> dict[str, PriceHistory]:
    """Prices of every symbol in the range asked for. Raises PriceUnavailable, InvalidInput.

    kept: what the study keeps of its first start; bars that came later are left out.
    """
    setup = request.setup
    found = {}
    for symbol in request.symbols:
        history = market_data.history(database, symbol)
        if kept is not None:
            history = history.between(None, date.fromisoformat(kept[symbol]["as_of"]))
        found[symbol] = history.between(setup.start, setup.end)
    return found


def prepared(
    database: Database,
    request: StudyRequest,
    part: Part,
    kept: Mapping[str, Any] | None = None,
) -> dict[str, Prepared]:
    """Every symbol laid out for the replay of one part of the range.

    The parts are cut at the same dates for all symbols, of the range that all of them have, so
    that no symbol's search has seen another's vault. kept: as in `histories`.
    Raises PriceUnavailable, InvalidInput.
    """
    known = histories(database, request, kept)
    first, last = _dates(known, part)
    setup = replace(request.setup, start=first, end=last)
    models = request.grid.tick_models
    return {symbol: prepare(history, setup, models) for symbol, history in known.items()}


def dates(
    database: Database, request: StudyRequest, part: Part, kept: Mapping[str, Any] | None
) -> tuple[str, str]:
    """First and last date of a part of a split range, of all symbols, ISO. kept: as in
    `histories`. Raises PriceUnavailable, InvalidInput."""
    first, last = _dates(histories(database, request, kept), part)
    return str(first), str(last)


def _dates(known: Mapping[str, PriceHistory], part: Part) -> tuple[date | None, date | None]:
    if part == "whole":
        return None, None
    first = max(history.first_date for history in known.values())
    last = min(history.last_date for history in known.values())
    days = np.unique(
        np.concatenate(
            [history.bars.index.to_numpy().astype("datetime64[D]") for history in known.values()]
        )
    )
    days = days[(days >= np.datetime64(first)) & (days <= np.datetime64(last))]
    low, high = (int(cut * len(days)) for cut in CUTS[part])
    if high - low < LEAST_DAYS:
        raise InvalidInput(
            "split",
            f"{len(days)} dates are too few to split ({_reach(known)})",
            f"allowed: at least {5 * LEAST_DAYS}, or no split",
        )
    return days[low].item(), days[high - 1].item()


def _reach(known: Mapping[str, PriceHistory]) -> str:
    """From when to when each symbol has prices."""
    return ", ".join(
        f"{symbol} {one.first_date} to {one.last_date}" for symbol, one in known.items()
    )


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


class PricesChanged(VolbalError):
    """The stored cells are of other prices than there are now; they cannot be mixed."""

    code = "study_prices_changed"

    def __init__(self, study_id: int, symbol: str) -> None:
        super().__init__(
            f"The prices of {symbol} have changed since study {study_id} began; duplicate it and "
            "start the copy."
        )


def described(prepared: Mapping[str, Prepared], part: Part) -> dict[str, Any]:
    """What the cells of each symbol are of, as the study keeps it from its first start on.

    as_of: session date of the last bar that there was then.
    """
    return {
        symbol: {
            "part": part,
            "first": one.history.first_date.isoformat(),
            "last": one.history.last_date.isoformat(),
            "as_of": one.history.provenance.as_of.isoformat(),
            "fingerprint": fingerprint(one.paths),
            "assumptions": list(one.assumptions),
        }
        for symbol, one in prepared.items()
    }


def require_same(study_id: int, now: Mapping[str, Any], then: Mapping[str, Any] | None) -> None:
    """Raises PricesChanged where a symbol's prices are not those of the first start."""
    for symbol, description in (then or {}).items():
        if now[symbol]["fingerprint"] != description["fingerprint"]:
            raise PricesChanged(study_id, symbol)


def evidence(
    request: StudyRequest, prices: Mapping[str, Any] | None, trials: Mapping[str, int]
) -> tuple[str, ...]:
    """What every screen of results says about them. trials: by symbol the cells ever tried."""
    if prices is None:
        return ()
    told = [
        f"{symbol}: cells run from {one['first']} to {one['last']}."
        for symbol, one in prices.items()
    ]
    if request.split:
        common = " that all symbols have" if len(prices) > 1 else ""
        told.append(f"Split: search on 60 % of the range{common}, select on 20 %, vault 20 %.")
    else:
        told.append("No vault: every cell has seen the whole range.")
    if request.sampled:
        told.append(
            f"A sample of {request.max_cells:,} of {request.combinations:,} combinations "
            f"(Sobol sequence, seed {request.seed})."
        )
    told += (
        f"{trials.get(symbol, 0):,} cells have ever been tried on {symbol}, by deleted studies, "
        "too; what a stored study has tried on the same prices is not counted again."
        for symbol in request.symbols
    )
    assumptions = [text for one in prices.values() for text in one["assumptions"]]
    return (*told, *dict.fromkeys(assumptions))

"""What comes after the search of a split study: its select part, and its vault."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from volbal.domain.wording import listed
from volbal.engine.goals import places, scores
from volbal.engine.grid import evaluate
from volbal.engine.paths import Floats, Ints
from volbal.errors import InvalidInput, VolbalError
from volbal.services import study_life, study_prices
from volbal.services.research import Prepared
from volbal.services.study_prices import Part
from volbal.services.study_ranking import AS_ASKED, Ranking, View, ranked
from volbal.services.study_request import StudyRequest, request_from
from volbal.services.study_table import NAMES, require_cell, rows_of
from volbal.storage.database import Database
from volbal.storage.records import studies as study_rows
from volbal.storage.rows import StoredStudy

SELECTED: Final = 0.01
"""Share of the ranked cells that go on to the select part, besides the peak; at least one."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The best 1 % by plateau on the search part and its peak, ranked again on the select part:
    cell_id, the parameters, search_score, search_plateau, select_score, search_rank, select_rank,
    every metric on the select part.

    Best first by select_rank, NaN and last where a goal is undefined there; constraints are not
    asked again.
    """

    rows: pd.DataFrame
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Vault:
    """What the vault part said of one cell: opened once, metrics per symbol."""

    cell_id: int
    opened_at: datetime
    first: str
    last: str
    metrics: Mapping[str, Mapping[str, float]]


class VaultOpened(VolbalError):
    """The vault of a study says something of one cell only."""

    code = "vault_opened"

    def __init__(self, study_id: int, cell_id: int) -> None:
        super().__init__(
            f"The vault of study {study_id} was opened for cell {cell_id} and is closed to any "
            "other: the best of several would be chosen by luck again."
        )


def selection(database: Database, study_id: int, view: View = AS_ASKED) -> Selection:
    """Raises StudyNotFound, InvalidInput for a study without a split; PricesChanged where the
    prices are no longer those of the search."""
    ranking = ranked(database, study_id, view)
    _require_split(ranking.request)
    cells = _best(ranking)
    prepared = prepared_as_run(database, study_id, "select")
    found = [_metrics(ranking, prepared[symbol], cells) for symbol in ranking.symbols]
    everyone = np.ones(len(cells), dtype=np.bool_)
    score = np.mean([scores(ranking.goals, metrics, everyone) for metrics in found], axis=0)
    rank = places(score).astype(np.float64)
    rank[rank == 0.0] = np.nan
    searched = rows_of(database, ranking, cells)
    columns = {
        "cell_id": searched["cell_id"],
        **{one.name: searched[one.name] for one in ranking.request.parameters},
        "search_score": searched["score"],
        "search_plateau": searched["plateau"],
        "select_score": score,
        "search_rank": searched["rank"],
        "select_rank": rank,
        **{name: np.mean([metrics[name] for metrics in found], axis=0) for name in NAMES},
    }
    frame = pd.DataFrame(columns).sort_values(["select_rank", "search_rank", "cell_id"])
    return Selection(frame.reset_index(drop=True), *_range(prepared))


def _best(ranking: Ranking) -> Ints:
    """The cells that go on: the best by plateau, of equals by score; and the peak."""
    places = ranking.having("feasible")
    order = np.lexsort((ranking.rank[places], -ranking.plateau[places]))  # NaN comes last
    best = ranking.cell_id[places[order[: math.ceil(SELECTED * len(places))]]]
    return best if ranking.peak is None else np.union1d(best, [ranking.peak])


def _metrics(ranking: Ranking, prepared: Prepared, cells: Ints) -> dict[str, Floats]:
    return dict(zip(NAMES, evaluate(ranking.grid, cells, prepared.paths), strict=True))


def open_vault(database: Database, study_id: int, cell_id: int, now: datetime) -> Vault:
    """Simulate one cell on the vault part and stamp it; again for the same cell it gives what is
    stored, for another cell it is refused (VaultOpened).

    Raises StudyNotFound, InvalidInput: no split, or no simulated cell; PricesChanged.
    """
    known = vault(database, study_id)
    if known is not None:
        return _same(study_id, known, cell_id)
    ranking = ranked(database, study_id, AS_ASKED)
    _require_split(ranking.request)
    require_cell(ranking.request, cell_id)
    ranking.grid.cell_policy(cell_id)
    if not len(ranking.places_of(np.array([cell_id]))):
        raise InvalidInput(
            "cell_id", f"cell {cell_id} is not computed", "choose one that the table shows"
        )
    prepared = prepared_as_run(database, study_id, "vault")
    metrics = {
        symbol: {
            name: float(values[0])
            for name, values in _metrics(ranking, one, np.array([cell_id])).items()
        }
        for symbol, one in prepared.items()
    }
    first, last = _range(prepared)
    with database.write() as connection:
        stored = study_life.find(connection, study_id)
        if stored.vault is not None:  # another tab was quicker
            return _same(study_id, _vault(stored.vault), cell_id)
        content = {
            "cell_id": cell_id,
            "opened_at": now.astimezone(UTC).isoformat(),
            "first": first,
            "last": last,
            "metrics": {
                symbol: {name: None if math.isnan(value) else value for name, value in one.items()}
                for symbol, one in metrics.items()
            },
        }
        study_rows.store_vault(connection, study_id, content)
    return _vault(content)


def vault(database: Database, study_id: int) -> Vault | None:
    """What the vault said, None while it is closed. Raises StudyNotFound."""
    with database.read() as connection:
        stored = study_life.find(connection, study_id)
    return None if stored.vault is None else _vault(stored.vault)


def seen_before(database: Database, study_id: int) -> tuple[str, ...]:
    """Where the vault is no news: a sentence for every symbol of which other studies that are
    still there have run cells on dates of the vault, or opened one.

    Raises StudyNotFound, PriceUnavailable, InvalidInput: no split.
    """
    with database.read() as connection:
        stored = study_life.find(connection, study_id)
        others = [one for one in study_rows.all_studies(connection) if one.study_id != study_id]
    request = request_from(stored.request)
    _require_split(request)
    first, last = study_prices.dates(database, request, "vault", stored.prices)
    told = []
    for symbol in request.symbols:
        seen = [str(one.study_id) for one in reversed(others) if _saw(one, symbol, first, last)]
        if seen:
            studies = f"stud{'y' if len(seen) == 1 else 'ies'} {listed(seen)}"
            told.append(f"{symbol} has been run on dates from {first} to {last} by {studies}.")
    return tuple(told)


def _saw(study: StoredStudy, symbol: str, first: str, last: str) -> bool:
    """Has it run a cell of the symbol on one of these dates?"""
    if study.prices is None or symbol not in study.prices:
        return False
    ranges = [study.prices[symbol], *([study.vault] if study.vault else [])]
    return any(one["first"] <= last and first <= one["last"] for one in ranges)


def _vault(content: Mapping[str, Any]) -> Vault:
    return Vault(
        cell_id=content["cell_id"],
        opened_at=datetime.fromisoformat(content["opened_at"]),
        first=content["first"],
        last=content["last"],
        metrics={
            symbol: {name: math.nan if value is None else value for name, value in one.items()}
            for symbol, one in content["metrics"].items()
        },
    )


def _same(study_id: int, opened: Vault, cell_id: int) -> Vault:
    if opened.cell_id != cell_id:
        raise VaultOpened(study_id, opened.cell_id)
    return opened


def prepared_as_run(database: Database, study_id: int, part: Part) -> dict[str, Prepared]:
    """Every symbol laid out for a part of the range, as the cells of the study have seen it.

    Raises StudyNotFound, PriceUnavailable, InvalidInput; PricesChanged where it can no longer be
    had.
    """
    with database.read() as connection:
        stored = study_life.find(connection, study_id)
    request, kept = request_from(stored.request), stored.prices
    searched = study_prices.searched(request)
    prepared = study_prices.prepared(database, request, searched, kept)
    if kept is not None:
        study_prices.require_same(study_id, study_prices.described(prepared, searched), kept)
    return prepared if part == searched else study_prices.prepared(database, request, part, kept)


def _range(prepared: Mapping[str, Prepared]) -> tuple[str, str]:
    """First and last date of all symbols."""
    first = min(one.history.first_date for one in prepared.values())
    last = max(one.history.last_date for one in prepared.values())
    return first.isoformat(), last.isoformat()


def _require_split(request: StudyRequest) -> None:
    if not request.split:
        raise InvalidInput(
            "split", "the study has searched its whole range", "start a copy of it with a split"
        )

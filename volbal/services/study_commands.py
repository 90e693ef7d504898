"""`python -m volbal study …`: one call each, answered in text or JSON."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast, get_args

import pandas as pd

from volbal import jobs
from volbal.config import Settings
from volbal.domain.study_states import Step, StudyState
from volbal.engine.metrics import METRIC, METRICS
from volbal.errors import InvalidInput, VolbalError
from volbal.formatting import metric_text, number, value_text
from volbal.services import studies, study_results, study_runner
from volbal.services.studies import Progress, Study
from volbal.services.study_request import StudyRequest, request_from_toml
from volbal.services.study_results import Counts, Filters, Format, Page, View
from volbal.storage.database import Database, DatabaseBusy
from volbal.storage.session import opened

MAIN_METRICS: Final = ("excess_return", "total_return", "max_drawdown", "fill_count")
"""Shown behind the goals."""

PICTURES: Final = ("png", "svg")

Told = Callable[[Progress], None]
Drawer = Callable[[Database, int, View, str], bytes]
"""The heatmap of a study in a view as a picture: png or svg."""


class StudiesElsewhere(VolbalError):
    """Another process holds the records, and may work on studies itself."""

    code = "database_busy"

    def __init__(self, busy: DatabaseBusy) -> None:
        super().__init__(
            f"{busy} Where that is a running volbal, use its Studies page or end it (Ctrl-C) "
            "first: one process at a time works on the studies of a file."
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a study ran: what is stored is kept."""

    def __init__(self, study_id: int) -> None:
        super().__init__(
            f"Interrupted; what is stored is kept. Go on: python -m volbal study resume {study_id}"
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """How cells are looked at. symbol: None for the only one, or all pooled; sort: a column, the
    best value first; top: rows; cells: only these, all of them. Raises InvalidInput."""

    symbol: str | None = None
    sort: str = "plateau"
    top: int = 10
    cells: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.top < 0:
            raise InvalidInput("top", f"{self.top} is negative", "allowed: >= 0")

    def page(self, database: Database, study_id: int) -> Page:
        """Raises StudyNotFound; InvalidInput also for a cell that is not stored."""
        view = View(symbol=self.symbol)
        if not self.cells:
            return study_results.page(database, study_id, view, sort=self.sort, limit=self.top)
        for cell in self.cells:
            study_results.cell(database, study_id, cell, view)
        only = Filters(values={"cell_id": self.cells})
        most = len(self.cells)
        return study_results.page(
            database, study_id, view, sort=self.sort, limit=most, filters=only
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A study in words: what it is, its best cells as rows of texts (the header first; none
    where no cell is stored), and what is to be known about them."""

    state: StudyState
    head: list[str]
    rows: list[list[str]]
    foot: list[str]


def run(settings: Settings, file: Path, workers: int | None, told: Told) -> Report:
    """Save the study of a TOML file and work on it to its end, in this process.

    told: called whenever cells were stored. Raises InvalidInput, PriceUnavailable,
    StudiesElsewhere, nothing saved; Interrupted.
    """
    _check_workers(workers)
    request = request_from_toml(_text_of(file))
    with _records(settings) as database:
        study_id = studies.create(database, request, datetime.now(UTC)).study_id
        return _worked(database, study_id, Step.START, workers, told)


def resume(settings: Settings, study_id: int, workers: int | None, told: Told) -> Report:
    """Work on an interrupted, cancelled or failed study to its end, in this process.

    told: as for `run`. Raises StudyNotFound, StudyNotStartable, StudyRunning, PricesChanged,
    StudiesElsewhere, Interrupted.
    """
    _check_workers(workers)
    with _records(settings) as database:
        studies.require_same_prices(database, study_id)
        return _worked(database, study_id, Step.RESUME, workers, told)


def _worked(
    database: Database, study_id: int, step: Step, workers: int | None, told: Told
) -> Report:
    def tell(completed: int, total: int) -> None:
        told(studies.progress(database, study_id))

    studies.take(database, study_id, step, datetime.now(UTC))
    with ThreadPoolExecutor(1) as aside:  # Ctrl-C in this thread would break a statement of DuckDB
        run = aside.submit(study_runner.work, database, study_id, workers=workers, told=tell)
        try:
            run.result()
        except KeyboardInterrupt:
            study_runner.let_go(study_id)
            wait([run])
            study_runner.interrupt(database, study_id)
            if studies.get(database, study_id).state is StudyState.INTERRUPTED:
                raise Interrupted(study_id) from None
        finally:
            jobs.shutdown()
    return _report(database, study_id, Shown())


def _check_workers(workers: int | None) -> None:
    if workers is not None and workers < 1:
        raise InvalidInput("workers", f"{workers} is too few", "allowed: >= 1")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("study", f"{file} cannot be read ({error})", "name a file") from None


@contextlib.contextmanager
def _records(settings: Settings) -> Iterator[Database]:
    try:
        with opened(settings) as database:
            yield database
    except DatabaseBusy as busy:
        raise StudiesElsewhere(busy) from busy


def list_rows(settings: Settings) -> list[list[str]]:
    """Every study as a row of texts, the newest first, below the header."""
    with _records(settings) as database:
        found = studies.list_studies(database)
    header = ["ID", "Name", "State", "Symbols", "Created (UTC)", "Cells", "Done"]
    return [header, *map(_row, found)]


def _row(study: Study) -> list[str]:
    request = study.request
    return [
        str(study.study_id),
        request.name,
        study.progress.standing,
        ", ".join(request.symbols),
        f"{study.created_at:%Y-%m-%d %H:%M}",
        f"{study.progress.total:,}",
        _done(study.progress),
    ]


def _done(progress: Progress) -> str:
    """Rounded down: 100 % is said only of what is complete."""
    return f"{math.floor(progress.percentage * 10.0) / 10.0:.1f} %"


def progress_text(progress: Progress) -> str:
    """How far it is, how fast, how long it takes yet."""
    text = f"{progress.completed:,} of {progress.total:,} cells, {_done(progress)}"
    if progress.rate is None or progress.eta_seconds is None:
        return text
    return f"{text}, {progress.rate:,.0f} cells/s, {_duration(progress.eta_seconds)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def report(settings: Settings, study_id: int, shown: Shown) -> Report:
    """Raises StudyNotFound, InvalidInput, StudiesElsewhere."""
    with _records(settings) as database:
        return _report(database, study_id, shown)


def _report(database: Database, study_id: int, shown: Shown) -> Report:
    study = studies.get(database, study_id)
    progress = study.progress
    head = [
        f"Study {study_id}: {progress.standing}, {progress_text(progress)}",
        *([progress.error] if progress.error else []),
        "",
        *toml_lines(study.request),
    ]
    if study.note:
        head += ["", study.note]
    if not progress.completed:
        return Report(study.state, head, [], [])
    view = View(symbol=shown.symbol)
    counts = study_results.counts(database, study_id, view)
    head += ["", *_counted(counts), *_named_cells(database, study, view, counts)]
    rows = _table(database, study, shown)
    return Report(study.state, head, rows, list(study.evidence))


def _counted(counts: Counts) -> list[str]:
    """Where the combinations went that are not in the ranking."""
    lines = [f"{counts.sentence}."]
    if counts.unranked:
        lines.append(f"{counts.unranked:,} unranked: a goal is undefined for them.")
    if counts.invalid:
        lines.append(f"{counts.invalid:,} of {counts.stored:,} combinations invalid, not run.")
    return lines


def toml_lines(request: StudyRequest) -> list[str]:
    """The configuration as `study run` takes it."""
    lines = []
    for name, value in request.as_mapping().items():
        if isinstance(value, Mapping):
            lines += [f"{name}.{key} = {_toml(inner)}" for key, inner in value.items()]
        elif value != []:
            lines.append(f"{name} = {_toml(value)}")
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _named_cells(database: Database, study: Study, view: View, counts: Counts) -> list[str]:
    named = {"Best by plateau": counts.best, "Highest score": counts.peak}
    lines = []
    for name, cell_id in named.items():
        if cell_id is None:
            lines.append(f"{name}: none.")
            continue
        cell = study_results.cell(database, study.study_id, cell_id, view)
        values = ", ".join(f"{one} {value_text(value)}" for one, value in cell.parameters.items())
        lines.append(f"{name}: cell {cell_id}, {values}")
    return lines


def _table(database: Database, study: Study, shown: Shown) -> list[list[str]]:
    page = shown.page(database, study.study_id)
    parameters = [parameter.name for parameter in study.request.parameters]
    goals = [goal.metric for goal in study.request.goals]
    sorted_by = [shown.sort] if shown.sort in METRIC else []
    metrics = list(dict.fromkeys([*sorted_by, *goals, *MAIN_METRICS]))
    header = [
        "Cell", *parameters, "Status", "Rank", "Score", "Plateau", "Fragility",
        *(METRIC[name].label for name in metrics),
    ]  # fmt: skip
    rows = [
        [
            str(row["cell_id"]),
            *(value_text(row[name]) for name in parameters),
            row["status"],
            number(float(row["rank"]), 0),
            *(number(row[name], 3) for name in ("score", "plateau", "fragility")),
            *(metric_text(METRIC[name], row[name]) for name in metrics),
        ]
        for row in page.rows.to_dict("records")
    ]
    return [header, *rows]


def as_json(settings: Settings, study_id: int, shown: Shown) -> dict[str, Any]:
    """The same as `report` with numbers as numbers; undefined is None. total and completed count
    the cells of every symbol, combinations and what follows those of the view, once each.

    Raises StudyNotFound, InvalidInput, StudiesElsewhere.
    """
    view = View(symbol=shown.symbol)
    with _records(settings) as database:
        study = studies.get(database, study_id)
        counts = study_results.counts(database, study_id, view)
        page = shown.page(database, study_id)
    progress = study.progress
    return {
        "study_id": study_id,
        "state": study.state.value,
        "error": progress.error,
        "note": study.note,
        "request": study.request.as_mapping(),
        "total": progress.total,
        "completed": progress.completed,
        "failed": progress.failed,
        "progress_percentage": progress.percentage,
        "combinations": counts.total,
        "computed": counts.stored,
        "invalid": counts.invalid,
        "feasible": counts.feasible,
        "rejected": counts.rejected,
        "unranked": counts.unranked,
        "rejected_by": dict(counts.rejected_by),
        "best": counts.best,
        "peak": counts.peak,
        "trials": dict(study.trials),
        "evidence": list(study.evidence),
        "cells": [_cell_json(study, row) for row in page.rows.to_dict("records")],
    }


def _cell_json(study: Study, row: Mapping[Any, Any]) -> dict[str, Any]:
    def known(value: Any) -> Any:
        return None if pd.isna(value) else value

    return {
        "cell_id": row["cell_id"],
        "parameters": {one.name: row[one.name] for one in study.request.parameters},
        "status": row["status"],
        **{name: known(row[name]) for name in ("rejected_by", *study_results.SCORES)},
        "metrics": {metric.name: known(row[metric.name]) for metric in METRICS},
    }


def cancel_text(settings: Settings, study_id: int) -> str:
    """Mark an interrupted study cancelled, and say how it can go on.

    Raises StudyNotFound, StudyNotStartable, StudiesElsewhere.
    """
    with _records(settings) as database:
        sentence = studies.cancel(database, study_id, datetime.now(UTC)).history[-1].sentence
    return f"{sentence} Go on from there: python -m volbal study resume {study_id}"


def export_text(
    settings: Settings, study_id: int, file: Path, symbol: str | None, draw: Drawer
) -> str:
    """Write every cell, or the map that `draw` makes, to `file`, whole or not at all, in the
    format of its suffix.

    Raises StudyNotFound, InvalidInput, StudiesElsewhere.
    """
    known: tuple[Format, ...] = get_args(Format)
    kind = file.suffix.lower().removeprefix(".")
    if kind not in (*known, *PICTURES):
        raise InvalidInput("file", f"{file.name}", f"end it in .{', .'.join((*known, *PICTURES))}")
    view = View(symbol=symbol)
    with _records(settings) as database:
        if kind in PICTURES:
            content = draw(database, study_id, view, kind)
        else:
            content = study_results.export(database, study_id, cast(Format, kind), view)
    unfinished = file.with_name(f".{file.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InvalidInput("file", f"{file} cannot be written ({error})", "name a file") from None
    return f"Study {study_id} is in {file}."

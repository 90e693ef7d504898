"""A study in words: what it asks, what it costs, where it stands."""

from typing import Final

from volbal.domain.study_states import StudyState
from volbal.domain.wording import duration
from volbal.engine.bounds import EVERY_BOUND
from volbal.engine.grid import Parameter
from volbal.engine.metrics import METRIC
from volbal.formatting import number, percent, value_text
from volbal.services.studies import Estimate, Progress
from volbal.services.study_request import StudyRequest
from volbal.services.study_runner import LONG_SECONDS
from volbal.ui.fields import FIELDS, shown_value
from volbal.ui.log import plain

STATES: Final = {
    StudyState.DRAFT: ("gray", "edit_note"),
    StudyState.RUNNING: ("blue", "progress_activity"),
    StudyState.COMPLETED: ("green", "check_circle"),
    StudyState.FAILED: ("red", "error"),
    StudyState.CANCELLED: ("orange", "cancel"),
    StudyState.INTERRUPTED: ("orange", "power_off"),
}
"""Colour and icon of each state."""

WAITING: Final = ("violet", "hourglass_empty")
"""Of a running study that others are ahead of."""

MOST_NAMED: Final = 4
DAYS_A_YEAR: Final = 365.25
NAMES: Final = ("Sharpe", "Sortino", "Calmar")
"""Of people: they keep their capital within a sentence."""
ARROWS: Final = {"up": "↑", "down": "↓"}


def badge(progress: Progress) -> str:
    """The state as a badge in Markdown."""
    colour, icon = WAITING if progress.ahead else STATES[progress.state]
    return f":{colour}-badge[:material/{icon}: {progress.standing}]"


def symbols_text(symbols: tuple[str, ...]) -> str:
    """All symbols, or the first and how many more."""
    more = len(symbols) - MOST_NAMED
    named = ", ".join(symbols[:MOST_NAMED])
    return plain(named) + (f" and {more} more" if more > 0 else "")


def request_text(request: StudyRequest) -> str:
    """What a study asks, in one line of Markdown."""
    return f"{run_text(request)} · ranked by {goals_text(request)}"


def run_text(request: StudyRequest) -> str:
    """What a study runs, however it is ranked, in one line of Markdown."""
    first, last = request.setup.start or "the first price", request.setup.end or "the last price"
    swept = " × ".join(
        f"{FIELDS[one.name].label.lower()} {span_text(one)}" for one in request.parameters
    )
    vault = "the last 20 % kept in a vault" if request.split else "no vault"
    return f"**{symbols_text(request.symbols)}** · {first} to {last} · {swept} · {vault}"


def span_text(parameter: Parameter) -> str:
    """From its first to its last value, or all of them where they have no order."""
    if parameter.numeric and len(parameter.values) > 1:
        return f"{value_text(parameter.values[0])} to {value_text(parameter.values[-1])}"
    return ", ".join(shown_value(value) for value in parameter.values)


def goals_text(request: StudyRequest) -> str:
    """The goals with their directions, and weights where there are several."""
    several = len(request.goals) > 1
    return ", ".join(
        f"{within(METRIC[goal.metric].label)} "
        f"{ARROWS[goal.direction or METRIC[goal.metric].direction or 'up']}"
        + (f" (weight {value_text(goal.weight)})" if several else "")
        for goal in request.goals
    )


def within(label: str) -> str:
    """A label within a sentence; names and abbreviations stay as they are."""
    return label if label.startswith(NAMES) else label[:1].lower() + label[1:]


def count_text(request: StudyRequest, found: Estimate) -> str:
    """How many combinations, of what, and how long they take."""
    factors = " × ".join(f"{len(parameter.values):,}" for parameter in request.parameters)
    product = f" = {factors}" if len(request.parameters) > 1 else ""
    plural = "" if found.combinations == 1 else "s"
    told = [f"**{found.combinations:,} combination{plural}**{product}"]
    if found.sampled:
        told.append(f"a Sobol sample of {request.max_cells:,} of them, seed {request.seed}")
    if len(request.symbols) > 1:
        told.append(f"{len(request.symbols)} symbols: {found.total:,} cells")
    if found.invalid:
        about = "about " if found.sampled else ""
        why = broken_text(request, found)
        told.append(f"{about}{found.valid:,} valid, {found.invalid:,} invalid: {why}")
    load = " while the computer is as busy as now" if found.seconds >= LONG_SECONDS else ""
    return " · ".join((*told, f"about {seconds_text(found.seconds)}{load}"))


def broken_text(request: StudyRequest, found: Estimate) -> str:
    """Which bounds the invalid cells break, with their numbers where there are several."""
    grid, several = request.grid, len(found.broken) > 1
    return ", ".join(
        (f"{count:,} where " if several else "")
        + plain(EVERY_BOUND[place].text(lambda name: within(FIELDS[grid.swept_as(name)].label)))
        for place, count in found.broken
    )


def short_text(request: StudyRequest, found: Estimate) -> str:
    """That cells run over few dates, which, and what to do; empty where they do not."""
    if not found.is_short:
        return ""
    years = number((found.last - found.first).days / DAYS_A_YEAR, 1)
    part, remedy = "cells run over", "an earlier start, a later end or symbols with longer prices"
    if request.split:
        part, remedy = "the search part is", f"{remedy}, or no vault"
    return (
        f"Only {years} years: {part} {found.first} to {found.last}, so the best cell is mostly "
        f"luck. Choose {remedy}."
    )


def seconds_text(seconds: float) -> str:
    """A span of time to wait for."""
    if seconds < 1.0:
        return "a second"
    return duration(seconds) if seconds < 120.0 else f"{number(seconds / 60.0, 0)} min"


def progress_text(progress: Progress) -> str:
    """How far a running study is, how quick, and how long it will take."""
    if progress.ahead:
        plural = "study is" if progress.ahead == 1 else "studies are"
        return f"Waiting: {progress.ahead} {plural} ahead of it"
    told = [f"{part_text(progress)} · {progress.completed:,} of {progress.total:,} cells"]
    if progress.rate is not None:
        told.append(f"{number(progress.rate, 0)} cells a second")
    if progress.eta_seconds is not None:
        told.append(f"{seconds_text(progress.eta_seconds)} left")
    return " · ".join(told)


def part_text(progress: Progress) -> str:
    """The share of cells that are completed; never rounded up to all of them."""
    return percent(int(progress.percentage * 10.0) / 1000.0, 1)


def ended_text(progress: Progress) -> str:
    """What a study that does not run has, or would have."""
    if progress.state is StudyState.DRAFT:
        return f"{progress.total:,} cells to run"
    told = f"{progress.completed:,} of {progress.total:,} cells"
    invalid = f", {progress.invalid:,} of them invalid" if progress.invalid else ""
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    return f"{told}{invalid}{failed}"

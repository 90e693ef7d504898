"""The life of a study, as one table."""

from enum import StrEnum

from volbal.errors import VolbalError


class StudyState(StrEnum):
    """Where a study stands. RUNNING includes the wait for the studies before it.

    INTERRUPTED: the process that worked on it is gone; what it stored is kept.
    """

    DRAFT = "draft"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Step(StrEnum):
    """What can happen to a study."""

    CHANGE = "change"
    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    INTERRUPT = "interrupt"
    RESUME = "resume"


TABLE: dict[StudyState, dict[Step, StudyState]] = {
    StudyState.DRAFT: {Step.CHANGE: StudyState.DRAFT, Step.START: StudyState.RUNNING},
    StudyState.RUNNING: {
        Step.COMPLETE: StudyState.COMPLETED,
        Step.FAIL: StudyState.FAILED,
        Step.CANCEL: StudyState.CANCELLED,
        Step.INTERRUPT: StudyState.INTERRUPTED,
    },
    StudyState.COMPLETED: {},
    StudyState.FAILED: {Step.RESUME: StudyState.RUNNING},
    StudyState.CANCELLED: {Step.RESUME: StudyState.RUNNING},
    StudyState.INTERRUPTED: {
        Step.RESUME: StudyState.RUNNING,
        Step.CANCEL: StudyState.CANCELLED,
    },
}
"""A completed study is never run again: it is duplicated, and the copy is run."""


class StudyNotStartable(VolbalError):
    """What was asked does not follow from where the study stands."""

    code = "study_not_startable"

    def __init__(self, study_id: int, state: StudyState, step: Step) -> None:
        super().__init__(f"Study {study_id} is {state}: {REFUSED[step]}. {REMEDIES[state]}.")


REFUSED = {
    Step.CHANGE: "only a draft can be changed",
    Step.START: "only a draft can be started",
    Step.CANCEL: "there is nothing to cancel",
    Step.RESUME: "there is nothing to resume",
    **dict.fromkeys((Step.COMPLETE, Step.FAIL, Step.INTERRUPT), "nothing works on it"),
}
_COPY = "duplicate it and start the copy to run it anew"
REMEDIES = {
    StudyState.DRAFT: "Change or start it",
    StudyState.COMPLETED: f"Look at its results, or {_COPY}",
    StudyState.FAILED: f"Resume it, or {_COPY}",
    StudyState.CANCELLED: f"Resume it, or {_COPY}",
    StudyState.INTERRUPTED: f"Resume or cancel it, or {_COPY}",
}
"""Why a step is refused, and what can be done instead."""


class StudyRunning(VolbalError):
    """The study is being worked on: cancel it first."""

    code = "study_running"

    def __init__(self, study_id: int, what: str) -> None:
        super().__init__(
            f"Study {study_id} is running and cannot be {what}; cancel it first: on the Studies "
            "page where the app runs it, with Ctrl-C where a command does."
        )


DONE = {
    Step.CHANGE: "changed",
    Step.START: "started again",
    Step.RESUME: "resumed",
}


def after(study_id: int, state: StudyState, step: Step) -> StudyState:
    """The state that `step` leads to; raises StudyNotStartable, StudyRunning."""
    if step not in TABLE[state]:
        if state is StudyState.RUNNING:
            raise StudyRunning(study_id, DONE[step])
        raise StudyNotStartable(study_id, state, step)
    return TABLE[state][step]

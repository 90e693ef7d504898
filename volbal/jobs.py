"""Work in parallel: the chunks of a grid on all cores or a Dask cluster.

The only importer of joblib and distributed.
"""

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

import numpy as np

from volbal.engine.grid import Chunk, Grid, chunks, evaluate
from volbal.engine.paths import Floats, Ints, Paths
from volbal.errors import VolbalError

SMALL = 300_000_000
"""Bar-steps below which threads of this process finish before worker processes have started."""

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
ASK_SECONDS = 0.2
SILENT_SECONDS = 300
"""After so long without any chunk from a cluster it is given up: joblib does not hear of every
error there."""
MOST_DEATHS = 5
"""Deaths of workers in a row, without a task done between them, after which it is given up."""


class WorkersLost(VolbalError):
    """Worker processes die again and again, as where memory is short."""

    code = "workers_lost"

    def __init__(self, deaths: int, cause: BaseException) -> None:
        super().__init__(
            f"{deaths} times in a row a worker process died before it finished anything "
            f"({type(cause).__name__}); free memory or give fewer workers, then resume."
        )


class DaskUnavailable(VolbalError):
    """The Dask cluster that VOLBAL_DASK_SCHEDULER names cannot be used."""

    code = "dask_unavailable"

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(
            f"VOLBAL_DASK_SCHEDULER is {address}: {problem}. Start the cluster (see the README) "
            "and resume, or unset it to work on this machine."
        )


class TaskFailed(Exception):
    """A task raised an error: a bug, or a worker that lacks what it needs."""

    def __init__(self, cells: int, problem: str) -> None:
        super().__init__(cells, problem)
        self.cells = cells
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class Task(NamedTuple):
    """Cells of a grid to simulate on `paths`; key: what the caller knows it by."""

    key: int
    grid: Grid
    cells: Ints
    paths: Paths


def evaluate_tasks(
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    dask: str = "",
    given_up: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, Floats], None, None]:
    """Yield the key and the metrics of every task, as they get ready, in any order.

    Little work runs in threads of this process (the kernel releases the interpreter lock), more
    in loky worker processes, or in the workers of the Dask scheduler at `dask`. Where it runs and
    with how many workers changes no bit of the results. Tasks of a worker that dies are done by
    another one. Closing the iterator cancels what has not started. It ends early once `given_up()`
    is true while it waits for a cluster, which may have lost all its workers. Raises TaskFailed,
    WorkersLost, DaskUnavailable.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    left = {task.key: task for task in tasks}
    deaths = 0
    while left:
        waiting = list(left.values())
        try:
            with _placed(waiting, workers, dask, given_up) as options:
                for key, values in _in_parallel(waiting, options):
                    del left[key]
                    deaths = 0
                    yield key, values
        except (BrokenProcessPool, CancelledError) as error:
            if given_up():
                return
            deaths += 1  # what was in hand is done again
            if deaths == MOST_DEATHS:
                raise WorkersLost(deaths, error) from error
        except TimeoutError as error:
            raise DaskUnavailable(dask, f"no chunk came for {SILENT_SECONDS} s") from error


def _in_parallel(tasks: Sequence[Task], options: Mapping[str, Any]) -> Iterator[tuple[int, Floats]]:
    from joblib import Parallel, delayed

    parallel = Parallel(
        return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs", **options
    )
    found = parallel(delayed(_evaluate_task)(task) for task in tasks)
    try:
        for one in found:  # noqa: UP028  "yield from" would close it before `finally` is reached
            yield one
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that work was cancelled is no news here
            found.close()


def _evaluate_task(task: Task) -> tuple[int, Floats]:
    try:
        return task.key, evaluate(task.grid, task.cells, task.paths)
    except Exception as error:
        raise TaskFailed(len(task.cells), f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _placed(
    tasks: Sequence[Task], workers: int | None, dask: str, given_up: Callable[[], bool]
) -> Iterator[dict[str, Any]]:
    """Where the tasks run, as arguments of joblib.Parallel."""
    from joblib import parallel_config

    steps = sum(len(task.cells) * task.paths.steps for task in tasks)
    number = {"n_jobs": workers or os.cpu_count() or 1}
    if dask:
        # Only this way joblib finds its dask backend by name.
        with (
            _cluster(dask) as client,
            _cancelling(client, given_up),
            parallel_config(backend="dask", client=client),
        ):
            yield {"timeout": SILENT_SECONDS}
    elif steps <= SMALL:
        yield {"backend": "threading", **number}
    else:
        yield {
            "backend": "loky", "initializer": _obey_parent, "initargs": (os.getpid(),), **number
        }  # fmt: skip


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """A connection to the Dask scheduler."""
    try:
        from distributed import Client
    except ImportError:
        raise DaskUnavailable(address, "the package is missing (pip install distributed)") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]  # its stubs are partial
    except (OSError, ValueError, TimeoutError) as error:
        raise DaskUnavailable(address, f"no scheduler answers there ({error})") from error
    try:
        _require_volbal(client, address)
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]  # the same


def _require_volbal(client: Any, address: str) -> None:
    """A worker is there, and it and the scheduler have what the tasks need."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise DaskUnavailable(address, "the scheduler has no workers") from error
    try:
        client.submit(_answer, pure=False).result(timeout=ANSWER_SECONDS)
    except Exception as error:
        cause = str(error).partition("\n")[0] or type(error).__name__
        problem = f"it cannot run volbal, which scheduler and workers need to import ({cause})"
        raise DaskUnavailable(address, problem) from error


def _answer() -> None:
    """In a worker: this module is there."""


@contextlib.contextmanager
def _cancelling(client: Any, given_up: Callable[[], bool]) -> Iterator[None]:
    """Cancel all work of the cluster's client once it is given up."""
    from distributed import Future

    over = threading.Event()

    def watch() -> None:
        while not over.wait(ASK_SECONDS):
            if given_up():
                work: list[Any] = [Future(key, client) for key in list(client.futures)]
                client.cancel(work, force=True)

    watching = threading.Thread(target=watch, name="volbal-cluster", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def evaluate_grid(
    grid: Grid, paths: Paths, workers: int | None = None
) -> Iterator[tuple[Chunk, Floats]]:
    """Yield every chunk of the grid with its metrics, as they get ready; see `evaluate_tasks`."""
    pieces = chunks(len(grid), paths)
    tasks = [
        Task(key, grid, np.arange(piece.start, piece.stop), paths)
        for key, piece in enumerate(pieces)
    ]
    for key, values in evaluate_tasks(tasks, workers=workers):
        yield pieces[key], values


def _obey_parent(parent: int) -> None:
    """In a worker: end when the process that started it is gone, even by kill -9.

    Ctrl-C in a terminal reaches the workers too; what it means is for the parent to say.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # whoever looks at a screen comes first

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def shutdown() -> None:
    """End the worker processes, if any."""
    from joblib.externals.loky import reusable_executor

    if reusable_executor._executor is not None:
        reusable_executor._executor.shutdown(wait=True, kill_workers=True)

"""Work in parallel: the chunks of a grid on all cores. The only importer of joblib."""

import os
import threading
import time
from collections.abc import Iterator

import numpy as np

from volbal.engine.grid import Chunk, Grid, chunks, evaluate
from volbal.engine.paths import Floats, Paths

SMALL = 300_000_000
"""Bar-steps below which threads of this process finish before worker processes have started."""


def evaluate_grid(
    grid: Grid, paths: Paths, workers: int | None = None
) -> Iterator[tuple[Chunk, Floats]]:
    """Yield every chunk of the grid with its metrics, as they get ready, in any order.

    A small grid runs in threads of this process (the kernel releases the interpreter lock), a
    large one in loky worker processes. Neither way nor the number of workers changes a bit of
    the results. Closing the iterator cancels what has not started.
    """
    from joblib import Parallel, delayed

    pieces = chunks(len(grid), paths)
    small = len(grid) * paths.steps <= SMALL
    parallel = Parallel(
        n_jobs=workers or os.cpu_count() or 1,
        backend="threading" if small else "loky",
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="2*n_jobs",
        **({} if small else {"initializer": _die_with_parent, "initargs": (os.getpid(),)}),
    )
    yield from parallel(delayed(_evaluate_with_chunk)(grid, piece, paths) for piece in pieces)


def _evaluate_with_chunk(grid: Grid, chunk: Chunk, paths: Paths) -> tuple[Chunk, Floats]:
    return chunk, evaluate(grid, np.arange(chunk.start, chunk.stop), paths)


def _die_with_parent(parent: int) -> None:
    """In a worker: end when the process that started it is gone, even by kill -9."""

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

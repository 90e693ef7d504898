"""Work in parallel: the chunks of a grid on all cores. The only importer of joblib."""

import os
import threading
import time
from collections.abc import Iterator

from volbal.engine.grid import Chunk, Grid, chunks, evaluate
from volbal.engine.paths import Floats, PricePath

SMALL = 300_000_000
"""Bar-steps below which threads of this process finish before worker processes have started."""


def evaluate_grid(
    grid: Grid, path: PricePath, shares: float, cash: float, workers: int | None = None
) -> Iterator[tuple[Chunk, Floats]]:
    """Yield every chunk of the grid with its metrics, as they get ready, in any order.

    A small grid runs in threads of this process (the kernel releases the interpreter lock), a
    large one in loky worker processes. Neither way nor the number of workers changes a bit of
    the results. Closing the iterator cancels what has not started.
    """
    from joblib import Parallel, delayed

    pieces = chunks(len(grid), path.ticks)
    small = len(grid) * path.ticks <= SMALL
    parallel = Parallel(
        n_jobs=workers or os.cpu_count() or 1,
        backend="threading" if small else "loky",
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="2*n_jobs",
        **({} if small else {"initializer": _die_with_parent, "initargs": (os.getpid(),)}),
    )
    yield from parallel(
        delayed(_evaluate_with_chunk)(grid, piece, path, shares, cash) for piece in pieces
    )


def _evaluate_with_chunk(
    grid: Grid, chunk: Chunk, path: PricePath, shares: float, cash: float
) -> tuple[Chunk, Floats]:
    return chunk, evaluate(grid, chunk, path, shares, cash)


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

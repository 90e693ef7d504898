"""A lock that serves threads in the order they came."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator


class Line:
    """First come, first served; knows how many wait, which is what keeps a lease open."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """Threads behind the one whose turn it is."""
        with self._changed:
            return max(len(self._line) - 1, 0)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The block runs alone."""
        ticket = object()
        try:
            with self._changed:
                self._line.append(ticket)
                self._changed.wait_for(lambda: self._line[0] is ticket)
            yield
        finally:
            with self._changed:
                self._line.remove(ticket)  # also of a thread that gave up waiting
                self._changed.notify_all()

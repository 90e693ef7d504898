import signal
import sys
import threading
import time

import pytest

from volbal.storage.line import Line


def wait_until_waiting(line: Line, threads: int) -> None:
    while line.waiting < threads:
        time.sleep(0.001)


def test_threads_are_served_in_the_order_they_came():
    line, served = Line(), []

    def join(number: int) -> None:
        with line.turn():
            served.append(number)

    threads = [threading.Thread(target=join, args=(number,)) for number in range(8)]
    with line.turn():
        for number, thread in enumerate(threads):
            thread.start()
            wait_until_waiting(line, number + 1)
    for thread in threads:
        thread.join()
    assert served == list(range(8))


def test_the_one_whose_turn_it_is_does_not_count_as_waiting():
    line = Line()
    assert line.waiting == 0
    with line.turn():
        assert line.waiting == 0


def test_an_exception_in_the_block_lets_the_next_one_in():
    line = Line()
    with pytest.raises(KeyboardInterrupt), line.turn():
        raise KeyboardInterrupt
    with line.turn():
        assert line.waiting == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs setitimer")
def test_a_thread_interrupted_while_it_waits_leaves_the_line():
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    line, inside, leave = Line(), threading.Event(), threading.Event()

    def hold() -> None:
        with line.turn():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt), line.turn():
            raise AssertionError("the turn belongs to the other thread")
    finally:
        signal.signal(signal.SIGALRM, before)
        leave.set()
        thread.join()
    with line.turn():
        assert line.waiting == 0

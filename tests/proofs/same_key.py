"""Proof: many threads with one key make one order."""

import threading
from concurrent.futures import ThreadPoolExecutor

from books import NOW, a_cell

from volbal.domain.configuration import Configuration
from volbal.domain.orders import IdempotencyConflict
from volbal.domain.policy import Policy
from volbal.services import trading
from volbal.services.trading import Submission
from volbal.storage.database import Database

THREADS = 50


def prove(database: Database, rounds: int) -> None:
    """`rounds` times: 50 threads submit one key at once; then somebody sends another order."""
    unlimited = Configuration(Policy(max_orders_per_day=10 * rounds))
    position_id = a_cell(database, configuration=unlimited).position_id
    made = set()
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(rounds):
            answers = _at_once(pool, database, position_id, f"key {number}")
            assert len({answer.order.order_id for answer in answers}) == 1
            assert sorted(answer.replayed for answer in answers) == [False] + [True] * 49
            made.add(answers[0].order.order_id)
            _require_conflict(database, position_id, f"key {number}")
    stored = trading.list_orders(database, position_id)
    assert {order.order_id for order in stored} == made
    assert len(stored) == rounds


def _at_once(
    pool: ThreadPoolExecutor, database: Database, position_id: int, key: str
) -> list[Submission]:
    start = threading.Barrier(THREADS)

    def submit(_: int) -> Submission:
        start.wait()
        return trading.submit(database, position_id, key=key, side="BUY", quantity="1.5", now=NOW)

    return list(pool.map(submit, range(THREADS)))


def _require_conflict(database: Database, position_id: int, key: str) -> None:
    try:
        trading.submit(database, position_id, key=key, side="BUY", quantity="1.6", now=NOW)
    except IdempotencyConflict:
        return
    raise AssertionError(f"{key} took a second order")

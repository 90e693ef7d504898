"""Proof: `kill -9` under load loses nothing acknowledged, doubles nothing, leaves nothing half.

A child process submits and fills orders in several threads and tells its parent what it is about
to do and what was acknowledged. It is killed at a random moment; the next child first sends again
whatever was in flight.
"""

import contextlib
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from unittest.mock import patch

from books import NOW, a_cell

from volbal.domain.configuration import Configuration
from volbal.domain.policy import Policy
from volbal.services import positions, trading, verify
from volbal.storage.database import Database

THREADS = 3
CASH = Decimal(1_000_000)
PRICE, QUANTITY, FEE = Decimal("1.01"), Decimal("0.125"), Decimal("0.01")
COST = Decimal("0.126250") + FEE  # 0.125 · 1.01, exact

CHILDREN = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
"""Where it can be, children are forked from a process that has imported this module already."""


@dataclass
class Told:
    """What the children said: keys begun, and what was acknowledged for them."""

    begun: set[str] = field(default_factory=set)
    orders: dict[str, int] = field(default_factory=dict)
    fills: dict[str, int] = field(default_factory=dict)

    @property
    def in_flight(self) -> list[str]:
        return sorted(self.begun - set(self.fills))

    def hear(self, line: str) -> None:
        word, key, number = line.split()
        if word == "begin":
            self.begun.add(key)
        known = {"order": self.orders, "fill": self.fills}.get(word)
        if known is not None:
            assert known.setdefault(key, int(number)) == int(number), f"{key} was doubled"


@dataclass(frozen=True)
class Result:
    """How often it was killed, what survived, and the slowest start after a kill in seconds."""

    kills: int
    orders: int
    in_flight: int
    slowest_open: float


def prove(folder: Path, kills: int, seed: int) -> Result:
    """Kill a working child `kills` times; every time, open the ledger again and check it."""
    chance = random.Random(seed)
    path = folder / "volbal.duckdb"
    _make(path)
    _import_once()
    told, slowest, in_flight = Told(), 0.0, 0
    for number in range(kills):
        _run_and_kill(path, told, number, chance)
        in_flight += len(told.in_flight)
        slowest = max(slowest, _check(path, told))
    assert len(told.fills) >= kills * 4 // 5, "the children hardly worked"
    return Result(kills, len(told.orders), in_flight, slowest)


def _make(path: Path) -> None:
    database = Database(path, timeout=20.0)
    database.open()
    unlimited = Configuration(Policy(max_orders_per_day=10**9))
    a_cell(database, quantity=0, cash=CASH, configuration=unlimited)
    database.close()


def _import_once() -> None:
    """Start the process that children are forked from; only its environment tells it the path."""
    if sys.platform == "win32":
        return
    CHILDREN.set_forkserver_preload([__name__])
    with patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(sys.path)}):
        forkserver.ensure_running()


def _run_and_kill(path: Path, told: Told, number: int, chance: random.Random) -> None:
    """Kill a child at a random moment: every fifth while it starts, the others at work."""
    hearing, telling = CHILDREN.Pipe(duplex=False)
    child = CHILDREN.Process(target=work, args=[path, told.in_flight, number, telling])
    child.start()
    telling.close()
    heard: list[str] = []
    listener = Thread(target=_listen, args=[hearing, heard])
    listener.start()
    if number % 5:
        _wait_for_work(child, heard)
    time.sleep(chance.uniform(0, 0.6 if number % 5 else 0.2))
    assert child.is_alive(), "the child ended by itself"
    child.kill()
    child.join()
    listener.join()
    for line in heard:
        told.hear(line)


def _listen(hearing: Connection, heard: list[str]) -> None:
    with hearing, contextlib.suppress(EOFError):
        while True:
            heard.append(hearing.recv())


def _wait_for_work(child: BaseProcess, heard: list[str]) -> None:
    deadline = time.monotonic() + 60
    while child.is_alive() and time.monotonic() < deadline:
        if any(line.startswith("fill ") for line in heard):
            return
        time.sleep(0.002)


def _check(path: Path, told: Told) -> float:
    """Nothing lost, doubled, half or unbalanced; returns the seconds that opening took."""
    began = time.monotonic()
    database = Database(path, timeout=20.0)
    database.open()
    took = time.monotonic() - began
    assert verify.verify(database) == []
    stored = {order.key: order for order in trading.list_orders(database, 1)}
    fills = {fill.key: fill for fill in trading.list_fills(database, 1)}
    position = positions.find_position(database, 1)
    story = [event.type for event in positions.events(database, 1, limit=10**9)]
    database.close()
    for key, order_id in told.orders.items():
        assert stored[key].order_id == order_id, f"acknowledged order {key} was lost"
    for key, fill_id in told.fills.items():
        assert fills[key].fill_id == fill_id, f"acknowledged fill {key} was lost"
    assert set(stored) <= told.begun
    assert position.balance.quantity == len(fills) * QUANTITY
    assert position.balance.cash == CASH - len(fills) * COST
    assert story.count("submission") == len(stored)
    assert story.count("fill") == len(fills)
    return took


def work(path: Path, in_flight: list[str], number: int, telling: Connection) -> None:
    """The child: repeat what was in flight, then make new orders until killed."""
    database = Database(path, timeout=20.0)
    database.open()
    threads = [
        Thread(
            target=_work,
            args=[database, in_flight[index::THREADS], f"{number}-{index}", telling.send],
        )
        for index in range(THREADS)
    ]
    with contextlib.nullcontext() if number % 4 == 1 else database.lease():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


Say = Callable[[str], None]
"""One system call a sentence: those of several threads do not mix and are out at once."""


def _work(database: Database, again: list[str], name: str, say: Say) -> None:
    for key in again:
        _order_and_fill(database, key, say)
    for number in range(10**9):
        _order_and_fill(database, f"{name}-{number}", say)


def _order_and_fill(database: Database, key: str, say: Say) -> None:
    say(f"begin {key} 0")
    order = trading.submit(database, 1, key=key, side="BUY", quantity=QUANTITY, now=NOW).order
    say(f"order {key} {order.order_id}")
    filled = trading.fill(
        database,
        order.order_id,
        price=PRICE,
        quantity=QUANTITY,
        commission=FEE,
        key=key,
        now=NOW,
    )
    say(f"fill {key} {filled.fill.fill_id}")

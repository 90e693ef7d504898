"""Proof: whatever storage call of a use case fails, nothing has happened and a retry works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from inspect import getmembers, isfunction

import pytest
from books import DAY, NOW, a_cell, at, contents

from volbal.domain.ledger import Refused
from volbal.domain.policy import Policy
from volbal.services import income, positions, settings, trading, verify
from volbal.storage import records
from volbal.storage.database import Database

STATEMENTS = [
    name
    for name, function in getmembers(records, isfunction)
    if not name.startswith("_") and function.__module__.startswith(records.__name__)
]
EX = (NOW + DAY).date()


class Broken(Exception):
    """Stands for a full disk, a lost file, a bug: anything at all."""


@contextmanager
def breaking(patch: pytest.MonkeyPatch, number: int, *, after: bool) -> Iterator[None]:
    """The storage call `number` (1 is the first) raises, before or after doing its work."""
    calls = 0

    def wrapped(original: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            if calls == number and not after:
                raise Broken
            result = original(*given, **named)
            if calls == number:
                raise Broken
            return result

        return call

    with patch.context() as patched:
        for name in STATEMENTS:
            patched.setattr(records, name, wrapped(getattr(records, name)))
        yield


def a_cell_with_everything(database: Database) -> int:
    """Order 1 filled, order 2 open in position 1; dividend 1 accrued; 2 closed; 3 without price."""
    position_id = a_cell(database, anchor_price=None).position_id
    trading.evaluate(database, position_id, at(100), NOW)
    income.announce(database, position_id, ex_on=EX, pay_on=LATER.date(), per_share=1, now=NOW)
    submitted(database, "filled")
    trading.fill(database, 1, price=100, quantity=1, key="f", now=NOW)
    income.accrue(database, position_id, NOW + DAY)
    submitted(database, "open")
    positions.close_position(database, a_cell(database).position_id, NOW)
    a_cell(database, anchor_price=None)
    settings.configure(database, position_id, {"trigger_up": 0.04}, by="ann", now=NOW)
    return position_id


def submitted(database: Database, key: str) -> object:
    return trading.submit(database, 1, key=key, side="BUY", quantity=1, now=NOW + DAY)


LATER = NOW + 3 * DAY
USE_CASES: dict[str, Callable[[Database], object]] = {
    "open a position": a_cell,
    "submit": lambda db: submitted(db, "new"),
    "submit with a used key": lambda db: trading.submit(
        db, 1, key="open", side="SELL", quantity=1, now=LATER
    ),
    "fill a part": lambda db: trading.fill(
        db, 2, price=99, quantity="0.5", commission=1, key="g", now=LATER
    ),
    "fill the whole": lambda db: trading.fill(db, 2, price=99, quantity=1, now=LATER),
    "overfill": lambda db: trading.fill(db, 2, price=99, quantity=2, now=LATER),
    "cancel": lambda db: trading.cancel(db, 2, LATER),
    "reject": lambda db: trading.reject(db, 2, "no", LATER),
    "evaluate, pay a dividend": lambda db: trading.evaluate(db, 1, at(97), LATER),
    "evaluate a suspect price": lambda db: trading.evaluate(db, 1, at(9), LATER),
    "evaluate a first price": lambda db: trading.evaluate(db, 3, at(9), LATER),
    "deposit": lambda db: positions.deposit(db, 1, 5, LATER),
    "withdraw": lambda db: positions.withdraw(db, 1, 5, LATER),
    "withdraw too much": lambda db: positions.withdraw(db, 1, 10**6, LATER),
    "set the anchor": lambda db: positions.set_anchor(db, 1, 90, LATER),
    "adjust": lambda db: positions.adjust(db, 1, quantity=1, cash=-1, note="why", now=LATER),
    "close with an open order": lambda db: positions.close_position(db, 1, LATER),
    "reopen": lambda db: positions.reopen_position(db, 2, LATER),
    "configure": lambda db: settings.configure(db, 1, {"strict": True}, by="ann", now=LATER),
    "roll back": lambda db: settings.roll_back(db, 1, 1, by="ann", now=LATER),
    "apply a policy": lambda db: settings.apply_policy(
        db, 1, replace(Policy(), trigger_up=0.07), by="ann", note="study", now=LATER
    ),
    "save a preset": lambda db: settings.save_preset(db, "mine", Policy(), LATER),
    "announce": lambda db: income.announce(db, 1, ex_on=LATER.date(), per_share="0.5", now=LATER),
    "accrue": lambda db: income.accrue(db, 1, LATER),
    "pay": lambda db: income.pay(db, 1, LATER),
}
SPLIT = {
    "split": lambda db: positions.split(db, 1, 3, 2, LATER),
    "close": lambda db: positions.close_position(db, 1, LATER),
}


@pytest.mark.parametrize("name", [*USE_CASES, *SPLIT])
def test_a_failing_storage_call_leaves_no_trace_and_a_retry_succeeds(
    database: Database, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_cell_with_everything(database)
    if name in SPLIT:
        trading.cancel(database, 2, NOW + DAY)
    act = (USE_CASES | SPLIT)[name]
    before = contents(database)
    number = 0
    while not went_through(database, act, number := number + 1, monkeypatch):
        assert contents(database) == before, f"storage call {number} of '{name}' left a trace"
    assert number > 1
    assert contents(database) != before
    assert verify.verify(database) == []


def went_through(
    database: Database,
    act: Callable[[Database], object],
    number: int,
    patch: pytest.MonkeyPatch,
) -> bool:
    """Let storage call `number` fail, before and after its work; True if there was none."""
    for after in (False, True):
        try:
            with breaking(patch, number, after=after):
                act(database)
        except Broken:
            continue
        except Refused:
            return True
        return True
    return False

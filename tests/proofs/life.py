"""Proof: a ledger under random use does what a simple model says, through restarts and crashes.

The model knows quantities and money only: no entries, no legs, no events, no SQL.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, ClassVar

from books import NOW, at
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from volbal.domain.configuration import Configuration
from volbal.domain.ledger import EMPTY, LEGS, Balance, Refused, fold
from volbal.domain.policy import Policy
from volbal.market.sessions import exchange_date
from volbal.services import income, positions, trading, verify
from volbal.storage import files, records
from volbal.storage.database import Database

CAP = 4
POLICY = Policy(max_orders_per_day=CAP, withholding_rate=0.25)
CENTS = st.decimals(min_value="0.01", max_value=2000, places=2)
PRICES = st.decimals(min_value="0.5", max_value=500, places=2)
QUANTITIES = st.decimals(min_value="0.001", max_value=40, places=3)
RATIOS = ((2, 1), (3, 2), (1, 3))


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-6"), ROUND_HALF_UP)


def told(act: Callable[[], Any]) -> tuple[str, Any]:
    """The code of a refusal, or "done" and what was done."""
    try:
        return "done", act()
    except Refused as refusal:
        return refusal.code, None


@dataclass
class ModelOrder:
    order_id: int
    side: str
    quantity: Decimal
    day: date
    filled: Decimal = Decimal(0)
    is_open: bool = True
    fills: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


@dataclass
class ModelDividend:
    dividend_id: int
    ex_on: date
    pay_on: date
    per_share: Decimal
    net: Decimal | None = None
    paid: bool = False


class Life(RuleBasedStateMachine):
    """One position in a ledger shared by all runs of the machine."""

    database: ClassVar[Database]
    folder: ClassVar[Path]
    steps: ClassVar[int] = 0
    seen_entries: ClassVar[int] = 0
    seen_commits: ClassVar[int] = -1
    folded: ClassVar[dict[int, Balance]] = {}
    lease: ClassVar[AbstractContextManager[None]]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.own_steps = 0

    @initialize(quantity=st.integers(0, 50), cash=st.integers(0, 9000))
    def begin(self, quantity: int, cash: int) -> None:
        self.now: datetime = NOW
        self.quantity, self.cash = Decimal(quantity), Decimal(cash)
        self.receivable = Decimal(0)
        self.orders: dict[str, ModelOrder] = {}
        self.dividends: dict[date, ModelDividend] = {}
        self.closes: dict[date, Decimal] = {}
        self.position_id = positions.open_position(
            self.database,
            "ACME",
            quantity=quantity,
            cash=cash,
            anchor_price=100,
            configuration=Configuration(POLICY),
            now=self.now,
        ).position_id

    @property
    def today(self) -> date:
        return exchange_date(self.now)

    @rule(days=st.integers(1, 3))
    def sleep(self, days: int) -> None:
        for _ in range(days):
            self.closes[self.today] = self.quantity
            self.now += timedelta(days=1)

    @rule(
        key=st.sampled_from("abcdefgh"),
        side=st.sampled_from(["BUY", "SELL"]),
        quantity=st.one_of(QUANTITIES, st.just(Decimal(1))),
    )
    def submit(self, key: str, side: str, quantity: Decimal) -> None:
        known = self.orders.get(key)
        expected = "done"
        if known is not None:
            same = (known.side, known.quantity) == (side, quantity)
            expected = "done" if same else "idempotency_signature_mismatch"
        elif self._counted_today() >= CAP:
            expected = "daily_order_cap"
        code, made = told(
            lambda: trading.submit(
                self.database,
                self.position_id,
                key=key,
                side=side,
                quantity=quantity,
                now=self.now,
            )
        )
        assert code == expected
        if made is None:
            return
        assert made.replayed is (known is not None)
        if known is not None:
            assert made.order.order_id == known.order_id
        else:
            self.orders[key] = ModelOrder(made.order.order_id, side, quantity, self.today)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def resend(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.orders)))
        self.submit(key, self.orders[key].side, self.orders[key].quantity)

    def _counted_today(self) -> int:
        return sum(
            order.day == self.today and (order.is_open or order.filled > 0)
            for order in self.orders.values()
        )

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), price=PRICES, whole=st.booleans(), commission=st.integers(0, 3))
    def fill(self, data: st.DataObject, price: Decimal, whole: bool, commission: int) -> None:
        order = self.orders[data.draw(st.sampled_from(sorted(self.orders)))]
        left = order.quantity - order.filled
        quantity = left if whole and left > 0 else data.draw(QUANTITIES)
        key = data.draw(st.sampled_from([None, "f", "g"]))
        expected = self._expected_of_fill(order, key, price, quantity, Decimal(commission))
        code, made = told(
            lambda: trading.fill(
                self.database,
                order.order_id,
                price=price,
                quantity=quantity,
                commission=commission,
                key=key,
                now=self.now,
            )
        )
        assert code == expected.replace("replayed", "done")
        if made is not None:
            assert made.replayed is (expected == "replayed")
        if expected == "done":
            self._filled(order, key, price, quantity, Decimal(commission))

    def _expected_of_fill(
        self,
        order: ModelOrder,
        key: str | None,
        price: Decimal,
        quantity: Decimal,
        commission: Decimal,
    ) -> str:
        if key is not None and key in order.fills:
            same = order.fills[key] == (price, quantity)
            return "replayed" if same else "idempotency_signature_mismatch"
        if not order.is_open:
            return "order_closed"
        if quantity > order.quantity - order.filled:
            return "overfill"
        notional = cents(price * quantity)
        if order.side == "BUY":
            return "done" if notional + commission <= self.cash else "insufficient_cash"
        if quantity > self.quantity:
            return "insufficient_shares"
        return "done" if commission <= self.cash + notional else "insufficient_cash"

    def _filled(
        self,
        order: ModelOrder,
        key: str | None,
        price: Decimal,
        quantity: Decimal,
        commission: Decimal,
    ) -> None:
        sign = 1 if order.side == "BUY" else -1
        self.cash -= sign * cents(price * quantity) + commission
        self.quantity += sign * quantity
        order.filled += quantity
        order.is_open = order.filled < order.quantity
        if key is not None:
            order.fills[key] = (price, quantity)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), rejected=st.booleans())
    def end(self, data: st.DataObject, rejected: bool) -> None:
        order = self.orders[data.draw(st.sampled_from(sorted(self.orders)))]
        end = trading.reject if rejected else trading.cancel
        code, _ = told(lambda: end(self.database, order.order_id, reason="no", now=self.now))
        assert code == ("done" if order.is_open else "order_closed")
        order.is_open = False

    @rule(amount=CENTS)
    def deposit(self, amount: Decimal) -> None:
        positions.deposit(self.database, self.position_id, amount, self.now)
        self.cash += amount

    @rule(amount=CENTS)
    def withdraw(self, amount: Decimal) -> None:
        code, _ = told(
            lambda: positions.withdraw(self.database, self.position_id, amount, self.now)
        )
        assert code == ("done" if amount <= self.cash else "insufficient_cash")
        if code == "done":
            self.cash -= amount

    @rule(after=st.integers(0, 3), lag=st.integers(0, 3), amount=st.integers(1, 30))
    def announce(self, after: int, lag: int, amount: int) -> None:
        ex_on = self.today + timedelta(days=after)
        if ex_on in self.dividends:
            return
        pay_on, per_share = ex_on + timedelta(days=lag), Decimal(amount) / 10
        made = income.announce(
            self.database,
            self.position_id,
            ex_on=ex_on,
            pay_on=pay_on,
            per_share=per_share,
            now=self.now,
        )
        self.dividends[ex_on] = ModelDividend(made.dividend_id, ex_on, pay_on, per_share)

    @rule(price=PRICES, evaluates=st.booleans())
    def work_off(self, price: Decimal, evaluates: bool) -> None:
        if evaluates:
            quote = at(price, confirmed=True)
            trading.evaluate(self.database, self.position_id, quote, self.now)
        else:
            income.accrue(self.database, self.position_id, self.now)
            self._worked_off()  # what it accrues and is due already it pays, too
        self._worked_off()

    def _worked_off(self) -> None:
        for dividend in self.dividends.values():
            if dividend.net is not None and not dividend.paid and dividend.pay_on <= self.today:
                self._paid(dividend)
        for dividend in self.dividends.values():
            if dividend.net is None and dividend.ex_on <= self.today:
                gross = cents(self._held_before(dividend.ex_on) * dividend.per_share)
                dividend.net = gross - cents(gross / 4)
                self.receivable += dividend.net

    def _held_before(self, day: date) -> Decimal:
        before = [one for one in self.closes if one < day]
        return self.closes[max(before)] if before else Decimal(0)

    def _paid(self, dividend: ModelDividend) -> None:
        assert dividend.net is not None
        dividend.paid = True
        self.cash += dividend.net
        self.receivable -= dividend.net

    @precondition(lambda self: any(one.net is not None for one in self.dividends.values()))
    @rule(data=st.data())
    def pay_twice(self, data: st.DataObject) -> None:
        accrued = [day for day, one in self.dividends.items() if one.net is not None]
        dividend = self.dividends[data.draw(st.sampled_from(accrued))]
        for _ in range(2):
            income.pay(self.database, dividend.dividend_id, self.now)
        if not dividend.paid:
            self._paid(dividend)

    @rule(ratio=st.sampled_from(RATIOS))
    def split(self, ratio: tuple[int, int]) -> None:
        new, old = ratio
        has_open = any(order.is_open for order in self.orders.values())
        code, _ = told(lambda: positions.split(self.database, self.position_id, new, old, self.now))
        assert code == ("order_open" if has_open else "done")
        if has_open:
            return
        self._worked_off()
        exact = self.quantity * new / old
        self.quantity = exact.quantize(Decimal("1e-12"), ROUND_HALF_UP)

    @precondition(lambda self: self.own_steps % 40 == 20)
    @rule()
    def restart(self) -> None:
        path = self.database.path
        type(self).leave()
        type(self).enter(path)

    @precondition(lambda self: self.own_steps % 40 == 35)
    @rule()
    def crash(self) -> None:
        """Go on with the bytes that a killed process would have left."""
        path = self.database.path
        copy = self.folder / f"after crash {self.steps}.duckdb"
        for one in (path, files.wal_of(path)):
            if one.exists():
                files.copy(one, copy.with_name(one.name.replace(path.name, copy.name)))
        type(self).leave()
        type(self).enter(copy)

    @invariant()
    def stored_is_the_model_and_the_fold(self) -> None:
        kind = type(self)
        kind.steps += 1
        self.own_steps += 1
        if not hasattr(self, "position_id") or self.database.commits == kind.seen_commits:
            return
        kind.seen_commits = self.database.commits
        with self.database.read() as connection:
            stored = records.find_position(connection, self.position_id)
            new = records.entries_after(connection, kind.seen_entries)
        assert stored is not None
        for line in new:
            assert sum(getattr(line.entry.legs, name) for name in LEGS) == 0
            before = kind.folded.get(line.position_id, EMPTY)
            kind.folded[line.position_id] = fold(before, line.entry)
            kind.seen_entries = line.entry_id
        balance = stored.balance
        assert balance == kind.folded[self.position_id]
        found: tuple[Any, ...] = (balance.quantity, balance.cash, balance.receivable)
        assert found == (self.quantity, self.cash, self.receivable)

    @classmethod
    def enter(cls, path: Path) -> None:
        cls.database = Database(path, timeout=20.0)
        cls.database.open()
        cls.seen_commits = -1
        cls.lease = cls.database.lease()
        cls.lease.__enter__()

    @classmethod
    def leave(cls) -> None:
        cls.lease.__exit__(None, None, None)
        cls.database.close()


def prove(steps: int) -> int:
    """Random lives until `steps` have been taken; returns how many were."""
    Life.folder = Path(tempfile.mkdtemp(prefix="volbal-life-"))
    Life.steps = Life.seen_entries = 0
    Life.folded = {}
    Life.enter(Life.folder / "volbal.duckdb")
    try:
        chosen = settings(
            max_examples=15,
            stateful_step_count=60,
            deadline=None,
            derandomize=False,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )
        while Life.steps < steps:
            run_state_machine_as_test(Life, settings=chosen)  # type: ignore[no-untyped-call]
        assert verify.verify(Life.database) == []
        return Life.steps
    finally:
        Life.leave()
        del Life.database, Life.lease
        shutil.rmtree(Life.folder)

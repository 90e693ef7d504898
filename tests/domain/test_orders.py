import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from volbal.domain import orders
from volbal.domain.order_states import OrderState
from volbal.domain.orders import IdempotencyConflict, MissingIdempotencyKey, OrderRecord
from volbal.errors import InvalidInput


def test_the_fingerprint_is_sha256_of_the_canonical_json() -> None:
    canonical = b'{"quantity":"1.5","side":"BUY"}'
    assert orders.order("BUY", "1.50").fingerprint == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize("quantity", ["1.5", 1.5, "1.500", "15e-1", Decimal("1.50")])
def test_one_order_has_one_fingerprint_however_it_is_written(quantity: object) -> None:
    same = orders.order(" buy ", quantity)  # type: ignore[arg-type]
    assert same.fingerprint == orders.order("BUY", "1.5").fingerprint


@pytest.mark.parametrize(("side", "quantity"), [("SELL", "1.5"), ("BUY", "1.500000000001")])
def test_another_order_has_another_fingerprint(side: str, quantity: str) -> None:
    assert orders.order(side, quantity).fingerprint != orders.order("BUY", "1.5").fingerprint


@pytest.mark.parametrize("key", [None, "", " \t\n"])
def test_a_missing_or_blank_key_is_its_own_refusal(key: str | None) -> None:
    with pytest.raises(MissingIdempotencyKey):
        orders.key(key)


def test_a_key_longer_than_two_hundred_characters_is_invalid() -> None:
    assert orders.key("k" * 200) == "k" * 200
    with pytest.raises(InvalidInput, match="more than 200 characters; allowed: 1 to 200"):
        orders.key("k" * 201)


@pytest.mark.parametrize(("side", "quantity"), [("HOLD", 1), ("BUY", 0), ("BUY", -1)])
def test_an_order_needs_a_side_and_a_quantity_above_zero(side: str, quantity: int) -> None:
    with pytest.raises(InvalidInput):
        orders.order(side, quantity)


def test_a_conflict_names_the_key_and_both_orders() -> None:
    first, second = orders.order("BUY", "1.5"), orders.order("SELL", 2)
    with pytest.raises(IdempotencyConflict) as refusal:
        orders.require_same("k1", (first.fingerprint, first), (second.fingerprint, second))
    assert str(refusal.value) == (
        "Key k1 already stands for 'BUY 1.5 shares'; it cannot also stand for 'SELL 2 shares'. "
        "Use a new key."
    )


def test_the_proposal_key_changes_with_everything_that_was_decided() -> None:
    order, price = orders.order("BUY", 2), Decimal(97)
    key = orders.proposal_key(1, 5, order, price)
    assert key == orders.proposal_key(1, 5, orders.order("BUY", "2.0"), Decimal("97.00"))
    others = {
        orders.proposal_key(2, 5, order, price),
        orders.proposal_key(1, 6, order, price),
        orders.proposal_key(1, 5, orders.order("SELL", 2), price),
        orders.proposal_key(1, 5, orders.order("BUY", 3), price),
        orders.proposal_key(1, 5, order, Decimal("97.01")),
    }
    assert key not in others
    assert len(others) == 5


def test_a_partly_filled_order_says_what_is_left_of_it() -> None:
    made, at = orders.order("BUY", 5), datetime(2026, 1, 5, tzinfo=UTC)
    record = OrderRecord(1, 1, "k", made.fingerprint, made, OrderState.SUBMITTED, Decimal(0), at)
    assert record.rest == "BUY 5 shares"
    assert replace(record, filled=Decimal(2)).rest == "BUY 3 of 5 shares"

"""Approving a proposal: one order, whatever is clicked, reloaded or open in another tab."""

import threading

import pytest
from books import DAY, NOW, a_cell, at, carried_out, contents

from volbal.domain.ledger import Refused
from volbal.domain.orders import OrderOpen, ProposalOutdated
from volbal.services import positions, settings, trading
from volbal.storage.database import Database


def proposed(database: Database, price: float, position_id: int = 1) -> str:
    proposal = trading.evaluate(database, position_id, at(price), NOW).proposal
    assert proposal is not None
    return proposal.key


def test_approving_twice_is_one_order(database: Database) -> None:
    a_cell(database)
    key = proposed(database, 97)
    first = trading.approve(database, 1, key, NOW)
    before = contents(database)
    again = trading.approve(database, 1, key, NOW + DAY)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.order == first.order
    assert contents(database) == before


def test_many_tabs_that_approve_at_once_make_one_order(database: Database) -> None:
    a_cell(database)
    key = proposed(database, 97)
    made: list[int] = []

    def approve() -> None:
        made.append(trading.approve(database, 1, key, NOW).order.order_id)

    tabs = [threading.Thread(target=approve) for _ in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert made == [1] * 8
    assert len(trading.list_orders(database, 1)) == 1


def test_a_tab_with_an_older_evaluation_makes_no_second_order(database: Database) -> None:
    a_cell(database)
    older, newer = proposed(database, 97), proposed(database, 96)
    with pytest.raises(ProposalOutdated):
        trading.approve(database, 1, older, NOW)
    trading.approve(database, 1, newer, NOW)
    with pytest.raises(Refused):
        trading.approve(database, 1, older, NOW)
    assert len(trading.list_orders(database, 1)) == 1


def test_what_changed_since_the_evaluation_outdates_it(database: Database) -> None:
    a_cell(database)
    key = proposed(database, 97)
    assert trading.latest_evaluation(database, 1).proposal.key == key
    positions.deposit(database, 1, 1000, NOW)
    assert trading.latest_evaluation(database, 1).proposal is None
    with pytest.raises(ProposalOutdated):
        trading.approve(database, 1, key, NOW)
    assert trading.list_orders(database, 1) == []
    settings.configure(database, 1, {"trigger_down": 0.02}, by="test", now=NOW)
    trading.approve(database, 1, proposed(database, 97), NOW)


def test_an_order_by_another_way_is_in_the_way(database: Database) -> None:
    a_cell(database)
    key = proposed(database, 97)
    trading.submit(database, 1, key="by hand", side="BUY", quantity=1, now=NOW)
    with pytest.raises(OrderOpen):
        trading.approve(database, 1, key, NOW)
    assert next(one.type for one in positions.events(database, 1)) == "refused"


def test_a_cancelled_order_can_be_proposed_and_approved_again(database: Database) -> None:
    a_cell(database)
    first = trading.approve(database, 1, proposed(database, 97), NOW)
    trading.cancel(database, first.order.order_id, NOW)
    second = trading.approve(database, 1, proposed(database, 97), NOW)
    assert second.order.order_id != first.order.order_id


def test_the_latest_evaluation_comes_back_as_it_was_decided(database: Database) -> None:
    cell = a_cell(database)
    assert trading.latest_evaluation(database, 1) is None
    evaluation, _ = carried_out(database, cell.position_id, 97, NOW)
    latest = trading.latest_evaluation(database, 1)
    assert latest.decision == evaluation.decision
    assert latest.decision.sentence == evaluation.decision.sentence
    assert latest.decided_at == NOW
    assert latest.proposal is None  # it was filled

import pytest

from volbal.domain.order_states import OPEN_STATES, TABLE, OrderClosed, OrderState, Step, after


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED])
@pytest.mark.parametrize("step", list(Step))
def test_nothing_happens_to_an_order_that_has_ended(state: OrderState, step: Step) -> None:
    with pytest.raises(OrderClosed, match=f"Order 7 is {state}"):
        after(7, state, step)


@pytest.mark.parametrize("state", OPEN_STATES)
def test_an_open_order_can_be_filled_in_part_or_whole_cancelled_and_rejected(
    state: OrderState,
) -> None:
    assert after(1, state, Step.FILL_PART) is OrderState.PARTIALLY_FILLED
    assert after(1, state, Step.FILL_REST) is OrderState.FILLED
    assert after(1, state, Step.CANCEL) is OrderState.CANCELLED
    assert after(1, state, Step.REJECT) is OrderState.REJECTED


def test_the_table_names_every_state() -> None:
    assert set(TABLE) == set(OrderState)

"""The life of an order, as one table."""

from enum import StrEnum

from volbal.domain.ledger import Refused


class OrderState(StrEnum):
    """Where an order stands; the last three are final."""

    SUBMITTED = "submitted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class Step(StrEnum):
    """What can happen to an order."""

    FILL_PART = "fill_part"
    FILL_REST = "fill_rest"
    CANCEL = "cancel"
    REJECT = "reject"


TABLE: dict[OrderState, dict[Step, OrderState]] = {
    OrderState.SUBMITTED: {
        Step.FILL_PART: OrderState.PARTIALLY_FILLED,
        Step.FILL_REST: OrderState.FILLED,
        Step.CANCEL: OrderState.CANCELLED,
        Step.REJECT: OrderState.REJECTED,
    },
    OrderState.PARTIALLY_FILLED: {
        Step.FILL_PART: OrderState.PARTIALLY_FILLED,
        Step.FILL_REST: OrderState.FILLED,
        Step.CANCEL: OrderState.CANCELLED,
        Step.REJECT: OrderState.REJECTED,
    },
    OrderState.FILLED: {},
    OrderState.CANCELLED: {},
    OrderState.REJECTED: {},
}

OPEN_STATES = tuple(state for state, steps in TABLE.items() if steps)


class OrderClosed(Refused):
    """The order is filled, cancelled or rejected; nothing can happen to it any more."""

    code = "order_closed"

    def __init__(self, order_id: int, state: OrderState) -> None:
        super().__init__(
            f"Order {order_id} is {state} and cannot change any more; submit a new order."
        )


def after(order_id: int, state: OrderState, step: Step) -> OrderState:
    """The state that `step` leads to; raises OrderClosed."""
    if step not in TABLE[state]:
        raise OrderClosed(order_id, state)
    return TABLE[state][step]

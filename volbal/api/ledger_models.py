"""Bodies of the ledger's requests and answers. Words are the glossary's and those of the views."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from volbal.api.exact import Day, Exact, Moment, NotNegative, Number, Positive
from volbal.api.policies import Guardrails, PolicyChanges, setting
from volbal.domain.configuration import settings
from volbal.domain.decision import Decision
from volbal.domain.dividends import Dividend
from volbal.domain.orders import FillRecord, OrderRecord
from volbal.domain.performance import Performance
from volbal.domain.position import Position
from volbal.services.trading import Evaluation, Filled, Proposal, Submission


def example(**content: Any) -> ConfigDict:
    """A body that takes no other fields; `content` shows one."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [content]})


class NewPosition(BaseModel):
    """What a position starts with. A second one of the same ticker is a second position."""

    model_config = example(
        ticker="KO",
        qty=50,
        cash=5000,
        anchor_price=60,
        order_policy={"trigger_threshold_pct": 0.03, "rebalance_ratio": 1.5},
        guardrails={"min_stock_alloc_pct": 0.3, "max_stock_alloc_pct": 0.7},
    )

    ticker: str = Field(min_length=1, max_length=40, description="Symbol of the stock")
    qty: NotNegative = Field(default=Decimal(0), json_schema_extra={"default": 0})
    cash: NotNegative = Field(default=Decimal(0), json_schema_extra={"default": 0})
    anchor_price: Positive | None = Field(
        default=None, description="Else the first price seen becomes the anchor"
    )
    order_policy: PolicyChanges | None = None
    guardrails: Guardrails | None = None
    withholding_tax_rate: Number | None = setting("withholding_tax_rate")


class PositionAnswer(BaseModel):
    """A position as its ledger entries add up."""

    model_config = example(
        id=1,
        ticker="KO",
        qty=50,
        cash=5000,
        receivable=0,
        anchor_price=60,
        anchor_on="2026-01-05",
        average_cost=60,
        last_price=61.5,
        last_price_at="2026-01-05T15:00:00Z",
        fees=0,
        dividends=0,
        withheld=0,
        contributed=8000,
        is_open=True,
        opened_at="2026-01-05T14:30:00Z",
        strict=False,
        policy={"trigger_up": 0.03, "trigger_down": 0.03},
    )

    id: int
    ticker: str
    qty: Exact
    cash: Exact
    receivable: Exact = Field(description="Net dividends accrued and not yet paid")
    anchor_price: Exact | None
    anchor_on: date | None
    average_cost: Exact | None = Field(description="null while opening shares wait for a price")
    last_price: Exact | None = Field(description="The last accepted price")
    last_price_at: datetime | None
    fees: Exact
    dividends: Exact = Field(description="Net, by ex-date")
    withheld: Exact
    contributed: Exact = Field(description="Money and shares brought in less taken out")
    is_open: bool = Field(description="False for an archived position")
    opened_at: datetime
    strict: bool = Field(description="True: fills that leave the guardrails are refused")
    policy: dict[str, float | bool | str]

    @classmethod
    def of(cls, position: Position) -> Self:
        balance, configuration = position.balance, position.configuration
        named = settings(configuration) | {"rebalance_ratio": configuration.policy.ratio}
        return cls(
            id=position.position_id,
            ticker=position.ticker,
            qty=balance.quantity,
            cash=balance.cash,
            receivable=balance.receivable,
            anchor_price=balance.anchor,
            anchor_on=balance.anchor_on,
            average_cost=balance.average_cost,
            last_price=position.last_price,
            last_price_at=position.last_price_at,
            fees=balance.fees,
            dividends=balance.dividends,
            withheld=balance.withheld,
            contributed=balance.contributed,
            is_open=balance.is_open,
            opened_at=position.opened_at,
            strict=configuration.strict,
            policy={name: value for name, value in named.items() if value is not None},
        )


class EventAnswer(BaseModel):
    """One line of the "why" log."""

    model_config = example(
        event_id=2,
        type="submission",
        happened_at="2026-01-05T15:00:00Z",
        sentence="Order 1 is submitted: BUY 1.5 shares of KO.",
        inputs={"key": "k1", "side": "BUY", "quantity": "1.500000000000"},
        outputs={"order_id": 1},
    )

    event_id: int
    type: str
    happened_at: datetime
    sentence: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Events(BaseModel):
    """The "why" log of a position, newest first."""

    position_id: int
    events: list[EventAnswer]


class NewOrder(BaseModel):
    """An order to submit."""

    model_config = example(side="BUY", qty=1.5)

    side: Literal["BUY", "SELL"]
    qty: Positive


class SubmissionAnswer(BaseModel):
    """The order that the key stands for."""

    model_config = example(order_id=1, accepted=True, position_id=1)

    order_id: int
    accepted: Literal[True] = True
    position_id: int

    @classmethod
    def of(cls, made: Submission) -> Self:
        return cls(order_id=made.order.order_id, position_id=made.order.position_id)


class OrderAnswer(BaseModel):
    """An order."""

    model_config = example(
        order_id=1,
        position_id=1,
        side="BUY",
        qty=1.5,
        filled_qty=0,
        status="submitted",
        idempotency_key="k1",
        submitted_at="2026-01-05T15:00:00Z",
        reason=None,
    )

    order_id: int
    position_id: int
    side: Literal["BUY", "SELL"]
    qty: Exact
    filled_qty: Exact
    status: Literal["submitted", "partially_filled", "filled", "cancelled", "rejected"]
    idempotency_key: str
    submitted_at: datetime
    reason: str | None = Field(description="Why it was cancelled or rejected")

    @classmethod
    def of(cls, order: OrderRecord) -> Self:
        return cls(
            order_id=order.order_id,
            position_id=order.position_id,
            side=order.order.side.value,
            qty=order.order.quantity,
            filled_qty=order.filled,
            status=order.state.value,
            idempotency_key=order.key,
            submitted_at=order.submitted_at,
            reason=order.reason,
        )


class Orders(BaseModel):
    """The orders of a position, newest first."""

    position_id: int
    orders: list[OrderAnswer]


class Ending(BaseModel):
    """Why an order ends."""

    model_config = example(reason="changed my mind")

    reason: str = Field(default="", max_length=500)


class Rejection(BaseModel):
    """Why the broker does not take an order."""

    model_config = example(reason="the stock is halted")

    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")


class NewFill(BaseModel):
    """What the broker executed."""

    model_config = example(price=60.12, filled_qty=1.5, commission=0.01)

    price: Positive
    filled_qty: Positive
    commission: NotNegative = Field(default=Decimal(0), json_schema_extra={"default": 0})
    filled_at: Moment | None = Field(
        default=None, description="When, with its time zone; now if left out"
    )


class FilledAnswer(BaseModel):
    """A recorded fill, its order and its position as they stand."""

    model_config = example(
        fill_id=1,
        order_id=1,
        status="filled",
        position_qty=51.5,
        position_cash=4909.81,
        anchor_price=60.12,
        outside_guardrails=False,
    )

    fill_id: int
    order_id: int
    status: Literal["submitted", "partially_filled", "filled", "cancelled", "rejected"]
    position_qty: Exact
    position_cash: Exact
    anchor_price: Exact | None
    outside_guardrails: bool

    @classmethod
    def of(cls, made: Filled) -> Self:
        return cls(
            fill_id=made.fill.fill_id,
            order_id=made.order.order_id,
            status=made.order.state.value,
            position_qty=made.position.balance.quantity,
            position_cash=made.position.balance.cash,
            anchor_price=made.position.balance.anchor,
            outside_guardrails=made.fill.outside_guardrails,
        )


class FillAnswer(BaseModel):
    """A fill."""

    model_config = example(
        fill_id=1,
        order_id=1,
        side="BUY",
        price=60.12,
        qty=1.5,
        commission=0.01,
        filled_at="2026-01-05T15:01:00Z",
        outside_guardrails=False,
    )

    fill_id: int
    order_id: int
    side: Literal["BUY", "SELL"]
    price: Exact
    qty: Exact
    commission: Exact
    filled_at: datetime
    outside_guardrails: bool

    @classmethod
    def of(cls, fill: FillRecord) -> Self:
        return cls(
            fill_id=fill.fill_id,
            order_id=fill.order_id,
            side=fill.side.value,
            price=fill.execution.price,
            qty=fill.execution.quantity,
            commission=fill.execution.commission,
            filled_at=fill.filled_at,
            outside_guardrails=fill.outside_guardrails,
        )


class Fills(BaseModel):
    """The fills of a position, newest first."""

    position_id: int
    fills: list[FillAnswer]


class NewDividend(BaseModel):
    """An expected dividend: gross per share on its ex-date."""

    model_config = example(ex_on="2026-03-13", pay_on="2026-04-01", per_share=0.51)

    ex_on: Day
    per_share: Positive
    pay_on: Day | None = Field(default=None, description="Without it, paid when /pay says so")


class DividendAnswer(BaseModel):
    """A dividend of a position. net: what it brings, null before the ex-date is worked off."""

    model_config = example(
        dividend_id=1,
        position_id=1,
        ex_on="2026-03-13",
        pay_on="2026-04-01",
        per_share=0.51,
        state="announced",
        net=None,
    )

    dividend_id: int
    position_id: int
    ex_on: date
    pay_on: date | None
    per_share: Exact
    state: Literal["announced", "accrued", "paid"]
    net: Exact | None

    @classmethod
    def of(cls, dividend: Dividend) -> Self:
        return cls(
            dividend_id=dividend.dividend_id,
            position_id=dividend.position_id,
            ex_on=dividend.ex_on,
            pay_on=dividend.pay_on,
            per_share=dividend.per_share,
            state=dividend.state.value,
            net=dividend.net,
        )


class Dividends(BaseModel):
    """The dividends of a position, by ex-date."""

    position_id: int
    dividends: list[DividendAnswer]


class Transfer(BaseModel):
    """Money to deposit or withdraw."""

    model_config = example(amount=1000)

    amount: Positive


class NewAnchor(BaseModel):
    """The anchor, set by hand."""

    model_config = example(anchor_price=61.5)

    anchor_price: Positive


class PerformanceAnswer(BaseModel):
    """Returns as fractions since the first valued moment; what is undefined says why."""

    model_config = example(
        position_id=1,
        time_weighted=0.042,
        money_weighted=0.051,
        stock=0.035,
        excess=0.007,
        unvalued_flow=0,
        undefined={},
    )

    position_id: int
    time_weighted: float | None
    money_weighted: float | None = Field(description="Annual rate")
    stock: float | None = Field(description="Total return of the stock, dividends net")
    excess: float | None
    unvalued_flow: Exact = Field(description="Money in or out that still waits for a price")
    undefined: dict[str, str]

    @classmethod
    def of(cls, position_id: int, earned: Performance) -> Self:
        return cls(
            position_id=position_id,
            time_weighted=earned.time_weighted,
            money_weighted=earned.money_weighted,
            stock=earned.stock,
            excess=earned.excess,
            unvalued_flow=earned.unvalued_flow,
            undefined=earned.undefined,
        )


class Question(BaseModel):
    """A price to show the rule. confirmed: you vouch for one that is far from the last."""

    model_config = example(price=58.2)

    price: Positive | None = Field(default=None, description="Else the newest one that can be had")
    confirmed: StrictBool = False


class TrimAnswer(BaseModel):
    """A step that changed the size of the order: signed notional, + buys."""

    step: str
    before: float
    after: float


class DecisionAnswer(BaseModel):
    """What the rule said, with every number it used."""

    model_config = ConfigDict(extra="forbid")

    decision_id: int
    action: Literal["BUY", "SELL", "HOLD", "SKIP"]
    reason: str
    sentence: str
    price: Exact
    price_source: str
    price_age: float = Field(description="Seconds")
    anchor_price: Exact | None
    distance: float | None = Field(description="price / anchor - 1")
    buy_level: Exact | None
    sell_level: Exact | None
    equity: Exact
    stock_share: float
    stock_share_after: float
    wish: float = Field(description="Signed notional the sizing asks for, + buys")
    trims: list[TrimAnswer]
    side: Literal["BUY", "SELL"] | None
    qty: Exact
    notional: Exact
    commission: Exact

    @classmethod
    def of(cls, decision_id: int, made: Decision) -> Self:
        order = made.order
        return cls(
            decision_id=decision_id,
            action=made.action.value,
            reason=made.reason.value,
            sentence=made.sentence,
            price=made.price,
            price_source=made.price_source,
            price_age=made.price_age,
            anchor_price=made.anchor,
            distance=made.distance,
            buy_level=made.buy_level,
            sell_level=made.sell_level,
            equity=made.equity,
            stock_share=made.stock_share,
            stock_share_after=made.stock_share_after,
            wish=made.sizing.wish,
            trims=[
                TrimAnswer(step=trim.step.value, before=trim.before, after=trim.after)
                for trim in made.trims
            ],
            side=None if order is None else order.side.value,
            qty=Decimal(0) if order is None else order.quantity,
            notional=made.notional,
            commission=made.commission,
        )


class ProposalAnswer(BaseModel):
    """An order to submit under this key, if you approve."""

    model_config = example(idempotency_key="proposal-1f…", side="BUY", qty=7.08926, price=96)

    idempotency_key: str
    side: Literal["BUY", "SELL"]
    qty: Exact
    price: Exact

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        return cls(
            idempotency_key=proposal.key,
            side=proposal.order.side.value,
            qty=proposal.order.quantity,
            price=proposal.price,
        )


class EvaluationAnswer(BaseModel):
    """A recorded decision and the orders it proposes: one or none."""

    position_id: int
    decision: DecisionAnswer
    proposals: list[ProposalAnswer]

    @classmethod
    def of(cls, position_id: int, made: Evaluation) -> Self:
        proposal = made.proposal
        return cls(
            position_id=position_id,
            decision=DecisionAnswer.of(made.decision_id, made.decision),
            proposals=[] if proposal is None else [ProposalAnswer.of(proposal)],
        )

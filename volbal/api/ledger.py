"""Routes of positions, orders, fills and dividends."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Response

from volbal.api.exact import ExactResponse
from volbal.api.ledger_models import (
    DividendAnswer,
    Dividends,
    Ending,
    EvaluationAnswer,
    EventAnswer,
    Events,
    FillAnswer,
    FilledAnswer,
    Fills,
    NewAnchor,
    NewDividend,
    NewFill,
    NewOrder,
    NewPosition,
    OrderAnswer,
    Orders,
    PerformanceAnswer,
    PositionAnswer,
    Question,
    Rejection,
    SubmissionAnswer,
    Transfer,
)
from volbal.api.pages import COUNTED, Page
from volbal.api.policies import policy, sent
from volbal.api.problems import Route, documented
from volbal.domain.configuration import Configuration
from volbal.domain.orders import LONGEST_KEY
from volbal.domain.quotes import Quote
from volbal.domain.wording import duration
from volbal.errors import PriceUnavailable
from volbal.market.sessions import quote
from volbal.services import autopilot, income, market_data, overview, positions, trading
from volbal.services.running import database

router = APIRouter(
    prefix="/v1",
    route_class=Route,
    default_response_class=ExactResponse,
    responses=documented(422, 503),
)

LARGEST_ID: Final = 2**63 - 1
Id = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[1])]
KEY: Final = {
    "alias": "Idempotency-Key",
    "max_length": LONGEST_KEY,
    "pattern": r"\S",
    "description": "New for each request and the same when it is sent again",
}
Key = Annotated[str, Header(**KEY)]
OptionalKey = Annotated[str | None, Header(**KEY)]
Paged = Annotated[Page, Depends()]


@router.post("/positions", status_code=201, tags=["Positions"], responses=documented(422))
def open_position(body: NewPosition) -> PositionAnswer:
    """Open a position."""
    fields = sent(body.order_policy, body.guardrails)
    if body.withholding_tax_rate is not None:
        fields.append(("withholding_tax_rate", body.withholding_tax_rate))
    made = positions.open_position(
        database(),
        body.ticker,
        quantity=body.qty,
        cash=body.cash,
        anchor_price=body.anchor_price,
        configuration=Configuration(policy(fields)),
        by="api",
        now=_now(),
    )
    return PositionAnswer.of(made)


@router.get("/positions", tags=["Positions"], responses=documented(422) | COUNTED)
def list_positions(page: Paged, response: Response) -> list[PositionAnswer]:
    """All positions, archived ones included, oldest first."""
    return [
        PositionAnswer.of(one) for one in page.of(positions.list_positions(database()), response)
    ]


@router.get("/positions/{position_id}", tags=["Positions"], responses=documented(404))
def find_position(position_id: Id) -> PositionAnswer:
    """One position."""
    return PositionAnswer.of(positions.find_position(database(), position_id))


@router.get(
    "/positions/{position_id}/events", tags=["Positions"], responses=documented(404, 422) | COUNTED
)
def list_events(position_id: Id, page: Paged, response: Response) -> Events:
    """The "why" log, newest first."""
    told = page.of(positions.events(database(), position_id), response)
    return Events(
        position_id=position_id,
        events=[
            EventAnswer(
                event_id=event.event_id,
                type=event.type,
                happened_at=event.happened_at,
                sentence=event.sentence,
                inputs=dict(event.inputs),
                outputs=dict(event.outputs),
            )
            for event in told
        ],
    )


@router.get(
    "/positions/{position_id}/orders", tags=["Orders"], responses=documented(404, 422) | COUNTED
)
def list_orders(position_id: Id, page: Paged, response: Response) -> Orders:
    """The orders of a position, newest first."""
    found = page.of(trading.list_orders(database(), position_id), response)
    return Orders(position_id=position_id, orders=[OrderAnswer.of(order) for order in found])


@router.get(
    "/positions/{position_id}/fills", tags=["Orders"], responses=documented(404, 422) | COUNTED
)
def list_fills(position_id: Id, page: Paged, response: Response) -> Fills:
    """The fills of a position, newest first."""
    found = page.of(trading.list_fills(database(), position_id), response)
    return Fills(position_id=position_id, fills=[FillAnswer.of(fill) for fill in found])


@router.get(
    "/positions/{position_id}/dividends",
    tags=["Dividends"],
    responses=documented(404, 422) | COUNTED,
)
def list_dividends(position_id: Id, page: Paged, response: Response) -> Dividends:
    """The dividends of a position, by ex-date."""
    found = page.of(income.list_dividends(database(), position_id), response)
    return Dividends(position_id=position_id, dividends=[DividendAnswer.of(one) for one in found])


@router.get("/positions/{position_id}/performance", tags=["Positions"], responses=documented(404))
def performance(position_id: Id) -> PerformanceAnswer:
    """What the position has earned: time-weighted, money-weighted and against its stock."""
    return PerformanceAnswer.of(position_id, positions.returns(database(), position_id))


@router.post("/positions/{position_id}/evaluate", tags=["Orders"], responses=documented(404, 422))
def evaluate(position_id: Id, body: Question | None = None) -> EvaluationAnswer:
    """Show the rule a price, record its decision and get the order it proposes.

    Closes that the paper autopilot of the position has missed come first.
    """
    asked, now = body or Question(), _now()
    if asked.price is not None:
        shown = quote(asked.price, confirmed=asked.confirmed)
    else:
        ticker = positions.find_position(database(), position_id).ticker
        shown = _newest(ticker, asked.confirmed, now)
    _, made = autopilot.evaluate(database(), position_id, shown, now)
    return EvaluationAnswer.of(position_id, made)


def _newest(ticker: str, confirmed: bool, now: datetime) -> Quote:
    """The newest price known; one that is no ground for an order is not passed off as one."""
    seen = market_data.latest_price(database(), ticker, now)
    if seen.age > overview.STALE_AFTER and not confirmed:
        raise PriceUnavailable(
            f"The newest price of {ticker} is {duration(seen.age.total_seconds())} old; send one "
            "as `price`, fetch newer ones, or send `confirmed`."
        )
    return seen.as_quote(confirmed=confirmed)


@router.post(
    "/positions/{position_id}/orders",
    status_code=201,
    tags=["Orders"],
    responses=documented(400, 404, 409, 422)
    | {200: {"model": SubmissionAnswer, "description": "The key stands for this order already"}},
)
def submit(position_id: Id, body: NewOrder, key: Key, response: Response) -> SubmissionAnswer:
    """Submit an order, once: the same key with the same order gives the same order again."""
    made = trading.submit(
        database(), position_id, key=key, side=body.side, quantity=body.qty, now=_now()
    )
    if made.replayed:
        response.status_code = 200
    return SubmissionAnswer.of(made)


@router.post("/orders/{order_id}/fill", tags=["Orders"], responses=documented(400, 404, 409, 422))
def fill(order_id: Id, body: NewFill, key: OptionalKey = None) -> FilledAnswer:
    """Record what the broker executed; with a key, once."""
    made = trading.fill(
        database(),
        order_id,
        price=body.price,
        quantity=body.filled_qty,
        commission=body.commission,
        key=key,
        filled_at=body.filled_at,
        now=_now(),
    )
    return FilledAnswer.of(made)


@router.post("/orders/{order_id}/cancel", tags=["Orders"], responses=documented(404, 409, 422))
def cancel(order_id: Id, body: Ending | None = None) -> OrderAnswer:
    """Take back what is not filled yet."""
    return OrderAnswer.of(trading.cancel(database(), order_id, _now(), body.reason if body else ""))


@router.post("/orders/{order_id}/reject", tags=["Orders"], responses=documented(404, 409, 422))
def reject(order_id: Id, body: Rejection) -> OrderAnswer:
    """The broker does not take the order, or its rest."""
    return OrderAnswer.of(trading.reject(database(), order_id, body.reason, _now()))


@router.post(
    "/positions/{position_id}/deposit", tags=["Positions"], responses=documented(400, 404, 409, 422)
)
def deposit(position_id: Id, body: Transfer, key: OptionalKey = None) -> PositionAnswer:
    """Bring money in; with a key, once."""
    made = positions.deposit(database(), position_id, body.amount, _now(), key=key)
    return PositionAnswer.of(made)


@router.post(
    "/positions/{position_id}/withdraw",
    tags=["Positions"],
    responses=documented(400, 404, 409, 422),
)
def withdraw(position_id: Id, body: Transfer, key: OptionalKey = None) -> PositionAnswer:
    """Take money out; with a key, once."""
    made = positions.withdraw(database(), position_id, body.amount, _now(), key=key)
    return PositionAnswer.of(made)


@router.post("/positions/{position_id}/anchor", tags=["Positions"], responses=documented(404, 422))
def set_anchor(position_id: Id, body: NewAnchor) -> PositionAnswer:
    """Set the anchor by hand."""
    return PositionAnswer.of(
        positions.set_anchor(database(), position_id, body.anchor_price, _now())
    )


@router.post(
    "/positions/{position_id}/close", tags=["Positions"], responses=documented(404, 409, 422)
)
def close_position(position_id: Id) -> PositionAnswer:
    """Archive a position as it is; refused while an order is open."""
    return PositionAnswer.of(positions.close_position(database(), position_id, _now()))


@router.post(
    "/positions/{position_id}/dividends",
    status_code=201,
    tags=["Dividends"],
    responses=documented(404, 422),
)
def announce(position_id: Id, body: NewDividend) -> DividendAnswer:
    """Expect a dividend; announcing it again corrects it until its ex-date is worked off."""
    made = income.announce(
        database(),
        position_id,
        ex_on=body.ex_on,
        per_share=body.per_share,
        pay_on=body.pay_on,
        now=_now(),
    )
    return DividendAnswer.of(made)


@router.post("/dividends/{dividend_id}/pay", tags=["Dividends"], responses=documented(404, 422))
def pay(dividend_id: Id) -> DividendAnswer:
    """The broker paid: the receivable becomes cash, once."""
    return DividendAnswer.of(income.pay(database(), dividend_id, _now()))


@router.post(
    "/dividends/{dividend_id}/withdraw", tags=["Dividends"], responses=documented(404, 422)
)
def withdraw_dividend(dividend_id: Id) -> DividendAnswer:
    """Take back an announcement, until its ex-date is worked off; answers what it was."""
    return DividendAnswer.of(income.withdraw(database(), dividend_id, _now()))


def _now() -> datetime:
    return datetime.now(UTC)

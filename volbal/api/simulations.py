"""The route of simulations: SPEC §6's input, and its JSON for machines."""

from datetime import date
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictInt

from volbal.api.exact import Day, ExactResponse, Number, Positive
from volbal.api.ledger_models import example
from volbal.api.policies import PolicyChanges, policy, sent
from volbal.api.problems import Route, documented
from volbal.services import market_data, research
from volbal.services.running import database

router = APIRouter(
    prefix="/v1",
    route_class=Route,
    default_response_class=ExactResponse,
    responses=documented(422, 503),
    tags=["Simulations"],
)


class SimulationRequest(BaseModel):
    """One replay of a policy over daily prices; what is left out keeps its default."""

    model_config = example(
        symbol="AAPL", start="2013-01-02", end="2023-09-21", policy={"trigger_threshold": 0.05}
    )

    symbol: str = Field(min_length=1, max_length=40)
    start: Day | None = Field(default=None, description="Session date, included")
    end: Day | None = Field(default=None, description="Session date, included")
    capital: Positive | None = Field(default=None, description="Default 10000")
    stock_share: Number | None = Field(
        default=None,
        description="The part of the capital in stock at the start; default 0.5",
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    ticks: str = Field(default="close", description="close or limit")
    pay_lag_days: StrictInt | None = Field(
        default=None, ge=0, le=3660, description="From ex-date to an unknown pay date; default 21"
    )
    policy: PolicyChanges | None = None


class SimulationAnswer(BaseModel):
    """A simulation: metrics are null where undefined, with the reason beside them."""

    symbol: str
    start: date
    end: date
    ticks: str
    metrics: dict[str, float | None]
    undefined: dict[str, str]
    fills: list[dict[str, Any]]
    final: dict[str, float]
    benchmarks: dict[str, dict[str, float | None]]
    assumptions: list[str]


@router.post("/simulations")
def simulate(body: SimulationRequest) -> SimulationAnswer:
    """Replay a policy over the prices known of a symbol, beside its benchmarks."""
    given = {
        "start": body.start,
        "end": body.end,
        "capital": None if body.capital is None else float(body.capital),
        "stock_share": None if body.stock_share is None else float(body.stock_share),
        "pay_lag_days": body.pay_lag_days,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    setup = research.Setup(ticks=body.ticks, **chosen)  # type: ignore[arg-type]  # by name, above
    history = market_data.history(database(), body.symbol)
    made = research.simulate(history, policy(sent(body.policy)), setup)
    return SimulationAnswer(**made.as_json())

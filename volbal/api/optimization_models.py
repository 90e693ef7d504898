"""Bodies of the study's requests and answers. Older names are taken wherever one is named."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from volbal.api.exact import Number, given
from volbal.api.policies import OLDER_NAMES
from volbal.domain.policy import BOOLEANS
from volbal.engine.goals import Kind
from volbal.engine.grid import CATEGORIES, SWEPT
from volbal.engine.metrics import METRIC, Direction, Metric, Unit
from volbal.services.studies import Progress, Study
from volbal.services.study_request import LONGEST_NAME, MOST_CELLS
from volbal.services.study_results import SCORES, Heatmap, Statistics

OLDER_METRICS: Final[Mapping[str, str]] = {
    "trade_count": "fill_count",
    "avg_trade_duration": "avg_holding_days",
}
"""Metrics by the names of the earlier system."""

State = Literal["draft", "running", "completed", "failed", "cancelled", "interrupted"]
"""There is none for waiting in line: that study is running, and studies_ahead counts those before
it."""
TypeName = Literal["float", "integer", "boolean", "categorical"]
Kept = bool | int | float | str
"""A value as JSON has it: whole numbers stay whole."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of `names`, in the schema and in the sentence of a refusal."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(str))

    def __get_pydantic_json_schema__(self, _: Any, __: Any) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.names]}

    def check(self, value: str) -> str:
        if value not in self.names:
            raise ValueError(f"it is unknown; choose one of {', '.join(self.names)}")
        return value


METRIC_NAME: Final = OneOf((*METRIC, *OLDER_METRICS))
PARAMETER_NAME: Final = OneOf((*SWEPT, *(old for old, own in OLDER_NAMES.items() if own in SWEPT)))
SHOWN: Final = OneOf((*METRIC_NAME.names, *SCORES))
SORTS: Final = OneOf((*SHOWN.names, "combination_id", *PARAMETER_NAME.names))

MetricName = Annotated[str, METRIC_NAME]
ParameterName = Annotated[str, PARAMETER_NAME]
Shown = Annotated[str, SHOWN]
Sort = Annotated[str, SORTS]


def _session_day(value: object) -> date:
    """The date of an ISO date or datetime."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d($|T)", value):
        with suppress(ValueError):  # whose sentence would repeat the value
            return datetime.fromisoformat(value).date()
    raise ValueError("not a text such as 2026-03-13 or 2026-03-13T00:00:00Z")


SessionDay = Annotated[
    date,
    PlainValidator(_session_day),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}),
]


def _weights(value: object) -> dict[str, Decimal]:
    if not isinstance(value, dict):
        raise ValueError("not an object of metrics and weights")
    return {METRIC_NAME.check(name): given(weight) for name, weight in value.items()}


Weights = Annotated[
    dict[str, Decimal],
    PlainValidator(_weights),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"enum": [*METRIC_NAME.names]},
            "additionalProperties": {"type": "number", "minimum": 0},
        }
    ),
]


def _directions(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(way in ("up", "down") for way in value.values()):
        raise ValueError("not an object of metrics, each up or down")
    return {METRIC_NAME.check(name): way for name, way in value.items()}


Directions = Annotated[
    dict[str, Direction],
    PlainValidator(_directions),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"enum": [*METRIC_NAME.names]},
            "additionalProperties": {"enum": ["up", "down"]},
        }
    ),
]


def _limit(value: object) -> Decimal | tuple[Decimal, Decimal]:
    if not isinstance(value, list):
        return given(value)
    if len(value) != 2:
        raise ValueError("neither a number nor [low, high]")
    return given(value[0]), given(value[1])


Limit = Annotated[
    Decimal | tuple[Decimal, Decimal],
    PlainValidator(_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]


def _category(value: object) -> bool | str | Decimal:
    return value if isinstance(value, bool | str) else given(value)


Category = Annotated[
    bool | str | Decimal,
    PlainValidator(_category),
    WithJsonSchema({"anyOf": [{"type": name} for name in ("string", "boolean", "number")]}),
]


def body_like(**content: Any) -> ConfigDict:
    """A body whose other fields are ignored; `content` shows one."""
    return ConfigDict(extra="ignore", json_schema_extra={"examples": [content]})


class ParameterRange(BaseModel):
    """The values of one parameter: min_value, min_value + step_size, … up to max_value, exact."""

    model_config = body_like(min_value=0.01, max_value=0.05, step_size=0.01, parameter_type="float")

    parameter_type: TypeName = "float"
    min_value: Number | None = Field(default=None, description="Needed for float and integer")
    max_value: Number | None = Field(default=None, description="Needed for float and integer")
    step_size: Number | None = Field(default=None, description="Needed for float and integer")
    categorical_values: list[Category] | None = Field(
        default=None,
        min_length=1,
        description="Needed for categorical; the values of boolean, else both",
    )


class MetricConstraint(BaseModel):
    """A filter: combinations that fail it are rejected, shown and not ranked."""

    model_config = body_like(metric="max_drawdown", constraint_type="min_value", value=-0.3)

    metric: MetricName
    constraint_type: Kind
    value: Limit = Field(description="A number; [low, high] for in_range and out_of_range")


class Criteria(BaseModel):
    """What is good. Score: Σ weight × place among the feasible (0 to 1) / Σ weight."""

    model_config = body_like(
        primary_metric="sharpe_ratio",
        secondary_metrics=["max_drawdown"],
        weights={"sharpe_ratio": 1, "max_drawdown": 0.5},
        constraints=[{"metric": "max_drawdown", "constraint_type": "min_value", "value": -0.3}],
    )

    primary_metric: MetricName
    secondary_metrics: list[MetricName] = []
    constraints: list[MetricConstraint] = []
    weights: Weights = Field(
        default={},
        description="By metric, at least one above 0; without one the primary metric counts 1, "
        "any other 0",
    )
    minimize: StrictBool = Field(
        default=False, description="True: less of the primary metric is better"
    )
    directions: Directions = Field(
        default={},
        description="By metric, instead of its natural one; needed where it has none",
    )


EXAMPLE: Final[Mapping[str, Any]] = {
    "name": "AAPL volatility strategy",
    "ticker": "AAPL",
    "start_date": "2015-01-02",
    "end_date": "2020-12-31",
    "parameter_ranges": {
        "trigger_threshold": {"min_value": 0.01, "max_value": 0.05, "step_size": 0.01},
        "rebalance_ratio": {"min_value": 1, "max_value": 3, "step_size": 0.5},
    },
    "optimization_criteria": {"primary_metric": "sharpe_ratio"},
}


class NewStudy(BaseModel):
    """A study: one stock, a grid of parameters, and what is good. Other fields are ignored."""

    model_config = body_like(**EXAMPLE)

    name: StrictStr = Field(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")
    ticker: StrictStr = Field(min_length=1, max_length=40, pattern=r"\S")
    start_date: SessionDay = Field(description="Session date, included")
    end_date: SessionDay = Field(description="Session date, included")
    parameter_ranges: dict[str, ParameterRange] = Field(
        min_length=1, json_schema_extra={"propertyNames": {"enum": [*PARAMETER_NAME.names]}}
    )
    optimization_criteria: Criteria
    max_combinations: StrictInt = Field(
        default=1_000_000,
        ge=1,
        le=MOST_CELLS,
        description="Above it a sample of the grid is run: distinct combinations, Sobol sequence",
    )


class SentRange(BaseModel):
    """A parameter's values as they were sent."""

    model_config = ConfigDict(extra="allow")

    parameter_type: TypeName = "float"
    min_value: int | float | None = None
    max_value: int | float | None = None
    step_size: int | float | None = None
    categorical_values: list[Kept] | None = None


class SentConstraint(BaseModel):
    """A constraint as it was sent."""

    model_config = ConfigDict(extra="allow")

    metric: str
    constraint_type: Kind
    value: int | float | list[int | float]


class SentCriteria(BaseModel):
    """What is good, as it was sent."""

    model_config = ConfigDict(extra="allow")

    primary_metric: str
    secondary_metrics: list[str] = []
    constraints: list[SentConstraint] = []
    weights: dict[str, int | float] = {}
    minimize: bool = False
    directions: dict[str, Direction] = {}


class StudyAnswer(BaseModel):
    """A study: its request as it was sent, and what became of it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "id": 1,
                    "status": "draft",
                    "total_combinations": 25,
                    "grid_combinations": 25,
                    "sampled": False,
                    "created_at": "2026-01-05T15:00:00Z",
                    "evidence": [],
                    **EXAMPLE,
                }
            ]
        },
    )

    id: int
    status: State
    total_combinations: int = Field(description="Combinations that are run, invalid ones included")
    grid_combinations: int = Field(description="Combinations of the whole grid")
    sampled: bool = Field(description="True where the grid is too large to be run whole")
    created_at: datetime
    evidence: list[str] = Field(description="What to know of the results; empty before the start")
    name: str
    ticker: str = Field(description="Several, separated by commas, for a study made on screen")
    start_date: str | None = Field(description="null: from the first price there is")
    end_date: str | None = Field(description="null: to the last price there is")
    parameter_ranges: dict[str, SentRange]
    optimization_criteria: SentCriteria
    max_combinations: int = 1_000_000

    @classmethod
    def of(cls, study: Study, request: Mapping[str, Any]) -> Self:
        """request: the study in the words of the API."""
        own = {
            "id": study.study_id,
            "status": study.state.value,
            "total_combinations": study.request.total,
            "grid_combinations": study.request.combinations,
            "sampled": study.request.sampled,
            "created_at": study.created_at,
            "evidence": study.evidence,
            "name": study.request.name,
        }
        return cls.model_validate({**request, **own})


class StartAnswer(BaseModel):
    """What a start did; /progress says how the study stands now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "config_id": 1,
                    "status": "running",
                    "total_combinations": 20,
                    "started_at": "2026-01-05T15:00:00Z",
                }
            ]
        }
    )

    config_id: int
    status: Literal["running"] = "running"
    total_combinations: int
    started_at: datetime | None = Field(description="When it was started for the first time")

    @classmethod
    def of(cls, study: Study) -> Self:
        return cls(
            config_id=study.study_id,
            total_combinations=study.request.total,
            started_at=study.progress.started_at,
        )


class ProgressAnswer(BaseModel):
    """How far a study is. Invalid combinations count as completed at once."""

    config_id: int
    status: State
    total_combinations: int
    completed_combinations: int
    failed_combinations: int
    remaining_combinations: int
    invalid_combinations: int
    progress_percentage: float = Field(ge=0, le=100)
    started_at: datetime | None
    completed_at: datetime | None = Field(
        description="When it was completed, cancelled or failed; null before, and interrupted"
    )
    eta_seconds: float | None = Field(description="null where it does not run or just began")
    studies_ahead: int = Field(description="Studies that are worked on before it")
    error: str | None = Field(description="Why it failed")
    trials: dict[str, int] = Field(
        description="By ticker the combinations ever tried on it, by deleted studies too"
    )

    @classmethod
    def of(cls, study: Study) -> Self:
        seen: Progress = study.progress
        return cls(
            config_id=study.study_id,
            status=seen.state.value,
            total_combinations=seen.total,
            completed_combinations=seen.completed,
            failed_combinations=seen.failed,
            remaining_combinations=seen.remaining,
            invalid_combinations=seen.invalid,
            progress_percentage=seen.percentage,
            started_at=seen.started_at,
            completed_at=seen.completed_at,
            eta_seconds=seen.eta_seconds,
            studies_ahead=seen.ahead,
            error=seen.error,
            trials=dict(study.trials),
        )


class ResultAnswer(BaseModel):
    """One combination. Metrics are null where undefined; /metrics says why they can be."""

    combination_id: int
    parameters: dict[str, Kept]
    metrics: dict[str, float | None]
    status: Literal["feasible", "rejected", "invalid"]
    score: float | None = Field(description="0 to 1; null where it is not ranked")
    rank: int | None = Field(description="By score, 1 is best")
    plateau: float | None = Field(description="Mean score of it and its neighbours on the grid")
    fragility: float | None = Field(description="Score less the lowest score among them")
    rejected_by: str | None = Field(description="The metric of the first constraint it fails")

    @classmethod
    def of(
        cls, row: Mapping[str, Any], parameters: Mapping[str, str], metrics: Mapping[str, str]
    ) -> Self:
        """row: of a page of results; parameters, metrics: as the study calls them."""
        status = row["status"]
        return cls(
            combination_id=row["cell_id"],
            parameters={name: row[own] for own, name in parameters.items()},
            metrics={metrics.get(own, own): known(row[own]) for own in METRIC},
            status="feasible" if status == "unranked" else status,
            score=known(row["score"]),
            rank=_whole(row["rank"]),
            plateau=known(row["plateau"]),
            fragility=known(row["fragility"]),
            rejected_by=row["rejected_by"],
        )


class HeatmapCell(BaseModel):
    """One pair of values. metric_value: null where it is undefined, or the pair is invalid."""

    x_value: Kept
    y_value: Kept
    metric_value: float | None
    combination_id: int
    is_valid: bool


class StatisticsAnswer(BaseModel):
    """Of the values shown, rejected combinations included; null where there is none."""

    min: float | None
    max: float | None
    mean: float | None
    median: float | None
    count: int
    valid_count: int
    invalid_count: int

    @classmethod
    def of(cls, seen: Statistics) -> Self:
        return cls(
            min=known(seen.min),
            max=known(seen.max),
            mean=known(seen.mean),
            median=known(seen.median),
            count=seen.count,
            valid_count=seen.valid_count,
            invalid_count=seen.invalid_count,
        )


class HeatmapAnswer(BaseModel):
    """Two parameters by a metric; the other parameters stand where it is best."""

    x_parameter: str
    y_parameter: str
    metric: str
    cells: list[HeatmapCell] = Field(description="Pairs that are computed so far")
    x_values: list[Kept]
    y_values: list[Kept]
    statistics: StatisticsAnswer


def heatmap_answer(seen: Heatmap, x: str, y: str, metric: str) -> HeatmapAnswer:
    """x, y, metric: as they were asked for."""
    columns = (seen.cells.iloc[:, place].tolist() for place in (0, 1))
    rest = (seen.cells[name].tolist() for name in ("value", "cell_id", "status"))
    return HeatmapAnswer(
        x_parameter=x,
        y_parameter=y,
        metric=metric,
        cells=[
            HeatmapCell(
                x_value=across,
                y_value=up,
                metric_value=known(value),
                combination_id=cell_id,
                is_valid=status != "invalid",
            )
            for across, up, value, cell_id, status in zip(*columns, *rest, strict=True)
        ],
        x_values=list(seen.x_values),
        y_values=list(seen.y_values),
        statistics=StatisticsAnswer.of(seen.statistics),
    )


class MetricAnswer(BaseModel):
    """A figure of a combination."""

    name: str
    display_name: str
    direction: Direction | None = Field(description="Which way is good; null where neither is")
    unit: Unit
    description: str
    undefined: str = Field(description="Why it can be null")

    @classmethod
    def of(cls, metric: Metric) -> Self:
        return cls(
            name=metric.name,
            display_name=metric.label,
            direction=metric.direction,
            unit=metric.unit,
            description=metric.description,
            undefined=metric.undefined,
        )


class Metrics(BaseModel):
    """Everything that a study can be ranked, filtered, sorted and drawn by."""

    metrics: list[MetricAnswer]


class ParameterType(BaseModel):
    """How the values of a parameter are given, and which parameters take them so."""

    name: TypeName
    description: str
    parameters: list[str]


class ParameterTypes(BaseModel):
    """The ways to give the values of a parameter."""

    parameter_types: list[ParameterType]


def parameter_types() -> ParameterTypes:
    """Which parameters can be given in which way."""
    named = PARAMETER_NAME.names
    booleans = [name for name in named if OLDER_NAMES.get(name, name) in BOOLEANS]
    numeric = [name for name in named if name not in {*booleans, *CATEGORIES}]
    told: tuple[tuple[TypeName, str, list[str]], ...] = (
        ("float", "min_value, min_value + step_size, … up to max_value, exact decimals", numeric),
        ("integer", "the same in whole numbers", numeric),
        ("boolean", "true and false, or what categorical_values names of them", booleans),
        ("categorical", "the values that categorical_values names", [*named]),
    )
    return ParameterTypes(
        parameter_types=[
            ParameterType(name=name, description=text, parameters=names)
            for name, text, names in told
        ]
    )


def _whole(value: float | None) -> int | None:
    found = known(value)
    return int(found) if found else None


def known(value: float | None) -> float | None:
    """JSON has no NaN: what is undefined is null."""
    return None if value is None or not math.isfinite(value) else value

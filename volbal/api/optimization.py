"""Routes of studies (optimization): save, start, watch, read."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from volbal.api.exact import ExactResponse
from volbal.api.ledger import Id, OptionalKey, Paged
from volbal.api.optimization_models import (
    HeatmapAnswer,
    MetricAnswer,
    Metrics,
    NewStudy,
    ParameterName,
    ParameterTypes,
    ProgressAnswer,
    ResultAnswer,
    Shown,
    Sort,
    StartAnswer,
    StudyAnswer,
    heatmap_answer,
    parameter_types,
)
from volbal.api.pages import COUNTED, TOTAL
from volbal.api.problems import Route, documented
from volbal.api.study_translation import (
    Names,
    own_metric,
    own_parameter,
    own_sort,
    renamed,
    request_in_words,
    request_of,
    sent_text,
)
from volbal.domain import orders
from volbal.engine.metrics import METRICS
from volbal.errors import InvalidInput
from volbal.services import studies, study_results
from volbal.services.exports import MEDIA_TYPES
from volbal.services.running import database
from volbal.services.studies import Study
from volbal.services.study_results import Filters, Format, Status

router = APIRouter(
    prefix="/v1/optimization",
    route_class=Route,
    default_response_class=ExactResponse,
    responses=documented(422, 503),
    tags=["Optimization"],
)

STATUSES: Final[Mapping[bool | None, tuple[Status, ...]]] = {
    None: (),
    True: ("feasible", "unranked"),
    False: ("rejected", "invalid"),
}
"""What `feasible` asks for."""

AXES: Final[Mapping[str, str]] = {"x": "x_parameter", "y": "y_parameter"}

BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
ROWS: Final = {"schema": {"type": "array", "items": {"type": "object"}}}
FILES: Final[Mapping[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file",
        "content": {
            media: ROWS if kind == "json" else BINARY for kind, media in MEDIA_TYPES.items()
        },
    }
}


async def as_sent(request: Request) -> str:
    """The body as text that a study keeps; what is no JSON is refused where it is read."""
    try:
        return sent_text(await request.json())
    except json.JSONDecodeError:
        return ""


@router.post(
    "/configs",
    status_code=201,
    response_model_exclude_unset=True,
    responses=documented(400, 409)
    | {200: {"model": StudyAnswer, "description": "The key stands for this study already"}},
)
def save(
    body: NewStudy,
    sent: Annotated[str, Depends(as_sent)],
    response: Response,
    key: OptionalKey = None,
) -> StudyAnswer:
    """Save a study as a draft; with a key, once."""
    used, now = None if key is None else orders.key(key), _now()
    try:
        made = studies.create(database(), request_of(body), now, key=used, sent=sent)
    except InvalidInput as error:
        raise renamed(error, body) from error
    if used is not None and made.created_at != now:
        _require_same(used, made, sent)
        response.status_code = 200
    return _answer(made)


def _require_same(key: str, made: Study, sent: str) -> None:
    if made.sent is None or json.loads(made.sent) != json.loads(sent):
        first = f"study {made.study_id} as it was sent first"
        raise orders.IdempotencyConflict(key, first, "another request")


@router.get("/configs", response_model_exclude_unset=True, responses={**COUNTED})
def list_studies(page: Paged, response: Response) -> list[StudyAnswer]:
    """All studies, those made on screen included, newest first."""
    return list(map(_answer, page.of(studies.list_studies(database()), response)))


@router.get("/configs/{config_id}", response_model_exclude_unset=True, responses=documented(404))
def find_study(config_id: Id) -> StudyAnswer:
    """One study."""
    return _answer(studies.get(database(), config_id))


@router.delete("/configs/{config_id}", status_code=204, responses=documented(404, 409))
def delete(config_id: Id) -> None:
    """Remove a study and its results; refused while it runs."""
    studies.delete(database(), config_id)


@router.post("/configs/{config_id}/start", responses=documented(400, 404, 409))
def start(config_id: Id, key: OptionalKey = None) -> StartAnswer:
    """Run a draft in the background; with a key, once."""
    return StartAnswer.of(studies.start(database(), config_id, _now(), key=key))


@router.post("/configs/{config_id}/resume", responses=documented(400, 404, 409))
def resume(config_id: Id, key: OptionalKey = None) -> StartAnswer:
    """Go on with a cancelled, interrupted or failed study; what is stored is kept."""
    return StartAnswer.of(studies.resume(database(), config_id, _now(), key=key))


@router.post("/configs/{config_id}/cancel", responses=documented(404, 409))
def cancel(config_id: Id) -> ProgressAnswer:
    """Stop a study within a second; what is stored stays."""
    return ProgressAnswer.of(studies.cancel(database(), config_id, _now()))


@router.get("/configs/{config_id}/progress", responses=documented(404))
def progress(config_id: Id) -> ProgressAnswer:
    """How far a study is."""
    return ProgressAnswer.of(studies.get(database(), config_id))


@router.get("/configs/{config_id}/results", responses=documented(404) | COUNTED)
def list_results(
    config_id: Id,
    page: Paged,
    response: Response,
    sort: Annotated[Sort, Query(description="Best first, what has no value last")] = "score",
    feasible: Annotated[bool | None, Query(description="Only those that are, or are not")] = None,
) -> list[ResultAnswer]:
    """The combinations computed so far. By a metric or score the peak is first: mind `plateau`."""
    names = Names.of(studies.get(database(), config_id))
    found = study_results.page(
        database(),
        config_id,
        sort=own_sort(sort),
        limit=page.limit,
        offset=page.offset,
        filters=Filters(status=STATUSES[feasible]),
    )
    response.headers[TOTAL] = str(found.total)
    rows: list[Mapping[str, Any]] = found.rows.to_dict("records")  # type: ignore[assignment]
    return [ResultAnswer.of(row, names.parameters, names.metrics) for row in rows]


@router.get("/configs/{config_id}/heatmap", responses=documented(404))
def heatmap(
    config_id: Id,
    x_parameter: Annotated[ParameterName, Query(examples=["trigger_threshold"])],
    y_parameter: Annotated[ParameterName, Query(examples=["rebalance_ratio"])],
    metric: Annotated[Shown, Query(examples=["sharpe_ratio"])],
) -> HeatmapAnswer:
    """Two parameters by a metric; the others stand where the metric is best."""
    x, y = own_parameter(x_parameter), own_parameter(y_parameter)
    try:
        seen = study_results.heatmap(database(), config_id, x, y, own_metric(metric))
    except InvalidInput as error:
        raise InvalidInput(AXES.get(error.field, error.field), *error.args[1:]) from error
    return heatmap_answer(seen, x_parameter, y_parameter, metric)


@router.get(
    "/configs/{config_id}/export",
    response_class=Response,
    responses={**documented(404), **FILES},
)
def export(
    config_id: Id,
    kind: Annotated[Format, Query(alias="format", description="The kind of file")] = "csv",
) -> Response:
    """Every combination as a file, in volbal's own names."""
    content = study_results.export(database(), config_id, kind)
    headers = {"Content-Disposition": f'attachment; filename="study_{config_id}.{kind}"'}
    return Response(content, media_type=MEDIA_TYPES[kind], headers=headers)


@router.get("/metrics")
def list_metrics() -> Metrics:
    """What a study can be ranked, filtered, sorted and drawn by."""
    return Metrics(metrics=list(map(MetricAnswer.of, METRICS)))


@router.get("/parameter-types")
def list_parameter_types() -> ParameterTypes:
    """How the values of a parameter can be given."""
    return parameter_types()


def _answer(study: Study) -> StudyAnswer:
    return StudyAnswer.of(study, request_in_words(study))


def _now() -> datetime:
    return datetime.now(UTC)

"""What the API answers where it does not do what was asked: one table, one shape."""

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from volbal.api.exact import ExactRequest
from volbal.domain.orders import KeyTooLong, MissingIdempotencyKey
from volbal.errors import InvalidInput, VolbalError

LOG = logging.getLogger("volbal")

STATUS: Final[Mapping[str, int]] = {
    "missing_idempotency_key": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "position_not_found": 404,
    "order_not_found": 404,
    "dividend_not_found": 404,
    "study_not_found": 404,
    "idempotency_signature_mismatch": 409,
    "order_closed": 409,
    "order_open": 409,
    "overfill": 409,
    "insufficient_cash": 409,
    "insufficient_shares": 409,
    "guardrail_breach": 409,
    "daily_order_cap": 409,
    "proposal_outdated": 409,
    "study_not_startable": 409,
    "study_running": 409,
    "study_prices_changed": 409,
    "vault_opened": 409,
    "price_unavailable": 503,
    "rate_limited": 503,
    "database_busy": 503,
}
"""Error code to HTTP status; invalid_… is 422, anything else is a fault of volbal: 500."""

RETRY_AFTER: Final[Mapping[str, int]] = {
    "price_unavailable": 60,
    "rate_limited": 60,
    "database_busy": 1,
}
"""Seconds after which it is worth another try."""

NOT_FOUND: Final[Mapping[str, tuple[str, str]]] = {
    "position_id": ("position_not_found", "position"),
    "order_id": ("order_not_found", "order"),
    "dividend_id": ("dividend_not_found", "dividend"),
    "config_id": ("study_not_found", "study"),
}
"""Path parameter to the code and the name of what it does not find."""


class Problem(BaseModel):
    """Why a request was not carried out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "detail": "invalid_qty",
                    "message": "qty: -1 is not above 0; allowed: above 0, at most 12 decimals.",
                    "field": "qty",
                }
            ]
        }
    )

    detail: str = Field(description="The code of the error, for programs")
    message: str = Field(description="What happened and what to do, for people")
    field: str | None = Field(None, description="The part of the request that is meant")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route as OpenAPI describes them."""
    told = {
        400: "The Idempotency-Key is missing or blank",
        404: "There is no such thing",
        409: "Refused: the state of the position or study does not allow it",
        422: "A value cannot be used",
        503: "Try again after Retry-After seconds",
    }
    return {
        status: {"model": Problem, "description": told[status]} | HEADERS.get(status, {})
        for status in statuses
    }


HEADERS: Final[Mapping[int, dict[str, Any]]] = {
    503: {
        "headers": {
            "Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}},
        }
    }
}
"""Of a status, as OpenAPI describes them."""


def problem(
    status: int,
    detail: str,
    message: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The one shape of every error."""
    content = {"detail": detail, "message": message} | ({"field": field} if field else {})
    return JSONResponse(content, status, dict(headers or {}))


class Route(APIRoute):
    """A route with exact numbers that answers every error in the one shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(ExactRequest(request.scope, request.receive))
            except VolbalError as error:
                return refused(error)
            except RequestValidationError as error:
                return _unreadable(error)
            except HTTPException:
                raise
            except Exception:
                return _fault(request)

        return answer


def refused(error: VolbalError) -> JSONResponse:
    """A refusal of a service, with the status of its code."""
    code, field = error.code, error.field if isinstance(error, InvalidInput) else None
    status = 422 if isinstance(error, InvalidInput) else STATUS.get(code, 500)
    if status == 500:
        LOG.error("The API answered %s: %s", code, error)
    headers = {"Retry-After": str(RETRY_AFTER[code])} if code in RETRY_AFTER else {}
    return problem(status, code, str(error), field, headers)


def _fault(request: Request) -> JSONResponse:
    """A bug: the log has all of it, the answer its number."""
    number = secrets.token_hex(4)
    LOG.exception("Fault %s in %s %s", number, request.method, request.url.path)
    return problem(
        500, "internal_error", f"volbal failed at this; its log says why under fault {number}."
    )


def _unreadable(error: RequestValidationError) -> JSONResponse:
    """The first thing that is wrong with a request, without repeating what was sent."""
    first = error.errors()[0]
    kind, (place, *names) = first["type"], first["loc"]
    words = [name for name in names if isinstance(name, str)]  # others count places in a list
    name = words[-1] if words else ""
    if place == "path":
        code, thing = NOT_FOUND[name]
        return problem(404, code, f"A {thing} has a whole number; list them to see theirs.")
    if name == "Idempotency-Key":
        is_long = kind == "string_too_long"
        return refused(KeyTooLong() if is_long else MissingIdempotencyKey())
    if kind == "json_invalid" or not names:
        message = "The body is no JSON object; send one, with Content-Type: application/json."
        return problem(422, "invalid_body", message)
    field = ".".join(map(str, names))
    if kind == "extra_forbidden":
        return problem(422, "invalid_field", f"{field}: there is no such field here.", field)
    return problem(422, f"invalid_{name}", f"{field}: {_reason(first)}.", field)


def _reason(error: Mapping[str, Any]) -> str:
    """Pydantic's words for it; none of them repeat the value."""
    if error["type"] == "missing":
        return "it is missing"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    message = str(error["msg"])
    return message[:1].lower() + message[1:]


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have `app`, which serves `routes`, answer other paths and methods in the one shape, too."""

    @app.exception_handler(HTTPException)
    async def answer(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return problem(404, "not_found", "There is nothing at this address.")
        if error.status_code == 413:
            return problem(413, "body_too_large", "The body is too large.")
        allowed = ", ".join(sorted(_methods(routes, request.scope)))
        message = f"This address takes {allowed}."
        return problem(405, "method_not_allowed", message, headers={"Allow": allowed})


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods of every route at the address."""
    return {
        method
        for route in routes
        if isinstance(route, APIRoute) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def nothing_else_below_v1(screens: ASGIApp) -> ASGIApp:
    """What answers where no route does: the screens, or 404 below /v1."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            raise HTTPException(404)
        await screens(scope, receive, send)

    return answer

"""Whether volbal answers."""

from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from volbal.api.problems import Route

VERSION: Final = "v1"
SIGNATURE: Final = "X-Volbal"
"""Response header by which start.py tells a running volbal from another program on the port."""

router = APIRouter(tags=["Health"], route_class=Route)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ApiHealth(Health):
    """The HTTP API answers, in this version."""

    version: Literal["v1"] = VERSION


@router.get("/healthz")
async def health(response: Response) -> Health:
    """The process answers."""
    response.headers[SIGNATURE] = VERSION
    return Health()


@router.get(f"/{VERSION}/healthz")
async def api_health(response: Response) -> ApiHealth:
    """The HTTP API answers, and in which version."""
    response.headers[SIGNATURE] = VERSION
    return ApiHealth()

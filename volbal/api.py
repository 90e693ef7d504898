"""HTTP routes: translate a request, call a service, translate back."""

from fastapi import APIRouter, Response

VERSION = "v1"
SIGNATURE = "X-Volbal"
"""Response header by which start.py tells a running volbal from another program on the port."""

router = APIRouter()


@router.get("/healthz")
def health(response: Response) -> dict[str, str]:
    """The process answers."""
    response.headers[SIGNATURE] = VERSION
    return {"status": "ok"}


@router.get(f"/{VERSION}/healthz")
def api_health(response: Response) -> dict[str, str]:
    """The HTTP API answers, and in which version."""
    response.headers[SIGNATURE] = VERSION
    return {"status": "ok", "version": VERSION}

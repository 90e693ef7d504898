"""The guard that keeps web pages from elsewhere away from the server on this machine."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class LoopbackOnly:
    """Refuse requests that were not addressed to this machine, or that another site's page sends.

    Listening on loopback alone does not stop a browser: a foreign page can point its own name at
    127.0.0.1 (seen in Host), or send requests to it straight (seen in Origin).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a foreign Host or Origin; else pass the request on."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            refusal = host_refusal(host) or origin_refusal(origin, host)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def host_refusal(host: str) -> PlainTextResponse | None:
    """The answer to a Host header that does not name this machine; None if it does."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name in LOOPBACK_NAMES:
        return None
    return PlainTextResponse(
        "volbal answers only on this machine: open it as http://localhost or http://127.0.0.1"
        " with its port.\n",
        status_code=403,
    )


def origin_refusal(origin: str | None, host: str) -> PlainTextResponse | None:
    """The answer to a request from a page of another origin; None for volbal's own pages.

    A request without Origin comes from a program or from the address bar, not from a page.
    """
    if origin is None or origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower()):
        return None
    return PlainTextResponse("volbal takes requests from its own pages only.\n", status_code=403)

"""Who may ask this server: this machine alone, or whoever knows the token.

Without VOLBAL_API_TOKEN only requests that arrived on loopback and were addressed to it are
answered. With it every request has to carry it, wherever it comes from: programs as a bearer
token, browsers as a cookie that they get once for typing the token. Pages of other origins are
refused in either case. Nothing here depends on the screens or the API; it stands before both.
"""

import hashlib
import hmac
import html
from ipaddress import IPv6Address, ip_address
from string import Template
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS: Final = frozenset({"/healthz", "/v1/healthz"})
"""Answered without the token: start.py and container runtimes ask them."""

COOKIE: Final = "volbal_session"
COOKIE_SECONDS: Final = 365 * 24 * 3600
LONGEST_FORM: Final = 10_000


class Access:
    """Middleware for HTTP and WebSocket requests. token: None for this machine alone."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403 in its place."""
        if scope["type"] in ("http", "websocket"):
            refusal = await self._refusal(scope, receive)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        headers = Headers(scope=scope)
        if self.token is None and not _is_local(scope, headers.get("host", "")):
            return _forbidden(
                scope,
                "volbal answers only on this machine: open it as http://localhost or "
                "http://127.0.0.1 with its port, or start it with VOLBAL_API_TOKEN.",
            )
        if _is_foreign(headers.get("origin"), headers.get("host", "")):
            return _forbidden(scope, "volbal takes requests from its own pages only.")
        if self.token is None or scope["path"] in OPEN_PATHS or knows(scope, self.token):
            return None
        if scope["type"] == "websocket" or is_api(scope["path"]):
            return _unauthorized()
        return await _sign_in(Request(scope, receive), self.token)


def is_loopback(address: str | None) -> bool:
    """Does an address or name mean this machine alone?"""
    if address is None:
        return False
    try:
        number = ip_address(address)
    except ValueError:
        return address.lower() in LOOPBACK_NAMES
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return (mapped or number).is_loopback


def require_token(address: str | None, token: str | None) -> None:
    """End the program where it would listen beyond loopback to anybody. address: None for all."""
    if not (token or is_loopback(address)):
        raise SystemExit(
            f"volbal does not listen on {address or 'all addresses'} without a token: set "
            "VOLBAL_API_TOKEN to a long secret, or use --server.address 127.0.0.1."
        )


def is_api(path: str) -> bool:
    """Is `path` for programs, which get JSON where people get a page?"""
    return path.startswith("/v1/") or path == "/openapi.json"


def knows(scope: Scope, token: str) -> bool:
    """Does the request carry the token, or the cookie that was given for it?"""
    connection = HTTPConnection(scope)
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    # Headers are read as Latin-1; what was sent in them are the bytes of the token.
    if scheme.lower() == "bearer" and _equal(bearer.strip().encode("latin-1"), token.encode()):
        return True
    return _equal(connection.cookies.get(COOKIE, "").encode(), _pass(token).encode())


def _pass(token: str) -> str:
    """What the cookie holds: proof of the token, which it does not reveal."""
    return hmac.new(token.encode(), b"volbal screens", hashlib.sha256).hexdigest()


def _equal(given: bytes, expected: bytes) -> bool:
    """In a time that tells nothing about where they differ."""
    return hmac.compare_digest(given, expected)


def _is_local(scope: Scope, host: str) -> bool:
    """Arrived on loopback and addressed to it: a page can point its own name at 127.0.0.1."""
    arrived_on, *_ = scope.get("server") or (None,)
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return is_loopback(arrived_on) and name in LOOPBACK_NAMES


def _is_foreign(origin: str | None, host: str) -> bool:
    """Does a page of another origin ask? Without Origin it is a program or the address bar."""
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    return origin is not None and origin.lower() not in own


def _forbidden(scope: Scope, message: str) -> Response:
    if is_api(scope["path"]):
        return JSONResponse({"detail": "forbidden", "message": message}, 403)
    return PlainTextResponse(f"{message}\n", 403)


def _unauthorized() -> Response:
    message = "Send the token: Authorization: Bearer <VOLBAL_API_TOKEN>."
    content = {"detail": "unauthorized", "message": message}
    return JSONResponse(content, 401, {"WWW-Authenticate": "Bearer"})


async def _sign_in(request: Request, token: str) -> Response:
    """The page that asks for the token; its answer, when it is right, is the page asked for."""
    if request.method != "POST":
        return _page("")
    if not _equal((await _typed(request)).encode(), token.encode()):
        return _page("That is not the token.")
    there = "/" + request.url.path.lstrip("/\\")
    query = f"?{request.url.query}" if request.url.query else ""
    response = Response(status_code=303, headers={"Location": there + query})
    response.set_cookie(
        COOKIE,
        _pass(token),
        max_age=COOKIE_SECONDS,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


async def _typed(request: Request) -> str:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                return ""
    except ClientDisconnect:
        return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()


def _page(problem: str) -> HTMLResponse:
    content = _PAGE.substitute(problem=html.escape(problem))
    headers = {"Cache-Control": "no-store", "WWW-Authenticate": "Bearer"}
    return HTMLResponse(content, 401, headers)


_PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>volbal: sign in</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 "Source Sans", system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  background: light-dark(#F4F6F9, #0E1420); color: light-dark(#0F172A, #E6EBF3); }
form { box-sizing: border-box; width: min(24rem, 100vw - 2rem); padding: 1.75rem;
  border: 1px solid light-dark(#DCE2EA, #2A3650); border-radius: 6px;
  background: light-dark(#FFFFFF, #182032); }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; }
label { display: block; margin: 1.25rem 0 .25rem; font-weight: 600; }
input, button { box-sizing: border-box; width: 100%; padding: .55rem .75rem; font: inherit;
  border-radius: 6px; border: 1px solid light-dark(#B8C2D0, #42506B); }
button { margin-top: 1rem; border: 0; font-weight: 600; cursor: pointer;
  background: light-dark(#1D4ED8, #5B8DEF); color: light-dark(#FFFFFF, #0E1420); }
p { margin: 0; }
[role=alert]:not(:empty) { margin-top: .75rem; color: light-dark(#B42318, #FDA29B); }
</style>
</head>
<body>
<form method="post">
<h1>volbal</h1>
<p>This volbal asks for its token, once per browser.</p>
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<p role="alert">$problem</p>
<button>Sign in</button>
</form>
</body>
</html>
""")

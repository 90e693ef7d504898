"""HTTP routes: translate a request, call a service, translate back."""

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

from volbal.api import documentation, health, ledger, problems, simulations


def install(app: FastAPI, screens: ASGIApp, *, secured: bool) -> None:
    """Give `app` all routes of the API, and the screens every path that is not the API's.

    secured: the description says that a bearer token is needed; `volbal.access` asks for it.
    """
    routers = (health.router, ledger.router, simulations.router)
    token = [Security(HTTPBearer(auto_error=False, description="VOLBAL_API_TOKEN"))]
    for router in routers:
        needs_token = secured and router is not health.router
        app.include_router(router, dependencies=token if needs_token else [])
    documentation.install(app)
    problems.install(app, [route for router in routers for route in router.routes])
    app.router.redirect_slashes = False
    app.router.default = problems.nothing_else_below_v1(screens)

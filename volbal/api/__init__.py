"""HTTP routes: translate a request, call a service, translate back."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from volbal.api import documentation, health, ledger, problems


def install(app: FastAPI, screens: ASGIApp) -> None:
    """Give `app` all routes of the API, and the screens every path that is not the API's."""
    routers = (health.router, ledger.router)
    for router in routers:
        app.include_router(router)
    documentation.install(app)
    problems.install(app, [route for router in routers for route in router.routes])
    app.router.redirect_slashes = False
    app.router.default = problems.nothing_else_below_v1(screens)

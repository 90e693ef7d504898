"""ASGI launcher: the Streamlit screens and the HTTP API in one process.

`streamlit run app.py`, `python app.py` and `uvicorn app:app` serve the same thing. FastAPI is the
parent, so that the API owns its paths; everything else goes to the screens.
"""

import gc
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st
from fastapi import FastAPI
from streamlit import config

from volbal import access, api
from volbal.config import api_token
from volbal.errors import VolbalError
from volbal.services import running, study_life
from volbal.ui import document, fault

LOG = logging.getLogger("volbal")

TOKEN = api_token()

if __name__ == "__main__":
    from streamlit.web import cli

    # A second copy of the app in this process would be refused by Streamlit, so hand over here.
    cli.main(["run", __file__, *sys.argv[1:]], prog_name="app.py")

if "streamlit.web.cli" in sys.modules:  # it is the server, and listens where its options say
    access.require_token(st.get_option("server.address"), TOKEN)
if TOKEN:  # who knows it may come under any name; `Access` still refuses foreign pages
    config.set_option("server.allowedHosts", ["*"])


BAR_SECONDS = 5.0
"""How long the end of the server waits for a bar that an autopilot has begun."""


def warm_up() -> None:
    """Load what the first pages need, so that the first visitor does not wait for it."""
    try:
        import altair  # noqa: F401  slow to import: not before the server answers
        import PIL.Image  # noqa: F401  draws the page's icon

        from volbal.engine import kernel
        from volbal.services import overview
        from volbal.ui import cockpit, portfolio  # noqa: F401

        # Once for its imports and caches: calendars, bundled prices, the file's pages.
        overview.overview(running.database(), datetime.now(UTC))
        kernel.warm_up()
    except VolbalError:
        pass  # `open_records` has reported it
    except Exception:
        # The page that needs the missing piece reports it; the server must go on.
        LOG.exception("Warm-up failed")
    finally:
        # Streamlit collects garbage after every run of a page, and everything waits for it: what
        # stays for ever, the modules above all, need not be looked through each time.
        gc.collect()
        gc.freeze()


def open_records() -> None:
    """Hold the ledger's file from the start; the screens of research work without it.

    Studies of processes that are gone are marked interrupted: they can be resumed.
    """
    try:
        study_life.interrupt_orphans(running.database(), datetime.now(UTC))
    except VolbalError as error:
        LOG.error("The records are not open. %s", error)


def watch_autopilots(stop: threading.Event) -> None:
    """Let positions that run by themselves look at new bars, until `stop` is set."""
    from volbal.services import autopilot  # pandas is slow to import: not before the server answers

    autopilot.watch(stop, lambda: datetime.now(UTC))


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Warm up in the background; on exit end the worker processes, which would outlive us."""
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    open_records()
    stop = threading.Event()
    pilots = threading.Thread(target=watch_autopilots, args=(stop,), name="autopilots", daemon=True)
    pilots.start()
    try:
        yield
    finally:
        from volbal import jobs  # slow to import: not before the server answers
        from volbal.services import study_runner

        stop.set()
        pilots.join(BAR_SECONDS)  # a bar that has begun is finished, a slow Yahoo left alone
        study_runner.stop()
        jobs.shutdown()
        running.close()


ui = st.App(
    Path(__file__).parent / "volbal" / "ui" / "main.py",
    lifespan=lifespan,
    on_script_error=fault.show,
    routes=document.routes(),
)
# FastAPI's own /docs fetches its scripts from elsewhere and is blank offline.
app = FastAPI(title="volbal", lifespan=ui.lifespan(), docs_url=None, redoc_url=None)
app.add_middleware(access.Access, token=TOKEN)
api.install(app, ui, secured=TOKEN is not None)

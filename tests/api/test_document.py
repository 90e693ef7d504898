"""The document that a browser gets for every screen."""

import gc
import re
from pathlib import Path

import anyio.from_thread
import httpx
import pytest
from starlette.applications import Starlette
from streamlit import file_util

from volbal.ui import document

from .conftest import LOCAL, Asker

STATIC = Path(file_util.get_static_dir())


def opened(portal: anyio.from_thread.BlockingPortal, path: str) -> httpx.Response:
    async def sent() -> httpx.Response:
        transport = httpx.ASGITransport(app=Starlette(routes=document.routes()))
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            return await client.get(path)

    return portal.call(sent)


@pytest.mark.parametrize("path", ["/", "/position", "/optimize?study=1"])
def test_a_page_is_streamlits_document_that_hides_it_until_it_is_drawn(
    portal: anyio.from_thread.BlockingPortal, path: str
) -> None:
    answer = opened(portal, path)
    before, head, after = (STATIC / "index.html").read_text("utf-8").partition("</head>")
    assert answer.text.startswith(f"{before}<style>")
    assert answer.text.endswith(f"</script>\n{head}{after}")
    assert answer.headers["cache-control"] == "no-cache"


def test_what_a_page_waits_for_is_called_so_by_streamlit(
    portal: anyio.from_thread.BlockingPortal,
) -> None:
    head = opened(portal, "/").text
    names = {*re.findall(r"data-testid=(\w+)", head), "data-test-script-state", "notRunning"}
    assert len(names) == 10
    scripts = "".join(path.read_text("utf-8") for path in STATIC.glob("static/js/[A-Zi]*.js"))
    assert {name for name in names if name not in scripts} == set()


def test_what_stays_for_ever_is_not_looked_through_after_every_run(ask: Asker) -> None:
    from app import warm_up

    assert ask("GET", "/healthz").is_success  # the records are its own
    before = gc.get_freeze_count()
    try:
        warm_up()
        assert gc.get_freeze_count() - before > len(gc.get_objects())
    finally:
        gc.unfreeze()

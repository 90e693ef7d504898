"""The document that a browser gets for every screen: Streamlit's own, and what keeps it still.

Streamlit draws a page as it arrives: first narrow, then wide, then beside its sidebar, with a grey
bar for every widget whose script has not come, which takes its height only then. All of it would
jump. So a page that is opened is shown once its first run has ended and its widgets and charts are
there, and after `LONGEST_WAIT_MS` in any case. On a phone the tabs of a position stand closer.
"""

from functools import cache
from pathlib import Path
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from streamlit import file_util

PAGES: Final = Path(__file__).parents[2] / "pages"
LONGEST_WAIT_MS: Final = 3_000
"""From the opening on: a page that takes longer is shown as it comes."""

_HEAD: Final = Template("""<style>
html.arriving { background: light-dark(#FFFFFF, #0E1420); color-scheme: light dark; }
html.arriving [data-testid=stAppViewContainer],
html.arriving [data-testid=stAppViewContainer] * { visibility: hidden !important; }
html.arriving::before { content: ""; position: fixed; z-index: 1; inset: 0 0 auto;
  height: 3px; background: light-dark(#1D4ED8, #5B8DEF);
  animation: arriving 1.2s .5s infinite backwards; }
@keyframes arriving { from { transform: translateX(-100%); } to { transform: translateX(100%); } }
@media (max-width: 480px) { [data-testid=stTabs] [role=tablist] { gap: .7rem; } }
</style>
<script>
(() => {
  const root = document.documentElement;
  const undrawn = "[data-testid=stSkeleton], :is([data-testid=stDataFrame], "
    + "[data-testid=stEChartsChart], [data-testid=stVegaLiteChart]):not(:has(canvas, svg))";
  const look = () => {
    const app = document.querySelector("[data-testid=stApp]");
    const arrived = app?.dataset.testScriptState === "notRunning"
      && app.querySelector("[data-testid=stElementContainer]")
      && ![...app.querySelectorAll(undrawn)].some(one => one.checkVisibility());
    if (arrived || performance.now() > $longest) root.classList.remove("arriving");
    else requestAnimationFrame(look);
  };
  root.classList.add("arriving");
  look();
})();
</script>
""")


def routes() -> list[Route]:
    """One for the address of each page."""
    paths = ("/", *(f"/{page.stem}" for page in sorted(PAGES.glob("*.py"))))
    return [Route(path, _answer) for path in paths]


def _answer(_: Request) -> HTMLResponse:
    return HTMLResponse(_document(), headers={"Cache-Control": "no-cache"})


@cache
def _document() -> str:
    streamlits = Path(file_util.get_static_dir(), "index.html").read_text(encoding="utf-8")
    return streamlits.replace("</head>", f"{_HEAD.substitute(longest=LONGEST_WAIT_MS)}</head>", 1)

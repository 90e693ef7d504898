"""The prices that pages compute with: read once, and again only where they have changed."""

import streamlit as st

from volbal.config import Settings
from volbal.errors import VolbalError
from volbal.market.model import DAILY, PriceHistory
from volbal.services import market_data, running

RETRY_SECONDS = 20
"""How long records that did not open are left alone: each try may wait for their holder."""


class KnownPrices:
    """A PriceSource: stored prices, then bundled ones; bundled alone where no records open."""

    name = "stored and bundled"

    def symbols(self) -> tuple[str, ...]:
        """Symbols with daily prices."""
        return market_data.BUNDLED.symbols() if problem() else _symbols(*_state())

    def history(self, symbol: str) -> PriceHistory:
        """All daily prices of `symbol`. Raises PriceUnavailable."""
        if problem():
            return market_data.BUNDLED.history(symbol)
        return _history(symbol, self.revision(symbol), _state()[0])

    def revision(self, symbol: str) -> int:
        """Another number whenever the prices of `symbol` are others; 0 for bundled ones."""
        return 0 if problem() else revisions().get((symbol.strip().upper(), DAILY), 0)


def problem() -> str:
    """Why the records cannot be used; empty where they can."""
    try:
        return _problem(Settings.from_environment())
    except VolbalError as error:
        return str(error)


def revisions() -> dict[tuple[str, str], int]:
    """The revision of every stored series, by symbol and interval. Raises VolbalError."""
    return _revisions(*_state())


def _state() -> tuple[str, int]:
    """Something else after every write: other programs cannot write while this one runs."""
    database = running.database()
    return str(database.path), database.commits


@st.cache_data(ttl=RETRY_SECONDS, show_spinner=False)
def _problem(settings: Settings) -> str:
    try:
        running.database()
    except VolbalError as error:
        return str(error)
    return ""


@st.cache_data(max_entries=2, show_spinner=False)
def _revisions(path: str, commits: int) -> dict[tuple[str, str], int]:
    return market_data.revisions(running.database())


@st.cache_data(max_entries=2, show_spinner=False)
def _symbols(path: str, commits: int) -> tuple[str, ...]:
    return market_data.known_symbols(running.database())


@st.cache_resource(max_entries=64, show_spinner=False)
def _history(symbol: str, revision: int, path: str) -> PriceHistory:
    return market_data.history(running.database(), symbol)

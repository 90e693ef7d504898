"""Settings, read once from the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from volbal.errors import InvalidInput

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where volbal keeps its records and whom it asks for prices.

    database: the one DuckDB file (``VOLBAL_DB``; ``data/volbal.duckdb`` of the project otherwise).
    busy_timeout: seconds to wait for another program that holds the file (``VOLBAL_DB_TIMEOUT``).
    dask_scheduler: address of the Dask scheduler that studies go to, "" for this machine
    (``VOLBAL_DASK_SCHEDULER``).
    yahoo_url: a server that stands in for Yahoo (``VOLBAL_YAHOO_URL``; empty means Yahoo itself).
    """

    database: Path = PROJECT / "data" / "volbal.duckdb"
    busy_timeout: float = 10.0
    dask_scheduler: str = ""
    yahoo_url: str = ""

    @property
    def snapshot(self) -> Path:
        """The read copy for tools that keep connections open."""
        return self.database.with_name(f"{self.database.stem}_snapshot.duckdb")

    @property
    def backups(self) -> Path:
        """The folder of the backups."""
        return self.database.with_name("backups")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings of this process; raises InvalidInput for a value that cannot be used."""
        default = cls()
        return cls(
            database=_path(environment.get("VOLBAL_DB", ""), default.database),
            busy_timeout=_seconds(environment.get("VOLBAL_DB_TIMEOUT", ""), default.busy_timeout),
            dask_scheduler=environment.get("VOLBAL_DASK_SCHEDULER", "").strip(),
            yahoo_url=_server(environment.get("VOLBAL_YAHOO_URL", "")),
        )


def _path(text: str, default: Path) -> Path:
    return Path(text).expanduser().absolute() if text.strip() else default


def _seconds(text: str, default: float) -> float:
    if not text.strip():
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 600:
        raise InvalidInput("VOLBAL_DB_TIMEOUT", f"got {text!r}", "use seconds from 0 to 600")
    return seconds


def _server(text: str) -> str:
    address = text.strip().rstrip("/")
    if address and not re.fullmatch(r"https?://[^\s/?#]+", address):
        raise InvalidInput(
            "VOLBAL_YAHOO_URL", f"got {text!r}", "use a server such as http://127.0.0.1:8700"
        )
    return address


def api_token(environment: Mapping[str, str] = os.environ) -> str | None:
    """What every request must know (``VOLBAL_API_TOKEN``); None: only this machine may ask."""
    return environment.get("VOLBAL_API_TOKEN", "").strip() or None

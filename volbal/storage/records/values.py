"""How values go into rows and come back.

Moments are stored as UTC without a zone and come back aware.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from duckdb import DuckDBPyConnection

from volbal.domain.money import plain

Connection = DuckDBPyConnection
"""What services pass on and never look into."""

Row = tuple[Any, ...]


def number(row: Row | None) -> int:
    if row is None:
        raise RuntimeError("The statement gave no row back.")
    return int(row[0])


def stored(moment: datetime) -> datetime:
    """UTC without a zone, as the columns hold it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC)


def as_json(content: Mapping[str, object]) -> str:
    """Decimals, dates and the like become texts: no digit is lost."""
    return json.dumps(content, default=_text)


def _text(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)

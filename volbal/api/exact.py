"""JSON whose numbers keep their digits: decimals on the way in, decimals on the way out."""

import json
import re
import secrets
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import (
    AwareDatetime,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from volbal.domain.money import plain

_MARK = secrets.token_hex(16)
_MARKED = re.compile(f'"{_MARK}(-?[0-9.]+)"')
"""A decimal on its way through the json module, which only knows floats; no text can imitate it."""


class ExactRequest(Request):
    """A request whose JSON numbers are ints and Decimals."""

    async def json(self) -> Any:
        """The body; raises json.JSONDecodeError for everything that is no JSON."""
        body = await self.body()
        try:
            content = json.loads(body, parse_float=Decimal, parse_constant=Decimal)
            # An escaped half of a surrogate pair parses, but no file and no answer can hold it.
            json.dumps(content, ensure_ascii=False, default=str).encode()
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from error
        return content


class ExactResponse(JSONResponse):
    """An answer whose Decimals are JSON numbers with exactly their digits."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(
            content, default=_marked, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return _MARKED.sub(r"\1", text).encode()


def _marked(value: object) -> str:
    if isinstance(value, Decimal):
        return _MARK + plain(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def _given(value: object) -> Decimal:
    """A JSON number; its range and decimals are the service's matter."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a number")
    return Decimal(value)


Number = Annotated[Decimal, PlainValidator(_given), WithJsonSchema({"type": "number"})]
NotNegative = Annotated[
    Decimal, PlainValidator(_given), WithJsonSchema({"type": "number", "minimum": 0})
]
Positive = Annotated[
    Decimal, PlainValidator(_given), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
]


def _written(value: object) -> object:
    """A date or time as JSON has it: text. Pydantic would take numbers for seconds, too."""
    if not isinstance(value, str):
        raise ValueError("not a text such as 2026-03-13")
    return value


Day = Annotated[date, BeforeValidator(_written)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
Exact = Annotated[
    Decimal, PlainSerializer(_marked, when_used="json"), WithJsonSchema({"type": "number"})
]
"""A number of an answer: exact decimals of the ledger."""

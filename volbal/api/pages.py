"""Lists in pieces: `limit` and `offset` of the request, X-Total-Count of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import Query, Response

TOTAL: Final = "X-Total-Count"
LONGEST: Final = 10_000
FARTHEST: Final = 10**9

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: Annotated[int, Query(ge=1, le=LONGEST, description="At most so many")] = 1000
    offset: Annotated[int, Query(ge=0, le=FARTHEST, description="Leave out so many first")] = 0

    def of(self, items: Sequence[Item], response: Response) -> Sequence[Item]:
        """The part of `items`; the answer tells how many there are."""
        response.headers[TOTAL] = str(len(items))
        return items[self.offset : self.offset + self.limit]

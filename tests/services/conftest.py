from collections.abc import Iterator
from pathlib import Path

import pytest
from books import opened

from volbal.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path / "volbal.duckdb") as made:
        yield made

"""Pages over the sample and over a large book, where their own tests do not open them so."""

import os
import shutil

import pytest

RESEARCH = ("simulate", "optimize", "studies", "data")
SAMPLE = ("timeline", "dividends", "sql", "compare", *RESEARCH)


@pytest.mark.parametrize(
    ("page", "book"),
    [*((one, "sample_book") for one in SAMPLE), *((one, "large_book") for one in RESEARCH)],
)
def test_a_page_is_drawn_without_an_error(
    open_page, page: str, book: str, request: pytest.FixtureRequest
) -> None:
    shutil.copy(request.getfixturevalue(book), os.environ["VOLBAL_DB"])
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert app.title

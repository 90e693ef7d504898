"""The pages over the records in a real Chromium, on the large book, at two sizes in both themes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import served
from playwright.sync_api import BrowserContext, expect

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
PAGES = {
    "timeline": "10,000 events",
    "dividends": "Work off what is due",
    "sql": "50 rows",
    "compare": "What these policies do",
    "compare?of=Positions": "Since 2014-02-03",
}
"""By path, a text that stands on the finished page."""


@pytest.fixture(scope="module")
def book_url(large_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    records = tmp_path_factory.mktemp("book") / "volbal.duckdb"
    shutil.copy(large_book, records)
    with served(records) as address:
        yield address


@pytest.mark.parametrize("size", SIZES)
def test_every_page_of_the_records_fits_both_screens_in_both_themes(
    windows: dict[bool, BrowserContext], book_url: str, size: str
) -> None:
    width, height = SIZES[size]
    ARTIFACTS.mkdir(exist_ok=True)
    for dark, window in windows.items():
        page = window.new_page()
        page.set_viewport_size({"width": width, "height": height})
        for path, text in PAGES.items():
            page.goto(f"{book_url}/{path}")
            expect(page.get_by_text(text).first).to_be_visible(timeout=30_000)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.get_by_test_id("stException").count() == 0, path
            name = "".join(sign if sign.isalnum() else "-" for sign in path)
            page.screenshot(path=ARTIFACTS / f"{name}-{size}-{'dark' if dark else 'light'}.png")
        page.close()

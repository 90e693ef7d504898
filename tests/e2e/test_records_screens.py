"""The pages over the records in a real Chromium, on the large book, at two sizes in both themes."""

from pathlib import Path
from typing import Literal

import pytest
from conftest import BUG
from playwright.sync_api import BrowserContext, expect

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
THEMES: dict[Literal["light", "dark"], str] = {
    "light": "rgb(255, 255, 255)",
    "dark": "rgb(14, 20, 32)",
}
PAGES = {
    "timeline": "10,000 events",
    "dividends": "Work off what is due",
    "sql": "50 rows",
    "compare": "What these policies do",
    "compare?of=Positions": "Since 2014-02-03",
}
"""By path, a text that stands on the finished page."""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_records_fits_both_screens_in_both_themes(
    windows: dict[bool, BrowserContext], book_url: str, path: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page = windows[False].new_page()
    page.goto(f"{book_url}/{path}")
    name = "".join(sign if sign.isalnum() else "-" for sign in path)
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme, background in THEMES.items():
            page.emulate_media(color_scheme=scheme)
            expect(page.get_by_text(PAGES[path]).first).to_be_visible(timeout=30_000)
            expect(page.get_by_test_id("stApp")).to_have_css("background-color", background)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.screenshot(path=ARTIFACTS / f"{name}-{size}-{scheme}.png")
    assert page.locator(BUG).count() == 0
    page.close()

"""The pages over the records in a real Chromium, on the large book, at two sizes in both themes."""

from typing import Literal

import pytest
from conftest import drawn_to_its_end, picture
from playwright.sync_api import BrowserContext, expect

from volbal.ui.document import LONGEST_WAIT_MS

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
SHIFTS = """
    before => {
        const watch = new PerformanceObserver(() => {});
        watch.observe({type: "layout-shift", buffered: true});
        const moved = watch.takeRecords().filter(one => one.startTime < before);
        return moved.reduce((sum, one) => sum + one.value, 0);
    }
"""
"""How far what is seen has jumped since the page was opened; below 0.1 is called good."""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_records_fits_both_screens_in_both_themes(
    windows: dict[bool, BrowserContext], book_url: str, path: str
) -> None:
    page = windows[False].new_page()
    page.goto(f"{book_url}/{path}")
    expect(page.get_by_text(PAGES[path]).first).to_be_visible()
    drawn_to_its_end(page)
    # Where this machine is so slow that the page is shown as it comes, it may jump.
    assert page.evaluate(SHIFTS, LONGEST_WAIT_MS) < 0.02
    name = "".join(sign if sign.isalnum() else "-" for sign in path)
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme, background in THEMES.items():
            page.emulate_media(color_scheme=scheme)
            expect(page.get_by_text(PAGES[path]).first).to_be_visible()
            expect(page.get_by_test_id("stApp")).to_have_css("background-color", background)
            picture(page, f"{name}-{size}-{scheme}")
    page.close()

"""The Data page in a real Chromium: fetched from a local server, imported, deleted."""

import re

import pytest
from conftest import picture, press, seen
from playwright.sync_api import Page, expect

FILE = {
    "name": "own.csv",
    "mimeType": "text/csv",
    "buffer": b"Date;Open;High;Low;Close\n03/04/2020;10;11;9,5;10,5\n06/04/2020;10;12;9,5;11\n",
}


def wait_for_chart(page: Page, symbol: str) -> None:
    seen(page.get_by_role("img", name=f"Closes of {symbol} "))


def fetched(page: Page, told: str, button: str) -> None:
    """It is told; asked again where a busy machine took longer than volbal waits for Yahoo."""
    silent = page.get_by_text("did not answer within")
    for _ in range(5):
        seen(page.get_by_text(told).or_(silent))
        if not silent.count():
            return
        press(page.get_by_role("button", name=button, exact=True))
    raise AssertionError(f"Yahoo was silent all the time, it was never told: {told}")


def delete(page: Page, symbol: str) -> None:
    press(page.get_by_role("button", name="Delete", exact=True))
    press(page.get_by_role("button", name=f"Delete {symbol} 1d"))
    seen(page.get_by_test_id("stToast").filter(has_text=f"prices of {symbol} are deleted"))


@pytest.mark.parametrize(
    ("width", "height", "dark"), [(1440, 900, False), (390, 844, True)], ids=["desktop", "phone"]
)
def test_prices_are_fetched_imported_and_deleted(
    visit, width: int, height: int, dark: bool
) -> None:
    page = visit("/data", width, height, dark)
    wait_for_chart(page, "AAPL")
    symbol = page.get_by_role("textbox", name="Symbol to fetch")
    symbol.fill("ibm")
    symbol.press("Enter")
    fetched(page, "IBM 1d got 3,733 new bars", "Fetch")
    wait_for_chart(page, "IBM")
    expect(page).to_have_url(re.compile("symbol=IBM"))
    press(page.get_by_role("button", name="Refresh all"))
    fetched(page, "IBM 1d has nothing new", "Refresh all")
    picture(page, f"data-{width}-{'dark' if dark else 'light'}")

    page.get_by_text("Import a file").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(FILE)
    seen(page.get_by_text("can be read day first or month first"))
    press(page.get_by_text("day first", exact=True))
    seen(page.get_by_text("OWN · 1d · 2020-04-03 to 2020-04-06"))
    press(page.get_by_role("button", name="Save OWN"))
    seen(page.get_by_text("own.csv is saved"))
    wait_for_chart(page, "OWN")
    delete(page, "OWN")
    wait_for_chart(page, "AAPL")

    page.goto(page.url.partition("?")[0] + "?symbol=IBM")
    wait_for_chart(page, "IBM")
    delete(page, "IBM")
    seen(page.get_by_text("From bundled"))

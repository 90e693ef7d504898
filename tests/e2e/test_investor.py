"""The investor's whole way in a real Chromium: open, evaluate, approve, fill, dividend, export.

At two sizes, each step light and dark. Whatever is clicked twice, reloaded, gone back to or open
in another tab, there is one order and every fill is recorded once.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from books import opened
from conftest import drawn_to_its_end, picture, place_of, press, seen, served
from playwright.sync_api import BrowserContext, Locator, Page, expect

from volbal.services import positions

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
MONTH = timedelta(days=30)


@pytest.fixture(scope="module")
def book_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """volbal over records with one position opened a month ago, which is owed dividends."""
    records = tmp_path_factory.mktemp("investor") / "volbal.duckdb"
    with opened(records) as database:
        for _ in SIZES:
            positions.open_position(
                database,
                "KO",
                quantity=50,
                cash=2000,
                anchor_price=40,
                now=datetime.now(UTC) - MONTH,
            )
    with served(records) as address:
        yield address


@pytest.fixture(scope="module")
def made() -> set[str]:
    """Numbers of the positions that the tests of this module have opened."""
    return set()


def shot(page: Page, name: str, size: str) -> None:
    """In both themes; it is light again afterwards."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        picture(page, f"investor-{name}-{size}-{scheme}")


def said(page: Page, sentence: str | re.Pattern[str]) -> None:
    seen(page.get_by_text(sentence))


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


def impatiently(there: Locator) -> None:
    """Click again and again for a fifth of a second, also what takes the button's place."""
    there.evaluate(
        """async button => {
            const box = button.getBoundingClientRect(), end = performance.now() + 200;
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            for (let at = button; performance.now() < end; at = document.elementFromPoint(x, y)) {
                at?.click();
                await new Promise(resolve => setTimeout(resolve, 20));
            }
        }"""
    )


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_way_from_a_first_position_to_an_export(
    windows: dict[bool, BrowserContext], book_url: str, made: set[str], size: str
) -> None:
    width, height = SIZES[size]
    page = windows[False].new_page()
    page.set_viewport_size({"width": width, "height": height})
    number = open_position(page, book_url, size)
    made.add(str(number))
    approve_once(page, windows[False].new_page(), size)
    fill_in_two_parts(page, size)
    look_back(page, size)
    dividend(page, book_url, list(SIZES).index(size) + 1)
    shot(page, "7-dividend", size)
    rows = exported(page, book_url, everything=size == "desktop")
    assert {row["position_id"] for row in rows if row["ticker"] == "AAPL"} == made
    types = [row["type"] for row in rows if row["position_id"] == str(number)]
    assert {kind: types.count(kind) for kind in ("opened", "evaluation", "submission", "fill")} == {
        "opened": 1,
        "evaluation": 1,
        "submission": 1,
        "fill": 2,
    }
    shot(page, "8-timeline", size)
    page.goto(book_url)
    said(page, "Positions")
    shot(page, "9-overview", size)
    page.close()


def open_position(page: Page, url: str, size: str) -> int:
    """By the short form, with a double click; returns the number of the one position made."""
    page.goto(f"{url}/position?id=new")
    drawn_to_its_end(page)
    symbol = page.get_by_role("textbox", name="Symbol")
    symbol.fill("AAPL")
    symbol.press("Enter")
    price = page.get_by_role("spinbutton", name="Price")
    expect(price).to_have_attribute("placeholder", "173.93")
    drawn_to_its_end(page)
    price.fill("100")
    price.press("Enter")
    said(page, "50 shares at 100.00")
    shot(page, "1-new", size)
    impatiently(button(page, "Open position"))
    said(page, re.compile(r"Position \d+ \(AAPL\) is open"))
    expect(page).to_have_url(re.compile(r"id=\d+"))
    drawn_to_its_end(page)
    found = re.search(r"id=(\d+)", page.url)
    assert found is not None
    return int(found[1])


def approve_once(page: Page, other: Page, size: str) -> None:
    """A double click, a reload and a second tab: one order."""
    price = page.get_by_role("spinbutton", name="Price", exact=True)
    price.fill("97")
    impatiently(button(page, "Evaluate"))
    # 50 shares and 5,000 at 97: 3/97 · 1.6667 · 9,850 / 97.
    said(page, re.compile(r"BUY 5\.234455 shares at 97\.00 for 507\.74"))
    shot(page, "2-evaluated", size)
    other.goto(page.url)
    said(other, re.compile("Approve: BUY"))
    button(page, "Approve").dblclick()
    said(page, re.compile(r"Order \d+: BUY 5\.234455"))
    press(button(other, "Approve"))
    said(other, "nothing was doubled")
    other.close()
    page.reload()
    said(page, re.compile(r"Order \d+: BUY 5\.234455"))
    expect(button(page, "Approve")).to_have_count(0)
    shot(page, "3-order", size)


def fill_in_two_parts(page: Page, size: str) -> None:
    """A part with a double click, then the rest."""
    price = page.get_by_role("spinbutton", name="Fill price")
    price.fill("96.9")
    page.get_by_role("spinbutton", name="Shares filled").fill("2")
    impatiently(button(page, "Record fill"))
    said(page, "2 filled, 3.234455 left")
    expect(price).to_have_value("97")
    shot(page, "4-partly", size)
    price.fill("96.8")
    page.wait_for_timeout(500)  # sooner it would be taken for the end of a double click
    press(button(page, "Record fill"))
    said(page, re.compile("it is filled"))


def look_back(page: Page, size: str) -> None:
    """Back and forward approve nothing again; the tabs show what was done."""
    page.go_back()
    page.go_forward()
    said(page, "Evaluated")
    expect(button(page, "Approve")).to_have_count(0)
    press(page.get_by_role("tab", name="Settings"))
    trigger = page.get_by_role("spinbutton", name=re.compile("^Trigger up"))
    trigger.fill("0.07")
    trigger.press("Enter")
    said(page, "What changes")
    press(page.get_by_role("tab", name="Orders"))
    seen(page.get_by_text("Fills", exact=True))
    shot(page, "5-filled", size)
    press(page.get_by_role("tab", name="Settings"))
    expect(trigger).to_have_value("0.07")
    press(page.get_by_role("tab", name="Chart"))
    expect(page.get_by_test_id("stEChartsChart").locator("canvas").first).to_be_attached()
    expect(page).to_have_url(re.compile("tab=Chart"))
    shot(page, "6-chart", size)


def dividend(page: Page, url: str, position_id: int) -> None:
    """One that went ex yesterday: announced, worked off, paid."""
    page.goto(f"{url}/dividends")
    said(page, "Announce")
    named = page.get_by_role("combobox", name="Position")
    named.click()
    page.get_by_role("option", name=f"KO #{position_id}", exact=True).click()
    page.get_by_role("spinbutton", name="Gross per share").fill("0.5")
    page.get_by_test_id("stDateInputField").first.get_by_role("spinbutton").first.click()
    page.keyboard.type(f"{date.today() - timedelta(days=3):%Y%m%d}")
    press(button(page, "Announce").last)
    said(page, "Announced: 0.50 per share")
    press(button(page, "Work off what is due"))
    said(page, "been worked off")
    box = place_of(page.get_by_test_id("stDataFrame").first)
    # The grid is a canvas: the checkbox of its first row, rows being 35 pixels high.
    page.mouse.click(box["x"] + 17, box["y"] + 35 + 17)
    # 50 shares at 0.50, a quarter withheld.
    press(button(page, "Record payment of 18.75"))
    said(page, "1 dividend is paid: 18.75 is cash now.")


def exported(page: Page, url: str, everything: bool) -> list[dict[str, str]]:
    """The rows of the timeline's csv."""
    page.goto(f"{url}/timeline")
    said(page, "events")
    press(button(page, "Download").first)
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "CSV").decode("utf-8-sig"))))
    if everything:
        same_rows(page, rows)
    page.keyboard.press("Escape")
    return rows


def same_rows(page: Page, rows: list[dict[str, str]]) -> None:
    """JSON and Excel say what the csv says."""
    records = json.loads(downloaded(page, "JSON"))
    assert [str(record["event_id"]) for record in records] == [row["event_id"] for row in rows]
    sheet = openpyxl.load_workbook(io.BytesIO(downloaded(page, "Excel"))).active
    assert sheet is not None
    numbers = [str(cell.value) for cell in sheet["A"]]
    assert numbers == ["event_id", *(row["event_id"] for row in rows)]


def downloaded(page: Page, kind: str) -> bytes:
    """The file that a click on a format's button gives."""
    with page.expect_download() as waiting:
        button(page, kind).click()
    return Path(waiting.value.path()).read_bytes()

"""The screens in a real Chromium: what is drawn, what a click does, what the URL keeps."""

import re
from pathlib import Path

import pytest
from conftest import place_of
from playwright.sync_api import Locator, Page, expect

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
LOOKS = [(size, dark) for size in SIZES for dark in (False, True)]
DRAWN_MS = 30_000


def cell(page: Page, threshold: str, ratio: str) -> Locator:
    """One cell of the example heatmap; Vega describes each for screen readers."""
    words = f"Trigger threshold: {threshold}; Rebalance ratio: {ratio};"
    return page.locator(f'[data-testid=stVegaLiteChart] path[aria-label^="{words}"]').first


def figure(page: Page, label: str) -> Locator:
    card = page.get_by_test_id("stMetric").filter(has_text=label)
    return card.get_by_test_id("stMetricValue")


def wait_until_drawn(page: Page) -> None:
    """All of the page has arrived and its charts have been painted."""
    expect(page.get_by_test_id("stMetric")).to_have_count(8, timeout=DRAWN_MS)
    expect(page.get_by_test_id("stEChartsChart").locator("canvas").first).to_be_attached()
    if "/optimize" in page.url:
        expect(cell(page, "0.05", "1.25")).to_be_attached()
    page.wait_for_timeout(500)  # charts paint in their own time and tell nobody


@pytest.mark.parametrize(("size", "dark"), LOOKS)
@pytest.mark.parametrize("name", ["simulate", "optimize"])
def test_the_example_fits_the_screen_in_both_themes(
    visit, name: str, size: str, dark: bool
) -> None:
    width, height = SIZES[size]
    page = visit(f"/{name}", width, height, dark)
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ARTIFACTS.mkdir(exist_ok=True)
    look = f"{name}-{size}-{'dark' if dark else 'light'}"
    page.screenshot(path=ARTIFACTS / f"{look}.png")
    block = page.get_by_test_id("stMainBlockContainer")
    page.set_viewport_size({"width": width, "height": block.evaluate("e => e.scrollHeight") + 90})
    page.wait_for_timeout(500)
    page.screenshot(path=ARTIFACTS / f"{look}-whole.png")
    background = page.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    assert background == ("rgb(14, 20, 32)" if dark else "rgb(255, 255, 255)")


def test_clicking_a_cell_shows_its_simulation_and_the_url_keeps_it(visit) -> None:
    page = visit("/optimize")
    wait_until_drawn(page)
    expect(page.get_by_role("heading", name="Best cell")).to_be_visible()
    cell(page, "0.03", "2.5").click()
    selected = page.get_by_text("Trigger threshold 0.03 · Rebalance ratio 2.5")
    expect(selected).to_be_visible()
    # The cell describes itself; its simulation must say the same.
    words = cell(page, "0.03", "2.5").get_attribute("aria-label")
    total = re.search(r"Total return: ([^;]+)", words or "")
    assert total is not None
    expect(figure(page, "Total return")).to_have_text(total[1])
    expect(page).to_have_url(re.compile(r"cell=30"))

    page.reload()
    expect(selected).to_be_visible(timeout=DRAWN_MS)
    page.go_back()
    expect(page.get_by_role("heading", name="Best cell")).to_be_visible()
    page.go_forward()
    expect(selected).to_be_visible()

    page.get_by_role("link", name="Open in Simulate").click()
    expect(page.get_by_role("heading", name="Simulate", exact=True)).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Rebalance ratio")).to_have_value("2.5")
    expect(figure(page, "Total return")).to_have_text(total[1])


def test_a_row_of_the_ranking_selects_its_cell_and_the_heatmap_takes_over_again(visit) -> None:
    page = visit("/optimize?cell=30")
    wait_until_drawn(page)
    box = place_of(page.get_by_test_id("stDataFrame").first)
    # The grid is a canvas: the checkbox of the third row, rows being 35 pixels high.
    page.mouse.click(box["x"] + 17, box["y"] + 3 * 35 + 17)
    expect(page.get_by_text("Trigger threshold 0.01 · Rebalance ratio 1.25")).to_be_visible()
    cell(page, "0.03", "2.5").click()
    expect(page.get_by_text("Trigger threshold 0.03 · Rebalance ratio 2.5")).to_be_visible()


def test_ranges_are_edited_and_run_from_the_keyboard(visit) -> None:
    page = visit("/optimize")
    wait_until_drawn(page)
    highest = page.get_by_role("spinbutton", name="Max").first
    highest.fill("0.12")
    highest.press("Enter")
    expect(page.get_by_text("132 combinations = 12 × 11")).to_be_visible()
    expect(page.get_by_text("have not been run")).to_be_visible()
    run = page.get_by_role("button", name="Run", exact=True)
    run.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("132 combinations, 132 simulated")).to_be_visible()
    expect(page.get_by_text("have not been run")).to_have_count(0)


def test_a_typed_value_changes_the_result_and_back_undoes_it(visit) -> None:
    page = visit("/simulate")
    wait_until_drawn(page)
    before = figure(page, "Final value").inner_text()
    trigger = page.get_by_role("spinbutton", name="Trigger up (sell)")
    trigger.fill("0.05")
    trigger.press("Enter")
    expect(page).to_have_url(re.compile(r"trigger_up=0\.05"))
    expect(figure(page, "Final value")).not_to_have_text(before)
    page.go_back()
    expect(figure(page, "Final value")).to_have_text(before)
    expect(page.get_by_role("spinbutton", name="Trigger up (sell)")).to_have_value("0.03")


def test_a_bad_link_is_explained_and_the_page_still_works(visit) -> None:
    page = visit("/optimize?symbol=TSLA&metric=luck")
    expect(page.get_by_text("The link's symbol is 'TSLA'")).to_be_visible(timeout=DRAWN_MS)
    wait_until_drawn(page)


def test_on_a_phone_the_form_opens_and_closes(visit) -> None:
    page = visit("/optimize", *SIZES["phone"])
    wait_until_drawn(page)
    run = page.get_by_role("button", name="Run", exact=True)
    expect(run).not_to_be_in_viewport()
    page.get_by_test_id("stExpandSidebarButton").click()
    run.scroll_into_view_if_needed()  # on a phone the pages come first
    expect(run).to_be_in_viewport()
    page.wait_for_timeout(500)
    page.screenshot(path=ARTIFACTS / "optimize-phone-form.png")
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    expect(run).not_to_be_in_viewport()

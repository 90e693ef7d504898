"""The screens in a real Chromium: what is drawn, what a click does, what the URL keeps."""

import re

import pytest
from conftest import SCHEMES, drawn_to_its_end, picture, place_of, press, seen
from playwright.sync_api import BrowserContext, Locator, Page, expect

from volbal.formatting import percent

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


def cell(page: Page, threshold: str, ratio: str) -> Locator:
    """One cell of the example heatmap; Vega describes each for screen readers."""
    words = f"Trigger threshold: {threshold}; Rebalance ratio: {ratio};"
    return page.locator(f'[data-testid=stVegaLiteChart] path[aria-label^="{words}"]').first


def figure(page: Page, label: str) -> Locator:
    card = page.get_by_test_id("stMetric").filter(has_text=label)
    return card.get_by_test_id("stMetricValue")


def wait_until_drawn(page: Page) -> None:
    """All of the page has arrived, of a study all results, and its charts have been painted."""
    if "/simulate" in page.url:
        expect(page.get_by_test_id("stMetric")).to_have_count(8)
    if "study=" in page.url:
        expect(cell(page, "0.05", "1.25")).to_be_attached()
        expect(page.get_by_test_id("stEChartsChart").first).to_be_attached()
        expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    drawn_to_its_end(page)


def run(page: Page) -> None:
    """Press Run; the page becomes the study's."""
    press(page.get_by_role("button", name="Run", exact=True))
    expect(page).to_have_url(re.compile(r"study=\d+"))


@pytest.fixture(scope="module")
def example(windows: dict[bool, BrowserContext], server_url: str) -> str:
    """Path of the example as a study that has run."""
    page = windows[False].new_page()
    page.goto(f"{server_url}/optimize")
    run(page)
    wait_until_drawn(page)
    path = page.url.removeprefix(server_url)
    page.close()
    return path


def assert_fits(page: Page, look: str, size: str, dark: bool) -> None:
    """Nothing is wider than the window; leaves pictures of it and of all of it."""
    width, height = SIZES[size]
    picture(page, look)
    block = page.get_by_test_id("stMainBlockContainer")
    page.set_viewport_size({"width": width, "height": block.evaluate("e => e.scrollHeight") + 90})
    picture(page, f"{look}-whole")
    background = "rgb(14, 20, 32)" if dark else "rgb(255, 255, 255)"
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", background)
    page.set_viewport_size({"width": width, "height": height})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["simulate", "optimize"])
def test_the_example_fits_the_screen_in_both_themes(
    visit, example: str, name: str, size: str
) -> None:
    page = visit(example if name == "optimize" else f"/{name}", *SIZES[size])
    for dark, scheme in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        wait_until_drawn(page)
        assert_fits(page, f"{name}-{size}-{scheme}", size, dark)


@pytest.mark.parametrize(("size", "dark"), [("desktop", False), ("phone", True)])
def test_the_form_and_the_list_of_studies_fit_the_screen(
    visit, example: str, size: str, dark: bool
) -> None:
    page = visit("/optimize", *SIZES[size], dark)
    seen(page.get_by_text("110 combinations = 10 × 11"))
    wait_until_drawn(page)
    assert_fits(page, f"optimize-form-{size}", size, dark)
    page.goto(page.url.partition("/optimize")[0] + "/studies?ids=1")
    seen(page.get_by_role("button", name="Duplicate"))
    wait_until_drawn(page)
    assert_fits(page, f"studies-{size}", size, dark)


def test_clicking_a_cell_shows_its_simulation_and_the_url_keeps_it(visit, example: str) -> None:
    page = visit(example)
    wait_until_drawn(page)
    seen(page.get_by_role("heading", name="Best cell"))
    cell(page, "0.03", "2.5").click()
    selected = page.get_by_text("Trigger threshold 0.03 · Rebalance ratio 2.5")
    seen(selected)
    # The cell describes itself; its simulation must say the same.
    words = cell(page, "0.03", "2.5").get_attribute("aria-label") or ""
    value = float(words.partition("value: ")[2].partition(";")[0].replace("−", "-"))
    expect(figure(page, "Excess return")).to_have_text(percent(value))
    expect(page).to_have_url(re.compile(r"cell=30"))

    page.reload()
    seen(selected)
    page.go_back()
    seen(page.get_by_role("heading", name="Best cell"))
    page.go_forward()
    seen(selected)

    press(page.get_by_role("link", name="Open in Simulate"))
    seen(page.get_by_role("heading", name="Simulate", exact=True))
    expect(page.get_by_role("spinbutton", name="Rebalance ratio")).to_have_value("2.5")
    expect(figure(page, "Excess return")).to_have_text(percent(value))


def test_a_row_of_the_table_selects_its_cell_and_the_heatmap_takes_over_again(
    visit, example: str
) -> None:
    page = visit(f"{example}&panel=table&cell=30")
    selected = page.get_by_text("Trigger threshold 0.03 · Rebalance ratio 2.5")
    seen(selected)
    box = place_of(page.get_by_test_id("stDataFrame").first)
    # The grid is a canvas: the checkbox of the first row, rows being 35 pixels high.
    page.mouse.click(box["x"] + 17, box["y"] + 35 + 17)
    expect(selected).to_have_count(0)
    seen(page.get_by_role("heading", name="Selected cell"))
    press(page.get_by_role("radio", name="Heatmap", exact=True))
    expect(cell(page, "0.03", "2.5")).to_be_attached()
    drawn_to_its_end(page)
    cell(page, "0.03", "2.5").click()
    seen(selected)


def test_ranges_are_edited_and_run_from_the_keyboard(visit, example: str) -> None:
    page = visit(example)
    wait_until_drawn(page)
    highest = page.get_by_role("spinbutton", name="Max").first
    highest.fill("0.12")
    highest.press("Enter")
    seen(page.get_by_text("132 combinations = 12 × 11"))
    seen(page.get_by_text("Not run yet"))
    page.get_by_role("button", name="Run", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not run yet")).to_have_count(0)
    expect(cell(page, "0.12", "1.25")).to_be_attached()
    expect(page).not_to_have_url(re.compile(re.escape(example) + "$"))


def test_a_double_click_runs_one_study_and_a_weight_ranks_it_anew(visit) -> None:
    page = visit("/optimize?sweep.trigger_threshold=0.02:0.09:0.01&goal.cagr=1&goal.volatility=0")
    seen(page.get_by_text("8 combinations"))
    page.get_by_role("button", name="Run", exact=True).dblclick()
    expect(page).to_have_url(re.compile(r"study=\d+"))
    seen(page.get_by_role("heading", name="Best cell"))
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    drawn_to_its_end(page)
    growth, address = figure(page, "Annual return").inner_text(), page.url
    for label, weight in (("Volatility", "5"), ("Annual return (CAGR)", "0")):
        field = page.get_by_role("spinbutton", name=label)
        field.fill(weight)
        field.press("Enter")
        drawn_to_its_end(page)
    expect(figure(page, "Annual return")).not_to_have_text(growth)
    expect(page.get_by_text("Not run yet")).to_have_count(0)
    number = re.search(r"study=\d+", address)
    assert number is not None
    assert number[0] in page.url
    listed = visit("/optimize")
    named = listed.get_by_role("link", name="AAPL: trigger threshold", exact=False)
    seen(listed.get_by_role("heading", name="Recent studies"))
    alone = [text for text in named.all_inner_texts() if "×" not in text]
    assert len(alone) == 1


LONG = (
    "/optimize?sweep.trigger_threshold=0.002:0.2:0.002&sweep.rebalance_ratio=0.005:10:0.005"
    "&ticks=limit&split=false&start=2000-03-01&name=Long"
)
"""Many cells that take longer than others: nobody waits for their end."""


def test_two_tabs_see_a_long_study_run_stop_and_go_on(visit) -> None:
    page = visit(LONG)
    expect(page.get_by_text("200,000 combinations")).to_be_visible()
    run(page)
    other = visit(page.url.removeprefix(page.url.partition("/optimize")[0]))
    grown = re.compile(r"[1-9][\d,]* of 200,000 cells · [1-9]")
    for tab in (page, other):
        expect(tab.get_by_text(grown).first).to_be_visible()
    other.get_by_role("button", name="Cancel", exact=True).click()
    halted = "Resuming goes on from there"
    seen(other.get_by_text(halted))
    stored = other.get_by_text(halted).inner_text()
    seen(page.get_by_text(halted))
    expect(page.get_by_text(halted)).to_have_text(stored)
    press(page.get_by_role("button", name="Resume", exact=True))
    for tab in (page, other):
        expect(tab.get_by_role("button", name="Cancel", exact=True).first).to_be_visible()
    expect(page.get_by_text(grown).first).to_be_visible()
    cells = re.search(r"([\d,]+) of", stored)
    assert cells is not None
    kept = int(cells[1].replace(",", ""))
    page.wait_for_function(  # what was drawn before the resumption may still stand there
        """kept => {
            const bar = document.querySelector("[data-testid=stProgress]");
            const told = bar && bar.innerText.match(/([\\d,]+) of/);
            return told && Number(told[1].replaceAll(",", "")) >= kept;
        }""",
        arg=kept,
    )
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text(halted).first).to_be_visible()


def test_a_typed_value_changes_the_result_and_back_undoes_it(visit) -> None:
    page = visit("/simulate")
    wait_until_drawn(page)
    before = figure(page, "Final value").inner_text()
    trigger = page.get_by_role("spinbutton", name="Trigger up (sell)")
    trigger.fill("0.05")
    trigger.press("Enter")
    expect(page).to_have_url(re.compile(r"trigger_up=0\.05"))
    drawn_to_its_end(page)
    expect(figure(page, "Final value")).not_to_have_text(before)
    page.go_back()
    expect(page).not_to_have_url(re.compile(r"trigger_up=0\.05"))
    drawn_to_its_end(page)
    expect(figure(page, "Final value")).to_have_text(before)
    expect(page.get_by_role("spinbutton", name="Trigger up (sell)")).to_have_value("0.03")


def test_a_bad_link_is_explained_and_the_page_still_works(visit) -> None:
    page = visit("/optimize?symbol=TSLA&goal.luck=1")
    seen(page.get_by_text("The link's symbol is 'TSLA'"))
    seen(page.get_by_text("110 combinations = 10 × 11"))


def test_on_a_phone_the_form_opens_and_closes_and_run_is_in_sight(visit) -> None:
    page = visit("/optimize", *SIZES["phone"])
    button = page.get_by_role("button", name="Run", exact=True)
    expect(button).to_be_in_viewport()
    wait_until_drawn(page)
    field = page.get_by_role("spinbutton", name="Max").first
    expect(field).not_to_be_in_viewport()
    page.get_by_test_id("stExpandSidebarButton").click()
    field.scroll_into_view_if_needed()  # on a phone the pages come first
    expect(field).to_be_in_viewport()
    picture(page, "optimize-phone-form")
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    expect(field).not_to_be_in_viewport()

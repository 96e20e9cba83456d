"""The page for everybody: by keyboard, on a narrow screen, read aloud; small, and behind keys."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.integration.making import KEY
from tests.integration.page.conftest import EXAMPLE, OpenPage, screenshot, send, wait_for_map
from tests.integration.processes import wait_until

MOST_BYTES = 400_000
NARROW = {"width": 360, "height": 780}


def test_everything_is_done_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    reached = [focused(page)]
    while "example" not in reached[-1]:
        page.keyboard.press("Tab")
        reached.append(focused(page))
        assert len(reached) < 20
    page.keyboard.type("Trumpet")
    page.keyboard.press("Tab")
    assert focused(page) == "try"
    page.keyboard.press("Enter")
    wait_for_map(page)
    seen = set()
    page.locator("button.instrument").first.focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(focused(page))
    assert {"play", "zoom-in", "opacity", "palette", "beside"} <= seen
    assert {"Evidence alone", "What it listens to", "Copy link"} <= {name.strip() for name in seen} | {
        re.sub(r" Trumpet.*", "", name).strip() for name in seen
    }
    page.locator("button.instrument").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#details")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#details")).to_be_visible()
    page.locator("#map-place .map").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
    page.keyboard.press("ArrowUp")
    assert page.get_attribute("#map-place .map", "aria-valuetext") == page.inner_text("#readout") != ""
    wait_until(lambda: page.inner_text("#time").startswith("0.30 s"), 10.0, "three steps")
    page.keyboard.press("Space")
    wait_until(lambda: page.evaluate("document.querySelector('audio').currentTime") > 0.5, 20.0, "sound")
    page.keyboard.press("2")
    expect(page.locator("button[data-source=kept]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Play")


def test_a_narrow_screen(open_page: OpenPage) -> None:
    page = open_page(viewport=NARROW)
    assert overflow(page) <= 0
    send(page, EXAMPLE)
    assert overflow(page) <= 0
    box = page.locator("#map-place .map").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW["width"]
    page.select_option("#beside", "map:Celesta")
    page.wait_for_selector("#beside-place canvas")
    assert overflow(page) <= 0
    page.select_option("#beside", "")
    expect(page.locator("#beside-place")).to_be_hidden()
    screenshot(page, "page-narrow")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    assert serious(page) == []
    send(page, EXAMPLE)
    page.select_option("#beside", "map:Celesta")
    page.wait_for_selector("#beside-place canvas")
    page.locator(".card").first.get_by_role("button").click()
    page.wait_for_selector(".reference")
    assert serious(page) == []
    page.locator("summary", has_text="Data sets and models").click()
    page.wait_for_selector("#key-dialog[open]")
    assert serious(page) == []
    page.fill("#key-field", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#admin-jobs li")
    assert serious(page) == []


def test_the_page_is_small(page: Page) -> None:
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.wait_for_load_state("networkidle")
    assert 20_000 < sum(sizes) <= MOST_BYTES


def test_where_keys_are_needed_one_is_asked_for_and_kept_for_the_tab(
    guarded: str, open_page: OpenPage
) -> None:
    page = open_page(base=guarded, is_ready=False)
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key-field", "ts_wrong_key")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-dialog[open] >> text=does not take this key")
    page.fill("#key-field", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready]")
    send(page, EXAMPLE)
    page.click("#play")
    wait_until(lambda: page.evaluate("document.querySelector('audio').currentTime") > 0.2, 20.0, "sound")
    assert "$TIMBRESCOPE_KEY" in page.inner_text(".command")
    assert KEY not in page.content()
    assert page.evaluate("Object.values(sessionStorage)") == [KEY]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert page.evaluate("location.href.includes('key')") is False
    other = page.context.new_page()  # another tab knows nothing of it
    other.goto(guarded)
    other.wait_for_selector("#key-dialog[open]")


def focused(page: Page) -> str:
    """What has the focus: its id, else its text."""
    return str(
        page.evaluate(
            "document.activeElement.id || document.activeElement.innerText || document.activeElement.tagName"
        )
    )


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.scrollingElement.scrollWidth - innerWidth"))


def serious(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]

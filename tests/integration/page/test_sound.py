"""The three sounds when they come late, fail, or are no longer wanted."""

import json

from playwright.sync_api import Page, Route, expect

from tests.integration.page.conftest import EXAMPLE, send, wait_for_map
from tests.integration.processes import wait_until

KEPT = "**/artifacts/kept-*.wav"
GONE = {"type": "/problems/not-found", "title": "Not found", "status": 404, "detail": "No such file."}
BUSY = {"type": "/problems/busy", "title": "Busy", "status": 503, "detail": "It is being made."}


def test_a_sound_that_failed_is_asked_for_again(page: Page) -> None:
    page.route(KEPT, lambda route: answer(route, GONE))
    send(page, EXAMPLE)
    page.click("#play")
    page.click("button[data-source=kept]")
    expect(page.locator("#fault")).to_contain_text("No such file.")
    expect(page.locator("#play")).to_have_text("Play")
    expect(page.locator("button[data-source=original]")).to_have_attribute("aria-pressed", "true")
    page.unroute(KEPT)
    page.click("button[data-source=kept]")
    page.click("#play")
    wait_until(lambda: page.evaluate(CURRENT, "kept") > 0.1, 60.0, "the evidence")
    expect(page.locator("#play")).to_have_text("Pause")


def test_a_sound_that_is_still_being_made_is_waited_for(page: Page) -> None:
    asked: list[str] = []

    def late(route: Route) -> None:
        asked.append(route.request.url)
        if asked.count(route.request.url) <= 2:
            answer(route, BUSY)
        else:
            route.continue_()

    page.route(KEPT, late)
    send(page, EXAMPLE)
    page.click("button[data-source=kept]")
    page.locator("#sounds audio[data-source=kept]").wait_for(state="attached")
    assert len(asked) >= 3
    expect(page.locator("#fault")).to_be_hidden()


def test_the_place_is_kept_until_the_sound_comes(page: Page) -> None:
    gate = Gate()
    page.route("**/artifacts/*.wav", gate.pass_by)
    send(page, EXAMPLE)
    page.locator("#map-place .map").focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#time")).to_contain_text("3.00 s of")
    page.click("button[data-source=kept]")
    page.click("button[data-source=removed]")
    expect(page.locator("#time")).to_contain_text("3.00 s of")
    gate.open()
    wait_until(lambda: page.evaluate(CURRENT, "removed") == 3.0, 60.0, "the sound at its place")
    page.click("button[data-source=kept]")
    wait_until(lambda: page.evaluate(CURRENT, "kept") == 3.0, 60.0, "the evidence there")
    page.click("button[data-source=original]")
    wait_until(lambda: page.evaluate(CURRENT, "original") == 3.0, 60.0, "the recording there")


def test_what_an_instrument_sounds_like_is_there_before_it_is_wanted(page: Page) -> None:
    fetched: list[str] = []
    page.on("requestfinished", lambda request: fetched.append(request.url.rpartition("/")[2]))
    send(page, EXAMPLE)
    wait_until(
        lambda: settled(page, {"kept-trumpet.wav", "removed-trumpet.wav"} <= set(fetched)), 60.0, "them"
    )


def test_a_sound_that_is_no_longer_wanted_is_let_go_of(page: Page) -> None:
    gate = Gate()
    page.route("**/artifacts/kept-trumpet.wav", gate.pass_by)
    send(page, EXAMPLE)
    page.click("button[data-source=kept]")
    page.click("button.instrument:has-text('Celesta')")
    page.locator("#sounds audio[data-source=kept]").wait_for(state="attached")
    gate.open()
    page.click("button.instrument:has-text('Celesta')")  # no instrument: the evidence goes as well
    expect(page.locator("button[data-source=kept]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert page.locator("#sounds audio").evaluate_all("all => all.map(audio => audio.dataset.source)") == [
        "original"
    ]
    send(page, EXAMPLE)  # nothing of what went complains, as every test of the page asserts
    wait_for_map(page)


class Gate:
    """Holds requests back until it is opened."""

    def __init__(self) -> None:
        self.held: list[Route] | None = []

    def pass_by(self, route: Route) -> None:
        """Holds a request, or lets it through."""
        if self.held is None:
            route.continue_()
        else:
            self.held.append(route)

    def open(self) -> None:
        """Lets all through that are held, and all that come."""
        held, self.held = self.held or [], None
        for route in held:
            route.continue_()


CURRENT = "source => document.querySelector(`audio[data-source=${source}]`)?.currentTime ?? -1"


def answer(route: Route, problem: dict[str, object]) -> None:
    """Answers a request with a problem."""
    route.fulfill(
        status=int(str(problem["status"])), content_type="application/problem+json", body=json.dumps(problem)
    )


def settled(page: Page, is_true: bool) -> bool:
    """Lets the page's events come in, then says the same."""
    page.wait_for_timeout(50)
    return is_true

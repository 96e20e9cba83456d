"""What comes too late, not at all, or in another order than it was asked for.

The page shows what its address and its headings say, and gives up only what nobody waits for any more.
"""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Error, Page, Request, Route, expect

from tests.integration import sounds
from tests.integration.making import KEY
from tests.integration.page.conftest import EXAMPLE, WAIT_MS, OpenPage, job_of, picture, send, wait_for_map
from tests.integration.processes import Stack, wait_until

_WRITE_DOWN = """() => {
    window.heard = [];
    new MutationObserver(() => window.heard.push(document.getElementById("said").textContent))
        .observe(document.getElementById("said"), {childList: true, characterData: true, subtree: true});
}"""
"""Keeps what a screen reader is told."""
_LOSE_AN_ANSWER = """() => {
    const {fetch} = window;
    window.fetch = async (...request) => {
        const answer = await fetch(...request);
        if (!answer.url.endsWith("/explain")) return answer;
        window.fetch = fetch;
        throw new TypeError("Failed to fetch");
    };
}"""
"""The service has the request; that its connection breaks before the answer cannot be told from outside."""


class Held:
    """Requests that get no answer until they are let go."""

    def __init__(self, page: Page, pattern: str) -> None:
        self.page, self.pattern = page, pattern
        self.routes: list[Route] = []
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        self.routes.append(route)

    def wait(self) -> None:
        """Until one is held."""
        meanwhile(self.page, lambda: bool(self.routes), f"a request for {self.pattern}")

    def let_go(self) -> None:
        """Has them answered, as far as the page still waits, and leaves time for what comes of it."""
        self.page.unroute(self.pattern)
        for route in self.routes:
            with suppress(Error):  # the page has given it up
                route.continue_()
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(500)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The example under another name."""
    return Path(shutil.copy(EXAMPLE, tmp_path / "other.wav"))


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A recording of which a part has to be chosen."""
    path = tmp_path / "long.wav"
    path.write_bytes(sounds.audio_file(sounds.tone(70.0)))
    return path


def test_a_late_cancel_leaves_the_finished_job_alone(page: Page, client: httpx.Client) -> None:
    held = Held(page, "**/spectrogram.npz")
    page.set_input_files("#file", EXAMPLE)
    held.wait()
    job = job_of(page)
    page.click("#cancel")
    held.let_go()
    assert client.get(f"/jobs/{job}").json()["status"] == "succeeded"
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#progress")).to_be_hidden()
    assert job_of(page) == job  # the link is as good as before
    page.reload()
    wait_for_map(page)


def test_a_new_file_leaves_the_finished_job_alone(page: Page, client: httpx.Client, other: Path) -> None:
    held = Held(page, "**/spectrogram.npz")
    page.set_input_files("#file", EXAMPLE)
    held.wait()
    first = job_of(page)
    page.set_input_files("#file", other)
    meanwhile(page, lambda: len(held.routes) == 2, "the other file's result")
    held.let_go()
    wait_for_map(page)
    assert page.inner_text("#file-name") == other.name
    assert client.get(f"/jobs/{first}").json()["status"] == "succeeded"


def test_back_and_forward_show_what_the_address_names(explained: Page, other: Path) -> None:
    first = job_of(explained)
    send(explained, other)
    meanwhile(explained, lambda: explained.inner_text("#file-name") == other.name, "the other file")
    second = job_of(explained)
    held = Held(explained, f"**/{first}/artifacts/spectrogram.npz")
    explained.go_back()
    held.wait()
    assert job_of(explained) == first
    explained.go_forward()
    wait_for_map(explained)
    held.let_go()
    assert job_of(explained) == second
    assert explained.inner_text("#file-name") == other.name
    explained.go_back()
    wait_for_map(explained)
    assert explained.inner_text("#file-name") == EXAMPLE.name


def test_going_back_during_an_analysis_and_forward_again(explained: Page, other: Path) -> None:
    held = Held(explained, "**/events")
    explained.set_input_files("#file", other)
    held.wait()
    explained.go_back()
    wait_for_map(explained)
    assert explained.inner_text("#file-name") == EXAMPLE.name
    held.let_go()
    assert explained.inner_text("#file-name") == EXAMPLE.name
    explained.go_forward()  # nobody cancelled it
    expect(explained.locator("#file-name")).to_have_text(other.name, timeout=WAIT_MS)


def test_a_second_map_does_not_outlive_what_it_stands_beside(explained: Page) -> None:
    held = Held(explained, "**/jobs/*/events")
    explained.get_by_role("button", name="Why not Violin?").click()
    held.wait()
    assert "Why not Violin" in explained.inner_text("#beside-place")
    with explained.expect_request(lambda request: request.method == "DELETE" or "/jobs/" in request.url):
        explained.click("button.instrument:has-text('Celesta')")
    held.let_go()
    expect(explained.locator("#beside-place")).to_be_hidden()
    assert explained.input_value("#beside") == ""
    expect(explained.locator("#chosen-name")).to_have_text("Celesta")


def test_a_second_map_that_cannot_be_had_is_not_waited_for(explained: Page) -> None:
    explained.route("**/explain", lambda route: route.fulfill(status=500, json={"title": "Out of order"}))
    explained.get_by_role("button", name="Why not Violin?").click()
    expect(explained.locator("#fault")).to_contain_text("Out of order")
    expect(explained.locator("#beside-place")).to_be_hidden()
    assert explained.input_value("#beside") == ""
    assert explained.evaluate("document.activeElement.id") == "beside"


def test_no_other_map_stands_under_an_instruments_name(explained: Page) -> None:
    names = explained.locator("button.instrument .name").all_inner_texts()
    explained.click(f"button.instrument:has-text('{names[0]}')")
    expect(explained.locator("#details")).to_be_hidden()
    bare = picture(explained)
    explained.click(f"button.instrument:has-text('{names[0]}')")
    expect(explained.locator("#details")).to_be_visible()
    held = Held(explained, f"**/map-{names[1].lower()}.npz")
    explained.click(f"button.instrument:has-text('{names[1]}')")
    held.wait()
    expect(explained.locator("#chosen-name")).to_have_text(names[1])
    assert picture(explained) == bare
    assert explained.get_attribute("#map-place .map", "aria-busy") == "true"
    for route in held.routes:
        route.abort()
    expect(explained.locator("#details")).to_be_hidden()
    expect(explained.locator("#fault")).to_be_visible()
    assert explained.locator("button.instrument[aria-pressed=true]").count() == 0
    assert explained.get_attribute("#map-place .map", "aria-busy") is None
    held.let_go()
    explained.click(f"button.instrument:has-text('{names[1]}')")  # another try goes well
    explained.wait_for_selector(f".map[aria-label*='{names[1]}']")


def test_a_question_for_a_part_ends_with_what_it_was_about(page: Page, long: Path) -> None:
    page.set_input_files("#file", long)
    expect(page.locator("#range")).to_be_visible()
    expect(page.locator("#progress")).to_be_hidden()
    send(page, EXAMPLE)
    expect(page.locator("#range")).to_be_hidden()
    page.set_input_files("#file", long)
    expect(page.locator("#range")).to_be_visible()
    page.click("#range-cancel")
    expect(page.locator("#range")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "choose"


def test_the_end_is_told_and_the_clock_is_not(page: Page) -> None:
    page.evaluate(_WRITE_DOWN)
    send(page, EXAMPLE)
    heard = page.evaluate("window.heard")
    assert heard[0] == "sending"
    assert heard[-1] in ("Trumpet, Celesta found", "Celesta, Trumpet found")
    assert len(heard) == len(set(heard)) < 15
    assert not any(character.isdigit() for words in heard for character in words)
    assert page.locator("#progress-text[aria-hidden=true]").count() == 1
    assert page.evaluate("document.activeElement.id") == "result-title"
    page.get_by_role("button", name="Why not Violin?").click()
    page.wait_for_selector("#beside-place canvas")
    assert "Why not Violin" in page.evaluate("document.activeElement.textContent")
    page.focus("#choose")  # whoever is somewhere stays there
    send(page, EXAMPLE)
    assert page.evaluate("document.activeElement.id") == "choose"


def test_a_link_to_a_job_at_work_and_to_one_that_only_listened(
    open_page: OpenPage, client: httpx.Client
) -> None:
    file = {"file": (EXAMPLE.name, EXAMPLE.read_bytes())}
    working = client.post("/explain", files=file).json()
    page = open_page(f"/?job={working['id']}")
    wait_for_map(page)
    assert page.inner_text("#file-name") == EXAMPLE.name
    listened = client.post("/classify", files=file, headers={"Prefer": "wait=60"}).json()
    assert listened["status"] == "succeeded"
    page = open_page(f"/?job={listened['id']}")
    expect(page.locator("#classified li:not(.absent)")).to_have_count(2)
    page.get_by_role("button", name="Explain it").click()
    wait_for_map(page)
    assert page.inner_text("#file-name") == EXAMPLE.name
    page.go_back()
    expect(page.locator("#classified")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()


def test_a_broken_connection_is_told_and_overcome(page: Page, stack: Stack) -> None:
    """Its workers wait until the page has followed it through all that breaks."""
    page.evaluate(_WRITE_DOWN)
    page.evaluate(_LOSE_AN_ANSWER)
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/explain") else None)
    faults = {"events": [break_off, too_many], "job": [break_off]}

    def faulty(kind: str) -> Callable[[Route], None]:
        return lambda route: faults[kind].pop(0)(route) if faults[kind] else route.continue_()

    page.route("**/jobs/*/events", faulty("events"))
    page.route("**/jobs/*", faulty("job"))
    workers = stack.worker.children()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        page.set_input_files("#file", EXAMPLE)
        meanwhile(page, lambda: not faults["events"], "the last of the faults")
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    wait_for_map(page)
    keys = [request.headers["idempotency-key"] for request in sent]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    answer = sent[1].response()
    assert answer is not None
    assert answer.headers["idempotency-replayed"] == "true"
    assert faults["job"] == []
    assert "connection lost, trying again" in page.evaluate("window.heard")


def test_a_key_is_forgotten_and_another_one_makes_good(guarded: str, open_page: OpenPage) -> None:
    with httpx.Client(base_url=guarded, headers={"Authorization": f"Bearer {KEY}"}, timeout=90.0) as client:
        file = {"file": (EXAMPLE.name, EXAMPLE.read_bytes())}
        job = client.post("/explain", files=file, headers={"Prefer": "wait=60"}).json()
    page = open_page(f"/?job={job['id']}", base=guarded, is_ready=False)
    page.wait_for_selector("#key-dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#fault")).to_contain_text("wants a key")
    expect(page.locator("#key-dialog")).to_be_hidden()
    page.click("#key")
    expect(page.locator("#key-reason")).to_be_hidden()
    page.fill("#key-field", KEY)
    page.keyboard.press("Enter")
    wait_for_map(page)  # what the link names is there after all
    expect(page.locator("#fault")).to_be_hidden()
    page.click("#key")
    page.click("#key-dialog button[value=forget]")
    expect(page.locator("#key-dialog")).to_be_hidden()
    page.wait_for_timeout(500)
    expect(page.locator("#key-dialog")).to_be_hidden()
    expect(page.locator("#result")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def break_off(route: Route) -> None:
    """The connection breaks."""
    route.abort()


def too_many(route: Route) -> None:
    """The service wants to be asked later."""
    route.fulfill(status=429, headers={"Retry-After": "1"}, json={"title": "Too many requests"})


def meanwhile(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition that the page's requests bring about."""

    def met() -> bool:
        page.wait_for_timeout(50)  # its events come in meanwhile
        return condition()

    wait_until(met, WAIT_MS / 1_000, what)

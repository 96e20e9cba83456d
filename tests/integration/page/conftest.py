"""A real browser for the tests of the page: chromium, driven by Playwright, against the shared service.

Every page that a test opens is watched: a fault in its scripts, a breach of its Content-Security-Policy or a
request to anywhere else fails the test.
"""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from ml.png import png
from tests.integration.processes import ROOT, Stack, start_api

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    # A microphone that beeps, and nobody to ask whether it may be used.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
MAC = "/Applications/Chromium.app/Contents/MacOS/Chromium"
WAIT_MS = 120_000

EXAMPLE = ROOT / "examples" / "trumpet-and-celesta.wav"

OpenPage = Callable[..., Page]


def chromium() -> str:
    """The browser of this machine."""
    found = next((path for path in map(shutil.which, NAMES) if path), MAC if Path(MAC).exists() else None)
    assert found, "chromium is missing: run `make test`, which installs it"
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser.

    Of a module and not of the session: while Playwright's synchronous interface is open, an event loop counts
    as running in this thread, and no later test could run its own.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[OpenPage]:
    """Opens a page in a context of its own: `open_page(path, base=..., is_ready=..., **context options)`."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_one(path: str = "/", *, base: str = "", is_ready: bool = True, **options: object) -> Page:
        url = base or stack.url
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: faults.append(f"fault: {error}"))
        page.on("console", lambda message: faults.extend(_complaints(message)))
        page.on("request", lambda request: faults.extend(_elsewhere(request.url, url)))
        page.goto(f"{url}{path}")
        if is_ready:
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


def _complaints(message: ConsoleMessage) -> list[str]:
    # That a request was answered with a problem is the browser's to log and the page's to show.
    is_answer = message.text.startswith("Failed to load resource")
    return [f"console: {message.text}"] if message.type in ("error", "warning") and not is_answer else []


def _elsewhere(url: str, base: str) -> list[str]:
    return [] if url.startswith((base, f"blob:{base}", "data:")) else [f"request to {url}"]


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page as it opens."""
    return open_page()


@pytest.fixture
def explained(page: Page) -> Page:
    """The page with a finished explanation of the example."""
    send(page, EXAMPLE)
    return page


@pytest.fixture(scope="session")
def guarded(stack: Stack) -> Iterator[str]:
    """The same service by an API that wants keys: its URL."""
    settings = {**stack.settings, "TIMBRESCOPE_REQUIRE_KEYS": "true"}
    folder = stack.folder / "guarded"
    folder.mkdir()
    process, url = start_api(folder, settings)
    yield url
    process.stop()


def send(page: Page, file: Path) -> None:
    """Sends a file and waits until its map is there."""
    page.set_input_files("#file", file)
    wait_for_map(page)


def wait_for_map(page: Page) -> None:
    """Until an explanation is shown."""
    # By locators: a handle that a test holds would keep an element that the page has let go of.
    for selector in ("#result:not([hidden])", ".card", ".map:not([aria-label*='no instrument'])"):
        page.locator(selector).first.wait_for()


def picture(page: Page, selector: str = "#map-place canvas") -> str:
    """What a canvas shows, as a data URL."""
    return str(page.eval_on_selector(selector, "canvas => canvas.toDataURL()"))


def job_of(page: Page) -> str:
    """The job that a page's address names."""
    return page.url.rpartition("job=")[2]


def screenshot(page: Page, name: str) -> None:
    """Keeps a screenshot for the documentation, where a folder for that is named."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        taken = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        (Path(folder) / f"{name}.png").write_bytes(png(np.asarray(taken)))

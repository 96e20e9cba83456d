"""The page's rows: a whole service with the shipped model, and chromium beside it.

Both are started when the first row asks for them and end with the program.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

from bench.clips import EXAMPLE
from bench.measure import COST, MORE, Row, Side, interleaved
from bench.running import start_service

LONG_S = 60.0
N_FRAMES = 120
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")

# Resolves after so many frames of an animation.
_FRAMES = "n => new Promise(end => { const next = () => n-- ? requestAnimationFrame(next) : end(); next(); })"


@functools.cache
def _service() -> str:
    """The URL of a whole service."""
    return start_service().url


@functools.cache
def _page() -> Page:
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
    atexit.register(playwright.stop)
    atexit.register(browser.close)
    return browser.new_context(viewport={"width": 1280, "height": 900}).new_page()


def _start() -> tuple[Side, Side]:
    """The page until it can be used, and a page of the same service with nothing on it."""
    page, url = _page(), _service()

    def open_page() -> None:
        page.goto(url)
        page.wait_for_selector("html[data-ready]")

    return open_page, lambda: page.goto(f"{url}/health/live")


def _drawing() -> tuple[Side, Side]:
    """Frames while a minute is played with its map; frames of a still page."""
    page, url = _page(), _service()
    still = page.context.new_page()
    still.goto(f"{url}/health/live")
    page.goto(url)
    with tempfile.TemporaryDirectory() as folder:
        page.set_input_files("#file", _long_recording(Path(folder) / "long.wav"))
        page.wait_for_selector(".card", timeout=600_000)
    page.wait_for_selector(".map:not([aria-label*='no instrument'])")

    def play() -> None:
        page.bring_to_front()
        if page.inner_text("#play") == "Play":
            page.click("#play")
        page.evaluate(_FRAMES, N_FRAMES)

    def rest() -> None:
        still.bring_to_front()
        still.evaluate(_FRAMES, N_FRAMES)

    return play, rest


def _long_recording(path: Path) -> Path:
    samples, rate_hz = soundfile.read(EXAMPLE, dtype="float32")
    n_samples = round(LONG_S * rate_hz)
    soundfile.write(path, np.resize(samples, n_samples), rate_hz)
    return path


ROWS = (
    Row(
        "page-start",
        "the page, until it can be used",
        "a page with nothing on it",
        MORE,
        "<= 1,000 ms",
        interleaved(_start),
    ),
    Row(
        "page-drawing",
        f"{N_FRAMES} frames of playing a minute with its map",
        f"{N_FRAMES} frames of a still page",
        COST,
        "<= 2",  # 30 frames a second, of a screen's 60
        interleaved(_drawing, 5),
    ),
)

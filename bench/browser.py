"""The page's rows: a whole service with the shipped model, and chromium beside it.

Both are started when the first row asks for them and end with the program.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

from bench.measure import Row, Side

LONG_S = 60.0
N_FRAMES = 120
READY_S = 180.0
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
EXAMPLE = Path("examples/trumpet-and-celesta.wav")

# Resolves after so many frames of an animation.
_FRAMES = "n => new Promise(end => { const next = () => n-- ? requestAnimationFrame(next) : end(); next(); })"


@functools.cache
def _service() -> str:
    """The URL of a whole service with a state folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ts-bench-"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {**os.environ, "TIMBRESCOPE_STATE_DIR": str(folder), "TIMBRESCOPE_PORT": str(port)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "timbrescope", "up"], env=environment, stdout=log, stderr=log
        )

    def end() -> None:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder)

    atexit.register(end)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=2):
                return url
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"The service was not ready within {READY_S:g} s; see {folder / 'log'}.")


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
        "measured / yardstick",
        "1 s in all",
        _start,
    ),
    Row(
        "page-drawing",
        f"{N_FRAMES} frames of playing a minute with its map",
        f"{N_FRAMES} frames of a still page",
        "measured / yardstick",
        f"at most {N_FRAMES * 1000 // 30} ms: 30 a second",
        _drawing,
        n_repeats=5,
    ),
)

"""The drawing of maps: what a pixel shows, what is drawn anew, moving about, and what is left in the end."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests.integration.page.conftest import EXAMPLE, picture, send
from tests.integration.processes import wait_until

RNG = np.random.default_rng(8)

# A view of its own on the page: 20 bands, one frame in 10 ms.
_VIEW = """window.makeView = async (nFrames, levelDb, span = null) => {
    const {SpectrogramView, spectrogramOf} = await import("/static/page/spectrogram.js");
    const {TimeWindow} = await import("/static/page/time_window.js");
    const spectrogram = spectrogramOf({
        level_db: {shape: [20, nFrames], data: new Float32Array(20 * nFrames).fill(levelDb)},
        times_s: {data: Float64Array.from({length: nFrames}, (_, i) => i / 100)},
        frequencies_hz: {data: Float32Array.from({length: 20}, (_, i) => 50 * 1.3 ** i)},
    });
    const readout = document.createElement("p");
    span ??= new TimeWindow(spectrogram.startS, spectrogram.endS);
    const view = new SpectrogramView({label: "a view", span, onseek: timeS => view.setTime(timeS), readout});
    const place = document.createElement("div");
    place.style.width = "600px";
    place.append(view.frame);
    document.body.prepend(place);
    view.setSpectrogram(spectrogram);
    return view;
}
window.pixelsOf = view => {
    const {width, height} = view.below;
    const copy = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(view.below, 0, 0);
    const {data} = copy.getImageData(63, 25, width - 70, height - 50);
    return Array.from({length: data.length / 4}, (_, i) => [...data.slice(4 * i, 4 * i + 3)]);
}"""


@pytest.fixture
def drawn(page: Page) -> Page:
    """The page, on which `makeView` makes a map and `pixelsOf` reads what is in its plot."""
    page.evaluate(f"() => {{ {_VIEW} }}")
    return page


@pytest.mark.parametrize(
    ("first", "wide", "n_columns"), [(0.0, 1000.0, 70), (12.5, 900.25, 333), (40.0, 12.0, 70)]
)
@pytest.mark.parametrize("pick", ["strongest", "most", "least"])
def test_a_column_shows_one_of_its_frames_and_none_is_lost(
    page: Page, pick: str, first: float, wide: float, n_columns: int
) -> None:
    cells = RNG.normal(size=(4, 1000)).astype(np.float32)
    call = """async ([cells, seen, pick]) => {
        const {columnsOf, PICKS} = await import("/static/page/reduce.js");
        return [...columnsOf(Float32Array.from(cells), {nMels: 4, nFrames: 1000}, seen, PICKS[pick])];
    }"""
    seen = {"first": first, "wide": wide, "nColumns": n_columns}
    found = np.float32(page.evaluate(call, [cells.ravel().tolist(), seen, pick])).reshape(4, n_columns)
    edges = np.floor(first + np.arange(n_columns + 1) * wide / n_columns + 1e-6).astype(int)
    for column in range(n_columns):
        under = cells[:, edges[column] : max(edges[column] + 1, edges[column + 1])]
        best = {"strongest": np.abs(under), "most": under, "least": -under}[pick].argmax(axis=1)
        np.testing.assert_array_equal(found[:, column], under[np.arange(4), best])


@pytest.mark.parametrize(
    "cells",
    [
        RNG.normal(size=20_000) ** 5,
        np.where(RNG.uniform(size=20_000) > 0.995, RNG.normal(size=20_000), 0.0),
        np.full(20_000, -0.25),
    ],
    ids=["peaked", "sparse", "even"],
)
def test_a_colour_is_full_where_two_of_a_thousand_cells_are_stronger(
    page: Page, cells: NDArray[np.float64]
) -> None:
    call = (
        """async cells => (await import("/static/page/reduce.js")).fullRelevance(Float32Array.from(cells))"""
    )
    sizes = np.sort(np.abs(cells.astype(np.float32)))
    assert page.evaluate(call, cells.tolist()) == sizes[int(0.998 * (len(sizes) - 1))]


def test_one_moment_of_a_minute_is_seen(drawn: Page) -> None:
    call = """async () => {
        const view = await makeView(6000, -100);
        const relevance = new Float32Array(20 * 6000);
        relevance[7 * 6000 + 3001] = 1; // one frame of 11 in its pixel
        relevance[12 * 6000 + 1500] = -1;
        view.setOverlay({relevance, full: 1}, "moments");
        view.setOpacity(1);
        const seen = () => {
            const pixels = pixelsOf(view);
            const isRed = pixels.some(([red, green, blue]) => red > 180 && blue < 60);
            return [isRed, pixels.some(([red, green, blue]) => blue > 160 && red < 40)];
        };
        const both = seen();
        view.setSigns("for");
        const only = seen();
        view.setSigns("against");
        return [both, only, seen()];
    }"""
    assert drawn.evaluate(call) == [[True, True], [True, False], [False, True]]


def test_silence_is_drawn_as_nothing(drawn: Page) -> None:
    call = """async levelDb => {
        const pixels = pixelsOf(await makeView(500, levelDb));
        return [...new Set(pixels.map(pixel => pixel.join(" ")))];
    }"""
    assert drawn.evaluate(call, -100) == ["255 255 255"]
    assert drawn.evaluate(call, 10) == ["50 50 50"]


def test_only_what_changed_is_painted_anew(drawn: Page) -> None:
    call = """async () => {
        const view = await makeView(6000, -30);
        let painted = 0;
        const {putImageData} = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.putImageData = function (image, ...where) {
            if (image.height > 1) painted += 1;
            putImageData.call(this, image, ...where);
        };
        const after = call => { painted = 0; call(); return painted; };
        const relevance = new Float32Array(20 * 6000).fill(0.5);
        const overlay = {relevance, full: 1};
        const show = () => view.setOverlay(overlay, "one");
        return [after(show), after(show), after(() => view.setOpacity(0.5)), after(() => view.setTime(3)),
            after(() => view.span.zoom(0.5))];
    }"""
    assert drawn.evaluate(call) == [1, 0, 0, 0, 2]


def test_a_key_says_which_number_is_which_colour(drawn: Page) -> None:
    call = """async () => {
        const view = await makeView(500, -30);
        const written = [];
        const {fillText} = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
            written.push(text);
            fillText.call(this, text, ...where);
        };
        const said = call => { written.length = 0; call(); return written.slice(0, 2); };
        const relevance = new Float32Array(20 * 500).fill(0.1);
        const both = said(() => view.setOverlay({relevance, full: 0.125}, "both"));
        const against = said(() => view.setSigns("against"));
        return [both, against, said(() => view.setOverlay({share: relevance}, "a share"))];
    }"""
    assert drawn.evaluate(call) == [
        ["+0.13 for", "against −0.13"],
        ["0", "against −0.13"],
        ["all its own", "0 %"],
    ]


def test_nothing_is_left_of_maps_that_went(drawn: Page) -> None:
    call = """async () => {
        const {Timeline} = await import("/static/page/timeline.js");
        window.first ??= await makeView(500, -30); // its span is what all others listen to
        for (let i = 0; i < 12; i += 1) {
            const view = await makeView(500, -30, first.span);
            const place = view.frame.parentNode;
            const timeline = new Timeline({span: first.span, onseek: () => {}});
            place.append(timeline.element);
            timeline.draw();
            timeline.destroy();
            view.destroy();
            place.remove();
        }
    }"""
    drawn.evaluate(call)
    before = canvases(drawn)
    drawn.evaluate(call)
    drawn.evaluate(call)
    wait_until(lambda: canvases(drawn) <= before, 60.0, "canvases let go of")


def test_nothing_is_left_of_comparisons_and_of_an_explanation(explained: Page) -> None:
    def compare() -> None:
        for choice in ("map:Celesta", ""):
            explained.select_option("#beside", choice)
            explained.locator("#beside-place canvas").first.wait_for(
                state="attached" if choice else "detached"
            )

    compare()
    before = canvases(explained)
    for _ in range(4):
        compare()
    wait_until(lambda: canvases(explained) <= before, 60.0, "canvases let go of")
    send(explained, EXAMPLE)
    wait_until(lambda: canvases(explained) <= before, 60.0, "canvases of the explanation before")


def test_the_page_is_scrolled_over_a_map_and_the_map_is_moved(drawn: Page) -> None:
    call = """async () => {
        const view = await makeView(6000, -30);
        const wheel = how => new WheelEvent("wheel", {cancelable: true, ...how});
        const isTaken = how => !view.frame.dispatchEvent(wheel(how));
        const whole = isTaken({deltaX: 40, deltaY: 0});
        view.span.zoom(0.25, 0);
        const scrolled = isTaken({deltaX: 3, deltaY: 40});
        const still = view.span.startS;
        const moved = isTaken({deltaX: 10, deltaY: 3});
        const byPixels = view.span.startS;
        isTaken({deltaX: 10, deltaY: 3, deltaMode: WheelEvent.DOM_DELTA_LINE});
        return [whole, scrolled, still, moved, (view.span.startS - byPixels) / byPixels];
    }"""
    whole, scrolled, still, moved, lines = drawn.evaluate(call)
    assert (whole, scrolled, still, moved) == (False, False, 0, True)
    assert lines == pytest.approx(16)


def test_who_looks_elsewhere_is_not_pulled_back(page: Page) -> None:
    call = """async () => {
        const {TimeWindow} = await import("/static/page/time_window.js");
        const span = new TimeWindow(0, 60);
        const at = timeS => { span.reveal(timeS); return [span.startS, span.endS]; };
        span.zoom(1 / 6, 0);
        const found = [at(9), at(11)];
        span.pan(30);
        found.push(at(12), at(13));
        span.follow();
        found.push(at(13.5), at(24));
        return found;
    }"""
    found = page.evaluate(call)
    assert found[0] == [0, 10]
    assert found[1] == [10.5, 20.5]  # a page on
    assert found[2] == found[3] == [40.5, 50.5]  # where the reader went
    assert found[4] == [13, 23]  # and back, when asked for
    assert found[5] == [23.5, 33.5]


def test_a_map_is_moved_while_it_plays(explained: Page) -> None:
    explained.click("#zoom-in")
    explained.click("#zoom-in")
    explained.click("#play")
    wait_until(lambda: time_of(explained) > 0.05, 60.0, "sound")
    explained.locator("#map-place .map").hover()
    explained.mouse.wheel(4000, 0)
    last = picture(explained)
    at = time_of(explained)
    wait_until(lambda: time_of(explained) > at + 0.2, 60.0, "more sound")
    assert picture(explained) == last
    explained.click("#play")
    explained.evaluate("document.querySelector('audio').currentTime = 0.5")
    explained.click("#play")
    wait_until(lambda: picture(explained) != last, 60.0, "what plays, in sight again")


def test_a_slider_says_where_it_went_and_is_silent_while_it_plays(explained: Page) -> None:
    frame = explained.locator("#map-place .map")
    frame.focus()
    for step in (1, 2):
        explained.keyboard.press("ArrowRight")
        assert str(frame.get_attribute("aria-valuetext")).startswith(f"0.{step}0 s ·")
        assert frame.get_attribute("aria-valuenow") == f"0.{step}0"
    assert explained.get_attribute("#readout", "aria-live") == "off"
    explained.click("#play")
    wait_until(lambda: time_of(explained) > 0.5, 60.0, "sound")
    assert frame.get_attribute("aria-valuenow") == "0.20"
    explained.click("#play")
    wait_until(lambda: float(frame.get_attribute("aria-valuenow") or 0) > 0.5, 20.0, "the place of the pause")


def time_of(page: Page) -> float:
    """Where the recording is, in seconds."""
    return float(page.evaluate("document.querySelector('audio').currentTime"))


def canvases(page: Page) -> int:
    """How many canvases the browser still keeps, on the page or not."""
    session: Any = page.context.new_cdp_session(page)
    try:
        session.send("HeapProfiler.collectGarbage")
        kind = session.send("Runtime.evaluate", {"expression": "HTMLCanvasElement.prototype"})["result"]
        objects = session.send("Runtime.queryObjects", {"prototypeObjectId": kind["objectId"]})["objects"]
        count = "function () { return this.length; }"
        how = {"objectId": objects["objectId"], "functionDeclaration": count}
        return int(session.send("Runtime.callFunctionOn", how)["result"]["value"])
    finally:
        session.detach()

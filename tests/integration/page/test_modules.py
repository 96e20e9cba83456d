"""The page's own reading and writing of files, and what it says of numbers, against numpy and soundfile."""

import base64
import io
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Error, Page

RNG = np.random.default_rng(5)
CELLS = RNG.normal(size=(7, 11)).astype(np.float32)

_READ_NPZ = """async text => {
    const {readNpz} = await import("/static/page/npz.js");
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const arrays = await readNpz(bytes.buffer);
    const found = Object.entries(arrays).map(([name, {shape, data}]) => [name, [shape, [...data]]]);
    return Object.fromEntries(found);
}"""
_WAV = """async ([samples, rate]) => {
    const {wavBlob} = await import("/static/page/wav.js");
    const blocks = [samples.slice(0, 3), samples.slice(3)].map(each => Int16Array.from(each));
    const bytes = new Uint8Array(await wavBlob(blocks, rate).arrayBuffer());
    return btoa(String.fromCharCode(...bytes));
}"""


def read_npz(page: Page, data: bytes) -> Any:
    """What the page reads from a file."""
    return page.evaluate(_READ_NPZ, base64.b64encode(data).decode())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_numpy_wrote_them(page: Page, save: Any) -> None:
    buffer = io.BytesIO()
    times_s = np.linspace(0.0, 1.0, 11)
    save(buffer, relevance=CELLS, times_s=times_s, scalar=np.float32(2.5))
    found = read_npz(page, buffer.getvalue())
    assert set(found) == {"relevance", "times_s", "scalar"}
    assert found["relevance"][0] == [7, 11]
    np.testing.assert_array_equal(np.float32(found["relevance"][1]), CELLS.ravel())
    np.testing.assert_array_equal(found["times_s"][1], times_s)
    assert found["scalar"] == [[], [2.5]]


def test_other_files_and_arrays_are_refused(page: Page) -> None:
    with pytest.raises(Error, match="not an NPZ file"):
        read_npz(page, b"RIFF" + bytes(100))
    buffer = io.BytesIO()
    np.savez(buffer, words=np.array(["a", "b"]))
    with pytest.raises(Error, match="is not read"):
        read_npz(page, buffer.getvalue())


def test_a_recording_is_written_as_any_reader_reads_it(page: Page) -> None:
    samples = [0, 400, -400, 32_767, -32_768, 1, -1]
    data = base64.b64decode(page.evaluate(_WAV, [samples, 48_000]))
    found, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == 48_000
    assert found.tolist() == samples


@pytest.mark.parametrize(
    ("frequency_hz", "name"),
    [
        (440.0, "A4"),
        (261.6, "C4"),
        (27.5, "A0"),
        (466.2, "A♯4"),
        (4186.0, "C8"),
        (452.0, "A4"),
        (453.0, "A♯4"),
    ],
)
def test_frequencies_have_the_names_of_notes(page: Page, frequency_hz: float, name: str) -> None:
    call = "async hertz => (await import('/static/page/axes.js')).noteName(hertz)"
    assert page.evaluate(call, frequency_hz) == name


def test_every_row_of_a_picture_shows_the_nearest_band(page: Page) -> None:
    frequencies_hz = np.geomspace(50.0, 16_000.0, 40) + RNG.uniform(0, 5, 40)
    frequencies_hz.sort()
    call = """async list => {
        const {rowBands, ROWS} = await import("/static/page/bitmaps.js");
        return [ROWS, [...rowBands(Float32Array.from(list))]];
    }"""
    n_rows, bands = page.evaluate(call, frequencies_hz.tolist())
    low, high = np.log(np.float32(frequencies_hz[[0, -1]]))
    wanted = np.exp(high - (np.arange(n_rows) + 0.5) / n_rows * (high - low))
    nearest = np.abs(wanted[:, None] - frequencies_hz.astype(np.float32)[None, :]).argmin(axis=1)
    assert bands == nearest.tolist()


def test_zooming_keeps_the_time_in_its_place_and_nothing_leaves_the_recording(page: Page) -> None:
    call = """async () => {
        const {TimeWindow} = await import("/static/page/time_window.js");
        const span = new TimeWindow(0, 10);
        span.zoom(0.5, 2);
        const near = [span.startS, span.endS];
        span.pan(-100);
        const first = [span.startS, span.endS];
        span.reveal(9.9);
        const left = [span.startS, span.endS];  // whoever looks elsewhere is left there
        span.follow();
        span.reveal(9.9);
        const revealed = span.startS <= 9.9 && span.endS >= 9.9;
        for (let i = 0; i < 20; i += 1) span.zoom(0.5);
        const least = span.spanS;
        span.zoom(1000);
        return [near, first, left, revealed, least, [span.startS, span.endS]];
    }"""
    near, first, left, revealed, least, whole = page.evaluate(call)
    assert (near, first, left, revealed, whole) == ([1, 6], [0, 5], [0, 5], True, [0, 10])
    assert least == pytest.approx(0.25)


def test_the_quality_of_a_map_is_said_in_words(page: Page) -> None:
    quality = {
        "conservation": {"gap": 0.4},
        "deletion": {"gain": 3.0},
        "probability_kept": 0.98,
        "probability_removed": 0.01,
        "most_alike": {"instrument": "Celesta", "similarity": 0.5},
        "truth": {"mass_accuracy": 0.84, "energy_share": 0.4, "pointing": True, "own_stem": False},
    }
    call = (
        """async explanation => (await import("/static/page/proof_texts.js")).qualitySentences(explanation)"""
    )
    found = page.evaluate(call, {"instrument": "Trumpet", "probability": 0.99, "quality": quality})
    said = {sentence["text"]: sentence["isGood"] for sentence in found}
    assert said == {
        "84 % of the evidence lies on what is truly the Trumpet's, 2.1 times more than its loudness explains "
        "(40 %).": True,
        "The strongest cell of the map belongs to the Trumpet.": True,
        "Something else than the Trumpet has the largest part of the map.": False,
        "Deleting the tenth that the map points at hurts the decision 3.0 times as much as deleting a tenth "
        "at random.": True,
        "In the evidence alone the model hears the Trumpet with 98 %.": True,
        "Without the evidence 1.0 % are left of 99 %.": True,
        "60 % of the decision arrived in the map.": True,
        "The map most like this one is that of the Celesta (50 % alike).": False,
    }

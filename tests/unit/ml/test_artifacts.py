"""Artefacts: every promised file, its axes, the JSON's shape, and pictures that show what they should."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from ml.artifacts import Artifact, classification_result, explanation_artifacts, explanation_result
from ml.check import check_stems
from ml.drawing import LEFT, MAP_ROWS, N_COLUMNS, TOP, draw_map, draw_spectrogram
from ml.explained import Explanation, Spectrogram
from ml.explanation import explain
from ml.melspec import MelConfig
from ml.model import Model
from ml.overview import PANEL_COLUMNS, PANEL_ROWS, columns_for, draw_overview
from ml.pictures import LogFrequencyGrid, columns, strip
from ml.recording import Recording
from ml.truth.stems import Stem
from service.documents.result_examples import CHECK_RESULT, EXPLAIN_RESULT

MEL = MelConfig()
N_ROWS = 300


@pytest.fixture(scope="module")
def artifacts(explanation: Explanation, shipped: Model) -> dict[str, Artifact]:
    return {artifact.name: artifact for artifact in explanation_artifacts(explanation, shipped.card)}


@pytest.fixture(scope="module")
def proven(shipped: Model, example: Recording) -> Explanation:
    """The example beside a quiet tone, explained with both as stems."""
    times_s = np.arange(len(example.samples)) / example.sample_rate_hz
    tone = (0.05 * np.sin(2.0 * np.pi * 220.0 * times_s)).astype(np.float32)
    stems = [Stem("Trumpet", example), Stem("Hammond Organ", Recording(tone, example.sample_rate_hz))]
    return check_stems(shipped, stems)


def picture(png: bytes) -> NDArray[np.int_]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("which", ["explanation", "proven"])
def test_every_link_is_a_file_and_every_file_is_linked(
    which: str, shipped: Model, request: pytest.FixtureRequest
) -> None:
    explanation: Explanation = request.getfixturevalue(which)
    artifacts = [artifact.name for artifact in explanation_artifacts(explanation, shipped.card)]
    linked: list[str] = []

    def href(name: str) -> str:
        linked.append(name)
        return f"/x/{name}"

    result = explanation_result(explanation, href)
    assert sorted(linked) == sorted(artifacts)
    json.dumps(result, allow_nan=False)


def test_the_result_has_the_contracts_shape(explanation: Explanation) -> None:
    result = explanation_result(explanation, lambda name: name)
    assert result.keys() >= {"instruments", "timeline", "spectrogram", "explanations"}
    assert classification_result(explanation.classification).items() <= result.items()
    exports = {"jams": "result.jams", "csv": "instruments.csv", "timeline_csv": "timeline.csv"}
    assert classification_result(explanation.classification, str)["exports"] == exports
    assert result["exports"] == {**exports, "evidence_csv": "evidence.csv"}
    first = result["explanations"][0]  # type: ignore[index]
    assert first.keys() == {
        *("instrument", "probability", "found", "contrast", "map"),
        *("timeline", "evidence", "concepts", "quality"),
    }
    assert first["evidence"].keys() == {"kept_wav", "removed_wav"}
    assert first["map"].keys() == {"png", "npz"}
    concept, remainder = first["concepts"][0], first["concepts"][-1]
    assert concept.keys() >= {"layer", "channel", "remainder", "relevance", "share", "map"}
    assert (concept["remainder"], remainder["remainder"], remainder["channel"]) == (False, True, None)
    quality = first["quality"]
    assert quality["conservation"].keys() == {"logit", "relevance", "gap", "concept_error"}
    assert quality["deletion"].keys() == {"drop", "random_drop", "gain"}
    assert quality["most_alike"].keys() == {"instrument", "similarity"}
    assert quality["truth"] is None
    audible = explanation.instruments[0].audible
    assert quality["evidence_maps"] == audible.n_maps >= 1
    assert quality["kept_energy_share"] == audible.kept_energy_share > 0.0
    map_total = explanation.instruments[0].relevance_map.sum(dtype=np.float64)
    assert sum(first["timeline"]["evidence"]) == pytest.approx(map_total, rel=1e-6)
    (start_s, step_s), n_frames = (
        (first["timeline"][key] for key in ("start_s", "step_s")),
        len(explanation.spectrogram.times_s),
    )
    assert (start_s, step_s) == (0.0, pytest.approx(16 * 512 / 44_100))
    assert len(first["timeline"]["evidence"]) == -(-n_frames // 16)


def keys_of(value: object) -> object:
    """The shape of a JSON value: the keys of objects, and of the first and last entry of lists."""
    if isinstance(value, dict):
        return {key: keys_of(entry) for key, entry in value.items() if key != "probabilities"}
    if isinstance(value, list | tuple):
        return [keys_of(value[0]), keys_of(value[-1])] if value else []
    return None


def test_the_api_description_shows_this_very_shape(explanation: Explanation, proven: Explanation) -> None:
    """Key by key; what may be null in one of the two (links, likeness) or any number is left out."""

    def shape(result: dict[str, Any]) -> Any:
        result = copy.deepcopy(result)
        for entry in result["explanations"]:
            quality = entry["quality"]
            quality["most_alike"], quality["warnings"] = None, [{"code": "", "detail": ""}]
            if quality["truth"] is not None:
                quality["truth"]["stems"] = list(quality["truth"]["stems"].values())
            for concept in entry["concepts"]:
                concept["links"] = None
        return keys_of(result)

    assert shape(explanation_result(explanation, str)) == shape(EXPLAIN_RESULT)
    checked = shape(explanation_result(proven, str))
    entries = CHECK_RESULT["explanations"]
    shown = shape({**CHECK_RESULT, "explanations": [*entries, *copy.deepcopy(entries)]})
    for result in (checked, shown):
        for entry in result["explanations"]:
            del entry["concepts"]  # a check has none but the remainder by default
    assert checked == shown


def test_masks_are_what_the_stems_say(proven: Explanation, shipped: Model) -> None:
    artifacts = {artifact.name: artifact for artifact in explanation_artifacts(proven, shipped.card)}
    result = explanation_result(proven, lambda name: name)
    total = np.zeros_like(proven.spectrogram.level_db)
    for entry in result["explanations"]:  # type: ignore[attr-defined]
        truth = entry["quality"]["truth"]
        assert truth["stems"].keys() == {"Trumpet", "Hammond Organ"}
        with np.load(io.BytesIO(artifacts[truth["mask"]["npz"]].data), allow_pickle=False) as arrays:
            assert set(arrays) == {"share", "frequencies_hz", "times_s"}
            total += arrays["share"]
        assert artifacts[truth["mask"]["png"]].data.startswith(b"\x89PNG")
    shared = total > 0.0
    np.testing.assert_allclose(total[shared], 1.0, atol=1e-5)  # nothing in the mix is nobody's
    assert shared.any()


def test_arrays_hold_maps_with_their_axes(explanation: Explanation, artifacts: dict[str, Artifact]) -> None:
    archives = {name: artifact for name, artifact in artifacts.items() if name.endswith(".npz")}
    for name, artifact in archives.items():
        with np.load(io.BytesIO(artifact.data), allow_pickle=False) as arrays:
            key = "level_db" if name == "spectrogram.npz" else "relevance"
            assert set(arrays) == {key, "frequencies_hz", "times_s"}
            assert arrays[key].dtype == np.float32
            assert arrays[key].shape == (len(arrays["frequencies_hz"]), len(arrays["times_s"]))
            np.testing.assert_array_equal(arrays["frequencies_hz"], explanation.spectrogram.frequencies_hz)
    trumpet = next(i for i in explanation.instruments if i.instrument == "Trumpet")
    with np.load(io.BytesIO(artifacts["map-trumpet.npz"].data)) as arrays:
        np.testing.assert_array_equal(arrays["relevance"], trumpet.relevance_map)


def test_the_sound_is_what_was_analysed(explanation: Explanation, artifacts: dict[str, Artifact]) -> None:
    samples, rate = soundfile.read(io.BytesIO(artifacts["audio.wav"].data), dtype="float32")
    assert rate == 44_100
    np.testing.assert_array_equal(samples, explanation.recording.samples)


def test_files_are_the_same_bytes_each_time(
    explanation: Explanation, shipped: Model, artifacts: dict[str, Artifact]
) -> None:
    again = {artifact.name: artifact.data for artifact in explanation_artifacts(explanation, shipped.card)}
    assert again == {name: artifact.data for name, artifact in artifacts.items()}


def test_rows_of_a_picture_lie_at_their_frequencies() -> None:
    grid = LogFrequencyGrid.of(MEL.frequencies_hz, N_ROWS)
    bands = np.tile(MEL.frequencies_hz[:, None], (1, 2))
    rows_hz = grid.apply(bands)[:, 0]
    for frequency_hz in (55.0, 440.0, 7_040.0):
        row = round(grid.position(frequency_hz) * (len(rows_hz) - 1))
        assert rows_hz[row] == pytest.approx(frequency_hz, rel=0.02)
    assert grid.position(float(MEL.frequencies_hz[0])) == 0.0
    assert grid.position(float(MEL.frequencies_hz[-1])) == pytest.approx(1.0)


@pytest.mark.parametrize("n_frames", [1, 7, 300, 1_999])
def test_columns_keep_what_frames_hold(n_frames: int) -> None:
    """Many frames: every frame in one column's mean. Few: values between those of neighbours, in place."""
    cells = np.random.default_rng(n_frames).normal(size=(3, n_frames)).astype(np.float32)
    shown = columns(cells, 300)
    assert shown.shape == (3, 300)
    assert shown.min() >= cells.min() - 1e-6
    assert shown.max() <= cells.max() + 1e-6
    if n_frames > 300:
        slow = [cells[:, k * n_frames // 300 : (k + 1) * n_frames // 300].mean(axis=1) for k in range(300)]
        np.testing.assert_allclose(shown, np.stack(slow, axis=1), atol=1e-6)
    if n_frames == 300:
        np.testing.assert_allclose(shown, cells, atol=1e-6)


def test_bars_rise_for_and_fall_against() -> None:
    bars = strip(np.array([1.0, 0.0, -0.5]), 1.0, 40, 30)
    red = (bars[..., 0] > bars[..., 2] + 0.3).nonzero()
    blue = (bars[..., 2] > bars[..., 0] + 0.3).nonzero()
    assert set(red[1]) == set(range(10))
    assert set(blue[1]) == set(range(20, 30))
    assert len(set(red[0])) == pytest.approx(20, abs=1)
    assert len(set(blue[0])) == pytest.approx(10, abs=1)
    assert red[0].max() <= blue[0].min()


def test_red_is_for_and_blue_against_where_the_relevance_is() -> None:
    """Evidence for early and low, against late and high: red left below, blue right above."""
    n_frames = 200
    relevance = np.zeros((MEL.n_mels, n_frames), dtype=np.float32)
    relevance[10:20, 20:60] = 1.0
    relevance[90:110, 140:180] = -1.0
    levels = np.full((MEL.n_mels, n_frames), -50.0, dtype=np.float32)
    spectrogram = Spectrogram(levels, MEL.frequencies_hz, MEL.times_s(n_frames))
    pixels = picture(draw_map(spectrogram, relevance, "test"))
    plot = pixels[TOP : TOP + MAP_ROWS, LEFT : LEFT + N_COLUMNS]
    red = (plot[..., 0] > plot[..., 2] + 80).nonzero()
    blue = (plot[..., 2] > plot[..., 0] + 80).nonzero()
    assert red[0].size
    assert blue[0].size
    assert red[1].max() < blue[1].min()  # red is earlier
    assert blue[0].max() < red[0].min()  # and lower: row numbers grow downwards
    assert red[1].min() / N_COLUMNS == pytest.approx(20 / n_frames, abs=0.01)
    below = pixels[TOP + MAP_ROWS :, LEFT : LEFT + N_COLUMNS]  # the evidence over time
    assert (below[..., 0] > below[..., 2] + 80).nonzero()[1].max() < N_COLUMNS / 2
    assert (below[..., 2] > below[..., 0] + 80).nonzero()[1].min() > N_COLUMNS / 2


def test_a_spectrogram_is_grey_and_darkest_where_it_is_loudest() -> None:
    n_frames = 100
    levels = np.full((MEL.n_mels, n_frames), -80.0, dtype=np.float32)
    levels[40:60, 50:60] = 0.0
    pixels = picture(draw_spectrogram(Spectrogram(levels, MEL.frequencies_hz, MEL.times_s(n_frames)), "test"))
    assert np.ptp(pixels, axis=2).max() <= 2  # grey
    plot = pixels[60:340, 120:700]
    assert plot.min() < 10


def test_maps_of_zeros_and_single_frames_can_be_drawn() -> None:
    for n_frames in (1, 3):
        levels = np.full((MEL.n_mels, n_frames), -100.0, dtype=np.float32)
        spectrogram = Spectrogram(levels, MEL.frequencies_hz, MEL.times_s(n_frames))
        assert draw_map(spectrogram, np.zeros_like(levels), "nothing").startswith(b"\x89PNG")
        assert draw_spectrogram(spectrogram, "nothing").startswith(b"\x89PNG")


def test_the_overview_shows_every_map_beside_the_mixture(
    shipped: Model, example: Recording, explanation: Explanation
) -> None:
    """Coloured panels, one for each map, in the grid they are laid out in; a grey one for the mixture."""
    for wanted in (0, 1, 2, 4, 12):
        asked = shipped.card.labels[:wanted]
        result = explain(shipped, example, instruments=asked, n_concepts=0) if wanted else None
        shown = result or explain(shipped, example, threshold=1.0, n_concepts=0)
        assert len(shown.instruments) == wanted
        pixels = picture(draw_overview(shown))
        across = columns_for(wanted + 1)
        down = -(-(wanted + 1) // across)
        assert pixels.shape[0] // PANEL_ROWS == down
        assert pixels.shape[1] // PANEL_COLUMNS == across
        coloured = np.ptp(pixels, axis=2) > 40
        assert coloured.any() == (wanted > 0)
        first_panel = coloured[: PANEL_ROWS + 30, : 75 + PANEL_COLUMNS]
        assert not first_panel.any()

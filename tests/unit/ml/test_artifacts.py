"""Artefacts: every promised file, its axes, the JSON's shape, and pictures that show what they should."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from ml.artifacts import Artifact, classification_result, explanation_artifacts, explanation_result
from ml.drawing import LogFrequencyGrid, draw_map, draw_spectrogram
from ml.explanation import Explanation, Spectrogram
from ml.melspec import MelConfig
from service.examples import EXPLAIN_RESULT

MEL = MelConfig()


@pytest.fixture(scope="module")
def artifacts(explanation: Explanation) -> dict[str, Artifact]:
    return {artifact.name: artifact for artifact in explanation_artifacts(explanation)}


def picture(png: bytes) -> NDArray[np.int_]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_every_link_is_a_file_and_every_file_is_linked(
    explanation: Explanation, artifacts: dict[str, Artifact]
) -> None:
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
    first = result["explanations"][0]  # type: ignore[index]
    assert first.keys() == {"instrument", "probability", "map", "evidence", "concepts", "quality"}
    assert first["evidence"].keys() == {"kept_wav", "removed_wav"}
    assert first["map"].keys() == {"png", "npz"}
    concept, remainder = first["concepts"][0], first["concepts"][-1]
    assert concept.keys() == {"layer", "channel", "remainder", "relevance", "share", "map"}
    assert (concept["remainder"], remainder["remainder"], remainder["channel"]) == (False, True, None)
    assert first["quality"]["conservation"].keys() == {"logit", "relevance", "gap", "concept_error"}


def keys_of(value: object) -> object:
    """The shape of a JSON value: the keys of objects, and of the first and last entry of lists."""
    if isinstance(value, dict):
        return {key: keys_of(entry) for key, entry in value.items() if key != "probabilities"}
    if isinstance(value, list | tuple):
        return [keys_of(value[0]), keys_of(value[-1])] if value else []
    return None


def test_the_api_description_shows_this_very_shape(explanation: Explanation) -> None:
    assert keys_of(explanation_result(explanation, lambda name: name)) == keys_of(EXPLAIN_RESULT)


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


def test_files_are_the_same_bytes_each_time(explanation: Explanation, artifacts: dict[str, Artifact]) -> None:
    again = {artifact.name: artifact.data for artifact in explanation_artifacts(explanation)}
    assert again == {name: artifact.data for name, artifact in artifacts.items()}


def test_rows_of_a_picture_lie_at_their_frequencies() -> None:
    grid = LogFrequencyGrid.of(MEL.frequencies_hz)
    bands = np.tile(MEL.frequencies_hz[:, None], (1, 2))
    rows_hz = grid.apply(bands)[:, 0]
    for frequency_hz in (55.0, 440.0, 7_040.0):
        row = round(grid.position(frequency_hz) * (len(rows_hz) - 1))
        assert rows_hz[row] == pytest.approx(frequency_hz, rel=0.02)
    assert grid.position(float(MEL.frequencies_hz[0])) == 0.0
    assert grid.position(float(MEL.frequencies_hz[-1])) == pytest.approx(1.0)


def test_red_is_for_and_blue_against_where_the_relevance_is() -> None:
    """Evidence for early and low, against late and high: red left below, blue right above."""
    n_frames = 200
    relevance = np.zeros((MEL.n_mels, n_frames), dtype=np.float32)
    relevance[10:20, 20:60] = 1.0
    relevance[90:110, 140:180] = -1.0
    levels = np.full((MEL.n_mels, n_frames), -50.0, dtype=np.float32)
    spectrogram = Spectrogram(levels, MEL.frequencies_hz, MEL.times_s(n_frames))
    pixels = picture(draw_map(spectrogram, relevance, "test"))
    plot = pixels[:, : int(pixels.shape[1] * 0.8)]  # without the colour bar
    red = (plot[..., 0] > plot[..., 2] + 80).nonzero()
    blue = (plot[..., 2] > plot[..., 0] + 80).nonzero()
    assert red[0].size
    assert blue[0].size
    assert red[1].max() < blue[1].min()  # red is earlier
    assert blue[0].max() < red[0].min()  # and lower: row numbers grow downwards


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

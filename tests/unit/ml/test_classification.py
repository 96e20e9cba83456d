"""Classification with the shipped model: labels, thresholds, windows, silence, rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from ml.classification import classify, listen
from ml.errors import InvalidRequestError
from ml.model import Model
from ml.recording import Recording, load_recording
from ml.synthesis.soundfonts import MissingSoundFontError, find_bank


def silence(duration_s: float) -> Recording:
    return Recording(np.zeros(round(44_100 * duration_s), dtype=np.float32), 44_100)


def test_the_example_is_recognised(shipped: Model, example: Recording) -> None:
    classification = classify(shipped, example)
    assert set(classification.found) == {"Trumpet", "Celesta"}
    assert len(classification.instruments) == 12
    probabilities = [score.probability for score in classification.instruments]
    assert probabilities == sorted(probabilities, reverse=True)
    assert [(window.start_s, window.end_s) for window in classification.timeline] == [(0.0, 5.0)]


def test_probabilities_are_the_sigmoid_of_the_highest_calibrated_logits(
    shipped: Model, example: Recording
) -> None:
    fading = Recording(np.concatenate([example.samples, np.zeros(6 * 44_100, dtype=np.float32)]), 44_100)
    heard = listen(shipped, fading)
    classification = classify(shipped, fading)
    assert heard.silent.tolist() == [False, False, False, True]  # the third hears the very end
    calibration = shipped.card.calibration
    offsets = np.array([calibration.offsets[label] for label in shipped.card.labels])
    calibrated = calibration.scale * heard.logits[:3].astype(np.float64) + offsets
    expected = dict(zip(shipped.card.labels, expit(calibrated).max(axis=0), strict=True))
    for score in classification.instruments:
        assert score.probability == pytest.approx(expected[score.instrument])
    assert set(classification.timeline[3].probabilities.values()) == {0.0}


def test_silence_has_no_instruments_at_any_length_and_threshold(shipped: Model) -> None:
    for duration_s in (0.02, 5.0, 12.0):
        for threshold in (None, 0.0):
            classification = classify(shipped, silence(duration_s), threshold=threshold)
            assert classification.found == ()
            assert {score.probability for score in classification.instruments} == {0.0}


def test_the_models_thresholds_count_unless_another_is_given(shipped: Model, example: Recording) -> None:
    for score in classify(shipped, example).instruments:
        assert score.present == (score.probability >= shipped.card.thresholds[score.instrument])
    assert len(classify(shipped, example, threshold=0.0).found) == 12
    assert classify(shipped, example, threshold=1.0).found == ()
    with pytest.raises(InvalidRequestError, match=r"threshold 1\.5 is outside 0\.\.1"):
        classify(shipped, example, threshold=1.5)


def test_wrong_rates_and_empty_recordings_are_refused(shipped: Model) -> None:
    with pytest.raises(InvalidRequestError, match="44100 Hz, not 22050 Hz"):
        classify(shipped, Recording(np.zeros(100, dtype=np.float32), 22_050))
    with pytest.raises(InvalidRequestError, match="empty"):
        classify(shipped, Recording(np.zeros(0, dtype=np.float32), 44_100))


def test_level_does_not_change_what_is_found(shipped: Model, example: Recording) -> None:
    quiet = Recording(example.samples * np.float32(0.1), 44_100)
    assert set(classify(shipped, quiet).found) == set(classify(shipped, example).found)


def test_progress_is_reported_and_may_cancel(shipped: Model) -> None:
    class CancelledError(Exception):
        pass

    recording = silence(30.0)
    reported: list[tuple[str, int, int]] = []
    classify(shipped, recording, on_progress=lambda *report: reported.append(report))
    assert reported == [("classifying", 0, 11), ("classifying", 8, 11), ("classifying", 11, 11)]

    def cancel(stage: str, done: int, total: int) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        classify(shipped, recording, on_progress=cancel)


def test_midi_is_rendered_and_recognised(shipped: Model) -> None:
    data = Path("examples/trumpet-and-celesta.mid").read_bytes()
    reported: list[tuple[str, int, int]] = []
    recording = load_recording(
        data, sample_rate_hz=44_100, on_progress=lambda *report: reported.append(report)
    )
    assert 4.9 < recording.duration_s < 6.1
    assert reported[-1][0] == "decoding"
    assert {"Trumpet", "Celesta"} <= set(classify(shipped, recording).found)
    with pytest.raises(InvalidRequestError, match="rendered at 44100 Hz, not at 22050 Hz"):
        load_recording(data, sample_rate_hz=22_050)


def test_the_soundfont_for_midi_is_a_name_or_a_path(tmp_path: Path) -> None:
    data = Path("examples/violin-and-organ.mid").read_bytes()
    bank = find_bank("FluidR3_GM").path
    by_default = load_recording(data, sample_rate_hz=44_100)
    for soundfont in ("FluidR3_GM", str(bank), bank):
        found = load_recording(data, sample_rate_hz=44_100, soundfont=soundfont)
        np.testing.assert_array_equal(found.samples, by_default.samples)
    with pytest.raises(MissingSoundFontError, match="NoSuchBank was not found"):
        load_recording(data, sample_rate_hz=44_100, soundfont="NoSuchBank")
    (tmp_path / "000.sf3").write_bytes(b"x")
    with pytest.raises(MissingSoundFontError, match="folder of programs"):
        load_recording(data, sample_rate_hz=44_100, soundfont=tmp_path)

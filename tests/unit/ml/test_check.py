"""The self-check: every map held against stems that are known, and what cannot be a mix."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ml.check import StemFile, check_stems, read_stems
from ml.errors import InvalidRequestError, UnknownInstrumentError, UnknownMethodError
from ml.explained import Explanation
from ml.explanation import explain
from ml.model import Model
from ml.notes import PlayedNote
from ml.recording import Recording, load_recording
from ml.score import midi_notes, midi_stems
from ml.truth.scores import score_map
from ml.truth.shapley import hear_coalitions
from ml.truth.stems import Stem, mix_samples, stem_truth

SCORE = Path("examples/violin-and-organ.mid")
RATE = 44_100
PART_S = 1.5  # windows of little sound are cheap to explain
SUMS = 1e-4  # of a logit: float32 passes of the same mixes in batches of other sizes


@pytest.fixture(scope="module")
def rendering() -> Recording:
    return load_recording(SCORE.read_bytes(), sample_rate_hz=RATE)


@pytest.fixture(scope="module")
def stems(rendering: Recording) -> tuple[Stem, ...]:
    return midi_stems(SCORE.read_bytes(), rendering)


@pytest.fixture(scope="module")
def checked(shipped: Model, stems: tuple[Stem, ...]) -> Explanation:
    return check_stems(shipped, stems)


def sound(level: float, n_samples: int = RATE) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0.0, level, n_samples).astype(np.float32)


def test_the_mix_is_the_sum_of_the_stems_and_every_map_is_held_against_them(
    shipped: Model, stems: tuple[Stem, ...], checked: Explanation
) -> None:
    np.testing.assert_array_equal(checked.recording.samples, mix_samples(stems))
    truth = stem_truth(stems, shipped.mel)
    shapley = []
    for instrument in checked.instruments:
        found = instrument.quality.truth
        assert found is not None
        assert found.scores == score_map(instrument.relevance_map, truth, instrument.instrument)
        assert tuple(effect.instrument for effect in found.stems) == truth.instruments
        assert tuple(effect.relevance for effect in found.stems) == found.scores.stem_relevance
        np.testing.assert_allclose(found.share, truth.true_mask(instrument.instrument, soft=True), atol=1e-6)
        shapley.append([effect.shapley for effect in found.stems if effect.shapley is not None])
    assert {instrument.instrument for instrument in checked.instruments} == {"Violin", "Hammond Organ"}
    logits = hear_coalitions(shipped, stems).logits
    for instrument, values in zip(checked.instruments, shapley, strict=True):
        label = shipped.card.labels.index(instrument.instrument)
        assert sum(values) == pytest.approx(logits[-1, label] - logits[0, label], abs=SUMS)


def test_relevance_on_stems_goes_with_what_they_do(checked: Explanation) -> None:
    """One correlation for the whole request; on a duet that is heard, maps lie on their own stems."""
    correlations = {instrument.quality.truth.shapley_correlation for instrument in checked.instruments}  # type: ignore[union-attr]
    assert len(correlations) == 1
    (correlation,) = correlations
    assert correlation is not None
    assert correlation > 0.5
    for instrument in checked.instruments:
        assert instrument.quality.truth is not None
        assert instrument.quality.truth.scores.own_stem


def test_a_midi_files_explanation_is_held_against_its_own_parts(
    shipped: Model, rendering: Recording, stems: tuple[Stem, ...]
) -> None:
    """Of a part too: notes and stems are those of the part, and notes add up."""
    notes = midi_notes(SCORE.read_bytes())
    part = explain(
        shipped, rendering, n_concepts=0, start_s=3.4, duration_s=PART_S, stems=stems, notes=notes,
        instruments=["Violin", "Trumpet"],
    )  # fmt: skip
    violin = next(each for each in part.instruments if each.instrument == "Violin")
    trumpet = next(each for each in part.instruments if each.instrument == "Trumpet")
    assert trumpet.quality.truth is None  # it has no stem
    assert violin.quality.truth is not None
    assert {effect.instrument for effect in violin.quality.truth.stems} == {"Violin", "Hammond Organ"}
    assert violin.notes is not None
    assert {each.note for each in violin.notes.notes} == {
        note for note in notes if note.start_s < 3.4 + PART_S and note.end_s > 3.4
    }
    total = sum(each.relevance for each in violin.notes.notes) + violin.notes.off_relevance
    assert total == pytest.approx(violin.relevance_map.sum(dtype=np.float64), abs=1e-6)
    own = sum(each.relevance for each in violin.notes.notes if each.note.instrument == "Violin")
    assert own > 0.0


def test_a_part_with_nothing_but_drums_is_explained_and_lies_on_no_note(
    shipped: Model, example: Recording
) -> None:
    part = example.part(0.0, PART_S)
    drums = [PlayedNote(None, 38, 0.1, 0.2, is_drum=True)]
    (found,) = explain(shipped, part, instruments=["Trumpet"], n_concepts=0, notes=drums).instruments
    assert found.notes is not None
    assert found.notes.notes == ()
    assert found.notes.off_relevance == pytest.approx(float(found.relevance_map.sum(dtype=np.float64)))
    with pytest.raises(InvalidRequestError, match="no notes from"):
        explain(shipped, part, instruments=["Trumpet"], n_concepts=0, notes=[])


def test_stems_of_no_label_leave_nothing_to_be_held_against(shipped: Model, example: Recording) -> None:
    part = example.part(0.0, PART_S)
    stems = [Stem("Banjo", part), Stem("Violin", Recording(np.zeros_like(part.samples), RATE))]
    (found,) = explain(shipped, part, instruments=["Trumpet"], n_concepts=0, stems=stems).instruments
    assert found.quality.truth is None


def test_stems_of_one_instrument_count_as_one(
    shipped: Model, stems: tuple[Stem, ...], checked: Explanation
) -> None:
    halves = [
        Stem(stem.instrument, Recording(stem.recording.samples * np.float32(0.5), RATE))
        for stem in stems
        for _ in range(2)
    ]
    again = check_stems(shipped, halves)
    for one, other in zip(checked.instruments, again.instruments, strict=True):
        np.testing.assert_array_equal(one.relevance_map, other.relevance_map)
        assert one.quality.truth is not None
        assert other.quality.truth is not None
        assert one.quality.truth.scores == other.quality.truth.scores


def test_what_is_no_mix_is_refused(shipped: Model) -> None:
    one, longer = Recording(sound(0.1), RATE), Recording(sound(0.1, RATE + 1), RATE)
    slower = Recording(sound(0.1), 22_050)
    silent = Recording(sound(1e-6), RATE)
    with pytest.raises(InvalidRequestError, match=r"has 44101 samples.* has\s+44100"):
        check_stems(shipped, [Stem("Violin", one), Stem("Trumpet", longer)])
    with pytest.raises(InvalidRequestError, match="is at 22050 Hz, not at 44100 Hz"):
        check_stems(shipped, [Stem("Violin", one), Stem("Trumpet", slower)])
    with pytest.raises(UnknownInstrumentError, match="Kazoo") as caught:
        check_stems(shipped, [Stem("Violin", one), Stem("Kazoo", one)])
    assert caught.value.extra["available"] == list(shipped.card.labels)
    with pytest.raises(InvalidRequestError, match="The stem of 'Trumpet' is silent"):
        check_stems(shipped, [Stem("Violin", one), Stem("Trumpet", silent)])
    with pytest.raises(InvalidRequestError, match="There are no stems"):
        check_stems(shipped, [])
    with pytest.raises(InvalidRequestError, match="nothing to hold against 'Violin'"):
        check_stems(shipped, [Stem("Violin", one)], contrast="Violin")
    with pytest.raises(UnknownMethodError):
        check_stems(shipped, [Stem("Violin", one)], method="guess")
    with pytest.raises(InvalidRequestError, match="44100 samples at 44100 Hz, the recording 44101 at 44100"):
        explain(shipped, longer, stems=[Stem("Violin", one)])


def test_notes_outside_the_part_are_refused(shipped: Model, example: Recording) -> None:
    notes = [PlayedNote("Trumpet", 60, 0.0, 1.0)]
    with pytest.raises(InvalidRequestError, match=r"no notes from 2\.00 s to 3\.00 s"):
        explain(shipped, example, start_s=2.0, duration_s=1.0, notes=notes)


def wav(samples: NDArray[np.float32], rate_hz: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_stem_files_are_decoded_and_held_to_one_rate_and_length() -> None:
    one = StemFile("Violin", wav(sound(0.1)))
    (stem,) = read_stems([one], sample_rate_hz=RATE)
    np.testing.assert_array_equal(stem.recording.samples, sound(0.1))
    with pytest.raises(InvalidRequestError, match="'Trumpet' is at 48000 Hz, that of 'Violin' at 44100 Hz"):
        read_stems([one, StemFile("Trumpet", wav(sound(0.1), 48_000))], sample_rate_hz=RATE)
    with pytest.raises(InvalidRequestError, match="44200 samples"):
        read_stems([one, StemFile("Trumpet", wav(sound(0.1, 44_200)))], sample_rate_hz=RATE)
    with pytest.raises(InvalidRequestError, match="'Violin' is MIDI"):
        read_stems([StemFile("Violin", SCORE.read_bytes())], sample_rate_hz=RATE)
    with pytest.raises(InvalidRequestError, match="There are no stems"):
        read_stems([], sample_rate_hz=RATE)

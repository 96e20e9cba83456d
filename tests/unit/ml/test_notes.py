"""Relevance by notes: a slow reference, sums that are kept, and whose note is whose."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.melspec import MelConfig
from ml.notes import ONSET_S, REACH_BANDS, RELEASE_S, NoteClaims, PlayedNote, notes_within, pitch_bands

MEL = MelConfig()
TIMES_S = MEL.times_s(120)  # 1.4 s
NOTES = (
    PlayedNote("Violin", 69, 0.1, 0.6),
    PlayedNote("Trumpet", 69, 0.4, 0.9),  # the same key at the same time
    PlayedNote("Violin", 74, 0.5, 0.7),
    PlayedNote(None, 30, 1.2, 3.0),
)
FLOAT64 = 1e-12  # sums in another order


def random_map(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(MEL.n_mels, len(TIMES_S))).astype(np.float32)


def slow_shares(relevance: NDArray[np.float32]) -> tuple[list[float], float]:
    """Cell by cell, note by note, harmonic by harmonic, as the module's conventions say."""
    on_notes, off = [0.0] * len(NOTES), 0.0
    for band in range(MEL.n_mels):
        in_band = [slow_closeness(note.pitch, band) for note in NOTES]
        for frame, time_s in enumerate(TIMES_S):
            weights = []
            for note, closeness in zip(NOTES, in_band, strict=True):
                late = min(1.0, max(0.0, 1.0 - (time_s - note.end_s) / RELEASE_S))
                weights.append(closeness * late * (time_s >= note.start_s - ONSET_S))
            cell = float(relevance[band, frame])
            if sum(weights) == 0.0:
                off += cell
            for place, weight in enumerate(weights):
                if weight:
                    on_notes[place] += cell * weight / sum(weights)
    return on_notes, off


def slow_closeness(pitch: int, band: int) -> float:
    hz, weight, number = MEL.frequencies_hz, 0.0, 1
    while number * 440.0 * 2.0 ** ((pitch - 69) / 12.0) <= hz[-1]:
        partial = np.interp(number * 440.0 * 2.0 ** ((pitch - 69) / 12.0), hz, range(len(hz)))
        weight += max(0.0, 1.0 - abs(band - partial) / REACH_BANDS) / number
        number += 1
    return weight


def test_shares_are_the_slow_references() -> None:
    relevance = random_map(0)
    found = NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(relevance)
    on_notes, off = slow_shares(relevance)
    np.testing.assert_allclose([each.relevance for each in found.notes], on_notes, rtol=1e-6, atol=1e-6)
    assert found.off_relevance == pytest.approx(off, rel=1e-6)
    magnitude = float(np.abs(relevance.astype(np.float64)).sum())
    assert [each.share for each in found.notes] == pytest.approx([r / magnitude for r in on_notes], rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_notes_and_what_lies_on_none_add_up_to_the_map(seed: int) -> None:
    relevance = random_map(seed)
    found = NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(relevance)
    total = sum(each.relevance for each in found.notes) + found.off_relevance
    assert total == pytest.approx(relevance.sum(dtype=np.float64), abs=FLOAT64 * relevance.size)
    assert [each.note for each in found.notes] == list(NOTES)


def test_what_lies_on_a_notes_partials_while_it_sounds_is_its_own() -> None:
    relevance = np.zeros((MEL.n_mels, len(TIMES_S)), dtype=np.float32)
    alone_s = (TIMES_S >= 0.15) & (TIMES_S <= 0.35)
    for number in (1, 2, 3):
        band = int(np.abs(MEL.frequencies_hz - number * 440.0).argmin())
        relevance[band, alone_s] = 1.0
    found = NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(relevance)
    assert found.notes[0].share == pytest.approx(1.0)
    assert found.off_share == 0.0
    between = np.zeros_like(relevance)
    between[int(np.abs(MEL.frequencies_hz - 1.5 * 440.0).argmin()), alone_s] = -1.0  # between two partials
    found = NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(between)
    assert found.off_share == pytest.approx(-1.0)


def test_two_notes_on_one_key_share_what_both_claim() -> None:
    relevance = np.zeros((MEL.n_mels, len(TIMES_S)), dtype=np.float32)
    both = (TIMES_S >= 0.4) & (TIMES_S <= 0.6)
    relevance[int(np.abs(MEL.frequencies_hz - 440.0).argmin()), both] = 1.0
    first, second, other, _ = NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(relevance).notes
    assert first.relevance == pytest.approx(second.relevance)
    assert first.relevance > 0.4 * both.sum()
    assert other.relevance == 0.0


def test_drums_claim_nothing_and_are_listed_nowhere() -> None:
    relevance = random_map(0)
    drum = PlayedNote(None, 69, 0.1, 0.5, is_drum=True)
    found = NoteClaims.of([drum, *NOTES], MEL.frequencies_hz, TIMES_S).share(relevance)
    assert found == NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(relevance)
    alone = NoteClaims.of([drum], MEL.frequencies_hz, TIMES_S).share(relevance)
    assert alone.notes == ()
    assert alone.off_relevance == pytest.approx(float(relevance.sum(dtype=np.float64)), rel=1e-6)
    assert notes_within([drum], 0.0, 0.2) == (drum,)


def test_a_dense_score_takes_no_more_memory_than_its_map() -> None:
    """A minute of 20,000 notes: a weight for each note and frame would be 800 MB."""
    times_s = np.arange(5_168) * (60.0 / 5_168)
    notes = [PlayedNote("Violin", 30 + n % 60, n * 0.003, n * 0.003 + 0.1) for n in range(20_000)]
    relevance = np.random.default_rng(0).normal(size=(MEL.n_mels, len(times_s))).astype(np.float32)
    tracemalloc.start()
    try:
        found = NoteClaims.of(notes, MEL.frequencies_hz, times_s).share(relevance)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.notes) == len(notes)
    assert peak_bytes < 100e6


def test_a_map_of_zeros_lies_nowhere() -> None:
    found = NoteClaims.of(NOTES, MEL.frequencies_hz, TIMES_S).share(np.zeros_like(random_map(0)))
    assert all(each.relevance == each.share == 0.0 for each in found.notes)
    assert found.off_relevance == found.off_share == 0.0


def test_low_pitches_have_more_partials_and_the_highest_at_least_one() -> None:
    weights = pitch_bands(MEL.frequencies_hz)
    assert (weights.sum(axis=1) > 0.0).all()
    heard = (weights > 0.0).sum(axis=1)
    assert heard[21] > heard[60] > heard[100] > heard[127]


def test_notes_of_a_part_are_those_that_sound_in_it() -> None:
    assert notes_within(NOTES, 0.65, 1.0) == NOTES[1:3]
    assert notes_within(NOTES, 0.0, 5.0) == NOTES
    with pytest.raises(InvalidRequestError, match=r"no notes from 0\.90 s to 1\.20 s") as caught:
        notes_within(NOTES, 0.9, 1.2)
    assert caught.value.extra == {"start_s": 0.9, "end_s": 1.2}

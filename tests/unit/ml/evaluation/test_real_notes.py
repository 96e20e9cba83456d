"""Melodies of recorded notes: every choice is made first, and the sound is the notes at their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from ml.evaluation.real_notes import CLIP_S, TAIL_S, NotesClip, Part, PlayedNote, draw_part
from ml.evaluation.sounds import SoundsFolder

RATE_HZ = 44_100
FILES = [f"Piano/{pitch}_000.flac" for pitch in range(60, 72)]


def test_a_part_is_decided_by_its_generator_and_fills_the_clip() -> None:
    first, again, other = (draw_part("Piano", FILES, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    for part in (first, other):
        starts = [note.start_s for note in part.notes]
        assert starts == sorted(starts)
        assert starts[0] <= 0.3
        assert starts[-1] < CLIP_S
        assert CLIP_S - (part.notes[-1].start_s + part.notes[-1].duration_s) < 0.5
        assert {note.file for note in part.notes} <= set(FILES)


def test_a_note_sounds_at_its_place_and_fades_out(tmp_path: Path) -> None:
    level = 0.25
    (tmp_path / "Piano").mkdir()
    soundfile.write(tmp_path / "Piano/60_000.flac", np.full(4 * RATE_HZ, level, np.float32), RATE_HZ)
    note = PlayedNote("Piano/60_000.flac", start_s=1.0, duration_s=0.5)
    sound = NotesClip("x", tmp_path, (Part("Piano", 0.0, (note,)),)).recording(RATE_HZ)
    assert sound.duration_s == CLIP_S
    samples = sound.samples / sound.samples.max()
    assert not samples[: RATE_HZ - 1].any()
    np.testing.assert_allclose(samples[RATE_HZ : round(1.5 * RATE_HZ)], 1.0, atol=1e-3)
    half_way = samples[round((1.5 + TAIL_S / 2) * RATE_HZ)]
    assert abs(half_way - 0.25) < 0.01
    assert not samples[round((1.5 + TAIL_S) * RATE_HZ) + 1 :].any()


def test_tails_overlap_the_next_note(sounds: SoundsFolder) -> None:
    folder = sounds.path / "real" / "notes"
    low = PlayedNote("Acoustic_Grand_Piano/60_000.flac", 0.0, 0.4)
    high = PlayedNote("Acoustic_Grand_Piano/67_002.flac", 0.4, 0.4)

    def played(*notes: PlayedNote) -> np.ndarray:
        samples = NotesClip("x", folder, (Part("Piano", 0.0, notes),)).recording(RATE_HZ).samples
        return samples.astype(np.float64)

    both, first, second = played(low, high), played(low), played(high)
    parts = np.stack([first, second], axis=1)
    weights, *_ = np.linalg.lstsq(parts, both, rcond=None)
    assert (weights > 0.1).all()
    np.testing.assert_allclose(parts @ weights, both, atol=1e-5)  # nothing is cut where they overlap
    assert np.abs(first[round(0.4 * RATE_HZ) : round(0.6 * RATE_HZ)]).max() > 0.01


def test_parts_of_a_mix_are_brought_to_their_gains(sounds: SoundsFolder) -> None:
    folder = sounds.path / "real" / "notes"
    piano = Part("A", 0.0, (PlayedNote("Acoustic_Grand_Piano/60_000.flac", 0.0, 1.0),))
    celesta = Part("B", -6.0, (PlayedNote("Celesta/72_000.flac", 2.5, 1.0),))
    samples = NotesClip("x", folder, (piano, celesta)).recording(RATE_HZ).samples
    loudness = [np.sqrt(np.mean(half**2)) for half in np.split(samples, 2)]
    assert abs(20 * np.log10(loudness[1] / loudness[0]) + 6.0) < 0.1
    assert np.abs(samples).max() < 0.99

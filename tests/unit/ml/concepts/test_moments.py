"""Moments: which note counts, and what is read from it."""

from __future__ import annotations

import pytest

from ml.concepts.moments import GRID_S, KINDS, Moment, base_counts, traits_at, traits_of
from ml.instruments import instruments_named
from ml.synthesis.plan import ClipPlan, ControllerCurve, Note, StemPlan

(TRUMPET,) = instruments_named(["Trumpet"])  # 55-82
NOTES = (Note(1.0, 0.5, 56, 30), Note(2.0, 0.25, 68, 80), Note(3.0, 1.0, 82, 120))
WHEEL = ControllerCurve("modulation", (1.0, 1.2, 2.0, 3.0, 3.3), (0, 90, 0, 0, 100))
STEM = StemPlan("Trumpet", 56, "FluidR3_GM", 0.0, NOTES, controllers=(WHEEL,))
CLIP = ClipPlan("clip", "train", 5.0, reverb=False, chorus=False, stems=(STEM,))


@pytest.mark.parametrize(
    ("time_s", "phase"),
    [
        (0.91, None),
        (0.92, "onset"),
        (1.0, "onset"),
        (1.08, "onset"),
        (1.09, "sustain"),
        (1.5, "sustain"),
        (1.51, "release"),
        (1.8, "release"),
        (1.81, None),
        (1.95, "onset"),
        (2.3, "release"),
        (4.5, None),
    ],
)
def test_phases(time_s: float, phase: str | None) -> None:
    traits = traits_at(STEM, time_s, TRUMPET)
    assert (None if traits is None else traits["phase"]) == phase


@pytest.mark.parametrize(
    ("time_s", "register", "octave", "pitch_class", "velocity"),
    [
        (1.2, "low", "C3-B3", "G#", "soft"),
        (2.1, "middle", "C4-B4", "G#", "medium"),
        (3.5, "high", "C5-B5", "A#", "loud"),
    ],
)
def test_what_the_note_is(time_s: float, register: str, octave: str, pitch_class: str, velocity: str) -> None:
    traits = traits_at(STEM, time_s, TRUMPET)
    assert traits is not None
    assert traits["instrument"] == "Trumpet"
    assert (traits["register"], traits["octave"], traits["pitch class"], traits["velocity"]) == (
        register,
        octave,
        pitch_class,
        velocity,
    )


@pytest.mark.parametrize(
    ("time_s", "vibrato"),
    [
        (1.1, "straight"),
        (1.2, "vibrato"),
        (1.5, "vibrato"),
        (1.95, "straight"),
        (2.1, "straight"),
        (3.4, "vibrato"),
    ],
)
def test_vibrato_is_the_wheel_at_that_moment(time_s: float, vibrato: str) -> None:
    traits = traits_at(STEM, time_s, TRUMPET)
    assert traits is not None
    assert traits["vibrato"] == vibrato


def test_who_does_not_play_has_no_traits() -> None:
    players = {"Trumpet": TRUMPET}
    assert traits_of(CLIP, Moment(0, 1.2, "Violin"), players) is None
    assert traits_of(CLIP, Moment(0, 1.2, "Trumpet"), players) == traits_at(STEM, 1.2, TRUMPET)


def test_of_a_chord_the_highest_note_counts() -> None:
    chord = StemPlan("Trumpet", 56, "b", 0.0, (Note(1.0, 0.5, 60, 90), Note(1.0, 0.5, 67, 90)))
    traits = traits_at(chord, 1.2, TRUMPET)
    assert traits is not None
    assert traits["pitch class"] == "G"


def test_base_counts_are_of_every_moment_with_sound() -> None:
    counts = base_counts([CLIP, CLIP], {"Trumpet": TRUMPET})
    moments = [at * GRID_S for at in range(100)]
    sounding = [traits for time_s in moments if (traits := traits_at(STEM, time_s, TRUMPET)) is not None]
    assert counts.total() == 2 * len(sounding)
    at = KINDS.index("phase")
    onsets = sum(count for values, count in counts.items() if values[at] == "onset")
    assert onsets == 2 * sum(traits["phase"] == "onset" for traits in sounding)

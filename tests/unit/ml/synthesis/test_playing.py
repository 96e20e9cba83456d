"""What a stem plays and how: registers, chords, silence, articulation, controllers."""

from __future__ import annotations

import io
from itertools import pairwise

import mido
import numpy as np
import pytest

from ml.instruments import INSTRUMENTS
from ml.synthesis.articulation import Articulation, articulate
from ml.synthesis.controller_settings import Controllers
from ml.synthesis.controllers import STEP_S, ControllerGenerators, draw_controllers
from ml.synthesis.instantiate import instantiate
from ml.synthesis.midi_file import StemMessage, clip_midi, stem_messages
from ml.synthesis.mix import render_clip
from ml.synthesis.plan import TICKS_PER_SECOND, ClipPlan, ControllerCurve, Note, StemPlan
from ml.synthesis.recipe import InvalidRecipeError, parse_recipe
from ml.synthesis.render import SAMPLE_RATE_HZ, RenderOptions, render_events
from ml.synthesis.soundfonts import find_bank

TICK = 1.5 / TICKS_PER_SECOND
VOICES = {instrument.name: instrument.max_voices for instrument in INSTRUMENTS}


def plans_of(melody: str, n_clips: int = 150) -> list[ClipPlan]:
    return list(instantiate(parse_recipe(f"{{name: a, seed: 9, n_clips: {n_clips}, melody: {melody}}}")))


def stems_of(melody: str) -> list[StemPlan]:
    return [stem for plan in plans_of(melody) for stem in plan.stems]


def test_a_register_is_narrow_and_lies_anywhere_in_the_range() -> None:
    stems = stems_of("{pitch_range: natural, register_width: [5, 9]}")
    ranges = {instrument.name: instrument for instrument in INSTRUMENTS}
    middles = []
    for stem in stems:
        pitches = [note.pitch for note in stem.notes]
        instrument = ranges[stem.instrument]
        assert instrument.lowest_pitch <= min(pitches) <= max(pitches) <= instrument.highest_pitch
        assert max(pitches) - min(pitches) <= 9
        width = instrument.highest_pitch - instrument.lowest_pitch
        middles.append((np.mean(pitches) - instrument.lowest_pitch) / width)
    assert min(middles) < 0.2
    assert max(middles) > 0.8


def test_chords_share_their_time_and_respect_the_player() -> None:
    stems = stems_of("{pitch_range: natural, voices: [2, 4], chord_probability: 0.5}")
    n_chordal = 0
    for stem in stems:
        onsets: dict[float, list[Note]] = {}
        for note in stem.notes:
            onsets.setdefault(note.start_s, []).append(note)
        sizes = {len(chord) for chord in onsets.values()}
        assert max(sizes) <= min(4, VOICES[stem.instrument])
        for chord in onsets.values():
            assert len({(note.duration_s, note.velocity) for note in chord}) == 1
            assert len({note.pitch for note in chord}) == len(chord)
        if VOICES[stem.instrument] >= 2 and max(sizes) > 1:
            assert min(sizes) >= 2
            n_chordal += 1
    able = sum(VOICES[stem.instrument] >= 2 for stem in stems)
    assert n_chordal / able == pytest.approx(0.5, abs=0.12)  # of some two hundred draws


def test_partial_stems_are_silent_outside_their_share() -> None:
    stems = stems_of("{sounding_share: [0.4, 0.6], partial_probability: 0.5}")
    lengths = [
        max(note.start_s + note.duration_s for note in stem.notes) - stem.notes[0].start_s for stem in stems
    ]
    partial = [length for length in lengths if length <= 0.6 * 5.0 + TICK]
    assert 0.35 < len(partial) / len(lengths) < 0.7
    assert any(stem.notes[0].start_s > 1.0 for stem in stems)


@pytest.mark.parametrize("share", [0.3, 1.0, 1.2])
def test_articulation_scales_notes_but_never_into_the_same_pitch(share: float) -> None:
    notes = (Note(0.0, 0.5, 60, 90), Note(0.5, 0.5, 60, 90), Note(1.0, 0.5, 62, 90), Note(1.5, 0.5, 60, 90))
    played = articulate(Articulation(sounding=(share, share)), notes, np.random.default_rng(0))
    assert [(note.start_s, note.pitch, note.velocity) for note in played] == [
        (note.start_s, note.pitch, note.velocity) for note in notes
    ]
    assert played[2].duration_s == pytest.approx(0.5 * share, abs=TICK)
    assert played[0].duration_s == pytest.approx(0.5 * min(share, 1.0), abs=TICK)
    for note, following in pairwise(note for note in played if note.pitch == 60):
        assert note.start_s + note.duration_s <= following.start_s + 1e-9


def test_only_so_many_stems_are_articulated() -> None:
    notes = (Note(0.0, 1.0, 60, 90),)
    settings = Articulation(probability=0.25, sounding=(0.5, 0.5))
    changed = [articulate(settings, notes, np.random.default_rng(seed)) != notes for seed in range(400)]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.08)


def curves_of(settings: str, notes: tuple[Note, ...], seed: int = 0) -> dict[str, ControllerCurve]:
    controllers = Controllers.model_validate(parse_yaml(settings))
    rngs = ControllerGenerators(*(np.random.default_rng([seed, number]) for number in range(1, 5)))
    return {curve.control: curve for curve in draw_controllers(controllers, notes, 3.0, rngs)}


def parse_yaml(text: str) -> object:
    import yaml

    return yaml.safe_load(text)


def value_at(curve: ControllerCurve, time_s: float) -> int:
    held = [value for at_s, value in zip(curve.times_s, curve.values, strict=True) if at_s <= time_s + 1e-9]
    return held[-1]


NOTES = (Note(0.5, 1.0, 60, 90), Note(1.75, 1.0, 64, 90))


def test_vibrato_waits_for_its_delay_in_every_note() -> None:
    curve = curves_of("vibrato: {probability: 1, depth: [90, 90], delay_s: [0.25, 0.25]}", NOTES)[
        "modulation"
    ]
    assert curve.times_s == (0.5, 0.75, 1.75, 2.0)
    assert curve.values == (0, 90, 0, 90)


@pytest.mark.parametrize(
    ("shape", "levels"),
    [("crescendo", (40, 84, 127)), ("diminuendo", (127, 84, 40)), ("swell", (40, 127, 40))],
)
def test_expression_takes_its_shape(shape: str, levels: tuple[int, int, int]) -> None:
    settings = f"expression: {{probability: 1, shapes: [{shape}], lowest: [40, 40]}}"
    curve = curves_of(settings, NOTES)["expression"]
    found = [value_at(curve, time_s) for time_s in (0.0, 1.5, 2.99)]
    assert found == pytest.approx(levels, abs=2)
    assert list(curve.times_s) == sorted(curve.times_s)


def test_a_scoop_begins_low_and_arrives() -> None:
    settings = "scoop: {probability: 1, depth_semitones: [1, 1], duration_s: [0.1, 0.1]}"
    curve = curves_of(settings, NOTES)["pitch_bend"]
    one_semitone = 4_096
    assert value_at(curve, 0.5) == pytest.approx(-one_semitone, abs=0.1 * one_semitone)
    assert -one_semitone < value_at(curve, 0.55) < 0
    assert value_at(curve, 0.5 + 0.1 + STEP_S) == 0
    assert value_at(curve, 1.75) < -0.8 * one_semitone


def test_a_bend_vibrato_has_its_rate_and_depth() -> None:
    settings = "bend_vibrato: {probability: 1, rate_hz: [5, 5], depth_semitones: [0.5, 0.5], delay_s: [0, 0]}"
    curve = curves_of(settings, (Note(0.0, 3.0, 60, 90),))["pitch_bend"]
    values = np.array([value_at(curve, time_s) for time_s in np.arange(0.0, 3.0, STEP_S)])
    assert values.max() == pytest.approx(2_048, rel=0.06)  # ten steps of a wave miss its crest
    assert int(np.abs(np.fft.rfft(values)).argmax()) == 15  # periods in three seconds


def test_what_is_left_out_does_not_happen() -> None:
    assert curves_of("{}", NOTES) == {}
    assert curves_of("scoop: {probability: 0}", NOTES) == {}


def test_the_midi_file_renders_to_the_same_stems() -> None:
    recipe = parse_recipe(
        "{name: a, seed: 4, n_clips: 3, clip_duration_s: 1.5, reverb_probability: 0, chorus_probability: 0,"
        "level_db: [0, 0], instruments: [Violin, {name: Soft, program: 4, bank: 8, pitch_range: [40, 80]}],"
        "instruments_per_clip: [2], articulation: {}, controllers: {vibrato: {probability: 1},"
        "expression: {probability: 1}, scoop: {probability: 1}, bend_vibrato: {probability: 1}}}"
    )
    bank = find_bank("FluidR3_GM")
    for plan in instantiate(recipe):
        clip = render_clip(plan, {"FluidR3_GM": bank})
        file = mido.MidiFile(file=io.BytesIO(clip_midi(plan)))
        for track, stem in zip(file.tracks[1:], clip.stems, strict=True):
            tick, events = 0, []
            for message in track:
                tick += message.time
                if not message.is_meta:
                    events.append(StemMessage(tick / TICKS_PER_SECOND, bytes(message.bin())))
            sound = render_events(events, bank.path, len(stem), RenderOptions(False, False))
            gain = np.float32(10.0 ** (clip.common_gain_db / 20.0))
            np.testing.assert_allclose(sound * gain, stem, atol=1e-6)


def test_controllers_are_heard() -> None:
    def sound(*curves: ControllerCurve) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        stem = StemPlan("Violin", 40, "FluidR3_GM", 0.0, (Note(0.0, 1.0, 69, 100),), controllers=curves)
        path = find_bank("FluidR3_GM").path
        return render_events(stem_messages(stem), path, SAMPLE_RATE_HZ, RenderOptions(False, False))

    def peak_hz(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        spectrum = np.abs(np.fft.rfft(samples[8_820:]))
        band = np.fft.rfftfreq(len(samples) - 8_820, 1 / SAMPLE_RATE_HZ)
        return float(band[np.where((band > 380) & (band < 520), spectrum, 0.0).argmax()])

    plain = sound()
    quiet = sound(ControllerCurve("expression", (0.0,), (40,)))
    bent = sound(ControllerCurve("pitch_bend", (0.0,), (8_191,)))
    assert np.sqrt(np.mean(quiet**2)) < 0.5 * np.sqrt(np.mean(plain**2))
    assert peak_hz(plain) == pytest.approx(440.0, rel=0.02)
    assert peak_hz(bent) == pytest.approx(440.0 * 2 ** (2 / 12), rel=0.02)
    assert np.abs(sound(ControllerCurve("modulation", (0.0,), (127,))) - plain).max() > 0.01


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("articulation: {sounding: [0.01, 1]}", "articulation.sounding: [0.01, 1.0] is outside 0.05 to 2.0"),
        ("controllers: {vibrato: {depth: [100, 20]}}", "controllers.vibrato.depth: range [100, 20] is empty"),
        (
            "controllers: {scoop: {depth_semitones: [0, 1]}}",
            "controllers.scoop.depth_semitones.0: Input should",
        ),
        ("controllers: {wobble: {}}", "controllers.wobble: unknown field; known: "),
        ("melody: {voices: [3, 2]}", "melody.voices: range [3, 2] is empty"),
        ("melody: {sounding_share: [0, 1]}", "melody.sounding_share.0: Input should be greater than 0"),
        ("melody: []", "melody: Tuple should have at least 1 item"),
        (
            "melody: [{}, {velocity: [0, 9]}]",
            "melody.1.velocity.0: Input should be greater than or equal to 1",
        ),
    ],
)
def test_faults_are_named(fields: str, fault: str) -> None:
    with pytest.raises(InvalidRecipeError) as caught:
        parse_recipe(f"{{name: a, n_clips: 1, {fields}}}")
    assert fault in str(caught.value)

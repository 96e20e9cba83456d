"""Clips as MIDI: the messages that a stem's notes become, and a Standard MIDI File of a whole clip.

A file has one track per stem, each on its own channel (channel 9, the drums, is left free), at 120 beats per
minute and 480 ticks per beat, so one tick is 1/960 s and note times are exact.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import mido

from ml.synthesis.plan import TICKS_PER_SECOND, ClipPlan, Control, StemPlan

TICKS_PER_BEAT = 480
TEMPO_US_PER_BEAT = 1_000_000 * TICKS_PER_BEAT // TICKS_PER_SECOND
CONTROLLER_NUMBERS = {"modulation": 1, "expression": 11}
MELODIC_CHANNELS = tuple(channel for channel in range(16) if channel != 9)


@dataclass(frozen=True)
class StemMessage:
    """A raw MIDI channel message of a stem, at a time in seconds."""

    time_s: float
    message: bytes


def stem_messages(stem: StemPlan, channel: int = 0) -> tuple[StemMessage, ...]:
    """Translate a stem's notes to messages.

    Parameters
    ----------
    stem : StemPlan
        The part; its gain is not expressed here, it belongs to the mix.
    channel : int
        MIDI channel, 0-15.

    Returns
    -------
    tuple of StemMessage
        Bank (where it is not 0) and program change first, then notes and controllers by time; at the same
        tick notes end, then controllers change, then notes begin.
    """
    notes = [
        (note.start_s + note.duration_s, 0, bytes([0x80 | channel, note.pitch, 0])) for note in stem.notes
    ] + [(note.start_s, 2, bytes([0x90 | channel, note.pitch, note.velocity])) for note in stem.notes]
    notes += [
        (time_s, 1, _controller_message(curve.control, value, channel))
        for curve in stem.controllers
        for time_s, value in zip(curve.times_s, curve.values, strict=True)
    ]
    preset = [StemMessage(0.0, bytes([0xC0 | channel, stem.program]))]
    if stem.bank:  # bank 0 is where every channel begins
        preset.insert(0, StemMessage(0.0, bytes([0xB0 | channel, 0, stem.bank])))
    return (*preset, *(StemMessage(time_s, message) for time_s, _, message in sorted(notes)))


def _controller_message(control: Control, value: int, channel: int) -> bytes:
    if control == "pitch_bend":
        steps = value + 8_192
        return bytes([0xE0 | channel, steps & 0x7F, steps >> 7])
    return bytes([0xB0 | channel, CONTROLLER_NUMBERS[control], value])


def clip_midi(plan: ClipPlan) -> bytes:
    """Write a clip as a Standard MIDI File of type 1.

    Parameters
    ----------
    plan : ClipPlan
        At most 15 stems.

    Returns
    -------
    bytes
        The file: a tempo track, then one named track per stem.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO_US_PER_BEAT, time=0)]))
    for channel, stem in zip(MELODIC_CHANNELS, plan.stems, strict=False):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=stem.instrument, time=0)])
        tick = 0
        for timed in stem_messages(stem, channel):
            at_tick = round(timed.time_s * TICKS_PER_SECOND)
            track.append(mido.Message.from_bytes(timed.message, time=at_tick - tick))
            tick = at_tick
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()

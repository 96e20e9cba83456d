"""Requests for the reliability tests: small ones of every kind, over few sounds, drawn with a seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tests.integration import sounds

SHARES: Mapping[str, float] = {"classify": 0.5, "midi": 0.2, "explain": 0.2, "check": 0.1}
"""How much of a mixed load is what; explanations take some ten times as long as classifications."""


@dataclass(frozen=True)
class Order:
    """A request; equal ones have the same answer."""

    name: str
    path: str
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    files: tuple[tuple[str, tuple[str, bytes]], ...]


@cache
def orders_of(kind: str) -> tuple[Order, ...]:
    """The different orders of a kind."""
    return {"classify": _classify, "midi": _midi, "explain": _explain, "check": _check}[kind]()


def mixed(n: int, draw: random.Random) -> list[Order]:
    """So many orders of all kinds, some of them equal."""
    kinds = draw.choices(list(SHARES), weights=list(SHARES.values()), k=n)
    return [draw.choice(orders_of(kind)) for kind in kinds]


def _classify() -> tuple[Order, ...]:
    return tuple(
        Order(f"classify {hz} Hz", "/classify", (), (("file", ("x", _wav(hz, 1.0 + number / 2))),))
        for number, hz in enumerate((220.0, 330.0, 440.0, 550.0))
    )


def _midi() -> tuple[Order, ...]:
    return tuple(
        Order(
            f"classify MIDI {program}",
            "/classify",
            (),
            (("file", ("x", sounds.midi_file((60, 64), program=program))),),
        )
        for program in (0, 40, 56)
    )


def _explain() -> tuple[Order, ...]:
    file = ("file", ("x", _wav(440.0, 1.0)))
    return tuple(
        Order(
            f"explain {instrument}",
            "/explain",
            (("instruments", (instrument,)), ("concepts", ("1",))),
            (file,),
        )
        for instrument in ("Violin", "Trumpet")
    )


def _check() -> tuple[Order, ...]:
    stems = (("Violin", 440.0), ("Trumpet", 660.0))
    files = tuple(("stem", (f"{name}.wav", _wav(hz, 1.0))) for name, hz in stems)
    fields = (("instrument", tuple(name for name, _ in stems)), ("concepts", ("0",)))
    return (Order("check", "/explain/check", fields, files),)


@cache
def _wav(frequency_hz: float, duration_s: float) -> bytes:
    return sounds.audio_file(sounds.tone(duration_s, frequency_hz=frequency_hz))

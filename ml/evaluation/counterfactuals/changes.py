"""The changes that are tried, one at a time: on the playing (controllers of a plan) or on a stem's sound.

Every change says what it is about, whether it adds or takes away, and by which figure of the sound it can be
checked that it came about: a bank may ignore a controller, and what was never there cannot be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.counterfactuals.harmonics import tilted, without_even
from ml.evaluation.counterfactuals.onsets import cut_off, faded_in
from ml.evaluation.counterfactuals.pitch import steadied
from ml.synthesis.controller_settings import BendVibrato, Controllers, Scoop, Vibrato
from ml.synthesis.controllers import ControllerGenerators, draw_controllers
from ml.synthesis.plan import Note, StemPlan

About = Literal["vibrato", "attack", "profile"]
Retouch = Callable[[NDArray[np.floating], Sequence[Note]], NDArray[np.float32]]

VIBRATO_RATE_HZ, VIBRATO_SEMITONES = 5.5, 0.3
SCOOP_S, SCOOP_SEMITONES = 0.08, 0.8


@dataclass(frozen=True)
class Check:
    """Which of `FIGURES` shows a change, and from which difference on it counts as brought about.

    `least` is signed: -3 asks for a fall by 3 or more. A share is a share of the figure before, all else is
    absolute.
    """

    figure: str
    least: float
    is_share: bool = False

    def passed(self, before: float, after: float) -> bool:
        """Whether the figure changed enough; NaN never does."""
        change = (after - before) / before if self.is_share and before != 0.0 else after - before
        return bool(change <= self.least if self.least < 0.0 else change >= self.least)


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes
    ----------
    name : str
    about : {"vibrato", "attack", "profile"}
    does : str
        What is done, as a sentence begins: "Adding ...".
    sign : int
        1 where the cue is made stronger, -1 where it is taken away, 0 where it is only changed.
    check : Check
    controllers : Controllers or None
        How the notes are played instead.
    retouch : callable or None
        What happens to the stem's sound instead.
    """

    name: str
    about: About
    does: str
    sign: int
    check: Check
    controllers: Controllers | None = None
    retouch: Retouch | None = None

    def played(self, stem: StemPlan, duration_s: float) -> StemPlan:
        """The stem as it is played under this change."""
        if self.controllers is None:
            return stem
        never = np.random.default_rng(
            0
        )  # every range of the settings is one value: nothing is left to chance
        rngs = ControllerGenerators(never, never, never, never)
        return replace(stem, controllers=draw_controllers(self.controllers, stem.notes, duration_s, rngs))

    def heard(self, sound: NDArray[np.floating], notes: Sequence[Note]) -> NDArray[np.floating]:
        """The stem's sound under this change."""
        return sound if self.retouch is None else self.retouch(sound, notes)


CHANGES: tuple[Change, ...] = (
    Change(
        "vibrato by wheel",
        "vibrato",
        "Adding the bank's own vibrato (modulation wheel at 127)",
        1,
        Check("wavering", 5.0),
        controllers=Controllers(vibrato=Vibrato(probability=1.0, depth=(127, 127), delay_s=(0.0, 0.0))),
    ),
    Change(
        "vibrato by bend",
        "vibrato",
        f"Adding a vibrato of {100 * VIBRATO_SEMITONES:.0f} cents either way at {VIBRATO_RATE_HZ} Hz",
        1,
        Check("wavering", 5.0),
        controllers=Controllers(
            bend_vibrato=BendVibrato(
                probability=1.0,
                rate_hz=(VIBRATO_RATE_HZ, VIBRATO_RATE_HZ),
                depth_semitones=(VIBRATO_SEMITONES, VIBRATO_SEMITONES),
                delay_s=(0.1, 0.1),
            )
        ),
    ),
    Change(
        "pitch steadied",
        "vibrato",
        "Taking the recorded wavering out of the pitch",
        -1,
        Check("wavering", -6.0),
        retouch=steadied,
    ),
    Change(
        "attack scooped",
        "attack",
        f"Beginning notes {100 * SCOOP_SEMITONES:.0f} cents too low, rising within {1000 * SCOOP_S:.0f} ms",
        1,
        Check("onset pitch", -15.0),
        controllers=Controllers(
            scoop=Scoop(
                probability=1.0,
                depth_semitones=(SCOOP_SEMITONES, SCOOP_SEMITONES),
                duration_s=(SCOOP_S, SCOOP_S),
            )
        ),
    ),
    Change(
        "attack faded in",
        "attack",
        "Letting notes fade in over 100 ms",
        -1,
        Check("onset level", -3.0),
        retouch=faded_in,
    ),
    Change(
        "attack cut off",
        "attack",
        "Cutting off the first 100 ms of notes",
        -1,
        Check("onset level", -20.0),
        retouch=cut_off,
    ),
    Change(
        "darker",
        "profile",
        "Making the sound darker by 6 dB per octave",
        0,
        Check("brightness", -0.1, is_share=True),
        retouch=tilted,
    ),
    Change(
        "even harmonics weakened",
        "profile",
        "Weakening the even harmonics by 20 dB",
        0,
        Check("even share", -0.5, is_share=True),
        retouch=without_even,
    ),
)

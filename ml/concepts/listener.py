"""Listening to the reference set: each clip is rendered, explained, and reduced to what the atlas needs.

Twice: first to find out where each clip uses each channel most, then, for the clips that were found, at which
moment. A clip is rendered anew the second time rather than kept: 1,200 windows would be 260 MB.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.concepts.pinpoint import field_maps, moment_frame
from ml.concepts.search import Peaks, peaks_of
from ml.melspec import level_db
from ml.model import Model, load_model
from ml.processes import Processes
from ml.relevance.layer_relevance import Start, layer_relevance
from ml.relevance.methods import method_named
from ml.relevance.target import Target
from ml.synthesis.mix import render_clip
from ml.synthesis.plan import ClipPlan
from ml.synthesis.soundfonts import find_bank
from ml.windows import window_inputs

OnClip = Callable[[], None]  # called after every clip; may raise to stop


@dataclass(frozen=True)
class Listener:
    """How every process listens to clips.

    Attributes
    ----------
    folder : Path
        Of the model.
    sha256 : str
        Of its weights.
    device : str
    method : str
    layers : tuple of str
    soundfont : str
        The bank that plays.
    """

    folder: Path
    sha256: str
    device: str
    method: str
    layers: tuple[str, ...]
    soundfont: str

    @property
    def model(self) -> Model:
        """The model, loaded once per process."""
        return _loaded(self.folder, self.sha256, self.device)

    def peaks(self, plan: ClipPlan) -> tuple[Peaks, ...]:
        """Where a clip most uses each channel of each layer, in the explanation of what plays in it."""
        model, window = self.model, self.window(plan)
        targets = [Target(model.card.labels.index(stem.instrument)) for stem in plan.stems]
        return tuple(
            peaks_of(layer_relevance(model, window, targets, method_named(self.method), layer))
            for layer in self.layers
        )

    def moments_s(self, asked: Asked) -> dict[str, tuple[float, ...]]:
        """When, in a clip, the relevance of each of some values arrives; by layer, in their order."""
        model, window = self.model, self.window(asked.plan)
        seconds_per_frame = model.mel.hop_samples / model.mel.sample_rate_hz
        return {
            layer: tuple(
                moment_frame(*found) * seconds_per_frame
                for found in field_maps(model, window, starts, method_named(self.method), layer)
            )
            for layer, starts in asked.starts.items()
        }

    def window(self, plan: ClipPlan) -> NDArray[np.float32]:
        """What the network sees of a clip, `(n_mels, n_frames)`."""
        mix = render_clip(plan, {self.soundfont: find_bank(self.soundfont)}).mix
        inputs, _ = window_inputs(level_db(mix, self.model.mel)[None], self.model.mel)
        window: NDArray[np.float32] = inputs[0]
        return window


@dataclass(frozen=True)
class Asked:
    """A clip, and the values in it, by layer, whose moments are asked for."""

    plan: ClipPlan
    starts: Mapping[str, Sequence[Start]]


def all_peaks(
    listener: Listener, plans: Sequence[ClipPlan], processes: Processes, on_clip: OnClip
) -> Iterator[tuple[Peaks, ...]]:
    """Peaks of every clip, in the order of the clips: one for each layer."""
    for peaks in processes.map(listener.peaks, plans):
        on_clip()
        yield peaks


def all_moments(
    listener: Listener, asked: Sequence[Asked], processes: Processes, on_clip: OnClip
) -> Iterator[dict[str, tuple[float, ...]]]:
    """Moments of everything that is asked for, clip by clip."""
    for moments in processes.map(listener.moments_s, asked):
        on_clip()
        yield moments


@functools.cache
def _loaded(folder: Path, sha256: str, device: str) -> Model:
    del sha256  # other weights in the same folder are another model
    return load_model(folder, device)

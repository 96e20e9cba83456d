"""What a model is tested on: clips that can be heard, and sets of them that share a figure.

A clip is a small value that says how its sound comes about; only the process that listens to it renders or
decodes it. Every clip is heard as a recording that somebody sent would be (`ml.recording`,
`ml.classification`).
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ml.classification import Classification, classify
from ml.model import Model
from ml.recording import Recording, load_recording
from ml.synthesis.instantiate import ClipPlan
from ml.synthesis.mix import render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import Bank

Measure = Literal["macro-F1", "top-1"]


class Clip(Protocol):
    """Something to be heard, and what is known to play in it."""

    @property
    def clip_id(self) -> str: ...
    @property
    def playing(self) -> frozenset[str]:
        """Names of the instruments that are known to play."""
        ...

    def classifications(self, models: Sequence[Model]) -> tuple[Classification, ...]:
        """What each model says of it."""
        ...


class SoundClip(abc.ABC):
    """A clip that is sound; made once, however many models hear it."""

    @abc.abstractmethod
    def recording(self, sample_rate_hz: int) -> Recording:
        """Make the sound."""

    def classifications(self, models: Sequence[Model]) -> tuple[Classification, ...]:
        """What each model says of the sound."""
        rates_hz = {model.sample_rate_hz for model in models}
        recordings = {rate_hz: self.recording(rate_hz) for rate_hz in rates_hz}
        return tuple(classify(model, recordings[model.sample_rate_hz]) for model in models)


@dataclass(frozen=True)
class PlannedClip(SoundClip):
    """A synthesised clip."""

    plan: ClipPlan
    banks: Mapping[str, Bank]

    @property
    def clip_id(self) -> str:
        return self.plan.clip_id

    @property
    def playing(self) -> frozenset[str]:
        return self.plan.labels

    def recording(self, sample_rate_hz: int) -> Recording:
        """Render the mix; synthesis has one sample rate, and a model of another refuses it."""
        return Recording(render_clip(self.plan, self.banks).mix, SAMPLE_RATE_HZ)


@dataclass(frozen=True)
class FileClip(SoundClip):
    """A recording in a file."""

    clip_id: str
    path: Path
    playing: frozenset[str] = frozenset()

    def recording(self, sample_rate_hz: int) -> Recording:
        """Decode the file."""
        return load_recording(self.path.read_bytes(), sample_rate_hz=sample_rate_hz)


@dataclass(frozen=True)
class ClipSet:
    """Clips that share a figure.

    Attributes
    ----------
    name : str
        Unique within a report.
    measure : {"macro-F1", "top-1"} or None
        The figure by which models are compared on it; None where too little is known for a figure.
    clips : tuple of Clip
    """

    name: str
    measure: Measure | None
    clips: tuple[Clip, ...]

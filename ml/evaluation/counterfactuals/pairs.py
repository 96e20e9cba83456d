"""Pairs: a clip as it is and with one change at a time, heard and explained.

Whatever is changed, the other stem, the notes and the stem's loudness (root mean square) stay. There is no
reverberation, so that changes of a stem's sound are changes of its notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ml.classification import Classification, classify, listen
from ml.evaluation.clips import PlannedClip
from ml.evaluation.counterfactuals.changes import CHANGES, Change
from ml.evaluation.counterfactuals.figures import FIGURES
from ml.evaluation.counterfactuals.onsets import onset_frames
from ml.model import Model
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.target import Target
from ml.synthesis.mix import render_clip
from ml.synthesis.plan import StemPlan
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import Bank

Sound = NDArray[np.floating]


@dataclass(frozen=True)
class Outcome:
    """What a model makes of one instrument in one rendering.

    Attributes
    ----------
    logit, probability : float
        The instrument's.
    present : bool
        Whether that reaches the model's own threshold.
    relevance : float
        Sum of its map.
    onset_share : float
        Share of the map's positive part in frames that see the first 100 ms of the instrument's notes; NaN
        where there is no positive relevance.
    """

    logit: float
    probability: float
    present: bool
    relevance: float
    onset_share: float


@dataclass(frozen=True)
class ChangedOutcome:
    """One change and what came of it.

    Attributes
    ----------
    change : str
    outcome : Outcome
    similarity : float
        Cosine of the angle between the two maps: 1 where they are alike but for scale; NaN where one is zero.
    figure_before, figure_after : float
        The figure of the stem's sound that shows the change.
    """

    change: str
    outcome: Outcome
    similarity: float
    figure_before: float
    figure_after: float


@dataclass(frozen=True)
class PairedClassification(Classification):
    """A clip's classification as it is, the outcome for its first stem, and that of every change."""

    instrument: str
    as_it_is: Outcome
    changed: tuple[ChangedOutcome, ...]


@dataclass(frozen=True)
class PairedClip(PlannedClip):
    """A clip whose first stem is changed in all ways of `CHANGES`, for the first model that hears it."""

    def classifications(self, models: Sequence[Model]) -> tuple[Classification, ...]:
        """The first model's is a `PairedClassification`; the others only classify the clip as it is."""
        renderings = _render(self)
        plain = Recording(renderings.as_it_is, SAMPLE_RATE_HZ)
        first, *others = models
        return (
            _paired(first, self.plan.stems[0], plain, renderings),
            *(classify(other, plain) for other in others),
        )


@dataclass(frozen=True)
class _Renderings:
    """Mixes, and before and after of the figure that shows each change."""

    as_it_is: Sound
    changed: Mapping[str, Sound]
    figures: Mapping[str, tuple[float, float]]


def _render(clip: PairedClip) -> _Renderings:
    plan, stem = clip.plan, clip.plan.stems[0]
    rendered = render_clip(plan, clip.banks)
    own, others = rendered.stems[0], rendered.stems[1:].sum(axis=0)
    before = {name: figure.of(own, stem.notes) for name, figure in FIGURES.items()}
    changed, figures = {}, {}
    for change in CHANGES:
        sound = _as_loud(own, change.heard(_played(clip, change, own), stem.notes))
        name = change.check.figure
        changed[change.name] = sound + others
        figures[change.name] = (before[name], FIGURES[name].of(sound, stem.notes))
    return _Renderings(own + others, changed, figures)


def _played(clip: PairedClip, change: Change, own: Sound) -> Sound:
    """The first stem alone as a change has it played."""
    played = change.played(clip.plan.stems[0], clip.plan.duration_s)
    if played == clip.plan.stems[0]:
        return own
    sound: Sound = render_clip(replace(clip.plan, stems=(played,)), clip.banks).stems[0]
    return sound


def _as_loud(own: Sound, changed: Sound) -> Sound:
    levels = [np.sqrt(np.mean(np.square(sound, dtype=np.float64))) for sound in (own, changed)]
    scaled: Sound = (changed * (levels[0] / max(levels[1], np.finfo(np.float32).tiny))).astype(np.float32)
    return scaled


def _paired(model: Model, stem: StemPlan, plain: Recording, renderings: _Renderings) -> PairedClassification:
    sounds = {"": renderings.as_it_is, **renderings.changed}
    label = model.card.labels.index(stem.instrument)
    heard = [listen(model, Recording(sound, SAMPLE_RATE_HZ)) for sound in sounds.values()]
    inputs = np.stack([one.inputs[0] for one in heard])  # clips last one window
    (evidence,) = explain_targets(model, inputs, [Target(label)])
    times_s = model.mel.times_s(inputs.shape[2])
    half_window_s = 0.5 * model.mel.window_samples / model.sample_rate_hz
    sees_onset = onset_frames(times_s, stem.notes, half_window_s)
    threshold = model.card.thresholds[stem.instrument]
    logits = np.stack([one.logits[0] for one in heard])
    probabilities = model.card.calibration.probabilities(logits, model.card.labels)[:, label]
    outcomes = [
        Outcome(
            float(logit),
            float(probability),
            bool(probability >= threshold),
            float(found.sum()),
            _share(np.maximum(found, 0.0), sees_onset),
        )
        for logit, probability, found in zip(logits[:, label], probabilities, evidence.maps, strict=True)
    ]
    classification = classify(model, plain)
    changed = tuple(
        ChangedOutcome(name, outcome, _cosine(evidence.maps[0], found), *renderings.figures[name])
        for name, outcome, found in zip(renderings.changed, outcomes[1:], evidence.maps[1:], strict=True)
    )
    own = {field.name: getattr(classification, field.name) for field in fields(classification)}
    return PairedClassification(**own, instrument=stem.instrument, as_it_is=outcomes[0], changed=changed)


def _share(positive: NDArray[np.floating], frames: NDArray[np.bool_]) -> float:
    total = float(positive.sum(dtype=np.float64))
    return float(positive[:, frames].sum(dtype=np.float64)) / total if total > 0.0 else float("nan")


def _cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float((first * second).sum(dtype=np.float64)) / lengths if lengths > 0.0 else float("nan")


def paired_clips(
    subject: Sequence[PlannedClip], partners: Sequence[PlannedClip], banks: Mapping[str, Bank]
) -> tuple[PairedClip, ...]:
    """Clips to be changed: solos, and as many in which another instrument plays along.

    Parameters
    ----------
    subject : sequence of PlannedClip
        Of one instrument each, which is changed.
    partners : sequence of PlannedClip
        Of one instrument each: who plays along, clip by clip. Clips beyond these are solos.
    banks : mapping of str to Bank
    """
    clips = []
    for place, clip in enumerate(subject):
        stems = clip.plan.stems + (partners[place].plan.stems if place < len(partners) else ())
        clips.append(PairedClip(replace(clip.plan, stems=stems), banks))
    return tuple(clips)

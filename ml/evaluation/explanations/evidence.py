"""Listening to evidence: is an instrument still heard in what its map keeps, and lost without it?

Masks are made as for a request: they heed the maps of the other instruments that were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.audible import make_audible
from ml.evaluation.clips import PlannedClip
from ml.evaluation.explanations.contenders import Contender
from ml.evaluation.explanations.scene import HeardScene, Scene
from ml.evaluation.intervals import Interval, bootstrap, weighted_mean
from ml.evaluation.listening import loaded
from ml.relevance.methods import method_named


@dataclass(frozen=True)
class HeardEvidence:
    """What the model hears in one instrument's evidence.

    Attributes
    ----------
    instrument : str
    found : bool
    probability, probability_kept, probability_removed : float
        Of the instrument, in the whole clip, in what is kept and in what is left.
    keeps, loses : bool
        `ml.audible.AudibleEvidence.keeps_label` and `loses_label`.
    n_maps : int
        That the mask took.
    kept_energy_share : float
    """

    instrument: str
    found: bool
    probability: float
    probability_kept: float
    probability_removed: float
    keeps: bool
    loses: bool
    n_maps: int
    kept_energy_share: float


@dataclass(frozen=True)
class EvidenceListener:
    """Listens to the evidence of each instrument of a clip; can be sent to another process."""

    model_folder: Path
    chosen: Contender
    device: str = "cpu"

    def __call__(self, clip: PlannedClip) -> tuple[HeardEvidence, ...]:
        """Listen to one clip's."""
        model = loaded(self.model_folder, self.device)
        scene = HeardScene.of(model, Scene.of(clip))
        explained = tuple(dict.fromkeys((*scene.instruments, *sorted(scene.found))))
        labels = [model.card.labels.index(name) for name in explained]
        made = self.chosen.maker()(model, scene.inputs, labels)
        maps = {name: scene.merged(of_windows) for name, of_windows in zip(explained, made, strict=True)}
        heard = []
        for name in scene.instruments:
            audible = make_audible(
                model,
                scene.scene.mix,
                maps[name],
                name,
                others=[maps[other] for other in explained if other != name and other in scene.found],
                method=method_named(self.chosen.name),
            )
            heard.append(
                HeardEvidence(
                    instrument=name,
                    found=name in scene.found,
                    probability=audible.probability,
                    probability_kept=audible.probability_kept,
                    probability_removed=audible.probability_removed,
                    keeps=audible.keeps_label,
                    loses=audible.loses_label,
                    n_maps=audible.n_maps,
                    kept_energy_share=audible.kept_energy_share,
                )
            )
        return tuple(heard)


@dataclass(frozen=True)
class EvidenceFigures:
    """Shares of the instruments of some clips, and means over them; see `HeardEvidence`."""

    n_clips: int
    n_instruments: int
    found: Interval
    keeps: Interval
    loses: Interval
    both: Interval
    maps: Interval
    kept_energy_share: Interval


def evidence_figures(clips: Sequence[Sequence[HeardEvidence]], seed: int) -> EvidenceFigures:
    """Figures of what was heard in evidence, with intervals over clips.

    Parameters
    ----------
    clips : sequence of sequence of HeardEvidence
        By clip; every clip has as many instruments, or nearly.
    seed : int
        Of the resamplings.

    Returns
    -------
    EvidenceFigures
        Every clip counts alike.
    """

    def mean(name: str) -> Interval:
        values = [np.mean([float(getattr(one, name)) for one in clip]) if clip else np.nan for clip in clips]
        return bootstrap(weighted_mean(np.array(values)), len(clips), np.random.default_rng([seed, 0xE6]))

    both = [np.mean([one.keeps and one.loses for one in clip]) if clip else np.nan for clip in clips]
    return EvidenceFigures(
        n_clips=len(clips),
        n_instruments=sum(len(clip) for clip in clips),
        found=mean("found"),
        keeps=mean("keeps"),
        loses=mean("loses"),
        both=bootstrap(weighted_mean(np.array(both)), len(clips), np.random.default_rng([seed, 0xE6])),
        maps=mean("n_maps"),
        kept_energy_share=mean("kept_energy_share"),
    )

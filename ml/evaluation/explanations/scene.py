"""A clip with its stems, as explanations are held against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.attribution import Sounding
from ml.classification import ListenedWindows, judge, listen
from ml.evaluation.clips import PlannedClip
from ml.evaluation.explanations.contenders import SOFT
from ml.model import Model
from ml.recording import Recording
from ml.synthesis.mix import render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.truth.shapley import shapley_values
from ml.truth.stems import Stem, StemTruth, stem_truth


@dataclass(frozen=True)
class Scene:
    """What sounds in a clip.

    Attributes
    ----------
    mix : Recording
    stems : tuple of Stem
    residual : Recording or None
        What belongs to no stem.
    """

    mix: Recording
    stems: tuple[Stem, ...]
    residual: Recording | None

    @staticmethod
    def of(clip: PlannedClip) -> Scene:
        """Render a clip."""
        rendered = render_clip(clip.plan, clip.banks)
        return Scene(
            Recording(rendered.mix, SAMPLE_RATE_HZ),
            tuple(
                Stem(plan.instrument, Recording(samples, SAMPLE_RATE_HZ))
                for plan, samples in zip(clip.plan.stems, rendered.stems, strict=True)
            ),
            Recording(rendered.residual, SAMPLE_RATE_HZ) if rendered.residual is not None else None,
        )


@dataclass(frozen=True)
class HeardScene:
    """A scene as one model hears it.

    Attributes
    ----------
    model : Model
    scene : Scene
    truth : StemTruth
        On the grid of the model's front end.
    heard : ListenedWindows
    found : frozenset of str
        Instruments that the model finds.
    shapley : ndarray of float64, shape (n_stems, n_labels)
    instruments : tuple of str
        Those that are there: whose stem has energy among the active cells. They are explained.
    """

    model: Model
    scene: Scene
    truth: StemTruth
    heard: ListenedWindows
    found: frozenset[str]
    shapley: NDArray[np.float64]
    instruments: tuple[str, ...]

    @staticmethod
    def of(model: Model, scene: Scene) -> HeardScene:
        """Let a model hear a scene."""
        truth = stem_truth(scene.stems, model.mel, scene.residual)
        heard = listen(model, scene.mix)
        return HeardScene(
            model=model,
            scene=scene,
            truth=truth,
            heard=heard,
            found=frozenset(judge(model, heard, 0.0, None).found),
            shapley=shapley_values(model, scene.stems, scene.residual),
            instruments=tuple(
                name
                for name, share in zip(truth.instruments, truth.energy_shares, strict=True)
                if share > 0.0
            ),
        )

    @property
    def labels(self) -> list[int]:
        """Of the instruments."""
        return [self.model.card.labels.index(name) for name in self.instruments]

    @property
    def inputs(self) -> NDArray[np.float32]:
        """What the network sees of the windows with sound, `(n_windows, n_mels, n_frames)`."""
        return Sounding.of(self.heard).inputs

    def merged(self, maps: NDArray[np.floating]) -> NDArray[np.float32]:
        """A label's maps of the windows with sound, laid onto the clip: `(n_mels, n_frames)`."""
        return Sounding.of(self.heard).merged(maps)

    def true_masks(self, name: str) -> NDArray[np.floating]:
        """The ceiling's maps, cut like those of a model: `(n_instruments, n_windows, n_mels, n_frames)`.

        Parameters
        ----------
        name : str
            `SOFT` or `BINARY`.
        """
        masks = np.zeros((len(self.instruments), *self.heard.inputs.shape), dtype=np.float32)
        for row, instrument in enumerate(self.instruments):
            whole = self.truth.true_mask(instrument, soft=name == SOFT)
            for place, window in enumerate(self.heard.windows):
                part = whole[:, window.first_frame : window.first_frame + window.n_frames]
                masks[row, place, :, : part.shape[1]] = part
        cut: NDArray[np.floating] = masks[:, ~self.heard.silent]
        return cut

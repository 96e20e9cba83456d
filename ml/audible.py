"""Evidence one can hear: a recording through a mask made from relevance maps, and what the mask leaves.

The mask (`ml.masks`) multiplies the recording's spectrum and keeps its phase (`ml.splitting`). Kept and
removed sound add up to the recording before their loudness is matched to it.

A map shows what decided, and behind strong evidence weaker evidence hides that decides as soon as the strong
is gone. So what the mask leaves is listened to; while the instrument keeps more than half of its probability
there, it is explained again and that map joins the mask, up to `MaskSettings.most_maps` maps. How many it
took is told (`n_maps`), and how much of the sound was kept (`kept_energy_share`): a mask that kept everything
would keep the label, and remove it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.classification import ListenedWindows, listen, window_probabilities
from ml.masks import DEFAULT_MASK, Levelled, MaskSettings, evidence_mask, levelled
from ml.model import Model
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.methods import Method
from ml.relevance.target import Target
from ml.splitting import Splitter
from ml.windows import merge_windows

HEARD_FROM = 0.5  # a label counts as kept from this probability on
LOST_SHARE = 0.5  # and as removed when it keeps no more than this of its probability
LOUDEST_GAIN = 10.0  # amplitude: what was hardly there is not blown up to full loudness
PEAK_CEILING = 0.98


@dataclass(frozen=True)
class AudibleEvidence:
    """What was kept and what was removed, as loud as the recording, and what the model hears in either.

    Attributes
    ----------
    kept, removed : Recording
    probability_kept, probability_removed : float
        The instrument's, in what was kept and in what was removed.
    probability : float
        The instrument's in the whole recording.
    n_maps : int
        How many maps the mask was made from: more than one where the label survived the first.
    kept_energy_share : float
        Energy of what was kept, before its loudness was matched, in that of the recording; 0 for silence.
    """

    kept: Recording
    removed: Recording
    probability_kept: float
    probability_removed: float
    probability: float
    n_maps: int
    kept_energy_share: float

    @property
    def keeps_label(self) -> bool:
        """Whether what was kept is still heard as the instrument."""
        return self.probability_kept >= HEARD_FROM

    @property
    def loses_label(self) -> bool:
        """Whether the instrument has lost at least half of its probability in what the mask leaves."""
        return self.probability_removed <= LOST_SHARE * self.probability


def make_audible(
    model: Model,
    recording: Recording,
    relevance: NDArray[np.floating],
    instrument: str,
    *,
    against: str | None = None,
    others: Sequence[NDArray[np.floating]] = (),
    method: Method | None = None,
    engine: str | None = None,
    settings: MaskSettings = DEFAULT_MASK,
) -> AudibleEvidence:
    """Split a recording into an instrument's evidence and the rest, and listen to both.

    Parameters
    ----------
    model : Model
    recording : Recording
        What was explained.
    relevance : ndarray, shape (n_mels, n_frames)
        The instrument's map of it.
    instrument : str
        A label of the model.
    against : str, optional
        The label that the map holds the instrument against; maps of what the mask leaves do so too.
    others : sequence of ndarray, each of the same shape
        Maps of the other instruments that were heard in it: they claim cells for themselves. Without them the
        mask is wider than the instrument's own sound.
    method, engine : optional
        What made `relevance`, and explains what the mask leaves.
    settings : MaskSettings

    Returns
    -------
    AudibleEvidence
    """
    label = model.card.labels.index(instrument)
    target = Target(label, None if against is None else model.card.labels.index(against))
    audition = Audition.of(
        model, recording, listen(model, recording), method=method, engine=engine, settings=settings
    )
    rivals = [levelled(other, settings) for other in others]
    return audition.evidence(levelled(relevance, settings), target, rivals)


@dataclass(frozen=True)
class Audition:
    """A recording that the evidence of several instruments is cut out of, and what does not depend on which.

    Attributes
    ----------
    model : Model
    splitter : Splitter
        Of the recording.
    probabilities : ndarray of float64, shape (n_labels,)
        What the model hears in it.
    energy : float
    method : Method or None
    engine : str or None
    settings : MaskSettings
    """

    model: Model
    splitter: Splitter
    probabilities: NDArray[np.float64]
    energy: float
    method: Method | None
    engine: str | None
    settings: MaskSettings

    @staticmethod
    def of(
        model: Model,
        recording: Recording,
        heard: ListenedWindows,
        *,
        method: Method | None = None,
        engine: str | None = None,
        settings: MaskSettings = DEFAULT_MASK,
    ) -> Audition:
        """Prepare a recording; `heard` is what the model made of it, the rest as for `make_audible`."""
        return Audition(
            model,
            Splitter.of(recording, model.mel),
            _probabilities(model, heard),
            _energy(recording),
            method,
            engine,
            settings,
        )

    def evidence(
        self, evidence: Levelled, target: Target, rivals: Sequence[Levelled] = ()
    ) -> AudibleEvidence:
        """Cut one instrument's evidence out.

        Parameters
        ----------
        evidence : ndarray of float64, shape (n_mels, n_frames)
            Its levelled map (`ml.masks.levelled`).
        target : Target
            What relevance started at.
        rivals : sequence of ndarray, each of the same shape
            Levelled maps of the other instruments.

        Returns
        -------
        AudibleEvidence
        """
        model, recording = self.model, self.splitter.recording
        whole = float(self.probabilities[target.label])
        n_maps = 1
        while True:
            kept, removed = self.splitter.split(evidence_mask(evidence, rivals, self.settings))
            removed = match_loudness(removed, recording)
            heard = listen(model, removed)
            left = float(_probabilities(model, heard)[target.label])
            if left <= LOST_SHARE * whole or n_maps == self.settings.most_maps or not evidence.any():
                break
            evidence = evidence + levelled(self._map_of(heard, target), self.settings)
            n_maps += 1
        energy_share = _energy(kept) / self.energy if self.energy > 0.0 else 0.0
        kept = match_loudness(kept, recording)
        probability_kept = float(_probabilities(model, listen(model, kept))[target.label])
        return AudibleEvidence(kept, removed, probability_kept, left, whole, n_maps, energy_share)

    def _map_of(self, heard: ListenedWindows, target: Target) -> NDArray[np.float32]:
        """A target's relevance map of what was heard, `(n_mels, n_frames)`; silent windows have none."""
        inputs = heard.inputs
        maps = np.zeros_like(inputs)
        (found,) = explain_targets(
            self.model, inputs[~heard.silent], [target], method=self.method, engine=self.engine
        )
        maps[~heard.silent] = found.maps
        return merge_windows(maps, heard.windows, heard.levels_db.shape[1])


def _probabilities(model: Model, heard: ListenedWindows) -> NDArray[np.float64]:
    """Of each label the highest over the windows, as of any recording, `(n_labels,)`."""
    highest: NDArray[np.float64] = window_probabilities(model, heard).max(axis=0)
    return highest


def _energy(part: Recording) -> float:
    return float(np.square(part.samples, dtype=np.float64).sum())


def match_loudness(part: Recording, whole: Recording) -> Recording:
    """Scale a part to the root mean square level of the whole, short of clipping or amplifying silence."""
    level, target = (float(np.sqrt(np.mean(np.square(r.samples, dtype=np.float64)))) for r in (part, whole))
    if level == 0.0:
        return part
    peak = float(max(part.samples.max(), -part.samples.min()))
    gain = min(target / level, LOUDEST_GAIN, max(1.0, PEAK_CEILING / peak))
    return Recording(part.samples * np.float32(gain), part.sample_rate_hz, part.start_s)

"""What an explanation is made of: the values that its computing hands to its drawing and to its JSON.

Maps are signed, float32 `(n_mels, n_frames)`, on the grid of the spectrogram; times count from the
recording's beginning. Relevance is in units of the logit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.audible import AudibleEvidence
from ml.classification import Classification
from ml.notes import NotesEvidence
from ml.quality import Quality
from ml.recording import Recording

STEP_FRAMES = 16  # of the timeline: 0.19 s, as fine as the shipped network's own evidence over time


@dataclass(frozen=True)
class Spectrogram:
    """What was analysed: levels in dB `(n_mels, n_frames)` with its axes; times count from the recording's
    beginning.
    """

    level_db: NDArray[np.float32]
    frequencies_hz: NDArray[np.float32]
    times_s: NDArray[np.float32]


@dataclass(frozen=True)
class ConceptExplanation:
    """One concept's part in an instrument's evidence, or (`channel` None) that of all channels not listed.

    Attributes
    ----------
    layer : str
        The concept layer.
    channel : int or None
        None for the remainder.
    relevance : float
        Signed relevance at the concept layer, the mean over windows.
    share : float
        `relevance` over the sum of the magnitudes of all channels' relevances, -1..1.
    relevance_map : ndarray of float32, shape (n_mels, n_frames)
    """

    layer: str
    channel: int | None
    relevance: float
    share: float
    relevance_map: NDArray[np.float32]


@dataclass(frozen=True)
class EvidenceTimeline:
    """A map summed over all bands, in steps of `step_s` from `start_s` on.

    Attributes
    ----------
    start_s, step_s : float
    evidence : ndarray of float64, shape (n_steps,)
        Signed relevance in each step; it adds up to the map. The last step may be cut short.
    """

    start_s: float
    step_s: float
    evidence: NDArray[np.float64]

    @staticmethod
    def of(relevance: NDArray[np.float32], start_s: float, frame_s: float) -> EvidenceTimeline:
        """Sum a map.

        Parameters
        ----------
        relevance : ndarray of float32, shape (n_mels, n_frames)
        start_s : float
            Where the map begins in the recording.
        frame_s : float
            From one frame to the next.
        """
        of_frames = relevance.sum(axis=0, dtype=np.float64)
        evidence = np.add.reduceat(of_frames, np.arange(0, len(of_frames), STEP_FRAMES))
        return EvidenceTimeline(start_s, STEP_FRAMES * frame_s, evidence)


@dataclass(frozen=True)
class InstrumentExplanation:
    """One instrument's evidence.

    Attributes
    ----------
    instrument : str
    probability : float
    found : bool
        Whether it counts as present. A map of what was not found shows what speaks for it, and what against.
    contrast : str or None
        The instrument it was held against: then the map is of the difference of the two logits.
    relevance_map : ndarray of float32, shape (n_mels, n_frames)
    concepts : tuple of ConceptExplanation
        They end with their remainder; together they add up to `relevance_map`.
    timeline : EvidenceTimeline
    notes : NotesEvidence or None
        For scores: which notes the map lies on.
    audible : AudibleEvidence
    quality : Quality
    """

    instrument: str
    probability: float
    found: bool
    contrast: str | None
    relevance_map: NDArray[np.float32]
    concepts: tuple[ConceptExplanation, ...]
    timeline: EvidenceTimeline
    notes: NotesEvidence | None
    audible: AudibleEvidence
    quality: Quality


@dataclass(frozen=True)
class Explanation:
    """The explained part of a recording, what was found in it, why, and what computed it: engine, method,
    concept layer.
    """

    recording: Recording
    classification: Classification
    spectrogram: Spectrogram
    instruments: tuple[InstrumentExplanation, ...]
    engine: str
    method: str
    layer: str

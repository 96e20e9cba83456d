"""How far an explanation can be trusted: what every answer says of its own maps, and when it warns.

Conservation says how much of the logit reached the input, deletion whether what the map points at matters to
the network (`ml.truth.faithfulness`), likeness whether the map is about this instrument or about the clip
(`ml.truth.stability`), the sounds of `ml.audible` whether a listener's ear would agree, and the stems, where
they are known, whether it is true (`ml.proof`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.audible import HEARD_FROM, LOST_SHARE, AudibleEvidence
from ml.classification import InstrumentScore
from ml.proof import MOST_MIX_WINDOWS, InstrumentTruth
from ml.relevance.evidence import Evidence
from ml.truth.faithfulness import FRACTION, LEAST_DROP, N_RANDOM, DeletionScores
from ml.truth.shapley import MAX_PLAYERS
from ml.truth.stability import ALIKE, label_similarities

SMALLEST_LOGIT = 1e-6  # a part of less says nothing
LARGEST_GAP = 1.0  # of the logit: as much was absorbed, or made, on the way as there was to explain
LEAST_DELETION_GAIN = 1.5  # the random drop is known to about a quarter, from this many draws:
RANDOM_DELETIONS = 16  # in all windows together


@dataclass(frozen=True)
class Conservation:
    """How much of the logit reached the input.

    Attributes
    ----------
    logit : float
        Mean of the explained windows' logits (for a contrast, of the differences): what relevance started
        from.
    relevance : float
        Mean of the sums of their maps: what arrived.
    gap : float
        ``1 - relevance / logit``: the part of the logit that biases and alpha-beta rules absorbed (positive)
        or made (negative) on the way.
    concept_error : float
        Largest deviation of concepts plus remainder from the whole map, over the map's largest magnitude.
        (The direct engine adds the map up from them, so there it is rounding alone.)
    """

    logit: float
    relevance: float
    gap: float
    concept_error: float

    @staticmethod
    def of(
        evidence: Evidence, relevance_map: NDArray[np.float32], concept_maps: Sequence[NDArray[np.float32]]
    ) -> Conservation:
        """Compare what relevance started from with what arrived.

        Parameters
        ----------
        evidence : Evidence
            Of the windows with sound.
        relevance_map : ndarray of float32, shape (n_mels, n_frames)
            Their maps, merged.
        concept_maps : sequence of ndarray, each of the same shape
            Those of the concepts and of their remainder.
        """
        if len(evidence.logits) == 0:
            return Conservation(0.0, 0.0, 0.0, 0.0)
        logit = float(evidence.logits.mean())
        arrived = float(evidence.maps.sum(axis=(1, 2), dtype=np.float64).mean())
        largest = float(np.abs(relevance_map).max()) or 1.0
        return Conservation(
            logit=logit,
            relevance=arrived,
            gap=1.0 - arrived / logit if abs(logit) > SMALLEST_LOGIT else 0.0,
            concept_error=float(np.abs(np.sum(concept_maps, axis=0) - relevance_map).max()) / largest,
        )


@dataclass(frozen=True)
class FoundMap:
    """The map of an instrument that was found, `(n_mels, n_frames)`."""

    instrument: str
    relevance: NDArray[np.float32]


@dataclass(frozen=True)
class Likeness:
    """The other instrument found whose map is most like this one's; similarity 0..1."""

    instrument: str
    similarity: float


@dataclass(frozen=True)
class QualityWarning:
    """A reason to distrust a map: `code` for machines, `detail` for people, with the value."""

    code: str
    detail: str


@dataclass(frozen=True)
class Quality:
    """What is known of a map's quality; `most_alike` is None where no other instrument was
    found, `truth` without a stem."""

    conservation: Conservation
    deletion: DeletionScores
    most_alike: Likeness | None
    truth: InstrumentTruth | None
    warnings: tuple[QualityWarning, ...]


def likeness(relevance: NDArray[np.float32], others: Sequence[FoundMap]) -> Likeness | None:
    """Which of the other instruments' maps is most like this one.

    Parameters
    ----------
    relevance : ndarray of float32, shape (n_mels, n_frames)
    others : sequence of FoundMap
        Of the same shape.

    Returns
    -------
    Likeness or None
        None where there are no others.
    """
    if not others:
        return None
    alike = label_similarities(np.stack([relevance, *(other.relevance for other in others)]))[0, 1:]
    return Likeness(others[int(alike.argmax())].instrument, float(alike.max()))


def random_draws(n_windows: int) -> int:
    """Random deletions of each window: together at least `RANDOM_DELETIONS`."""
    return max(N_RANDOM, -(-RANDOM_DELETIONS // max(n_windows, 1)))


def quality_of(
    score: InstrumentScore,
    audible: AudibleEvidence,
    *,
    conservation: Conservation,
    deletion: DeletionScores,
    most_alike: Likeness | None,
    truth: InstrumentTruth | None,
) -> Quality:
    """Put together what is known of a map, and say whether that is a reason to distrust it.

    Returns
    -------
    Quality
        Codes of warnings: not-found, conservation-gap, maps-alike, kept-loses-label, removed-keeps-label,
        low-deletion-gain, shapley-left-out. What was not found has little evidence to keep, remove or delete,
        so the three about that are about instruments that were.
    """
    warnings = [
        *_of_presence(score),
        *_of_conservation(conservation),
        *_of_likeness(most_alike),
        *(_of_hearing(score.instrument, audible) if score.present else ()),
        *(_of_deletion(deletion) if score.present else ()),
        *(_of_shapley(truth) if truth is not None else ()),
    ]
    return Quality(conservation, deletion, most_alike, truth, tuple(warnings))


def _of_presence(score: InstrumentScore) -> Iterator[QualityWarning]:
    if not score.present:
        yield QualityWarning(
            "not-found",
            f"{score.instrument} was not found (probability {score.probability:.2f}): the map weighs what "
            "speaks for it against what speaks against it, and says nowhere that it plays.",
        )


def _of_conservation(conservation: Conservation) -> Iterator[QualityWarning]:
    if abs(conservation.gap) > LARGEST_GAP:
        yield QualityWarning(
            "conservation-gap",
            f"Of a logit of {conservation.logit:.2f}, {conservation.relevance:.2f} arrived in the map: "
            f"a gap of {conservation.gap:.2f}.",
        )


def _of_likeness(most_alike: Likeness | None) -> Iterator[QualityWarning]:
    if most_alike is not None and most_alike.similarity >= ALIKE:
        yield QualityWarning(
            "maps-alike",
            f"The map resembles that of {most_alike.instrument} (similarity {most_alike.similarity:.2f}): "
            "it may show the clip rather than the instrument.",
        )


def _of_hearing(instrument: str, audible: AudibleEvidence) -> Iterator[QualityWarning]:
    if not audible.keeps_label:
        yield QualityWarning(
            "kept-loses-label",
            f"In the evidence alone {instrument} has a probability of {audible.probability_kept:.2f}, "
            f"less than {HEARD_FROM:g}.",
        )
    if not audible.loses_label:
        yield QualityWarning(
            "removed-keeps-label",
            f"Without the evidence {instrument} keeps a probability of {audible.probability_removed:.2f}, "
            f"more than {LOST_SHARE:.0%} of {audible.probability:.2f}.",
        )


def _of_deletion(deletion: DeletionScores) -> Iterator[QualityWarning]:
    if deletion.drop < max(LEAST_DELETION_GAIN * deletion.random_drop, LEAST_DROP):
        yield QualityWarning(
            "low-deletion-gain",
            f"Without the {FRACTION:.0%} of the sound that the map holds most relevant the logit falls by "
            f"{deletion.drop:.2f}, without as much at random by {deletion.random_drop:.2f}.",
        )


def _of_shapley(truth: InstrumentTruth) -> Iterator[QualityWarning]:
    if any(effect.shapley is None for effect in truth.stems):
        yield QualityWarning(
            "shapley-left-out",
            f"What each of the {len(truth.stems)} stems does to the logit was not measured: that takes at "
            f"most {MAX_PLAYERS} stems, and {MOST_MIX_WINDOWS} windows of all their mixes together.",
        )

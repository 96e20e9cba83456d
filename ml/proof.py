"""A request's explanations held against the stems of its recording, where these are known.

`Ground` is what the stems say, measured once: who owns which cell (`ml.truth.stems`), and what every stem
really does to every logit (`ml.truth.shapley`). What the recording holds beside the stems is their residual;
it counts in the shares of cells and is part of every mix. Stems of instruments that the model does not know,
and stems that are silent in the explained part, belong to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.model import Model
from ml.recording import Recording
from ml.relevance.target import Target
from ml.truth.scores import MapScores, score_map
from ml.truth.shapley import MAX_PLAYERS, shapley_correlation, shapley_values
from ml.truth.stems import Stem, StemTruth, mix_samples, stem_truth
from ml.windows import cut_windows

SILENT_PEAK = 1e-4  # of full scale: three steps of 16 bits, within the rounding of a rendering
MOST_MIX_WINDOWS = 512  # windows of all mixes together: some seconds; 4 stems for a minute, 8 for 7 s


@dataclass(frozen=True)
class Ground:
    """What the stems of a recording say.

    Attributes
    ----------
    truth : StemTruth
    shapley : ndarray of float64, shape (n_stems, n_labels), or None
        None where there are too many mixes to hear (`MAX_PLAYERS`, `MOST_MIX_WINDOWS`).
    """

    truth: StemTruth
    shapley: NDArray[np.float64] | None


@dataclass(frozen=True)
class StemEffect:
    """One stem's part in an instrument's map and in its logit.

    Attributes
    ----------
    instrument : str
        Whose stem it is.
    relevance : float
        Signed relevance on the stem, as a share of the sum of the map's magnitudes.
    shapley : float or None
        What the stem adds to the logit (for a contrast, to the difference).
    """

    instrument: str
    relevance: float
    shapley: float | None


@dataclass(frozen=True)
class InstrumentTruth:
    """How true one instrument's map is.

    Attributes
    ----------
    scores : MapScores
        Among them the relevance on what belongs to no stem.
    stems : tuple of StemEffect
    shapley_correlation : float or None
        Of relevance on stems with what stems do, over all explained instruments and stems of the request;
        None where that is not defined.
    share : ndarray of float32, shape (n_mels, n_frames)
        The instrument's true share of each active cell: what the map should look like.
    """

    scores: MapScores
    stems: tuple[StemEffect, ...]
    shapley_correlation: float | None
    share: NDArray[np.float32]


def is_silent(recording: Recording) -> bool:
    """Whether nothing of a stem rises above `SILENT_PEAK`."""
    return bool(np.abs(recording.samples).max(initial=0.0) < SILENT_PEAK)


def ground_of(model: Model, part: Recording, stems: Sequence[Stem]) -> Ground | None:
    """Measure what the stems of a recording say.

    Parameters
    ----------
    model : Model
    part : Recording
        What is explained.
    stems : sequence of Stem
        The same part of each.

    Returns
    -------
    Ground or None
        None when no stem sounds that is of one of the model's labels.

    Raises
    ------
    InvalidRequestError
        When the stems do not fit together or are of too many instruments.
    """
    known = [s for s in stems if s.instrument in model.card.labels and not is_silent(s.recording)]
    if not known:
        return None
    rest = part.samples - mix_samples(known)
    residual = Recording(rest, part.sample_rate_hz, part.start_s) if rest.any() else None
    truth = stem_truth(known, model.mel, residual)
    n_stems = len(truth.instruments)
    n_windows = len(cut_windows(part.duration_s, model.mel))
    few = n_stems <= MAX_PLAYERS and 2**n_stems * n_windows <= MOST_MIX_WINDOWS
    return Ground(truth, shapley_values(model, known, residual) if few else None)


def truths_of(
    ground: Ground,
    instruments: Sequence[str],
    targets: Sequence[Target],
    maps: Sequence[NDArray[np.float32]],
) -> tuple[InstrumentTruth | None, ...]:
    """Hold each map against the stems.

    Parameters
    ----------
    ground : Ground
    instruments : sequence of str
    targets : sequence of Target
        What relevance started at, one for each instrument.
    maps : sequence of ndarray, each (n_mels, n_frames)

    Returns
    -------
    tuple of InstrumentTruth or None
        None for an instrument without a stem: no map of it could be true.
    """
    scored = [
        score_map(relevance, ground.truth, instrument) if instrument in ground.truth.instruments else None
        for instrument, relevance in zip(instruments, maps, strict=True)
    ]
    effects = [
        () if scores is None else _effects(ground, target, scores)
        for target, scores in zip(targets, scored, strict=True)
    ]
    pooled = _correlation([effect for of_map in effects for effect in of_map])
    return tuple(
        None if scores is None else InstrumentTruth(scores, of_map, pooled, _share(ground.truth, instrument))
        for instrument, scores, of_map in zip(instruments, scored, effects, strict=True)
    )


def _effects(ground: Ground, target: Target, scores: MapScores) -> tuple[StemEffect, ...]:
    """What each stem has of a map and does to what relevance started at."""
    values: list[float | None] = [None] * len(ground.truth.instruments)
    if ground.shapley is not None:
        against = 0.0 if target.against is None else ground.shapley[:, target.against]
        values = (ground.shapley[:, target.label] - against).tolist()
    return tuple(
        StemEffect(*entry)
        for entry in zip(ground.truth.instruments, scores.stem_relevance, values, strict=True)
    )


def _correlation(effects: Sequence[StemEffect]) -> float | None:
    pairs = [(effect.relevance, effect.shapley) for effect in effects if effect.shapley is not None]
    relevance, shapley = np.array(pairs).reshape(-1, 2).T
    correlation = shapley_correlation(relevance, shapley)
    return None if np.isnan(correlation) else correlation


def _share(truth: StemTruth, instrument: str) -> NDArray[np.float32]:
    return truth.true_mask(instrument, soft=True).astype(np.float32)

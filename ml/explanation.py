"""Explanations: for each instrument, where in time and frequency its evidence lies, and through which
concepts it came.

The pipeline: a recording (or the asked part of it) is classified window by window; each instrument to explain
gets its relevance in every window, its strongest concepts and their remainder; windows' maps are merged. All
maps are signed, `(n_mels, n_frames)`. Only windows with sound are attributed: silence is evidence of nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.audible import AudibleEvidence, make_audible
from ml.classification import (
    Classification,
    InstrumentScore,
    ListenedWindows,
    Progress,
    check_threshold,
    judge,
    listen,
)
from ml.errors import InvalidRequestError, RangeRequiredError, UnknownInstrumentError
from ml.model import Model
from ml.recording import RELEASE_S, Recording
from ml.relevance.engine import choose_engine, explain_targets
from ml.relevance.evidence import Evidence
from ml.relevance.target import Target
from ml.windows import merge_windows

LONGEST_WHOLE_S = 60.0
MAX_CONCEPTS = 64
SMALLEST_LOGIT = 1e-6  # a part of less says nothing


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
class Conservation:
    """How much of the logit reached the input.

    Attributes
    ----------
    logit : float
        Mean of the explained windows' logits: what relevance started from.
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


@dataclass(frozen=True)
class InstrumentExplanation:
    """One instrument's evidence. `concepts` end with their remainder; together they add up to
    `relevance_map`.
    """

    instrument: str
    probability: float
    relevance_map: NDArray[np.float32]
    concepts: tuple[ConceptExplanation, ...]
    conservation: Conservation
    audible: AudibleEvidence


@dataclass(frozen=True)
class Explanation:
    """The explained part of a recording, what was found in it, why, and which engine computed it."""

    recording: Recording
    classification: Classification
    spectrogram: Spectrogram
    instruments: tuple[InstrumentExplanation, ...]
    engine: str


def explain(
    model: Model,
    recording: Recording,
    *,
    instruments: Sequence[str] | None = None,
    n_concepts: int = 5,
    threshold: float | None = None,
    start_s: float | None = None,
    duration_s: float | None = None,
    engine: str | None = None,
    on_progress: Progress | None = None,
) -> Explanation:
    """Explain why a model hears instruments in a recording.

    Parameters
    ----------
    model : Model
    recording : Recording
        At the model's sample rate.
    instruments : sequence of str, optional
        What to explain, whether found or not; by default every instrument found.
    n_concepts : int
        How many of the strongest concepts to map for each instrument, 0..64.
    threshold : float, optional
        As for `classify`.
    start_s, duration_s : float, optional
        Which part to explain (and to classify); a recording longer than 60 s needs both.
    engine : {"direct", "zennit"}, optional
        What computes the maps; see `ml.relevance.engine.choose_engine`.
    on_progress : callable, optional
        Called with ("classifying", windows done, windows) and ("attributing", maps done, maps);
        may raise to cancel.

    Returns
    -------
    Explanation
        With no instruments when none was asked for and none found.

    Raises
    ------
    UnknownInstrumentError
        When the model has no such label; the error lists those it has.
    RangeRequiredError
        When the recording is longer than 60 s and the part is not named.
    InvalidRequestError
        When a parameter is out of range.
    """
    check_threshold(threshold)
    if not 0 <= n_concepts <= MAX_CONCEPTS:
        raise InvalidRequestError(f"concepts {n_concepts} is outside 0..{MAX_CONCEPTS}.")
    unknown = [name for name in instruments or () if name not in model.card.labels]
    if unknown:
        raise UnknownInstrumentError(
            f"The model {model.card.id} does not know {', '.join(map(repr, unknown))}.",
            extra={"unknown": unknown, "available": list(model.card.labels)},
        )
    engine = choose_engine(model, engine)
    part = asked_part(recording, start_s, duration_s)
    heard = listen(model, part, on_progress)
    classification = judge(model, heard, part.start_s, threshold)
    chosen = tuple(dict.fromkeys(instruments)) if instruments else classification.found
    scores = {score.instrument: score for score in classification.instruments}
    ordered = sorted((scores[name] for name in chosen), key=lambda score: -score.probability)
    sounding = _Sounding.of(heard)
    n_maps = len(ordered) * (n_concepts + 2) * len(sounding.indices)  # whole, concepts, remainder; per window
    maps_done = 0

    def on_map(count: int) -> None:
        nonlocal maps_done
        maps_done += count
        if on_progress is not None:
            on_progress("attributing", min(maps_done, n_maps), n_maps)

    targets = [Target(model.card.labels.index(score.instrument)) for score in ordered]
    evidence = explain_targets(model, sounding.inputs, targets, n_concepts, engine=engine, on_map=on_map)
    explained = tuple(
        _explanation_of(model, score, label_evidence, sounding, part)
        for score, label_evidence in zip(ordered, evidence, strict=True)
    )
    times_s = model.mel.times_s(heard.levels_db.shape[1]) + np.float32(part.start_s)
    spectrogram = Spectrogram(heard.levels_db, model.mel.frequencies_hz, times_s)
    return Explanation(part, classification, spectrogram, explained, engine)


def asked_part(recording: Recording, start_s: float | None, duration_s: float | None) -> Recording:
    """Cut the part to explain out of a recording.

    Parameters
    ----------
    recording : Recording
    start_s, duration_s : float or None
        Without both, the whole; a recording longer than 60 s needs both.

    Returns
    -------
    Recording

    Raises
    ------
    RangeRequiredError
        When more than 60 s would have to be explained at once.
    InvalidRequestError
        When the part does not lie in the recording.
    """
    if start_s is None or duration_s is None:
        _refuse_longer(recording, LONGEST_WHOLE_S + RELEASE_S)  # the release that a rendering adds to MIDI
    if start_s is None and duration_s is None:
        return recording
    start_s = 0.0 if start_s is None else start_s
    part = recording.part(start_s, recording.duration_s if duration_s is None else duration_s)
    _refuse_longer(part, LONGEST_WHOLE_S)
    return part


def _refuse_longer(recording: Recording, longest_s: float) -> None:
    if recording.duration_s > longest_s:
        raise RangeRequiredError(
            f"{recording.duration_s:.1f} s are too long to explain at once: name a part of at most "
            f"{LONGEST_WHOLE_S:g} s with start_s and duration_s.",
            extra={"duration_s": recording.duration_s, "longest_s": LONGEST_WHOLE_S},
        )


@dataclass(frozen=True)
class _Sounding:
    """The windows with sound, and how their maps go back onto the whole recording."""

    heard: ListenedWindows
    indices: tuple[int, ...]
    inputs: NDArray[np.float32]  # (n_sounding, n_mels, window_frames)

    @staticmethod
    def of(heard: ListenedWindows) -> _Sounding:
        indices = tuple(int(index) for index in np.flatnonzero(~heard.silent))
        return _Sounding(heard, indices, heard.inputs[list(indices)])

    def merged(self, maps: NDArray[np.floating]) -> NDArray[np.float32]:
        """Maps of the sounding windows as one map of the recording; silent windows count as zero."""
        whole = np.zeros_like(self.heard.inputs)
        whole[list(self.indices)] = maps
        return merge_windows(whole, self.heard.windows, self.heard.levels_db.shape[1])


def _explanation_of(
    model: Model, score: InstrumentScore, evidence: Evidence, sounding: _Sounding, part: Recording
) -> InstrumentExplanation:
    if sounding.indices:
        channel_relevance = evidence.channels.mean(axis=0)  # (n_channels,)
    else:
        channel_relevance = np.zeros(evidence.channels.shape[1])
    magnitude = float(np.abs(channel_relevance).sum()) or 1.0
    others = [k for k in range(len(channel_relevance)) if k not in evidence.strongest]
    groups: list[tuple[int | None, list[int]]] = [(channel, [channel]) for channel in evidence.strongest]
    groups.append((None, others))
    concepts = []
    for (channel, channels), concept_maps in zip(groups, evidence.concept_maps, strict=True):
        relevance = float(channel_relevance[channels].sum())
        concepts.append(
            ConceptExplanation(
                model.concept_layer, channel, relevance, relevance / magnitude, sounding.merged(concept_maps)
            )
        )
    relevance_map = sounding.merged(evidence.maps)
    return InstrumentExplanation(
        score.instrument,
        score.probability,
        relevance_map,
        tuple(concepts),
        _conservation(evidence, relevance_map, concepts),
        make_audible(model, part, relevance_map, score.instrument),
    )


def _conservation(
    evidence: Evidence, relevance_map: NDArray[np.float32], concepts: Sequence[ConceptExplanation]
) -> Conservation:
    if len(evidence.logits) == 0:
        return Conservation(0.0, 0.0, 0.0, 0.0)
    logit = float(evidence.logits.mean())
    arrived = float(evidence.maps.sum(axis=(1, 2), dtype=np.float64).mean())
    parts = np.sum([concept.relevance_map for concept in concepts], axis=0)
    largest = float(np.abs(relevance_map).max()) or 1.0
    return Conservation(
        logit=logit,
        relevance=arrived,
        gap=1.0 - arrived / logit if abs(logit) > SMALLEST_LOGIT else 0.0,
        concept_error=float(np.abs(parts - relevance_map).max()) / largest,
    )

"""Explanations: for each instrument, where in time and frequency its evidence lies, through which concepts it
came, and how far that can be trusted.

The pipeline: a recording (or the asked part of it) is classified window by window; each instrument to explain
gets its relevance in every window, its strongest concepts and their remainder; windows' maps are merged. Then
every map is put to the test (`ml.quality`): its evidence is kept, removed and deleted while the network
listens, and where the stems or the score are known the map is held against them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.asking import (
    LONGEST_WHOLE_S,
    MAX_CONCEPTS,
    Asked,
    asked_part,
    check_instruments,
    check_size,
    parts_of_stems,
)
from ml.attribution import Attribution, attribute, concepts_of, maps_in_all
from ml.audible import Audition
from ml.classification import Progress, check_threshold, judge, listen
from ml.explained import (
    ConceptExplanation,
    EvidenceTimeline,
    Explanation,
    InstrumentExplanation,
    Spectrogram,
)
from ml.masks import levelled
from ml.model import Model
from ml.notes import NoteClaims, PlayedNote, notes_within
from ml.proof import ground_of, truths_of
from ml.quality import Conservation, likeness, quality_of, random_draws
from ml.recording import Recording
from ml.truth.faithfulness import deletions
from ml.truth.stems import Stem

__all__ = [
    "LONGEST_WHOLE_S",
    "MAX_CONCEPTS",
    "ConceptExplanation",
    "Explanation",
    "InstrumentExplanation",
    "Spectrogram",
    "asked_part",
    "explain",
]


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
    method: str | None = None,
    layer: str | None = None,
    contrast: str | None = None,
    stems: Sequence[Stem] | None = None,
    notes: Sequence[PlayedNote] | None = None,
    on_progress: Progress | None = None,
) -> Explanation:
    """Explain why a model hears instruments in a recording.

    Parameters
    ----------
    model : Model
    recording : Recording
        At the model's sample rate.
    instruments : sequence of str, optional
        What to explain, whether found or not; by default every instrument found. The map of one that was not
        found shows what speaks for it and what against it.
    n_concepts : int
        How many of the strongest concepts to map for each instrument, 0..64.
    threshold : float, optional
        As for `classify`.
    start_s, duration_s : float, optional
        Which part to explain (and to classify); a recording longer than 60 s needs both.
    engine : {"direct", "zennit"}, optional
        What computes the maps; see `ml.relevance.engine.choose_engine`.
    method : str, optional
        A name of `ml.relevance.methods.METHODS`.
    layer : str, optional
        Whose channels are the concepts; see `ml.relevance.engine.concept_layers`.
    contrast : str, optional
        Hold every explained instrument against this one: the map is of the difference of their logits. It is
        not itself explained.
    stems : sequence of Stem, optional
        What instruments play in the recording, each as long as it; the maps are held against them. What the
        recording holds besides is nobody's.
    notes : sequence of PlayedNote, optional
        The score, by the recording's clock: says which notes the maps lie on.
    on_progress : callable, optional
        Called with ("classifying", windows done, windows), ("attributing", maps done, maps) and ("checking",
        instruments done, instruments); may raise to cancel.

    Returns
    -------
    Explanation
        With no instruments when none was asked for and none found.

    Raises
    ------
    UnknownInstrumentError
        When the model has no such label; the error lists those it has.
    UnknownMethodError, UnknownLayerError, UnknownEngineError
        When there is none of that name.
    RangeRequiredError
        When the recording is longer than 60 s and the part is not named.
    InvalidRequestError
        When a parameter is out of range, an instrument is to be held against itself, stems do not fit the
        recording, there is a score and none of its notes sounds in the part, or all maps together would be
        too many (`ml.asking.MOST_MAPS`).
    """
    check_threshold(threshold)
    check_instruments(model, instruments or (), contrast)
    asked = Asked.of(
        model, method=method, layer=layer, engine=engine, n_concepts=n_concepts, contrast=contrast
    )
    part = asked_part(recording, start_s, duration_s)
    own_parts = parts_of_stems(stems or (), recording, start_s, duration_s)
    playing = None if notes is None else notes_within(notes, part.start_s, part.start_s + part.duration_s)

    heard = listen(model, part, on_progress)
    classification = judge(model, heard, part.start_s, threshold)
    found = [name for name in classification.found if name != contrast]
    chosen = instruments or found
    scores = [score for score in classification.instruments if score.instrument in chosen]
    check_size(len(scores), n_concepts, int((~heard.silent).sum()))
    n_beside = len(set(found) - set(chosen))
    maps_made = _Counter(on_progress, "attributing", maps_in_all(heard, len(scores), n_beside, n_concepts))
    attribution = attribute(model, part, heard, scores, asked, found=found, on_map=maps_made.add)
    spectrogram = Spectrogram(
        heard.levels_db,
        model.mel.frequencies_hz,
        model.mel.times_s(heard.levels_db.shape[1]) + np.float32(part.start_s),
    )
    explained = _explained(
        model,
        attribution,
        spectrogram,
        contrast=contrast,
        stems=own_parts,
        notes=playing,
        on_progress=on_progress,
    )
    return Explanation(
        part, classification, spectrogram, explained, asked.engine, asked.method.name, asked.layer
    )


def _explained(
    model: Model,
    attribution: Attribution,
    spectrogram: Spectrogram,
    *,
    contrast: str | None,
    stems: Sequence[Stem],
    notes: Sequence[PlayedNote] | None,
    on_progress: Progress | None,
) -> tuple[InstrumentExplanation, ...]:
    """Put every map to the test, and say what it is made of."""
    maps, sounding, asked, part = attribution.maps, attribution.sounding, attribution.asked, attribution.part
    if not maps:
        return ()
    checked = _Counter(on_progress, "checking", len(maps))
    checked.add(0)
    names, merged = attribution.names, attribution.merged_maps
    targets = [each.target for each in maps]
    ground = ground_of(model, part, stems)
    truths = (None,) * len(maps) if ground is None else truths_of(ground, names, targets, merged)
    deleted = deletions(
        model,
        sounding.inputs,
        [target.label for target in targets],
        [each.evidence.maps for each in maps],
        n_random=random_draws(len(sounding.inputs)),
        logits=sounding.heard.logits[list(sounding.indices)],
    )
    claims = None if notes is None else NoteClaims.of(notes, spectrogram.frequencies_hz, spectrogram.times_s)
    audition = Audition.of(model, part, sounding.heard, method=asked.method, engine=asked.engine)
    all_maps = {each.instrument: each.relevance for each in attribution.found}
    all_maps.update(zip(names, merged, strict=True))
    claimed = {name: levelled(relevance) for name, relevance in all_maps.items()}
    explained = []
    for place, each in enumerate(maps):
        score, relevance = each.score, each.relevance
        others = [other for other in attribution.found if other.instrument != score.instrument]
        audible = audition.evidence(
            claimed[score.instrument], each.target, [claimed[other.instrument] for other in others]
        )
        concepts = concepts_of(each.evidence, sounding, asked.layer)
        conservation = Conservation.of(
            each.evidence, relevance, [concept.relevance_map for concept in concepts]
        )
        explained.append(
            InstrumentExplanation(
                score.instrument,
                score.probability,
                score.present,
                contrast,
                relevance,
                concepts,
                EvidenceTimeline.of(relevance, part.start_s, model.mel.hop_samples / model.sample_rate_hz),
                None if claims is None else claims.share(relevance),
                audible,
                quality_of(
                    score,
                    audible,
                    conservation=conservation,
                    deletion=deleted[place],
                    most_alike=likeness(relevance, others),
                    truth=truths[place],
                ),
            )
        )
        checked.add(1)
    return tuple(explained)


class _Counter:
    """Reports a stage's progress as it adds up."""

    def __init__(self, on_progress: Progress | None, stage: str, total: int) -> None:
        self.on_progress, self.stage, self.total, self.done = on_progress, stage, total, 0

    def add(self, count: int) -> None:
        self.done += count
        if self.on_progress is not None:
            self.on_progress(self.stage, min(self.done, self.total), self.total)

"""Results as JSON: the shapes that the service answers and the command line prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from ml.artifact_names import (
    AUDIO_NAME,
    EVIDENCE_NAME,
    INSTRUMENTS_NAME,
    JAMS_NAME,
    OVERVIEW_NAME,
    SPECTROGRAM_NAME,
    TIMELINE_NAME,
    concept_name,
    evidence_name,
    map_name,
    mask_name,
)
from ml.classification import Classification
from ml.concepts.atlas import Atlas
from ml.explained import ConceptExplanation, Explanation, InstrumentExplanation
from ml.notes import NotesEvidence
from ml.proof import InstrumentTruth

MAX_LISTED_NOTES = (
    500  # of each instrument: a minute of a dense score has thousands, most of them silent to it
)

Href = Callable[[str], str]  # artefact name -> where to get it
ConceptHref = Callable[[str, int], str]  # layer and channel -> where more is told


def classification_result(classification: Classification, href: Href | None = None) -> dict[str, object]:
    """The JSON result of a classification.

    Parameters
    ----------
    classification : Classification
    href : callable, optional
        Turns an artefact's name into its URL or path; without it the result names no files.
    """
    return {
        "instruments": [asdict(score) for score in classification.instruments],
        "timeline": [asdict(window) for window in classification.timeline],
        **({} if href is None else {"exports": _exports(href)}),
    }


def explanation_result(
    explanation: Explanation,
    href: Href,
    *,
    atlas: Atlas | None = None,
    concept_href: ConceptHref | None = None,
) -> dict[str, object]:
    """The JSON result of an explanation.

    Parameters
    ----------
    explanation : Explanation
    href : callable
        Turns an artefact's name into its URL or path.
    atlas : Atlas, optional
        That of the model: says what concepts are called.
    concept_href : callable, optional
        Where a layer's channel of the atlas is told of.
    """
    return {
        **classification_result(explanation.classification),
        "audio": {"wav": href(AUDIO_NAME)},
        "spectrogram": _links(SPECTROGRAM_NAME, href),
        "overview": {"png": href(OVERVIEW_NAME)},
        "engine": explanation.engine,
        "method": explanation.method,
        "layer": explanation.layer,
        "explanations": explanation_entries(explanation, href, atlas=atlas, concept_href=concept_href),
        "exports": {**_exports(href), "evidence_csv": href(EVIDENCE_NAME)},
    }


def explanation_entries(
    explanation: Explanation,
    href: Href,
    *,
    atlas: Atlas | None = None,
    concept_href: ConceptHref | None = None,
) -> list[dict[str, object]]:
    """What `explanation_result` says of each explained instrument."""
    named = partial(_concept_name, atlas=atlas, concept_href=concept_href)
    return [_instrument_result(instrument, href, named) for instrument in explanation.instruments]


def _instrument_result(
    instrument: InstrumentExplanation, href: Href, named: Callable[[ConceptExplanation], dict[str, object]]
) -> dict[str, object]:
    return {
        "instrument": instrument.instrument,
        "probability": instrument.probability,
        "found": instrument.found,
        "contrast": instrument.contrast,
        "map": _links(map_name(instrument), href),
        "timeline": {
            "start_s": instrument.timeline.start_s,
            "step_s": instrument.timeline.step_s,
            "evidence": instrument.timeline.evidence.tolist(),
        },
        **({} if instrument.notes is None else _notes_result(instrument.notes)),
        "evidence": {
            "kept_wav": href(evidence_name(instrument, "kept")),
            "removed_wav": href(evidence_name(instrument, "removed")),
        },
        "concepts": [
            {
                "layer": concept.layer,
                "channel": concept.channel,
                "remainder": concept.channel is None,
                **named(concept),
                "relevance": concept.relevance,
                "share": concept.share,
                "map": _links(concept_name(instrument, concept), href),
            }
            for concept in instrument.concepts
        ],
        "quality": _quality_result(instrument, href),
    }


def _concept_name(
    concept: ConceptExplanation, *, atlas: Atlas | None, concept_href: ConceptHref | None
) -> dict[str, object]:
    """What the atlas says of a concept, as far as there is one and it knows the layer."""
    known = None
    if atlas is not None and concept.channel is not None:
        known = atlas.find(concept.layer, concept.channel)
    if known is None:
        return {"name": None, "purity": None, "links": None}
    links = None if concept_href is None else {"concept": concept_href(concept.layer, known.channel)}
    return {"name": known.name, "purity": known.purity, "links": links}


def _notes_result(evidence: NotesEvidence) -> dict[str, object]:
    """The strongest notes in the order of the score, and what lies on no note or on none of these."""
    by_strength = sorted(evidence.notes, key=lambda each: -abs(each.relevance))
    listed = sorted(
        by_strength[:MAX_LISTED_NOTES], key=lambda each: (each.note.start_s, each.note.pitch, each.note.end_s)
    )
    unlisted = by_strength[MAX_LISTED_NOTES:]
    return {
        "notes": [
            {
                "instrument": each.note.instrument,
                "pitch": each.note.pitch,
                "start_s": each.note.start_s,
                "end_s": each.note.end_s,
                "relevance": each.relevance,
                "share": each.share,
            }
            for each in listed
        ],
        "off_notes": {
            "relevance": evidence.off_relevance + sum(each.relevance for each in unlisted),
            "share": evidence.off_share + sum(each.share for each in unlisted),
        },
    }


def _quality_result(instrument: InstrumentExplanation, href: Href) -> dict[str, object]:
    quality = instrument.quality
    return {
        "conservation": asdict(quality.conservation),
        "deletion": {
            "drop": quality.deletion.drop,
            "random_drop": quality.deletion.random_drop,
            "gain": quality.deletion.gain,
        },
        "probability_kept": instrument.audible.probability_kept,
        "probability_removed": instrument.audible.probability_removed,
        "evidence_maps": instrument.audible.n_maps,
        "kept_energy_share": instrument.audible.kept_energy_share,
        "most_alike": None if quality.most_alike is None else asdict(quality.most_alike),
        "warnings": [asdict(warning) for warning in quality.warnings],
        "truth": None if quality.truth is None else _truth_result(quality.truth, mask_name(instrument), href),
    }


def _truth_result(truth: InstrumentTruth, mask: str, href: Href) -> dict[str, object]:
    scores = truth.scores
    return {
        "mass_accuracy": scores.mass_accuracy,
        "energy_share": scores.energy_share,
        "skill": scores.skill,
        "pointing": scores.pointing,
        "rank_accuracy": scores.rank_accuracy,
        "own_stem": scores.own_stem,
        "time_overlap": scores.time_overlap,
        "stems": {
            effect.instrument: {"relevance": effect.relevance, "shapley": effect.shapley}
            for effect in truth.stems
        },
        "rest": {"relevance": scores.rest_relevance},
        "shapley_correlation": truth.shapley_correlation,
        "mask": _links(mask, href),
    }


def _exports(href: Href) -> dict[str, str]:
    return {"jams": href(JAMS_NAME), "csv": href(INSTRUMENTS_NAME), "timeline_csv": href(TIMELINE_NAME)}


def _links(name: str, href: Href) -> dict[str, str]:
    return {"png": href(f"{name}.png"), "npz": href(f"{name}.npz")}

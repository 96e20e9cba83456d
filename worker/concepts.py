"""A model's concepts as others are told of them: the atlas as JSON documents, its references rendered.

Conventions: paths are those of the API. Times are seconds from the reference clip's beginning. A concept's
purity is that of the least pure of the traits that its name states.
"""

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ml.checkpoint import ModelCard, read_card
from ml.concepts.atlas import Atlas, ConceptRecord, LayerRecord, read_atlas
from ml.concepts.atlas import ReferenceRecord as AtlasReference
from ml.concepts.clip_record import ClipRecord
from ml.errors import MissingAtlasError, TimbrescopeError
from ml.synthesis.plan import TICKS_PER_SECOND
from worker.atlases import OVERVIEW, AtlasDocuments, concept_name

log = logging.getLogger(__name__)


def atlas_of(folder: Path) -> Atlas | None:
    """The atlas in a model's folder; None when there is none that fits, for a model can do without."""
    try:
        return read_atlas(folder, read_card(folder))
    except MissingAtlasError:
        return None
    except TimbrescopeError as error:
        log.warning("an atlas cannot be used", extra={"folder": str(folder), "error": str(error)})
        return None


def concept_path(model_id: str, layer: str, channel: int) -> str:
    """Where a concept is found over HTTP."""
    return f"{atlas_path(model_id)}/{quote(layer, safe='')}/{channel}"


def atlas_path(model_id: str) -> str:
    """Where a model's concepts are found over HTTP."""
    return f"/models/{quote(model_id, safe='')}/concepts"


def documents_of(card: ModelCard, atlas: Atlas) -> AtlasDocuments:
    """All that is told of a model's concepts."""
    model = {"id": card.id, "sha256": card.sha256}
    overview = {
        "model": model,
        "method": atlas.method,
        "soundfont": atlas.soundfont,
        "left_out": list(atlas.left_out),
        "statistics": dict(atlas.statistics),
        "layers": [_layer_document(card.id, layer) for layer in atlas.layers],
    }
    found = {OVERVIEW: json.dumps(overview)}
    clips = {clip.clip: clip for clip in atlas.clips}
    for layer in atlas.layers:
        for concept in layer.concepts:
            path = concept_path(card.id, layer.layer, concept.channel)
            document = {
                "model": model,
                "layer": layer.layer,
                **_concept_document(concept),
                "n_measured": concept.n_measured,
                "references": [
                    _reference_document(reference, place, path, layer, clips[reference.clip])
                    for place, reference in enumerate(concept.references)
                ],
                "links": {"self": path, "concepts": atlas_path(card.id)},
            }
            found[concept_name(layer.layer, concept.channel)] = json.dumps(document)
    return AtlasDocuments(card.id, card.sha256, found)


def _layer_document(model_id: str, layer: LayerRecord) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "n_channels": len(layer.concepts),
        "concepts": [
            {
                **_concept_document(concept),
                "n_references": len(concept.references),
                "links": {"self": concept_path(model_id, layer.layer, concept.channel)},
            }
            for concept in layer.concepts
        ],
    }


def _concept_document(concept: ConceptRecord) -> dict[str, Any]:
    fields = concept.model_dump(mode="json", include={"channel", "status", "name", "share", "instruments"})
    traits = [trait.model_dump(mode="json") for trait in concept.traits]
    return {**fields, "purity": concept.purity, "traits": traits}


def _reference_document(
    reference: AtlasReference, place: int, path: str, layer: LayerRecord, clip: ClipRecord
) -> dict[str, Any]:
    low_hz, high_hz = layer.bands_hz[reference.row]
    start_s, end_s = layer.times_s[reference.column]
    return {
        "reference": place,
        "clip": reference.clip,
        "instrument": clip.stems[reference.stem].instrument,
        "relevance": reference.relevance,
        "moment_s": reference.moment_s,
        "start_s": start_s,
        "end_s": end_s,
        "low_hz": low_hz,
        "high_hz": high_hz,
        "notes": _notes_between(clip, start_s, end_s),
        "wav": f"{path}/references/{place}.wav",
        "png": f"{path}/references/{place}.png",
    }


def _notes_between(clip: ClipRecord, start_s: float, end_s: float) -> list[dict[str, Any]]:
    """What is played while the reference lasts, in the order in which it begins."""
    notes: list[dict[str, Any]] = [
        {
            "instrument": stem.instrument,
            "pitch": pitch,
            "velocity": velocity,
            "start_s": start / TICKS_PER_SECOND,
            "end_s": (start + duration) / TICKS_PER_SECOND,
        }
        for stem in clip.stems
        for start, duration, pitch, velocity in stem.notes
    ]
    within = [note for note in notes if note["start_s"] < end_s and note["end_s"] > start_s]
    return sorted(within, key=lambda note: (note["start_s"], note["instrument"], note["pitch"]))

"""The atlas of a model's concepts: what `concepts.json` in its folder holds.

It is small and torch-free to read. References are kept as what is played, note by note, and the moment; sound
and pictures are rendered from that when asked for (`ml.concepts.rendering`). Times of notes are in MIDI ticks
(1/960 s), all others in seconds from the clip's beginning. An atlas belongs to one file of weights: one made
from others is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ml.checkpoint import ModelCard
from ml.concepts.clip_record import ClipRecord, Record
from ml.errors import MissingAtlasError, TimbrescopeError, UnknownConceptError

ATLAS_NAME = "concepts.json"

Status = Literal["named", "unnamed", "against", "dead"]


class InvalidAtlasError(TimbrescopeError):
    """An atlas that is damaged, of another format, or of other weights."""

    code = "invalid-atlas"


class ReferenceRecord(Record):
    """A clip and the place in it that most uses a concept.

    `row` and `column` are the position in the layer, `relevance` is what the concept has there, summed over
    the instruments that play, `stem` the place of the one of which it has most among those of the clip.
    `moment_s` is when, within the receptive field, most of that relevance arrives at the log-mel.
    """

    clip: int
    row: int
    column: int
    moment_s: float
    relevance: float
    stem: int


class TraitRecord(Record):
    """What references most have in common (`ml.concepts.naming.Commonality`)."""

    kind: str
    value: str
    purity: float
    base: float
    stated: bool


class ConceptRecord(Record):
    """One channel of a layer.

    `status` says whether it is named, or not (`unnamed`), or has never spoken for an instrument that plays
    (`against`), or has had no relevance in any clip (`dead`). `share` is its part of the positive relevance
    of all channels at their moments, over all clips. `instruments` are the parts of its measured relevance by
    instrument, where at least one in a hundred. `n_measured` references were measured for `traits`, of
    which those that less than half of them have are left out; the strongest are the `references`.
    """

    channel: int
    status: Status
    name: str | None
    share: float
    instruments: dict[str, float]
    n_measured: int
    traits: tuple[TraitRecord, ...]
    references: tuple[ReferenceRecord, ...]

    @property
    def purity(self) -> float | None:
        """Of the least pure trait that the name states; None for a concept without a name."""
        return min((trait.purity for trait in self.traits if trait.stated), default=None)


class LayerRecord(Record):
    """One layer. `bands_hz` are the lowest and highest frequency of what each row of the layer sees,
    `times_s` the beginning and end of what each column sees.
    """

    layer: str
    bands_hz: tuple[tuple[float, float], ...]
    times_s: tuple[tuple[float, float], ...]
    concepts: tuple[ConceptRecord, ...]


class Atlas(Record):
    """Concepts of a model's layers, and the clips that show them."""

    format_version: Literal[1] = 1
    model_sha256: str
    method: str
    recipe: dict[str, Any]
    recipe_sha256: str
    soundfont: str
    soundfont_sha256: str
    versions: dict[str, str]
    left_out: tuple[str, ...]
    statistics: dict[str, float]
    layers: tuple[LayerRecord, ...]
    clips: tuple[ClipRecord, ...]

    def layer(self, name: str) -> LayerRecord:
        """A layer by name.

        Raises
        ------
        UnknownConceptError
        """
        for layer in self.layers:
            if layer.layer == name:
                return layer
        raise UnknownConceptError(
            f"The atlas has no layer {name!r}.",
            extra={"unknown": name, "available": [layer.layer for layer in self.layers]},
        )

    def concept(self, layer: str, channel: int) -> ConceptRecord:
        """A channel of a layer.

        Raises
        ------
        UnknownConceptError
        """
        concepts = self.layer(layer).concepts
        if not 0 <= channel < len(concepts):
            raise UnknownConceptError(
                f"Layer {layer} has no channel {channel}; it has 0..{len(concepts) - 1}.",
                extra={"unknown": channel, "available": [0, len(concepts) - 1]},
            )
        return concepts[channel]

    def find(self, layer: str, channel: int) -> ConceptRecord | None:
        """A channel of a layer; None for a layer that the atlas does not have."""
        known = next((each for each in self.layers if each.layer == layer), None)
        return None if known is None else known.concepts[channel]

    def reference(self, layer: str, channel: int, place: int) -> ReferenceRecord:
        """A reference of a channel; place 0 is the strongest.

        Raises
        ------
        UnknownConceptError
        """
        references = self.concept(layer, channel).references
        if not 0 <= place < len(references):
            raise UnknownConceptError(
                f"Channel {channel} of {layer} has {len(references)} references, and none at {place}.",
                extra={"unknown": place, "available": list(range(len(references)))},
            )
        return references[place]

    def clip(self, clip: int) -> ClipRecord:
        """A clip by its number."""
        return next(each for each in self.clips if each.clip == clip)


def read_atlas(folder: Path, card: ModelCard) -> Atlas:
    """Read a model's atlas.

    Parameters
    ----------
    folder : Path
        The model's folder.
    card : ModelCard
        Its card.

    Returns
    -------
    Atlas

    Raises
    ------
    MissingAtlasError
        When the folder has none.
    InvalidAtlasError
        When it is damaged, of another format, or was made from other weights.
    """
    path = folder / ATLAS_NAME
    if not path.is_file():
        raise MissingAtlasError(
            f"The model {card.id} has no atlas of concepts; `timbrescope concepts` makes one."
        )
    try:
        atlas = Atlas.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidAtlasError(f"The atlas {path} is not valid: {where}: {fault['msg']}.") from error
    if atlas.model_sha256 != card.sha256:
        raise InvalidAtlasError(
            f"The atlas {path} was made from weights {atlas.model_sha256[:16]}, but those of model {card.id} "
            f"are {card.sha256[:16]}; make it anew."
        )
    return atlas


def atlas_bytes(atlas: Atlas) -> bytes:
    """What `concepts.json` holds: JSON without spaces, a line for each concept and clip."""
    fields = atlas.model_dump(mode="json")
    layers, clips = fields.pop("layers"), fields.pop("clips")
    head = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)[:-1]
    layer_texts = []
    for layer in layers:
        concepts = layer.pop("concepts")
        opening = json.dumps(layer, separators=(",", ":"))[:-1]
        layer_texts.append(f'{opening},"concepts":[\n{_lines(concepts)}\n]}}')
    return f'{head},\n"layers":[\n{",".join(layer_texts)}\n],\n"clips":[\n{_lines(clips)}\n]}}\n'.encode()


def _lines(records: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(record, separators=(",", ":"), ensure_ascii=False) for record in records)

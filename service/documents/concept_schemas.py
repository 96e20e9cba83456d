"""The shapes of what the API tells of a model's concepts.

Conventions as in `service.documents.schemas`; what a concept is, and how its references are found, says
`ml.concepts`.
"""

from typing import Literal

from pydantic import BaseModel, Field

from service.documents.order_schemas import ModelReference, Open


class SelfLink(BaseModel):
    """Where more is told of it."""

    self_: str = Field(alias="self")


class ConceptLinks(SelfLink):
    """Where the concept, and all of its model's, are found."""

    concepts: str


class TraitDocument(Open):
    """What the references of a concept most have in common."""

    kind: str = Field(description="What was compared, such as instrument, register or onset.")
    value: str
    purity: float = Field(ge=0, le=1, description="The share of the references' relevance that has it.")
    base: float = Field(ge=0, le=1, description="The share that has it in the whole reference set.")
    stated: bool = Field(description="Whether it is pure enough to be in the name.")


class _Concept(Open):
    channel: int
    status: Literal["named", "unnamed", "against", "dead"] = Field(
        description="Whether it has a name; or none, its references having little in common; or has never "
        "spoken for an instrument that played; or has never had any relevance."
    )
    name: str | None = Field(description="What its references have in common.")
    purity: float | None = Field(description="Of the least pure trait that the name states.")
    share: float = Field(description="Its part in the positive relevance of the layer, over all clips.")
    instruments: dict[str, float] = Field(description="What it is used for: its relevance by instrument.")
    traits: list[TraitDocument]


class ConceptSummary(_Concept):
    """A channel of a layer, in short."""

    n_references: int
    links: SelfLink


class LayerDocument(Open):
    """A layer's channels."""

    layer: str
    n_channels: int
    concepts: list[ConceptSummary]


class AtlasDocument(Open):
    """The concepts of a model."""

    model: ModelReference
    method: str = Field(description="By which relevance was computed.")
    soundfont: str = Field(description="The bank that the reference clips are rendered with.")
    left_out: list[str] = Field(description="Instruments of the model that no reference clip has.")
    statistics: dict[str, float] = Field(description="How references were found and measured.")
    layers: list[LayerDocument]


class ReferenceNote(BaseModel):
    """A note that sounds in a reference."""

    instrument: str
    pitch: int = Field(description="MIDI key; 60 is middle C.")
    velocity: int
    start_s: float
    end_s: float


class ReferenceDocument(Open):
    """A moment of a clip that most uses a concept; times count from the clip's beginning."""

    reference: int = Field(description="0 is the strongest.")
    clip: int
    instrument: str = Field(description="In whose explanation the concept has most of its relevance there.")
    relevance: float
    moment_s: float = Field(description="When most of the relevance arrives.")
    start_s: float = Field(description="What the concept sees at that moment: from here")
    end_s: float = Field(description="to here,")
    low_hz: float = Field(description="and from this frequency")
    high_hz: float = Field(description="to this one.")
    notes: list[ReferenceNote] = Field(description="What is played meanwhile.")
    wav: str = Field(description="The sound of what the concept sees; rendered when first asked for.")
    png: str = Field(description="The spectrogram of it, with the concept's relevance over it.")


class ConceptDocument(_Concept):
    """A channel of a layer, and the clips that show what it listens to."""

    model: ModelReference
    layer: str
    n_measured: int = Field(description="How many moments were measured for the traits.")
    references: list[ReferenceDocument]
    links: ConceptLinks

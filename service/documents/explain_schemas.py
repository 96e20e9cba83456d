"""The shapes of what an analysis finds: probabilities, maps, concepts, and how far to trust them.

Conventions as in `service.documents.schemas`.
"""

from pydantic import BaseModel, Field

from service.documents.order_schemas import Open, optional


class InstrumentScore(BaseModel):
    """How sure the model is of an instrument: the highest probability over all windows."""

    instrument: str
    probability: float = Field(ge=0, le=1)
    present: bool


class WindowScores(BaseModel):
    """The probabilities in one window of the recording."""

    start_s: float
    end_s: float
    probabilities: dict[str, float]


class ExportLinks(Open):
    """Where the result is found in the formats of other programs."""

    jams: str = Field(description="As a JAMS file: what is present, and every window's probabilities.")
    csv: str = Field(description="The instruments, with probability and threshold, as CSV.")
    timeline_csv: str = Field(description="The probabilities window by window, as CSV.")
    evidence_csv: str | None = optional("Of an explanation: the evidence step by step, as CSV.")


class ClassifyResult(Open):
    """Which instruments play, most probable first, and when."""

    instruments: list[InstrumentScore]
    timeline: list[WindowScores]
    exports: ExportLinks | None = optional("The same for other programs.")


class ImageAndNumbers(Open):
    """A picture, and the same as numbers."""

    png: str
    npz: str


class EvidenceSounds(Open):
    """The recording through a mask made from the map, and what the mask leaves, both as loud as it."""

    kept_wav: str
    removed_wav: str


class ConservationDocument(Open):
    """How much of the logit reached the input, on average over the windows."""

    logit: float = Field(description="What relevance started from.")
    relevance: float = Field(description="The sum of the map: what arrived.")
    gap: float = Field(
        description="1 - relevance / logit: the part of the logit that was absorbed on the way."
    )
    concept_error: float = Field(description="Deviation of concepts and remainder from the map, relative.")


class DeletionDocument(Open):
    """What becomes of the logit when a tenth of what sounds is taken away, patch by patch."""

    drop: float = Field(description="By how much it falls when the patches with the most relevance go.")
    random_drop: float = Field(description="By how much when as many go at random, on average.")
    gain: float | None = Field(
        description="The one over the other; null where the second is next to nothing."
    )


class SimilarMap(Open):
    """The map of another instrument found, and how like this one it is."""

    instrument: str
    similarity: float = Field(ge=-1, le=1, description="1 for the same map.")


class WarningDocument(Open):
    """A reason to trust a map less."""

    code: str = Field(description="Names the kind of warning; stable, to be compared.")
    detail: str


class StemTruthDocument(Open):
    """One stem's part in the map, and in the decision."""

    relevance: float = Field(description="The share of the signed relevance that lies on this stem.")
    shapley: float | None = Field(
        description="What the stem adds to the logit, by its Shapley value; null where there are too many "
        "mixes of stems to hear."
    )


class RestTruthDocument(Open):
    """What belongs to no stem: its part in the map."""

    relevance: float = Field(description="The share of the signed relevance that lies on it.")


class TruthDocument(Open):
    """How true a map is, measured against the stems of the mix."""

    mass_accuracy: float | None = Field(description="Share of the positive relevance where the stem sounds.")
    energy_share: float | None = Field(description="Share of the mix's energy that is the stem's.")
    skill: float | None = Field(
        description="(mass_accuracy - energy_share) / (1 - energy_share); 0 for pointing at what is loud. "
        "null where the stem is nearly all that sounds."
    )
    pointing: bool | None = Field(
        description="Whether the strongest cell is the stem's, more than any other stem's or the rest's."
    )
    rank_accuracy: float | None = Field(
        description="Of as many of the strongest cells as the stem has, the share that is the stem's."
    )
    own_stem: bool | None = Field(
        description="Whether the map lies on this stem more than on any other, and more than on the rest."
    )
    time_overlap: float | None = Field(description="How far relevance and the stem sound at the same time.")
    stems: dict[str, StemTruthDocument] = Field(description="By instrument.")
    rest: RestTruthDocument = Field(
        description="What sounds and belongs to none of these stems: in a MIDI file drums, and instruments "
        "that the model does not know."
    )
    shapley_correlation: float | None = Field(
        description="Between the two figures of the stems; null where there are too few."
    )
    mask: ImageAndNumbers | None = Field(
        description="The share of every cell that is the stem's: the map that would tell the truth."
    )


class QualityDocument(Open):
    """How far to trust a map."""

    conservation: ConservationDocument
    deletion: DeletionDocument
    probability_kept: float = Field(ge=0, le=1, description="The model's probability on `kept_wav`.")
    probability_removed: float = Field(ge=0, le=1, description="The model's probability on `removed_wav`.")
    evidence_maps: int = Field(
        ge=1,
        description="How many maps the mask of the sounds was made from: more than one where the instrument "
        "was still heard without the first.",
    )
    kept_energy_share: float = Field(
        description="Energy of what is kept, before its loudness is matched, in that of the recording: the "
        "less of it is needed, the more the mask says."
    )
    most_alike: SimilarMap | None = Field(description="null where no other instrument was found.")
    warnings: list[WarningDocument]
    truth: TruthDocument | None = Field(
        description="null unless the stems are known: those of a check, or of a MIDI file."
    )


class EvidenceTimeline(Open):
    """When the evidence comes: the sum of the map over all frequencies, step by step."""

    start_s: float
    step_s: float
    evidence: list[float] = Field(description="Signed; positive speaks for the instrument.")


class NoteDocument(Open):
    """A note of a MIDI file, and its part in the evidence."""

    instrument: str | None = Field(description="Who plays it; null for what the model does not know.")
    pitch: int = Field(description="MIDI key; 60 is middle C.")
    start_s: float
    end_s: float
    relevance: float = Field(description="Signed; positive speaks for the instrument.")
    share: float


class NotesRemainder(Open):
    """What lies on no note that is listed."""

    relevance: float
    share: float


class ConceptLink(Open):
    """Where the clips are found that show a concept."""

    concept: str


class ConceptDocument(Open):
    """What one channel of the network contributes; the last entry states the remainder of all others."""

    layer: str
    channel: int | None = Field(description="null for the remainder.")
    remainder: bool = Field(description="Whether this is all that the other entries leave.")
    name: str | None = Field(description="What the atlas calls it; null where it does not say.")
    purity: float | None = Field(description="How pure the concept is in what its name states.")
    relevance: float = Field(description="Signed; positive speaks for the instrument.")
    share: float = Field(description="Signed part of the relevance of all channels, each by its magnitude.")
    map: ImageAndNumbers
    links: ConceptLink | None = Field(description="null where the atlas does not have it.")


class InstrumentExplanation(Open):
    """Why the model says that an instrument plays."""

    instrument: str
    probability: float = Field(ge=0, le=1)
    found: bool = Field(
        description="Whether it is present. If not, the map shows what speaks for it, and what against."
    )
    contrast: str | None = Field(
        description="The instrument that it is held against: the map shows what speaks for the one rather "
        "than the other."
    )
    map: ImageAndNumbers = Field(description="Signed relevance over frequency and time.")
    timeline: EvidenceTimeline
    notes: list[NoteDocument] | None = optional("Of a MIDI file: the evidence on its strongest notes.")
    off_notes: NotesRemainder | None = optional("Of a MIDI file: the evidence that lies on none of these.")
    evidence: EvidenceSounds
    concepts: list[ConceptDocument]
    quality: QualityDocument


class SoundLink(Open):
    """Where the sound that was analysed is found."""

    wav: str


class ImageLink(Open):
    """Where a picture is found."""

    png: str


class ExplainResult(ClassifyResult):
    """The classification, and the evidence for each instrument."""

    audio: SoundLink
    spectrogram: ImageAndNumbers
    overview: ImageLink = Field(description="The maps of all instruments side by side.")
    engine: str = Field(description="What computed the maps: direct, or zennit.")
    method: str = Field(description="By which rules.")
    layer: str = Field(description="Whose channels the concepts are.")
    explanations: list[InstrumentExplanation]

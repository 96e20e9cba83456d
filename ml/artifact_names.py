"""Names of the files of a result: the same in the service's links and in the command line's folder."""

from __future__ import annotations

from ml.explained import ConceptExplanation, InstrumentExplanation
from ml.instruments import slug_of

AUDIO_NAME = "audio.wav"
OVERVIEW_NAME = "overview.png"
JAMS_NAME = "result.jams"
INSTRUMENTS_NAME = "instruments.csv"
TIMELINE_NAME = "timeline.csv"
EVIDENCE_NAME = "evidence.csv"
SPECTROGRAM_NAME = "spectrogram"  # without ending, as the names of all that is both picture and numbers


def map_name(instrument: InstrumentExplanation) -> str:
    """Name, without ending, of the files of an instrument's map."""
    return f"map-{slug_of(instrument.instrument)}"


def concept_name(instrument: InstrumentExplanation, concept: ConceptExplanation) -> str:
    """Name, without ending, of the files of a concept's map, or of the remainder's."""
    part = "remainder" if concept.channel is None else f"concept-{concept.channel:03d}"
    return f"{part}-{slug_of(instrument.instrument)}"


def evidence_name(instrument: InstrumentExplanation, part: str) -> str:
    """Name of the sound that was ``"kept"`` as an instrument's evidence, or ``"removed"`` with it."""
    return f"{part}-{slug_of(instrument.instrument)}.wav"


def mask_name(instrument: InstrumentExplanation) -> str:
    """Name, without ending, of the files of an instrument's true share of the mix."""
    return f"mask-{slug_of(instrument.instrument)}"

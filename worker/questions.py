"""What a job is to find out: about which sound, of which model, in which way.

Conventions: questions are checked when they are accepted (`service`) and plain values from then on. What only
the worker can know (samples that are no numbers, say) is found when the question is answered.
"""

from dataclasses import dataclass

# What `ml` accepts; repeated here, and compared by a test, because the API must not import it.
LONGEST_EXPLAINED_S = 60.0
MAX_CONCEPTS = 64
DEFAULT_CONCEPTS = 5
MAX_STEMS = 8


@dataclass(frozen=True)
class JobInput:
    """The recording a job is about, as its headers describe it; rate and channels are None for MIDI."""

    filename: str
    sha256: str
    format: str
    duration_s: float
    sample_rate_hz: int | None
    channels: int | None


@dataclass(frozen=True)
class StemInput:
    """One of the recordings that a mix is made of, and the instrument that plays in it."""

    instrument: str
    recording: JobInput


@dataclass(frozen=True)
class ModelRef:
    """A model, and the hash of its weights.

    `version` says which of a published model's versions it is, card and weights (`ml.model_store`); it is
    empty for the models that workers bring along.
    """

    id: str
    sha256: str
    version: str = ""


@dataclass(frozen=True)
class Parameters:
    """What the request asked for besides the sound."""

    threshold: float | None = None
    instruments: tuple[str, ...] | None = None
    n_concepts: int = DEFAULT_CONCEPTS
    start_s: float | None = None
    duration_s: float | None = None
    engine: str | None = None
    method: str | None = None
    layer: str | None = None
    contrast: str | None = None


PLAIN = Parameters()

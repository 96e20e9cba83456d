"""What a job is to make when it is not about a recording: a data set, or a model.

Conventions: orders are checked when they are accepted and plain JSON from then on; what they name (a recipe,
a configuration) is parsed again by the worker that carries them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# What `ml.checkpoint` accepts; repeated here, and compared by a test, because the API must not import it.
MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


@dataclass(frozen=True)
class DatasetOrder:
    """A data set: what it should sound like, where it goes, what is kept beside the log-mels."""

    recipe: Mapping[str, object]
    url: str
    audio: bool
    stems: bool

    @property
    def place(self) -> str:
        """What only one unfinished job at a time may write to."""
        return self.url


@dataclass(frozen=True)
class TrainingOrder:
    """A model: what it learns from, what it will be called, how it is trained."""

    dataset_url: str
    model_id: str
    config: Mapping[str, object]
    overwrite: bool

    @property
    def place(self) -> str:
        """What only one unfinished job at a time may write to."""
        return f"model:{self.model_id}"

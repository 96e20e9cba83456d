"""How far a job is, as its record, its events and its documents tell it.

Conventions: `done` of `total` steps of the stage; a data set counts clips, a training the steps of all its
epochs. What a kind of job has no use for is None, and left out of documents.
"""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class EpochMetrics:
    """What the last epoch of a training gave."""

    epoch: int
    n_epochs: int
    train_loss: float
    validation_loss: float
    macro_f1: float


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` steps of the stage, how fast, and for how much longer."""

    stage: str
    done: int
    total: int
    per_second: float | None = None
    left_s: float | None = None
    metrics: EpochMetrics | None = None

    def document(self) -> dict[str, object]:
        """The members as they stand in JSON."""
        fields = asdict(self)
        optional = ("per_second", "left_s", "metrics")
        return {name: value for name, value in fields.items() if name not in optional or value is not None}


def paced(stage: str, done: int, total: int, *, done_before: int, elapsed_s: float) -> Progress:
    """Progress with its pace since the work went on at `done_before`, `elapsed_s` ago."""
    if done <= done_before or elapsed_s <= 0.0:
        return Progress(stage, done, total)
    per_second = (done - done_before) / elapsed_s
    return Progress(stage, done, total, round(per_second, 3), round((total - done) / per_second, 1))

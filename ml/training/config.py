"""What a training run is told; stored in the model card."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ml.errors import InvalidRequestError


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of one training run.

    Attributes
    ----------
    network : str
        A name in `ml.networks.registry.NETWORKS`.
    n_epochs, batch_size : int
    learning_rate : float
        Of Adam at its highest; it rises over the first half epoch and falls to zero along a cosine.
    mix_probability : float
        Share of training clips that another clip is added to, power to power, at -6..6 dB, with the labels of
        both.
    seed : int
        Of initial weights, order, mixing and dropout.
    """

    network: str = "default"
    n_epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    mix_probability: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_epochs < 1 or self.batch_size < 1:
            raise InvalidRequestError(
                f"A training needs at least one epoch and one clip per batch, "
                f"not {self.n_epochs} and {self.batch_size}."
            )
        if not 0.0 <= self.mix_probability <= 1.0:
            raise InvalidRequestError(f"The mix probability {self.mix_probability} is outside 0..1.")
        if not 0.0 < self.learning_rate < 1.0:
            raise InvalidRequestError(f"The learning rate {self.learning_rate} is outside 0..1.")

    def to_dict(self) -> dict[str, float | int | str]:
        """Plain fields, as stored in the model card."""
        return asdict(self)

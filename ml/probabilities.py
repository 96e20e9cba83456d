"""From logits to probabilities that mean what they say.

A network's logits order clips well but are too sure of sounds unlike those it was trained on. A model card
therefore holds a calibration, fitted on sounds kept out of training (Platt, *Probabilistic outputs for
support vector machines*, 1999; one common scale and one offset per label):
``p_c = 1 / (1 + exp(-(scale * z_c + offset_c)))``. Relevance explains ``z_c`` itself.

Cards are read where nothing is computed, so scipy is imported only where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PRIOR_WEIGHT = 1.0  # of a weak pull to scale 1 and offsets 0, so that separable logits have an answer


class Calibration(BaseModel):
    """One scale, and an offset by label (0 where none is named)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: Annotated[float, Field(gt=0.0)] = 1.0
    offsets: dict[str, float] = Field(default_factory=dict)

    def probabilities(self, logits: NDArray[np.floating], labels: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of labels.

        Parameters
        ----------
        logits : ndarray, shape (..., n_labels)
        labels : sequence of str
            Name of each column.

        Returns
        -------
        ndarray of float64, same shape
        """
        import numpy as np  # cards are read where nothing is computed
        from scipy.special import expit

        offsets = np.array([self.offsets.get(label, 0.0) for label in labels])
        probabilities: NDArray[np.float64] = expit(self.scale * logits.astype(np.float64) + offsets)
        return probabilities


def fit_calibration(
    logits: NDArray[np.floating], truth: NDArray[np.bool_], labels: Sequence[str]
) -> Calibration:
    """The calibration that makes what was true most likely.

    Parameters
    ----------
    logits : ndarray, shape (n, n_labels)
        Of sounds the network was not trained on.
    truth : ndarray of bool, shape (n, n_labels)
    labels : sequence of str

    Returns
    -------
    Calibration
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    z, y = logits.astype(np.float64), truth.astype(np.float64)

    def loss_and_gradient(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_scale, offsets = parameters[0], parameters[1:]
        scale = np.exp(log_scale)
        argument = scale * z + offsets
        loss = float((np.logaddexp(0.0, argument) - y * argument).sum())
        surplus = expit(argument) - y
        gradient = np.concatenate([[scale * (surplus * z).sum()], surplus.sum(axis=0)])
        return (
            loss + 0.5 * _PRIOR_WEIGHT * float(parameters @ parameters),
            gradient + _PRIOR_WEIGHT * parameters,
        )

    fitted = minimize(loss_and_gradient, np.zeros(1 + z.shape[1]), jac=True, method="L-BFGS-B").x
    offsets = {label: round(float(offset), 4) for label, offset in zip(labels, fitted[1:], strict=True)}
    return Calibration(scale=round(float(np.exp(fitted[0])), 4), offsets=offsets)

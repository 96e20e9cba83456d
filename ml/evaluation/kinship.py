"""Whether a data set is one that a model knows already, so that its figures would flatter the model.

Training ends by fitting calibration and thresholds on the validation part of its data set, or, with
SoundFonts left out, on what those play in the training part; `timbrescope calibrate` fits them on folds.
`training.calibrated_on` on the card says which; cards without it are of trainings that used the
validation part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.checkpoint import ModelCard


@dataclass(frozen=True)
class Kinship:
    """What a model has to do with a data set.

    Attributes
    ----------
    trained_on : bool
        Whether it was trained on the training part.
    began_with : bool
        Whether the weights that its training began with were.
    fitted_on : bool
        Whether its calibration and thresholds were fitted on the very clips of the validation part.
    calibrated_with : bool
        Whether they were fitted on other clips of the data set.
    """

    trained_on: bool
    began_with: bool
    fitted_on: bool
    calibrated_with: bool

    def told(self, model: str) -> str:
        """Sentences for the report about the clips of the validation part.

        Parameters
        ----------
        model : str
            What the model is called, as a subject: ``The model``.

        Returns
        -------
        str
        """
        told = []
        if self.fitted_on:
            told.append(
                f"**{model} knows these clips: its calibration and thresholds were fitted on these very "
                f"clips. The figures flatter it and are no test.**"
            )
        if self.trained_on:
            told.append(f"{model} was trained on this data set's training part.")
        if self.began_with:
            told.append(f"{model} began with weights that were trained on this data set's training part.")
        if self.calibrated_with:
            told.append(f"{model}'s calibration and thresholds were fitted on other clips of this data set.")
        return " ".join(told) or f"{model} was not trained on this data set."


def kinship(card: ModelCard, digest: str) -> Kinship:
    """Look a data set up on a model's card.

    Parameters
    ----------
    card : ModelCard
    digest : str
        Of the data set (`ml.dataset.manifest.Manifest.digest`).

    Returns
    -------
    Kinship
    """
    own = card.dataset.get("digest")
    calibrated_on: dict[str, Any] = card.training.get("calibrated_on") or {"split": "validation"}
    is_calibrated = calibrated_on.get("dataset_digest", own) == digest
    on_validation = calibrated_on.get("split") == "validation"
    began: dict[str, Any] = card.training.get("started_from") or {}
    return Kinship(
        trained_on=own == digest,
        began_with=began.get("dataset_digest") == digest,
        fitted_on=is_calibrated and on_validation,
        calibrated_with=is_calibrated and not on_validation,
    )

"""What a training run is told; stored in the model card.

This module is free of torch, so that a request can be checked where no network runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ml.errors import FieldFault, InvalidRequestError, named
from ml.synthesis.sections import NO_BOOLEAN, Integer, YesOrNo

Share = Annotated[float, Field(ge=0.0, le=1.0), NO_BOOLEAN]


class TrainingConfig(BaseModel):
    """Configuration of one training run.

    Attributes
    ----------
    network : str
        A name in `ml.networks.registry.NETWORKS`.
    n_epochs, batch_size : int
    learning_rate : float
        Of AdamW at its highest; it rises over the first half epoch and falls to zero along a cosine.
    weight_decay : float
        Of AdamW.
    seed : int
        Of initial weights, order, mixing, augmentation and dropout.
    mix_probability : float
        Share of training clips that another clip is added to, power to power, at -6..6 dB, with the labels of
        both. Not together with `remix`, which mixes everything.
    remix : bool
        Mix every example anew from the data set's clips of one instrument (`ml.training.remix`); what sounds
        when is then known and may be supervised.
    examples_per_epoch : int or None
        With `remix`: how many examples make an epoch; None for as many as the training part has clips.
    number_weights : tuple of float
        With `remix`: relative chance of 1, 2, 3, ... instruments per example.
    soundfont_weights : dict of str to float
        With `remix`: how often each SoundFont is drawn in relation to others; 1 where none is named.
    gain_db : float
        With `remix`: each part's level is drawn from -gain_db..gain_db.
    crop_s : float or None
        With `remix`: length of the examples; None for whole clips.
    augment : bool
        With `remix`: change parts and mixes as in `ml.training.augment`.
    sounding_weight : float
        With `remix`: weight of the loss that asks of each evidence step whether the instrument sounds in it.
    relevance_weight : float
        With `remix`: weight of the loss that asks relevance to fall where the instrument is
        (`ml.training.relevance_loss`). Batch norms' statistics are then held, so such a run goes on with a
        trained model.
    left_out_soundfonts : tuple of str
        Sounds of these are kept out of training and make the validation part (leave one out).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: Literal["default", "reference", "reference-deep"] = "default"
    n_epochs: Annotated[Integer, Field(ge=1, le=10_000)] = 20
    batch_size: Annotated[Integer, Field(ge=1, le=4_096)] = 64
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0), NO_BOOLEAN] = 1e-3
    weight_decay: Annotated[float, Field(ge=0.0, lt=1.0), NO_BOOLEAN] = 0.0
    seed: Annotated[Integer, Field(ge=0, lt=2**31)] = 0
    mix_probability: Share = 0.0
    remix: YesOrNo = False
    examples_per_epoch: Annotated[Integer, Field(ge=1)] | None = None
    number_weights: tuple[Annotated[float, Field(ge=0.0, le=1e6), NO_BOOLEAN], ...] = (0.25, 0.3, 0.25, 0.2)
    soundfont_weights: dict[str, Annotated[float, Field(gt=0.0, le=1e6), NO_BOOLEAN]] = Field(
        default_factory=dict
    )
    gain_db: Annotated[float, Field(ge=0.0, le=40.0), NO_BOOLEAN] = 8.0
    crop_s: Annotated[float, Field(ge=0.5, le=60.0), NO_BOOLEAN] | None = None
    augment: YesOrNo = False
    sounding_weight: Annotated[float, Field(ge=0.0, le=100.0), NO_BOOLEAN] = 0.0
    relevance_weight: Annotated[float, Field(ge=0.0, le=100.0), NO_BOOLEAN] = 0.0
    left_out_soundfonts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _remixing_is_asked_for(self) -> Self:
        needs_remix = {
            "examples_per_epoch": self.examples_per_epoch is not None,
            "crop_s": self.crop_s is not None,
            "augment": self.augment,
            "sounding_weight": self.sounding_weight > 0.0,
            "relevance_weight": self.relevance_weight > 0.0,
        }
        without = [name for name, asked in needs_remix.items() if asked and not self.remix]
        if without:
            raise ValueError(f"{', '.join(without)} need remix")
        if self.remix and self.mix_probability > 0.0:
            raise ValueError("mix_probability and remix cannot both be asked for")
        if self.network != "default" and self.sounding_weight + self.relevance_weight > 0.0:
            raise ValueError(
                f"sounding_weight and relevance_weight need evidence over time; {self.network} gives none"
            )
        if not any(self.number_weights):
            raise ValueError("number_weights must have a positive one")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain fields, as stored in the model card."""
        return self.model_dump(mode="json")


def parse_config(fields: dict[str, Any]) -> TrainingConfig:
    """Validate a configuration.

    Parameters
    ----------
    fields : dict
        Fields of `TrainingConfig`; those left out have their defaults.

    Returns
    -------
    TrainingConfig

    Raises
    ------
    InvalidRequestError
        Naming every field that is unknown or out of range.
    """
    try:
        return TrainingConfig.model_validate(fields)
    except ValidationError as error:
        faults = [
            FieldFault(
                ".".join(map(str, fault["loc"])) or "configuration",
                fault["msg"].removeprefix("Value error, "),
            )
            for fault in error.errors()
        ]
        raise InvalidRequestError(
            f"The training configuration is not valid: {'; '.join(map(str, faults))}.", extra=named(faults)
        ) from error


def read_config(path: Path | None, overrides: dict[str, Any]) -> TrainingConfig:
    """Read a configuration file.

    Parameters
    ----------
    path : Path or None
        YAML or JSON; None for none.
    overrides : dict
        Fields that go before the file's.

    Returns
    -------
    TrainingConfig

    Raises
    ------
    InvalidRequestError
        When the file cannot be read or is no mapping, or as for `parse_config`.
    """
    fields: Any = {}
    if path is not None:
        try:
            fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidRequestError(
                f"The configuration {path} cannot be read: {error.strerror}."
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InvalidRequestError(f"The configuration {path} is not YAML.") from error
    if not isinstance(fields, dict):
        raise InvalidRequestError(f"The configuration {path} is not a mapping of fields.")
    return parse_config({**fields, **overrides})

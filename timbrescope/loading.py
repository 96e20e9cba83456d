"""What the offline commands take from the disk and make on it: models, recordings, texts, folders.

The science is imported when something of it is asked for, never when the command line is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ml.errors import InvalidRequestError

if TYPE_CHECKING:
    from ml.model import Model
    from ml.recording import Recording


def model_folder(name: str) -> Path:
    """The folder of a shipped model by id, or of any model by path."""
    from ml.checkpoint import CARD_NAME, SHIPPED_MODELS, list_cards
    from ml.errors import UnknownModelError

    models_dir = Path(os.environ.get("TIMBRESCOPE_MODELS_DIR") or SHIPPED_MODELS)
    for folder in (models_dir / name, Path(name)):
        if (folder / CARD_NAME).is_file():
            return folder
    available = [card.id for card in list_cards(models_dir)]
    raise UnknownModelError(
        f"There is no model {name!r}; there are {', '.join(available) or 'none'}, or name a model folder.",
        extra={"unknown": name, "available": available},
    )


def open_model(name: str, device: str) -> Model:
    """A shipped model by id, or any model folder by path."""
    from ml.model import load_model

    return load_model(model_folder(name), device)


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{file} cannot be read as text: {error}.") from error


def read_upload(file: Path) -> bytes:
    """A file as it would be uploaded; more than may be uploaded is not read."""
    from ml.media import MediaLimits

    try:
        with file.open("rb") as stream:
            return stream.read(MediaLimits().max_bytes + 1)
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read: {error.strerror}.") from error


def soundfont() -> str | None:
    """The SoundFont that MIDI files are rendered with; None for the system's."""
    return os.environ.get("TIMBRESCOPE_SOUNDFONT") or None


def decoded(data: bytes, model: Model) -> Recording:
    """What an uploaded file sounds like."""
    from ml.recording import load_recording

    return load_recording(data, sample_rate_hz=model.sample_rate_hz, soundfont=soundfont())


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequestError(f"The folder {folder} cannot be made: {error.strerror}.") from error

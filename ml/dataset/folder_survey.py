"""Looking through a folder of labelled recordings, one subfolder per label, before anything is written.

A recording is known by its content: files of the same bytes in two label folders are one recording with two
labels. Everything is decoded once here, so that what cannot be read is known before a data set is begun.
Files that are no recordings, and recordings without sound, are left out; the manifest lists them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.dataset.folder_files import LIMITS, files_of
from ml.dataset.folder_split import drawn_splits
from ml.dataset.manifest import FolderSource
from ml.errors import InvalidRequestError
from ml.instruments import slug_of
from ml.media import MediaError, decode_audio
from ml.melspec import MelConfig, level_db
from ml.synthesis.plan import Split
from ml.windows import Window, cut_windows, window_inputs, window_levels

SILENT, NO_RECORDING = "it is silent throughout.", "it is no recording."
WINDOWS_AT_ONCE = 100  # of two hours, all at once would take as much memory as the sound again
NAMED_FAULTS = 5  # of many files that cannot be read, so many are named in the message; `extra` has them all

SurveyProgress = Callable[[int, int], None]  # (files looked at, files in all)


class InvalidFolderError(InvalidRequestError):
    """A folder that is no collection of labelled recordings, or holds what cannot be read."""

    code = "invalid-folder"


@dataclass(frozen=True)
class FoundRecording:
    """A recording that will become clips.

    Attributes
    ----------
    path : str
        In the folder; the first by name of those with this content.
    sha256 : str
    labels : tuple of int
        Places in `Survey.labels`, ascending.
    windows : tuple of Window
        Its stretches that are not silent.
    split : {"train", "validation"}
    """

    path: str
    sha256: str
    labels: tuple[int, ...]
    windows: tuple[Window, ...]
    split: Split


@dataclass(frozen=True)
class Survey:
    """What a folder holds: its labels, its recordings by path, and what a manifest says of it."""

    labels: tuple[str, ...]
    recordings: tuple[FoundRecording, ...]
    source: FolderSource


def survey_folder(
    folder: Path,
    *,
    validation_share: float,
    seed: int,
    skip_unreadable: bool,
    mel: MelConfig,
    on_progress: SurveyProgress | None = None,
) -> Survey:
    """Look through a folder and decide which recordings validate.

    Parameters
    ----------
    folder : Path
        Holds one folder per label; folders within those are searched too, hidden files are not.
    validation_share : float
        In 0..1; how recordings are shared out, see `ml.dataset.folder_split`.
    seed : int
        Of that draw.
    skip_unreadable : bool
        Whether files that cannot be read are left out instead of refused.
    mel : MelConfig
    on_progress : callable, optional

    Returns
    -------
    Survey

    Raises
    ------
    InvalidFolderError
        When there are fewer than two labels, a label without recordings, labels that cannot be told apart in
        file names, recordings that cannot be read (all are listed in `extra`), or none that could validate.
    """
    if not 0.0 <= validation_share < 1.0:
        raise InvalidRequestError(
            f"The share that validates must lie in 0..1, below 1; it is {validation_share}."
        )
    labels = _labels(folder)
    by_content, left_out = _contents(folder, labels)
    n_files = sum(map(len, by_content.values()))
    windows: dict[str, tuple[Window, ...]] = {}
    unreadable: dict[str, str] = {}
    for done, (digest, paths) in enumerate(sorted(by_content.items(), key=lambda item: item[1][0]), start=1):
        try:
            if sounding := _sounding_windows(folder / paths[0], mel):
                windows[digest] = sounding
            else:
                left_out |= dict.fromkeys(paths, SILENT)
        except (MediaError, OSError) as error:
            unreadable |= {path: str(error) for path in paths}
        if on_progress is not None:
            on_progress(done, len(by_content))
    if unreadable and not skip_unreadable:
        named = "; ".join(f"{path}: {why}" for path, why in sorted(unreadable.items())[:NAMED_FAULTS])
        raise InvalidFolderError(
            f"{len(unreadable)} of {n_files} files in {folder} cannot be read: {named}",
            extra={"unreadable": unreadable},
        )
    splits = drawn_splits(
        {digest: _label_places(by_content[digest], labels) for digest in windows}, validation_share, seed
    )
    recordings = [
        FoundRecording(
            by_content[digest][0], digest, _label_places(by_content[digest], labels), found, splits[digest]
        )
        for digest, found in windows.items()
    ]
    for place, label in enumerate(labels):
        if not any(place in recording.labels for recording in recordings):
            raise InvalidFolderError(
                f"None of the files of label {label!r} in {folder} can be read and has sound."
            )
    if validation_share > 0.0 and "validation" not in splits.values():
        raise InvalidFolderError(
            f"No recording in {folder} would validate: no label has one to spare. Add recordings, or ask "
            f"for a validation_share of 0 (it is {validation_share:g})."
        )
    files = {path: digest for digest in windows for path in by_content[digest]}
    source = FolderSource(
        folder.resolve().name,
        dict(sorted(files.items())),
        dict(sorted((unreadable | left_out).items())),
        validation_share,
        seed,
    )
    return Survey(labels, tuple(sorted(recordings, key=lambda recording: recording.path)), source)


def decode_file(path: Path, mel: MelConfig) -> NDArray[np.float32]:
    """Sound of a file, mono at the front end's rate, within `ml.dataset.folder_files.LIMITS`."""
    with path.open("rb") as stream:
        data = stream.read(LIMITS.max_bytes + 1)
    return decode_audio(data, mel.sample_rate_hz, LIMITS)


def _labels(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise InvalidFolderError(f"{folder} is no folder.")
    labels = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(labels) < 2:
        raise InvalidFolderError(
            f"{folder} holds {len(labels)} folders; there must be one for each of at least two labels."
        )
    slugs: dict[str, str] = {}
    for label in labels:
        slug = slug_of(label)
        if not slug:
            raise InvalidFolderError(f"The label {label!r} needs a letter a-z or a digit, for file names.")
        if slug in slugs:
            raise InvalidFolderError(f"The labels {slugs[slug]!r} and {label!r} are the same in file names.")
        slugs[slug] = label
    return labels


def _contents(folder: Path, labels: tuple[str, ...]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Paths of recordings by their SHA-256, of one content the first by name first; and what is left out."""
    by_content: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for label in labels:
        found = files_of(folder / label)
        left_out |= {file.relative_to(folder).as_posix(): NO_RECORDING for file in found.others}
        if not found.recordings:
            others = f" (there is {found.others[0].name})" if found.others else ""
            raise InvalidFolderError(f"The folder of label {label!r} in {folder} holds no recording{others}.")
        for file in found.recordings:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            by_content.setdefault(digest, []).append(file.relative_to(folder).as_posix())
    return by_content, left_out


def _sounding_windows(path: Path, mel: MelConfig) -> tuple[Window, ...]:
    samples = decode_file(path, mel)
    windows = cut_windows(len(samples) / mel.sample_rate_hz, mel)
    levels = level_db(samples, mel)
    sounding: list[Window] = []
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        part = windows[first : first + WINDOWS_AT_ONCE]
        _, silent = window_inputs(window_levels(levels, part), mel)
        sounding += [window for window, is_silent in zip(part, silent, strict=True) if not is_silent]
    return tuple(sounding)


def _label_places(paths: list[str], labels: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sorted({labels.index(path.split("/", 1)[0]) for path in paths}))

"""Looking through a folder of labelled recordings, one subfolder per label, before anything is written.

A recording is known by its content: files of the same bytes in two label folders are one recording with two
labels. Everything is decoded once here, so that what cannot be read is known before a data set is begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.dataset.manifest import FolderSource
from ml.errors import InvalidRequestError
from ml.instruments import slug_of
from ml.media import MediaError, MediaLimits, decode_audio
from ml.melspec import MelConfig, level_db
from ml.synthesis.plan import Split
from ml.windows import Window, cut_windows, window_inputs, window_levels

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
        In 0..1. The recordings of each set of labels are shared out alone; of two or more, one validates at
        least, and one is trained on.
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
        file names, or files that cannot be read (all are listed in `extra`).
    """
    if not 0.0 <= validation_share < 1.0:
        raise InvalidRequestError(
            f"The share that validates must lie in 0..1, below 1; it is {validation_share}."
        )
    labels = _labels(folder)
    by_content = _contents(folder, labels)
    n_files = sum(map(len, by_content.values()))
    windows: dict[str, tuple[Window, ...]] = {}
    unreadable: dict[str, str] = {}
    for done, (digest, paths) in enumerate(sorted(by_content.items(), key=lambda item: item[1][0]), start=1):
        try:
            windows[digest] = _sounding_windows(folder / paths[0], mel)
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
    splits = _drawn_splits(
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
            raise InvalidFolderError(f"None of the files of label {label!r} in {folder} can be read.")
    files = {path: digest for digest in windows for path in by_content[digest]}
    source = FolderSource(
        folder.resolve().name,
        dict(sorted(files.items())),
        dict(sorted(unreadable.items())),
        validation_share,
        seed,
    )
    return Survey(labels, tuple(sorted(recordings, key=lambda recording: recording.path)), source)


def decode_file(path: Path, mel: MelConfig) -> NDArray[np.float32]:
    """Sound of a file, mono at the front end's rate, within the limits of `ml.media`."""
    limits = MediaLimits()
    with path.open("rb") as stream:
        data = stream.read(limits.max_bytes + 1)
    return decode_audio(data, mel.sample_rate_hz, limits)


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


def _contents(folder: Path, labels: tuple[str, ...]) -> dict[str, list[str]]:
    """Paths of the files by their SHA-256; of one content, the first by name comes first."""
    by_content: dict[str, list[str]] = {}
    for label in labels:
        files = list(_files(folder / label))
        if not files:
            raise InvalidFolderError(f"The folder of label {label!r} in {folder} is empty.")
        for file in files:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            by_content.setdefault(digest, []).append(file.relative_to(folder).as_posix())
    return by_content


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _sounding_windows(path: Path, mel: MelConfig) -> tuple[Window, ...]:
    samples = decode_file(path, mel)
    windows = cut_windows(len(samples) / mel.sample_rate_hz, mel)
    _, silent = window_inputs(window_levels(level_db(samples, mel), windows), mel)
    sounding = tuple(window for window, is_silent in zip(windows, silent, strict=True) if not is_silent)
    if not sounding:
        raise MediaError("it is silent throughout.")
    return sounding


def _label_places(paths: list[str], labels: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sorted({labels.index(path.split("/", 1)[0]) for path in paths}))


def _drawn_splits(labels: dict[str, tuple[int, ...]], share: float, seed: int) -> dict[str, Split]:
    """Share out recordings, by content, so that the order and names of files do not matter."""
    splits: dict[str, Split] = {}
    for of_group in sorted(set(labels.values())):
        members = sorted(digest for digest, found in labels.items() if found == of_group)
        n_validation = round(len(members) * share)
        if share > 0.0 and len(members) > 1:
            n_validation = min(max(n_validation, 1), len(members) - 1)
        order = np.random.default_rng([seed, *of_group, len(of_group)]).permutation(len(members))
        for rank, place in enumerate(order):
            splits[members[place]] = "validation" if rank < n_validation else "train"
    return splits

"""Corpora: the collections of scores that phrases are cut from.

Scores take long to read, some a minute. So each is kept for the life of the process, as long as there is
room, and whoever waits is told of every one: to stop between two of them loses nothing.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ml.errors import FieldFault, SystemDependencyError, named
from ml.synthesis.melodies.phrases import Part, draw_phrase, read_parts
from ml.synthesis.melodies.settings import PhraseMelody
from ml.synthesis.melodies.source import (
    Melodic,
    Occasion,
    OnFile,
    nobody_watches,
    source_fault,
)

MIDI_ENDINGS = (".mid", ".midi", ".smf")
KEPT_FILES = 2_000


class MissingCorpusError(SystemDependencyError):
    """The package that brings a corpus along is not installed."""

    code = "missing-corpus"


class PhraseSource:
    """Phrases of a folder of MIDI files, or of music21's scores."""

    def __init__(self, settings: PhraseMelody, on_file: OnFile = nobody_watches) -> None:
        self._settings = settings
        if settings.folder is not None:
            self._parts = read_folder(Path(settings.folder), settings.max_files, on_file)
        else:
            self._parts = read_music21(settings.works, settings.max_files, on_file)

    def draw(self, occasion: Occasion) -> Melodic:
        return draw_phrase(self._parts, self._settings, occasion)


def read_folder(folder: Path, max_files: int, on_file: OnFile = nobody_watches) -> list[Part]:
    """Read the parts of a folder's MIDI files.

    Parameters
    ----------
    folder : Path
        Searched in depth.
    max_files : int
        Only so many are read, the first by name.
    on_file : callable, optional
        Called with (files read, files in all) after every one; may raise to stop.

    Returns
    -------
    list of Part

    Raises
    ------
    MelodySourceError
        When the folder cannot be read, has no MIDI files, or one of them cannot be read.
    """
    if not folder.is_dir():
        raise source_fault("folder", f"{folder} is not a folder.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI_ENDINGS)[:max_files]
    if not paths:
        raise source_fault("folder", f"{folder} has no MIDI files ({', '.join(MIDI_ENDINGS)}).")
    parts: list[Part] = []
    for done, path in enumerate(paths, start=1):
        try:
            stat = path.stat()
            parts += _read_file(path, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise source_fault("folder", f"{path} cannot be read: {error.strerror}.") from error
        on_file(done, len(paths))
    if not parts:
        raise source_fault("folder", f"the MIDI files in {folder} have notes for drums only.")
    return parts


@functools.lru_cache(maxsize=KEPT_FILES)
def _read_file(path: Path, size: int, mtime_ns: int) -> list[Part]:
    """A file's parts, as long as it does not change."""
    return read_parts(path.read_bytes(), "folder", str(path))


def read_music21(works: str, max_files: int, on_file: OnFile = nobody_watches) -> list[Part]:
    """Read the parts of music21's scores.

    Parameters
    ----------
    works : str
        Part of the scores' path within the corpus.
    max_files : int
        Only so many are read, the first by name.
    on_file : callable, optional
        Called with (files read, files in all) after every one; may raise to stop.

    Returns
    -------
    list of Part

    Raises
    ------
    MissingCorpusError
        When music21 is not installed.
    MelodySourceError
        When it has no such works.
    """
    music21 = _load_music21()
    root = Path(music21.__file__).parent / "corpus"
    paths = sorted(
        path for path in music21.corpus.getPaths() if works in Path(path).relative_to(root).as_posix()
    )[:max_files]
    if not paths:
        raise source_fault("works", f"music21's corpus has no works named {works!r}.")
    parts: list[Part] = []
    for done, path in enumerate(paths, start=1):
        parts += _read_work(Path(path), str(Path(path).relative_to(root)))
        on_file(done, len(paths))
    if not parts:
        raise source_fault("works", f"none of music21's works named {works!r} can be played.")
    return parts


@functools.lru_cache(maxsize=KEPT_FILES)
def _read_work(path: Path, name: str) -> list[Part]:
    """The parts of one of music21's works."""
    music21 = _load_music21()
    parsed = music21.corpus.parse(path)
    scores = parsed.scores if isinstance(parsed, music21.stream.Opus) else [parsed]
    parts: list[Part] = []
    for voice in (voice for score in scores for voice in score.parts):
        try:
            written = music21.midi.translate.music21ObjectToMidiFile(voice).writestr()
        except music21.exceptions21.Music21Exception:
            continue  # a few scores hold what music21 cannot play; there are hundreds more
        parts += read_parts(written, "works", name)
    return parts


def _load_music21() -> Any:
    try:
        import music21
        import music21.corpus
        import music21.midi.translate
    except ImportError as error:
        fault = FieldFault(
            "corpus", "music21 is not installed. Install it with: pip install 'timbrescope[corpus]'."
        )
        raise MissingCorpusError(f"melody.{fault}", extra=named([fault])) from error
    return music21

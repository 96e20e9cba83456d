"""Corpora: the collections of scores that phrases are cut from.

Files are read when first needed and kept for the life of the process, by the settings that chose them.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ml.errors import SystemDependencyError
from ml.synthesis.melodies.phrases import Part, draw_phrase, read_parts
from ml.synthesis.melodies.settings import PhraseMelody
from ml.synthesis.melodies.source import Melodic, MelodySourceError, Occasion

MIDI_ENDINGS = (".mid", ".midi", ".smf")


class MissingCorpusError(SystemDependencyError):
    """The package that brings a corpus along is not installed."""

    code = "missing-corpus"


class PhraseSource:
    """Phrases of a folder of MIDI files, or of music21's scores."""

    def __init__(self, settings: PhraseMelody) -> None:
        self._settings = settings
        if settings.folder is not None:
            self._parts = read_folder(Path(settings.folder), settings.max_files)
        else:
            self._parts = read_music21(settings.works, settings.max_files)

    def draw(self, occasion: Occasion) -> Melodic:
        return draw_phrase(self._parts, self._settings, occasion)


@functools.lru_cache(maxsize=8)
def read_folder(folder: Path, max_files: int) -> list[Part]:
    """Read the parts of a folder's MIDI files.

    Parameters
    ----------
    folder : Path
        Searched in depth.
    max_files : int
        Only so many are read, the first by name.

    Returns
    -------
    list of Part

    Raises
    ------
    MelodySourceError
        When the folder cannot be read, has no MIDI files, or one of them cannot be read.
    """
    if not folder.is_dir():
        raise MelodySourceError(f"melody.folder: {folder} is not a folder.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI_ENDINGS)[:max_files]
    if not paths:
        raise MelodySourceError(f"melody.folder: {folder} has no MIDI files ({', '.join(MIDI_ENDINGS)}).")
    parts = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise MelodySourceError(f"melody.folder: {path} cannot be read: {error.strerror}.") from error
        parts += read_parts(data, f"melody.folder: {path}")
    if not parts:
        raise MelodySourceError(f"melody.folder: the MIDI files in {folder} have notes for drums only.")
    return parts


@functools.lru_cache(maxsize=8)
def read_music21(works: str, max_files: int) -> list[Part]:
    """Read the parts of music21's scores.

    Parameters
    ----------
    works : str
        Part of the scores' path within the corpus.
    max_files : int
        Only so many are read, the first by name.

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
        raise MelodySourceError(f"melody.works: music21's corpus has no works named {works!r}.")
    parts = []
    for path in paths:
        name = f"melody.works: {Path(path).relative_to(root)}"
        parsed = music21.corpus.parse(path)
        scores = parsed.scores if isinstance(parsed, music21.stream.Opus) else [parsed]
        for voice in (voice for score in scores for voice in score.parts):
            try:
                written = music21.midi.translate.music21ObjectToMidiFile(voice).writestr()
            except music21.exceptions21.Music21Exception:
                continue  # a few scores hold what music21 cannot play; there are hundreds more
            parts += read_parts(written, name)
    if not parts:
        raise MelodySourceError(f"melody.works: none of music21's works named {works!r} can be played.")
    return parts


def _load_music21() -> Any:
    try:
        import music21
        import music21.corpus
        import music21.midi.translate
    except ImportError as error:
        raise MissingCorpusError(
            "melody.corpus: music21 is not installed. Install it with: pip install 'timbrescope[corpus]'."
        ) from error
    return music21

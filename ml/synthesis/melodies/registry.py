"""The melody sources by the settings that choose them."""

from __future__ import annotations

from ml.synthesis.melodies.corpora import PhraseSource
from ml.synthesis.melodies.generator import GeneratorSource
from ml.synthesis.melodies.random_notes import RandomSource
from ml.synthesis.melodies.settings import GeneratorMelody, Melody, PhraseMelody
from ml.synthesis.melodies.source import MelodySource, OnFile, nobody_watches


def open_source(settings: Melody, on_file: OnFile = nobody_watches) -> MelodySource:
    """Open the source that a recipe's melody asks for.

    Parameters
    ----------
    settings : RandomMelody, PhraseMelody or GeneratorMelody
    on_file : callable, optional
        Called with (files read, files in all) after every file that is read; may raise to stop.

    Returns
    -------
    MelodySource

    Raises
    ------
    MelodySourceError, MissingCorpusError
        When there is nothing to draw from.
    """
    if isinstance(settings, PhraseMelody):
        return PhraseSource(settings, on_file)
    if isinstance(settings, GeneratorMelody):
        return GeneratorSource(settings)
    return RandomSource(settings)

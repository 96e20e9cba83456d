"""The self-check: a mix made of stems, explained, and every map held against them.

The mix is the sum of the stems, so nothing in it is nobody's. All instruments with a stem are explained,
whether found or not: what a model misses is part of the truth about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.asking import asked_part, check_instruments
from ml.classification import Progress
from ml.errors import InvalidRequestError
from ml.explained import Explanation
from ml.explanation import explain
from ml.media import MediaInfo, MediaLimits
from ml.model import Model
from ml.proof import SILENT_PEAK, is_silent
from ml.recording import Recording, decoded
from ml.truth.stems import Stem, joined_stems, mix_samples


@dataclass(frozen=True)
class StemFile:
    """One instrument's part of a mix, as an audio file."""

    instrument: str
    data: bytes


def read_stems(
    files: Sequence[StemFile],
    *,
    sample_rate_hz: int,
    limits: MediaLimits = MediaLimits(),
    decode: Callable[[bytes, int, MediaLimits], tuple[MediaInfo, NDArray[np.float32]]] = decoded,
) -> tuple[Stem, ...]:
    """Decode the stems of a mix.

    Parameters
    ----------
    files : sequence of StemFile
        Of equal sample rate and length.
    sample_rate_hz : int
        Of the result.
    limits : MediaLimits
        For each file.
    decode : callable, optional
        Decodes one file, as `ml.recording.decoded` does.

    Returns
    -------
    tuple of Stem

    Raises
    ------
    InvalidRequestError
        When there is none, one is MIDI, or their rates or lengths differ.
    MediaError
        When a file cannot be read or is out of bounds.
    """
    if not files:
        raise InvalidRequestError("There are no stems.")
    first: MediaInfo | None = None
    stems = []
    for file in files:
        info, samples = decode(file.data, sample_rate_hz, limits)
        first = first or info
        if info.format == "midi":
            raise InvalidRequestError(f"The stem of {file.instrument!r} is MIDI: stems are recordings.")
        if info.sample_rate_hz != first.sample_rate_hz:
            raise InvalidRequestError(
                f"The stem of {file.instrument!r} is at {info.sample_rate_hz} Hz, that of "
                f"{files[0].instrument!r} at {first.sample_rate_hz} Hz: a mix has one rate."
            )
        stems.append(Stem(file.instrument, Recording(samples, sample_rate_hz)))
    joined_stems(stems, sample_rate_hz)  # says so when lengths differ
    return tuple(stems)


def check_stems(
    model: Model,
    stems: Sequence[Stem],
    *,
    instruments: Sequence[str] | None = None,
    n_concepts: int = 0,
    threshold: float | None = None,
    start_s: float | None = None,
    duration_s: float | None = None,
    engine: str | None = None,
    method: str | None = None,
    layer: str | None = None,
    contrast: str | None = None,
    on_progress: Progress | None = None,
) -> Explanation:
    """Explain the sum of some stems and hold the explanations against them.

    Parameters
    ----------
    model : Model
    stems : sequence of Stem
        Of equal length, at the model's sample rate. Several of one instrument count as one, their sum.
    instruments : sequence of str, optional
        What to explain; by default every instrument with a stem. One without has no truth to be held against.
    n_concepts, threshold, start_s, duration_s, engine, method, layer, contrast, on_progress
        As for `ml.explanation.explain`.

    Returns
    -------
    Explanation
        With `quality.truth` for every explained instrument that has a stem.

    Raises
    ------
    UnknownInstrumentError
        When the model has no such label.
    InvalidRequestError
        When there are no stems, when they differ in length or rate, are of too many instruments, or one is
        silent in the explained part; and as for `ml.explanation.explain`.
    """
    named = [stem.instrument for stem in stems]
    check_instruments(model, named)
    joined = joined_stems(stems, model.sample_rate_hz)
    for stem in joined:
        if is_silent(asked_part(stem.recording, start_s, duration_s)):
            raise InvalidRequestError(
                f"The stem of {stem.instrument!r} is silent: nothing in it reaches {SILENT_PEAK:g} of full "
                "scale, so no map of it could be true."
            )
    explained = instruments or [name for name in dict.fromkeys(named) if name != contrast]
    if not explained:
        raise InvalidRequestError(f"There is nothing to hold against {contrast!r}: it has the only stem.")
    return explain(
        model,
        Recording(mix_samples(joined), model.sample_rate_hz),
        instruments=explained,
        n_concepts=n_concepts,
        threshold=threshold,
        start_s=start_s,
        duration_s=duration_s,
        engine=engine,
        method=method,
        layer=layer,
        contrast=contrast,
        stems=joined,
        on_progress=on_progress,
    )

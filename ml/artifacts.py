"""Results as others see them: the contract's JSON, and the files that go with it.

Used by the service's tasks and by the command line alike, so both write the same names and bytes. Every NPZ
holds one map (`relevance`, or `level_db` for the spectrogram), float32 `(n_mels, n_frames)`, with
`frequencies_hz` `(n_mels,)` and `times_s` `(n_frames,)`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from ml.classification import Classification, Progress
from ml.drawing import draw_map, draw_spectrogram, saturation
from ml.explanation import ConceptExplanation, Explanation, InstrumentExplanation, Spectrogram
from ml.instruments import slug_of
from ml.recording import Recording

PNG, NPZ, WAV = "image/png", "application/x-npz", "audio/wav"
AUDIO_NAME = "audio.wav"
SPECTROGRAM_NAME = "spectrogram"

Href = Callable[[str], str]  # artefact name -> where to get it


@dataclass(frozen=True)
class Artifact:
    """A file of a result."""

    name: str
    media_type: str
    data: bytes


def classification_result(classification: Classification) -> dict[str, object]:
    """The JSON result of a classification."""
    return {
        "instruments": [asdict(score) for score in classification.instruments],
        "timeline": [asdict(window) for window in classification.timeline],
    }


def explanation_result(explanation: Explanation, href: Href) -> dict[str, object]:
    """The JSON result of an explanation.

    Parameters
    ----------
    explanation : Explanation
    href : callable
        Turns an artefact's name into its URL or path.
    """
    return {
        **classification_result(explanation.classification),
        "audio": {"wav": href(AUDIO_NAME)},
        "spectrogram": _links(SPECTROGRAM_NAME, href),
        "engine": explanation.engine,
        "explanations": [_instrument_result(instrument, href) for instrument in explanation.instruments],
    }


def classification_artifacts(recording: Recording) -> Iterator[Artifact]:
    """The file of a classification: what was analysed."""
    yield Artifact(AUDIO_NAME, WAV, _wav(recording))


def explanation_artifacts(
    explanation: Explanation, on_progress: Progress | None = None
) -> Iterator[Artifact]:
    """The files of an explanation, one by one.

    Parameters
    ----------
    explanation : Explanation
    on_progress : callable, optional
        Called with ("drawing", maps done, maps in all) before each map; may raise to cancel.

    Yields
    ------
    Artifact
        `audio.wav`, then PNG and NPZ of the spectrogram, of every instrument's map, of its concepts and their
        remainder.
    """
    total = 1 + sum(1 + len(instrument.concepts) for instrument in explanation.instruments)
    done = 0

    def step() -> None:
        nonlocal done
        if on_progress is not None:
            on_progress("drawing", done, total)
        done += 1

    spectrogram = explanation.spectrogram
    yield from classification_artifacts(explanation.recording)
    step()
    yield Artifact(f"{SPECTROGRAM_NAME}.png", PNG, draw_spectrogram(spectrogram, "Log-mel spectrogram"))
    yield Artifact(f"{SPECTROGRAM_NAME}.npz", NPZ, _npz("level_db", spectrogram.level_db, spectrogram))
    for instrument in explanation.instruments:
        step()
        scale = saturation(instrument.relevance_map)
        certainty = f"probability {instrument.probability:.2f}"
        title = f"{instrument.instrument}: evidence for (red) and against (blue), {certainty}"
        yield from _map_files(map_name(instrument), instrument.relevance_map, spectrogram, title, scale)
        for part, sound in (("kept", instrument.audible.kept), ("removed", instrument.audible.removed)):
            yield Artifact(evidence_name(instrument, part), WAV, _pcm_wav(sound))
        for concept in instrument.concepts:
            step()
            title = (
                f"{instrument.instrument}: {_concept_words(concept)}, {concept.share:+.1%} of all relevance"
            )
            yield from _map_files(
                concept_name(instrument, concept), concept.relevance_map, spectrogram, title, scale
            )
    if on_progress is not None:
        on_progress("drawing", total, total)


def map_name(instrument: InstrumentExplanation) -> str:
    """Name, without ending, of the files of an instrument's map."""
    return f"map-{slug_of(instrument.instrument)}"


def concept_name(instrument: InstrumentExplanation, concept: ConceptExplanation) -> str:
    """Name, without ending, of the files of a concept's map, or of the remainder's."""
    part = "remainder" if concept.channel is None else f"concept-{concept.channel:03d}"
    return f"{part}-{slug_of(instrument.instrument)}"


def evidence_name(instrument: InstrumentExplanation, part: str) -> str:
    """Name of the sound that was ``"kept"`` as an instrument's evidence, or ``"removed"`` with it."""
    return f"{part}-{slug_of(instrument.instrument)}.wav"


def _instrument_result(instrument: InstrumentExplanation, href: Href) -> dict[str, object]:
    return {
        "instrument": instrument.instrument,
        "probability": instrument.probability,
        "map": _links(map_name(instrument), href),
        "evidence": {
            "kept_wav": href(evidence_name(instrument, "kept")),
            "removed_wav": href(evidence_name(instrument, "removed")),
        },
        "concepts": [
            {
                "layer": concept.layer,
                "channel": concept.channel,
                "remainder": concept.channel is None,
                "relevance": concept.relevance,
                "share": concept.share,
                "map": _links(concept_name(instrument, concept), href),
            }
            for concept in instrument.concepts
        ],
        "quality": {
            "conservation": asdict(instrument.quality.conservation),
            "probability_kept": instrument.audible.probability_kept,
            "probability_removed": instrument.audible.probability_removed,
        },
    }


def _links(name: str, href: Href) -> dict[str, str]:
    return {"png": href(f"{name}.png"), "npz": href(f"{name}.npz")}


def _concept_words(concept: ConceptExplanation) -> str:
    if concept.channel is None:
        return "all other channels"
    return f"channel {concept.channel} of {concept.layer}"


def _map_files(
    name: str, relevance: NDArray[np.float32], spectrogram: Spectrogram, title: str, scale: float
) -> Iterator[Artifact]:
    yield Artifact(f"{name}.png", PNG, draw_map(spectrogram, relevance, title, scale))
    yield Artifact(f"{name}.npz", NPZ, _npz("relevance", relevance, spectrogram))


def _npz(key: str, values: NDArray[np.float32], spectrogram: Spectrogram) -> bytes:
    buffer = io.BytesIO()
    arrays = {key: values, "frequencies_hz": spectrogram.frequencies_hz, "times_s": spectrogram.times_s}
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _wav(recording: Recording) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, recording.sample_rate_hz, recording.samples)  # libsndfile would add the time of day
    return buffer.getvalue()


def _pcm_wav(recording: Recording) -> bytes:
    """16-bit WAV: half the size, and nobody hears the difference."""
    buffer = io.BytesIO()
    samples = np.round(np.clip(recording.samples, -1.0, 1.0) * 32_767.0).astype(np.int16)
    wavfile.write(buffer, recording.sample_rate_hz, samples)
    return buffer.getvalue()

"""Results as files: what the service stores and the command line writes, with the same names and bytes.

Every NPZ holds one map, float32 `(n_mels, n_frames)`: `relevance`, or `level_db` for the spectrogram, or
`share` for what is truly an instrument's, with `frequencies_hz` `(n_mels,)` and `times_s` `(n_frames,)`. The
JSON that goes with the files is `ml.results`; JAMS and tables are `ml.exports`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ml.artifact_names import (
    AUDIO_NAME,
    EVIDENCE_NAME,
    INSTRUMENTS_NAME,
    JAMS_NAME,
    OVERVIEW_NAME,
    SPECTROGRAM_NAME,
    TIMELINE_NAME,
    concept_name,
    evidence_name,
    map_name,
    mask_name,
)
from ml.checkpoint import ModelCard
from ml.classification import Classification, Progress
from ml.colours import TRUTH
from ml.concepts.atlas import Atlas
from ml.drawing import MapScale, MapSheet, draw_spectrogram
from ml.explained import ConceptExplanation, Explanation, InstrumentExplanation
from ml.exports import evidence_table, instruments_table, jams_document, timeline_table
from ml.npz import MapFiles
from ml.overview import draw_overview
from ml.recording import Recording
from ml.results import classification_result, explanation_result
from ml.wav import float_wav, pcm_wav

__all__ = [
    "Artifact",
    "classification_artifacts",
    "classification_result",
    "explanation_artifacts",
    "explanation_result",
]

PNG, NPZ, WAV = "image/png", "application/x-npz", "audio/wav"
JAMS, CSV = "application/json", "text/csv; charset=utf-8"


@dataclass(frozen=True)
class Artifact:
    """A file of a result; `sha256` is that of the data, where it had to be computed."""

    name: str
    media_type: str
    data: bytes
    sha256: str | None = None


def classification_artifacts(
    recording: Recording, classification: Classification, card: ModelCard
) -> Iterator[Artifact]:
    """The files of a classification: what was analysed, and what was found as JAMS and CSV.

    Parameters
    ----------
    recording : Recording
    classification : Classification
        Of the recording.
    card : ModelCard
        Of the model that listened.
    """
    yield from _heard_files(recording, classification, card)


def explanation_artifacts(
    explanation: Explanation,
    card: ModelCard,
    *,
    atlas: Atlas | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Artifact]:
    """The files of an explanation, one by one.

    Parameters
    ----------
    explanation : Explanation
    card : ModelCard
        Of the model that was explained.
    atlas : Atlas, optional
        That of the model: says what concepts are called.
    on_progress : callable, optional
        Called with ("drawing", pictures done, pictures in all) before each picture; may raise to cancel.

    Yields
    ------
    Artifact
        `audio.wav`, JAMS and CSV, `overview.png`, then PNG and NPZ of the spectrogram, of every instrument's
        map, of its true share where stems are known, of its concepts and their remainder; and its evidence as
        sound.
    """
    step = _Steps(explanation, on_progress)
    spectrogram = explanation.spectrogram
    arrays = MapFiles(spectrogram)
    yield from _heard_files(explanation.recording, explanation.classification, card, explanation, atlas)
    yield Artifact(EVIDENCE_NAME, CSV, evidence_table(explanation))
    step()
    yield Artifact(OVERVIEW_NAME, PNG, draw_overview(explanation))
    step()
    yield Artifact(f"{SPECTROGRAM_NAME}.png", PNG, draw_spectrogram(spectrogram, "Log-mel spectrogram"))
    yield Artifact(f"{SPECTROGRAM_NAME}.npz", NPZ, arrays.npz("level_db", spectrogram.level_db))
    sheet = MapSheet(spectrogram) if explanation.instruments else None
    for instrument in explanation.instruments:
        assert sheet is not None
        yield from _instrument_files(instrument, sheet, arrays, step)
    yield from _mask_files(explanation, arrays, step)
    step()


def _heard_files(
    recording: Recording,
    classification: Classification,
    card: ModelCard,
    explanation: Explanation | None = None,
    atlas: Atlas | None = None,
) -> Iterator[Artifact]:
    """What was analysed, and the result for other programs."""
    audio = float_wav(recording)
    sha256 = hashlib.sha256(audio).hexdigest()
    yield Artifact(AUDIO_NAME, WAV, audio, sha256)
    document = jams_document(
        recording, classification, card, audio_sha256=sha256, explanation=explanation, atlas=atlas
    )
    yield Artifact(JAMS_NAME, JAMS, document)
    yield Artifact(INSTRUMENTS_NAME, CSV, instruments_table(classification, card))
    yield Artifact(TIMELINE_NAME, CSV, timeline_table(classification))


def _instrument_files(
    instrument: InstrumentExplanation, sheet: MapSheet, arrays: MapFiles, step: Callable[[], None]
) -> Iterator[Artifact]:
    """An instrument's map, its sounds and its concepts, all maps on one scale."""
    scale = MapScale.of(instrument.relevance_map)
    maps = [(map_name(instrument), instrument.relevance_map, _map_title(instrument))]
    maps += [
        (concept_name(instrument, concept), concept.relevance_map, _concept_title(instrument, concept))
        for concept in instrument.concepts
    ]
    for name, relevance, title in maps:
        step()
        yield Artifact(f"{name}.png", PNG, sheet.draw(relevance, title, scale))
        yield Artifact(f"{name}.npz", NPZ, arrays.npz("relevance", relevance))
    for part, sound in (("kept", instrument.audible.kept), ("removed", instrument.audible.removed)):
        yield Artifact(evidence_name(instrument, part), WAV, pcm_wav(sound))


def _mask_files(explanation: Explanation, arrays: MapFiles, step: Callable[[], None]) -> Iterator[Artifact]:
    """What the maps should look like, where the stems say so."""
    proven = [
        (instrument, instrument.quality.truth)
        for instrument in explanation.instruments
        if instrument.quality.truth is not None
    ]
    if not proven:
        return
    spectrogram = explanation.spectrogram
    sheet = MapSheet(spectrogram, TRUTH, "share of the sound", signed=False)
    for instrument, truth in proven:
        step()
        name, title = mask_name(instrument), f"{instrument.instrument}: its true share, from its stem"
        scale = MapScale(1.0, MapScale.of(truth.share).step)
        yield Artifact(f"{name}.png", PNG, sheet.draw(truth.share, title, scale))
        yield Artifact(f"{name}.npz", NPZ, arrays.npz("share", truth.share))


class _Steps:
    """Counts pictures as they are about to be drawn."""

    def __init__(self, explanation: Explanation, on_progress: Progress | None) -> None:
        of_instruments = sum(
            1 + len(each.concepts) + (each.quality.truth is not None) for each in explanation.instruments
        )
        self.total, self.done, self.on_progress = 2 + of_instruments, 0, on_progress

    def __call__(self) -> None:
        if self.on_progress is not None:
            self.on_progress("drawing", self.done, self.total)
        self.done += 1


def _map_title(instrument: InstrumentExplanation) -> str:
    subject = instrument.instrument
    if instrument.contrast is not None:
        subject += f" rather than {instrument.contrast}"
    absent = "" if instrument.found else ", not found"
    return (
        f"{subject}: evidence for (red) and against (blue), probability {instrument.probability:.2f}{absent}"
    )


def _concept_title(instrument: InstrumentExplanation, concept: ConceptExplanation) -> str:
    if concept.channel is None:
        words = "all other channels"
    else:
        words = f"channel {concept.channel} of {concept.layer}"
    return f"{instrument.instrument}: {words}, {concept.share:+.1%} of all relevance"

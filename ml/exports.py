"""Results in the formats of the field: JAMS, and tables as CSV.

A JAMS file (Humphrey et al., *JAMS: a JSON annotated music specification for reproducible MIR research*,
ISMIR 2014) holds up to three annotations:

- `tag_open` over the whole: the instruments that are present; `confidence` is the probability;
- `tag_open` window by window: every instrument that the model knows; `confidence` is the probability there;
- `vector`, of an explanation: the evidence of each explained instrument over time, in units of the logit.
  What a result says of each besides (concepts, quality, truth, notes) is in the annotation's sandbox, where
  files go by their names.

Conventions: times in seconds, counted from the original's beginning, also where only a part of it was
analysed (`time` and `duration` of the annotations say which). Tables are RFC 4180: a line of names first,
lines end with CR LF, numbers as in the JSON. The same result gives the same bytes: no time of day, no name of
a file. The only text in a table are names of instruments, which whoever made the model chose; one that a
spreadsheet would take for a formula is preceded by an apostrophe.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version

from ml.checkpoint import ModelCard
from ml.classification import Classification
from ml.concepts.atlas import Atlas
from ml.explained import STEP_FRAMES, Explanation, InstrumentExplanation
from ml.recording import Recording
from ml.results import explanation_entries

JAMS_VERSION = "0.3.5"  # of the specification's schema
_FORMULA_SIGNS = ("=", "+", "-", "@")

_Cell = str | float
_Json = dict[str, object]


def jams_document(
    recording: Recording,
    classification: Classification,
    card: ModelCard,
    *,
    audio_sha256: str,
    explanation: Explanation | None = None,
    atlas: Atlas | None = None,
) -> bytes:
    """A result as a JAMS file.

    Parameters
    ----------
    recording : Recording
        What was analysed.
    classification : Classification
        Of it.
    card : ModelCard
        Of the model that listened.
    audio_sha256 : str
        Of the recording as a file (`ml.artifact_names.AUDIO_NAME`): tells which sound this is about.
    explanation : Explanation, optional
        Of the recording; adds the evidence.
    atlas : Atlas, optional
        That of the model: says what concepts are called.

    Returns
    -------
    bytes
        UTF-8.
    """
    annotations = [_present(recording, classification, card), _windows(recording, classification, card)]
    if explanation is not None and explanation.instruments:
        annotations.append(_evidence(explanation, card, atlas))
    document = {
        "file_metadata": {
            "duration": recording.original_duration_s,
            "identifiers": {"audio_wav_sha256": audio_sha256},
            "jams_version": JAMS_VERSION,
        },
        "annotations": annotations,
        "sandbox": {},
    }
    return (json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n").encode()


def instruments_table(classification: Classification, card: ModelCard) -> bytes:
    """The instruments, by falling probability.

    Returns
    -------
    bytes
        CSV: `instrument,probability,present,threshold`; `present` is `true` or `false`.
    """
    return _table(
        ("instrument", "probability", "present", "threshold"),
        (
            (
                score.instrument,
                score.probability,
                "true" if score.present else "false",
                _threshold(classification, card, score.instrument),
            )
            for score in classification.instruments
        ),
    )


def timeline_table(classification: Classification) -> bytes:
    """The probabilities window by window, a line for each instrument.

    Returns
    -------
    bytes
        CSV: `start_s,end_s,instrument,probability`.
    """
    return _table(
        ("start_s", "end_s", "instrument", "probability"),
        (
            (window.start_s, window.end_s, instrument, probability)
            for window in classification.timeline
            for instrument, probability in window.probabilities.items()
        ),
    )


def evidence_table(explanation: Explanation) -> bytes:
    """The evidence of each explained instrument step by step: its map, summed over all frequencies.

    Returns
    -------
    bytes
        CSV: `start_s,end_s,instrument,evidence`; evidence is signed, in units of the logit.
    """
    return _table(
        ("start_s", "end_s", "instrument", "evidence"),
        (
            (start_s, end_s, each.instrument, evidence)
            for each in explanation.instruments
            for start_s, end_s, evidence in _steps(each)
        ),
    )


def _present(recording: Recording, classification: Classification, card: ModelCard) -> _Json:
    """What plays, over all."""
    data = [
        _observation(
            recording.start_s, recording.start_s + recording.duration_s, score.instrument, score.probability
        )
        for score in classification.instruments
        if score.present
    ]
    thresholds = {label: _threshold(classification, card, label) for label in card.labels}
    rules = "Instruments whose probability, the highest of all windows, reaches their threshold."
    return _annotation(
        "tag_open", recording, card, rules=rules, data=data, sandbox={"thresholds": thresholds}
    )


def _windows(recording: Recording, classification: Classification, card: ModelCard) -> _Json:
    """What plays when, as the network judges it."""
    data = [
        _observation(window.start_s, window.end_s, instrument, probability)
        for window in classification.timeline
        for instrument, probability in window.probabilities.items()
    ]
    rules = "Every instrument that the model knows in every window, present or not."
    return _annotation("tag_open", recording, card, rules=rules, data=data, sandbox={})


def _evidence(explanation: Explanation, card: ModelCard, atlas: Atlas | None) -> _Json:
    """When the evidence comes, and all that is said of it; steps are the same for every instrument."""
    steps = zip(*(_steps(each) for each in explanation.instruments), strict=True)
    data = [
        _observation(of_step[0][0], of_step[0][1], [evidence for _, _, evidence in of_step], None)
        for of_step in steps
    ]
    entries = explanation_entries(explanation, lambda name: name, atlas=atlas)
    for entry in entries:
        del entry["timeline"]  # the data of the annotation
    sandbox: _Json = {
        "instruments": [each.instrument for each in explanation.instruments],
        "engine": explanation.engine,
        "method": explanation.method,
        "layer": explanation.layer,
        "explanations": entries,
    }
    rules = (
        "Relevance maps summed over frequency, in units of the logit; positive speaks for the instrument. "
        "The numbers of a value are in the order of the sandbox's instruments."
    )
    return _annotation("vector", explanation.recording, card, rules=rules, data=data, sandbox=sandbox)


def _annotation(
    namespace: str, recording: Recording, card: ModelCard, *, rules: str, data: list[_Json], sandbox: _Json
) -> _Json:
    program = _version()
    return {
        "namespace": namespace,
        "annotation_metadata": {
            "annotation_tools": f"Timbrescope {program}",
            "annotation_rules": rules,
            "annotator": {"model": card.id, "weights_sha256": card.sha256, "network": card.network},
            "data_source": "program",
            "version": program,
        },
        "time": recording.start_s,
        "duration": recording.duration_s,
        "data": data,
        "sandbox": sandbox,
    }


@cache
def _version() -> str:
    return version("timbrescope")  # reads a file, and takes longer than all else here


def _observation(start_s: float, end_s: float, value: object, confidence: float | None) -> _Json:
    return {"time": start_s, "duration": end_s - start_s, "value": value, "confidence": confidence}


def _threshold(classification: Classification, card: ModelCard, instrument: str) -> float:
    asked = classification.threshold
    return card.thresholds[instrument] if asked is None else asked


def _steps(instrument: InstrumentExplanation) -> Iterator[tuple[float, float, float]]:
    """Beginning, end and evidence of each step of a timeline; the last ends with the map."""
    timeline, n_frames = instrument.timeline, instrument.relevance_map.shape[1]
    frame_s = timeline.step_s / STEP_FRAMES
    for first, evidence in zip(range(0, n_frames, STEP_FRAMES), timeline.evidence, strict=True):
        last = min(first + STEP_FRAMES, n_frames)
        yield timeline.start_s + first * frame_s, timeline.start_s + last * frame_s, float(evidence)


def _table(names: tuple[str, ...], rows: Iterable[tuple[_Cell, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # lines end with CR LF by default
    writer.writerow(names)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: _Cell) -> _Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell

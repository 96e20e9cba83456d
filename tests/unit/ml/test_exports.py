"""Exports: JAMS that the specification's own reader takes, tables that any reader of CSV takes, and both say
what the result says.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import jams
import numpy as np
import pytest

from ml.artifacts import (
    classification_artifacts,
    classification_result,
    explanation_artifacts,
    explanation_result,
)
from ml.checkpoint import SHIPPED_MODELS
from ml.classification import Classification, InstrumentScore, WindowScore, classify
from ml.concepts.atlas import read_atlas
from ml.explained import Explanation
from ml.explanation import explain
from ml.exports import (
    JAMS_VERSION,
    evidence_table,
    instruments_table,
    jams_document,
    timeline_table,
)
from ml.model import Model
from ml.recording import Recording

# The reader of JAMS asks its validator in a way that the validator's next release will not know.
pytestmark = pytest.mark.filterwarnings("ignore:Passing a schema to Validator.iter_errors:DeprecationWarning")


@pytest.fixture(scope="module")
def files(explanation: Explanation, shipped: Model) -> dict[str, bytes]:
    return {artifact.name: artifact.data for artifact in explanation_artifacts(explanation, shipped.card)}


def rows(table: bytes) -> list[dict[str, str]]:
    """The lines of a table, by the names of its columns."""
    return list(csv.DictReader(io.StringIO(table.decode(), newline=""), strict=True))


def read(document: bytes) -> jams.JAMS:
    """A JAMS file, checked against the schemas of the specification and of its namespaces."""
    return jams.load(io.StringIO(document.decode()), validate=True, strict=True)


def observations(annotation: jams.Annotation) -> list[tuple[float, float, Any, float]]:
    return [(each.time, each.time + each.duration, each.value, each.confidence) for each in annotation.data]


def test_jams_says_what_is_present(explanation: Explanation, files: dict[str, bytes]) -> None:
    document = read(files["result.jams"])
    present, _, _ = document.annotations
    assert present.namespace == "tag_open"
    found = [score for score in explanation.classification.instruments if score.present]
    assert [score.instrument for score in found] == ["Trumpet", "Celesta"]
    assert observations(present) == [(0.0, 5.0, score.instrument, score.probability) for score in found]
    assert document.file_metadata.duration == 5.0
    sha256 = document.file_metadata.identifiers["audio_wav_sha256"]
    assert sha256 == hashlib.sha256(files["audio.wav"]).hexdigest()


def test_jams_says_what_was_heard_in_every_window(shipped: Model, example: Recording) -> None:
    long = Recording(np.tile(example.samples, 2)[: 8 * example.sample_rate_hz], example.sample_rate_hz)
    found = classify(shipped, long, threshold=0.25)
    present, windows = read(jams_document(long, found, shipped.card, audio_sha256="")).annotations
    assert observations(windows) == [
        (window.start_s, window.end_s, instrument, probability)
        for window in found.timeline
        for instrument, probability in window.probabilities.items()
    ]
    assert len(windows.data) == len(found.timeline) * len(shipped.card.labels) == 3 * 12
    assert {*present.sandbox.thresholds.values()} == {0.25}


def test_jams_says_who_says_so(shipped: Model, files: dict[str, bytes]) -> None:
    for annotation in json.loads(files["result.jams"])["annotations"]:
        told = annotation["annotation_metadata"]
        card = shipped.card
        assert told["annotator"] == {
            "model": card.id,
            "weights_sha256": card.sha256,
            "network": card.network,
        }
        assert told["annotation_tools"].startswith("Timbrescope ")
        assert told["data_source"] == "program"


def test_jams_says_when_the_evidence_comes_and_all_else(explanation: Explanation, shipped: Model) -> None:
    atlas = read_atlas(SHIPPED_MODELS / "default", shipped.card)
    document = read(
        jams_document(
            explanation.recording,
            explanation.classification,
            shipped.card,
            audio_sha256="",
            explanation=explanation,
            atlas=atlas,
        )
    )
    evidence = document.annotations[2]
    assert evidence.namespace == "vector"
    instruments = [each.instrument for each in explanation.instruments]
    assert evidence.sandbox.instruments == instruments
    values = np.array([value for _, _, value, _ in observations(evidence)])
    for each, of_instrument in zip(explanation.instruments, values.T, strict=True):
        np.testing.assert_array_equal(of_instrument, each.timeline.evidence)
    spans = [(start_s, end_s) for start_s, end_s, _, _ in observations(evidence)]
    n_frames = explanation.spectrogram.level_db.shape[1]
    assert spans[0][0] == 0.0
    assert spans[0][1] == pytest.approx(16 * 512 / 44_100)
    assert spans[-1][1] == pytest.approx(n_frames * 512 / 44_100)
    told = explanation_result(explanation, str, atlas=atlas)
    entries: Any = told["explanations"]
    for entry in entries:
        del entry["timeline"]
    assert json.loads(json.dumps(evidence.sandbox.explanations)) == json.loads(json.dumps(entries))
    assert evidence.sandbox.explanations[0]["concepts"][0]["name"].startswith("Trumpet")


def test_a_part_keeps_the_clock_of_its_original(shipped: Model, example: Recording) -> None:
    explanation = explain(
        shipped, example, start_s=1.5, duration_s=2.0, instruments=["Trumpet"], n_concepts=0
    )
    files = {a.name: a.data for a in explanation_artifacts(explanation, shipped.card)}
    document = read(files["result.jams"])
    assert document.file_metadata.duration == 5.0
    assert {(each.time, each.duration) for each in document.annotations} == {(1.5, 2.0)}
    assert [each.data[0].time for each in document.annotations] == [1.5, 1.5, 1.5]
    for name in ("timeline.csv", "evidence.csv"):
        assert rows(files[name])[0]["start_s"] == "1.5"
    assert explanation.recording.part(0.5, 1.0).original_duration_s == 5.0


def test_silence_has_no_tags_but_windows(shipped: Model) -> None:
    silence = Recording(np.zeros(44_100, np.float32), 44_100)
    explanation = explain(shipped, silence)
    files = {a.name: a.data for a in explanation_artifacts(explanation, shipped.card)}
    present, windows = read(files["result.jams"]).annotations
    assert (len(present.data), len(windows.data)) == (0, 12)
    assert rows(files["evidence.csv"]) == []
    assert files["evidence.csv"] == b"start_s,end_s,instrument,evidence\r\n"


def test_tables_say_what_the_result_says(explanation: Explanation, files: dict[str, bytes]) -> None:
    classification = explanation.classification
    assert [
        InstrumentScore(row["instrument"], float(row["probability"]), row["present"] == "true")
        for row in rows(files["instruments.csv"])
    ] == list(classification.instruments)
    assert [
        (float(row["start_s"]), float(row["end_s"]), row["instrument"], float(row["probability"]))
        for row in rows(files["timeline.csv"])
    ] == [
        (w.start_s, w.end_s, name, p) for w in classification.timeline for name, p in w.probabilities.items()
    ]
    for each in explanation.instruments:
        told = [row for row in rows(files["evidence.csv"]) if row["instrument"] == each.instrument]
        assert [float(row["evidence"]) for row in told] == each.timeline.evidence.tolist()
        assert [row["end_s"] for row in told[:-1]] == [row["start_s"] for row in told[1:]]


def test_thresholds_are_the_models_unless_one_was_asked_for(shipped: Model, example: Recording) -> None:
    for asked in (None, 0.4):
        table = rows(instruments_table(classify(shipped, example, threshold=asked), shipped.card))
        for row in table:
            threshold = shipped.card.thresholds[row["instrument"]] if asked is None else asked
            assert float(row["threshold"]) == threshold
            assert (row["present"] == "true") == (float(row["probability"]) >= threshold)


def test_no_cell_is_a_formula_and_any_name_survives(shipped: Model) -> None:
    """Whoever makes a model names its instruments."""
    names = ("=HYPERLINK(1)", "@x", "+1", "-1", 'Horn, "F"\n', "Flöte")
    card = shipped.card.model_copy(update={"labels": names, "thresholds": dict.fromkeys(names, 0.5)})
    found = Classification(
        tuple(InstrumentScore(name, 0.5, True) for name in names),
        (WindowScore(0.0, 5.0, dict.fromkeys(names, 0.5)),),
    )
    for table in (instruments_table(found, card), timeline_table(found)):
        told = [row["instrument"] for row in rows(table)]
        assert told == ["'=HYPERLINK(1)", "'@x", "'+1", "'-1", 'Horn, "F"\n', "Flöte"]
        assert not table.startswith(b"\xef\xbb\xbf")
    silence = Recording(np.zeros(44_100, np.float32), 44_100)
    present, _ = read(jams_document(silence, found, card, audio_sha256="")).annotations
    assert [each.value for each in present.data] == list(names)


def test_evidence_against_is_a_number_below_zero(explanation: Explanation) -> None:
    first = explanation.instruments[0]
    against = replace(first, timeline=replace(first.timeline, evidence=-first.timeline.evidence))
    table = rows(evidence_table(replace(explanation, instruments=(against,))))
    assert [float(row["evidence"]) for row in table] == (-first.timeline.evidence).tolist()


def test_a_classification_has_the_same_exports(shipped: Model, example: Recording) -> None:
    found = classify(shipped, example)
    files = {a.name: a for a in classification_artifacts(example, found, shipped.card)}
    links: Any = classification_result(found, str)["exports"]
    assert set(links.values()) | {"audio.wav"} == set(files)
    again = {a.name: a for a in classification_artifacts(example, found, shipped.card)}
    assert files == again
    assert {files[name].media_type for name in files if name.endswith(".csv")} == {"text/csv; charset=utf-8"}
    assert files["result.jams"].media_type == "application/json"


def test_the_stated_version_of_jams_is_the_readers() -> None:
    assert jams.__version__ == JAMS_VERSION

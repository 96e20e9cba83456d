"""A whole explanation, from the bytes of a clip to the bytes of every file."""

from __future__ import annotations

from bench.clips import EXAMPLE, TWO, model
from bench.crp import BEST_CRP, best_crp_maps
from bench.maps import forward, maps
from bench.measure import COST, FASTER, Row, Side, interleaved
from bench.plain import plain_files
from ml.artifacts import explanation_artifacts
from ml.explanation import explain
from ml.recording import load_recording


def _everything() -> Side:
    """Maps, evidence to hear, quality, pictures."""
    data = EXAMPLE.read_bytes()

    def everything() -> None:
        recording = load_recording(data, sample_rate_hz=model().sample_rate_hz)
        explanation = explain(model(), recording, instruments=TWO, n_concepts=5)
        for _ in explanation_artifacts(explanation, model().card):
            pass

    return everything


def _whole() -> tuple[Side, Side]:
    return _everything(), maps(TWO, 5)


def _evidence() -> tuple[Side, Side]:
    return _everything(), best_crp_maps(TWO, 5)


def _passes() -> tuple[Side, Side]:
    return _everything(), forward()


def _files() -> tuple[Side, Side]:
    """All files of an explanation that is there; what others would write of it, its pictures and arrays."""
    recording = load_recording(EXAMPLE.read_bytes(), sample_rate_hz=model().sample_rate_hz)
    explanation = explain(model(), recording, instruments=TWO, n_concepts=5)
    return (
        lambda: list(explanation_artifacts(explanation, model().card)),
        lambda: list(plain_files(explanation)),
    )


EVERYTHING = "2 x 5, decode to all artefacts"

ROWS = (
    Row("whole", EVERYTHING, "the maps alone", COST, "<= 3", interleaved(_whole), "<= 2"),
    Row(
        "evidence",
        EVERYTHING,
        f"its maps alone by {BEST_CRP}",
        COST,
        "",
        interleaved(_evidence, 5),
    ),
    Row("evidence-passes", EVERYTHING, "one forward pass", COST, "", interleaved(_passes, 5)),
    Row(
        "drawing",
        "all files of 2 x 5",
        "its figures by matplotlib, arrays by numpy",
        FASTER,
        ">= 10",
        interleaved(_files, 5),
        ">= 25",
    ),
)

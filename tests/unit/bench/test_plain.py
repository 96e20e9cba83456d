"""The yardstick of drawing makes the same files as what is measured."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
from PIL import Image

from bench import plain
from bench.clips import EXAMPLE, TWO
from ml.artifacts import explanation_artifacts
from ml.checkpoint import SHIPPED_MODELS
from ml.explanation import explain
from ml.model import load_model
from ml.recording import load_recording


def test_both_sides_hold_the_same() -> None:
    model = load_model(SHIPPED_MODELS / "default")
    recording = load_recording(EXAMPLE.read_bytes(), sample_rate_hz=model.sample_rate_hz)
    explanation = explain(model, recording, instruments=TWO[:1], n_concepts=1)
    kinds = (b"\x89PNG", b"PK\x03\x04")
    theirs = list(plain.plain_files(explanation))
    ours = [file.data for file in explanation_artifacts(explanation, model.card) if file.data[:4] in kinds]
    assert [data[:4] for data in ours] == [data[:4] for data in theirs]
    assert Counter(data[:4] for data in ours) == dict(zip(kinds, (5, 4), strict=True))
    for mine, other in zip(ours, theirs, strict=True):
        if mine.startswith(kinds[0]):
            assert Image.open(io.BytesIO(mine)).size == Image.open(io.BytesIO(other)).size
        else:
            with np.load(io.BytesIO(mine)) as arrays, np.load(io.BytesIO(other)) as expected:
                assert arrays.files == expected.files
                for name in arrays.files:
                    np.testing.assert_array_equal(arrays[name], expected[name])

"""Examples for the API description: what is told of a model's concepts.

Conventions as in `service.documents.examples`.
"""

from typing import Any

from service.documents.examples import SHA256, problem

_PATH = "/models/default/concepts/features.conv5/17"
_MODEL = {"id": "default", "sha256": SHA256}

_CONCEPT: dict[str, Any] = {
    "channel": 17,
    "status": "named",
    "name": "Violin, sustained",
    "purity": 0.86,
    "share": 0.021,
    "instruments": {"Violin": 0.91, "String Ensemble 1": 0.06},
    "traits": [
        {"kind": "instrument", "value": "Violin", "purity": 0.93, "base": 0.08, "stated": True},
        {"kind": "moment", "value": "sustained", "purity": 0.86, "base": 0.55, "stated": True},
    ],
}

ATLAS: dict[str, Any] = {
    "model": _MODEL,
    "method": "alpha2-beta1",
    "soundfont": "FluidR3_GM",
    "left_out": [],
    "statistics": {"n_clips": 1500.0},
    "layers": [
        {
            "layer": "features.conv5",
            "n_channels": 256,
            "concepts": [{**_CONCEPT, "n_references": 8, "links": {"self": _PATH}}],
        }
    ],
}

CONCEPT: dict[str, Any] = {
    **_CONCEPT,
    "model": _MODEL,
    "layer": "features.conv5",
    "n_measured": 50,
    "references": [
        {
            "reference": 0,
            "clip": 412,
            "instrument": "Violin",
            "relevance": 3.21,
            "moment_s": 2.31,
            "start_s": 1.9,
            "end_s": 2.7,
            "low_hz": 20.0,
            "high_hz": 16000.0,
            "notes": [{"instrument": "Violin", "pitch": 76, "velocity": 90, "start_s": 1.5, "end_s": 2.75}],
            "wav": f"{_PATH}/references/0.wav",
            "png": f"{_PATH}/references/0.png",
        }
    ],
    "links": {"self": _PATH, "concepts": "/models/default/concepts"},
}

MODEL_NOT_FOUND = problem(
    "model-not-found",
    "Model not found",
    404,
    "There is no model 'best'.",
    unknown="best",
    available=["default", "reference"],
)
MISSING_ATLAS = problem(
    "missing-atlas", "No atlas of concepts", 404, "Model 'winds' has no atlas of its concepts."
)
UNKNOWN_CONCEPT = problem(
    "unknown-concept",
    "Unknown concept",
    404,
    "Layer features.conv5 has no channel 256; it has 0 to 255.",
    unknown=256,
    n_channels=256,
)
UNKNOWN_REFERENCE = problem(
    "unknown-concept",
    "Unknown concept",
    404,
    "Channel 17 of features.conv5 has no reference '1.wav'.",
    unknown="1.wav",
    available=["0.wav", "0.png"],
)
STILL_RENDERING = problem(
    "still-rendering",
    "Still being rendered",
    503,
    "Reference 0 of channel 17 of features.conv5 is still being rendered; try again in a moment.",
)
MANY_REFERENCES = problem(
    "queue-full",
    "The queue is full",
    503,
    "4 references wait to be rendered already; try again later.",
)

"""Examples for the API description: what analyses find.

Conventions as in `service.documents.examples`.
"""

from typing import Any

JOB_ID = "01983b5e-7c1a-7d31-9f57-2b8f0c3a9d10"
ARTIFACTS = f"/jobs/{JOB_ID}/artifacts"


def _picture_and_numbers(name: str) -> dict[str, str]:
    return {"png": f"{ARTIFACTS}/{name}.png", "npz": f"{ARTIFACTS}/{name}.npz"}


CLASSIFY_RESULT: dict[str, Any] = {
    "instruments": [
        {"instrument": "Violin", "probability": 0.97, "present": True},
        {"instrument": "Trumpet", "probability": 0.02, "present": False},
    ],
    "timeline": [{"start_s": 0.0, "end_s": 5.0, "probabilities": {"Violin": 0.97, "Trumpet": 0.02}}],
    "exports": {
        "jams": f"{ARTIFACTS}/result.jams",
        "csv": f"{ARTIFACTS}/instruments.csv",
        "timeline_csv": f"{ARTIFACTS}/timeline.csv",
    },
}

_QUALITY: dict[str, Any] = {
    "conservation": {"logit": 1.41, "relevance": 1.1, "gap": 0.22, "concept_error": 0.0},
    "deletion": {"drop": 1.8, "random_drop": 0.3, "gain": 6.0},
    "probability_kept": 0.93,
    "probability_removed": 0.61,
    "evidence_maps": 3,
    "kept_energy_share": 0.54,
    "most_alike": None,
    "warnings": [
        {
            "code": "removed-keeps-label",
            "detail": "Without the evidence the model still hears the instrument (probability 0.61).",
        }
    ],
    "truth": None,
}

_CONCEPTS: list[dict[str, Any]] = [
    {
        "layer": "features.conv5",
        "channel": 17,
        "remainder": False,
        "name": "Violin, sustained",
        "purity": 0.86,
        "relevance": 0.31,
        "share": 0.22,
        "map": _picture_and_numbers("concept-017-violin"),
        "links": {"concept": "/models/default/concepts/features.conv5/17"},
    },
    {
        "layer": "features.conv5",
        "channel": None,
        "remainder": True,
        "name": None,
        "purity": None,
        "relevance": 1.1,
        "share": 0.78,
        "map": _picture_and_numbers("remainder-violin"),
        "links": None,
    },
]

_VIOLIN: dict[str, Any] = {
    "instrument": "Violin",
    "probability": 0.97,
    "found": True,
    "contrast": None,
    "map": _picture_and_numbers("map-violin"),
    "timeline": {"start_s": 0.0, "step_s": 2.5, "evidence": [0.9, 0.2]},
    "evidence": {
        "kept_wav": f"{ARTIFACTS}/kept-violin.wav",
        "removed_wav": f"{ARTIFACTS}/removed-violin.wav",
    },
    "concepts": _CONCEPTS,
    "quality": _QUALITY,
}

EXPLAIN_RESULT: dict[str, Any] = {
    **CLASSIFY_RESULT,
    "audio": {"wav": f"{ARTIFACTS}/audio.wav"},
    "spectrogram": _picture_and_numbers("spectrogram"),
    "overview": {"png": f"{ARTIFACTS}/overview.png"},
    "engine": "direct",
    "method": "alpha2-beta1",
    "layer": "features.conv5",
    "explanations": [_VIOLIN],
    "exports": {**CLASSIFY_RESULT["exports"], "evidence_csv": f"{ARTIFACTS}/evidence.csv"},
}

_TRUTH: dict[str, Any] = {
    "mass_accuracy": 0.81,
    "energy_share": 0.4,
    "skill": 0.683,
    "pointing": True,
    "rank_accuracy": 0.77,
    "own_stem": True,
    "time_overlap": 0.9,
    "stems": {
        "Violin": {"relevance": 0.7, "shapley": 9.1},
        "Trumpet": {"relevance": -0.05, "shapley": -1.2},
    },
    "rest": {"relevance": 0.0},
    "shapley_correlation": 1.0,
    "mask": _picture_and_numbers("mask-violin"),
}

CHECK_RESULT: dict[str, Any] = {
    **EXPLAIN_RESULT,
    "explanations": [{**_VIOLIN, "quality": {**_QUALITY, "truth": _TRUTH}}],
}

"""`GET /models` and `GET /instruments`."""

import httpx

from ml.relevance.methods import DEFAULT_METHOD, METHODS
from tests.unit.service.conftest import CARD
from tests.unit.service.requests_made import assert_problem


def test_models(api: httpx.Client) -> None:
    assert api.get("/models").json() == {
        "models": [
            {
                "id": "default",
                "sha256": "ab" * 32,
                "default": True,
                "task": "instruments",
                "instruments": ["Violin", "Trumpet"],
                "thresholds": {"Violin": 0.5, "Trumpet": 0.4},
                "layers": ["features.conv1", "features.conv2"],
                "card": CARD,
            }
        ],
        "methods": [
            {"name": name, "description": method.description, "default": name == DEFAULT_METHOD}
            for name, method in METHODS.items()
        ],
    }


def test_instruments(api: httpx.Client) -> None:
    expected = {
        "model": "default",
        "instruments": [
            {"instrument": "Violin", "threshold": 0.5},
            {"instrument": "Trumpet", "threshold": 0.4},
        ],
    }
    assert api.get("/instruments").json() == expected
    assert api.get("/instruments?model=default").json() == expected
    assert_problem(api.get("/instruments?model=best"), 422, "unknown-model")

"""Requests for the tests of the API."""

import io
from typing import Any

import httpx
import numpy as np
import soundfile


def wav(duration_s: float = 1.0) -> bytes:
    """A quiet noise."""
    samples = np.random.default_rng(1).normal(0, 0.05, round(8_000 * duration_s))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 8_000, format="WAV")
    return buffer.getvalue()


def post(
    api: httpx.Client,
    call: str = "/explain",
    *,
    data: bytes | None = None,
    name: str = "clip.wav",
    **more: Any,
) -> httpx.Response:
    """Sends a recording; `fields` and `headers` may be given."""
    content = wav() if data is None else data
    return api.post(
        call, files={"file": (name, content)}, data=more.get("fields"), headers=more.get("headers")
    )


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Asserts that the answer is this problem, and returns its document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}"), problem
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem

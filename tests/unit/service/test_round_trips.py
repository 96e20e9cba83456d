"""How often a POST waits for Redis before it is answered."""

import httpx
import pytest

from tests.round_trips import round_trips
from tests.unit.service.requests_made import wav

# The models, the queue's length, the room that there is, the job, its message, its place in the queue.
AS_CLAIMED = 6
# Once a second also who serves the models, and what has expired; other threads have business of their own.
POSTS = 5


def test_a_recording_takes_few(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def post() -> None:
        assert api.post("/classify", files={"file": ("x.wav", wav())}).status_code == 202

    post()  # loads scripts, opens connections
    counts = []
    for _ in range(POSTS):
        with round_trips(monkeypatch) as found:
            post()
        counts.append(found.n)
    assert min(counts) == AS_CLAIMED, counts

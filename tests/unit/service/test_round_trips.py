"""How often a POST waits for Redis before it is answered."""

import httpx
import pytest

from tests.round_trips import round_trips
from tests.unit.service.requests_made import wav

# The models, the queue's length, the room that there is, the job, its message, its place in the queue. Once a
# second also who serves the models, and what has expired: a look at all workers takes two or three.
MOST = 12


def test_a_recording_takes_few(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def post() -> None:
        assert api.post("/classify", files={"file": ("x.wav", wav())}).status_code == 202

    post()  # loads scripts, opens connections
    with round_trips(monkeypatch) as found:
        post()
    assert 5 <= found.n <= MOST

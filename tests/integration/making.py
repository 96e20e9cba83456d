"""What the tests of data sets and trainings share: an operator's client, and ways to wait for their jobs."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

KEY = "a-key-for-integration-tests"
END_S = 240.0

Document = dict[str, Any]

# Three instruments that are in no vocabulary, and little of everything.
OTHER_INSTRUMENTS: Document = {
    "name": "others",
    "n_clips": 120,
    "clip_duration_s": 2.0,
    "seed": 5,
    "instruments": [
        {"name": "Flute", "program": 73, "pitch_range": [60, 90]},
        {"name": "Cello", "program": 42, "pitch_range": [36, 72]},
        {"name": "Tuba", "program": 58, "pitch_range": [28, 55]},
    ],
    "instruments_per_clip": [1, 2],
    "melody": {"pitch_range": "natural"},
}


class Operator:
    """Somebody with the admin key."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def order(self, recipe: Document, **fields: Any) -> Document:
        """Asks for a data set: the job."""
        return self._post("/datasets", {"recipe": recipe, **fields})

    def train(self, dataset: str, model_id: str, **fields: Any) -> Document:
        """Asks for a model: the job."""
        return self._post("/trainings", {"dataset": dataset, "model_id": model_id, **fields})

    def job(self, job: Document) -> Document:
        """The job as it is now."""
        found: Document = self.client.get(job["links"]["self"]).raise_for_status().json()
        return found

    def cancel(self, job: Document) -> httpx.Response:
        """Wants no more of the job."""
        return self.client.delete(job["links"]["self"])

    def wait_for_clips(self, job: Document, n_clips: int) -> Document:
        """The job once so many clips are done."""
        return self._wait(
            job, lambda now: now["progress"]["stage"] == "rendering" and now["progress"]["done"] >= n_clips
        )

    def wait_for_epoch(self, job: Document, epoch: int) -> Document:
        """The job once this epoch is done."""
        return self._wait(job, lambda now: now["progress"].get("metrics", {}).get("epoch", 0) >= epoch)

    def wait_for_end(self, job: Document, status: str = "succeeded") -> Document:
        """The job once it has ended, which has to be like this."""
        ended = self._wait(job, lambda now: now["status"] not in ("queued", "running"))
        assert ended["status"] == status, ended
        return ended

    def _wait(self, job: Document, reached: Any) -> Document:
        deadline = time.monotonic() + END_S
        while not reached(now := self.job(job)):
            assert now["status"] in ("queued", "running"), now
            assert time.monotonic() < deadline, now
            time.sleep(0.1)
        return now

    def _post(self, call: str, body: Document) -> Document:
        answer = self.client.post(call, json=body)
        assert answer.status_code == 202, answer.text
        job: Document = answer.json()
        return job


@contextmanager
def operating(url: str) -> Iterator[Operator]:
    """Somebody with the admin key of the service at this URL."""
    with httpx.Client(base_url=url, timeout=90.0, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield Operator(client)


def tree(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }

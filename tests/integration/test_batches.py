"""Several recordings in one request: each is worked on as if it had been sent alone."""

import httpx

from tests.integration import sounds
from tests.integration.processes import wait_until

WAIT = {"Prefer": "wait=30"}


def test_every_file_gets_its_result(client: httpx.Client) -> None:
    tone = sounds.audio_file(sounds.tone(2.0))
    sent = {
        "tone.wav": tone,
        "notes.txt": b"no sound",
        "song.mid": sounds.midi_file(),
        "nan.wav": sounds.nan_file(),
    }
    files = [("file", item) for item in sent.items()]
    answer = client.post("/classify/batch", files=files, headers=WAIT)
    assert answer.status_code in (200, 202), answer.text
    entries = answer.json()["jobs"]
    assert [entry["filename"] for entry in entries] == list(sent)
    assert entries[1]["problem"]["type"] == "/problems/unknown-format"
    made = [entry["job"]["links"]["self"] for entry in entries if "job" in entry]

    def ended() -> bool:
        return all(client.get(path).json()["finished_at"] is not None for path in made)

    wait_until(ended, 120.0, "the jobs' end")
    jobs = [client.get(path).json() for path in made]
    assert [job["status"] for job in jobs] == ["succeeded", "succeeded", "failed"]
    assert jobs[2]["error"]["type"] == "/problems/non-finite-samples"
    alone = client.post("/classify", files={"file": ("tone.wav", tone)}, headers=WAIT)
    assert alone.json()["result"]["instruments"] == jobs[0]["result"]["instruments"]

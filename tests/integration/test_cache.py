"""The same question twice: at once, with the same files; and computed anew, with the same files too."""

import io
from typing import Any

import httpx
import pytest

from tests.integration import sounds
from tests.integration.test_analysis import analyse, links_of

WAIT = {"Prefer": "wait=30"}
TAKES_EARLIER = {**WAIT, "Cache-Control": "max-age=600"}

QUESTIONS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "classify": ("/classify", sounds.audio_file(sounds.tone(3.0)), {}),
    "explain": ("/explain", sounds.audio_file(sounds.tone(3.0)), {"instruments": "Violin", "concepts": "2"}),
    "midi": ("/explain", sounds.midi_file(), {"concepts": "1"}),
}


def etags(client: httpx.Client, job: dict[str, Any]) -> dict[str, str]:
    """What each file's content is, by its name."""
    links = sorted(set(links_of(job["result"])))
    assert all(link.startswith(f"{job['links']['self']}/artifacts/") for link in links)
    return {link.rpartition("/")[2]: client.head(link).headers["etag"] for link in links}


def without_links(value: object, job_id: str) -> object:
    """A result as it would be of any job."""
    if isinstance(value, dict):
        return {name: without_links(member, job_id) for name, member in value.items()}
    if isinstance(value, list):
        return [without_links(member, job_id) for member in value]
    return value.replace(job_id, "ID") if isinstance(value, str) else value


@pytest.mark.parametrize(("call", "data", "fields"), QUESTIONS.values(), ids=QUESTIONS)
def test_the_answer_is_the_same(client: httpx.Client, call: str, data: bytes, fields: dict[str, str]) -> None:
    computed = [analyse(client, call, data, **fields) for _ in range(2)]
    files = {"file": ("again", io.BytesIO(data))}
    answer = client.post(call, files=files, data=fields, headers=TAKES_EARLIER)
    assert answer.status_code == 200
    cached = answer.json()
    assert [job["cached"] for job in (*computed, cached)] == [False, False, True]
    assert cached["started_at"] == cached["finished_at"]
    results = [without_links(job["result"], job["id"]) for job in (*computed, cached)]
    contents = [etags(client, job) for job in (*computed, cached)]
    assert len(contents[0]) >= 1
    assert results[0] == results[1] == results[2]
    assert contents[0] == contents[1] == contents[2]
    for job in computed:
        assert client.delete(job["links"]["self"]).status_code == 204
    assert etags(client, cached) == contents[2]
    sound = client.get(f"{cached['links']['self']}/artifacts/audio.wav")
    assert sound.content.startswith(b"RIFF")

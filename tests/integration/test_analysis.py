"""The main job over HTTP: recordings in, labels and relevance maps out, and what is said of them is true."""

import csv
import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.integration import sounds

WAIT = {"Prefer": "wait=30"}


def analyse(client: httpx.Client, call: str, data: bytes, **fields: Any) -> dict[str, Any]:
    """The finished job."""
    answer = client.post(call, files={"file": ("clip", data)}, data=fields, headers=WAIT)
    while answer.status_code == 202:  # a busy machine: look again
        job = answer.json()
        answer = client.get(job["links"]["self"])
        if answer.json()["status"] in ("queued", "running"):
            client.get(job["links"]["events"], timeout=120)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert job["status"] == "succeeded", job
    return dict(job)


def links_of(result: object) -> list[str]:
    """All artefacts that a result links to."""
    if isinstance(result, dict):
        return [link for value in result.values() for link in links_of(value)]
    if isinstance(result, list):
        return [link for value in result for link in links_of(value)]
    return [result] if isinstance(result, str) and "/artifacts/" in result else []


def numbers(client: httpx.Client, path: str) -> dict[str, Any]:
    """The arrays of an NPZ."""
    with np.load(io.BytesIO(client.get(path).content), allow_pickle=False) as arrays:
        return dict(arrays)


def test_classify(client: httpx.Client) -> None:
    data = sounds.audio_file(sounds.tone(12.0))
    job = analyse(client, "/classify", data)
    (model,) = [model for model in client.get("/models").json()["models"] if model["default"]]
    assert job["model"] == {"id": model["id"], "sha256": model["sha256"]}
    assert job["input"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert job["created_at"] <= job["started_at"] <= job["finished_at"] < job["expires_at"]
    result = job["result"]
    probabilities = [score["probability"] for score in result["instruments"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert {score["instrument"] for score in result["instruments"]} == set(model["instruments"])
    for score in result["instruments"]:
        assert score["present"] == (score["probability"] >= model["thresholds"][score["instrument"]])
        highest = max(window["probabilities"][score["instrument"]] for window in result["timeline"])
        assert score["probability"] == highest
    windows = [(window["start_s"], window["end_s"]) for window in result["timeline"]]
    assert windows == [(0.0, 5.0), (2.5, 7.5), (5.0, 10.0), (7.5, 12.0)]
    exports = {name: client.get(path) for name, path in result["exports"].items()}
    kinds = {name: answer.headers["content-type"] for name, answer in exports.items()}
    table = "text/csv; charset=utf-8"
    assert kinds == {"jams": "application/json", "csv": table, "timeline_csv": table}
    rows = list(csv.DictReader(io.StringIO(exports["csv"].text, newline="")))
    assert [(row["instrument"], float(row["probability"])) for row in rows] == [
        (score["instrument"], score["probability"]) for score in result["instruments"]
    ]
    tags = exports["jams"].json()["annotations"][1]["data"]
    assert len(tags) == len(exports["timeline_csv"].text.splitlines()) - 1 == 4 * len(rows)
    sounded = hashlib.sha256(artifact(client, job, "audio.wav").content).hexdigest()
    assert exports["jams"].json()["file_metadata"]["identifiers"] == {"audio_wav_sha256": sounded}


def test_a_threshold_decides_what_is_present(client: httpx.Client) -> None:
    data = sounds.audio_file(sounds.tone(1.0))
    for threshold in (0.0, 1.0):
        job = analyse(client, "/classify", data, threshold=threshold)
        for score in job["result"]["instruments"]:
            assert score["present"] == (score["probability"] >= threshold)


@pytest.mark.parametrize(
    ("kind", "subtype", "known_as"),
    [
        ("WAV", "FLOAT", "wav"),
        ("FLAC", "PCM_16", "flac"),
        ("OGG", "VORBIS", "ogg"),
        ("MP3", "MPEG_LAYER_III", "mp3"),
        ("AIFF", "PCM_16", "aiff"),
    ],
)
def test_every_format(client: httpx.Client, kind: str, subtype: str, known_as: str) -> None:
    job = analyse(client, "/classify", sounds.audio_file(sounds.tone(2.0), kind=kind, subtype=subtype))
    assert job["input"]["format"] == known_as
    assert job["input"]["duration_s"] == pytest.approx(2.0, abs=0.06)
    analysed, rate_hz = soundfile.read(io.BytesIO(artifact(client, job, "audio.wav").content))
    assert rate_hz == job["input"]["sample_rate_hz"]
    assert len(analysed) / rate_hz == pytest.approx(2.0, abs=0.06)


def artifact(client: httpx.Client, job: dict[str, Any], name: str) -> httpx.Response:
    """A file that the job made."""
    return client.get(f"{job['links']['self']}/artifacts/{name}")


def test_midi_is_rendered(client: httpx.Client) -> None:
    job = analyse(client, "/classify", sounds.midi_file(notes=[60, 64, 67, 72], program=40))
    assert job["input"]["format"] == "midi"
    assert (job["input"]["sample_rate_hz"], job["input"]["channels"]) == (None, None)
    assert job["input"]["duration_s"] == pytest.approx(2.0)
    samples, rate_hz = soundfile.read(io.BytesIO(artifact(client, job, "audio.wav").content))
    assert rate_hz == 44_100
    assert len(samples) / rate_hz >= 2.0
    assert 0.01 < np.abs(samples).max() <= 1.0
    assert job["result"]["instruments"][0]["instrument"] == "Violin"


def test_explain(client: httpx.Client) -> None:
    job = analyse(
        client, "/explain", sounds.audio_file(sounds.tone()), instruments=["Violin", "Trumpet"], concepts=1
    )
    result = job["result"]
    assert {each["instrument"] for each in result["explanations"]} == {"Violin", "Trumpet"}
    links = links_of(result)
    assert len(links) == len(set(links)) >= 2 + 2 * (2 + 2 * 2)
    shapes = set()
    for link in links:
        assert link.startswith(f"{job['links']['self']}/artifacts/")
        answer = client.get(link)
        assert answer.status_code == 200
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        if link.endswith(".png"):
            assert answer.headers["content-type"] == "image/png"
            Image.open(io.BytesIO(answer.content)).verify()
        if link.endswith(".npz"):
            arrays = numbers(client, link)
            key = "level_db" if "spectrogram" in link else "relevance"
            assert set(arrays) == {key, "frequencies_hz", "times_s"}
            assert arrays[key].dtype == np.float32
            assert arrays[key].shape == (len(arrays["frequencies_hz"]), len(arrays["times_s"]))
            assert np.isfinite(arrays[key]).all()
            shapes.add(arrays[key].shape)
    assert len(shapes) == 1
    for each in result["explanations"]:
        whole = numbers(client, each["map"]["npz"])["relevance"]
        parts = sum(numbers(client, concept["map"]["npz"])["relevance"] for concept in each["concepts"])
        np.testing.assert_allclose(parts, whole, atol=1e-4 * float(np.abs(whole).max()))
        assert each["concepts"][-1]["channel"] is None


def test_the_axes_are_right(client: httpx.Client) -> None:
    data = sounds.audio_file(sounds.tone(5.0, frequency_hz=1000.0, on_s=(2.0, 3.0)))
    result = analyse(client, "/explain", data, concepts=0, instruments="Violin")["result"]
    spectrogram = numbers(client, result["spectrogram"]["npz"])
    row, column = np.unravel_index(spectrogram["level_db"].argmax(), spectrogram["level_db"].shape)
    assert spectrogram["frequencies_hz"][row] == pytest.approx(1000.0, rel=0.03)
    assert 2.0 <= spectrogram["times_s"][column] <= 3.0
    loud = spectrogram["level_db"][row] > spectrogram["level_db"].max() - 20
    assert spectrogram["times_s"][loud].min() == pytest.approx(2.0, abs=0.05)
    assert spectrogram["times_s"][loud].max() == pytest.approx(3.0, abs=0.05)
    relevance = numbers(client, result["explanations"][0]["map"]["npz"])
    np.testing.assert_array_equal(relevance["times_s"], spectrogram["times_s"])
    np.testing.assert_array_equal(relevance["frequencies_hz"], spectrogram["frequencies_hz"])


def test_a_part_of_a_long_recording(client: httpx.Client) -> None:
    data = sounds.audio_file(sounds.tone(65.0, on_s=(30.0, 33.0)))
    fields = {"start_s": 29.0, "duration_s": 5.0, "concepts": 0, "instruments": "Violin"}
    result = analyse(client, "/explain", data, **fields)["result"]
    times_s = numbers(client, result["spectrogram"]["npz"])["times_s"]
    assert times_s.min() == pytest.approx(29.0, abs=0.05)
    assert times_s.max() == pytest.approx(34.0, abs=0.05)


def test_silence_has_nothing_to_explain(client: httpx.Client) -> None:
    job = analyse(client, "/explain", sounds.audio_file(np.zeros(3 * sounds.RATE_HZ, np.float32)))
    assert not any(score["present"] for score in job["result"]["instruments"])
    assert job["result"]["explanations"] == []
    assert artifact(client, job, "spectrogram.png").status_code == 200


def test_requests_at_once_are_answered_as_one_alone(client: httpx.Client) -> None:
    recordings = [sounds.audio_file(sounds.tone(5.0, frequency_hz=f)) for f in (262.0, 392.0)]

    def explain(data: bytes) -> tuple[str, dict[str, str]]:
        job = analyse(client, "/explain", data, concepts=1, instruments="Violin")
        result = json.dumps(job["result"]).replace(job["id"], "ID")
        tags = {link.rpartition("/")[2]: client.get(link).headers["etag"] for link in links_of(job["result"])}
        return result, tags

    alone = [explain(data) for data in recordings]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(explain, recordings * 2))
    assert together == alone * 2
    assert alone[0] != alone[1]


def test_progress_is_told(client: httpx.Client) -> None:
    data = sounds.audio_file(sounds.tone(5.0))
    answer = client.post(
        "/explain", files={"file": ("x", data)}, data={"instruments": "Violin", "concepts": "1"}
    )
    events = client.get(answer.json()["links"]["events"], timeout=120).text
    states = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    assert states[0]["status"] == "queued"
    assert states[-1]["status"] == "succeeded"
    stages = list(dict.fromkeys(state["progress"]["stage"] for state in states))
    assert stages == ["queued", "starting", "decoding", "classifying", "attributing", "checking", "drawing"]
    for stage in stages[2:]:
        done = [state["progress"]["done"] for state in states if state["progress"]["stage"] == stage]
        assert done == sorted(done)

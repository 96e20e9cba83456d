"""`POST /classify` and `POST /explain`: what is accepted, and what is refused before there is a job."""

import hashlib
import time
from typing import Any

import httpx
import pytest

from ml.relevance.methods import METHODS
from service.intake.recordings import display_name
from tests.unit.ml.media.files import midi
from tests.unit.service.conftest import CARD, StartApi
from tests.unit.service.requests_made import assert_problem, post, wav
from worker.catalog import Catalog, model_from_card
from worker.questions import Parameters
from worker.store import JobStore


@pytest.mark.parametrize("kind", ["classify", "explain"])
def test_a_job_is_accepted(api: httpx.Client, store: JobStore, kind: str) -> None:
    data = wav(2.0)
    answer = post(api, f"/{kind}", data=data)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["retry-after"] == "1"
    assert job["kind"] == kind
    assert job["status"] == "queued"
    assert job["progress"] == {"stage": "queued", "done": 0, "total": 0, "queue_position": 1}
    assert job["input"] == {
        "filename": "clip.wav",
        "sha256": hashlib.sha256(data).hexdigest(),
        "format": "wav",
        "duration_s": 2.0,
        "sample_rate_hz": 8000,
        "channels": 1,
    }
    assert job["model"] == {"id": "default", "sha256": "ab" * 32}
    assert [job[key] for key in ("started_at", "finished_at", "expires_at", "result", "error")] == [None] * 5
    assert api.get(job["links"]["self"]).json() == job
    assert store.uploads(job["id"]) == (data,)


def test_parameters_reach_the_job(api: httpx.Client, store: JobStore) -> None:
    fields = {
        "model": "default",
        "threshold": "0.25",
        "instruments": ["Trumpet", "Violin", "Trumpet"],
        "concepts": "7",
        "start_s": "0.5",
        "duration_s": "0.25",
        "engine": "zennit",
        "method": "epsilon",
        "layer": "features.conv1",
    }
    job = store.get(post(api, fields=fields).json()["id"])
    way = ("zennit", "epsilon", "features.conv1")
    assert job.parameters == Parameters(0.25, ("Trumpet", "Violin"), 7, 0.5, 0.25, *way)
    job = store.get(post(api, fields={"instruments": "Violin", "contrast": "Trumpet"}).json()["id"])
    assert job.parameters == Parameters(instruments=("Violin",), contrast="Trumpet")


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no number": ({"threshold": "loud"}, "threshold"),
    "NaN": ({"threshold": "nan"}, "threshold"),
    "too high": ({"threshold": "1.5"}, "threshold"),
    "negative": ({"threshold": "-0.1"}, "threshold"),
    "half a concept": ({"concepts": "1.5"}, "concepts"),
    "too many concepts": ({"concepts": "65"}, "concepts"),
    "negative concepts": ({"concepts": "-1"}, "concepts"),
    "negative start": ({"start_s": "-1"}, "start_s"),
    "infinite start": ({"start_s": "inf"}, "start_s"),
    "no duration": ({"duration_s": "0"}, "duration_s"),
    "long duration": ({"duration_s": "61"}, "duration_s"),
    "after the end": ({"start_s": "1.0"}, "start_s"),
    "misspelt": ({"treshold": "0.5"}, "treshold"),
    "twice": ({"threshold": ["0.5", "0.6"]}, "threshold"),
    "long name": ({"instruments": "x" * 201}, "instruments.0"),
    "many names": ({"instruments": ["Violin"] * 129}, "instruments"),
    "against itself": ({"instruments": ["Trumpet", "Violin"], "contrast": "Violin"}, "contrast"),
    "two contrasts": ({"contrast": ["Trumpet", "Violin"]}, "contrast"),
}


@pytest.mark.parametrize(("fields", "named"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_a_bad_field_is_named(api: httpx.Client, fields: dict[str, Any], named: str) -> None:
    problem = assert_problem(post(api, fields=fields), 422, "invalid-request")
    assert [fault["field"] for fault in problem["errors"]] == [named]
    assert named in problem["detail"]
    assert api.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    "field", ["instruments", "concepts", "start_s", "duration_s", "method", "layer", "contrast", "stem"]
)
def test_classify_has_fewer_fields(api: httpx.Client, field: str) -> None:
    problem = assert_problem(post(api, "/classify", fields={field: "1"}), 422, "invalid-request")
    assert problem["errors"] == [{"field": field, "message": "There is no such field"}]


def test_unknown_names_are_answered_with_the_known_ones(api: httpx.Client) -> None:
    problem = assert_problem(
        post(api, fields={"instruments": ["Violin", "Kazoo"]}), 422, "unknown-instrument"
    )
    assert problem["unknown"] == ["Kazoo"]
    assert problem["available"] == ["Violin", "Trumpet"]
    problem = assert_problem(post(api, fields={"model": "best"}), 422, "unknown-model")
    assert problem["available"] == ["default"]
    problem = assert_problem(post(api, fields={"contrast": "Kazoo"}), 422, "unknown-instrument")
    assert (problem["unknown"], problem["available"]) == (["Kazoo"], ["Violin", "Trumpet"])
    problem = assert_problem(post(api, fields={"method": "guess"}), 422, "unknown-method")
    assert (problem["unknown"], problem["available"]) == ("guess", list(METHODS))
    problem = assert_problem(post(api, fields={"layer": "head"}), 422, "unknown-layer")
    assert (problem["unknown"], problem["available"]) == ("head", ["features.conv1", "features.conv2"])


def test_layers_that_are_not_known_yet_are_the_workers_to_judge(api: httpx.Client, models: Catalog) -> None:
    models.announce("worker", [model_from_card(CARD)])
    assert post(api, fields={"layer": "head"}).status_code == 202


@pytest.mark.parametrize(
    ("start_s", "duration_s", "status"),
    [("0.6", "0.3", 422), ("0.6", "0.5", 202), ("0.2", "0.1", 202), ("0", "0.5", 202)],
)
def test_a_range_of_a_midi_file_needs_notes(
    api: httpx.Client, start_s: str, duration_s: str, status: int
) -> None:
    half_a_second = b"\x90\x3c\x40\x83\x60\x80\x3c\x40"
    data = midi(b"\x00" + half_a_second + b"\x83\x60" + half_a_second)  # with a pause as long between them
    answer = post(api, data=data, fields={"start_s": start_s, "duration_s": duration_s})
    assert answer.status_code == status
    if status == 422:
        problem = assert_problem(answer, 422, "invalid-request")
        assert "No note of the MIDI file sounds between 0.6 s and 0.9 s" in problem["detail"]
        assert problem["errors"][0]["field"] == "start_s"


@pytest.mark.parametrize("fields", [{}, {"start_s": "3"}, {"duration_s": "5"}])
def test_a_long_recording_needs_a_range(api: httpx.Client, fields: dict[str, str]) -> None:
    problem = assert_problem(post(api, data=wav(61.0), fields=fields), 422, "range-required")
    assert problem["duration_s"] == 61.0


def test_a_long_recording_with_a_range_is_accepted(api: httpx.Client) -> None:
    assert post(api, data=wav(61.0), fields={"start_s": "30", "duration_s": "60"}).status_code == 202
    assert post(api, "/classify", data=wav(61.0)).status_code == 202


@pytest.mark.parametrize(
    "content_type",
    ["", "audio/wav", "application/json", "application/x-www-form-urlencoded", "multipart/mixed"],
)
def test_a_body_that_is_no_form(api: httpx.Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert_problem(api.post("/classify", content=wav(), headers=headers), 415, "unsupported-media")


def test_a_form_without_a_file(api: httpx.Client) -> None:
    problem = assert_problem(api.post("/classify", files={"fiel": ("x", wav())}), 422, "invalid-request")
    assert {"field": "file", "message": "This field is required"} in problem["errors"]
    problem = assert_problem(api.post("/classify", files={"file": (None, "text")}), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "file"


def test_a_broken_form(api: httpx.Client) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_problem(api.post("/classify", content=b"nonsense", headers=headers), 400, "bad-request")
    headers = {"Content-Type": "multipart/form-data"}
    assert_problem(api.post("/classify", content=b"--b\r\nnonsense", headers=headers), 400, "bad-request")


def test_two_files(api: httpx.Client) -> None:
    files = [("file", ("a", wav())), ("file", ("b", wav()))]
    problem = assert_problem(api.post("/classify", files=files), 422, "invalid-request")
    assert problem["detail"] == "Too many files. Maximum number of files is 1."


def test_too_many_fields(api: httpx.Client) -> None:
    problem = assert_problem(post(api, fields={"instruments": ["Violin"] * 201}), 422, "invalid-request")
    assert problem["detail"] == "Too many fields. Maximum number of fields is 200."


@pytest.mark.parametrize("field", ["model", "layer", "contrast", "engine", "start_s", "threshold"])
def test_an_empty_field_is_not_the_default(api: httpx.Client, field: str) -> None:
    problem = assert_problem(post(api, fields={field: ""}), 422, "invalid-request")
    assert problem["errors"] == [{"field": field, "message": "This field is empty; leave it out instead"}]


def test_an_empty_method_is_unknown(api: httpx.Client) -> None:
    problem = assert_problem(post(api, fields={"method": ""}), 422, "unknown-method")
    assert (problem["unknown"], problem["available"]) == ("", list(METHODS))
    problem = assert_problem(post(api, "/classify", fields={"method": ""}), 422, "invalid-request")
    assert problem["errors"] == [{"field": "method", "message": "There is no such field"}]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "streamed"])
def test_a_body_beyond_the_bound(start_api: StartApi, models: Catalog, declared: bool) -> None:
    api = start_api(max_upload_bytes=100_000)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    parts = [head, *[bytes(50_000)] * 40]
    content: Any = b"".join(parts) if declared else iter(parts)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    started = time.monotonic()
    problem = assert_problem(api.post("/classify", content=content, headers=headers), 413, "too-many-bytes")
    assert problem["max_bytes"] == 100_000
    assert time.monotonic() - started < 2.0


def test_a_file_just_beyond_the_bound(start_api: StartApi, models: Catalog) -> None:
    data = wav()
    api = start_api(max_upload_bytes=len(data) - 1)
    assert_problem(post(api, data=data), 413, "too-many-bytes")
    api = start_api(max_upload_bytes=len(data))
    assert post(api, data=data).status_code == 202


def test_a_full_queue(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_queued_interactive=2)
    first = post(api).json()
    assert post(api).status_code == 202
    refused = post(api)
    assert_problem(refused, 503, "queue-full")
    assert int(refused.headers["retry-after"]) > 0
    api.delete(first["links"]["self"])
    assert post(api).status_code == 202


def test_no_worker_was_ever_there(start_api: StartApi) -> None:
    api = start_api()
    for answer in (post(api), api.get("/models"), api.get("/instruments"), api.get("/health/ready")):
        assert_problem(answer, 503, "no-worker")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("clip.wav", "clip.wav"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Music\clip.wav", "clip.wav"),
        ("a\x00b\nc\u2028d.wav", "abcd.wav"),
        ("x" * 500, "x" * 200),
        ("", "upload"),
        (None, "upload"),
        ("dir/", "upload"),
        ("Größe 音.flac", "Größe 音.flac"),
    ],
)
def test_file_names_are_only_shown(given: str | None, shown: str) -> None:
    assert display_name(given) == shown

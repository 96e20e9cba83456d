"""`POST /explain/check`: which stems are accepted, and what is refused before there is a job."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.unit.ml.media.files import midi
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem
from worker.catalog import Catalog
from worker.jobs import JobKind, QueueName
from worker.questions import MAX_STEMS, Parameters
from worker.store import JobStore

BOTH = ("Violin", "Trumpet")


def wav(duration_s: float = 1.0, rate_hz: int = 8_000, seed: int = 1) -> bytes:
    samples = np.random.default_rng(seed).normal(0, 0.05, round(rate_hz * duration_s))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV")
    return buffer.getvalue()


VIOLIN, TRUMPET = wav(seed=1), wav(seed=2)


def check(
    api: httpx.Client,
    stems: Sequence[bytes] = (VIOLIN, TRUMPET),
    instruments: Sequence[str] = BOTH,
    fields: Mapping[str, Any] | None = None,
) -> httpx.Response:
    files = [("stem", (f"{number}.wav", data)) for number, data in enumerate(stems)]
    return api.post("/explain/check", files=files, data={"instrument": list(instruments), **(fields or {})})


def test_a_job_is_accepted(api: httpx.Client, store: JobStore) -> None:
    answer = check(api)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["input"]) == ("check", "queued", None)
    assert [stem["instrument"] for stem in job["stems"]] == list(BOTH)
    assert job["stems"][1]["recording"] == {
        "filename": "1.wav",
        "sha256": hashlib.sha256(TRUMPET).hexdigest(),
        "format": "wav",
        "duration_s": 1.0,
        "sample_rate_hz": 8000,
        "channels": 1,
    }
    assert api.get(job["links"]["self"]).json() == job
    assert store.uploads(job["id"]) == (VIOLIN, TRUMPET)
    assert store.queue_depth(QueueName.INTERACTIVE) == 1


def test_parameters_reach_the_job(api: httpx.Client, store: JobStore) -> None:
    fields = {
        "model": "default",
        "concepts": "2",
        "method": "gamma",
        "layer": "features.conv2",
        "engine": "direct",
    }
    job = store.get(check(api, fields=fields).json()["id"])
    assert job.kind is JobKind.CHECK
    assert job.parameters == Parameters(n_concepts=2, method="gamma", layer="features.conv2", engine="direct")


def test_a_stem_alone_and_two_of_one_instrument(api: httpx.Client) -> None:
    assert check(api, [VIOLIN], ["Violin"]).status_code == 202
    assert check(api, [VIOLIN, TRUMPET], ["Violin", "Violin"]).status_code == 202


def test_it_goes_with_its_stems(api: httpx.Client, store: JobStore) -> None:
    path = check(api).json()["links"]["self"]
    assert api.delete(path).json()["status"] == "cancelled"
    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 410, "job-deleted")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (wav(1.5), ("12000 samples at 8000 Hz", "8000 samples at 8000 Hz")),
        (wav(1.0, 16_000), ("16000 samples at 16000 Hz", "8000 samples at 8000 Hz")),
        (wav(0.5, 16_000), ("8000 samples at 16000 Hz", "8000 samples at 8000 Hz")),
    ],
    ids=["length", "rate", "rate of as many samples"],
)
def test_stems_that_do_not_go_together(api: httpx.Client, other: bytes, words: tuple[str, str]) -> None:
    problem = assert_problem(check(api, [VIOLIN, other]), 422, "invalid-request")
    assert [fault["field"] for fault in problem["errors"]] == ["stem.1"]
    assert f"Stem 2 ('1.wav') has {words[0]}, but Stem 1 ('0.wav') has {words[1]}" in problem["detail"]
    assert api.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize(("stems", "instruments"), [((VIOLIN, TRUMPET), ("Violin",)), ((VIOLIN,), BOTH)])
def test_every_stem_has_one_instrument(
    api: httpx.Client, stems: Sequence[bytes], instruments: Sequence[str]
) -> None:
    problem = assert_problem(check(api, stems, instruments), 422, "invalid-request")
    assert [fault["field"] for fault in problem["errors"]] == ["instrument"]
    assert f"{len(stems)} stems and {len(instruments)} instruments" in problem["detail"]


def test_nothing_at_all(api: httpx.Client) -> None:
    problem = assert_problem(api.post("/explain/check", files={"x": ("x", b"")}), 422, "invalid-request")
    assert {fault["field"] for fault in problem["errors"]} == {"stem", "instrument", "x"}
    text_for_a_file = {"stem": (None, "text"), "instrument": (None, "Violin")}
    problem = assert_problem(api.post("/explain/check", files=text_for_a_file), 422, "invalid-request")
    assert problem["errors"] == [
        {"field": "stem.0", "message": "This has to be a file, sent with a file name"}
    ]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"concepts": "65"}, "concepts"),
        ({"threshold": "0.5"}, "threshold"),
        ({"instruments": "Violin"}, "instruments"),
        ({"method": ["epsilon", "gamma"]}, "method"),
        ({"engine": "steam"}, "engine"),
    ],
)
def test_a_bad_field_is_named(api: httpx.Client, fields: dict[str, Any], named: str) -> None:
    problem = assert_problem(check(api, fields=fields), 422, "invalid-request")
    assert [fault["field"] for fault in problem["errors"]] == [named]


def test_unknown_names_are_answered_with_the_known_ones(api: httpx.Client) -> None:
    problem = assert_problem(check(api, instruments=["Violin", "Kazoo"]), 422, "unknown-instrument")
    assert (problem["unknown"], problem["available"]) == (["Kazoo"], list(BOTH))
    assert_problem(check(api, fields={"model": "best"}), 422, "unknown-model")
    assert_problem(check(api, fields={"method": "guess"}), 422, "unknown-method")
    assert_problem(check(api, fields={"method": ""}), 422, "unknown-method")
    assert_problem(check(api, fields={"layer": "head"}), 422, "unknown-layer")


def test_what_is_wrong_with_a_stem_says_which_it_is(api: httpx.Client) -> None:
    problem = assert_problem(
        check(api, [VIOLIN, midi(b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x40")]), 415, "unsupported-format"
    )
    assert problem["detail"].startswith("Stem 2 ('1.wav'): A MIDI file holds notes and no samples")
    problem = assert_problem(check(api, [b"", VIOLIN]), 422, "empty-file")
    assert problem["detail"].startswith("Stem 1 ('0.wav'): ")
    problem = assert_problem(check(api, [wav(60.5), wav(60.5)]), 422, "invalid-request")
    assert "Stem 1 ('0.wav') lasts 60.500 s; 60 s are the most" in problem["detail"]


def test_too_many_stems(api: httpx.Client) -> None:
    most = [VIOLIN] * MAX_STEMS
    assert check(api, most, ["Violin"] * MAX_STEMS).status_code == 202
    problem = assert_problem(
        check(api, [*most, VIOLIN], ["Violin"] * (MAX_STEMS + 1)), 422, "invalid-request"
    )
    assert f"{MAX_STEMS + 1} stems" in problem["detail"]
    problem = assert_problem(check(api, most * 5, ["Violin"]), 422, "invalid-request")
    assert problem["detail"] == f"Too many files. Maximum number of files is {4 * MAX_STEMS}."


def test_the_stems_together_are_bounded(start_api: StartApi, models: Catalog) -> None:
    size = len(VIOLIN) + len(TRUMPET)
    problem = assert_problem(check(start_api(max_upload_bytes=size - 1)), 413, "too-many-bytes")
    assert (problem["n_bytes"], problem["max_bytes"]) == (size, size - 1)
    assert check(start_api(max_upload_bytes=size)).status_code == 202
    beyond_the_form = [bytes(600_000)] * 2
    problem = assert_problem(
        check(start_api(max_upload_bytes=900_000), beyond_the_form), 413, "too-many-bytes"
    )
    assert problem["max_bytes"] == 900_000


def test_a_full_queue(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_queued_interactive=1)
    assert check(api).status_code == 202
    assert_problem(check(api), 503, "queue-full")

"""Explanations with proof over HTTP: stems to check, MIDI files whose stems are known, ways to be asked."""

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from redis import Redis

from ml.recording import load_recording
from ml.score import midi_stems
from tests.integration import sounds
from tests.integration.processes import Stack
from tests.integration.test_analysis import analyse, artifact, links_of, numbers

DUET = Path("examples/trumpet-and-celesta.mid")
BOTH = {"Trumpet", "Celesta"}
CONSERVED = 1e-5  # of the strongest cell: concepts and their remainder are the map


@cache
def stems() -> Mapping[str, NDArray[np.float32]]:
    """What each instrument of the duet plays."""
    data = DUET.read_bytes()
    recording = load_recording(data, sample_rate_hz=sounds.RATE_HZ)
    return {stem.instrument: stem.recording.samples for stem in midi_stems(data, recording)}


def files(names: Mapping[str, NDArray[np.float32]]) -> list[tuple[str, tuple[str, bytes]]]:
    return [
        ("stem", (f"{name}.wav", sounds.audio_file(samples, subtype="FLOAT")))
        for name, samples in names.items()
    ]


def check(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """The finished job that checks the duet."""
    answer = client.post(
        "/explain/check",
        files=files(stems()),
        data={"instrument": list(stems()), **fields},
        headers={"Prefer": "wait=30"},
    )
    while answer.status_code == 202:
        client.get(answer.json()["links"]["events"], timeout=120)
        answer = client.get(answer.json()["links"]["self"])
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    assert job["status"] == "succeeded", job
    return job


@pytest.fixture(scope="module")
def checked(stack: Stack) -> dict[str, Any]:
    return check(stack.client, concepts=1)


def test_a_check_says_how_true_the_maps_are(client: httpx.Client, checked: dict[str, Any]) -> None:
    result = checked["result"]
    assert {each["instrument"] for each in result["explanations"]} == BOTH
    for each in result["explanations"]:
        truth = each["quality"]["truth"]
        assert truth["own_stem"] is True
        assert truth["pointing"] is True
        assert 0.0 < truth["skill"] <= 1.0
        assert set(truth["stems"]) == BOTH
        own = truth["stems"][each["instrument"]]
        (other,) = (of for name, of in truth["stems"].items() if name != each["instrument"])
        assert own["relevance"] > other["relevance"]
        assert own["shapley"] > other["shapley"]
        assert abs(truth["rest"]["relevance"]) < 1e-3  # nothing else sounds
        assert each["quality"]["evidence_maps"] >= 1
        assert 0.0 < each["quality"]["kept_energy_share"] <= 1.0
        mask = numbers(client, truth["mask"]["npz"])
        assert mask["share"].shape == numbers(client, each["map"]["npz"])["relevance"].shape
        assert 0.0 <= mask["share"].min() < mask["share"].max() <= 1.0


def test_the_mix_is_the_sum_of_the_stems(client: httpx.Client, checked: dict[str, Any]) -> None:
    mixed, rate_hz = soundfile.read(io.BytesIO(artifact(client, checked, "audio.wav").content))
    assert rate_hz == sounds.RATE_HZ
    np.testing.assert_allclose(mixed, sum(stems().values()), atol=1e-6)


def test_every_link_of_a_check_works(client: httpx.Client, checked: dict[str, Any]) -> None:
    links = links_of(checked["result"])
    assert len(links) == len(set(links))
    assert {"overview.png", "mask-trumpet.npz", "mask-trumpet.png"} <= {
        link.rpartition("/")[2] for link in links
    }
    assert {client.get(link).status_code for link in links} == {200}


def test_a_check_leaves_no_stem_behind(client: httpx.Client, checked: dict[str, Any], stack: Stack) -> None:
    with Redis.from_url(stack.redis_url) as redis:
        assert redis.keys(f"ts:job:{checked['id']}:uploads") == []


def test_a_stem_that_only_decoding_shows_to_be_broken(client: httpx.Client) -> None:
    broken = [("stem", ("a.wav", sounds.nan_file())), ("stem", ("b.wav", sounds.nan_file()))]
    answer = client.post(
        "/explain/check",
        files=broken,
        data={"instrument": ["Violin", "Trumpet"]},
        headers={"Prefer": "wait=30"},
    )
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/non-finite-samples"
    assert client.get(answer.headers["location"]).json()["status"] == "failed"


def test_a_midi_file_is_held_against_its_own_stems(client: httpx.Client) -> None:
    result = analyse(client, "/explain", DUET.read_bytes(), concepts=0)["result"]
    assert {each["instrument"] for each in result["explanations"]} == BOTH
    for each in result["explanations"]:
        truth = each["quality"]["truth"]
        assert truth["own_stem"] is True
        assert set(truth["stems"]) == BOTH
        whole = float(numbers(client, each["map"]["npz"])["relevance"].sum(dtype=np.float64))
        timeline = each["timeline"]
        assert sum(timeline["evidence"]) == pytest.approx(whole, rel=1e-4)
        notes = each["notes"]
        assert {note["instrument"] for note in notes} == BOTH
        on_notes = sum(note["relevance"] for note in notes)
        assert on_notes + each["off_notes"]["relevance"] == pytest.approx(whole, rel=1e-4)
        assert all(0 <= note["pitch"] <= 127 and note["start_s"] < note["end_s"] for note in notes)


def test_a_recording_has_no_truth_and_no_notes(client: httpx.Client) -> None:
    fields = {"instruments": "Violin", "concepts": 0}
    (each,) = analyse(client, "/explain", sounds.audio_file(sounds.tone()), **fields)["result"][
        "explanations"
    ]
    assert each["quality"]["truth"] is None
    assert not each.get("notes")


@pytest.mark.parametrize("method", ["epsilon", "gamma-box"])
def test_a_method_is_used_and_told(client: httpx.Client, method: str) -> None:
    data = sounds.audio_file(sounds.tone(2.0))
    fields = {"instruments": "Violin", "concepts": 0}
    usual, asked = (
        analyse(client, "/explain", data, **fields, **way)["result"] for way in ({}, {"method": method})
    )
    assert asked["method"] == method != usual["method"]
    maps = [numbers(client, each["explanations"][0]["map"]["npz"])["relevance"] for each in (usual, asked)]
    assert np.abs(maps[0] - maps[1]).max() > 1e-3 * np.abs(maps[0]).max()


def test_concepts_of_any_layer_add_up(client: httpx.Client) -> None:
    (model,) = [model for model in client.get("/models").json()["models"] if model["default"]]
    data = sounds.audio_file(sounds.tone(2.0))
    layer = model["layers"][-2]
    result = analyse(client, "/explain", data, instruments="Violin", concepts=2, layer=layer)["result"]
    assert result["layer"] == layer
    (each,) = result["explanations"]
    assert {concept["layer"] for concept in each["concepts"]} == {layer}
    whole = numbers(client, each["map"]["npz"])["relevance"]
    parts = sum(numbers(client, concept["map"]["npz"])["relevance"] for concept in each["concepts"])
    assert np.abs(parts - whole).max() <= CONSERVED * np.abs(whole).max()


def test_one_instrument_against_another(client: httpx.Client) -> None:
    data = DUET.with_suffix(".wav").read_bytes()
    maps = {}
    for fields in ({}, {"contrast": "Celesta"}):
        asked = {"instruments": "Trumpet", "concepts": 0, **fields}
        (each,) = analyse(client, "/explain", data, **asked)["result"]["explanations"]
        assert each["contrast"] == fields.get("contrast")
        maps[each["contrast"]] = numbers(client, each["map"]["npz"])["relevance"]
    (celesta,) = analyse(client, "/explain", data, instruments="Celesta", concepts=0)["result"][
        "explanations"
    ]
    difference = maps[None] - numbers(client, celesta["map"]["npz"])["relevance"]
    assert np.abs(maps["Celesta"] - difference).max() <= 1e-4 * np.abs(difference).max()


def test_why_not(client: httpx.Client) -> None:
    data = DUET.with_suffix(".wav").read_bytes()
    asked = {"instruments": ["Trumpet", "Soprano Sax"], "concepts": 0}
    explained = analyse(client, "/explain", data, **asked)["result"]["explanations"]
    found = {each["instrument"]: each["found"] for each in explained}
    assert found == {"Trumpet": True, "Soprano Sax": False}
    (missed,) = (each for each in explained if not each["found"])
    assert "not-found" in {warning["code"] for warning in missed["quality"]["warnings"]}
    relevance = numbers(client, missed["map"]["npz"])["relevance"]
    assert relevance.min() < 0.0 < relevance.max()

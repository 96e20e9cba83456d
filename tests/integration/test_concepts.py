"""What the channels of a model listen to, over HTTP: told by a real worker, rendered when first asked for."""

import io
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import httpx
import numpy as np
import soundfile
from PIL import Image

from tests.integration import sounds
from tests.integration.test_analysis import analyse
from worker.references import MOST_ASKED

CONCEPTS = "/models/default/concepts"
N_LOOKING = 120
MOST_HEARD = N_LOOKING // 2  # some came while there was room again: the slower the machine, the more


def test_what_a_channel_listens_to_can_be_heard_and_seen(client: httpx.Client) -> None:
    atlas = client.get(CONCEPTS).json()
    named = [
        concept for layer in atlas["layers"] for concept in layer["concepts"] if concept["status"] == "named"
    ]
    concept = client.get(named[0]["links"]["self"]).json()
    first, second = concept["references"]
    samples, rate_hz = soundfile.read(io.BytesIO(client.get(first["wav"]).raise_for_status().content))
    assert rate_hz == sounds.RATE_HZ
    assert 0.1 < np.abs(samples).max() <= 1.0
    started = time.monotonic()
    picture = client.get(first["png"]).raise_for_status()
    assert time.monotonic() - started < 1.0  # it came with the sound
    assert picture.headers["content-type"] == "image/png"
    Image.open(io.BytesIO(picture.content)).verify()
    again = client.get(first["png"], headers={"If-None-Match": picture.headers["etag"]})
    assert again.status_code == 304
    assert client.get(second["wav"]).content != client.get(first["wav"]).content


def test_many_who_look_through_the_concepts_keep_no_recording_waiting(client: httpx.Client) -> None:
    concepts = client.get(CONCEPTS).json()["layers"][0]["concepts"]
    paths = [
        f"{concept['links']['self']}/references/{place}.wav"
        for concept in concepts[2:]
        for place in range(concept["n_references"])
    ][:N_LOOKING]
    assert len(paths) == N_LOOKING
    with ThreadPoolExecutor(N_LOOKING) as people:
        looking = [people.submit(client.get, path, timeout=60.0) for path in paths]
        wait(looking, return_when=FIRST_COMPLETED)
        analyse(client, "/classify", sounds.audio_file(sounds.tone(2.0)))
    answers = [each.result() for each in looking]
    heard = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert MOST_ASKED <= len(heard) <= MOST_HEARD
    assert {(answer.status_code, answer.json()["type"]) for answer in refused} == {
        (503, "/problems/queue-full")
    }
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_a_model_without_an_atlas(client: httpx.Client) -> None:
    answer = client.get("/models/reference/concepts")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/missing-atlas")


def test_explanations_name_their_concepts(client: httpx.Client) -> None:
    (layer,) = client.get(CONCEPTS).json()["layers"]
    data = sounds.audio_file(sounds.tone(2.0))
    result = analyse(client, "/explain", data, instruments="Violin", concepts=12)["result"]
    assert result["layer"] == layer["layer"]
    *concepts, remainder = result["explanations"][0]["concepts"]
    assert {layer["concepts"][concept["channel"]]["status"] for concept in concepts} == {"named", "dead"}
    for concept in concepts:
        known = layer["concepts"][concept["channel"]]
        assert (concept["name"], concept["purity"]) == (known["name"], known["purity"])
        assert concept["links"] == {"concept": known["links"]["self"]}
        assert client.get(concept["links"]["concept"]).json()["channel"] == concept["channel"]
    assert remainder["remainder"] is True
    assert not remainder.get("name")


def test_other_layers_have_no_names(client: httpx.Client) -> None:
    (model,) = [model for model in client.get("/models").json()["models"] if model["default"]]
    fields = {"instruments": "Violin", "concepts": 1, "layer": model["layers"][0]}
    result = analyse(client, "/explain", sounds.audio_file(sounds.tone(2.0)), **fields)["result"]
    for concept in result["explanations"][0]["concepts"]:
        assert (concept["name"], concept["purity"], concept["links"]) == (None, None, None)

"""Streams of jobs' events are bounded, in all and for each key, and leave the rest of the service alone."""

from contextlib import ExitStack

import httpx
import pytest

from service.answering.streams import Streams
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import post
from worker.catalog import Catalog
from worker.request_errors import TooManyOwnStreamsError, TooManyStreamsError

KEY = "a-key-of-the-operator-that-nobody-guesses"


def follow(stack: ExitStack, api: httpx.Client, path: str) -> httpx.Response:
    """A stream that stays open."""
    return stack.enter_context(api.stream("GET", f"{path}/events"))


def test_beyond_the_bound_one_is_told_to_come_back(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_streams=3)
    path = post(api).headers["location"]
    with ExitStack() as stack:
        for _ in range(3):
            assert follow(stack, api, path).status_code == 200
        refused = api.get(f"{path}/events")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/too-many-streams")
        assert int(refused.headers["retry-after"]) > 0
        assert api.get(path).status_code == 200
        waited = api.post("/classify", files={"file": ("x", b"RIFF")}, headers={"Prefer": "wait=1"})
        assert waited.status_code in (415, 422)
    api.delete(path)
    assert api.get(f"{path}/events").status_code == 200  # those that ended have left their places


def test_so_is_a_key_that_follows_much(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_streams_per_key=2, admin_key=KEY)
    path = post(api).headers["location"]
    mine = {"Authorization": f"Bearer {KEY}"}
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(api.stream("GET", f"{path}/events", headers=mine)).status_code == 200
        refused = api.get(f"{path}/events", headers=mine)
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-own-streams")
        assert int(refused.headers["retry-after"]) > 0
        assert follow(stack, api, path).status_code == 200  # others are not concerned


def test_more_than_a_hundred_follow_and_others_are_answered(start_api: StartApi, models: Catalog) -> None:
    api = start_api()
    path = post(api).headers["location"]
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=api.base_url, timeout=60.0, limits=limits) as many, ExitStack() as stack:
        streams = [follow(stack, many, path) for _ in range(120)]
        firsts = [next(stream.iter_lines()) for stream in streams]
        assert all(first.startswith("id: ") for first in firsts)
        answer = post(api, headers={"Prefer": "wait=1"})
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=1"


def test_places_are_given_back() -> None:
    streams = Streams(2, 1)
    with streams.place("a"):
        with pytest.raises(TooManyOwnStreamsError, match="1 jobs"), streams.place("a"):
            pass
        with streams.place(""), pytest.raises(TooManyStreamsError), streams.place("b"):
            pass
    with streams.place("a"), streams.place("b"):
        pass

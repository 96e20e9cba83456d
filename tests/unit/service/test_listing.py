"""`GET /jobs` by status, kind, model and time, over pages."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from redis.connection import AbstractConnection

from tests.unit.service.requests_made import assert_problem, post
from worker.store import JobStore


@pytest.fixture
def made(api: httpx.Client, store: JobStore) -> list[dict[str, Any]]:
    """Nine jobs: every third explains, every second is cancelled."""
    jobs = [post(api, "/classify" if number % 3 else "/explain").json() for number in range(9)]
    for job in jobs[::2]:
        store.cancel(job["id"])
    return [api.get(f"/jobs/{job['id']}").json() for job in jobs]


def ids(api: httpx.Client, path: str | None) -> list[str]:
    """Of all pages from this one on."""
    found: list[str] = []
    while path is not None:
        page = api.get(path).json()
        found += [job["id"] for job in page["jobs"]]
        path = page["next"]
    return found


# Which of the jobs a query means, newest first.
MEANT = {
    "": [8, 7, 6, 5, 4, 3, 2, 1, 0],
    "status=cancelled": [8, 6, 4, 2, 0],
    "status=cancelled&status=queued": [8, 7, 6, 5, 4, 3, 2, 1, 0],
    "kind=explain": [6, 3, 0],
    "kind=explain&kind=classify&status=queued": [7, 5, 3, 1],
    "kind=explain&status=queued": [3],
    "model=default&kind=explain": [6, 3, 0],
    "model=other": [],
    "status=succeeded": [],
    "kind=dataset": [],
}


def test_what_is_wanted_comes_newest_first_over_all_pages(
    api: httpx.Client, made: list[dict[str, Any]]
) -> None:
    for query, numbers in MEANT.items():
        for limit in (1, 2, 100):
            assert ids(api, f"/jobs?{query}&limit={limit}") == [made[number]["id"] for number in numbers]


def test_times(api: httpx.Client, made: list[dict[str, Any]]) -> None:
    third = made[3]["created_at"]
    moment = datetime.fromisoformat(third)
    elsewhere = moment.astimezone(tz=None).isoformat().replace("+", "%2B")
    later = [job["id"] for job in made[:3:-1]]
    earlier = [job["id"] for job in made[2::-1]]
    for written in (third, third.lower(), elsewhere):
        assert ids(api, f"/jobs?limit=2&created_after={written}") == later
        assert ids(api, f"/jobs?limit=2&created_before={written}") == earlier
    between = f"created_after={made[1]['created_at']}&created_before={made[5]['created_at']}"
    assert ids(api, f"/jobs?limit=1&{between}") == [made[number]["id"] for number in (4, 3, 2)]
    an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert ids(api, f"/jobs?created_after={an_hour}") == []
    assert len(ids(api, f"/jobs?created_before={an_hour}")) == 9
    assert len(ids(api, "/jobs?created_after=0001-01-01T00:00:00%2B14:00")) == 9
    assert len(ids(api, "/jobs?created_before=9999-12-31T23:59:59-14:00")) == 9


def test_the_next_page_asks_the_same(api: httpx.Client, made: list[dict[str, Any]]) -> None:
    query = (
        "kind=explain&kind=classify&status=cancelled&model=default&created_after=2026-01-01T01:00:00%2B01:00"
    )
    following = api.get(f"/jobs?limit=2&{query}").json()["next"]
    asked = parse_qs(urlsplit(following).query)
    assert asked == {
        "limit": ["2"],
        "cursor": [made[6]["id"]],
        "kind": ["explain", "classify"],
        "status": ["cancelled"],
        "model": ["default"],
        "created_after": [asked["created_after"][0]],
    }
    assert datetime.fromisoformat(asked["created_after"][0]) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status.0"),
        ("status=queued&status=", "status.1"),
        ("kind=Explain", "kind.0"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-01", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_after=1767225600", "created_after"),
        ("created_before=2026-02-30T00:00:00Z", "created_before"),
        ("created_before=2026-01-01T00:00:00+01:00", "created_before"),
        ("cursor=../x", "cursor"),
        ("statuses=queued", "statuses"),
        ("limit=5&limit=6", "limit"),
        ("model=default&model=default", "model"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(api: httpx.Client, query: str, field: str) -> None:
    problem = assert_problem(api.get(f"/jobs?{query}"), 422, "invalid-request")
    assert [fault["field"] for fault in problem["errors"]] == [field]


def test_places_in_the_queue_are_asked_for_in_one_go(
    api: httpx.Client, made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    really = AbstractConnection.send_packed_command

    def counting(self: AbstractConnection, command: Any, check_health: bool = True) -> None:
        packed = [command] if isinstance(command, bytes | str) else list(command)
        n_asked = b"".join(each.encode() if isinstance(each, str) else each for each in packed).count(
            b"ZRANK"
        )
        sent.extend([n_asked] if n_asked else [])
        return really(self, packed, check_health)  # type: ignore[no-untyped-call, no-any-return]

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counting)
    listed = api.get("/jobs").json()["jobs"]
    assert sent == [4]
    waiting = [job["progress"].get("queue_position") for job in reversed(listed)]
    assert [place for place in waiting if place is not None] == [1, 2, 3, 4]

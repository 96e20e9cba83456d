"""Headers that every answer has, and pages that can do with them."""

import re

import httpx
import pytest
from redis import Redis

from service.edge.security_headers import ALWAYS, FILES_POLICY, PAGES_POLICY
from tests.unit.service.requests_made import post
from tests.unit.service.wire import connected
from worker import keys
from worker.store import JobStore


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_every_kind_of_answer_has_them(api: httpx.Client, store: JobStore, redis_url: str) -> None:
    job = post(api, headers={"Cache-Control": "no-cache"})
    broken = post(api, headers={"Cache-Control": "no-cache"}).json()
    with Redis.from_url(redis_url) as redis:
        redis.set(keys.record(broken["id"]), "this is no record")
    store.cancel(job.json()["id"])
    answers = {
        "a page": api.get("/"),
        "documentation": api.get("/docs"),
        "a script": api.get("/static/page/main.js"),
        "unchanged": api.get(
            "/static/page/main.js", headers={"If-None-Match": api.get("/static/page/main.js").headers["etag"]}
        ),
        "JSON": api.get("/models"),
        "a job": api.get(job.headers["location"]),
        "a new job": job,
        "events": api.get(f"{job.headers['location']}/events"),
        "figures": api.get("/metrics"),
        "nothing": api.delete(job.headers["location"]),
        "no route": api.get("/no/such/path"),
        "no method": api.put("/models"),
        "a bad query": api.get("/jobs?limit=x"),
        "a foreign host": api.get("/", headers={"Host": "evil.example"}),
        "a foreign page": api.delete("/jobs/x", headers={"Origin": "null"}),
        "a fault": api.get(broken["links"]["self"]),
    }
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses["unchanged"] == 304
    assert statuses["nothing"] == 204
    assert statuses["a fault"] == 500
    for name, answer in answers.items():
        sent = {header: answer.headers.get(header) for header in ALWAYS}
        assert sent == ALWAYS, name
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        assert answer.headers["content-security-policy"] == (PAGES_POLICY if is_page else FILES_POLICY), name
        assert answer.headers["x-request-id"], name


def test_so_has_what_is_no_request(api: httpx.Client) -> None:
    with connected(api) as connection:
        connection.send(b"nonsense\r\n\r\n")
        answer = connection.answer()
    assert answer.problem == "bad-request"
    for name, value in ALWAYS.items():
        assert answer.headers[name.lower()] == value
    assert answer.headers["content-security-policy"] == FILES_POLICY
    assert answer.headers["connection"] == "close"


def test_who_may_keep_what(api: httpx.Client) -> None:
    job = post(api, headers={"Cache-Control": "no-cache"}).headers["location"]
    for path in (job, "/jobs", "/models", "/metrics", "/", "/no/such/path"):
        assert api.get(path).headers["cache-control"] == "no-store", path
    assert api.get("/static/page/main.js").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_have_nothing_that_the_policy_forbids(api: httpx.Client, path: str) -> None:
    page = api.get(path).text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert "unsafe" not in PAGES_POLICY

"""Rates of keys over HTTP: what costs how much, who has none, and what answers say of them."""

import httpx
import pytest
from redis import Redis

from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post, wav
from worker.api_keys import ApiKeys, Scope
from worker.catalog import Catalog
from worker.figures import Figures

ADMIN_KEY = "the-key-of-the-environment"


@pytest.fixture
def keys(redis_url: str, models: Catalog) -> ApiKeys:
    return ApiKeys(Redis.from_url(redis_url))


def bearer(keys: ApiKeys, per_minute: int | None = None) -> dict[str, str]:
    text = keys.create("lab", Scope, per_minute=per_minute)[1]
    return {"Authorization": f"Bearer {text}"}


def batch(api: httpx.Client, n_files: int, headers: dict[str, str]) -> httpx.Response:
    files = [("file", (f"{number}.wav", wav())) for number in range(n_files)]
    return api.post("/classify/batch", files=files, headers=headers)


def test_a_key_has_its_rate(api: httpx.Client, keys: ApiKeys, redis_url: str) -> None:
    lab = bearer(keys, per_minute=3)
    for left in (2, 1, 0):
        answer = post(api, headers=lab)
        assert answer.status_code == 202
        assert answer.headers["ratelimit-policy"] == '"jobs";q=3;w=60'
        assert answer.headers["ratelimit"].startswith(f'"jobs";r={left};t=')
    refused = post(api, headers=lab)
    problem = assert_problem(refused, 429, "rate-limited")
    wait_s = int(refused.headers["retry-after"])
    assert 1 <= wait_s <= 20
    assert (problem["per_minute"], problem["retry_after_s"]) == (3, wait_s)
    assert refused.headers["ratelimit"] == f'"jobs";r=0;t={wait_s}'
    assert post(api, headers=bearer(keys, per_minute=3)).status_code == 202
    assert api.get("/jobs", headers=lab).status_code == 200
    assert "ratelimit" not in api.get("/jobs", headers=lab).headers
    assert Figures(Redis.from_url(redis_url)).collect().counters["rate_limited"] == {(): 1}


def test_what_is_refused_counts_too(api: httpx.Client, keys: ApiKeys) -> None:
    lab = bearer(keys, per_minute=2)
    assert post(api, data=b"no sound", headers=lab).status_code == 415
    order = {"dataset": "nowhere", "model_id": "winds"}
    assert api.post("/trainings", json=order, headers=lab).status_code == 422
    assert_problem(api.post("/trainings", json=order, headers=lab), 429, "rate-limited")
    assert_problem(post(api, "/classify", headers=lab), 429, "rate-limited")


def test_a_batch_costs_as_many_jobs_as_it_has_files(api: httpx.Client, keys: ApiKeys) -> None:
    lab = bearer(keys, per_minute=5)
    assert batch(api, 3, lab).status_code == 202
    assert_problem(batch(api, 3, lab), 429, "rate-limited")
    answer = batch(api, 2, lab)
    assert answer.status_code == 202
    assert answer.headers["ratelimit"].startswith('"jobs";r=0;')
    assert_problem(post(api, headers=lab), 429, "rate-limited")


def test_the_settings_rate_is_of_every_key_that_has_none(start_api: StartApi, keys: ApiKeys) -> None:
    api = start_api(rate_per_minute=1, admin_key=ADMIN_KEY)
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    for headers in (bearer(keys), bearer(keys), admin):
        assert post(api, headers=headers).status_code == 202
        assert_problem(post(api, headers=headers), 429, "rate-limited")
    own = bearer(keys, per_minute=2)
    assert [post(api, headers=own).status_code for _ in range(3)] == [202, 202, 429]


def test_who_sends_no_key_has_no_rate(start_api: StartApi, keys: ApiKeys) -> None:
    api = start_api(rate_per_minute=1)
    answers = [post(api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert "ratelimit" not in answers[0].headers

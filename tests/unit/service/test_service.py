"""The service as a whole: health, figures, pages, and errors that are nobody's route."""

import time

import httpx
import pytest

from service.app import create_app
from service.settings import ServiceSettings
from tests.unit.service.conftest import StartApi
from tests.unit.service.requests_made import assert_problem, post
from worker.catalog import Catalog


def test_health(api: httpx.Client, models: Catalog) -> None:
    assert api.get("/health/live").json() == {"status": "live"}
    assert api.get("/health/ready").json() == {"status": "ready"}
    models.withdraw("worker")
    problem = assert_problem(api.get("/health/ready"), 503, "no-worker")
    assert problem["detail"] == "No worker is ready at the moment."
    assert post(api).status_code == 202  # it is only being restarted: the job can wait


def test_metrics(start_api: StartApi, models: Catalog) -> None:
    api = start_api()
    kept, cancelled = post(api).headers["location"], post(api).headers["location"]
    api.delete(cancelled)
    api.get(kept)
    api.get("/no/such/path")
    api.get("/static/page/page.css")
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'timbrescope_queue_depth{queue="interactive"} 1.0' in lines
    assert 'timbrescope_jobs_total{kind="explain",status="cancelled"} 1.0' in lines
    assert "timbrescope_store_up 1.0" in lines
    assert "timbrescope_workers 1.0" in lines
    requests = "timbrescope_http_requests_total"
    assert f'{requests}{{method="POST",route="/explain",status="202"}} 2.0' in lines
    assert f'{requests}{{method="GET",route="/jobs/{{job_id}}",status="200"}} 1.0' in lines
    assert f'{requests}{{method="GET",route="unmatched",status="404"}} 1.0' in lines
    assert f'{requests}{{method="GET",route="/static",status="200"}} 1.0' in lines


def test_routes_that_are_not_there(api: httpx.Client) -> None:
    problem = assert_problem(api.get("/no/such/path"), 404, "not-found")
    assert "/no/such/path" in problem["detail"]
    answer = api.put("/models")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    for path in ("/static/nothing.js", "/static/../settings.py", "/static/%2e%2e/settings.py", "/redoc"):
        assert_problem(api.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/jobs/any", "GET, HEAD, DELETE"),
        ("/jobs", "GET, HEAD"),
        ("/classify", "POST"),
        ("/static/index.css", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS"])
def test_what_is_not_taken_names_all_that_is(api: httpx.Client, path: str, methods: str, method: str) -> None:
    answer = api.request(method, path)
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == methods


def test_refusals_are_worded_here_and_not_by_the_validator(api: httpx.Client) -> None:
    problem = assert_problem(api.get("/jobs", params={"cursor": "x"}), 422, "invalid-request")
    assert problem["detail"] == "cursor: a cursor comes from `next` of the page before, not 'x'."


def test_every_answer_has_its_headers(api: httpx.Client) -> None:
    ids = set()
    for path in ("/health/live", "/no/such/path", "/", "/metrics"):
        answer = api.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        ids.add(answer.headers["x-request-id"])
    assert len(ids) == 4


def test_without_redis(start_api: StartApi, free_port: int) -> None:
    api = start_api(redis_url=f"redis://127.0.0.1:{free_port}/0")
    started = time.monotonic()
    calls = [post(api), *[api.get(path) for path in ("/jobs", "/models", "/instruments", "/health/ready")]]
    assert time.monotonic() - started < 5.0
    for answer in calls:
        assert_problem(answer, 503, "store-unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert api.get("/health/live").status_code == 200
    assert "timbrescope_store_up 0.0" in api.get("/metrics").text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_shows_nothing(api: httpx.Client, redis_url: str) -> None:
    from redis import Redis

    job = post(api).json()
    with Redis.from_url(redis_url) as redis:
        redis.set(f"ts:job:{job['id']}", "this is no record")
    answer = api.get(job["links"]["self"])
    assert_problem(answer, 500, "internal-error")
    assert "record" not in answer.text
    assert "pydantic" not in answer.text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere(api: httpx.Client, path: str) -> None:
    page = api.get(path)
    assert page.headers["content-type"].startswith("text/html")
    references = [part.split('"')[0] for mark in ('src="', 'href="') for part in page.text.split(mark)[1:]]
    assert references
    for reference in references:
        if reference == "data:,":
            continue
        assert reference.startswith("/")
        if reference not in ("/health/ready", "/jobs"):
            assert api.get(reference).status_code == 200, reference


def test_swagger_ui_is_the_documented_copy(api: httpx.Client) -> None:
    script = api.get("/static/swagger/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert 'version:"5.35.0"' in script.text or '"5.35.0"' in script.text
    assert api.get("/static/swagger/LICENSE").text.lstrip().startswith("Apache License")
    assert "validatorUrl: null" in api.get("/static/docs.js").text


def test_the_description_is_served(api: httpx.Client) -> None:
    assert api.get("/openapi.json").json() == create_app(ServiceSettings()).openapi()

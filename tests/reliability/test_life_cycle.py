"""Parts that stop and start under load, records of other versions, and what is left of a job in the end."""

import base64
import json
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from redis import Redis

from tests.integration import sounds
from tests.integration.processes import Process, wait_until
from tests.reliability.chaos import (
    Service,
    n_ended,
    n_ends,
    running_service,
    submit,
    submit_all,
)
from tests.reliability.conftest import Size
from tests.reliability.orders import Order, mixed, orders_of
from tests.reliability.report import Report
from worker import jobs, keys
from worker.jobs import JobStatus
from worker.leases import LEASE_S

END_S = 300.0
ELSEWHERE_S = 15.0
"""How long a job may take to be at work elsewhere after its worker has gone."""
CANCELLED_S = 5.0
OLD_STORE = json.loads((Path(__file__).parent / "store-version-2.json").read_text(encoding="utf-8"))
# What Redis keeps whatever becomes of jobs: counters, what workers announce, Celery's own names.
CONSTANT = {
    "ts:outcomes",
    "ts:metrics",
    "ts:models",
    "ts:published",
    "ts:swept",
    "ts:celery:_kombu.binding.interactive",
    "ts:celery:_kombu.binding.batch",
    "ts:celery:_kombu.binding_permanent.interactive",
    "ts:celery:_kombu.binding_permanent.batch",
}
PASSING = ("ts:worker:", "ts:atlas:", "ts:celery:unacked_mutex")

pytestmark = pytest.mark.slow


def long_order(client: httpx.Client, n_instruments: int = 8, **fields: str) -> Order:
    """An explanation that takes some seconds."""
    known = [each["instrument"] for each in client.get("/instruments").json()["instruments"]]
    file = ("file", ("x", sounds.audio_file(sounds.tone(2.0))))
    asked = {"concepts": "2", **fields}
    rest = tuple((name, (value,)) for name, value in asked.items())
    return Order("long", "/explain", (("instruments", tuple(known[:n_instruments])), *rest), (file,))


def wait_for(service: Service, job_id: str, status: JobStatus, timeout_s: float = END_S) -> None:
    """Until a job has a status."""
    wait_until(lambda: service.job(job_id).status is status, timeout_s, f"{status} of {job_id}")


def worker_of(service: Service, job_id: str) -> Process:
    """The worker that has begun a job."""
    (found,) = (
        worker
        for worker in service.workers
        if any("message=started" in line and job_id in line for line in worker.text().splitlines())
    )
    return found


def test_workers_are_replaced_one_by_one_under_load(
    service: Service, client: httpx.Client, size: Size, seed: int, report: Report
) -> None:
    """Nothing is lost, and nothing is done twice."""
    size.require_full()
    orders = mixed(60, random.Random(seed))
    n_before = n_ended(service)
    submitted: list[Any] = []
    sending = threading.Thread(target=lambda: submitted.extend(submit_all(client, orders, 2)))
    sending.start()
    for worker in list(service.workers):
        service.restart_worker(worker)
        service.wait_until_ready(1)
    sending.join()
    wait_until(lambda: n_ended(service) >= n_before + len(orders), END_S, "all ends", every_s=0.2)
    attempts = [service.job(each.job_id).attempts for each in submitted]
    assert [service.job(each.job_id).status for each in submitted] == [JobStatus.SUCCEEDED] * len(orders)
    assert attempts == [1] * len(orders)
    report.keep(
        "life",
        "rolling restart",
        f"2 workers replaced during {len(orders)} jobs: all succeeded in their first attempt",
        {"jobs": len(orders), "attempts": sum(attempts)},
    )


def test_a_worker_that_may_not_finish_gives_its_job_to_another(
    service: Service, client: httpx.Client, size: Size, report: Report
) -> None:
    """SIGTERM lets it finish; SIGQUIT after that does not. The attempt does not count."""
    size.require_full()
    job_id = submit(client, long_order(client, 11)).job_id
    wait_for(service, job_id, JobStatus.RUNNING)
    wait_until(lambda: service.job(job_id).progress.stage == "attributing", END_S, "attributing")
    leaving = worker_of(service, job_id)
    leaving.popen.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    left_at = time.monotonic()
    leaving.stop(signal.SIGQUIT)
    service.workers.remove(leaving)
    began = f"message=started request={service.job(job_id).request_id} job={job_id}"
    wait_until(lambda: any(began in worker.text() for worker in service.workers), END_S, "another attempt")
    elsewhere_s = time.monotonic() - left_at
    service.start_worker()
    wait_for(service, job_id, JobStatus.SUCCEEDED)
    assert service.job(job_id).attempts == 1
    assert elsewhere_s < ELSEWHERE_S
    report.keep(
        "life",
        "stopped in haste",
        f"a worker told to quit amid a job: another was at it {elsewhere_s:.1f} s later, no attempt counted",
        {"elsewhere_s": elsewhere_s},
    )


def test_processes_do_not_outlive_a_worker_whose_parent_dies_alone(
    service: Service, client: httpx.Client, size: Size
) -> None:
    size.require_full()
    job_id = submit(client, long_order(client)).job_id
    wait_for(service, job_id, JobStatus.RUNNING)
    orphaned = worker_of(service, job_id)
    pool = orphaned.children()
    os.kill(orphaned.pid, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pool), ELSEWHERE_S, "the pool's end")
    service.kill_worker(orphaned)
    wait_for(service, job_id, JobStatus.SUCCEEDED)
    assert n_ends(service, job_id) == 1


def test_the_api_is_restarted_while_clients_wait_and_follow(
    service: Service, client: httpx.Client, size: Size
) -> None:
    size.require_full()
    order = long_order(client, 11)
    job_id = submit(client, order).job_id
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(_wait, service, order)
        first = pool.submit(_follow, service, job_id, None)
        wait_for(service, job_id, JobStatus.RUNNING)
        time.sleep(1.0)
        service.restart_api()
        assert waiting.result().status_code == 202
        before = first.result()
    after = _follow(service, job_id, before[-1][0])
    entries = [entry for entry, _ in before + after]
    assert entries == sorted(set(entries), key=lambda entry: tuple(map(int, entry.split("-"))))
    statuses = [status for _, status in before + after]
    assert statuses[0] == "queued"
    assert statuses.count("succeeded") == 1
    with service.connect() as redis:
        assert len(entries) == redis.xlen(keys.events(job_id))  # nothing missed, nothing twice
    other = waiting.result().json()["id"]
    wait_for(service, other, JobStatus.SUCCEEDED)


def test_jobs_that_an_older_version_has_stored_are_done(service: Service, client: httpx.Client) -> None:
    """All of its keys as version 2 of the program wrote them, message included."""
    job_id = OLD_STORE["job"]
    with service.connect() as redis:
        for name, entry in OLD_STORE["keys"].items():
            _restore(redis, name, entry)
    wait_for(service, job_id, JobStatus.SUCCEEDED)
    newer = str(uuid.UUID(int=uuid.UUID(job_id).int + 1))

    def is_listed() -> bool:  # the reaper sees to it
        page = client.get("/jobs", params={"limit": 1, "cursor": newer}).json()
        return [each["id"] for each in page["jobs"]] == [job_id]

    wait_until(is_listed, 60.0, "the old job in the list")
    assert client.delete(f"/jobs/{job_id}").status_code == 204


def test_a_job_of_a_newer_version_is_left_to_newer_workers(
    service: Service, client: httpx.Client, size: Size
) -> None:
    size.require_full()
    blocking = [submit(client, long_order(client, 11)).job_id for _ in service.workers]
    job_id = submit(client, orders_of("classify")[0]).job_id
    with service.connect() as redis:
        known = json.loads(redis.get(keys.record(job_id)))
        newer = json.dumps({**known, "record_version": jobs.RECORD_VERSION + 1, "later": True}).encode()
        redis.set(keys.record(job_id), newer, keepttl=True)
        for each in blocking:
            wait_for(service, each, JobStatus.SUCCEEDED)
        time.sleep(2 * LEASE_S)
        assert redis.get(keys.record(job_id)) == newer
        redis.set(keys.record(job_id), json.dumps(known).encode(), keepttl=True)  # a newer worker is there
    wait_for(service, job_id, JobStatus.SUCCEEDED)


@pytest.mark.parametrize("stage", ["decoding", "attributing", "drawing"])
def test_a_cancelled_job_stops_soon_whatever_it_is_at(
    service: Service, client: httpx.Client, stage: str
) -> None:
    if stage == "decoding":  # a tune of minutes, which is rendered first
        tune = sounds.midi_file(tuple(range(48, 84)) * 12)
        order = Order("tune", "/classify", (), (("file", ("x", tune)),))
    else:
        order = long_order(client, 11)
    job_id = submit(client, order).job_id
    wait_until(lambda: service.job(job_id).progress.stage == stage, END_S, stage)
    worker = worker_of(service, job_id)
    assert client.delete(f"/jobs/{job_id}").status_code == 200
    cancelled_at = time.monotonic()
    wait_until(
        lambda: any("message=stopped" in line and job_id in line for line in worker.text().splitlines()),
        END_S,
        "the end of the work",
    )
    assert time.monotonic() - cancelled_at < CANCELLED_S
    assert service.job(job_id).status is JobStatus.CANCELLED


def test_nothing_is_left_of_a_deleted_job_but_its_tombstone(service: Service, client: httpx.Client) -> None:
    """Every key and every value is looked through for its id."""
    made = [submit(client, orders_of(kind)[0]).job_id for kind in ("classify", "midi", "check")]
    for job_id in made:
        wait_for(service, job_id, JobStatus.SUCCEEDED)
        assert client.delete(f"/jobs/{job_id}").status_code == 204
        assert client.get(f"/jobs/{job_id}").status_code == 410
    with service.connect() as redis:
        for job_id in made:
            wait_until(
                lambda job_id=job_id: _mentions(redis, job_id) == [keys.tombstone(job_id)],  # type: ignore[misc]
                10.0,
                f"the end of all traces of {job_id}; there are {_mentions(redis, job_id)}",
            )


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Service]:
    with running_service(TIMBRESCOPE_RESULT_TTL_S="2", TIMBRESCOPE_TOMBSTONE_TTL_S="2") as started:
        yield started


def test_when_all_has_expired_nothing_is_left(
    size: Size, report: Report, request: pytest.FixtureRequest
) -> None:
    size.require_full()
    forgetful: Service = request.getfixturevalue("forgetful")
    with forgetful.client() as client:
        made = [
            submit(client, order).job_id
            for kind in ("classify", "midi", "explain")
            for order in orders_of(kind)
        ]
        made += [
            submit(client, Order("broken", "/classify", (), (("file", ("x", sounds.nan_file())),))).job_id
        ]
        again = orders_of("classify")[0]
        for _ in range(2):  # the second is answered from the first
            client.post(again.path, files=list(again.files), headers={"Cache-Control": "max-age=60"})
        unwanted = submit(client, long_order(client)).job_id
        client.delete(f"/jobs/{unwanted}")
        wait_until(lambda: n_ended(forgetful) >= len(made) + 3, END_S, "all ends")
        time.sleep(6.0)
        assert client.get("/jobs").json()["jobs"] == []
        assert client.get(f"/jobs/{made[0]}").status_code == 404
    with forgetful.connect() as redis:
        left = {key.decode() for key in redis.scan_iter("*")}
    own = {name for name in left if not name.startswith(PASSING)}
    assert own <= CONSTANT
    report.keep(
        "life",
        "expiry",
        f"after {len(made) + 3} jobs have expired {len(own)} keys are left, all constant",
        {"jobs": len(made) + 3, "keys": sorted(own)},
    )


def _wait(service: Service, order: Order) -> httpx.Response:
    """The answer to a client that is ready to wait."""
    data = {name: list(values) for name, values in order.fields}
    with service.client() as client:
        return client.post(order.path, files=list(order.files), data=data, headers={"Prefer": "wait=30"})


def _follow(service: Service, job_id: str, last_event_id: str | None) -> list[tuple[str, str]]:
    """The entries of a job's stream that come until it ends or the connection does, and their statuses."""
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    found, entry = [], ""
    with (
        service.client() as client,
        client.stream("GET", f"/jobs/{job_id}/events", headers=headers, timeout=END_S) as stream,
    ):
        try:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    entry = line.removeprefix("id: ")
                elif line.startswith("data: ") and entry:
                    found.append((entry, json.loads(line.removeprefix("data: "))["status"]))
                    entry = ""
        except httpx.TransportError:
            return found
    return found


def _mentions(redis: Redis, job_id: str) -> list[str]:
    """The keys that have this id in their name or in what they hold."""
    found, wanted = [], job_id.encode()
    for key in redis.scan_iter("*"):
        kind = cast(bytes, redis.type(key)).decode()
        commands = {"string": "GET", "list": "LRANGE", "zset": "ZRANGE", "hash": "HGETALL", "set": "SMEMBERS"}
        bounds = ("0", "-1") if kind in ("list", "zset") else ()
        if kind == "stream":
            held: Any = redis.xrange(key)
        else:
            held = redis.execute_command(commands[kind], key, *bounds)  # type: ignore[no-untyped-call]
        if wanted in key or job_id in repr(held):
            found.append(key.decode())
    return sorted(found)


def _restore(redis: Redis, name: str, entry: dict[str, Any]) -> None:
    """Adds to Redis what another Redis held."""
    value: Any = entry["value"]
    if entry["type"] == "string":
        redis.set(name, base64.b64decode(value))
    elif entry["type"] == "list":
        redis.rpush(name, *map(base64.b64decode, value))
    elif entry["type"] == "set":
        redis.sadd(name, *map(base64.b64decode, value))
    elif entry["type"] == "zset":
        redis.zadd(name, {base64.b64decode(member): score for member, score in value})
    elif entry["type"] == "stream":
        for fields in value:
            redis.xadd(name, {field: base64.b64decode(data) for field, data in fields.items()})
    if entry["ttl_ms"] > 0:
        redis.pexpire(name, entry["ttl_ms"])

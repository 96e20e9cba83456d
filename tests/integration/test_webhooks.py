"""Webhooks when processes die: several APIs tell each end once, and a Redis that is killed forgets none."""

import json
import time

import httpx
import pytest
from redis import Redis
from standardwebhooks import Webhook

from tests.integration.processes import start_api, wait_until
from tests.integration.test_idempotency import WAV, Service, service
from tests.unit.service.webhooks.receiving import SECRET, Receiver, receiving
from worker.store import JobStore, Lifetimes

__all__ = ["service"]

SOON_S = 60.0
"""Within this the courier tries again; it waits five seconds at first."""
N_JOBS = 12


def settings_for(receiver: Receiver, redis_url: str) -> dict[str, str]:
    return {
        "TIMBRESCOPE_REDIS_URL": redis_url,
        "TIMBRESCOPE_WEBHOOK_HOSTS": json.dumps([receiver.host]),
        "TIMBRESCOPE_WEBHOOK_SECRET": SECRET,
    }


def submit(url: str, receiver: Receiver) -> str:
    """The id of an accepted job whose end is to be told."""
    answer = httpx.post(
        f"{url}/classify",
        files={"file": ("clip.wav", WAV)},
        data={"webhook": receiver.url},
        headers={"Cache-Control": "no-cache"},
        timeout=60.0,
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def end(redis_url: str, job_id: str) -> None:
    """What a worker does when it has an answer."""
    store = JobStore(Redis.from_url(redis_url), Lifetimes(600.0, 600.0, 600.0))
    store.begin(job_id, "token", max_attempts=3)
    store.succeed(job_id, "token", {"instruments": [], "timeline": []})


def told_ids(receiver: Receiver) -> list[str]:
    """The jobs whose ends a receiver has heard of, each message with a signature that is right."""
    messages = [Webhook(SECRET).verify(told.body, dict(told.headers)) for told in receiver.told]
    return sorted(message["data"]["id"] for message in messages)


def test_several_apis_tell_each_end_once_and_who_is_left_goes_on(service: Service) -> None:
    with receiving(204) as receiver:
        settings = settings_for(receiver, service.redis_url)
        started = [start_api(service.folder, settings) for _ in range(2)]
        service.started += [process for process, _ in started]
        ids = [submit(started[place % 2][1], receiver) for place in range(N_JOBS)]
        for job_id in ids:
            end(service.redis_url, job_id)
        receiver.wait_for(N_JOBS, SOON_S)
        time.sleep(1.5)  # what would be told twice would be by now
        assert told_ids(receiver) == sorted(ids)
        (first, _), (_, url) = started
        first.kill()
        ids.append(submit(url, receiver))
        end(service.redis_url, ids[-1])
        receiver.wait_for(N_JOBS + 1, SOON_S)
        assert told_ids(receiver) == sorted(ids)


def test_an_end_is_told_though_redis_and_the_api_were_killed(service: Service, free_port: int) -> None:
    away = Receiver()
    away.port = free_port
    settings = settings_for(away, service.redis_url)
    api, url = start_api(service.folder, settings)
    service.started.append(api)
    job_id = submit(url, away)
    end(service.redis_url, job_id)
    path = f"{url}/jobs/{job_id}"
    wait_until(lambda: httpx.get(path).json()["webhook"]["attempts"] >= 1, SOON_S, "a first attempt")
    service.restart_redis()
    with receiving(204, port=free_port) as receiver:
        receiver.wait_for(1, SOON_S)
        delivered = "delivered"
        wait_until(
            lambda: httpx.get(path).json()["webhook"]["status"] == delivered, SOON_S, "that it is on record"
        )
        # What ends while no API is there is told by the next one.
        late = submit(url, receiver)
        api.kill()
        end(service.redis_url, late)
        service.restart_redis()
        with pytest.raises(httpx.TransportError):
            httpx.get(path)
        service.started.append(start_api(service.folder, settings)[0])
        receiver.wait_for(2, SOON_S)
        assert told_ids(receiver) == sorted([job_id, late])

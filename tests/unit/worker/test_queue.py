"""The way to the workers: what travels, and what a message must survive."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.reliability.proxy import Proxy
from tests.unit.worker.jobs_made import new_job
from worker import tasks
from worker.connection import broker_url
from worker.errors import StoreUnavailableError
from worker.jobs import JobKind
from worker.questions import ModelRef
from worker.queue import REFERENCE_TASK, TASK_OF, JobQueue, celery_app
from worker.references import Reference, from_message
from worker.settings import SharedSettings


def test_only_the_id_travels(redis_url: str) -> None:
    job = new_job()
    queue = JobQueue(SharedSettings(redis_url=redis_url))
    queue.send(job)
    queue.close()
    with Redis.from_url(redis_url) as redis:
        (message,) = redis.lrange("ts:celery:interactive", 0, -1)
    content = json.loads(message)
    assert content["headers"]["task"] == "timbrescope.explain"
    assert content["headers"]["id"] == job.id
    assert job.input is not None
    assert job.input.sha256 not in str(message)
    assert len(message) < 2_000


def test_a_references_name_travels(redis_url: str) -> None:
    wanted = Reference(ModelRef("default", "00" * 32), "features.conv5", 17, 0)
    queue = JobQueue(SharedSettings(redis_url=redis_url))
    queue.send_reference(wanted)
    queue.close()
    with Redis.from_url(redis_url) as redis:
        (message,) = redis.lrange("ts:celery:interactive", 0, -1)
    content = json.loads(message)
    assert content["headers"]["task"] == "timbrescope.reference"
    (arguments, *_) = json.loads(base64.b64decode(content["body"]))
    assert [from_message(argument) for argument in arguments] == [wanted]


def test_somebody_does_whatever_is_asked() -> None:
    known = {task.name for task in vars(tasks).values() if hasattr(task, "apply_async")}
    assert known >= {*TASK_OF.values(), REFERENCE_TASK}
    assert set(TASK_OF) == set(JobKind)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://:secret@example.org/1", "rediss://:secret@example.org/1"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("unix://:secret@/run/redis.sock", "redis+socket://:secret@/run/redis.sock?virtual_host=0"),
    ],
)
def test_broker_urls(url: str, expected: str) -> None:
    assert broker_url(url) == expected


def test_without_redis_it_says_so_soon(free_port: int) -> None:
    queue = JobQueue(SharedSettings(redis_url=f"redis://127.0.0.1:{free_port}/0"))
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        queue.send(new_job())
    assert time.monotonic() - started < 5.0
    queue.close()


def test_what_people_wait_for_comes_first(redis_url: str) -> None:
    app = celery_app(SharedSettings(redis_url=redis_url))
    with app.connection() as connection, connection.channel() as opened:
        channel: Any = opened  # Redis's own, which the stubs do not know
        for queue in app.conf.task_queues:
            queue(channel).declare()
            channel.basic_consume(queue.name, no_ack=True, callback=print, consumer_tag=queue.name)
        for last_used in ("batch", "interactive", "batch"):
            channel._queue_cycle.rotate(last_used)
            assert channel._queue_cycle.consume(2) == ["interactive", "batch"]


def waiting(redis_url: str, queue: str) -> list[str]:
    """The jobs of the messages that wait, the next to be taken first."""
    with Redis.from_url(redis_url) as redis:
        messages = redis.lrange(f"ts:celery:{queue}", 0, -1)[::-1]
    return [json.loads(base64.b64decode(json.loads(message)["body"]))[0][0] for message in messages]


def test_what_was_lost_comes_before_all_that_wait(redis_url: str) -> None:
    """So a dead worker's job runs again soon, however long the queue; a next piece waits its turn."""
    queue = JobQueue(SharedSettings(redis_url=redis_url))
    jobs = [new_job() for _ in range(40)]
    for job in jobs:
        queue.send(job)
    lost, going_on = new_job(), new_job()
    queue.send_again(lost, times=2)
    queue.send_on(going_on)
    queue.close()
    assert waiting(redis_url, "interactive") == [lost.id] * 2 + [job.id for job in jobs] + [going_on.id]


@pytest.mark.parametrize("how", ["retried", "put back"])
def test_so_does_what_celery_hands_out_anew(redis_url: str, how: str) -> None:
    """It does so by itself when a process of the pool dies."""
    app = celery_app(SharedSettings(redis_url=redis_url))
    with app.connection() as connection, connection.channel() as opened:
        channel: Any = opened
        app.conf.task_queues[0](channel).declare()
        for number in range(3):
            app.send_task("x", args=[f"{number}"], queue="interactive", connection=connection)
        if how == "retried":
            app.send_task("x", args=["lost"], queue="interactive", connection=connection, retries=1)
            assert waiting(redis_url, "interactive") == ["lost", "0", "1", "2"]
        else:
            message = channel.basic_get("interactive")
            channel.basic_reject(message.delivery_tag, requeue=True)
            assert waiting(redis_url, "interactive") == ["0", "1", "2"]


def test_messages_are_built_to_survive() -> None:
    conf = celery_app(SharedSettings(task_time_limit_s=100, visibility_timeout_s=200)).conf
    assert conf.task_acks_late
    assert conf.task_retry_on_worker_lost
    assert conf.task_ignore_result
    assert conf.worker_prefetch_multiplier == 1
    assert conf.accept_content == ["json"]
    assert conf.task_time_limit == 100
    assert conf.task_soft_time_limit is None
    assert conf.broker_transport_options["visibility_timeout"] == 200


def test_a_message_whose_acknowledgement_is_lost_is_no_longer_in_hand(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Else a worker would take one message less from then on, for ever."""
    with Proxy(tmp_path_factory.mktemp("p") / "p.sock", redis_url) as proxy:
        app = celery_app(SharedSettings(redis_url=proxy.url))
        with app.connection() as connection, connection.channel() as opened:
            channel: Any = opened
            channel.basic_qos(0, 1, False)
            app.conf.task_queues[0](channel).declare()
            for _ in range(2):
                app.send_task("x", queue="interactive", connection=connection)
                message = channel.basic_get("interactive")
                assert not channel.qos.can_consume()
                proxy.swallow_answer_to(b"ZREM")
                channel.basic_ack(message.delivery_tag)
                assert proxy.has_swallowed
                assert channel.qos.can_consume()
        with Redis.from_url(redis_url) as redis:
            assert redis.hlen("ts:celery:unacked") == 0  # said again over a new connection


def test_a_queue_is_made_ready_without_any_redis_and_its_first_message_imports_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    program = (
        "import sys; from worker.queue import JobQueue; from worker.settings import SharedSettings; "
        "away, there = (JobQueue(SharedSettings(redis_url=url)) for url in sys.argv[1:]); away.make_ready(); "
        "there.make_ready(); before = set(sys.modules); "
        "there._app.send_task('timbrescope.classify', args=['some-id'], queue='interactive'); "
        "print(sorted(set(sys.modules) - before))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, f"unix://{tmp_path}/nobody.sock", redis_url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
    assert waiting(redis_url, "interactive") == ["some-id"]

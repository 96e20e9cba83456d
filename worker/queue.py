"""The way to the workers: Celery's queues, which carry nothing but a job's id, or a reference's name.

Conventions: tasks are known by name, so that who hands out work need not import who does it. What a message
needs to survive (late acknowledgement, one at a time, a bounded number of repeats) is configured here, once
for both ends.
"""

import base64
import itertools
import json
from typing import cast

from celery import Celery
from celery.backends.base import DisabledBackend
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.utils.scheduling import priority_cycle
from redis import Redis

from worker import broker, keys, tracing
from worker.connection import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, UNAVAILABLE, broker_url, unavailable
from worker.jobs import Job, JobKind, QueueName
from worker.references import Reference, to_message
from worker.settings import SharedSettings

TASK_OF = {
    JobKind.CLASSIFY: "timbrescope.classify",
    JobKind.EXPLAIN: "timbrescope.explain",
    JobKind.CHECK: "timbrescope.check",
    JobKind.DATASET: "timbrescope.dataset",
    JobKind.TRAINING: "timbrescope.training",
}

REFERENCE_TASK = "timbrescope.reference"
# What a message says of the trace that it belongs to: a W3C traceparent, or nothing.
TRACE_HEADER = "timbrescope_trace"

# How often the broker looks for messages whose worker went silent past the visibility timeout.
RESTORE_SWEEP_S = 5
# Starting a worker process means importing torch and loading a model; a busy machine takes its time.
PROCESS_START_S = 180.0
_PAGE = 500


class InteractiveFirst(priority_cycle):  # type: ignore[type-arg]  # generic in its stubs only
    """The order in which a worker looks into its queues: what people wait for always comes first."""

    def consume(self, n: int) -> list[str]:  # type: ignore[override]  # kombu wants a list, its stubs do not
        """The queues to look into, the first one first."""
        order = [queue.value for queue in QueueName]
        return sorted((self.items or [])[:n], key=order.index)


class _WithoutResults(Celery):
    """An application that looks for no store of results: that takes a while, and ours are records of jobs."""

    def _get_backend(self) -> DisabledBackend:
        return DisabledBackend(app=self)


def celery_app(settings: SharedSettings) -> Celery:
    """A Celery application for these settings."""
    broker.teach()
    app = _WithoutResults("timbrescope", broker=broker_url(settings.redis_url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_queues=[Queue(name, routing_key=name) for name in QueueName],
        task_default_queue=QueueName.INTERACTIVE,
        task_acks_late=True,
        task_retry_on_worker_lost=True,
        # No soft limit: an exception out of nowhere would leave a network's hooks registered behind it.
        task_time_limit=settings.task_time_limit_s,
        # Once more, at once, on a fresh connection: the kept one may have died with an earlier Redis.
        task_publish_retry=True,
        task_publish_retry_policy={
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
            "interval_max": 0,
        },
        worker_prefetch_multiplier=1,
        worker_pool="prefork",
        worker_proc_alive_timeout=PROCESS_START_S,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A full Redis refuses what a worker writes about its messages; that is no reason to end.
        broker_channel_error_retry=True,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        broker_transport_options={
            "global_keyprefix": keys.CELERY_PREFIX,
            "queue_order_strategy": f"{__name__}:{InteractiveFirst.__name__}",
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": RESTORE_SWEEP_S,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": ANSWER_TIMEOUT_S,
            "socket_keepalive": True,
        },
    )
    return app


def waiting_jobs(redis: Redis, queue: QueueName) -> frozenset[str]:
    """The jobs that some message which nobody has taken is about."""
    found: set[str] = set()
    for start in itertools.count(0, _PAGE):
        page = cast(list[bytes], redis.lrange(keys.messages(queue), start, start + _PAGE - 1))
        for message in page:
            arguments, *_ = json.loads(base64.b64decode(json.loads(message)["body"]))
            found.update(argument for argument in arguments if isinstance(argument, str))
        if len(page) < _PAGE:
            break
    return frozenset(found)


class JobQueue:
    """Hands jobs to the workers."""

    def __init__(self, settings: SharedSettings) -> None:
        self._app = celery_app(settings)

    def make_ready(self) -> None:
        """Imports and sets up all that the first message would otherwise wait for; connects to nothing."""
        app = self._app
        app.finalize()
        with app.connection_for_write() as connection:  # each of these is made when it is first looked at
            _ = connection.transport, app.amqp, app.backend, app.events.Dispatcher, app.producer_pool

    def send(self, job: Job) -> None:
        """Asks some worker to do the job.

        Raises
        ------
        StoreUnavailableError
            When the broker does not take the message.
        """
        self._send(job, job.id)

    def send_on(self, job: Job, *, times: int = 1) -> None:
        """Asks for a job's next pieces, which wait their turn like everything else; raises like `send`."""
        for _ in range(times):
            self._send(job, None)

    def send_again(self, job: Job, *, times: int = 1) -> None:
        """Asks once more for what was lost; it is the next in its queue, however many wait there. Raises like
        `send`.
        """
        for _ in range(times):
            self._send(job, None, is_next=True)

    def send_reference(self, reference: Reference) -> None:
        """Asks some worker to render a concept's reference; raises like `send`."""
        self._publish(REFERENCE_TASK, to_message(reference), None, QueueName.INTERACTIVE, parent="")

    def _send(self, job: Job, message_id: str | None, *, is_next: bool = False) -> None:
        self._publish(TASK_OF[job.kind], job.id, message_id, job.queue, parent=job.trace, is_next=is_next)

    def _publish(
        self,
        task: str,
        argument: object,
        message_id: str | None,
        queue: QueueName,
        *,
        parent: str,
        is_next: bool = False,
    ) -> None:
        about = {
            "messaging.system": "celery",
            "messaging.operation.type": "send",
            "messaging.destination.name": queue.value,
        }
        try:
            with tracing.span(f"send {queue}", "producer", parent=parent, attributes=about):
                headers: dict[str, object] = {TRACE_HEADER: tracing.current()}
                if is_next:
                    headers[broker.NEXT_HEADER] = True
                self._app.send_task(
                    task, args=[argument], task_id=message_id, queue=queue.value, headers=headers
                )
        except (OperationalError, *UNAVAILABLE) as error:
            raise unavailable(error) from error

    def close(self) -> None:
        """Gives up the connections."""
        self._app.close()

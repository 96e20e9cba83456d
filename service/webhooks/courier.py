"""The courier: tells webhooks that jobs have ended, from threads of the API process.

Conventions: of the threads one at a time looks for what is due, and goes off with what it finds while the
next one looks. Several API processes share the work through `worker.webhooks`. A receiver has been told when
it answers with 2xx; 410 says that it no longer exists. Anything else is tried again, ever more slowly, up to
`MAX_ATTEMPTS` times in about an hour. What is due when the process ends is told by another, or after a start.
"""

import logging
import random
import ssl
import threading
import time
from dataclasses import dataclass
from functools import cached_property

from redis import Redis

from service.settings import ServiceSettings
from service.webhooks.client import FAILURES, Answer, post
from service.webhooks.message import WebhookMessage, message_id
from service.webhooks.receivers import ForbiddenReceiverError, Receiver, receiver_of
from service.webhooks.signature import signed_headers
from worker.connection import UNAVAILABLE
from worker.errors import JobDeletedError, JobExpiredError, UnknownJobError
from worker.figures import Figures
from worker.jobs import Job
from worker.logs import bound
from worker.store import JobStore
from worker.webhooks import DeliveryStatus, DueDelivery, Webhooks

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
FIRST_DELAY_S = 5.0
DELAY_GROWTH = 2.7  # seven delays of 5 s to 32 min: 51 min together
JITTER = 0.2
LONGEST_DELAY_S = 3_600.0  # that a receiver may ask for
N_SENDERS = 4
POLL_S = 0.5
STORE_AWAY_S = 5.0
ABSENT = (UnknownJobError, JobExpiredError, JobDeletedError)
_GONE = 410


@dataclass(frozen=True)
class Step:
    """What follows from an attempt; `delay_s` counts where the delivery waits on."""

    status: DeliveryStatus
    delay_s: float = 0.0


def next_step(answer: Answer | None, attempt: int, rng: random.Random) -> Step:
    """What follows from the answer to an attempt, which is the first, second, ...; None: there was none."""
    if answer is not None and 200 <= answer.status < 300:
        return Step(DeliveryStatus.DELIVERED)
    if attempt >= MAX_ATTEMPTS or (answer is not None and answer.status == _GONE):
        return Step(DeliveryStatus.GIVEN_UP)
    delay_s = FIRST_DELAY_S * DELAY_GROWTH ** (attempt - 1) * rng.uniform(1.0 - JITTER, 1.0 + JITTER)
    asked_s = 0.0 if answer is None or answer.retry_after_s is None else answer.retry_after_s
    return Step(DeliveryStatus.WAITING, max(delay_s, min(asked_s, LONGEST_DELAY_S)))


class Courier:
    """Makes the deliveries of this process's share, where the settings allow any receiver."""

    def __init__(self, settings: ServiceSettings, redis: Redis, store: JobStore) -> None:
        self._hosts = frozenset(settings.webhook_hosts)
        self._secrets = settings.webhook_secrets
        self._store = store
        self._webhooks = Webhooks(redis)
        self._figures = Figures(redis)
        self._rng = random.Random()
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Whom TLS trusts: the system's authorities."""
        return ssl.create_default_context()

    def start(self) -> None:
        """Begins, if there is anybody to tell."""
        if not self._hosts:
            return
        for number in range(N_SENDERS):
            thread = threading.Thread(target=self._run, name=f"courier {number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, patience_s: float) -> None:
        """Takes no more, and waits for what is under way; what takes longer is told again by others."""
        self._stopped.set()
        ends_at = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._turn:
                    due = self._next_due()
                if due is not None:
                    self._make(due)
            except UNAVAILABLE as error:
                log.warning("a webhook's end is not on record", extra={"error": type(error).__name__})
            except Exception:
                log.exception("fault in the courier")
                self._stopped.wait(STORE_AWAY_S)

    def _next_due(self) -> DueDelivery | None:
        """The next delivery, once there is one; None when it is time to stop."""
        while not self._stopped.is_set():
            pause_s = POLL_S
            try:
                due = self._webhooks.take()
                if due is not None:
                    return due
            except UNAVAILABLE as error:
                log.warning("the courier waits for the store", extra={"error": type(error).__name__})
                pause_s = STORE_AWAY_S
            self._stopped.wait(pause_s)
        return None

    def _make(self, due: DueDelivery) -> None:
        """One attempt at a delivery, and what follows from it."""
        if due.attempt > MAX_ATTEMPTS:
            log.warning("a webhook's last attempt ended with its process", extra={"job": due.job_id})
            self._settle(due, None, Step(DeliveryStatus.GIVEN_UP))
            return
        try:
            job = self._store.get(due.job_id)
        except ABSENT:
            return  # the delivery went with it
        with bound(job=job.id, request=job.request_id):
            try:
                receiver = receiver_of(job.callback or "", self._hosts)
            except ForbiddenReceiverError as reason:
                log.warning("a webhook is no longer allowed", extra={"reason": str(reason)})
                self._settle(due, None, Step(DeliveryStatus.GIVEN_UP))
                return
            answer = self._tell(receiver, job)
            step = next_step(answer, due.attempt, self._rng)
            log.log(
                logging.INFO if step.status is DeliveryStatus.DELIVERED else logging.WARNING,
                "told a webhook",
                extra={
                    "host": receiver.authority,
                    "attempt": due.attempt,
                    "answered": None if answer is None else answer.status,
                    "delivery": str(step.status),
                },
            )
            self._settle(due, answer, step)

    def _tell(self, receiver: Receiver, job: Job) -> Answer | None:
        """Sends the message; None when there is no answer."""
        body = WebhookMessage.of(job).body()
        headers = signed_headers(self._secrets, message_id(job), round(time.time()), body)
        try:
            return post(receiver, body, headers, context=self._context)
        except FAILURES as error:
            log.info("no answer of a webhook", extra={"host": receiver.authority, "error": repr(error)})
            return None

    def _settle(self, due: DueDelivery, answer: Answer | None, step: Step) -> None:
        last_status = None if answer is None else answer.status
        self._webhooks.settle(due, step.status, last_status=last_status, delay_s=step.delay_s)
        outcome = "failed" if step.status is DeliveryStatus.WAITING else str(step.status)
        self._figures.count("webhook_deliveries", outcome=outcome)

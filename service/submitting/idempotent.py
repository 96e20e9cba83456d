"""A POST that is sent again makes nothing anew: it is answered with the job that it has made already.

Conventions: see `worker.idempotency`. Of a request for several jobs the key stands for the whole
(`begin_whole`), so that with one file more, fewer or changed it is another one. A request without an
`Idempotency-Key` is always a new one. Blocking, for the thread pool.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.services import Services
from service.submitting.posting import Posting
from worker.attempt import ABSENT
from worker.connection import UNAVAILABLE
from worker.idempotency import Mark, name_of_place
from worker.jobs import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """The job that a request has made, now or, as a replay, when it was sent before."""

    job: Job
    is_replay: bool = False


def make_once(
    services: Services,
    posting: Posting,
    fingerprint: str,
    make: Callable[[Mark | None], Job],
    *,
    place: int | None = None,
) -> Made:
    """The job of this request; `make` makes it, unless an earlier request has.

    Of a request for several jobs, `place` says which of them this is.

    Raises
    ------
    IdempotencyKeyReusedError, IdempotencyInFlightError
    """
    if posting.idempotency_key is None:
        return Made(make(None))
    name = mark_name(posting.call, posting.idempotency_key)
    mark = Mark(name if place is None else name_of_place(name, place), fingerprint)
    earlier = _earlier(services, posting.owner, mark)
    if earlier is not None:
        log.info("answered before", extra={"job": earlier.id})
        return Made(earlier, is_replay=True)
    try:
        return Made(make(mark))
    except BaseException:
        _free(services, posting.owner, mark)
        raise


def _earlier(services: Services, owner: str, mark: Mark) -> Job | None:
    while (job_id := services.marks.take(owner, mark)) is not None:
        try:
            return services.store.get(job_id)
        except ABSENT:
            continue  # it went in between, and with it what the key stood for
    return None


def _free(services: Services, owner: str, mark: Mark) -> None:
    try:
        services.marks.free(owner, mark)
    except UNAVAILABLE as error:
        log.warning("a key stays taken for a while", extra={"error": repr(error)})


def mark_name(call: str, key: str) -> str:
    """What the mark of a client's key is called; the key itself is kept nowhere."""
    return hashlib.sha256(f"{call}\n{key}".encode()).hexdigest()


@dataclass(frozen=True)
class WholeRequest:
    """A request for several jobs, of which `make_once` makes each; `mark` is None where it has no key."""

    services: Services
    owner: str
    mark: Mark | None

    def go_on(self) -> None:
        """Another of its jobs is about to be decided on."""
        if self.mark is not None:
            self.services.marks.renew(self.owner, self.mark)

    def end(self, made: Sequence[Made]) -> None:
        """It has been decided, with these jobs; without any it was refused, and its key is free."""
        if self.mark is None:
            return
        if not made:
            return _free(self.services, self.owner, self.mark)
        try:
            self.services.marks.keep_all(self.owner, self.mark, [each.job for each in made])
        except UNAVAILABLE as error:
            log.warning("a key holds for its jobs only", extra={"error": repr(error)})


def begin_whole(services: Services, posting: Posting, fingerprint: str) -> WholeRequest:
    """Takes the key of a request for several jobs for all that it asks.

    Raises
    ------
    IdempotencyKeyReusedError, IdempotencyInFlightError
    """
    if posting.idempotency_key is None:
        return WholeRequest(services, posting.owner, None)
    mark = Mark(mark_name(posting.call, posting.idempotency_key), fingerprint)
    services.marks.take(posting.owner, mark)
    return WholeRequest(services, posting.owner, mark)

"""A question that the caller has asked before is answered at once, with copies of what was found then.

Conventions: see `worker.result_cache`. Blocking, for the thread pool.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from service.intake.recordings import Upload, display_name
from service.services import Services
from service.submitting.posting import Posting
from worker.idempotency import Mark
from worker.jobs import Job

log = logging.getLogger(__name__)


def recalled(
    services: Services, posting: Posting, job: Job, uploads: Sequence[Upload], mark: Mark | None
) -> Job | None:
    """The job, stored and ended with the result of an earlier one, should there be one that would do."""
    if not job.fingerprint or not posting.takes_earlier:
        return None
    ended = _repeated(services, job, uploads, mark)
    services.store.figures.count("cache_requests", outcome="miss" if ended is None else "hit")
    return ended


def _repeated(services: Services, job: Job, uploads: Sequence[Upload], mark: Mark | None) -> Job | None:
    while (earlier := services.result_cache.find(job.owner, job.fingerprint)) is not None:
        ended = services.store.repeat(_about_the_same(job, earlier, uploads), earlier, mark=mark)
        if ended is not None:
            return ended
        log.debug("another request was answered in between", extra={"job": job.id})
    return None


def _about_the_same(job: Job, earlier: Job, uploads: Sequence[Upload]) -> Job:
    """The job with what is known of its recordings, under the names that they have this time."""
    names = [display_name(upload.filename) for upload in uploads]
    stems = tuple(
        replace(stem, recording=replace(stem.recording, filename=name))
        for stem, name in zip(earlier.stems, names, strict=False)
    )
    recording = None if earlier.input is None else replace(earlier.input, filename=names[0])
    return replace(job, input=recording, stems=stems)

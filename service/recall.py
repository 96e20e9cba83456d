"""A question that the caller has asked before is answered at once, with copies of what was found then.

Conventions: see `worker.result_cache`. Blocking, for the thread pool.
"""

from collections.abc import Sequence
from dataclasses import replace

from service.posting import Posting
from service.recordings import Upload, display_name
from service.services import Services
from worker.idempotency import Mark
from worker.jobs import Job


def recalled(
    services: Services, posting: Posting, job: Job, uploads: Sequence[Upload], mark: Mark | None
) -> Job | None:
    """The job, stored and ended with the result of an earlier one, should there be one that would do."""
    if not job.fingerprint or not posting.takes_earlier:
        return None
    earlier = services.result_cache.find(job.owner, job.fingerprint)
    if earlier is not None:
        earlier = services.store.repeat(_about_the_same(job, earlier, uploads), earlier, mark=mark)
    services.store.figures.count("cache_requests", outcome="miss" if earlier is None else "hit")
    return earlier


def _about_the_same(job: Job, earlier: Job, uploads: Sequence[Upload]) -> Job:
    """The job with what is known of its recordings, under the names that they have this time."""
    names = [display_name(upload.filename) for upload in uploads]
    stems = tuple(
        replace(stem, recording=replace(stem.recording, filename=name))
        for stem, name in zip(earlier.stems, names, strict=False)
    )
    recording = None if earlier.input is None else replace(earlier.input, filename=names[0])
    return replace(job, input=recording, stems=stems)

"""The names of everything in Redis, in one place. All begin with `ts:`; scores are Unix milliseconds."""

PREFIX = "ts:"
CELERY_PREFIX = f"{PREFIX}celery:"

# Sorted set of all jobs that are kept, score 0, so that it is in the order of the ids, which is that of time.
JOBS = f"{PREFIX}jobs"
# Hash of who may see each job, by the job's id (`worker.jobs.Job.audience`).
AUDIENCES = f"{PREFIX}audiences"
# Sorted set of the jobs that will expire, by the time at which they do.
EXPIRIES = f"{PREFIX}expiries"
# Hash of how many jobs ended how, by "kind:status".
OUTCOMES = f"{PREFIX}outcomes"
# String that is written to see whether anything can be, and gone a second later.
PROBE = f"{PREFIX}probe"
# Hash of the figures of all processes (`worker.figures`), as long as the service is there.
METRICS = f"{PREFIX}metrics"
# Hash of the models that workers announced, by id.
MODELS = f"{PREFIX}models"
# Hash of the models that trainings published, by id.
PUBLISHED = f"{PREFIX}published"
# Sorted set of what somebody has to be at work on (a job's id, or `id/unit` for one unit of its work), by the
# time until which nobody else need look after it.
LEASES = f"{PREFIX}leases"
# Hash of who holds a lease, by the same names; nobody, while a message waits for somebody to take it.
LEASE_HOLDERS = f"{PREFIX}lease-holders"
# Hash of the jobs that may write to a place (a data set's URL, a model's id), by the place.
PLACES = f"{PREFIX}places"
# Channel: the id and the status of every job that changes, as "id status", once the change is stored.
NEWS = f"{PREFIX}news"
# String: when the last sweep for lapsed leases was begun.
SWEPT = f"{PREFIX}swept"
# Sorted set of the references of concepts that are kept, by when they were rendered (seconds).
REFERENCES = f"{PREFIX}references"
# Sorted set of the references that a worker was asked to render, by the time until which it may take.
REFERENCES_ASKED = f"{PREFIX}references-asked"
# Sorted set of the jobs whose end somebody has yet to be told, by when that is next tried.
WEBHOOKS = f"{PREFIX}webhooks"
# Hash of the API keys, without their secrets, as JSON by id; and of when each was last used (seconds).
API_KEYS = f"{PREFIX}api-keys"
API_KEYS_USED = f"{PREFIX}api-keys-used"


def jobs_of(audience: str) -> str:
    """Sorted set of the kept jobs that this audience may see, score 0, so in the order of their ids."""
    return f"{PREFIX}jobs-of:{audience}"


def record(job_id: str) -> str:
    """String: the job's record as JSON."""
    return f"{PREFIX}job:{job_id}"


def uploads(job_id: str) -> str:
    """List: the recordings as they were sent; dropped when the job ends."""
    return f"{PREFIX}job:{job_id}:uploads"


def events(job_id: str) -> str:
    """Stream: every change of status and progress."""
    return f"{PREFIX}job:{job_id}:events"


def artifacts(job_id: str) -> str:
    """Hash: the artefacts' bytes by name."""
    return f"{PREFIX}job:{job_id}:artifacts"


def artifact_info(job_id: str) -> str:
    """Hash: the artefacts' media types, sizes and hashes as JSON, by name."""
    return f"{PREFIX}job:{job_id}:artifact-info"


def pending_units(job_id: str) -> str:
    """Sorted set: the units of the job's work that nobody has taken, in the order of their names."""
    return f"{PREFIX}job:{job_id}:pending"


def finished_units(job_id: str) -> str:
    """Set: the units of the job's work that are done."""
    return f"{PREFIX}job:{job_id}:finished"


def unit_attempts(job_id: str) -> str:
    """Hash: how often each unit was taken."""
    return f"{PREFIX}job:{job_id}:unit-attempts"


def tally(job_id: str) -> str:
    """Hash: how many units there are, and how many clips of how many are done since when."""
    return f"{PREFIX}job:{job_id}:tally"


def units(job_id: str) -> tuple[str, ...]:
    """The keys of a job's units."""
    return (pending_units(job_id), finished_units(job_id), unit_attempts(job_id), tally(job_id))


def parts(job_id: str) -> tuple[str, ...]:
    """Every key that belongs to a job and goes with it."""
    own = (record(job_id), uploads(job_id), events(job_id), artifacts(job_id), artifact_info(job_id))
    return (*own, webhook(job_id), *units(job_id))


def webhook(job_id: str) -> str:
    """Hash: how it stands with telling the job's end to who wants to hear of it."""
    return f"{PREFIX}job:{job_id}:webhook"


def tombstone(job_id: str) -> str:
    """String: what became of a job that is gone (or will have: it is written when the job ends)."""
    return f"{PREFIX}gone:{job_id}"


def rate(name: str) -> str:
    """String: until when the jobs that this key has asked for use up its rate, in microseconds."""
    return f"{PREFIX}rate:{name}"


def idempotency(owner: str, name: str) -> str:
    """Hash: what was asked under a client's key, and the jobs it made or who is deciding it."""
    return f"{PREFIX}idempotency:{owner}:{name}"


def cached(owner: str, fingerprint: str) -> str:
    """String: the id of the latest job that has answered this question for this API key."""
    return f"{PREFIX}cached:{owner}:{fingerprint}"


def atlas(model_id: str, sha256: str) -> str:
    """Hash: what is told of a model's concepts, as JSON by the documents' names."""
    return f"{PREFIX}atlas:{model_id}:{sha256}"


def reference(name: str) -> str:
    """Hash: the sound and the picture of a concept's reference, or the problem with it."""
    return f"{PREFIX}reference:{name}"


def queue(name: str) -> str:
    """Sorted set: the jobs that wait in a queue, score 0, so in the order of their ids."""
    return f"{PREFIX}queue:{name}"


def messages(name: str) -> str:
    """List: the messages that wait in a queue, as Celery keeps them."""
    return f"{CELERY_PREFIX}{name}"


def worker(name: str) -> str:
    """String that lives only while its worker renews it: what the worker serves, as JSON."""
    return f"{PREFIX}worker:{name}"


WORKERS = f"{PREFIX}worker:*"

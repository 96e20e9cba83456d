"""The names of everything in Redis, in one place. All begin with `ts:`; scores are Unix milliseconds."""

PREFIX = "ts:"

# Sorted set of all jobs that are kept, score 0, so that it is in the order of the ids, which is that of time.
JOBS = f"{PREFIX}jobs"
# Sorted set of the jobs that will expire, by the time at which they do.
EXPIRIES = f"{PREFIX}expiries"
# Hash of how many jobs ended how, by "kind:status".
OUTCOMES = f"{PREFIX}outcomes"
# Hash of the models that workers announced, by id.
MODELS = f"{PREFIX}models"


def record(job_id: str) -> str:
    """String: the job's record as JSON."""
    return f"{PREFIX}job:{job_id}"


def upload(job_id: str) -> str:
    """String: the recording as it was sent; dropped when the job ends."""
    return f"{PREFIX}job:{job_id}:upload"


def events(job_id: str) -> str:
    """Stream: every change of status and progress."""
    return f"{PREFIX}job:{job_id}:events"


def artifacts(job_id: str) -> str:
    """Hash: the artefacts' bytes by name."""
    return f"{PREFIX}job:{job_id}:artifacts"


def artifact_info(job_id: str) -> str:
    """Hash: the artefacts' media types, sizes and hashes as JSON, by name."""
    return f"{PREFIX}job:{job_id}:artifact-info"


def parts(job_id: str) -> tuple[str, ...]:
    """Every key that belongs to a job and goes with it."""
    return (record(job_id), upload(job_id), events(job_id), artifacts(job_id), artifact_info(job_id))


def tombstone(job_id: str) -> str:
    """String: what became of a job that is gone (or will have: it is written when the job ends)."""
    return f"{PREFIX}gone:{job_id}"


def queue(name: str) -> str:
    """Sorted set: the jobs that wait in a queue, score 0, so in the order of their ids."""
    return f"{PREFIX}queue:{name}"


def worker(name: str) -> str:
    """String that lives only while its worker renews it: what the worker serves, as JSON."""
    return f"{PREFIX}worker:{name}"


WORKERS = f"{PREFIX}worker:*"

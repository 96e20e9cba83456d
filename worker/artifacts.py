"""The files that jobs produce, kept in Redis beside the record and expiring with it.

Conventions: an artefact is found by its exact name in its job's hash and nowhere else, so a name is never a
path. Its description (media type, size, SHA-256) is kept apart from its bytes, so that asking "has it
changed?" moves neither. Only the attempt that owns a running job may write, by the same compare-and-set as
in `worker.store`.
"""

import hashlib
from dataclasses import dataclass
from typing import cast

from pydantic import TypeAdapter
from redis import Redis
from redis.exceptions import WatchError

from worker import jobs, keys
from worker.errors import AttemptLostError, UnknownArtifactError


@dataclass(frozen=True)
class ArtifactInfo:
    """What is known of an artefact without its bytes."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str


_INFO = TypeAdapter(ArtifactInfo)
# Redis has no command for a part of a hash's field. Lua counts from 1 and includes the end.
_PART = """
local found = redis.call('HGET', KEYS[1], ARGV[1])
return found and string.sub(found, ARGV[2], ARGV[3])
"""


class ArtifactStore:
    """The artefacts of all jobs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def put(self, job_id: str, token: str, name: str, media_type: str, data: bytes) -> ArtifactInfo:
        """Keeps a file that the attempt made.

        Raises
        ------
        AttemptLostError
            When the job is no longer the attempt's: nothing is written then.
        """
        info = ArtifactInfo(name, media_type, len(data), hashlib.sha256(data).hexdigest())
        key = keys.record(job_id)
        with self._redis.pipeline(transaction=True) as pipe:
            while True:
                try:
                    pipe.watch(key)  # type: ignore[no-untyped-call]
                    record = cast(bytes | None, pipe.get(key))
                    if record is None or jobs.from_record(record).attempt_token != token:
                        raise AttemptLostError(f"Job {job_id} no longer belongs to attempt {token}.")
                    lifetime_ms = pipe.pttl(key)
                    pipe.multi()
                    pipe.hset(keys.artifacts(job_id), name, cast(str, data))
                    pipe.hset(keys.artifact_info(job_id), name, cast(str, _INFO.dump_json(info)))
                    pipe.pexpire(keys.artifacts(job_id), lifetime_ms)
                    pipe.pexpire(keys.artifact_info(job_id), lifetime_ms)
                    pipe.execute()
                    return info
                except WatchError:
                    continue

    def info(self, job_id: str, name: str) -> ArtifactInfo:
        """The description of an artefact.

        Raises
        ------
        UnknownArtifactError
            When the job has none of this name.
        """
        found = cast(bytes | None, self._redis.hget(keys.artifact_info(job_id), name))
        if found is None:
            raise _unknown(job_id, name)
        return _INFO.validate_json(found)

    def total_bytes(self, job_id: str) -> int:
        """How large all artefacts of a job are together."""
        found = cast(list[bytes], self._redis.hvals(keys.artifact_info(job_id)))
        return sum(_INFO.validate_json(each).size_bytes for each in found)

    def part(self, job_id: str, name: str, start: int, end: int) -> bytes:
        """The bytes of an artefact from `start` on and before `end`; no others are moved."""
        found = cast(
            bytes | None,
            self._redis.eval(_PART, 1, keys.artifacts(job_id), name, str(start + 1), str(end)),
        )
        if found is None:
            raise _unknown(job_id, name)
        return found

    def data(self, job_id: str, name: str) -> bytes:
        """The bytes of an artefact."""
        found = cast(bytes | None, self._redis.hget(keys.artifacts(job_id), name))
        if found is None:
            raise _unknown(job_id, name)
        return found


def _unknown(job_id: str, name: str) -> UnknownArtifactError:
    return UnknownArtifactError(f"Job {job_id} has no artefact {name[:100]!r}.")

"""The files that jobs produce, kept in Redis beside the record and expiring with it.

Conventions: an artefact is found by its exact name in its job's hash and nowhere else, so a name is never a
path. Its description (media type, size, SHA-256) is kept apart from its bytes, so that asking "has it
changed?" moves neither. Only the attempt that owns a running job may write, by the same compare-and-set as
in `worker.store`, which also takes the last files together with the job's end.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

from pydantic import TypeAdapter
from redis import Redis
from redis.client import Pipeline
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


@dataclass(frozen=True)
class ArtifactFile:
    """An artefact that has yet to be kept."""

    info: ArtifactInfo
    data: bytes

    @classmethod
    def of(cls, name: str, media_type: str, data: bytes, sha256: str | None = None) -> Self:
        """The file of this name; its hash, which takes a while, may be known already."""
        known = sha256 or hashlib.sha256(data).hexdigest()
        return cls(ArtifactInfo(name, media_type, len(data), known), data)


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
        """Keeps a file that the attempt made; raises like `put_all`."""
        file = ArtifactFile.of(name, media_type, data)
        self.put_all(job_id, token, [file])
        return file.info

    def put_all(self, job_id: str, token: str, files: Sequence[ArtifactFile]) -> None:
        """Keeps files that the attempt made, all or none.

        Raises
        ------
        AttemptLostError
            When the job is no longer the attempt's: nothing is written then.
        """
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
                    put_in(pipe, job_id, files)
                    pipe.pexpire(keys.artifacts(job_id), lifetime_ms)
                    pipe.pexpire(keys.artifact_info(job_id), lifetime_ms)
                    pipe.execute()
                    return
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


def put_in(pipe: Pipeline, job_id: str, files: Sequence[ArtifactFile]) -> None:
    """Adds to a transaction that a job has these files; their expiry has to follow."""
    for file in files:
        pipe.hset(keys.artifacts(job_id), file.info.name, cast(str, file.data))
        pipe.hset(keys.artifact_info(job_id), file.info.name, cast(str, _INFO.dump_json(file.info)))


def _unknown(job_id: str, name: str) -> UnknownArtifactError:
    return UnknownArtifactError(f"Job {job_id} has no artefact {name[:100]!r}.")

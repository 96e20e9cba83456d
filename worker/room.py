"""Room in the store: new work is refused while there still is room to finish what was accepted.

Conventions: of the memory that Redis may use, `RESERVED_SHARE` is for records, results and files of jobs that
are there already. Without it a store full of recordings that wait could take no result, and so would
stay full.
"""

from redis import Redis

from worker import keys
from worker.errors import StoreUnavailableError
from worker.status import memory_of

RESERVED_SHARE = 0.1
_PROBE_MS = 1_000


def require_room(redis: Redis, n_bytes: int = 0) -> None:
    """Refuses what would take the room that is reserved.

    Raises
    ------
    StoreUnavailableError
        When there is no room for as many bytes more.
    """
    memory = memory_of(redis)
    most_bytes = memory.limit_bytes * (1.0 - RESERVED_SHARE)
    if memory.limit_bytes and memory.used_bytes + n_bytes > most_bytes:
        raise StoreUnavailableError(
            "The store of jobs is full: it holds "
            f"{memory.used_bytes / 1e6:.0f} of {memory.limit_bytes / 1e6:.0f} MB, of which "
            f"{RESERVED_SHARE:.0%} are for jobs that were accepted. Results expire, or can be deleted."
        )


def require_writable(redis: Redis) -> None:
    """Raises one of `worker.connection.UNAVAILABLE` where nothing can be written, which reading hides."""
    redis.set(keys.PROBE, b"", px=_PROBE_MS)

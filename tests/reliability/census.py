"""What a service holds at a moment: memory, files and processes of its parts, and what Redis keeps.

Conventions: read from /proc. A part is a process with everything below it, but for a worker, whose parent,
pool processes and decoders are told apart. Memory is resident, in bytes.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import sysconf
from pathlib import Path
from typing import cast

from redis import Redis

from tests.reliability.chaos import Service

_PAGE_BYTES = sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Census:
    """The figures of one moment, `at_s` after the beginning."""

    at_s: float
    figures: dict[str, float]


def census(service: Service, began_at: float) -> Census:
    """Counts everything now."""
    sums: defaultdict[str, float] = defaultdict(float)
    for role, pid in _processes(service):
        with suppress(OSError):  # it may have ended in between
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            n_files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            sums[f"{role}_rss_bytes"] += pages * _PAGE_BYTES
            sums[f"{role}_files"] += n_files
            sums[f"{role}_processes"] += 1
    with service.connect() as redis:
        sums["redis_keys"] = float(redis.dbsize())
        sums["redis_bytes"] = float(cast(dict[str, int], redis.info("memory"))["used_memory"])
        sums["redis_clients"] = float(cast(dict[str, int], redis.info("clients"))["connected_clients"])
    return Census(time.monotonic() - began_at, dict(sums))


def keys_by_kind(redis: Redis) -> dict[str, int]:
    """How many keys there are of each kind, ids left out."""
    counts: defaultdict[str, int] = defaultdict(int)
    for key in redis.scan_iter("*", count=1_000):
        parts = key.decode().split(":")
        counts[":".join(part for part in parts if not _is_id(part))] += 1
    return dict(counts)


def _is_id(part: str) -> bool:
    return len(part) > 24 or "/" in part


def _processes(service: Service) -> Iterator[tuple[str, int]]:
    children = _children()
    for pid in (service.api.pid, *_below(service.api.pid, children)):
        yield "api", pid
    for worker in service.workers:
        yield "worker", worker.pid
        pool = set(worker.children())
        for pid in children.get(worker.pid, ()):
            yield ("pool" if pid in pool else "helpers"), pid
            for lower in _below(pid, children):
                yield "decoders", lower


def _children() -> dict[int, list[int]]:
    """The processes below each process."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(after_name[1])].append(int(folder.name))
    return found


def _below(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield child
        yield from _below(child, children)

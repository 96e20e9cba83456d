"""The rows of the reliability table: what each must hold, and what proves it."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One row; `files` are the tests that prove it, run with `--full`. Without any, a program proves it."""

    name: str
    test: str
    must_hold: str
    files: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The tests, as pytest is told them."""
        return tuple(str(FOLDER / name) for name in self.files)


ROWS = (
    Row(
        "kills",
        "300 mixed jobs while workers are killed with SIGKILL at random (10 kills) and redis is killed and "
        "restarted twice",
        "300 jobs end succeeded, each once; results equal to those of a calm run",
        ("test_kills.py",),
    ),
    Row(
        "redis",
        "redis stopped (SIGSTOP) for 20 s; connection cut midway; redis restarted empty",
        "recovers alone, nothing lost",
        ("test_redis_faults.py",),
    ),
    Row(
        "flood",
        "2,000 concurrent submissions with a bounded queue",
        "every answer is 202, 429 or 503; every 202 ends; p99 of `GET /jobs/{id}` under load at most 10 x "
        "its calm value",
        ("test_flood.py",),
    ),
    Row(
        "life",
        "workers and API stopped and restarted under load; records of the old version; expiry; deletion",
        "nothing lost, no attempt wasted; nothing but tombstones is left",
        ("test_life_cycle.py",),
    ),
    Row(
        "files",
        "5,000 mutated WAV, FLAC and MIDI files over HTTP",
        "no 5xx, no worker death that is not counted and retried, bounded memory",
        ("test_mutated_files.py",),
    ),
    Row(
        "schema",
        "schemathesis on the OpenAPI description, all checks, stateful",
        "0 failures",
        ("test_schema.py",),
    ),
    Row(
        "access",
        "another key's job, expired keys, wrong scope, path tricks in artefact names, oversized headers, "
        "slow uploads",
        "401, 403, 404, 400, 408/closed: nothing leaks",
        ("test_access.py", "test_edges.py"),
    ),
    Row(
        "soak",
        "30 min of mixed load",
        "resident memory of API and worker flat within 10 %, no leaked keys, files, processes",
        (),
    ),
)

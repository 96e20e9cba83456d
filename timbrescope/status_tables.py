"""What `timbrescope status` prints for people."""

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from timbrescope.status import Status
from worker.status import Server


def tables(found: Status) -> Iterator[RenderableType]:
    """The service from the outside to the inside."""
    yield "[bold green]ready[/]" if found.ready else f"[bold red]not ready:[/] {escape(found.why_not or '')}"
    yield f"API {found.api}: {'ready' if found.api_ready else 'not ready'}"
    if found.redis is None:
        return
    yield _redis(found.redis)
    yield _queues(found)
    yield _workers(found)
    yield _running(found)
    yield _ends(found)
    for title, counts in (("Failures", found.failures), ("Attempts lost", found.attempts_lost)):
        if counts:
            yield f"{title}: {_listed(counts)}"


def _redis(server: Server) -> str:
    limit = f" of {_megabytes(server.memory.limit_bytes)}" if server.memory.limit_bytes else ", unlimited"
    return f"Redis {server.version}: {_megabytes(server.memory.used_bytes)}{limit}; {server.persistence}"


def _queues(found: Status) -> Table:
    table = Table("queue", title="Queues", title_justify="left")
    for column in ("waiting", "at most", "oldest"):
        table.add_column(column, justify="right")
    for queue in found.queues:
        oldest = _age(queue.oldest_age_s) if queue.depth else ""
        table.add_row(queue.queue, f"{queue.depth:,}", f"{queue.most:,}", oldest)
    return table


def _workers(found: Status) -> Table:
    table = Table("process", "models", "since", "at work on", title="Workers", title_justify="left")
    for worker in found.workers:
        since = (worker.since or "")[:19].replace("T", " ")
        table.add_row(escape(worker.name), escape(", ".join(worker.models)), since, worker.at or "")
    return table


def _running(found: Status) -> Table:
    table = Table("job", "kind", "stage", title="Running", title_justify="left")
    for column in ("done", "attempt", "for"):
        table.add_column(column, justify="right")
    for job in found.running:
        done = f"{job.done:,} of {job.total:,}" if job.total else ""
        table.add_row(job.id, job.kind, job.stage, done, str(job.attempt), _age(job.age_s))
    return table


def _ends(found: Status) -> Table:
    table = Table("", "made", "ended", "failures", title="Jobs", title_justify="left")
    recent = found.last_hour
    if recent is not None:
        lasted = "" if recent.median_s is None else f"; in {recent.median_s:g} s in the middle"
        table.add_row(
            "last hour", f"{recent.made:,}", f"{_listed(recent.by_status)}{lasted}", _listed(recent.failures)
        )
    for kind, counts in (found.outcomes or {}).items():
        table.add_row(kind, "", _listed(counts), "")
    return table


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{escape(name)} {count:,}" for name, count in counts.items())


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"


def _age(seconds: float) -> str:
    """Seconds, minutes or hours, whichever can be read at a glance."""
    for unit, size_s in (("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.1f} {unit}"
    return f"{seconds:.1f} s"

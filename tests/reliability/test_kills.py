"""Workers and Redis killed at random under load: every job ends once, and as in a calm run.

A kill comes when a share of the jobs has ended, so that none meets the same job more often than a job may be
attempted; which process it hits is drawn.
"""

import random
import threading
import time

import httpx
import pytest

from tests.integration.processes import wait_until
from tests.reliability.chaos import (
    Service,
    Submitted,
    n_ended,
    n_ends,
    outcome_of,
    submit_all,
)
from tests.reliability.conftest import Size
from tests.reliability.orders import Order, mixed
from tests.reliability.report import Report

END_S = 1_800.0

pytestmark = pytest.mark.slow


def test_every_job_ends_once_and_as_in_a_calm_run(
    service: Service, client: httpx.Client, size: Size, seed: int, report: Report
) -> None:
    draw = random.Random(seed)
    orders = mixed(size.of(30, 300), draw)
    victims = (["worker", "process"] * 5)[: size.of(2, 10)] + ["redis"] * size.of(1, 2)
    draw.shuffle(victims)
    calm = _calm_outcomes(service, orders)
    n_before = n_ended(service)
    began_at = time.monotonic()
    submitted: list[Submitted] = []
    sending = threading.Thread(target=lambda: submitted.extend(submit_all(client, orders)))
    sending.start()
    until = [n_before + len(orders) * share // (len(victims) + 1) for share in range(1, len(victims) + 1)]
    for victim, n_then in zip(victims, until, strict=True):
        wait_until(lambda n_then=n_then: n_ended(service) >= n_then, END_S, "progress")  # type: ignore[misc]
        time.sleep(draw.uniform(0.0, 0.5))  # so that it may meet any stage of a job
        _kill(service, draw, victim)
    sending.join()
    wait_until(lambda: n_ended(service) >= n_before + len(orders), END_S, "all ends", every_s=0.5)
    elapsed_s = time.monotonic() - began_at
    outcomes = [outcome_of(service, client, each.job_id) for each in submitted]
    assert len({each.job_id for each in submitted}) == len(orders)
    assert [status for status, _, _ in outcomes] == ["succeeded"] * len(orders)
    assert [n_ends(service, each.job_id) for each in submitted] == [1] * len(orders)
    assert n_ended(service) == n_before + len(orders)
    different = [
        each.order.name
        for each, outcome in zip(submitted, outcomes, strict=True)
        if outcome != calm[each.order]
    ]
    assert different == []
    attempts = [service.job(each.job_id).attempts for each in submitted]
    assert max(attempts) <= 3
    killed = {name: victims.count(name) for name in ("process", "worker", "redis")}
    report.keep(
        "kills",
        "kills",
        f"{len(orders)} of {len(orders)} succeeded, each once, equal to a calm run; {killed['process']} pool "
        f"processes and {killed['worker']} whole workers killed, Redis {killed['redis']} times; "
        f"{sum(attempts) - len(orders)} attempts made again; {elapsed_s:.0f} s",
        {
            "jobs": len(orders),
            "succeeded": len(orders),
            "different_results": len(different),
            "killed": killed,
            "attempts": sum(attempts),
            "requests_sent": sum(each.n_sent for each in submitted),
            "elapsed_s": round(elapsed_s, 1),
        },
    )


def _calm_outcomes(service: Service, orders: list[Order]) -> dict[Order, object]:
    """How each different order ends while nothing happens."""
    n_before = n_ended(service)
    with service.client() as calm:
        different = list(dict.fromkeys(orders))
        made = submit_all(calm, different)
        wait_until(lambda: n_ended(service) >= n_before + len(different), END_S, "the calm run", every_s=0.2)
        return {each.order: outcome_of(service, calm, each.job_id) for each in made}


def _kill(service: Service, draw: random.Random, victim: str) -> None:
    """Kills Redis, a worker, or a process of a worker's pool."""
    if victim == "redis":
        service.kill_redis()
        return
    worker = draw.choice(service.workers)
    if victim == "worker":
        service.kill_worker(worker)
    else:
        wait_until(lambda: service.kill_pool_process(worker), END_S, "a process to kill")

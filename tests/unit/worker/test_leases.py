"""Leases: one holder at a time, missed once it is dead, and never in the way of a living one."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from worker import leases as module
from worker.leases import Lease, Leases

SOON_S = 0.2


@pytest.fixture
def leases(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Leases:
    """Leases that lapse soon."""
    monkeypatch.setattr(module, "_LEASE_MS", round(SOON_S * 1000))
    return Leases(Redis.from_url(redis_url))


def test_one_of_many_takes_it(leases: Leases) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: leases.take("job", f"holder {number}"), range(40)))
    assert sum(taken) == 1


def test_what_lapsed_can_be_taken_and_is_seen(leases: Leases) -> None:
    assert leases.take("job", "first")
    assert leases.lapsed(10) == ()
    time.sleep(1.5 * SOON_S)
    (lapsed,) = leases.lapsed(10)
    assert (lapsed.job_id, lapsed.unit, lapsed.was_held) == ("job", None, True)
    assert leases.take("job", "second")
    assert not leases.renew("job", "first")
    assert leases.renew("job", "second")
    assert not leases.expect(lapsed)  # it was taken meanwhile
    leases.drop(lapsed)
    assert leases.renew("job", "second")


def test_a_successor_takes_over_at_once(leases: Leases) -> None:
    leases.take("job", "message:0")
    assert not leases.take("job", "other:1", successor_of="other:0")
    assert leases.take("job", "message:1", successor_of="message:0")


def test_what_is_expected_has_no_holder(leases: Leases) -> None:
    leases.take("job/train-00001", "first")
    leases.release("job/train-00001", "first", keep=True)
    assert leases.lapsed(10) == ()
    time.sleep(1.5 * SOON_S)
    (lapsed,) = leases.lapsed(10)
    assert (lapsed.job_id, lapsed.unit, lapsed.was_held) == ("job", "train-00001", False)
    assert leases.expect(lapsed)
    assert leases.lapsed(10) == ()
    assert leases.take("job/train-00001", "second")


def test_who_does_not_hold_it_cannot_release_it(leases: Leases) -> None:
    leases.take("job", "first")
    leases.release("job", "second", keep=False)
    assert leases.renew("job", "first")
    leases.release("job", "first", keep=False)
    assert not leases.renew("job", "first")
    assert leases.lapsed(10, ahead_s=10.0) == ()


def test_a_lease_lasts_as_long_as_the_work(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_S", SOON_S / 4)
    leases.take("job", "first")
    with Lease(leases, "job", "first") as lease:
        time.sleep(3 * SOON_S)
        assert not leases.take("job", "second")
        lease.is_kept = False
    assert leases.take("job", "second")


def test_units_that_are_held_are_counted(leases: Leases) -> None:
    for unit in range(3):
        leases.take(f"job/{unit}", "somebody")
    leases.take("job", "somebody")
    leases.take("another/1", "somebody")
    assert leases.held("job") == 3

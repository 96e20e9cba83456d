"""The units of a job's work: each done, however many do them and whoever dies over it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES, new_dataset_job
from worker import keys
from worker import units as module
from worker.errors import AttemptLostError
from worker.leases import Leases
from worker.store import JobStore
from worker.units import END, Unit, Units

SOON_S = 0.2
N_UNITS = 30


@pytest.fixture
def job_id(redis: Redis) -> str:
    """A job whose units are not open yet."""
    job = new_dataset_job()
    JobStore(redis, LIFETIMES).admit(job, max_queued=1)
    return job.id


@pytest.fixture
def units(redis: Redis, job_id: str, monkeypatch: pytest.MonkeyPatch) -> Units:
    """Thirty units of ten steps, of which two are finished."""
    monkeypatch.setattr(module, "_LEASE_MS", round(SOON_S * 1000))
    opened = Units(redis, job_id)
    assert not opened.are_open()
    opened.open({f"train-{number:05d}": Unit(10, number < 2) for number in range(N_UNITS)})
    assert opened.are_open()
    return opened


def finish_all(units: Units, holder: str) -> list[str]:
    done = []
    while (taken := units.take(holder)) is not None and taken.unit != END:
        units.finish(taken.unit, 10)
        done.append(taken.unit)
    return done


def test_many_do_each_unit_once(units: Units) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = [unit for mine in pool.map(lambda n: finish_all(units, f"{n}"), range(8)) for unit in mine]
    assert sorted(done) == [f"train-{number:05d}" for number in range(2, N_UNITS)]
    tally = units.tally()
    assert (tally.done, tally.total, tally.done_before) == (300, 300, 20)


def test_exactly_one_gets_the_end_and_only_when_all_is_done(units: Units) -> None:
    first = units.take("slow")
    assert first is not None
    assert first.unit == "train-00002"
    while (taken := units.take("quick")) is not None:
        units.finish(taken.unit, 10)
    assert (taken, units.n_free()) == (None, 0)
    units.finish(first.unit, 10)
    assert units.n_free() == 1
    ends = [taken for number in range(5) if (taken := units.take(f"{number}")) is not None]
    assert [(taken.unit, taken.attempts) for taken in ends] == [(END, 1)]


def test_the_unit_of_the_dead_is_free_again(redis: Redis, job_id: str, units: Units) -> None:
    taken = units.take("dead")
    assert taken is not None
    time.sleep(1.5 * SOON_S)
    (lapsed,) = (lapsed for lapsed in Leases(redis).lapsed(10) if lapsed.unit is not None)
    assert (lapsed.job_id, lapsed.unit, lapsed.was_held) == (job_id, taken.unit, True)
    units.give_back(lapsed)
    units.give_back(lapsed)
    again = units.take("alive")
    assert again is not None
    assert (again.unit, again.attempts) == (taken.unit, 2)
    units.finish(again.unit, 10)
    units.finish(again.unit, 10)  # the dead was only slow
    assert units.tally().done == 30


def test_a_unit_that_was_finished_late_is_not_given_back(redis: Redis, units: Units) -> None:
    taken = units.take("slow")
    assert taken is not None
    time.sleep(1.5 * SOON_S)
    (lapsed,) = (lapsed for lapsed in Leases(redis).lapsed(10) if lapsed.unit is not None)
    units.finish(taken.unit, 10)
    units.give_back(lapsed)
    assert taken.unit not in finish_all(units, "other")


def test_opening_again_changes_nothing(units: Units) -> None:
    units.take("somebody")
    units.open({"another": Unit(1, False)})
    assert units.tally().total == 300
    assert "another" not in finish_all(units, "other")


def test_units_go_with_their_job(redis: Redis, job_id: str, units: Units) -> None:
    units.take("somebody")
    assert all(
        0 < redis.pttl(key) <= LIFETIMES.unfinished_ttl_s * 1000 for key in redis.keys(f"ts:job:{job_id}*")
    )
    JobStore(redis, LIFETIMES).cancel(job_id)
    assert redis.exists(*keys.units(job_id)) == 0
    assert units.take("somebody") is None
    with pytest.raises(AttemptLostError):
        units.finish("train-00002", 10)
    assert redis.exists(*keys.units(job_id)) == 0

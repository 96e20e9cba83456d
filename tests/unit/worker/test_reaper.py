"""The reaper: whatever has nobody is handed out anew, and nothing else is."""

import json
import time

import pytest
from redis import Redis

from tests.unit.worker.jobs_made import LIFETIMES, new_dataset_job, new_job
from worker import keys
from worker import leases as leases_module
from worker import reaper as module
from worker import units as units_module
from worker.attempt import Delivery
from worker.catalog import Catalog, model_from_card
from worker.jobs import ANYONE, Job, JobStatus, QueueName
from worker.leases import Leases
from worker.queue import JobQueue
from worker.reaper import Reaper, n_messages
from worker.settings import SharedSettings
from worker.store import JobStore
from worker.units import Unit, Units

SOON_S = 0.1


class Bench:
    """Jobs, leases that lapse soon, and a reaper that sweeps when it is told to."""

    def __init__(self, redis_url: str) -> None:
        self.redis = Redis.from_url(redis_url)
        self.store = JobStore(self.redis, LIFETIMES)
        self.leases = Leases(self.redis)
        self.queue = JobQueue(SharedSettings(redis_url=redis_url))
        self.reaper = Reaper(self.redis, self.store, self.queue)

    def admitted(self, job: Job) -> Job:
        """A job that was accepted, and whose message is lost."""
        self.store.admit(job, b"recording", max_queued=100)
        return job

    def sweep(self) -> None:
        """What the reaper does after leases have lapsed."""
        time.sleep(2 * SOON_S)
        self.redis.set(keys.SWEPT, self.now_ms() - 3_000)
        self.reaper.sweep()

    def now_ms(self) -> int:
        """Redis's time."""
        seconds, microseconds = self.redis.time()
        return int(seconds * 1000 + microseconds // 1000)

    def messages(self, queue: QueueName = QueueName.INTERACTIVE) -> list[str]:
        """The jobs of the messages that wait."""
        found = self.redis.lrange(keys.messages(queue), 0, -1)
        return [json.loads(message)["headers"]["argsrepr"].strip("['],") for message in found]


@pytest.fixture
def bench(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for module_ in (leases_module, units_module):
        monkeypatch.setattr(module_, "_LEASE_MS", round(SOON_S * 1000))
    monkeypatch.setattr("worker.admission.LEASE_S", SOON_S)
    return Bench(redis_url)


def test_a_job_whose_message_was_lost_gets_another(bench: Bench) -> None:
    job = bench.admitted(new_job())
    bench.reaper.sweep()
    assert bench.messages() == []
    bench.sweep()
    assert bench.messages() == [job.id]


def test_a_job_whose_message_waits_is_left_alone(bench: Bench) -> None:
    jobs = [bench.admitted(new_job()) for _ in range(3)]
    for _ in range(3):
        bench.sweep()
    assert sorted(bench.messages()) == sorted(job.id for job in jobs)


def test_a_message_that_is_lost_among_others_is_sent_again(bench: Bench) -> None:
    """So are those of jobs that were stored just before the API died, however busy the queue."""
    jobs = [bench.admitted(new_job()) for _ in range(5)]
    bench.sweep()
    lost = bench.redis.rpop(keys.messages(QueueName.INTERACTIVE))
    assert lost is not None
    assert len(set(bench.messages())) == 4
    bench.sweep()
    assert sorted(bench.messages()) == sorted(job.id for job in jobs)


def test_a_long_queue_hides_nobody_who_died(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 4)
    jobs = [bench.admitted(new_job()) for _ in range(10)]
    bench.sweep()
    dead = jobs[7]
    bench.leases.take(dead.id, "dead")
    bench.sweep()
    assert bench.messages().count(dead.id) == 2


def test_who_lives_can_say_so_after_redis_stood_still(bench: Bench) -> None:
    job = bench.admitted(new_job())
    bench.leases.take(job.id, "living")
    time.sleep(2 * SOON_S)
    bench.redis.set(keys.SWEPT, bench.now_ms() - round(2_000 * leases_module.STALL_S))
    bench.reaper.sweep()
    assert bench.messages() == []
    assert bench.leases.renew(job.id, "living")
    bench.sweep()  # who does not say so is dead after all
    assert bench.messages() == [job.id]


def test_the_job_of_a_dead_holder_is_sent_again_though_others_wait(bench: Bench) -> None:
    waiting, dead = bench.admitted(new_job()), bench.admitted(new_job())
    bench.sweep()
    bench.leases.take(dead.id, "dead")
    before = bench.messages().count(dead.id)
    bench.sweep()
    assert bench.messages().count(dead.id) == before + 1
    assert bench.messages().count(waiting.id) <= 1


def test_the_job_of_a_dead_holder_comes_before_all_that_wait(bench: Bench) -> None:
    """However many there are: else it would not run again before all of them have."""
    dead, *waiting = [bench.admitted(new_job()) for _ in range(50)]
    for job in waiting:
        bench.queue.send(job)
    bench.leases.take(dead.id, "dead")
    bench.sweep()
    assert bench.messages()[-1] == dead.id  # where the workers take from
    assert bench.messages().count(dead.id) == 1


def test_a_job_that_has_ended_or_is_gone_is_forgotten(bench: Bench) -> None:
    ended, gone = bench.admitted(new_job()), bench.admitted(new_job())
    for job in (ended, gone):
        bench.store.cancel(job.id)
        bench.leases.take(job.id, "late")
    bench.store.delete(gone.id)
    bench.sweep()
    assert bench.messages() == []
    assert bench.redis.zcard(keys.LEASES) == bench.redis.hlen(keys.LEASE_HOLDERS) == 0


def test_reapers_take_turns(bench: Bench) -> None:
    bench.admitted(new_job())
    time.sleep(2 * SOON_S)
    assert bench.redis.set(keys.SWEPT, bench.now_ms() - 1_000)
    bench.reaper.sweep()
    assert bench.messages() == []


def test_a_dead_shard_goes_back_and_everybody_is_kept_busy(bench: Bench) -> None:
    job = bench.admitted(new_dataset_job())
    bench.store.begin(job.id, "mine", max_attempts=3)
    units = Units(bench.redis, job.id)
    units.open({f"train-{number:05d}": Unit(10, False) for number in range(10)})
    taken = units.take("dead")
    assert taken is not None
    bench.sweep()
    assert bench.messages(QueueName.BATCH)
    assert units.n_free() == 10
    assert bench.store.get(job.id).status is JobStatus.RUNNING


def test_what_was_stopped_in_haste_goes_on_at_once_and_does_not_count(bench: Bench) -> None:
    job, other = bench.admitted(new_job()), bench.admitted(new_job())
    for each, process in ((job, "here/17/18"), (other, "here/170/18")):
        assert bench.leases.take(each.id, Delivery("message", 0, process).holder)
        bench.store.begin(each.id, f"token {process}", max_attempts=3)
    bench.reaper.take_back("here/17/")
    assert bench.messages() == [job.id]
    assert (bench.store.get(job.id).attempts, bench.store.get(other.id).attempts) == (0, 1)
    assert bench.leases.take(job.id, "anybody")
    assert not bench.leases.take(other.id, "anybody")


def test_so_does_a_unit(bench: Bench) -> None:
    job = bench.admitted(new_dataset_job())
    bench.store.begin(job.id, "mine", max_attempts=3)
    units = Units(bench.redis, job.id)
    units.open({"train-00000": Unit(10, False)})
    for _ in range(5):
        taken = units.take(Delivery("message", 0, "here/17/18").holder)
        assert taken is not None
        assert taken.attempts == 1
        bench.reaper.take_back("here/17/")
    assert bench.messages(QueueName.BATCH) == [job.id] * 5
    assert bench.store.get(job.id).attempt_token == "mine"


@pytest.mark.parametrize(("n_processes", "n_held", "expected"), [(0, 0, 1), (4, 1, 3), (20, 0, 10)])
def test_there_are_as_many_messages_as_idle_processes(
    bench: Bench, n_processes: int, n_held: int, expected: int
) -> None:
    card = {"id": "default", "sha256": "ab", "task": "instruments", "labels": [], "thresholds": {}}
    for number in range(n_processes):
        Catalog(bench.redis).announce(f"process {number}", [model_from_card(card)])
    job = bench.admitted(new_dataset_job())
    assert n_messages(bench.redis, job) == 1
    units = Units(bench.redis, job.id)
    units.open({f"train-{number:05d}": Unit(10, False) for number in range(10 + n_held)})
    for number in range(n_held):
        units.take(f"{number}")
    assert n_messages(bench.redis, job) == expected


def test_it_goes_on_after_a_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.05)
    job = bench.admitted(new_job())
    bench.redis.hset(keys.SWEPT, "of", "another type")  # every sweep fails until this is gone
    bench.reaper.start()
    time.sleep(4 * SOON_S)
    assert bench.messages() == []
    bench.redis.delete(keys.SWEPT)
    deadline = time.monotonic() + 5.0
    while bench.messages() != [job.id]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    bench.reaper.stop()


def test_a_sweep_lists_what_a_version_without_lists_has_left(bench: Bench) -> None:
    job = bench.admitted(new_job())
    bench.redis.delete(keys.AUDIENCES, keys.jobs_of(ANYONE))
    assert bench.store.page(9, audiences={ANYONE}).jobs == ()
    bench.sweep()
    assert [each.id for each in bench.store.page(9, audiences={ANYONE}).jobs] == [job.id]

"""Recordings that are read on behalf of an attempt: what another may mend is tried again, and counted."""

from collections.abc import Iterator

import pytest
from redis import Redis

from ml.media import MediaError, NonFiniteSamplesError
from ml.sandbox import (
    DecoderBusyError,
    DecoderDiedError,
    Sandbox,
    SandboxError,
    SandboxUnavailableError,
    sound,
)
from ml.sandbox.sandbox import Reply, Request
from tests.integration import sounds
from tests.unit.worker.jobs_made import LIFETIMES, new_job
from worker import decoding
from worker.artifacts import ArtifactStore
from worker.attempt import Attempt
from worker.decoding import Decoder, Sandboxes
from worker.errors import AttemptGivenBackError, AttemptLostError
from worker.figures import Figures
from worker.settings import WorkerSettings
from worker.store import JobStore

WAV = sounds.audio_file(sounds.tone(0.2))
MAX_ATTEMPTS = 3


class Bench:
    """An attempt at a job, and a sandbox whose first calls end as the test wants."""

    def __init__(self, redis_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.redis = Redis.from_url(redis_url)
        self.store = JobStore(self.redis, LIFETIMES)
        self.job = new_job()
        self.store.admit(self.job, WAV, max_queued=1)
        self.begun = self.store.begin(self.job.id, "token", max_attempts=MAX_ATTEMPTS)
        attempt = Attempt(self.store, ArtifactStore(self.redis), self.begun, "token")
        settings = WorkerSettings(redis_url=redis_url, max_attempts=MAX_ATTEMPTS)
        self.decoder = Decoder(attempt, Sandboxes(sandbox, sandbox), settings)
        self.ends: list[Exception] = []
        really = sandbox.call

        def call(request: Request, **more: object) -> Reply:
            if self.ends:
                raise self.ends.pop(0)
            return really(request, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(sandbox, "call", call)
        monkeypatch.setattr(decoding, "PAUSE_S", 0.0)

    @property
    def attempts(self) -> int:
        """How many attempts the job has had."""
        return self.store.get(self.job.id).attempts


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(sound.TASKS_MODULE, WorkerSettings().decoder_limits, most_at_once=1)
    yield sandbox
    sandbox.close()


@pytest.fixture
def bench(redis_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(redis_url, sandbox, monkeypatch)


NONE = SandboxUnavailableError("None can be started.")


def died(number: int) -> SandboxError:
    return DecoderDiedError(f"Death {number}.", extra={"cause": "signal"})


def test_what_goes_well_is_one_attempt(bench: Bench) -> None:
    assert bench.decoder.recording(WAV, sounds.RATE_HZ).duration_s == pytest.approx(0.2)
    assert bench.attempts == 1


@pytest.mark.parametrize("n_deaths", [1, 2])
def test_deaths_cost_attempts(bench: Bench, n_deaths: int) -> None:
    bench.ends = [died(number) for number in range(n_deaths)]
    assert bench.decoder.recording(WAV, sounds.RATE_HZ).duration_s == pytest.approx(0.2)
    assert bench.attempts == 1 + n_deaths
    lost = Figures(bench.redis).collect().counters["attempts_lost"]
    assert lost == {("decoder",): n_deaths}


def test_the_last_death_is_the_jobs(bench: Bench) -> None:
    bench.ends = [died(0), NONE, died(1), died(2), died(3)]
    with pytest.raises(DecoderDiedError, match="Death 2"):
        bench.decoder.recording(WAV, sounds.RATE_HZ)
    assert bench.attempts == MAX_ATTEMPTS


def test_where_no_process_can_be_had_that_costs_no_attempt(bench: Bench) -> None:
    bench.ends = [NONE] * (MAX_ATTEMPTS + 2)
    assert bench.decoder.recording(WAV, sounds.RATE_HZ).duration_s == pytest.approx(0.2)
    assert bench.attempts == 1


def test_where_none_can_be_had_for_long_the_job_is_given_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "PAUSE_S", 0.05)
    monkeypatch.setattr(decoding, "PATIENCE_S", 0.3)
    monkeypatch.setattr(decoding, "TICK_S", 0.01)
    bench.ends = [NONE] * 9
    with pytest.raises(AttemptGivenBackError, match="None can be started"):
        bench.decoder.recording(WAV, sounds.RATE_HZ)
    assert len(bench.ends) == 9 - 4  # after pauses of 0.05, 0.1 and 0.2 s
    bench.ends = [DecoderBusyError("Too many.")]
    with pytest.raises(AttemptGivenBackError, match="Too many"):
        bench.decoder.recording(WAV, sounds.RATE_HZ)
    assert bench.attempts == 1


def test_nobody_waits_for_a_job_that_is_cancelled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PAUSE_S", 60.0)
    bench.store.cancel(bench.job.id)
    bench.ends = [NONE]
    with pytest.raises(AttemptLostError):
        bench.decoder.recording(WAV, sounds.RATE_HZ)


def test_attempts_are_those_of_the_job_and_not_of_one_file(bench: Bench) -> None:
    bench.ends = [died(0)]
    bench.decoder.recording(WAV, sounds.RATE_HZ)
    bench.ends = [died(1)]
    bench.decoder.recording(WAV, sounds.RATE_HZ)
    bench.ends = [died(2)]
    with pytest.raises(DecoderDiedError, match="Death 2"):
        bench.decoder.recording(WAV, sounds.RATE_HZ)


def test_what_is_the_recordings_fault_is_not_tried_again(bench: Bench) -> None:
    with pytest.raises(NonFiniteSamplesError):
        bench.decoder.recording(sounds.nan_file(), sounds.RATE_HZ)
    with pytest.raises(MediaError):
        bench.decoder.notes(b"no MIDI file")
    assert bench.attempts == 1


def test_nobody_tries_again_for_a_job_that_is_cancelled(bench: Bench) -> None:
    bench.store.cancel(bench.job.id)
    bench.ends = [died(0)]
    with pytest.raises(AttemptLostError):
        bench.decoder.recording(WAV, sounds.RATE_HZ)

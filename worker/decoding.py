"""Recordings read on behalf of an attempt: each in a process of its own, which may die without it.

Conventions: what a child dies of, the recording's doing or not, costs the job an attempt and nothing else: it
is tried again here and now, as often as the settings allow, and the last death is the job's problem. Where no
child can be had at all, which is this machine's doing, that costs no attempt: it is tried again ever more
slowly, for `PATIENCE_S` in all, and then the job is given back. A job that is cancelled meanwhile ends its
child, or the wait for one, within a fraction of a second.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ml.media import MediaInfo, MediaLimits
from ml.notes import PlayedNote
from ml.recording import Recording, Stem
from ml.sandbox import (
    DecoderBusyError,
    DecoderDiedError,
    Sandbox,
    SandboxError,
    SandboxUnavailableError,
    sound,
)
from worker.attempt import Attempt
from worker.errors import AttemptGivenBackError
from worker.figures import Figures
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

# After a death; and the first of the pauses where no process can be started, each twice the one before.
PAUSE_S = 0.5
PATIENCE_S = 30.0
TICK_S = 0.1

MIDI_SIGNATURE = b"MThd"

Read = TypeVar("Read")


@dataclass(frozen=True)
class Sandboxes:
    """Where recordings are read: audio, which most are, in children that have no SoundFont open."""

    audio: Sandbox
    midi: Sandbox

    def fit_for(self, data: bytes) -> Sandbox:
        """The one whose children can make sound of it."""
        return self.midi if data.startswith(MIDI_SIGNATURE) else self.audio

    def start(self) -> None:
        """Starts what forks the children ahead of the first call; does not wait for it."""
        for sandbox in (self.audio, self.midi):
            sandbox.start()

    def close(self) -> None:
        """Ends all processes."""
        for sandbox in (self.audio, self.midi):
            sandbox.close()


def open_sandboxes(settings: WorkerSettings, figures: Figures) -> Sandboxes:
    """The sandboxes of a worker's process, as these settings want them."""

    def opened(tasks_module: str) -> Sandbox:
        return Sandbox(
            tasks_module,
            settings.decoder_limits,
            most_at_once=1,
            on_death=lambda _: figures.count("decoder_deaths"),
        )

    return Sandboxes(opened(sound.AUDIO_TASKS_MODULE), opened(sound.TASKS_MODULE))


class Decoder:
    """Reads recordings for one attempt."""

    def __init__(self, attempt: Attempt, sandboxes: Sandboxes, settings: WorkerSettings) -> None:
        self._attempt = attempt
        self._sandboxes = sandboxes
        self._settings = settings
        self._limits = settings.media_limits

    def recording(self, data: bytes, sample_rate_hz: int) -> Recording:
        """The sound of an audio file, or of a MIDI file as it is rendered."""
        return self._read(
            lambda: sound.load_recording(
                self._sandboxes.fit_for(data),
                data,
                sample_rate_hz=sample_rate_hz,
                limits=self._limits,
                soundfont=self._settings.soundfont,
                on_progress=self._attempt.progress,
                on_wait=self._attempt.require_wanted,
            )
        )

    def decoded(
        self, data: bytes, sample_rate_hz: int, limits: MediaLimits
    ) -> tuple[MediaInfo, NDArray[np.float32]]:
        """What an audio file is, and its sound `(n_samples,)`."""
        wanted, sandbox = self._attempt.require_wanted, self._sandboxes.audio
        return self._read(lambda: sound.decoded(sandbox, data, sample_rate_hz, limits, on_wait=wanted))

    def stems(self, data: bytes, recording: Recording, until_s: float | None) -> tuple[Stem, ...]:
        """What each instrument plays of a MIDI file, up to `until_s`."""
        return self._read(
            lambda: sound.midi_stems(
                self._sandboxes.midi,
                data,
                recording,
                limits=self._limits,
                soundfont=self._settings.soundfont,
                until_s=until_s,
                on_progress=self._attempt.progress,
                on_wait=self._attempt.require_wanted,
            )
        )

    def notes(self, data: bytes) -> tuple[PlayedNote, ...]:
        """The notes of a MIDI file."""
        wanted, sandbox = self._attempt.require_wanted, self._sandboxes.midi
        return self._read(lambda: sound.midi_notes(sandbox, data, self._limits, on_wait=wanted))

    def _read(self, read: Callable[[], Read]) -> Read:
        pause_s, paused_s = PAUSE_S, 0.0
        while True:
            try:
                return read()
            except DecoderDiedError as error:
                _warn_of(error)
                if not self._attempt.try_again(self._settings.max_attempts):
                    raise
                self._pause(PAUSE_S)
            except SandboxUnavailableError as error:
                _warn_of(error)
                if paused_s >= PATIENCE_S:
                    raise AttemptGivenBackError(str(error)) from error
                self._pause(pause_s)
                pause_s, paused_s = 2.0 * pause_s, paused_s + pause_s
            except DecoderBusyError as error:  # which has waited for long already
                _warn_of(error)
                raise AttemptGivenBackError(str(error)) from error

    def _pause(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while time.monotonic() < until:
            self._attempt.require_wanted()
            time.sleep(TICK_S)


def _warn_of(error: SandboxError) -> None:
    log.warning("a recording was not read", extra={"code": error.code, "error": str(error)})

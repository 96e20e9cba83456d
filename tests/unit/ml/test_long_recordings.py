"""Minutes of sound: held once, and nothing beside it grows with its length but the log-mel."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from ml.classification import listen
from ml.media import decode_audio
from ml.melspec import MelConfig, level_db
from ml.model import Model
from ml.recording import Recording

MEL = MelConfig()
RATE_HZ = MEL.sample_rate_hz
LOW_RATE_HZ = 16_000  # of files: to be resampled
LONG_S, FILE_S = 300.0, 60.0
SPARE_BYTES = 8_000_000  # blocks and batches, whatever the length


@dataclass
class Memory:
    """The most that was allocated at once."""

    peak_bytes: int = 0


@contextmanager
def counted() -> Iterator[Memory]:
    """Count what Python and numpy allocate."""
    memory = Memory()
    tracemalloc.start()
    try:
        yield memory
        memory.peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def noise(duration_s: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    second = np.random.default_rng(0).normal(0.0, 0.1, rate_hz).astype(np.float32)
    return np.resize(second, round(duration_s * rate_hz))


def encoded(samples: np.ndarray, rate_hz: int, kind: str) -> bytes:
    """A file; written a second at a time, since libsndfile's Vorbis keeps what is written on its stack."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate_hz, 1, format=kind) as writer:
        for second in np.split(samples, range(rate_hz, len(samples), rate_hz)):
            writer.write(second)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_decoding_holds_the_sound_once(kind: str) -> None:
    data = encoded(noise(FILE_S, LOW_RATE_HZ), LOW_RATE_HZ, kind)
    with counted() as memory:
        samples = decode_audio(data, RATE_HZ)
    assert len(samples) == pytest.approx(FILE_S * RATE_HZ, rel=1e-3)
    # An MP3 is given to the decoder with another first frame.
    assert memory.peak_bytes < samples.nbytes + len(data) + SPARE_BYTES


def test_the_front_end_adds_the_log_mel_alone() -> None:
    samples = noise(LONG_S)
    with counted() as memory:
        levels_db = level_db(samples, MEL)
    assert memory.peak_bytes < levels_db.nbytes + SPARE_BYTES


def test_windows_are_made_in_batches(shipped: Model) -> None:
    recording = Recording(noise(LONG_S), RATE_HZ)
    with counted() as memory:
        heard = listen(shipped, recording)
    assert memory.peak_bytes < heard.levels_db.nbytes + SPARE_BYTES
    assert heard.inputs.nbytes > SPARE_BYTES  # all at once would have shown


def test_inputs_are_what_the_network_saw(shipped: Model, example: Recording) -> None:
    longer = Recording(np.resize(example.samples, 60 * RATE_HZ), RATE_HZ)
    heard = listen(shipped, longer)
    np.testing.assert_allclose(shipped.logits(heard.inputs), heard.logits, atol=1e-4)

"""Recordings in: decoding, the front end, and how time and memory grow with the length.

The long recording is the example clip again and again, as FLAC, and the short one is the clip.
"""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile

from bench.clips import TWO, model, recording
from bench.measure import COST, FASTER, MORE, Measurement, Row, Side, compared, interleaved, timed_ms
from ml.classification import classify
from ml.explanation import explain
from ml.media import decode_audio
from ml.melspec import level_db
from ml.recording import load_recording

LONG_S, SHORT_S, PART_S = 600.0, 5.0, 60.0
N_CLIPS = 24  # of `SHORT_S` beside one long recording
N_REPEATS = 5
N_PROCESSES = 3  # of either side, whose memory is measured
FOREIGN_RATE_HZ = 48_000  # of the row about decoding: to be resampled
MB = 1e6


@functools.cache
def flac(duration_s: float, rate_hz: int = 44_100, channels: int = 1) -> bytes:
    """The example, played again and again; its samples are taken as if they were at `rate_hz`."""
    samples = np.resize(recording().samples, round(duration_s * rate_hz))
    file = io.BytesIO()
    soundfile.write(file, np.stack([samples] * channels, axis=1), rate_hz, format="FLAC")
    return file.getvalue()


def classified(data: bytes) -> int:
    """Decode a file and classify it; says how many windows that were."""
    heard = load_recording(data, sample_rate_hz=model().sample_rate_hz)
    return len(classify(model(), heard).timeline)


def explained(data: bytes) -> int:
    """Decode a file and explain a part of it; says how many windows that were."""
    whole = load_recording(data, sample_rate_hz=model().sample_rate_hz)
    duration_s = min(PART_S, whole.duration_s)
    explanation = explain(model(), whole, instruments=TWO, start_s=0.0, duration_s=duration_s)
    return len(explanation.classification.timeline)


TASKS: dict[str, Callable[[bytes], int]] = {"classified": classified, "explained": explained}


def _by_window(ratio_of: str) -> Measurement:
    """A window of a long recording, and one of clips that come one by one."""
    long, short = flac(LONG_S), flac(SHORT_S)
    n_long, n_short = classified(long), classified(short)  # warms up, too
    long_ms, short_ms = [], []
    for _ in range(N_REPEATS):
        long_ms.append(timed_ms(lambda: classified(long)) / n_long)
        short_ms.append(timed_ms(lambda: [classified(short) for _ in range(N_CLIPS)]) / (N_CLIPS * n_short))
    return compared(long_ms, short_ms, unit="ms a window", ratio_of=ratio_of)


def _memory(task: str) -> Callable[[str], Measurement]:
    """Peak memory of fresh processes with the long recording, and with the short one, in turns."""

    def measure(ratio_of: str) -> Measurement:
        peaks_mb: tuple[list[float], list[float]] = ([], [])
        for _ in range(N_PROCESSES):
            for length_s, found_mb in zip((LONG_S, SHORT_S), peaks_mb, strict=True):
                found_mb.append(peak_mb(task, flac(length_s)))
        return compared(*peaks_mb, unit="MB", ratio_of=ratio_of)

    return measure


def peak_mb(task: str, data: bytes) -> float:
    """How much memory a fresh process has taken at most when it has done a task with a file (Linux)."""
    with tempfile.TemporaryDirectory(prefix="timbrescope-bench-") as folder:
        path = Path(folder) / "recording.flac"
        path.write_bytes(data)
        told = subprocess.run(
            [sys.executable, "-m", "bench.recordings", task, str(path)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    return float(told) / MB


def own_peak_bytes() -> int:
    """The most this process has had in memory, by the kernel's count."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024


def _mel() -> tuple[Side, Side]:
    samples, mel = recording().samples, model().mel

    def by_librosa() -> None:
        power = librosa.feature.melspectrogram(
            y=samples,
            sr=mel.sample_rate_hz,
            n_fft=mel.window_samples,
            hop_length=mel.hop_samples,
            n_mels=mel.n_mels,
            fmin=mel.lowest_hz,
            fmax=mel.highest_hz,
            pad_mode="constant",
        )
        librosa.power_to_db(power, top_db=None)

    return lambda: level_db(samples, mel), by_librosa


def _decode() -> tuple[Side, Side]:
    data, rate_hz = flac(PART_S, FOREIGN_RATE_HZ, channels=2), model().sample_rate_hz
    return lambda: decode_audio(data, rate_hz), lambda: librosa.load(io.BytesIO(data), sr=rate_hz)


LONG, SHORT = "10 min, decoded and classified", "5 s, decoded and classified"

ROWS = (
    Row("mel", "log-mel of 5 s", "the same by librosa", FASTER, "", interleaved(_mel, 15)),
    Row("decode", "1 min of stereo FLAC, resampled", "librosa.load", FASTER, "", interleaved(_decode)),
    Row("long", LONG, SHORT + ", one by one", COST, "<= 1.0", _by_window),
    Row("long-memory", LONG, SHORT, MORE, "<= 200 MB", _memory("classified")),
    Row(
        "minute-memory",
        "1 min of 10 decoded and explained",
        "5 s, decoded and explained",
        MORE,
        "",
        _memory("explained"),
    ),
)

if __name__ == "__main__":
    TASKS[sys.argv[1]](Path(sys.argv[2]).read_bytes())
    print(own_peak_bytes())

"""A small folder of sounds: two banks that are FluidR3_GM under other names, made-up notes and pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml.evaluation.clips import ClipSet, FileClip, Measure
from ml.evaluation.listening import Heard
from ml.evaluation.sounds import SoundsFolder
from ml.synthesis.soundfonts import find_bank

RATE_HZ = 44_100
TRUMPET, SAX, PICCOLO = 56, 64, 72


def tone(pitch: int, duration_s: float) -> np.ndarray:
    """A decaying note with harmonics."""
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    harmonics = np.sum([np.sin(2 * np.pi * hz * k * times_s) / k for k in (1, 2, 3)], axis=0)
    decayed: np.ndarray = (0.2 * harmonics * np.exp(-3.0 * times_s)).astype(np.float32)
    return decayed


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> SoundsFolder:
    folder = tmp_path_factory.mktemp("sounds")
    fluid = find_bank("FluidR3_GM").path
    for name, programs in {"Winds": (TRUMPET, SAX, PICCOLO), "Trumpets": (TRUMPET,)}.items():
        (folder / "banks" / name).mkdir(parents=True)
        for program in programs:
            (folder / "banks" / name / f"{program:03d}.sf2").symlink_to(fluid)
    for kind, label, names in (
        ("notes", "Acoustic_Grand_Piano", ("60_000", "64_001", "67_002")),
        ("notes", "Celesta", ("72_000",)),
        ("notes", "Bagpipe", ("65_000",)),
        ("phrases", "Trumpet", ("000", "001")),
        ("phrases", "Orchestra", ("000",)),
        ("recordings", "A_little_waltz", ("000",)),
    ):
        place = folder / "real" / kind / label
        place.mkdir(parents=True)
        for name in names:
            seconds = 9.0 if kind == "recordings" else 1.5
            pitch = int(name[:2]) if kind == "notes" else 67
            soundfile.write(place / f"{name}.flac", tone(pitch, seconds), RATE_HZ)
    (folder / "real" / "index.csv").write_text(
        "path,instrument_or_title,midi_pitch,source_and_licence,source_path\n"
        "notes/Celesta/72_000.flac,Celesta,72,a test (CC0),x\n",
        encoding="utf-8",
    )
    return SoundsFolder(folder)


def heard(
    labels: tuple[str, ...],
    truth: list[list[int]],
    probabilities: list[list[float]],
    measure: Measure | None = "macro-F1",
) -> Heard:
    """What a model would have made of clips, with thresholds of one half."""
    given = np.array(probabilities, dtype=np.float64)
    clips = tuple(FileClip(f"clip {index}", Path("none.flac")) for index in range(len(truth)))
    return Heard(
        clip_set=ClipSet("a set", measure, clips),
        labels=labels,
        truth=np.array(truth, dtype=bool),
        probabilities=given,
        present=given >= 0.5,
        timelines=tuple(row[None] for row in given),
    )

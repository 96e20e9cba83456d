"""What bytes depend on beside the recipe: versions of the libraries, and the kind of machine."""

from __future__ import annotations

import ctypes
import functools
import platform
from importlib.metadata import version

import numpy as np
import soundfile

from ml.synthesis.render import load_fluidsynth

PACKAGES = ("numpy", "scipy", "soundfile", "pyfluidsynth", "mido")
# Recorded by data sets that were begun with it; what took its place makes the same bytes (`ml.mel_scale`).
REPLACED = frozenset({"librosa"})


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of everything that renders, transforms and encodes.

    Returns
    -------
    dict of str to str
        Python packages by their names, and `libsndfile`.
    """
    return {name: version(name) for name in PACKAGES} | {"libsndfile": soundfile.__libsndfile_version__}


def recording_versions() -> dict[str, str]:
    """As `library_versions`, and `soxr`, which resamples recordings."""
    return library_versions() | {"soxr": version("soxr")}


def synthesis_versions() -> dict[str, str]:
    """As `library_versions`, and `libfluidsynth`, which only synthesis needs.

    Raises
    ------
    MissingFluidSynthError
    """
    return library_versions() | {"libfluidsynth": _libfluidsynth_version()}


@functools.cache
def _libfluidsynth_version() -> str:
    parts = [ctypes.c_int() for _ in range(3)]
    load_fluidsynth().fluid_version(*map(ctypes.byref, parts))
    return ".".join(str(part.value) for part in parts)


@functools.cache
def machine_kind() -> str:
    """System, processor and its widest vector instructions, which decide how sums are rounded."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return " ".join([platform.system(), platform.machine(), *found[-1:]])

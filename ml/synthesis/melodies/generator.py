"""Generator: another program invents the melodies; it is run as a command that writes MIDI files.

The program is started without a shell in an empty folder, with `{seed}`, `{out}` and `{duration_s}` of its
arguments filled in; it must write at least one MIDI file into `{out}` and end with status 0. Equal seeds
should write equal files: then the data set can be made again. What was drawn is saved in the plan in any
case, with the SHA-256 of the file it came from, so rendering never needs the program.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ml.synthesis.melodies.corpora import MIDI_ENDINGS
from ml.synthesis.melodies.phrases import Part, draw_phrase, read_parts
from ml.synthesis.melodies.settings import GeneratorMelody
from ml.synthesis.melodies.source import Melodic, Occasion, source_fault

_RUN_STREAM = 0x6E4E  # apart from the clips' generators: (recipe seed, run, this)
_KEPT_RUNS = 16
_SHOWN_CHARACTERS = 500


class GeneratorSource:
    """Melodies from a command; successive clips share a run as the settings say."""

    def __init__(self, settings: GeneratorMelody) -> None:
        self._settings = settings

    def draw(self, occasion: Occasion) -> Melodic:
        settings = self._settings
        run = occasion.clip // settings.clips_per_run
        seed = int(np.random.default_rng([occasion.seed, run, _RUN_STREAM]).integers(2**31))
        parts = run_command(settings.command, seed, occasion.duration_s, settings.timeout_s)
        return draw_phrase(parts, settings, occasion)


@functools.lru_cache(maxsize=_KEPT_RUNS)
def run_command(command: tuple[str, ...], seed: int, duration_s: float, timeout_s: float) -> list[Part]:
    """Run a generator and read what it wrote.

    Parameters
    ----------
    command : tuple of str
        Program and arguments, with placeholders.
    seed : int
        0 to 2**31 - 1.
    duration_s : float
        Length of the clips.
    timeout_s : float
        After so long the program, and all that it started, is killed.

    Returns
    -------
    list of Part
        In the order of the files' names.

    Raises
    ------
    MelodySourceError
        When the program cannot be started, fails, takes too long, or writes no MIDI file.
    """
    with tempfile.TemporaryDirectory(prefix="timbrescope-melody-") as folder:
        out = Path(folder, "out")
        out.mkdir()
        values = {"{seed}": str(seed), "{out}": str(out), "{duration_s}": f"{duration_s:g}"}
        _run([_filled(word, values) for word in command], folder, timeout_s)
        paths = sorted(path for path in out.rglob("*") if path.suffix.lower() in MIDI_ENDINGS)
        parts = [
            part
            for path in paths
            for part in read_parts(path.read_bytes(), "command", str(path.relative_to(out)))
        ]
    if not parts:
        raise source_fault("command", f"{command[0]} wrote no MIDI file with notes into {{out}}.")
    return parts


def _filled(word: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _run(arguments: list[str], folder: str, timeout_s: float) -> None:
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts can be killed with it
        )
    except OSError as error:
        raise source_fault("command", f"{arguments[0]} cannot be started: {error.strerror}.") from error
    with process:
        try:
            _, complaint = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise source_fault("command", f"{arguments[0]} took longer than {timeout_s:g} s.") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip()[-_SHOWN_CHARACTERS:]
        raise source_fault("command", f"{arguments[0]} ended with {process.returncode}: {said}")

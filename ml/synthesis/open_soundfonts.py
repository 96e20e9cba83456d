"""Open SoundFonts, kept for the next rendering.

Every rendering takes a fresh synthesiser, but reading a bank's presets and decoding its samples costs more
than playing a few notes. So files stay open between renderings, each in a synthesiser that never plays, with
the presets in use pinned; a fresh synthesiser borrows the open file, which nothing that it does can change.
One file is lent to one synthesiser at a time; another thread gets a second opening, whose samples FluidSynth
shares. The least recently used files are closed beyond `MAX_IDLE_FILES`.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from ctypes import c_int, c_void_p
from pathlib import Path
from typing import Any

from ml.synthesis.soundfonts import MissingSoundFontError

MAX_IDLE_FILES = 128  # a preset takes about 5 MB once it is decoded
_N_CHANNELS = 16

_FileKey = tuple[str, int, int]  # path, size, time of change: a file that is replaced is opened anew


class _OpenFile:
    """A SoundFont file, opened in a synthesiser of its own."""

    def __init__(self, library: Any, path: Path) -> None:
        self._functions = _Functions(library)
        settings = {"synth.dynamic-sample-loading": 1, "synth.polyphony": 1}  # samples are read when pinned
        self._owner = library.Synth(channels=_N_CHANNELS, **settings)
        self._id = self._owner.sfload(str(path))
        if self._id < 0:
            self._owner.delete()
            raise MissingSoundFontError(f"FluidSynth cannot load the SoundFont {path}.")
        self._soundfont = self._functions.first_soundfont(self._owner.synth, 0)
        self._pinned: set[tuple[int, int]] = set()

    def pin(self, presets: Iterable[tuple[int, int]]) -> None:
        if self._functions.pin is None:  # before FluidSynth 2.2: samples are read for every rendering
            return
        for preset in set(presets) - self._pinned:
            if self._owner.sfpreset_name(self._id, *preset) is not None:
                self._functions.pin(self._owner.synth, self._id, *preset)
            self._pinned.add(preset)

    @contextlib.contextmanager
    def lent_to(self, synth: Any) -> Iterator[None]:
        self._forget_programs(
            synth
        )  # else the synthesiser looks for a piano, and a drum kit, on every channel
        self._functions.add(synth.synth, self._soundfont)
        try:
            yield
        finally:
            self._forget_programs(synth)
            self._functions.remove(synth.synth, self._soundfont)

    def close(self) -> None:
        self._owner.delete()

    @staticmethod
    def _forget_programs(synth: Any) -> None:
        for channel in range(_N_CHANNELS):
            synth.program_unset(channel)


class _Functions:
    """Functions of libfluidsynth that pyfluidsynth does not wrap."""

    def __init__(self, library: Any) -> None:
        synth, soundfont = ("synth", c_void_p, 1), ("sfont", c_void_p, 1)
        preset = (("sfont_id", c_int, 1), ("bank_num", c_int, 1), ("preset_num", c_int, 1))
        self.first_soundfont = library.cfunc("fluid_synth_get_sfont", c_void_p, synth, ("num", c_int, 1))
        self.add = library.cfunc("fluid_synth_add_sfont", c_int, synth, soundfont)
        self.remove = library.cfunc("fluid_synth_remove_sfont", c_int, synth, soundfont)
        self.pin = library.cfunc("fluid_synth_pin_preset", c_int, synth, *preset)


_idle: OrderedDict[_FileKey, list[_OpenFile]] = OrderedDict()
_lock = threading.Lock()


@contextlib.contextmanager
def borrowed(library: Any, synth: Any, path: Path, presets: Iterable[tuple[int, int]]) -> Iterator[None]:
    """Lend an open SoundFont to a synthesiser that has none.

    Parameters
    ----------
    library : module
        pyfluidsynth.
    synth : fluidsynth.Synth
        It must stop using the file before the block ends; it may be deleted afterwards.
    path : Path
        The SoundFont file.
    presets : iterable of (int, int)
        Bank and program of what will be played, to be read beforehand; presets that do not exist are ignored.

    Raises
    ------
    MissingSoundFontError
        When the file cannot be loaded.
    """
    key = _key(path)
    with _lock:
        waiting = _idle.get(key)
        file = waiting.pop() if waiting else None
    if file is None:
        file = _OpenFile(library, path)
    try:
        file.pin(presets)
        with file.lent_to(synth):
            yield
    finally:
        _keep(key, file)


def _key(path: Path) -> _FileKey:
    try:
        status = path.stat()
    except OSError as error:
        raise MissingSoundFontError(f"The SoundFont {path} cannot be read: {error.strerror}.") from error
    return str(path.resolve()), status.st_size, status.st_mtime_ns


def _keep(key: _FileKey, file: _OpenFile) -> None:
    closed: list[_OpenFile] = []
    with _lock:
        _idle.setdefault(key, []).append(file)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > MAX_IDLE_FILES:
            oldest = next(iter(_idle))
            closed.append(_idle[oldest].pop())
            if not _idle[oldest]:
                del _idle[oldest]
    for old in closed:
        old.close()

"""Tasks as a decoder might behave that a file has broken, or taken over. For the fork server of the tests."""

import ctypes
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ml.media import TooLongError
from ml.sandbox.child import CONVERSATION_FD, Answer, Task
from ml.sandbox.wire import LENGTH, frame

HUGE = 1 << 32


def _segfault(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    ctypes.string_at(0)
    return {}


def _abort(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    os.abort()


def _leave(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    os._exit(7)


def _die_of_a_nameless_signal(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGRTMIN + 6)
    return {}


def _eat_memory(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    return {"sum": float(np.ones(HUGE).sum())}


def _eat_time(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    while True:
        pass


def _sleep(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    time.sleep(3_600)
    return {}


def _report_on(_arguments: dict[str, Any], _data: bytes, answer: Answer) -> dict[str, object]:
    for done in range(1_000_000):
        answer.progress("decoding", done, 1_000_000)
        time.sleep(0.01)
    return {}


def _look_around(_arguments: dict[str, Any], data: bytes, _answer: Answer) -> dict[str, object]:
    """What a child can see and do."""
    try:
        Path("/tmp/timbrescope-written-by-a-child").write_bytes(b"x")
        wrote = "yes"
    except OSError as error:
        wrote = type(error).__name__
    return {
        "environment": sorted(os.environ),
        "files": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        "wrote": wrote,
        "n_bytes": len(data),
        "core": Path("/proc/self/limits").read_text().split("Max core file size")[1].split()[0],
        "group": os.getpgrp(),
        "pid": os.getpid(),
    }


def _raise(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    raise TooLongError("It lasts 9 s; the limit is 1 s.", extra={"duration_s": 9.0})


def _fault(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
    raise KeyError("no such chunk")


def _says(said: bytes) -> Task:
    """Says something else than a task may, and goes."""

    def task(_arguments: dict[str, Any], _data: bytes, _answer: Answer) -> dict[str, object]:
        with socket.socket(fileno=CONVERSATION_FD) as conversation:
            conversation.sendall(said)
            conversation.shutdown(socket.SHUT_WR)
            time.sleep(1.0)
        os._exit(0)

    return task


def _error(**changes: object) -> bytes:
    known: dict[str, object] = {"kind": "error", "class": "TooLongError", "message": "m", "extra": {}}
    return frame({**known, **changes})


def _sound(n_samples: int, *, part: object = 0, samples: bytes = b"") -> bytes:
    return frame({"kind": "sound", "part": part, "n_samples": n_samples}) + samples


def _deep() -> bytes:
    body = b'{"kind":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    return LENGTH.pack(len(body)) + body


GARBLED: dict[str, Callable[[], bytes]] = {
    "no document": lambda: LENGTH.pack(5) + b"hello",
    "no object": lambda: LENGTH.pack(2) + b"[]",
    "nothing but bytes above ASCII": lambda: LENGTH.pack(4) + b"\xff\xfe\xfd\xfc",
    "a document without end": lambda: LENGTH.pack(0xFFFFFFFF) + b"x" * 100,
    "a document nested deeply": _deep,
    "an unknown kind": lambda: frame({"kind": "launch"}),
    "no kind": lambda: frame({}),
    "more samples than may be": lambda: _sound(HUGE),
    "fewer than none": lambda: _sound(-1),
    "no samples at all": lambda: _sound(0),
    "samples of a part too many": lambda: _sound(1, part=1, samples=bytes(4)),
    "samples of no part": lambda: _sound(1, part="0", samples=bytes(4)),
    "no numbers": lambda: _sound(2, samples=np.array([0.0, np.nan], np.float32).tobytes()),
    "infinite samples": lambda: _sound(2, samples=np.array([0.0, -np.inf], np.float32).tobytes()),
    "a class that no task raises": lambda: _error(**{"class": "StoreUnavailableError"}),
    "a class that is no error": lambda: _error(**{"class": "int"}),
    "a sentence without end": lambda: _error(message="x" * 10_000),
    "extra without end": lambda: _error(extra={"x": "y" * 20_000}),
    "an error with a status": lambda: _error(extra={"status": 200}),
    "progress backwards": lambda: frame({"kind": "progress", "stage": "x", "done": 2, "total": 1}),
    "progress in words": lambda: frame({"kind": "progress", "stage": "x", "done": "a", "total": 1}),
    "progress without end": lambda: 20_001 * frame({"kind": "progress", "stage": "x", "done": 0, "total": 1}),
    "a stage without end": lambda: frame({"kind": "progress", "stage": "x" * 99, "done": 0, "total": 1}),
}

# What looks like a result and cannot be one, for those who ask for it.
NONSENSE: dict[str, object] = {
    "nothing": None,
    "a list": [1, 2],
    "an unknown format": {"format": "exe", "duration_s": 1.0, "sample_rate_hz": 8000, "channels": 1},
    "a length in words": {"format": "wav", "duration_s": "1", "sample_rate_hz": 8000, "channels": 1},
    "no length": {"format": "wav", "duration_s": 0.0, "sample_rate_hz": 8000, "channels": 1},
    "an endless length": json.loads('{"format": "wav", "duration_s": Infinity}'),
    "half a channel": {"format": "wav", "duration_s": 1.0, "sample_rate_hz": 8000, "channels": 0.5},
    "no rate": {"format": "wav", "duration_s": 1.0, "sample_rate_hz": 0, "channels": 1},
}

TASKS: dict[str, Task] = {
    "segfault": _segfault,
    "abort": _abort,
    "leave": _leave,
    "die of a nameless signal": _die_of_a_nameless_signal,
    "eat memory": _eat_memory,
    "eat time": _eat_time,
    "sleep": _sleep,
    "report on": _report_on,
    "look around": _look_around,
    "raise": _raise,
    "fault": _fault,
    **{name: _says(said()) for name, said in GARBLED.items()},
}

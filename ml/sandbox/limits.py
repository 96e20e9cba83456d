"""What a child may use, and how it binds itself to that before it sees the recording.

Conventions: memory is address space in bytes, everything mapped included; computing time is that of the
child alone, by the kernel's count; the wall clock is the asking side's to watch. What a system cannot bound
(macOS knows no limit of address space) is left to the others.
"""

import ctypes
import math
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass

from ml.media import MediaLimits

# A child has its conversation and the three standard streams; a SoundFont and a library or two may be opened.
MAX_OPEN_FILES = 32
# Large arrays lie in few pages, in huge ones where they are to be had; blocks of up to 32 MB are kept.
LARGE_PAGES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
# Between the signal that says that time is up and the one that nothing survives.
CPU_SLACK_S = 1
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38

# Loaded before the fork: afterwards there may be no memory for it.
_LIBC = ctypes.CDLL(None, use_errno=True)

# What a child has mapped before it does anything, and a SoundFont of the size that all of General MIDI takes.
_BASE_BYTES = 400_000_000
# An upload may be held as it came, without its tags, as bare samples, and as what the decoder reads from.
_COPIES_OF_UPLOAD = 4
# Its sound is held in pieces and whole.
_COPIES_OF_SOUND = 2
_SAMPLE_BYTES = 4
_RATE_HZ = 48_000  # no model listens to more


@dataclass(frozen=True)
class SandboxLimits:
    """The bounds of one call.

    Attributes
    ----------
    memory_bytes : int
        Address space.
    cpu_s : float
        Computing time, rounded up to whole seconds.
    wall_s : float
        From the call to its answer, the wait for a free place included.
    """

    memory_bytes: int
    cpu_s: float
    wall_s: float


def memory_needed(limits: MediaLimits) -> int:
    """How much memory a child needs for the largest upload within the limits, in bytes."""
    sound_bytes = math.ceil(limits.max_duration_s * _RATE_HZ) * _SAMPLE_BYTES
    return _BASE_BYTES + _COPIES_OF_UPLOAD * limits.max_bytes + _COPIES_OF_SOUND * sound_bytes


def confine(limits: SandboxLimits) -> None:
    """Bind this process for good: memory, time, no core dumps, no files written, few opened."""
    cpu_s = max(1, math.ceil(limits.cpu_s))
    wanted = [
        (resource.RLIMIT_CPU, cpu_s, cpu_s + CPU_SLACK_S),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES),
    ]
    for kind, soft, hard in wanted:
        _lower(kind, soft, hard)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes)
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    else:
        with suppress(ValueError, OSError):
            _lower(resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes)


def give_back_free_memory() -> None:
    """Leave nothing to children that they would have to copy before they could use it; glibc's alone can."""
    with suppress(AttributeError):
        _LIBC.malloc_trim(0)


def die_with(parent_pid: int) -> None:
    """Be killed as soon as the parent is gone, and go at once if it is gone already."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def _lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, as far as whoever started us has not set a lower one."""
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))

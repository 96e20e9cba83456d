"""Memory of a process that stays: large blocks go back to the system, and what was imported is left alone.

Conventions: glibc keeps blocks of up to 32 MB for later once it has seen such, in an arena for each thread.
So a process that handles recordings in threads grows to many times what it holds: uploads of 25 MB left an
API of 95 MiB at 490 MiB, and with this at 110 MiB. With a fixed threshold every large block is the system's
own and goes back when it is freed.

Imports make objects by the hundred thousand, which stay, so the garbage collector rests meanwhile and passes
them over ever after: that is a sixth of a start, and what a fork shares is not copied by the child's first
collection.
"""

import ctypes
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ml.sandbox.limits import LARGE_PAGES

log = logging.getLogger(__name__)

LARGE_BYTES = 2**20

# What a worker's environment has to say before it starts, so that large arrays lie in few pages and their
# room is kept for the next job: faulted in page by page, they take a seventh of a short recording's time.
# Blocks of up to 32 MB, as the sound of minutes takes, are kept, as much as 64 MB of them.
HUGE_PAGES = {"GLIBC_TUNABLES": f"{LARGE_PAGES}:glibc.malloc.trim_threshold=67108864"}
# What each thread may keep of smaller ones: a short recording comes and goes in the same room.
KEPT_BYTES = 4 * LARGE_BYTES
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>


def return_large_blocks() -> bool:
    """Makes the allocator do so, for the whole process; false where it is not glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        log.debug("this machine's allocator is left as it is")
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))


@contextmanager
def made_to_stay() -> Iterator[None]:
    """What is made meanwhile, and whatever there was before, is no longer looked through for garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:  # else whoever disabled it does this, once for everything
            gc.collect()  # or garbage would stay for good, too
            gc.freeze()
            gc.enable()

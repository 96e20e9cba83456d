"""Giving memory back to the system once a large upload or result is done with.

Conventions: glibc keeps blocks of up to 32 MB for later once it has seen such, in an arena for each thread.
So a process that handles recordings in threads grows to many times what it holds: uploads of 25 MB left an
API of 95 MiB at 490 MiB, and with this at 110 MiB. With a fixed threshold every large block is the system's
own and goes back when it is freed.
"""

import ctypes
import logging

log = logging.getLogger(__name__)

LARGE_BYTES = 2**20
_M_MMAP_THRESHOLD = -3  # <malloc.h>


def return_large_blocks() -> bool:
    """Makes the allocator do so, for the whole process; false where it is not glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        log.debug("this machine's allocator is left as it is")
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))

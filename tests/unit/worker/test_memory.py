"""Memory that is given back."""

import gc
import platform
import subprocess
import sys
import weakref

import pytest

from worker.memory import made_to_stay

GROWTH = """
import threading
from pathlib import Path
from worker.memory import return_large_blocks

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():
    for size in (30_000_000, 20_000_000, 25_000_000):
        kept = bytearray(size)
        small = [bytes(600) for _ in range(1000)]
        del kept

assert return_large_blocks()
before = resident()
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc's allocator")
def test_large_blocks_go_back() -> None:
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000_000  # 270,000,000 without


def garbage() -> "weakref.ref[object]":
    """What nobody holds but itself."""

    class Circle:
        def __init__(self) -> None:
            self.itself = self

    return weakref.ref(Circle())


def test_the_collector_rests_while_things_are_made_to_stay_and_leaves_them_alone() -> None:
    before = gc.get_freeze_count()
    try:
        with made_to_stay():
            assert not gc.isenabled()
            gone = garbage()
            with made_to_stay():
                kept = [[] for _ in range(1_000)]  # type: ignore[var-annotated]
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(kept)
        assert gone() is None, "garbage was made to stay"
    finally:
        gc.unfreeze()

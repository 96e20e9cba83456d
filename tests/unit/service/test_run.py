"""What the API's process is given before it answers."""

import subprocess
import sys

import pytest


def limits_after(soft: int, hard: int, n_connections: int) -> tuple[list[int], str]:
    """What a process with these limits has made of them, and what it has logged."""
    code = f"""
import logging, resource
logging.basicConfig(format="%(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from service.run import make_room_for
make_room_for({n_connections})
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()], done.stderr


@pytest.mark.parametrize(
    ("soft", "hard", "n_connections", "limit", "warned"),
    [
        (256, 4096, 1000, 1512, False),
        (4096, 4096, 1000, 4096, False),
        (256, 1024, 1000, 1024, True),
    ],
)
def test_room_for_connections(soft: int, hard: int, n_connections: int, limit: int, warned: bool) -> None:
    limits, said = limits_after(soft, hard, n_connections)
    assert limits == [limit, hard]
    assert ("too few open files" in said) is warned

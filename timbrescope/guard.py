"""The guard: a small process that ends what a launcher started, should the launcher itself be
killed.

    python -m timbrescope.guard

It reads process groups from its standard input, a line each: `+123` to watch over group 123, `-123`
to forget it. The launcher holds the other end of that pipe; its end closes when the launcher dies,
whatever killed it. Groups that are still watched over then are told to stop, and killed when they
do not. A launcher that stops in order forgets its groups first, so that nothing is left to do. This
works where PR_SET_PDEATHSIG does not: on macOS, and for the grandchildren (a Celery worker's pool).
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_S = 5.0
"""Time between asking to stop and killing; redis-server flushes its append-only file well within it."""


def follow(lines: Iterable[str]) -> set[int]:
    """The groups that are watched over when the lines end."""
    groups: set[int] = set()
    for line in lines:
        sign, group = line[0], int(line[1:])
        if sign == "+":
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def end_groups(groups: Iterable[int], grace_s: float = GRACE_S) -> None:
    """Stop all processes of the groups: SIGTERM, and SIGKILL for what is left after `grace_s`."""
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group (0 only looks); whether there was anyone to get it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says "permission" for a group of zombies
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    end_groups(follow(sys.stdin))

"""`python -m tests.reliability.looks URL`: asks for URL until its input ends; the times as JSON.

A process of its own, so that what keeps the test's client busy is not taken for the service's time.
"""

import json
import sys
import threading
import time

import httpx

PAUSE_S = 0.02


def main(url: str) -> None:
    """Prints how long each answer took, in seconds."""
    is_over = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    took_s: list[float] = []
    with httpx.Client(timeout=120.0) as client:
        while not is_over.wait(PAUSE_S):
            began_at = time.perf_counter()
            client.get(url).raise_for_status()
            took_s.append(time.perf_counter() - began_at)
    print(json.dumps(took_s))


if __name__ == "__main__":
    main(sys.argv[1])

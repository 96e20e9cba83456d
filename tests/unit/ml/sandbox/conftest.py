"""Sandboxes for the tests, ended after them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ml.sandbox import Sandbox, SandboxLimits, sound

LIMITS = SandboxLimits(memory_bytes=1_000_000_000, cpu_s=20, wall_s=60)

OpenSandbox = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def open_sandbox() -> Iterator[OpenSandbox]:
    """Opens sandboxes of tasks and limits of the test's choice."""
    with ExitStack() as stack:

        def opened(
            tasks_module: str = sound.TASKS_MODULE, *, limits: SandboxLimits = LIMITS, most_at_once: int = 4
        ) -> Sandbox:
            sandbox = Sandbox(tasks_module, limits, most_at_once=most_at_once)
            stack.callback(sandbox.close)
            return sandbox

        yield opened


@pytest.fixture(scope="session")
def sandbox(open_sandbox: OpenSandbox) -> Sandbox:
    """A sandbox of everything that can be made of a recording."""
    return open_sandbox()

"""What the reliability tests share: how large they are, their seed, and where a full run's figures go.

They come in two sizes: a short form, which is part of all tests, and a full one (`--full`, or
`make test-reliability`), which does what the table in the README says and keeps its figures.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.integration.processes import Stack
from tests.reliability.chaos import ADMIN_KEY, Service, running_service
from tests.reliability.report import Report

FULL_TIMEOUT_S = 3_600.0
MAX_QUEUED = 200
_LOG_TAIL = 8_000
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Size:
    """How much a test is to do."""

    is_full: bool

    def of(self, short: int, full: int) -> int:
        """A number for this size."""
        return full if self.is_full else short

    def require_full(self) -> None:
        """Skips the rest of a test that the short form does without."""
        if not self.is_full:
            pytest.skip("part of the full form only")


@pytest.fixture(scope="session")
def size(pytestconfig: pytest.Config) -> Size:
    """The size that was asked for."""
    return Size(bool(pytestconfig.getoption("full")))


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of whatever is random."""
    chosen: int = pytestconfig.getoption("seed")
    return chosen


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """A service for all tests that kill, flood, cut off and restart it: two workers of one process each."""
    with running_service(
        n_workers=2,
        is_proxied=True,
        TIMBRESCOPE_MAX_QUEUED_INTERACTIVE=str(MAX_QUEUED),
        TIMBRESCOPE_ADMIN_KEY=ADMIN_KEY,
    ) as started:
        yield started


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of it."""
    service.wait_until_ready(2)
    with service.client() as opened:
        yield opened


@pytest.fixture
def report(size: Size, seed: int) -> Report:
    """Keeps the figures of a full run; it counts the time from the test's start on."""
    return Report(size.is_full, seed)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A full run may take its time."""
    if config.getoption("full"):
        for item in items:
            if _HERE in item.path.parents:
                item.add_marker(pytest.mark.timeout(FULL_TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the logs of a failed test's processes to its report."""
    report = yield
    used = getattr(item, "funcargs", {}).values()
    if report.failed:
        shared = [
            process for value in used if isinstance(value, Stack) for process in (value.worker, value.api)
        ]
        own = [process for value in used if isinstance(value, Service) for process in value.all_processes()]
        for process in (*shared, *own):
            report.sections.append((f"{process.name} log", process.text()[-_LOG_TAIL:]))
    return report

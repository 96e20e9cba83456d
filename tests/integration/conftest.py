"""One whole service for all integration tests: a real Redis, a real worker with its pool, a real API.

`stack` lasts for the session and is shared, so a test leaves it able to work; one that kills things
starts its own with `processes.running_stack`. When a test that used it fails, the last of its processes'
logs is shown.
"""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest

from ml.checkpoint import CARD_NAME, SHIPPED_MODELS
from ml.concepts.atlas import ATLAS_NAME, atlas_bytes
from tests.integration.making import KEY
from tests.integration.processes import Stack, running_stack
from tests.unit.worker.atlas_made import small_atlas

_LOG_TAIL = 8_000


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The shared service, ready to work."""
    folder = Path(tempfile.mkdtemp(prefix="ts-stack-"))
    settings = {
        "TIMBRESCOPE_ADMIN_KEY": KEY,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_MODELS_DIR": str(_models(folder / "models")),
    }
    with running_stack(folder, TIMBRESCOPE_CONCURRENCY="2", **settings) as started:
        yield started
    shutil.rmtree(folder)


def _models(folder: Path) -> Path:
    """The shipped models, of which the default one has a small atlas and the others have none.

    The atlas that is shipped is there for who makes screenshots alone.
    """
    if os.environ.get("SCREENSHOTS"):
        folder.symlink_to(SHIPPED_MODELS)
        return folder
    for card in SHIPPED_MODELS.glob(f"*/{CARD_NAME}"):
        (folder / card.parent.name).mkdir(parents=True)
        for file in card.parent.iterdir():
            if file.name != ATLAS_NAME:
                (folder / card.parent.name / file.name).symlink_to(file)
    (folder / "default" / ATLAS_NAME).write_bytes(atlas_bytes(small_atlas(n_channels=256)))
    return folder


@pytest.fixture
def client(stack: Stack) -> httpx.Client:
    """A client of the shared service."""
    return stack.client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the logs of a failed test's processes to its report."""
    report = yield
    used = getattr(item, "funcargs", {}).values()
    if report.failed:
        for stack in (value for value in used if isinstance(value, Stack)):
            for process in (stack.worker, stack.api):
                report.sections.append((f"{process.name} log", process.text()[-_LOG_TAIL:]))
    return report

"""How a worker's pool begins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker import pool
from worker.application import worker_app
from worker.settings import WorkerSettings

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@linux
@pytest.mark.parametrize(
    ("device", "has_gpu", "method"),
    [
        ("cpu", False, "fork"),
        ("cpu", True, "fork"),
        ("auto", False, "fork"),
        ("auto", True, "spawn"),
        ("cuda", False, "spawn"),
    ],
)
def test_what_may_compute_on_a_gpu_is_not_forked(
    device: str, has_gpu: bool, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidiactl"
    if has_gpu:
        driver.touch()
    monkeypatch.setattr(pool, "GPU_FILES", (driver,))
    settings = WorkerSettings.model_validate({"device": device})
    assert pool.start_method(settings) == method
    assert worker_app(settings).conf.worker_pool_start_method == method


@linux
def test_who_is_forked_from_has_imported_what_computes_and_has_one_thread() -> None:
    program = (
        "import os, sys, worker.run; worker.run.limit_threads(1); import worker.tasks; "
        "from worker.pool import make_ready_to_fork; make_ready_to_fork(); "
        "print('torch' in sys.modules, 'worker.work' in sys.modules, len(os.listdir('/proc/self/task')))"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")},
    )
    assert found.stdout.split() == ["True", "True", "1"]

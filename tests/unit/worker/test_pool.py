"""How a worker's pool begins."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
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
def test_who_is_forked_from_has_tried_out_what_computes_and_has_one_thread() -> None:
    program = (
        "import os, sys, worker.run; worker.run.limit_threads(1); import worker.tasks; "
        "from worker.pool import make_ready_to_fork; from worker.settings import WorkerSettings; "
        "make_ready_to_fork(WorkerSettings()); "
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


@linux
def test_what_is_forked_from_a_parent_that_has_computed_computes_the_same() -> None:
    program = (
        "import os, sys, worker.run; worker.run.limit_threads(1); "
        "from worker.pool import make_ready_to_fork; from worker.settings import WorkerSettings; "
        "settings = WorkerSettings(device='cpu'); make_ready_to_fork(settings)\n"
        "import numpy as np, torch; from ml.classification import listen; from ml.model import load_model\n"
        "from ml.recording import Recording\n"
        "def hear():\n"
        "    torch.set_num_threads(int(sys.argv[1]))\n"
        "    model = load_model(settings.models_dir / 'default')\n"
        "    noise = np.random.default_rng(1).normal(0.0, 0.1, model.sample_rate_hz).astype(np.float32)\n"
        "    print(listen(model, Recording(noise, model.sample_rate_hz)).inputs.sum(),\n"
        "          *model.logits(listen(model, Recording(noise, model.sample_rate_hz)).inputs).ravel(),\n"
        "          flush=True)\n"
        "for _ in range(2):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        hear(); os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "hear()\n"
    )
    for threads in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, threads],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        first, second, parents = (np.array(line.split(), float) for line in found.stdout.splitlines())
        np.testing.assert_allclose(first, parents, rtol=1e-5)
        np.testing.assert_allclose(second, parents, rtol=1e-5)


def test_what_is_compiled_is_kept_with_the_state_where_the_code_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []
    monkeypatch.setattr("ml.relevance.compiled.keep_elsewhere", told.append)
    pool.keep_compiled(WorkerSettings(state_dir=tmp_path))
    assert told == [tmp_path / "compiled"]


@pytest.fixture
def tried_out(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    fresh = threading.Event()
    monkeypatch.setattr(pool, "_tried_out", fresh)
    return fresh


@linux
def test_only_what_its_parent_has_not_done_is_tried_out_again(tried_out: threading.Event) -> None:
    assert pool.needs_warm_up(WorkerSettings(threads=1))
    tried_out.set()
    assert not pool.needs_warm_up(WorkerSettings(threads=1))
    assert pool.needs_warm_up(WorkerSettings(threads=2))


FAILING = """
import os
import ml.model, worker.run
worker.run.limit_threads(1)
import worker.tasks as tasks
from celery.signals import celeryd_after_setup, worker_process_init
from worker import pool, work
from worker.settings import WorkerSettings

class Here:
    class Host:
        default = None
        def remember_published(self): pass
    class Told:
        def __init__(self, name): self.name = name
        def start(self): print(self.name, "started")
    host, presence, reaper = Host(), Told("presence"), Told("reaper")

def fail(model):
    raise RuntimeError("no kernel")

tasks.worker_settings = lambda: WorkerSettings(device="cpu", threads=1)
tasks.workplace = Here
well, work.warm_up = work.warm_up, fail
celeryd_after_setup.send(sender="worker", instance=None)
print("fails:", pool.needs_warm_up(tasks.worker_settings()))
worker_process_init.send(sender=None)
work.warm_up = lambda model: None
celeryd_after_setup.send(sender="worker", instance=None)
print("works:", pool.needs_warm_up(tasks.worker_settings()))
worker_process_init.send(sender=None)
"""


@linux
def test_a_process_whose_parent_failed_tries_out_itself_and_is_not_ready_if_that_fails() -> None:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FAILING],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        "fails: True",
        "works: False",
        "presence started",
        "reaper started",
    ]
    assert found.stderr.count("no kernel") >= 2  # in the parent's log and in the process'

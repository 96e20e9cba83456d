"""Data sets and models in a store that all machines reach, and on a disk that is full."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration import sounds
from tests.integration.making import KEY, OTHER_INSTRUMENTS, Document, operating, tree
from tests.integration.processes import Process, Stack, running_stack, start, wait_until

BUCKET = "timbrescope-tests"
FULL_AT_BYTES = 300_000
"""Less than a shard's log-mels take, more than a worker logs."""

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc"),
]

SMALL: Document = {"name": "small", "n_clips": 220, "clip_duration_s": 1.0, "seed": 21}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    made = Path(tempfile.mkdtemp(prefix="ts-places-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """An S3 server of this machine with an empty bucket: the environment in which it is found."""
    program = "import sys; from moto.server import main; main(sys.argv[1:])"
    log = folder / "s3.log"
    server: Process = start("s3", [sys.executable, "-W", "ignore", "-c", program, "-p", "0"], folder, {})
    try:
        wait_until(lambda: "Running on http://" in server.text(), 60.0, "the S3 server")
        url = log.read_text().partition("Running on ")[2].split()[0]
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "an-id",
            "AWS_SECRET_ACCESS_KEY": "a-very-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        httpx.put(f"{url}/{BUCKET}").raise_for_status()  # makes the bucket
        yield environment
    finally:
        server.kill()


@pytest.fixture(scope="module")
def stack(folder: Path, object_store: dict[str, str]) -> Iterator[Stack]:
    """A service whose data sets may lie here or in the store, and whose models lie in the store."""
    settings = {
        **object_store,
        "TIMBRESCOPE_ADMIN_KEY": KEY,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_CACHE_DIR": str(folder / "cache"),
        "TIMBRESCOPE_DATASET_ROOTS": f'["s3://{BUCKET}/sets", "{folder}/sets"]',
        "TIMBRESCOPE_MODELS_URL": f"s3://{BUCKET}/models",
    }
    with running_stack(folder, TIMBRESCOPE_CONCURRENCY="1", **settings) as started:
        yield started
        assert object_store["AWS_SECRET_ACCESS_KEY"] not in started.worker.text() + started.api.text()


def test_data_set_and_model_in_an_object_store(stack: Stack) -> None:
    with operating(stack.url) as operator:
        made = operator.wait_for_end(operator.order(OTHER_INSTRUMENTS, audio=False))
        assert made["result"]["url"] == f"s3://{BUCKET}/sets/others"
        trained = operator.wait_for_end(operator.train(made["id"], "others", config={"n_epochs": 1}))
        answer = httpx.post(
            f"{stack.url}/classify",
            files={"file": ("x", sounds.audio_file(sounds.tone(1.0)))},
            data={"model": "others"},
            headers={"Prefer": "wait=30"},
            timeout=60.0,
        )
        assert answer.json()["model"] == trained["result"]["trained"]
        here = operator.wait_for_end(
            operator.order(OTHER_INSTRUMENTS, audio=False, url=f"{stack.folder}/sets/others")
        )
        assert here["result"]["digest"] == made["result"]["digest"]


def test_a_full_disk_stops_the_job_and_keeps_what_is_finished(stack: Stack, tmp_path: Path) -> None:
    with operating(stack.url) as operator:
        job = operator.wait_for_clips(operator.order(SMALL, url=f"{stack.folder}/sets/full"), 80)
        (process,) = stack.worker.children()
        before = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (FULL_AT_BYTES, before[1]))
        failed = operator.wait_for_end(job, "failed")
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
        assert failed["error"]["type"] == "/problems/storage"
        assert failed["error"]["status"] == 507
        assert "the disk is full" in failed["error"]["detail"]
        kept = tree(Path(job["order"]["url"]))
        assert any(name.endswith(".npy") for name in kept)
        assert "manifest.json" not in kept
        again = operator.wait_for_end(operator.order(SMALL, url=job["order"]["url"]))
        made = tree(Path(again["result"]["url"]))
        assert kept.items() <= made.items()
    assert made == tree(by_the_command_line(tmp_path))


def by_the_command_line(folder: Path) -> Path:
    """The same data set, made by one process that nothing disturbs."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(str(SMALL))  # a mapping of plain values is YAML as it stands
    command = [sys.executable, "-m", "timbrescope", "dataset", str(recipe), "--out", str(folder / "set")]
    subprocess.run([*command, "--jobs", "1"], check=True, capture_output=True, env=os.environ)
    return folder / "set"

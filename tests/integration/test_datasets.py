"""Data sets over HTTP: the same bytes, whoever made them and whoever died meanwhile; resumed, refused."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import httpx
import pytest
import yaml
from redis import Redis

from tests.integration import sounds
from tests.integration.making import KEY, Document, Operator, operating, tree
from tests.integration.processes import START_S, Process, Stack, running_stack, start_worker, wait_until

SCALED: Document = {"name": "scaled", "n_clips": 300, "clip_duration_s": 1.0, "seed": 11}

# A lease lapses after 10 s, the reaper looks every 2 s: that long at most until work of the dead goes on.
REAPED_S = 15.0

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc"),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A service of its own, with a worker of one process."""
    folder = Path(tempfile.mkdtemp(prefix="ts-sets-"))
    (folder / "banks").mkdir()
    (folder / "banks" / "NotABank.sf2").write_text("words, and no sound")
    settings = {
        "TIMBRESCOPE_ADMIN_KEY": KEY,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_SOUNDFONT_PATH": os.pathsep.join(
            [str(folder / "banks"), os.environ.get("TIMBRESCOPE_SOUNDFONT_PATH", "")]
        ),
    }
    with running_stack(folder, TIMBRESCOPE_CONCURRENCY="1", **settings) as started:
        yield started
    shutil.rmtree(folder)


@pytest.fixture
def operator(stack: Stack) -> Iterator[Operator]:
    """Somebody with the admin key."""
    with operating(stack.url) as found:
        yield found


@pytest.fixture
def second_worker(stack: Stack) -> Iterator[Process]:
    """Another worker, ready to work."""
    with ExitStack() as cleanup, Redis.from_url(stack.redis_url) as redis:
        worker = start_worker(stack.folder, stack.settings, "second-worker")
        cleanup.callback(worker.kill)
        wait_until(lambda: len(redis.keys("ts:worker:*")) == 2, START_S, "a second worker", every_s=0.5)
        yield worker


def from_the_command_line(recipe: Document, folder: Path, *options: str) -> Path:
    """The data set as one process makes it."""
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "timbrescope", "dataset", str(path), "--out", str(folder / "set")]
    subprocess.run([*command, "--jobs", "1", *options], check=True, capture_output=True, env=os.environ)
    return folder / "set"


def test_with_one_of_two_workers_killed_it_is_the_one_of_the_command_line(
    stack: Stack, operator: Operator, second_worker: Process, tmp_path: Path
) -> None:
    made = made_with_a_worker_killed(SCALED, stack, operator, second_worker, stems=True)
    compare_with_the_command_line(SCALED, made, operator, tmp_path, "--stems")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_clips_of_the_protocol_with_one_of_two_workers_killed(
    stack: Stack, operator: Operator, second_worker: Process, tmp_path: Path
) -> None:
    recipe = yaml.safe_load(Path("recipes/protocol.yaml").read_text()) | {"n_clips": 1_000}
    made = made_with_a_worker_killed(recipe, stack, operator, second_worker)
    compare_with_the_command_line(recipe, made, operator, tmp_path)


def made_with_a_worker_killed(
    recipe: Document, stack: Stack, operator: Operator, victim: Process, **fields: bool
) -> Document:
    """The ended job of a data set, during which a worker was killed while it was at a shard."""
    job = operator.order(recipe, **fields)
    operator.wait_for_clips(job, recipe["n_clips"] // 4)
    with Redis.from_url(stack.redis_url) as redis:
        wait_until(lambda: len(held_units(redis)) == 2, REAPED_S, "both workers at work", every_s=0.01)
        victim.kill()
        last_begun = re.findall(r"unit=(\S+)", victim.text())[-1]
        unit = f"{job['id']}/{last_begun}"
        holder = held_units(redis).get(unit)
        wait_until(
            lambda: holder is None or held_units(redis).get(unit) != holder,
            REAPED_S,
            "an end of the dead one's lease",
        )
    return operator.wait_for_end(job)


def compare_with_the_command_line(
    recipe: Document, made: Document, operator: Operator, folder: Path, *options: str
) -> None:
    """Asserts that one process makes the same files, and that the job tells of these."""
    by_hand = from_the_command_line(recipe, folder, *options)
    assert tree(Path(made["result"]["url"])) == tree(by_hand)
    n_clips, manifest = recipe["n_clips"], json.loads((by_hand / "manifest.json").read_text())
    progress = {"stage": "rendering", "done": n_clips, "total": n_clips}
    assert made["progress"] == {**made["progress"], **progress}
    assert made["result"]["digest"] == manifest["digest"]
    assert made["result"]["labels"] == manifest["labels"]
    assert (made["result"]["n_clips"], made["result"]["n_shards"]) == (n_clips, len(manifest["shards"]))
    assert operator.client.get(made["result"]["manifest"]).json() == manifest


def held_units(redis: "Redis") -> dict[str, str]:
    """Who is at which unit of whatever job."""
    holders = cast(dict[bytes, bytes], redis.hgetall("ts:lease-holders"))
    return {name.decode(): holder.decode() for name, holder in holders.items() if b"/" in name}


def test_cancelled_it_keeps_what_is_finished_and_goes_on_from_there(
    stack: Stack, operator: Operator, tmp_path: Path
) -> None:
    recipe = {**SCALED, "name": "resumed", "n_clips": 250, "seed": 12}
    job = operator.wait_for_clips(operator.order(recipe), 100)
    place = Path(job["order"]["url"])
    started = time.monotonic()
    assert operator.cancel(job).json()["status"] == "cancelled"
    wait_until(lambda: no_unit_is_held(stack), 5.0, "an end of the work")
    assert time.monotonic() - started < 5.0
    kept = tree(place)
    assert "manifest.json" not in kept
    assert any(name.endswith(".npy") for name in kept)
    time.sleep(1.0)
    assert tree(place) == kept
    again = operator.wait_for_end(operator.order(recipe))
    assert again["id"] != job["id"]
    made = tree(place)
    assert kept.items() <= made.items()
    assert made == tree(from_the_command_line(recipe, tmp_path))
    states = progress_of(operator, again)
    first = next(state["done"] for state in states if state["stage"] == "rendering")
    assert first >= 100
    done = [state["done"] for state in states if state["stage"] == "rendering"]
    assert done == sorted(done)


def test_pace_and_time_left_are_told(operator: Operator) -> None:
    job = operator.wait_for_end(operator.order({**SCALED, "name": "paced", "n_clips": 220, "seed": 13}))
    paced = [state for state in progress_of(operator, job) if "per_second" in state]
    assert paced
    assert all(state["per_second"] > 0 for state in paced)
    left = [state["left_s"] for state in paced if "left_s" in state]
    assert left
    assert min(left) >= 0


def test_a_data_set_of_another_recipe_is_not_touched(operator: Operator) -> None:
    recipe = {**SCALED, "name": "taken", "n_clips": 10}
    made = operator.wait_for_end(operator.order(recipe))
    before = tree(Path(made["result"]["url"]))
    body = {"recipe": {**recipe, "seed": 99}}
    answer = operator.client.post("/datasets", json=body, headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/dataset-conflict")
    answer = operator.client.post(
        "/datasets", json={"recipe": recipe, "stems": True}, headers={"Prefer": "wait=30"}
    )
    assert answer.status_code == 409
    assert tree(Path(made["result"]["url"])) == before
    again = operator.wait_for_end(operator.order(recipe))
    assert again["result"]["digest"] == made["result"]["digest"]


ODD_INSTRUMENT = {"name": "Nothing", "program": 0, "bank": 99, "pitch_range": [60, 72]}
UNKNOWN_WORKS = {"source": "phrases", "corpus": "music21", "works": "nobody"}


@pytest.mark.parametrize(
    ("change", "kind", "fault"),
    [
        ({"soundfonts": ["NoSuchBank"]}, (503, "missing-soundfont"), ("recipe.soundfonts.0", "NoSuchBank")),
        (
            {"instruments": [ODD_INSTRUMENT], "instruments_per_clip": [1]},
            (422, "invalid-recipe"),
            ("recipe.soundfonts.0", "no preset 99:0, which plays Nothing"),
        ),
        (
            {"soundfonts": ["NotABank"]},
            (422, "invalid-recipe"),
            ("recipe.soundfonts.0", "is not a SoundFont"),
        ),
        ({"melody": [{}, UNKNOWN_WORKS]}, (422, "melody-source"), ("recipe.melody.1.works", "'nobody'")),
    ],
    ids=["missing bank", "missing preset", "no soundfont", "unknown works"],
)
def test_what_only_a_worker_knows_fails_the_job_before_anything_is_rendered(
    operator: Operator, stack: Stack, change: Document, kind: tuple[int, str], fault: tuple[str, str]
) -> None:
    recipe = {**SCALED, "name": "refused", **change}
    answer = operator.client.post("/datasets", json={"recipe": recipe}, headers={"Prefer": "wait=60"})
    problem, (status, code), (field, named) = answer.json(), kind, fault
    assert (answer.status_code, problem["status"], problem["type"]) == (status, status, f"/problems/{code}")
    (told,) = problem["errors"]
    assert told.keys() == {"field", "message"}
    assert told["field"] == field
    assert named in told["message"]
    assert named in problem["detail"]
    assert not (Path(stack.settings["TIMBRESCOPE_STATE_DIR"]) / "datasets" / recipe["name"]).exists()


def test_a_plan_that_reads_scores_tells_of_them(operator: Operator) -> None:
    melody = {"source": "phrases", "corpus": "music21", "works": "bach/bwv1", "max_files": 4}
    recipe = {**SCALED, "name": "scores", "n_clips": 20, "melody": melody}
    job = operator.wait_for_end(operator.order(recipe))
    told = [state for state in progress_of(operator, job) if state["stage"] == "planning"]
    assert {(state["done"], state["total"]) for state in told} >= {(4, 4), (20, 20)}


def test_a_link_that_appears_later_is_not_followed(stack: Stack, operator: Operator, tmp_path: Path) -> None:
    root = Path(stack.settings["TIMBRESCOPE_STATE_DIR"]) / "datasets"
    root.mkdir(parents=True, exist_ok=True)
    (root / "linked").symlink_to(tmp_path)
    answer = operator.client.post("/datasets", json={"recipe": SCALED, "name": "linked"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")
    assert list(tmp_path.iterdir()) == []


def test_a_person_waits_for_one_shard_at_most(operator: Operator, stack: Stack) -> None:
    job = operator.wait_for_clips(operator.order({**SCALED, "name": "busy", "n_clips": 900, "seed": 14}), 100)
    wav = sounds.audio_file(sounds.tone(1.0))
    for _ in range(3):
        answer = httpx.post(
            f"{stack.url}/classify",
            files={"file": ("x", wav)},
            headers={"Prefer": "wait=30", "Cache-Control": "no-cache"},
            timeout=60.0,
        )
        assert answer.status_code == 200
    waited_for = operator.job(job)
    assert waited_for["status"] == "running"
    assert waited_for["progress"]["done"] < 900
    operator.cancel(job)


def test_a_worker_that_is_stopped_gives_its_shard_back(stack: Stack, operator: Operator) -> None:
    job = operator.wait_for_clips(operator.order({**SCALED, "name": "given-back", "seed": 15}), 100)
    stack.worker.stop(signal.SIGQUIT)
    stack.worker = start_worker(stack.folder, stack.settings)
    stack.wait_until_ready()
    assert operator.wait_for_end(job)["progress"]["done"] == 300


def no_unit_is_held(stack: Stack) -> bool:
    with Redis.from_url(stack.redis_url) as redis:
        return not held_units(redis)


def progress_of(operator: Operator, job: Document) -> list[Document]:
    """The progress that the job's events told."""
    text = operator.client.get(job["links"]["events"]).text
    return [json.loads(line[6:])["progress"] for line in text.splitlines() if line.startswith("data: ")]

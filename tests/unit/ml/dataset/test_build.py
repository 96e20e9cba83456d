"""Data sets: the same bytes on any number of processes and after any interruption."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import resource
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ml.dataset import plan as plan_module
from ml.dataset.build import (
    DatasetConflictError,
    IncompleteDatasetError,
    SoundFontMismatchError,
    VersionMismatchError,
    build_dataset,
    build_shard,
    finish_dataset,
    finished_shards,
    open_plan,
    plan_dataset,
)
from ml.dataset.manifest import InvalidDatasetError, Manifest, RecipeSource
from ml.dataset.plan import PlanningWatch
from ml.dataset.reader import SplitReader
from ml.dataset.sameness import bank_sha256
from ml.dataset.shards import CLIPS_PER_SHARD, ShardContent
from ml.dataset.storage import open_storage
from ml.errors import StorageError
from ml.melspec import MelConfig, level_db
from ml.synthesis.instantiate import ClipPlan, instantiate
from ml.synthesis.midi_file import clip_midi
from ml.synthesis.mix import render_clip
from ml.synthesis.recipe import InvalidRecipeError, Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import Bank, MissingSoundFontError, find_bank

RECIPE = Recipe(name="short", seed=1, n_clips=10, clip_duration_s=1.0, validation_share=0.3)
WITH_STEMS = ShardContent(audio=True, stems=True)
NOISE = {"noise": {"probability": 1.0, "below_mix_db": [20.0, 30.0]}}
PCM_16_STEP = 1.0 / 32_768
FLOAT16_DB = 0.05  # dB: rounding of levels below 128 dB to float16


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "set"
    build(folder)
    return folder


def build(folder: Path, recipe: Recipe = RECIPE, **options: Any) -> Manifest:
    return build_dataset(recipe, folder, content=WITH_STEMS, clips_per_shard=3, **options)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_two_processes_write_the_same_bytes_as_one(built: Path, tmp_path: Path) -> None:
    build(tmp_path / "set", n_jobs=2)
    assert contents(tmp_path / "set") == contents(built)


def test_an_interrupted_build_continues_to_the_same_bytes(built: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "set", on_progress=interrupt)
    kept = set(contents(tmp_path / "set"))
    assert "manifest.json" not in kept
    assert "train-00000.json" in kept
    with pytest.raises(InvalidDatasetError, match="no finished data set"):
        SplitReader(tmp_path / "set", "train")
    (tmp_path / "set" / "train-00000.npy").unlink()  # a shard that lost a file is made again
    reported: list[int] = []
    build(tmp_path / "set", on_progress=lambda done, total: reported.append(done))
    assert reported[0] > 0
    assert reported[-1] == 10
    assert contents(tmp_path / "set") == contents(built)


def test_the_manifest_says_what_is_there(built: Path) -> None:
    manifest = Manifest.read(built)
    assert isinstance(manifest.source, RecipeSource)
    assert manifest.source.recipe == RECIPE
    assert manifest.source.recipe_sha256 == RECIPE.digest
    assert manifest.labels == RECIPE.labels
    assert manifest.versions["libfluidsynth"].count(".") == 2
    files = contents(built)
    for record in manifest.shards:
        assert {name: files[name] for name in record.checksums} == record.checksums
    plans = list(instantiate(RECIPE))
    lines = [line for path in sorted(built.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert sorted(map(ClipPlan.from_json, lines), key=lambda plan: plan.clip_id) == plans
    for split in ("train", "validation"):
        of_split = [plan for plan in plans if plan.split == split]
        for name in RECIPE.labels:
            counted = sum(name in plan.labels for plan in of_split)
            assert manifest.occurrences.per_instrument[split][name] == counted
        assert sum(manifest.occurrences.per_n_instruments[split].values()) == len(of_split)
    assert manifest.digest == json.loads((built / "manifest.json").read_text())["digest"]


def test_clips_hold_sound_midi_plan_and_stems_that_sum_to_the_mix(built: Path) -> None:
    reader = SplitReader(built, "train")
    with tarfile.open(built / "train-00000.tar") as tar:
        members = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    for index, plan in enumerate(map(reader.plan, range(3))):
        mix, rate = soundfile.read(io.BytesIO(members[f"{plan.clip_id}.flac"]), dtype="float32")
        stems = [
            soundfile.read(io.BytesIO(members[f"{plan.clip_id}.{k}.flac"]), dtype="float32")[0]
            for k in range(len(plan.stems))
        ]
        assert rate == SAMPLE_RATE_HZ
        np.testing.assert_allclose(np.sum(stems, axis=0), mix, atol=(len(stems) + 1) * PCM_16_STEP)
        assert members[f"{plan.clip_id}.mid"][:4] == b"MThd"
        described = json.loads(members[f"{plan.clip_id}.json"])
        assert described.pop("common_gain_db") <= 0.0
        assert ClipPlan.from_json(json.dumps(described)) == plan
        stored = next(reader.batches(3)).level_db[index].astype(np.float32)
        audible = stored > -40.0  # below, 16-bit rounding of the FLAC shows
        assert np.abs(level_db(mix, MelConfig()) - stored)[audible].max() < 1.0


def test_labels_come_from_the_recipe_and_batches_cover_the_split_once(built: Path) -> None:
    reader = SplitReader(built, "train")
    assert len(reader) == 7
    for plan, row in zip(map(reader.plan, range(7)), reader.labels, strict=True):
        heard = {name for name, present in zip(reader.label_names, row, strict=True) if present}
        assert heard == plan.labels
    plain = np.concatenate([batch.level_db for batch in reader.batches(2)])
    drawn = list(reader.batches(2, np.random.default_rng(0)))
    assert [len(batch.labels) for batch in drawn] == [2, 2, 2, 1]
    shuffled = np.concatenate([batch.level_db for batch in drawn])
    assert sorted(clip.tobytes() for clip in shuffled) == sorted(clip.tobytes() for clip in plain)
    again = np.concatenate([batch.level_db for batch in reader.batches(2, np.random.default_rng(0))])
    np.testing.assert_array_equal(shuffled, again)


def test_another_data_set_in_the_folder_is_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetConflictError, match="already holds another data set"):
        build(built, RECIPE.model_copy(update={"seed": 2}))
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DatasetConflictError, match="is not empty"):
        build_dataset(RECIPE, tmp_path)


def test_a_missing_soundfont_is_named_before_anything_is_rendered(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"soundfonts": ("NoSuchBank",)})
    with pytest.raises(MissingSoundFontError, match="NoSuchBank"):
        build_dataset(recipe, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_any_machine_builds_any_shard_of_a_plan(built: Path, tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "set")
    planned = plan_dataset(RECIPE, storage, WITH_STEMS, clips_per_shard=3)
    here, there = open_plan(storage), open_plan(storage)
    assert here == there == planned
    clips: list[tuple[int, int]] = []
    for name in reversed([shard.name for shard in planned.shards]):
        if name == "train-00000":
            with pytest.raises(IncompleteDatasetError, match=r"1 of 4 shards of .* are missing, train-00000"):
                finish_dataset(here)
        first = build_shard(here, name, lambda done, total: clips.append((done, total)))
        assert build_shard(there, name) == first
    assert clips[:3] == [(1, 3), (2, 3), (3, 3)]
    assert set(finished_shards(there)) == {shard.name for shard in planned.shards}
    (tmp_path / "set" / ".train-00000.npy.of-a-killed-writer.partial").write_bytes(b"half")
    assert finish_dataset(there).digest == Manifest.read(built).digest
    assert contents(tmp_path / "set") == contents(built)


def test_a_shard_instantiates_its_own_clips_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = RECIPE.model_copy(update={"n_clips": 100_000})
    plan = plan_dataset(large, open_storage(tmp_path))
    assert (len(plan.shards), plan.n_clips) == (1_000, 100_000)
    drawn: list[int] = []

    def counting(recipe: Recipe, indices: Sequence[int]) -> Iterator[ClipPlan]:
        for clip in instantiate(recipe, indices):
            drawn.append(len(clip.stems))
            yield clip

    monkeypatch.setattr(plan_module, "instantiate", counting)
    clips = plan.clips(plan.shard("validation-00007"))
    assert len(clips) == len(drawn) == CLIPS_PER_SHARD
    assert {clip.split for clip in clips} == {"validation"}


def test_a_recipe_without_validation_clips_is_refused_before_the_place_is_claimed(tmp_path: Path) -> None:
    two = RECIPE.model_copy(update={"n_clips": 2, "validation_share": 0.2})
    with pytest.raises(InvalidRecipeError, match=r"validation_share: 0\.2 of 2 clips are none"):
        build_dataset(two, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    unsplit = build_dataset(two.model_copy(update={"validation_share": 0.0}), tmp_path / "set")
    assert [shard.split for shard in unsplit.shards] == ["train"]


def test_notes_from_outside_are_drawn_by_the_planner_alone(tmp_path: Path) -> None:
    (tmp_path / "midi").mkdir()
    clip = next(instantiate(RECIPE))
    (tmp_path / "midi" / "song.mid").write_bytes(clip_midi(clip))
    melody = {"source": "phrases", "folder": str(tmp_path / "midi")}
    recipe = Recipe.model_validate({**RECIPE.model_dump(), "n_clips": 5, "melody": melody})
    expected = sorted(clip.to_json() for clip in instantiate(recipe))
    storage = open_storage(tmp_path / "set")
    planned = plan_dataset(recipe, storage, clips_per_shard=3)
    (tmp_path / "midi" / "song.mid").unlink()  # as on another machine
    plan = open_plan(storage)
    assert sorted(c.to_json() for shard in plan.shards for c in plan.clips(shard)) == expected
    assert plan_dataset(recipe, storage, clips_per_shard=3) == planned
    for shard in plan.shards:
        build_shard(plan, shard.name)
    assert finish_dataset(plan).n_clips == 5


def test_planning_ahead_is_told_and_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "midi").mkdir()
    for name in ("one.mid", "two.mid"):
        (tmp_path / "midi" / name).write_bytes(clip_midi(next(instantiate(RECIPE))))
    melody = {"source": "phrases", "folder": str(tmp_path / "midi")}
    recipe = Recipe.model_validate({**RECIPE.model_dump(), "n_clips": 5, "melody": melody})
    told: list[tuple[str, int, int]] = []
    storage = open_storage(tmp_path / "set")

    class StoppedError(Exception):
        pass

    def on_file(done: int, total: int) -> None:
        told.append(("file", done, total))

    def stop_at_four(done: int, total: int) -> None:
        told.append(("clip", done, total))
        if done == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        plan_dataset(recipe, storage, clips_per_shard=2, watch=PlanningWatch(on_file, stop_at_four))
    files = [("file", 1, 2), ("file", 2, 2)]
    assert told == files + [("clip", done, 5) for done in (1, 2, 3, 4)]
    assert not storage.exists("recipe.json")
    told.clear()
    on_clip = partial(_tell, told)
    plan = plan_dataset(recipe, storage, clips_per_shard=2, watch=PlanningWatch(on_file, on_clip))
    assert told == files + [("clip", done, 5) for done in (1, 2, 3, 4, 5)]
    assert plan == plan_dataset(recipe, storage, clips_per_shard=2)


def _tell(told: list[tuple[str, int, int]], done: int, total: int) -> None:
    told.append(("clip", done, total))


def test_a_machine_with_another_soundfont_or_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(tmp_path)
    plan_dataset(RECIPE, storage)
    claim = json.loads(storage.read("recipe.json"))
    storage.write_whole("recipe.json", json.dumps({**claim, "soundfonts": {"FluidR3_GM": "0" * 64}}).encode())
    with pytest.raises(SoundFontMismatchError, match=r"FluidR3_GM .* was planned with 0000000000000000"):
        open_plan(storage)
    versions = {**claim["versions"], "numpy": "1.0"}
    storage.write_whole("recipe.json", json.dumps({**claim, "versions": versions}).encode())
    with pytest.raises(VersionMismatchError, match=r"was begun with numpy 1\.0 \(here 2"):
        open_plan(storage)


def test_a_library_that_is_no_longer_used_is_not_asked_for(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    plan_dataset(RECIPE, storage)
    claim = json.loads(storage.read("recipe.json"))
    assert "librosa" not in claim["versions"]
    begun_with = {**claim["versions"], "librosa": "0.10.0"}
    storage.write_whole("recipe.json", json.dumps({**claim, "versions": begun_with}).encode())
    assert open_plan(storage).versions == begun_with
    assert plan_dataset(RECIPE, storage).versions == begun_with


def test_a_bank_that_changes_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "bank.sf2"
    path.write_bytes(b"RIFF....sfbk")
    bank = Bank("bank", path)
    before = bank_sha256(bank)
    assert before == bank.sha256()
    path.write_bytes(b"RIFF....sfbk, another")
    assert bank_sha256(bank) == bank.sha256() != before


def test_stems_are_cached_as_log_mels(built: Path) -> None:
    reader = SplitReader(built, "train")
    banks = {"FluidR3_GM": find_bank("FluidR3_GM")}
    for index in (0, 4, 6):
        plan = reader.plan(index)
        levels, labels = reader.stem_clips(index)
        assert tuple(reader.label_names[label] for label in labels) == tuple(s.instrument for s in plan.stems)
        stems = render_clip(plan, banks).stems
        expected = np.stack([level_db(stem, MelConfig()) for stem in stems]).astype(np.float16)
        np.testing.assert_array_equal(levels, expected)


def test_what_is_no_stem_is_kept_too(tmp_path: Path) -> None:
    noisy = Recipe.model_validate({**RECIPE.model_dump(), "n_clips": 2, "effects": NOISE})
    build(tmp_path, noisy)
    with tarfile.open(tmp_path / "train-00000.tar") as tar:
        members = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    clip_id = SplitReader(tmp_path, "train").clip_ids[0]
    assert f"{clip_id}.residual.flac" in members
    sounds = {
        name.split(".", 1)[1]: soundfile.read(io.BytesIO(data))[0]
        for name, data in members.items()
        if name.startswith(clip_id) and name.endswith(".flac")
    }
    mix = sounds.pop("flac")
    assert np.abs(sounds["residual.flac"]).max() > 10 * PCM_16_STEP
    np.testing.assert_allclose(sum(sounds.values()), mix, atol=(len(sounds) + 1) * PCM_16_STEP)


def test_a_full_disk_stops_with_a_clear_error_and_keeps_finished_shards(built: Path, tmp_path: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in built.iterdir()}
    too_large = max(sizes["train-00000.npy"], sizes["train-00000.stems.npy"], sizes["train-00000.tar"])
    assert (
        max(sizes.values()) > too_large
    )  # another shard has a larger file: the first fits, that one does not
    with limited_file_size(too_large), pytest.raises(StorageError, match="the disk is full") as caught:
        build(tmp_path / "set")
    assert re.search(r"Finished shards stay \([1-9] of 10 clips\)", str(caught.value))
    left = contents(tmp_path / "set")
    assert left.items() <= contents(built).items()
    assert "train-00000.json" in left
    build(tmp_path / "set")
    assert contents(tmp_path / "set") == contents(built)


def test_a_disk_that_fills_up_while_a_shard_is_written_keeps_finished_shards(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def on_a_disk_with_room_for_one_shard(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode == "wb" and path.name.startswith(".train-00001.npy."):
            opened(path, mode).close()  # as it is: a file is there, what should be in it is not
            return opened(Path("/dev/full"), mode, *args, **kwargs)  # the system's own ENOSPC
        return opened(path, mode, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", on_a_disk_with_room_for_one_shard)
        with pytest.raises(StorageError) as caught:
            build(tmp_path / "set")
    said = str(caught.value)
    assert f"the disk is full ({os.strerror(errno.ENOSPC)})" in said
    assert "train-00001.npy cannot be written" in said
    assert "Finished shards stay (3 of 10 clips); building again continues." in said
    assert isinstance(caught.value.__cause__, StorageError)
    assert isinstance(caught.value.__cause__.__cause__, OSError)
    assert caught.value.__cause__.__cause__.errno == errno.ENOSPC
    left = contents(tmp_path / "set")  # nothing half, no file of the shard that did not fit
    assert left.items() <= contents(built).items()
    assert {name for name in left if name.startswith("train-")} == {
        name for name in contents(built) if name.startswith("train-00000")
    }
    build(tmp_path / "set")
    assert contents(tmp_path / "set") == contents(built)


@contextmanager
def limited_file_size(n_bytes: int) -> Iterator[None]:
    """Let writing beyond a size fail, as on a full disk (EFBIG instead of ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

"""Data sets: the same bytes on any number of processes and after any interruption."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml.dataset import shards
from ml.dataset.build import DatasetConflictError, build_dataset
from ml.dataset.manifest import InvalidDatasetError, Manifest
from ml.dataset.reader import SplitReader
from ml.dataset.shards import ShardContent
from ml.errors import StorageError
from ml.melspec import MelConfig, level_db
from ml.synthesis.instantiate import ClipPlan
from ml.synthesis.recipe import Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import MissingSoundFontError

RECIPE = Recipe(name="short", seed=1, n_clips=10, clip_duration_s=1.0, validation_share=0.3)
WITH_STEMS = ShardContent(audio=True, stems=True)
PCM_16_STEP = 1.0 / 32_768
FLOAT16_DB = 0.05  # dB: rounding of levels below 128 dB to float16


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "CLIPS_PER_SHARD", 3)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "CLIPS_PER_SHARD", 3)
        build_dataset(RECIPE, folder, content=WITH_STEMS)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_two_processes_write_the_same_bytes_as_one(built: Path, tmp_path: Path) -> None:
    build_dataset(RECIPE, tmp_path / "set", n_jobs=2, content=WITH_STEMS)
    assert contents(tmp_path / "set") == contents(built)


def test_an_interrupted_build_continues_to_the_same_bytes(built: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(RECIPE, tmp_path / "set", content=WITH_STEMS, on_progress=interrupt)
    kept = set(contents(tmp_path / "set"))
    assert "manifest.json" not in kept
    assert "train-00000.json" in kept
    with pytest.raises(InvalidDatasetError, match="no finished data set"):
        SplitReader(tmp_path / "set", "train")
    (tmp_path / "set" / "train-00000.npy").unlink()  # a shard that lost a file is made again
    reported: list[int] = []
    build_dataset(
        RECIPE, tmp_path / "set", content=WITH_STEMS, on_progress=lambda done, total: reported.append(done)
    )
    assert reported[0] > 0
    assert reported[-1] == 10
    assert contents(tmp_path / "set") == contents(built)


def test_the_manifest_says_what_is_there(built: Path) -> None:
    manifest = Manifest.read(built)
    assert manifest.recipe == RECIPE
    assert manifest.recipe_sha256 == RECIPE.digest
    files = contents(built)
    for record in manifest.shards:
        assert {name: files[name] for name in record.checksums} == record.checksums
    plans = [ClipPlan.from_json(line) for line in (built / "clips.jsonl").read_text().splitlines()]
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
    for index, plan in enumerate(reader.plans[:3]):
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
    for plan, row in zip(reader.plans, reader.labels, strict=True):
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
        build_dataset(RECIPE.model_copy(update={"seed": 2}), built, content=WITH_STEMS)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DatasetConflictError, match="is not empty"):
        build_dataset(RECIPE, tmp_path)


def test_a_missing_soundfont_is_named_before_anything_is_rendered(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"soundfonts": ("NoSuchBank",)})
    with pytest.raises(MissingSoundFontError, match="NoSuchBank"):
        build_dataset(recipe, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_full_disk_keeps_finished_shards(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole = shards.write_whole

    def fill_up(path: Path, data: bytes) -> None:
        if path.name.startswith("train-00001"):
            raise OSError(28, "No space left on device")
        write_whole(path, data)

    monkeypatch.setattr(shards, "write_whole", fill_up)
    with pytest.raises(
        StorageError, match=r"No space left on device\. Finished shards stay \(3 of 10 clips\)"
    ):
        build_dataset(RECIPE, tmp_path / "set", content=WITH_STEMS)
    monkeypatch.setattr(shards, "write_whole", write_whole)
    assert (tmp_path / "set" / "train-00000.json").is_file()
    build_dataset(RECIPE, tmp_path / "set", content=WITH_STEMS)
    assert contents(tmp_path / "set") == contents(built)

"""Reading for training: exact clips in any order, ahead of the consumer, in flat memory at any size."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from ml.dataset.build import build_dataset
from ml.dataset.manifest import InvalidDatasetError, Manifest
from ml.dataset.reader import SplitReader
from ml.dataset.shards import ShardContent
from ml.dataset.storage import open_storage
from ml.errors import StorageError
from ml.synthesis.recipe import Recipe
from tests.unit.ml.dataset.made import sparse_data_set

N_LARGE = 100_000
RESIDENT_MB = 600  # of the whole process, libraries included; the promise is 2 GB
GROWTH_MB = 60  # while 2,000 clips of 110 KB are read; if they stayed in memory it would be 220
RECIPE = Recipe(name="small", seed=3, n_clips=8, clip_duration_s=0.5, validation_share=0.25)

READ_SOME = """
import json, sys
import numpy as np
from ml.dataset.reader import SplitReader

def resident_mb():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssFile", "RssShmem")) / 1024

reader = SplitReader(sys.argv[1], "train")
seen, before, peak = 0, 0.0, 0.0
for batch in reader.batches(64, np.random.default_rng(0)):
    seen += len(batch.labels)
    peak = max(peak, resident_mb())
    if before == 0.0 and seen >= 1_000:
        before = peak
    if seen >= 3_000:
        break
print(json.dumps({"n_clips": len(reader), "before": before, "peak": peak}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what is resident")
def test_a_hundred_thousand_clips_are_read_in_flat_memory(tmp_path: Path) -> None:
    sparse_data_set(tmp_path / "large", N_LARGE, marked=False)
    apparent = sum(path.stat().st_size for path in (tmp_path / "large").glob("*.npy"))
    assert apparent > 11e9
    done = subprocess.run(
        [sys.executable, "-c", READ_SOME, str(tmp_path / "large")], capture_output=True, check=True
    )
    measured = json.loads(done.stdout)
    assert measured["n_clips"] == N_LARGE
    assert measured["peak"] < RESIDENT_MB
    assert measured["peak"] - measured["before"] < GROWTH_MB


def test_clips_come_in_the_order_asked_for(tmp_path: Path) -> None:
    sparse_data_set(tmp_path / "set", 1_234, n_frames=9)
    reader = SplitReader(tmp_path / "set", "train")
    wanted = [1_233, 0, 100, 99, 0, 700, 101]
    clips = reader.clips(wanted)
    assert clips.shape == (7, 128, 9)
    assert clips[:, 0, 0].tolist() == wanted
    assert not clips[:, 1:].any()
    assert [reader.clip_ids[index] for index in wanted[:2]] == ["sparse-0001233", "sparse-0000000"]
    assert set(np.flatnonzero(reader.labels[1_233])) == {1_233 % 12, 1_238 % 12}
    assert reader.clips([]).shape == (0, 128, 9)
    for outside in ([-1], [1_234], [[0]]):
        with pytest.raises(IndexError):
            reader.clips(outside)


def test_an_epoch_reads_every_clip_once_whatever_is_prefetched(tmp_path: Path) -> None:
    sparse_data_set(tmp_path / "set", 250, n_frames=4)
    reader = SplitReader(tmp_path / "set", "train")
    read = {
        prefetch: [b.level_db[:, 0, 0] for b in reader.batches(32, np.random.default_rng(7), prefetch)]
        for prefetch in (0, 1, 2, 50)
    }
    order = np.random.default_rng(7).permutation(250)
    for batches in read.values():
        assert [len(batch) for batch in batches] == [32] * 7 + [26]
        np.testing.assert_array_equal(np.concatenate(batches), order)


def test_batches_are_read_while_the_consumer_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse_data_set(tmp_path / "set", 100, n_frames=4)
    reader, threads = SplitReader(tmp_path / "set", "train"), []
    clips, third_is_read = reader.clips, threading.Event()

    def watched(indices: ArrayLike) -> NDArray[np.float16]:
        threads.append(threading.current_thread())
        if len(threads) == 3:
            third_is_read.set()
        return clips(indices)

    monkeypatch.setattr(reader, "clips", watched)
    batches = reader.batches(10, prefetch=2)
    next(batches)
    assert third_is_read.wait(10.0)  # two ahead, while the consumer still holds the first
    time.sleep(0.05)
    assert len(threads) == 3  # and no more
    assert threading.current_thread() not in threads
    batches.close()  # type: ignore[attr-defined]
    assert not threads[0].is_alive()


def test_what_goes_wrong_ahead_reaches_the_consumer(tmp_path: Path) -> None:
    sparse_data_set(tmp_path / "set", 300, n_frames=4)
    reader = SplitReader(tmp_path / "set", "train")
    (tmp_path / "set" / "train-00002.npy").unlink()
    batches = reader.batches(100)
    next(batches)
    next(batches)
    with pytest.raises(StorageError, match=r"train-00002\.npy is missing"):
        next(batches)


def test_shards_that_are_missing_or_cut_off_are_named(tmp_path: Path) -> None:
    sparse_data_set(tmp_path / "set", 300, n_frames=4)
    path = tmp_path / "set" / "train-00001.npy"
    path.write_bytes(path.read_bytes()[:-1])
    reader = SplitReader(tmp_path / "set", "train")
    reader.clips([198])
    with pytest.raises(InvalidDatasetError, match=r"train-00001\.npy is cut off: clip 99 has 1023 bytes"):
        reader.clips([199])
    np.save(path, np.zeros((100, 128, 5), dtype=np.float16))
    with pytest.raises(InvalidDatasetError, match=r"holds float16 \(100, 128, 5\)"):
        SplitReader(tmp_path / "set", "train").clips([150])
    path.unlink()
    with pytest.raises(InvalidDatasetError, match=r"train-00001\.npy is missing"):
        SplitReader(tmp_path / "set", "train")
    with pytest.raises(InvalidDatasetError, match="has no validation clips"):
        SplitReader(tmp_path / "set", "validation")


def test_a_data_set_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format_version": 1}')
    with pytest.raises(InvalidDatasetError, match="has format 1, not 2"):
        Manifest.read(tmp_path)


def test_a_data_set_in_a_store_is_the_local_one(tmp_path: Path, s3_bucket: str, cache: Path) -> None:
    content = ShardContent(stems=True)
    local = build_dataset(RECIPE, tmp_path / "set", content=content, clips_per_shard=3)
    place = f"{s3_bucket}/made/small"
    remote = build_dataset(RECIPE, place, content=content, clips_per_shard=3, n_jobs=2)
    assert remote == local
    names = tuple(sorted(path.name for path in (tmp_path / "set").iterdir()))
    assert open_storage(place).list() == names
    for name, data in open_storage(place).read_many(names).items():
        assert data == (tmp_path / "set" / name).read_bytes()
    here, there = SplitReader(tmp_path / "set", "train"), SplitReader(place, "train")
    for _ in range(2):  # the second time from the cache
        for ours, theirs in zip(here.batches(4), there.batches(4), strict=True):
            np.testing.assert_array_equal(ours.level_db, theirs.level_db)
            np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.testing.assert_array_equal(here.stem_clips(5)[0], there.stem_clips(5)[0])
    assert here.plan(5) == there.plan(5)
    assert any(cache.iterdir())

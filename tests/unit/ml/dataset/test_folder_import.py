"""Importing recordings: labels from folders, windows in one split, and every fault of a folder named."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml.dataset.build import DatasetConflictError, plan_dataset
from ml.dataset.folder_import import import_folder
from ml.dataset.folder_survey import InvalidFolderError
from ml.dataset.manifest import FolderSource, InvalidDatasetError, Manifest
from ml.dataset.reader import SplitReader
from ml.dataset.storage import open_storage
from ml.errors import InvalidRequestError
from ml.melspec import MelConfig, level_db
from ml.synthesis.recipe import Recipe
from ml.windows import cut_windows, window_levels

MEL = MelConfig()
RATE_HZ = MEL.sample_rate_hz
PCM_16_STEP = 1.0 / 32_768


def write_tone(path: Path, pitch_hz: float, duration_s: float = 1.0, rate_hz: int = RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch_hz * times_s), rate_hz)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five flutes, one of them 9 s long, four tubas, and a duet that lies in both folders."""
    folder = tmp_path / "My Sounds"
    for number in range(4):
        write_tone(folder / "Flute" / f"{number}.wav", 700.0 + number)
        write_tone(folder / "Tuba" / "takes" / f"{number}.flac", 80.0 + number, rate_hz=22_050)
    write_tone(folder / "Flute" / "long.ogg", 900.0, duration_s=9.0)
    for label in ("Flute", "Tuba"):
        write_tone(folder / label / f"duet of {label}.wav", 440.0)
    (folder / "Flute" / ".DS_Store").write_bytes(b"hidden")
    (folder / "read me.txt").write_text("not a label")
    return folder


def splits_of(manifest: Manifest, place: Path) -> dict[str, set[str]]:
    """Splits in which each recording's windows lie."""
    splits: dict[str, set[str]] = {}
    for shard in manifest.shards:
        for line in (place / shard.lines_name).read_text().splitlines():
            clip = json.loads(line)
            assert clip["split"] == shard.split
            splits.setdefault(clip["file"], set()).add(shard.split)
    return splits


def test_labels_are_the_folders_and_windows_are_those_of_recognition(folder: Path, tmp_path: Path) -> None:
    manifest = import_folder(folder, tmp_path / "set")
    assert Manifest.read(tmp_path / "set") == manifest
    assert manifest.labels == ("Flute", "Tuba")
    assert (manifest.name, manifest.n_clips, manifest.n_frames) == (
        "My Sounds",
        12,
        MEL.n_frames(5 * RATE_HZ),
    )
    assert isinstance(manifest.source, FolderSource)
    assert len(manifest.source.files) == 11
    splits = splits_of(manifest, tmp_path / "set")
    assert all(len(split) == 1 for split in splits.values())
    assert [list(splits.values()).count({split}) for split in ("train", "validation")] == [8, 2]
    seen = 0
    for split in ("train", "validation"):
        reader = SplitReader(tmp_path / "set", split)
        for index in range(len(reader)):
            clip = json.loads(reader.line(index))
            path = folder / clip["file"]
            labels = {
                name
                for name, present in zip(reader.label_names, reader.labels[index], strict=True)
                if present
            }
            assert labels == (
                {"Flute", "Tuba"} if "duet" in path.name else {path.relative_to(folder).parts[0]}
            )
            if soundfile.info(path).samplerate == RATE_HZ:
                samples = soundfile.read(path, dtype="float32")[0]
                windows = cut_windows(len(samples) / RATE_HZ, MEL)
                levels = window_levels(level_db(samples, MEL), windows)
                expected = levels[round(clip["window"]["start_s"] / 2.5)].astype(np.float16)
                np.testing.assert_array_equal(reader.clips([index])[0], expected)
                seen += 1
        assert (reader.soundfonts == "").all()
        with pytest.raises(InvalidDatasetError, match="recordings and have no plans"):
            reader.plan(0)
    assert seen == 8  # 4 flutes, 3 windows of the long one, the duet


def test_the_sound_of_every_window_is_kept(folder: Path, tmp_path: Path) -> None:
    manifest = import_folder(folder, tmp_path / "set")
    for shard in manifest.shards:
        with tarfile.open(tmp_path / "set" / f"{shard.name}.tar") as tar:
            members = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        assert set(members) == {f"{clip}.{ending}" for clip in shard.clip_ids for ending in ("flac", "json")}
        for clip_id in shard.clip_ids:
            clip = json.loads(members[f"{clip_id}.json"])
            sound, rate_hz = soundfile.read(io.BytesIO(members[f"{clip_id}.flac"]), dtype="float32")
            assert rate_hz == RATE_HZ
            assert len(sound) == pytest.approx(
                (clip["window"]["end_s"] - clip["window"]["start_s"]) * RATE_HZ, abs=2
            )
            assert np.abs(sound).max() == pytest.approx(0.3, abs=0.05)
    import_folder(folder, tmp_path / "quiet", audio=False)
    assert not list((tmp_path / "quiet").glob("*.tar"))


def test_float_recordings_beyond_full_scale_are_kept_unclipped(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    write_tone(folder / "a" / "1.wav", 440.0)
    loud = 3.0 * np.sin(2 * np.pi * 440.0 * np.arange(RATE_HZ) / RATE_HZ)
    (folder / "b").mkdir()
    soundfile.write(folder / "b" / "1.wav", loud, RATE_HZ, subtype="FLOAT")
    manifest = import_folder(folder, tmp_path / "set", validation_share=0.0)
    with tarfile.open(tmp_path / "set" / "train-00000.tar") as tar:
        members = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    clip_id = manifest.shards[0].clip_ids[1]
    gain = 10.0 ** (json.loads(members[f"{clip_id}.json"])["sound_gain_db"] / 20.0)
    assert gain == pytest.approx(1.0 / 3.0, rel=1e-3)
    sound = soundfile.read(io.BytesIO(members[f"{clip_id}.flac"]))[0]
    np.testing.assert_allclose(sound / gain, loud, atol=4 * PCM_16_STEP / gain)


def test_an_import_is_the_same_again_and_goes_on_after_an_interruption(folder: Path, tmp_path: Path) -> None:
    whole = import_folder(folder, tmp_path / "whole", validation_share=0.4, seed=5)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "writing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_folder(folder, tmp_path / "again", validation_share=0.4, seed=5, on_progress=interrupt)
    assert not (tmp_path / "again" / "manifest.json").exists()
    assert import_folder(folder, tmp_path / "again", validation_share=0.4, seed=5) == whole
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    other_seeds = [
        splits_of(import_folder(folder, tmp_path / f"seed-{seed}", seed=seed), tmp_path / f"seed-{seed}")
        for seed in range(4)
    ]
    assert any(splits != other_seeds[0] for splits in other_seeds)


def test_another_import_or_data_set_in_the_place_is_refused(folder: Path, tmp_path: Path) -> None:
    import_folder(folder, tmp_path / "set")
    with pytest.raises(DatasetConflictError, match="already holds another import"):
        import_folder(folder, tmp_path / "set", seed=1)
    recipe = Recipe(name="short", n_clips=1)
    with pytest.raises(DatasetConflictError, match="holds no data set"):
        plan_dataset(recipe, open_storage(tmp_path / "set"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("dear")
    with pytest.raises(DatasetConflictError, match=r"is not empty \(there is letter\.txt\)"):
        import_folder(folder, tmp_path / "taken")


def test_files_that_cannot_be_read_are_listed_and_refused_or_skipped(folder: Path, tmp_path: Path) -> None:
    (folder / "Flute" / "broken.wav").write_bytes((folder / "Flute" / "0.wav").read_bytes()[:1_000])
    (folder / "Tuba" / "notes.txt").write_text("no sound")
    soundfile.write(folder / "Tuba" / "silence.wav", np.zeros(RATE_HZ), RATE_HZ)
    with pytest.raises(
        InvalidFolderError, match=r"3 of 14 files in .* cannot be read: Flute/broken\.wav: "
    ) as caught:
        import_folder(folder, tmp_path / "set")
    assert "Tuba/silence.wav: it is silent throughout." in str(caught.value)
    unreadable = caught.value.extra["unreadable"]
    assert isinstance(unreadable, dict)
    assert set(unreadable) == {"Flute/broken.wav", "Tuba/notes.txt", "Tuba/silence.wav"}
    assert not (tmp_path / "set").exists()
    manifest = import_folder(folder, tmp_path / "set", skip_unreadable=True)
    assert isinstance(manifest.source, FolderSource)
    assert manifest.source.skipped == unreadable
    assert manifest.n_clips == 12


def test_silent_windows_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    write_tone(folder / "a" / "1.wav", 440.0)
    (folder / "b").mkdir()
    late = np.zeros(10 * RATE_HZ)
    late[9 * RATE_HZ :] = 0.3 * np.sin(2 * np.pi * 440.0 * np.arange(RATE_HZ) / RATE_HZ)
    soundfile.write(folder / "b" / "late.wav", late, RATE_HZ)
    import_folder(folder, tmp_path / "set", validation_share=0.0)
    reader = SplitReader(tmp_path / "set", "train")
    windows = [json.loads(reader.line(index)) for index in range(len(reader))]
    assert [clip["window"]["start_s"] for clip in windows if clip["file"] == "b/late.wav"] == [5.0]


def test_folders_that_are_no_collection_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    with pytest.raises(InvalidFolderError, match="is no folder"):
        import_folder(folder, tmp_path / "set")
    write_tone(folder / "Flute" / "1.wav", 440.0)
    with pytest.raises(
        InvalidFolderError, match="holds 1 folders; there must be one for each of at least two"
    ):
        import_folder(folder, tmp_path / "set")
    (folder / "Tuba").mkdir()
    with pytest.raises(InvalidFolderError, match=r"folder of label 'Tuba' in .* is empty"):
        import_folder(folder, tmp_path / "set")
    (folder / "Tuba" / "1.wav").write_bytes(b"RIFF")
    with pytest.raises(InvalidFolderError, match="None of the files of label 'Tuba'"):
        import_folder(folder, tmp_path / "set", skip_unreadable=True)
    write_tone(folder / "FLUTE!" / "1.wav", 440.0)
    with pytest.raises(InvalidFolderError, match="are the same in file names"):
        import_folder(folder, tmp_path / "set")
    (folder / "FLUTE!").rename(folder / "???")
    with pytest.raises(InvalidFolderError, match=r"label '\?\?\?' needs a letter"):
        import_folder(folder, tmp_path / "set")
    with pytest.raises(InvalidRequestError, match=r"below 1; it is 1\.0"):
        import_folder(folder, tmp_path / "set", validation_share=1.0)
    assert not (tmp_path / "set").exists()

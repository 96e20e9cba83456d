"""Importing recordings: labels from folders, windows in one split, and every fault of a folder named."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ml.dataset import folder_import
from ml.dataset.build import DatasetConflictError, plan_dataset
from ml.dataset.folder_import import import_folder
from ml.dataset.folder_notes import import_notes, labels_without_validation
from ml.dataset.folder_split import drawn_splits
from ml.dataset.folder_survey import NO_RECORDING, SILENT, InvalidFolderError, decode_file
from ml.dataset.manifest import FolderSource, InvalidDatasetError, Manifest
from ml.dataset.reader import SplitReader
from ml.dataset.storage import open_storage
from ml.errors import InvalidRequestError
from ml.media import MediaLimits
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
    _begun_when_librosa_was_used(tmp_path / "again" / folder_import.CLAIM_NAME)
    assert not (tmp_path / "again" / "manifest.json").exists()
    assert import_folder(folder, tmp_path / "again", validation_share=0.4, seed=5) == whole
    for path in (tmp_path / "whole").iterdir():
        if path.name != folder_import.CLAIM_NAME:
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    other_seeds = [
        splits_of(import_folder(folder, tmp_path / f"seed-{seed}", seed=seed), tmp_path / f"seed-{seed}")
        for seed in range(4)
    ]
    assert any(splits != other_seeds[0] for splits in other_seeds)


def _begun_when_librosa_was_used(claim: Path) -> None:
    begun = json.loads(claim.read_text())
    assert "librosa" not in begun["versions"]
    begun["versions"]["librosa"] = "0.11.0"
    claim.write_text(json.dumps(begun))


def test_another_import_or_data_set_in_the_place_is_refused(folder: Path, tmp_path: Path) -> None:
    import_folder(folder, tmp_path / "set")
    with pytest.raises(DatasetConflictError, match="already holds another import"):
        import_folder(folder, tmp_path / "set", seed=1)
    recipe = Recipe(name="short", n_clips=3)
    with pytest.raises(DatasetConflictError, match="holds no data set"):
        plan_dataset(recipe, open_storage(tmp_path / "set"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("dear")
    with pytest.raises(DatasetConflictError, match=r"is not empty \(there is letter\.txt\)"):
        import_folder(folder, tmp_path / "taken")


def test_files_that_cannot_be_read_are_listed_and_refused_or_skipped(folder: Path, tmp_path: Path) -> None:
    (folder / "Flute" / "broken.wav").write_bytes((folder / "Flute" / "0.wav").read_bytes()[:1_000])
    (folder / "Tuba" / "take.m4a").write_bytes(b"....ftypM4A ")
    with pytest.raises(
        InvalidFolderError,
        match=r"2 of 13 files in .* cannot be read: Flute/broken\.wav: .*MPEG-4 is not read",
    ) as caught:
        import_folder(folder, tmp_path / "set")
    unreadable = caught.value.extra["unreadable"]
    assert isinstance(unreadable, dict)
    assert set(unreadable) == {"Flute/broken.wav", "Tuba/take.m4a"}
    assert not (tmp_path / "set").exists()
    manifest = import_folder(folder, tmp_path / "set", skip_unreadable=True)
    assert isinstance(manifest.source, FolderSource)
    assert manifest.source.skipped == unreadable
    assert manifest.n_clips == 12


def test_what_is_no_recording_and_what_is_silent_is_left_out_and_listed(folder: Path, tmp_path: Path) -> None:
    plain = import_folder(folder, tmp_path / "plain")
    assert isinstance(plain.source, FolderSource)
    assert plain.source.skipped == {}
    (folder / "Flute" / "notes.txt").write_text("take 2 is the best")
    (folder / "Tuba" / "takes" / "disc.cue").write_text('FILE "0.flac" WAVE')
    (folder / "Tuba" / "cover.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    (folder / "Tuba" / "score.mid").write_bytes(b"MThd" + bytes(100))
    soundfile.write(folder / "Tuba" / "silence.wav", np.zeros(RATE_HZ), RATE_HZ)
    manifest = import_folder(folder, tmp_path / "set")
    assert isinstance(manifest.source, FolderSource)
    assert manifest.source.skipped == {
        "Flute/notes.txt": NO_RECORDING,
        "Tuba/cover.jpg": NO_RECORDING,
        "Tuba/score.mid": NO_RECORDING,
        "Tuba/silence.wav": SILENT,
        "Tuba/takes/disc.cue": NO_RECORDING,
    }
    assert import_notes(manifest) == (
        "Left out (it is no recording): Flute/notes.txt, Tuba/cover.jpg, Tuba/score.mid, "
        "Tuba/takes/disc.cue.",
        "Left out (it is silent throughout): Tuba/silence.wav.",
    )
    assert manifest.digest == plain.digest
    assert import_folder(folder, tmp_path / "plain").digest == plain.digest  # no other folder for that


def test_a_recording_without_a_name_that_says_so_is_one(folder: Path, tmp_path: Path) -> None:
    (folder / "Flute" / "0.wav").rename(folder / "Flute" / "take 0")
    manifest = import_folder(folder, tmp_path / "set")
    assert isinstance(manifest.source, FolderSource)
    assert "Flute/take 0" in manifest.source.files


def test_recordings_longer_and_larger_than_uploads_are_taken(tmp_path: Path) -> None:
    folder, slow_hz = tmp_path / "sounds", 8_000
    write_tone(folder / "a" / "1.wav", 440.0)
    long_s = MediaLimits().max_duration_s + 60.0
    sound = np.zeros((round(long_s * slow_hz), 6), dtype=np.float32)  # six channels: more bytes
    sound[-slow_hz:] = 0.3 * np.sin(2 * np.pi * 440.0 * np.arange(slow_hz) / slow_hz)[:, None]
    (folder / "b").mkdir()
    soundfile.write(folder / "b" / "concert.wav", sound, slow_hz, subtype="PCM_16")
    assert (folder / "b" / "concert.wav").stat().st_size > MediaLimits().max_bytes
    manifest = import_folder(folder, tmp_path / "set", validation_share=0.0)
    reader = SplitReader(tmp_path / "set", "train")
    windows = [json.loads(reader.line(index)) for index in range(len(reader))]
    last = max(clip["window"]["end_s"] for clip in windows if clip["file"] == "b/concert.wav")
    assert last == pytest.approx(long_s, abs=0.01)
    assert manifest.n_clips == 2


def test_a_long_recording_is_decoded_once_to_look_and_once_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sounds"
    write_tone(folder / "a" / "1.wav", 440.0)
    write_tone(folder / "b" / "long.wav", 220.0, duration_s=40.0)
    decoded: list[str] = []

    def counting(path: Path, mel: MelConfig) -> NDArray[np.float32]:
        decoded.append(path.name)
        return decode_file(path, mel)

    monkeypatch.setattr(folder_import, "decode_file", counting)
    monkeypatch.setattr(folder_import, "CLIPS_PER_SHARD", 4)
    manifest = import_folder(folder, tmp_path / "set", validation_share=0.0)
    assert len(manifest.shards) > 3
    assert sorted(decoded) == ["1.wav", "long.wav"]


def test_every_label_with_two_recordings_validates_and_is_trained_on() -> None:
    alone = {"a1": (0,), "a2": (0,), "b": (1,)}
    for share in (0.01, 0.2, 0.99):
        splits = drawn_splits(alone, share, seed=3)
        assert sorted(splits[name] for name in ("a1", "a2")) == ["train", "validation"]
        assert splits["b"] == "train"
    # every recording has labels of its own: no two of a group, and still each label has two
    rounds = {"ab": (0, 1), "bc": (1, 2), "ac": (0, 2), "a": (0,), "b": (1,), "c": (2,)}
    splits = drawn_splits(rounds, 0.2, seed=3)
    for label in range(3):
        assert {splits[name] for name, found in rounds.items() if label in found} == {"train", "validation"}
    # one that is another label's only one stays to be trained on
    assert set(drawn_splits({"ab": (0, 1), "ac": (0, 2)}, 0.5, seed=3).values()) == {"train"}
    assert set(drawn_splits(rounds, 0.0, seed=3).values()) == {"train"}


def test_a_folder_of_which_nothing_can_validate_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    write_tone(folder / "Flute" / "1.wav", 700.0)
    write_tone(folder / "Tuba" / "1.wav", 80.0)
    for share in (0.2, 0.9):
        with pytest.raises(
            InvalidFolderError, match=f"would validate.* validation_share of 0 .it is {share}"
        ):
            import_folder(folder, tmp_path / "set", validation_share=share)
    assert not (tmp_path / "set").exists()
    assert labels_without_validation(import_folder(folder, tmp_path / "all", validation_share=0.0)) == (
        "Flute",
        "Tuba",
    )
    write_tone(folder / "Tuba" / "2.wav", 90.0)
    manifest = import_folder(folder, tmp_path / "set")
    assert labels_without_validation(manifest) == ("Flute",)
    (note,) = import_notes(manifest)
    assert note.startswith("No recording of Flute validates")


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
    with pytest.raises(InvalidFolderError, match=r"folder of label 'Tuba' in .* holds no recording\.$"):
        import_folder(folder, tmp_path / "set")
    (folder / "Tuba" / "notes.txt").write_text("to do")
    with pytest.raises(InvalidFolderError, match=r"holds no recording \(there is notes\.txt\)"):
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

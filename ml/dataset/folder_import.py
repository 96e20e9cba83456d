"""Importing a folder of labelled recordings: their windows become the clips of a data set like any other.

Recordings are decoded to mono at the front end's rate and cut into the windows that networks hear
(`ml.windows`); windows without sound are left out. All windows of a recording lie in one split. What is there
is written down first, in `import.json`, so that an interrupted import goes on, and one of a folder that has
changed is refused.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ml.dataset.folder_survey import FoundRecording, Survey, decode_file, survey_folder
from ml.dataset.manifest import Manifest
from ml.dataset.occurrences import count_occurrences
from ml.dataset.plan import DatasetConflictError
from ml.dataset.shards import CLIPS_PER_SHARD, ShardClip, ShardRecord, ShardWriter, read_records
from ml.dataset.storage import Storage, open_storage
from ml.dataset.versions import REPLACED, recording_versions
from ml.instruments import slug_of
from ml.melspec import MelConfig, level_db
from ml.synthesis.plan import SPLITS, Split
from ml.windows import WINDOW_S, Window, window_levels

CLAIM_NAME = "import.json"

_Heard = tuple[NDArray[np.float32], NDArray[np.float32]]  # samples, and their levels (n_mels, n_frames)
ImportProgress = Callable[[str, int, int], None]  # ("reading" or "writing", done, in all); may raise to stop


@dataclass(frozen=True)
class _Clip:
    clip_id: str
    recording: FoundRecording
    window: Window


@dataclass(frozen=True)
class _Shard:
    name: str
    split: Split
    clips: tuple[_Clip, ...]


def import_folder(
    folder: Path,
    place: str | Path | Storage,
    *,
    validation_share: float = 0.2,
    seed: int = 0,
    skip_unreadable: bool = False,
    audio: bool = True,
    mel: MelConfig = MelConfig(),  # noqa: B008  frozen
    on_progress: ImportProgress | None = None,
) -> Manifest:
    """Make a data set of a folder of recordings, or finish one that was interrupted.

    Parameters
    ----------
    folder : Path
        One folder per label, of WAV, FLAC, OGG, MP3 or AIFF files.
    place : str, Path or Storage
        Where the data set goes; made when missing.
    validation_share : float
        Share of the recordings of each label that validate, in 0..1.
    seed : int
        Of the draw of those.
    skip_unreadable : bool
        Whether files that cannot be read are left out; the manifest lists them.
    audio : bool
        Whether the windows' sound is kept beside the log-mels.
    mel : MelConfig
    on_progress : callable, optional

    Returns
    -------
    Manifest
        The same whenever the same files are imported.

    Raises
    ------
    InvalidFolderError
        As for `survey_folder`, before anything is written.
    DatasetConflictError
        When the place holds something else.
    StorageError
        When the place cannot be written.

    Notes
    -----
    A recording may last two hours and have 2 GB (`ml.dataset.folder_files.LIMITS`).
    """
    storage = open_storage(place)

    def report(stage: str, done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(stage, done, total)

    survey = survey_folder(
        folder,
        validation_share=validation_share,
        seed=seed,
        skip_unreadable=skip_unreadable,
        mel=mel,
        on_progress=lambda done, total: report("reading", done, total),
    )
    versions = recording_versions()
    _claim(storage, survey, mel, audio=audio, versions=versions)
    shards = _plan_shards(survey)
    heard = functools.lru_cache(maxsize=1)(
        functools.partial(_hear, folder, mel)
    )  # long ones fill many shards
    records = read_records(storage, frozenset(shard.name for shard in shards))
    n_clips = sum(len(shard.clips) for shard in shards)
    done = sum(map(len, records.values()))
    for shard in shards:
        if shard.name not in records:
            records[shard.name] = _write_shard(shard, heard, storage, mel, audio=audio)
            done += len(shard.clips)
        report("writing", done, n_clips)
    ordered = tuple(records[shard.name] for shard in shards)
    manifest = Manifest(
        source=survey.source,
        labels=survey.labels,
        mel=mel,
        n_frames=mel.n_frames(round(WINDOW_S * mel.sample_rate_hz)),
        shards=ordered,
        occurrences=count_occurrences(ordered, survey.labels),
        versions=versions,
    )
    manifest.write(storage)
    return manifest


def _claim(
    storage: Storage, survey: Survey, mel: MelConfig, *, audio: bool, versions: dict[str, str]
) -> None:
    # what is left out makes no difference: a note that is added in between is no other folder
    source = {name: value for name, value in survey.source.to_dict().items() if name != "skipped"}
    claim = {"source": source, "mel": mel.to_dict(), "audio": audio, "versions": versions}
    if not storage.exists(CLAIM_NAME):
        if others := storage.list():
            raise DatasetConflictError(
                f"{storage} is not empty (there is {others[0]}); choose another place."
            )
        storage.write_whole(CLAIM_NAME, json.dumps(claim, indent=1).encode())
    found = json.loads(storage.read(CLAIM_NAME))
    for name in REPLACED & set(found.get("versions", ())):
        del found["versions"][name]
    if found != claim:
        raise DatasetConflictError(
            f"{storage} already holds another import (see its {CLAIM_NAME}); choose another place."
        )


def _plan_shards(survey: Survey) -> tuple[_Shard, ...]:
    name = slug_of(survey.source.name) or "recordings"
    shards: list[_Shard] = []
    index = 0
    for split in SPLITS:
        clips = []
        for recording in survey.recordings:
            for window in recording.windows if recording.split == split else ():
                clips.append(_Clip(f"{name}-{index:07d}", recording, window))
                index += 1
        for number, first in enumerate(range(0, len(clips), CLIPS_PER_SHARD)):
            shards.append(
                _Shard(f"{split}-{number:05d}", split, tuple(clips[first : first + CLIPS_PER_SHARD]))
            )
    return tuple(shards)


def _hear(folder: Path, mel: MelConfig, path: str) -> _Heard:
    samples = decode_file(folder / path, mel)
    return samples, level_db(samples, mel)


def _write_shard(
    shard: _Shard, heard: Callable[[str], _Heard], storage: Storage, mel: MelConfig, *, audio: bool
) -> ShardRecord:
    writer = ShardWriter(shard.name, shard.split)
    for recording, clips in _by_recording(shard.clips):
        samples, level = heard(recording.path)
        levels = window_levels(level, [clip.window for clip in clips]).astype(np.float16)
        for clip, clip_level in zip(clips, levels, strict=True):
            first, last = (round(s * mel.sample_rate_hz) for s in (clip.window.start_s, clip.window.end_s))
            writer.add(_shard_clip(clip, clip_level, samples[first:last], mel, audio=audio))
    return writer.write(storage)


def _by_recording(clips: tuple[_Clip, ...]) -> Iterator[tuple[FoundRecording, list[_Clip]]]:
    groups: dict[str, list[_Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.recording.sha256, []).append(clip)
    for group in groups.values():
        yield group[0].recording, group


def _shard_clip(
    clip: _Clip, level: NDArray[np.float16], samples: NDArray[np.float32], mel: MelConfig, *, audio: bool
) -> ShardClip:
    peak = float(np.abs(samples).max())
    divisor = max(1.0, peak)  # float recordings may exceed what a 16-bit file holds
    description = {
        "clip_id": clip.clip_id,
        "split": clip.recording.split,
        "file": clip.recording.path,
        "sha256": clip.recording.sha256,
        "window": asdict(clip.window),
        "sound_gain_db": 0.0 if divisor == 1.0 else round(-20.0 * float(np.log10(divisor)), 6),
    }
    line = json.dumps(description, separators=(",", ":"))
    members = {}
    if audio:
        buffer = io.BytesIO()
        soundfile.write(
            buffer, samples / np.float32(divisor), mel.sample_rate_hz, format="FLAC", subtype="PCM_16"
        )
        members = {f"{clip.clip_id}.flac": buffer.getvalue(), f"{clip.clip_id}.json": line.encode()}
    return ShardClip(clip.clip_id, line, clip.recording.labels, (), level, members=members)

"""Building a data set: instantiate the recipe, render what is missing, write the manifest.

A data set's folder holds `recipe.json` (validated), `clips.jsonl` (every clip with all choices made), the
shards (see `ml.dataset.shards`) and, once all are complete, `manifest.json`. Interrupting loses only the
shards being rendered; building again continues. Another recipe in the same folder is refused.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib.metadata import version
from pathlib import Path

from ml.dataset.manifest import Manifest, count_occurrences
from ml.dataset.shards import (
    ShardContent,
    ShardPlan,
    ShardRecord,
    plan_shards,
    read_finished,
    write_shard,
    write_whole,
)
from ml.errors import InvalidRequestError, StorageError
from ml.melspec import MelConfig
from ml.synthesis.bank_check import check_banks
from ml.synthesis.instantiate import ClipPlan, instantiate
from ml.synthesis.recipe import Recipe

VERSIONED_PACKAGES = ("numpy", "scipy", "librosa", "soundfile", "pyfluidsynth", "mido")

DatasetProgress = Callable[[int, int], None]  # (clips done, clips in all)


class DatasetConflictError(InvalidRequestError):
    """The folder already holds a data set made by another recipe or with other content."""

    code = "dataset-conflict"


def build_dataset(
    recipe: Recipe,
    folder: Path,
    *,
    n_jobs: int = 1,
    content: ShardContent = ShardContent(),  # noqa: B008  frozen
    mel: MelConfig = MelConfig(),  # noqa: B008  frozen
    on_progress: DatasetProgress | None = None,
) -> Manifest:
    """Make a recipe's data set, or finish one that was interrupted.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Made when missing.
    n_jobs : int
        Processes that render.
    content : ShardContent
        Whether sound and stems are kept beside the log-mels.
    mel : MelConfig
    on_progress : callable, optional
        Called with (clips done, clips in all) after every shard.

    Returns
    -------
    Manifest
        The same for any number of processes and interruptions.

    Raises
    ------
    SystemDependencyError
        Before anything is rendered, when FluidSynth or a SoundFont is missing.
    DatasetConflictError
        When the folder holds another data set.
    StorageError
        When the disk is full or the folder cannot be written; finished shards stay.
    """
    banks = check_banks(recipe)
    clips = tuple(instantiate(recipe))
    _claim_folder(folder, recipe, content, mel, clips)
    shards = plan_shards(clips)
    records = {shard.name: record for shard in shards if (record := read_finished(shard, folder)) is not None}
    missing = [shard for shard in shards if shard.name not in records]
    done = sum(len(record.clip_ids) for record in records.values())
    if on_progress is not None:
        on_progress(done, len(clips))
    render = functools.partial(write_shard, folder=folder, banks=banks, mel=mel, content=content)
    try:
        for record in _render_all(missing, render, n_jobs):
            records[record.name] = record
            done += len(record.clip_ids)
            if on_progress is not None:
                on_progress(done, len(clips))
    except OSError as error:
        raise StorageError(
            f"The data set in {folder} cannot be written: {error.strerror}. Finished shards stay ({done} of "
            f"{len(clips)} clips); building again continues."
        ) from error
    manifest = Manifest(
        recipe=recipe,
        recipe_sha256=recipe.digest,
        mel=mel,
        shards=tuple(records[shard.name] for shard in shards),
        occurrences=count_occurrences(clips, recipe.labels),
        soundfonts={name: bank.sha256() for name, bank in banks.items()},
        versions={package: version(package) for package in VERSIONED_PACKAGES},
    )
    manifest.write(folder)
    return manifest


def _claim_folder(
    folder: Path, recipe: Recipe, content: ShardContent, mel: MelConfig, clips: tuple[ClipPlan, ...]
) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    claim = {
        "recipe": recipe.model_dump(mode="json"),
        "mel": mel.to_dict(),
        "audio": content.audio,
        "stems": content.stems,
    }
    claim_path = folder / "recipe.json"
    if claim_path.is_file():
        if json.loads(claim_path.read_text(encoding="utf-8")) != claim:
            raise DatasetConflictError(
                f"{folder} already holds another data set (see its recipe.json); choose another folder."
            )
        return
    if any(folder.iterdir()):
        raise DatasetConflictError(f"{folder} is not empty and holds no data set; choose another folder.")
    write_whole(folder / "clips.jsonl", "".join(clip.to_json() + "\n" for clip in clips).encode())
    write_whole(claim_path, json.dumps(claim, indent=1).encode())


def _render_all(
    shards: list[ShardPlan], render: Callable[[ShardPlan], ShardRecord], n_jobs: int
) -> Iterator[ShardRecord]:
    if n_jobs == 1 or len(shards) <= 1:
        for shard in shards:
            yield render(shard)
        return
    # spawn: a forked FluidSynth or BLAS would share state with its parent
    pool = ProcessPoolExecutor(
        n_jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_calm_worker
    )
    try:
        pending: set[Future[ShardRecord]] = {pool.submit(render, shard) for shard in shards}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _calm_worker() -> None:
    """Leave Ctrl-C to the parent, and one BLAS thread to each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

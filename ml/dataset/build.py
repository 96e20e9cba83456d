"""Building a data set: plan it, build its shards in any order by anybody, finish it with the manifest.

A data set's place holds `recipe.json` (the plan, see `ml.dataset.plan`), the shards (see `ml.dataset.shards`)
and, once all are complete, `manifest.json` and `occurrences.md`. Shards are pure functions of the plan: one
process or ten on several machines of one kind write the same bytes, and building a shard twice does no harm.
Whatever interrupts, only the shards that were just being rendered are lost.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from ml.dataset.clip_files import clip_members
from ml.dataset.manifest import InvalidDatasetError, Manifest, RecipeSource
from ml.dataset.occurrences import count_occurrences
from ml.dataset.plan import (
    DatasetConflictError,
    DatasetPlan,
    ShardPlan,
    open_plan,
    plan_dataset,
)
from ml.dataset.sameness import SoundFontMismatchError, VersionMismatchError
from ml.dataset.shards import (
    CLIPS_PER_SHARD,
    ShardClip,
    ShardContent,
    ShardRecord,
    ShardWriter,
    read_record,
    read_records,
)
from ml.dataset.storage import Storage, open_storage
from ml.errors import StorageError
from ml.melspec import MelConfig, level_db
from ml.synthesis.mix import RenderedClip, render_clip
from ml.synthesis.plan import ClipPlan
from ml.synthesis.recipe import Recipe
from ml.synthesis.render import SAMPLE_RATE_HZ

__all__ = [
    "DatasetConflictError",
    "DatasetPlan",
    "IncompleteDatasetError",
    "ShardPlan",
    "SoundFontMismatchError",
    "VersionMismatchError",
    "build_dataset",
    "build_shard",
    "finish_dataset",
    "finished_shards",
    "open_plan",
    "plan_dataset",
]

CLIPS_BEING_ENCODED = 1  # beside the one that is rendered: encoding is the faster of the two

DatasetProgress = Callable[[int, int], None]  # (clips done, clips in all); may raise to stop


class IncompleteDatasetError(InvalidDatasetError):
    """A data set was to be finished while shards are missing."""

    code = "incomplete-dataset"


def build_shard(plan: DatasetPlan, name: str, on_clip: DatasetProgress | None = None) -> ShardRecord:
    """Render a shard, unless it is finished already.

    Parameters
    ----------
    plan : DatasetPlan
    name : str
        One of `plan.shards`.
    on_clip : callable, optional
        Called after every clip with (clips done, clips in all) of this shard; may raise to stop.

    Returns
    -------
    ShardRecord

    Raises
    ------
    SystemDependencyError
        When FluidSynth or a SoundFont is missing.
    StorageError
        When the disk is full; finished shards stay.
    """
    shard = plan.shard(name)
    finished = read_record(plan.storage, name)
    if finished is not None:
        return finished
    writer = ShardWriter(shard.name, shard.split)
    for done, clip in enumerate(_finished_clips(plan, plan.clips(shard)), start=1):
        writer.add(clip)
        if on_clip is not None:
            on_clip(done, len(shard))
    return writer.write(plan.storage)


def _finished_clips(plan: DatasetPlan, clips: Sequence[ClipPlan]) -> Iterator[ShardClip]:
    """Clips in their order; while one is rendered, a thread encodes the one before."""
    with ThreadPoolExecutor(1, thread_name_prefix="encoding") as background:
        pending: deque[Future[ShardClip]] = deque()
        for clip in clips:
            pending.append(background.submit(_shard_clip, plan, render_clip(clip, plan.banks)))
            if len(pending) > CLIPS_BEING_ENCODED:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _shard_clip(plan: DatasetPlan, rendered: RenderedClip) -> ShardClip:
    clip, line = rendered.plan, rendered.plan.to_json()
    stem_levels = None
    if plan.content.stems:
        stem_levels = np.stack([level_db(stem, plan.mel) for stem in rendered.stems]).astype(np.float16)
    return ShardClip(
        clip.clip_id,
        line,
        tuple(plan.recipe.labels.index(stem.instrument) for stem in clip.stems),
        tuple(sorted({stem.soundfont for stem in clip.stems})),
        level_db(rendered.mix, plan.mel).astype(np.float16),
        stem_levels,
        clip_members(rendered, line, stems=plan.content.stems) if plan.content.audio else {},
    )


def finished_shards(plan: DatasetPlan) -> dict[str, ShardRecord]:
    """The shards of a plan that are complete, by name."""
    return read_records(plan.storage, frozenset(shard.name for shard in plan.shards))


def finish_dataset(plan: DatasetPlan) -> Manifest:
    """Write the manifest of a data set whose shards are all there; doing so again changes nothing.

    Parameters
    ----------
    plan : DatasetPlan

    Returns
    -------
    Manifest

    Raises
    ------
    IncompleteDatasetError
        While shards are missing.
    StorageError
        When it cannot be written.
    """
    records = finished_shards(plan)
    missing = [shard.name for shard in plan.shards if shard.name not in records]
    if missing:
        raise IncompleteDatasetError(
            f"{len(missing)} of {len(plan.shards)} shards of {plan.storage} are missing, {missing[0]} first.",
            extra={"missing": missing},
        )
    shards = tuple(records[shard.name] for shard in plan.shards)
    manifest = Manifest(
        source=RecipeSource(plan.recipe, plan.recipe.digest, plan.soundfonts),
        labels=plan.recipe.labels,
        mel=plan.mel,
        n_frames=plan.mel.n_frames(round(plan.recipe.clip_duration_s * SAMPLE_RATE_HZ)),
        shards=shards,
        occurrences=count_occurrences(shards, plan.recipe.labels),
        versions=plan.versions,
    )
    plan.storage.sweep()
    manifest.write(plan.storage)
    return manifest


def build_dataset(
    recipe: Recipe,
    place: str | Path | Storage,
    *,
    n_jobs: int = 1,
    content: ShardContent = ShardContent(),  # noqa: B008  frozen
    mel: MelConfig = MelConfig(),  # noqa: B008  frozen
    clips_per_shard: int = CLIPS_PER_SHARD,
    on_progress: DatasetProgress | None = None,
) -> Manifest:
    """Make a recipe's data set on this machine, or finish one that was interrupted.

    Parameters
    ----------
    recipe : Recipe
    place : str, Path or Storage
        A folder or URL; made when missing.
    n_jobs : int
        Processes that render.
    content : ShardContent
        Whether sound and stems are kept beside the log-mels.
    mel : MelConfig
    clips_per_shard : int
    on_progress : callable, optional
        Called with (clips done, clips in all) before the first and after every shard; may raise to stop.

    Returns
    -------
    Manifest
        The same for any number of processes and interruptions.

    Raises
    ------
    SystemDependencyError, InvalidRecipeError, DatasetConflictError
        As for `plan_dataset`, before anything is rendered.
    StorageError
        When the disk is full or the place cannot be written; finished shards stay.
    """
    plan = plan_dataset(recipe, open_storage(place), content, mel, clips_per_shard)
    finished = finished_shards(plan)
    missing = [shard.name for shard in plan.shards if shard.name not in finished]
    done = sum(map(len, finished.values()))
    if on_progress is not None:
        on_progress(done, plan.n_clips)
    try:
        for record in _build_all(plan, missing, n_jobs):
            done += len(record)
            if on_progress is not None:
                on_progress(done, plan.n_clips)
        return finish_dataset(plan)
    except StorageError as error:
        raise type(error)(
            f"{error} Finished shards stay ({done} of {plan.n_clips} clips); building again continues."
        ) from error


def _build_all(plan: DatasetPlan, names: list[str], n_jobs: int) -> Iterator[ShardRecord]:
    if n_jobs == 1 or len(names) <= 1:
        for name in names:
            yield build_shard(plan, name)
        return
    # spawn: a forked FluidSynth or BLAS would share state with its parent
    pool = ProcessPoolExecutor(
        n_jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_process,
        initargs=(plan,),
    )
    try:
        pending: set[Future[ShardRecord]] = {pool.submit(_build_in_process, name) for name in names}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_plan_of_process: list[DatasetPlan] = []  # sent once to each process, not with every shard


def _start_process(plan: DatasetPlan) -> None:
    """Leave Ctrl-C to the parent, and one BLAS thread to each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _plan_of_process[:] = [plan]


def _build_in_process(name: str) -> ShardRecord:
    return build_shard(_plan_of_process[0], name)

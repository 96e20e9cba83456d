"""Listening: every model hears every clip, over several processes.

A process renders a clip once and lets each model classify it, so that models are compared on the same sound.
What comes back is in the order of the clips, whatever the number of processes.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.classification import Classification
from ml.evaluation.clips import Clip, ClipSet
from ml.model import Model, load_model
from ml.processes import calm, one_thread

_CHUNK_CLIPS = 4  # clips handed to a process at once

Progress = Callable[[int, int], None]  # (clips done, clips in all); may raise to stop


@dataclass(frozen=True)
class Heard:
    """What one model made of a set of clips.

    Attributes
    ----------
    clip_set : ClipSet
    labels : tuple of str
    truth : ndarray of bool, shape (n_clips, n_labels)
        What is known to play.
    probabilities : ndarray of float64, shape (n_clips, n_labels)
        Over each whole clip.
    present : ndarray of bool, shape (n_clips, n_labels)
        Whether that reached the model's own threshold.
    timelines : tuple of ndarray of float64, each of shape (n_windows, n_labels)
        Probabilities window by window.
    answers : tuple of Classification
        What the clips gave back, one each: clips of some suites say more than which instruments play.
    """

    clip_set: ClipSet
    labels: tuple[str, ...]
    truth: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]
    timelines: tuple[NDArray[np.float64], ...]
    answers: tuple[Classification, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)


def hear(
    model_folders: Sequence[Path],
    clip_sets: Sequence[ClipSet],
    labels: tuple[str, ...],
    *,
    n_jobs: int = 1,
    device: str = "cpu",
    on_progress: Progress | None = None,
) -> tuple[tuple[Heard, ...], ...]:
    """Let models hear sets of clips.

    Parameters
    ----------
    model_folders : sequence of Path
        All of the same labels, in any order.
    clip_sets : sequence of ClipSet
    labels : tuple of str
        The order of labels in the result.
    n_jobs : int
        Processes; 1 works in this one.
    device : {"auto", "cpu", "cuda"}
    on_progress : callable, optional

    Returns
    -------
    tuple of tuple of Heard
        `[set][model]`.

    Raises
    ------
    TimbrescopeError
        When a model cannot be loaded, a file not be decoded or a clip not be rendered.
    """
    clips = [clip for clip_set in clip_sets for clip in clip_set.clips]
    answers: list[tuple[Classification, ...]] = []
    for answer in _answers(tuple(model_folders), clips, n_jobs, device):
        answers.append(answer)
        if on_progress is not None:
            on_progress(len(answers), len(clips))
    result, first = [], 0
    for clip_set in clip_sets:
        part = answers[first : first + len(clip_set.clips)]
        first += len(clip_set.clips)
        result.append(
            tuple(
                _collect(clip_set, labels, [answer[model] for answer in part])
                for model in range(len(model_folders))
            )
        )
    return tuple(result)


def _answers(
    model_folders: tuple[Path, ...], clips: Sequence[Clip], n_jobs: int, device: str
) -> Iterator[tuple[Classification, ...]]:
    if n_jobs == 1:
        models = tuple(load_model(folder, device) for folder in model_folders)
        with one_thread():
            for clip in clips:
                yield clip.classifications(models)
        return
    # spawn: a forked FluidSynth, BLAS or CUDA would share state with its parent
    pool = ProcessPoolExecutor(n_jobs, multiprocessing.get_context("spawn"), calm)
    listen = functools.partial(_listen_here, model_folders, device)
    try:
        yield from pool.map(listen, clips, chunksize=_CHUNK_CLIPS)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _listen_here(model_folders: tuple[Path, ...], device: str, clip: Clip) -> tuple[Classification, ...]:
    return clip.classifications([loaded(folder, device) for folder in model_folders])


@functools.cache
def loaded(folder: Path, device: str) -> Model:
    """A model, loaded once per process."""
    return load_model(folder, device)


def _collect(clip_set: ClipSet, labels: tuple[str, ...], answers: Sequence[Classification]) -> Heard:
    scores = [{score.instrument: score for score in answer.instruments} for answer in answers]
    return Heard(
        clip_set=clip_set,
        labels=labels,
        truth=np.array([[label in clip.playing for label in labels] for clip in clip_set.clips]),
        probabilities=np.array([[clip[label].probability for label in labels] for clip in scores]),
        present=np.array([[clip[label].present for label in labels] for clip in scores]),
        timelines=tuple(
            np.array([[window.probabilities[label] for label in labels] for window in answer.timeline])
            for answer in answers
        ),
        answers=tuple(answers),
    )

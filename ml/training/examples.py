"""Where a run's examples come from: clips as they are, or parts mixed anew.

An epoch is a numbered sequence of steps; what step `k` of epoch `e` holds is decided by (seed, e, k) alone,
so a run that stops between two steps goes on exactly.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from ml.dataset.manifest import InvalidDatasetError
from ml.dataset.reader import SplitReader
from ml.training.augment import Augmentation
from ml.training.config import TrainingConfig
from ml.training.mixing import mix_pairs
from ml.training.parts import Parts, find_parts
from ml.training.remix import Examples, RemixPlan, draw_examples

_AHEAD = 2  # batches prepared while the network works on another
_VALIDATION_STEP = 0xF17ED  # names the generator of validation examples
VALIDATION_GAIN_DB = 3.0
ASKED_SHARE = 1 / 3  # of a batch's examples whose relevance is supervised, where any is
LEAST_VALIDATION_EXAMPLES = 400
LEAST_POSITIVE_WEIGHT = 1e-3  # of a label that is in every clip


class ExampleSource(ABC):
    """Training examples, step by step, and validation examples, always the same."""

    def __init__(self, config: TrainingConfig, n_per_epoch: int) -> None:
        self.config = config
        self.steps_per_epoch = math.ceil(n_per_epoch / config.batch_size)

    @abstractmethod
    def step(self, epoch: int, step: int) -> Examples:
        """Examples of one step; epochs and steps are counted from 1 and 0."""

    @abstractmethod
    def validation(self) -> Iterator[Examples]:
        """The validation examples, in batches."""

    @abstractmethod
    def positive_weights(self) -> NDArray[np.float64]:
        """What a positive example counts in the loss, by label, `(n_labels,)`."""

    def epoch(self, epoch: int, first_step: int) -> Iterator[Examples]:
        """The examples of an epoch from a step on; prepared in the background."""
        with ThreadPoolExecutor(1, thread_name_prefix="examples") as background:
            pending: list[Future[Examples]] = []
            try:
                for step in range(first_step, self.steps_per_epoch + _AHEAD):
                    if step < self.steps_per_epoch:
                        pending.append(background.submit(self.step, epoch, step))
                    if step >= first_step + _AHEAD and pending:
                        yield pending.pop(0).result()
                while pending:
                    yield pending.pop(0).result()
            finally:
                for future in pending:
                    future.cancel()

    def generator(self, epoch: int, step: int) -> np.random.Generator:
        """The generator that decides a step."""
        return np.random.default_rng([self.config.seed, epoch, step])


class ClipExamples(ExampleSource):
    """Clips as they are, in an order drawn per epoch; some with another one added."""

    def __init__(self, training: SplitReader, validation: SplitReader, config: TrainingConfig) -> None:
        super().__init__(config, len(training))
        self._training, self._validation = training, validation
        self._order: tuple[int, NDArray[np.intp]] | None = None

    def step(self, epoch: int, step: int) -> Examples:
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self._training))
            self._order = (epoch, order)
        first = step * self.config.batch_size
        chosen = self._order[1][first : first + self.config.batch_size]
        examples = _whole_clips(self._training, chosen)
        levels, labels = mix_pairs(
            examples.levels_db, examples.labels, self.config.mix_probability, self.generator(epoch, step)
        )
        return Examples(levels, labels)

    def validation(self) -> Iterator[Examples]:
        for first in range(0, len(self._validation), self.config.batch_size):
            last = min(first + self.config.batch_size, len(self._validation))
            yield _whole_clips(self._validation, np.arange(first, last))

    def positive_weights(self) -> NDArray[np.float64]:
        """Absent / present clips of each label; 1 for a label that never occurs."""
        n_clips, present = len(self._training), self._training.labels.sum(axis=0)
        weights = np.where(present > 0, (n_clips - present) / np.maximum(present, 1), 1.0)
        return np.maximum(weights, LEAST_POSITIVE_WEIGHT)


class RemixedExamples(ExampleSource):
    """Parts mixed anew for every step; validation examples are mixed plainly, in whole clips."""

    def __init__(
        self, training: Parts, validation: Parts, config: TrainingConfig, frames_per_step: int
    ) -> None:
        super().__init__(config, config.examples_per_epoch or len(training))
        mel = training.reader.manifest.mel
        n_frames = training.reader.n_frames
        cropped = (
            n_frames if config.crop_s is None else mel.n_frames(round(config.crop_s * mel.sample_rate_hz))
        )
        self._training, self._validation = training, validation
        self._plan = RemixPlan(
            config.number_weights,
            config.soundfont_weights,
            config.gain_db,
            min(cropped, n_frames),
            frames_per_step,
            round(ASKED_SHARE * config.batch_size) if config.relevance_weight > 0.0 else 0,
            Augmentation(mel) if config.augment else None,
        )
        self._plain = RemixPlan(
            config.number_weights, {}, VALIDATION_GAIN_DB, n_frames, frames_per_step, self._plan.n_asked, None
        )

    def step(self, epoch: int, step: int) -> Examples:
        return draw_examples(self._training, self.config.batch_size, self._plan, self.generator(epoch, step))

    def validation(self) -> Iterator[Examples]:
        n_examples = max(LEAST_VALIDATION_EXAMPLES, len(self._validation))
        for first in range(0, n_examples, self.config.batch_size):
            n = min(self.config.batch_size, n_examples - first)
            rng = np.random.default_rng([self.config.seed, _VALIDATION_STEP, first])
            yield draw_examples(self._validation, n, self._plain, rng)

    def positive_weights(self) -> NDArray[np.float64]:
        """1 for every label: parts are drawn evenly, and probabilities should say how often they sound."""
        return np.ones(self._training.n_labels)


def open_examples(
    training: SplitReader, validation: SplitReader | None, config: TrainingConfig, frames_per_step: int
) -> ExampleSource:
    """The examples that a configuration asks for.

    Parameters
    ----------
    training : SplitReader
    validation : SplitReader or None
        Not needed where SoundFonts are left out: their sounds validate.
    config : TrainingConfig
    frames_per_step : int
        Frames of one evidence step of the network.

    Returns
    -------
    ExampleSource

    Raises
    ------
    InvalidDatasetError
        When the data set does not have what the configuration needs.
    """
    if config.left_out_soundfonts and not config.remix:
        raise InvalidDatasetError("left_out_soundfonts needs remix: whole clips may mix SoundFonts.")
    if not config.remix:
        if validation is None:
            raise InvalidDatasetError("The data set has no validation clips.")
        return ClipExamples(training, validation, config)
    left_out = frozenset(config.left_out_soundfonts)
    unknown = left_out - set(training.soundfonts.tolist())
    if unknown:
        raise InvalidDatasetError(f"No training clip is played by {', '.join(sorted(unknown))}.")
    if left_out:
        others = frozenset(training.soundfonts.tolist()) - left_out
        if not others:
            raise InvalidDatasetError("Every SoundFont is left out; nothing is left to train on.")
        return RemixedExamples(
            find_parts(training, others), find_parts(training, left_out), config, frames_per_step
        )
    if validation is None:
        raise InvalidDatasetError("The data set has no validation clips.")
    return RemixedExamples(find_parts(training), find_parts(validation), config, frames_per_step)


def _whole_clips(reader: SplitReader, chosen: NDArray[np.intp]) -> Examples:
    levels = torch.from_numpy(reader.clips(chosen)).float()
    return Examples(levels, torch.from_numpy(reader.labels[chosen]).float())

"""Classification: which instruments play, overall and window by window.

A recording's probability is the highest over its windows. An instrument is present when it reaches the
model's own threshold for it, or the threshold that was asked for. In a silent window every probability is 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.melspec import MelConfig, level_db
from ml.model import Model
from ml.recording import Recording
from ml.windows import Window, cut_windows, window_inputs, window_levels

Progress = Callable[[str, int, int], None]  # (stage, done, total); may raise to cancel
_PROGRESS_WINDOWS = 8  # windows between two reports


@dataclass(frozen=True)
class InstrumentScore:
    """One instrument's probability over the whole recording, and whether that counts as present."""

    instrument: str
    probability: float
    present: bool


@dataclass(frozen=True)
class WindowScore:
    """Probabilities in one window, by instrument."""

    start_s: float
    end_s: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Classification:
    """Instruments by falling probability, the timeline of windows, and the threshold that was asked for (None
    for the model's own).
    """

    instruments: tuple[InstrumentScore, ...]
    timeline: tuple[WindowScore, ...]
    threshold: float | None = field(default=None, kw_only=True)

    @property
    def found(self) -> tuple[str, ...]:
        """Names of the instruments that are present, by falling probability."""
        return tuple(score.instrument for score in self.instruments if score.present)


@dataclass(frozen=True)
class ListenedWindows:
    """What the network made of a recording.

    Attributes
    ----------
    windows : tuple of Window
    levels_db : ndarray of float32, shape (n_mels, n_frames)
        The whole recording's log-mel.
    mel : MelConfig
    silent : ndarray of bool, shape (n_windows,)
    logits : ndarray of float32, shape (n_windows, n_labels)
    """

    windows: tuple[Window, ...]
    levels_db: NDArray[np.float32]
    mel: MelConfig
    silent: NDArray[np.bool_]
    logits: NDArray[np.floating]

    @functools.cached_property
    def inputs(self) -> NDArray[np.float32]:
        """What the network saw, `(n_windows, n_mels, window_frames)`; made when it is asked for, since all
        windows of a long recording take twice the room of its log-mel.
        """
        return window_inputs(window_levels(self.levels_db, self.windows), self.mel)[0]


def listen(model: Model, recording: Recording, on_progress: Progress | None = None) -> ListenedWindows:
    """Run the network over a recording's windows.

    Parameters
    ----------
    model : Model
    recording : Recording
        At the model's sample rate.
    on_progress : callable, optional
        Called with ("classifying", windows done, windows in all).

    Raises
    ------
    InvalidRequestError
        When the recording is empty or at another rate.
    """
    if recording.sample_rate_hz != model.sample_rate_hz:
        raise InvalidRequestError(
            f"The model takes {model.sample_rate_hz} Hz, not {recording.sample_rate_hz} Hz."
        )
    if len(recording.samples) == 0:
        raise InvalidRequestError("The recording is empty.")
    levels_db = level_db(recording.samples, model.mel)
    return listen_to_levels(model, levels_db, cut_windows(recording.duration_s, model.mel), on_progress)


def listen_to_levels(
    model: Model,
    levels_db: NDArray[np.float32],
    windows: Sequence[Window],
    on_progress: Progress | None = None,
) -> ListenedWindows:
    """Run the network over windows of a log-mel, some at a time.

    Parameters
    ----------
    model : Model
    levels_db : ndarray of float32, shape (n_mels, n_frames)
    windows : sequence of Window
        At least one.
    on_progress : callable, optional
        As for `listen`.
    """
    logits, silent = [], []
    for first in range(0, len(windows), _PROGRESS_WINDOWS):
        if on_progress is not None:
            on_progress("classifying", first, len(windows))
        some = windows[first : first + _PROGRESS_WINDOWS]
        inputs, are_silent = window_inputs(window_levels(levels_db, some), model.mel)
        logits.append(model.logits(inputs))
        silent.append(are_silent)
    if on_progress is not None:
        on_progress("classifying", len(windows), len(windows))
    return ListenedWindows(
        tuple(windows), levels_db, model.mel, np.concatenate(silent), np.concatenate(logits)
    )


def classify(
    model: Model, recording: Recording, *, threshold: float | None = None, on_progress: Progress | None = None
) -> Classification:
    """Say which instruments play.

    Parameters
    ----------
    model : Model
    recording : Recording
        At the model's sample rate.
    threshold : float, optional
        Probability in 0..1 from which an instrument is present; by default the model's own for each.
    on_progress : callable, optional

    Returns
    -------
    Classification

    Raises
    ------
    InvalidRequestError
        When the threshold is outside 0..1, or the recording is empty or at another rate.
    """
    check_threshold(threshold)
    return judge(model, listen(model, recording, on_progress), recording.start_s, threshold)


def judge(model: Model, heard: ListenedWindows, offset_s: float, threshold: float | None) -> Classification:
    """Turn what the network made of a recording into a classification.

    Parameters
    ----------
    model : Model
    heard : ListenedWindows
    offset_s : float
        Added to the windows' times: where the recording begins in the original.
    threshold : float or None
        Probability from which an instrument is present; None for the model's own thresholds.

    Returns
    -------
    Classification
    """
    probabilities = window_probabilities(model, heard)
    labels = model.card.labels
    overall = {
        label: InstrumentScore(
            label,
            float(highest),
            bool(highest >= (model.card.thresholds[label] if threshold is None else threshold)),
        )
        for label, highest in zip(labels, probabilities.max(axis=0), strict=True)
    }
    if heard.silent.all():
        overall = {label: InstrumentScore(label, 0.0, present=False) for label in labels}
    timeline = tuple(
        WindowScore(
            window.start_s + offset_s,
            window.end_s + offset_s,
            dict(zip(labels, (float(p) for p in row), strict=True)),
        )
        for window, row in zip(heard.windows, probabilities, strict=True)
    )
    by_probability = tuple(sorted(overall.values(), key=lambda score: -score.probability))
    return Classification(by_probability, timeline, threshold=threshold)


def window_probabilities(model: Model, heard: ListenedWindows) -> NDArray[np.float64]:
    """Probability of each label in each window, as the model's card calibrates it; 0 in silence.

    Parameters
    ----------
    model : Model
    heard : ListenedWindows

    Returns
    -------
    ndarray of float64, shape (n_windows, n_labels)
    """
    of_windows = model.card.calibration.probabilities(heard.logits, model.card.labels)
    probabilities: NDArray[np.float64] = np.where(heard.silent[:, None], 0.0, of_windows)
    return probabilities


def check_threshold(threshold: float | None) -> None:
    """Refuse a threshold outside 0..1.

    Raises
    ------
    InvalidRequestError
    """
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InvalidRequestError(f"The threshold {threshold} is outside 0..1.")

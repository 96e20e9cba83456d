"""What each stem really does to a logit: exact Shapley values over the stems of a mix.

The players are the stems, the game's value is a logit of the mix of those present (and of what belongs to no
stem, which is always there). Absent stems are removed from the waveform, and every mix is scaled with the
level reference of the full one, so that what remains does not become louder. Shapley (*Contributions to the
Theory of Games* II, 1953):

``phi_j = sum_{S without j} |S|! (n - |S| - 1)! / n! * (v(S + j) - v(S))``,

the mean of what stem `j` adds over all orders in which stems can enter. All ``2^n`` mixes are heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.melspec import level_db, reference_levels, scaled
from ml.model import Model
from ml.recording import Recording
from ml.truth.stems import Stem, joined_stems, mix_samples
from ml.windows import cut_windows, window_levels

MAX_PLAYERS = 8  # 256 mixes
_LEAST_SPREAD = 1e-12  # variance below which values count as equal


@dataclass(frozen=True)
class Coalitions:
    """Logits of every mix that some of the stems make.

    Attributes
    ----------
    instruments : tuple of str
        The stems, in order.
    logits : ndarray of float64, shape (2 ** n_stems, n_labels)
        Row `S` is the mix of the stems whose bit is set in `S` (stem 0 is the lowest bit): the mean over the
        windows in which the full mix sounds; zeros where none does.
    """

    instruments: tuple[str, ...]
    logits: NDArray[np.float64]


def shapley_values(
    model: Model,
    stems: Sequence[Stem],
    residual: Recording | None = None,
    *,
    on_mix: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Shapley values of a clip's logits over its stems.

    Parameters
    ----------
    model : Model
    stems : sequence of Stem
        Several of one instrument count as one (`ml.truth.stems.joined_stems`).
    residual : Recording, optional
        What belongs to no stem: part of every mix.
    on_mix : callable, optional
        Called with the number of mixes just heard; may raise to stop.

    Returns
    -------
    ndarray of float64, shape (n_stems, n_labels)
        In units of the logit, for each of the model's labels; they add up over stems to the logit of all less
        that of none.

    Raises
    ------
    InvalidRequestError
        When the stems do not fit together, or are of more than `MAX_PLAYERS` instruments.
    """
    return shapley_of(hear_coalitions(model, stems, residual, on_mix=on_mix).logits)


def hear_coalitions(
    model: Model,
    stems: Sequence[Stem],
    residual: Recording | None = None,
    *,
    on_mix: Callable[[int], None] | None = None,
) -> Coalitions:
    """Hear every mix that some of the stems make; parameters and errors as for `shapley_values`."""
    joined = joined_stems(stems, model.sample_rate_hz, residual)
    if len(joined) > MAX_PLAYERS:
        raise InvalidRequestError(
            f"Shapley values over {len(joined)} stems would take {2 ** len(joined)} mixes; "
            f"at most {MAX_PLAYERS} stems can be told apart."
        )
    everything = mix_samples(joined, residual)
    windows = cut_windows(joined[0].recording.duration_s, model.mel)
    full = window_levels(level_db(everything, model.mel), windows)
    sounding = full.max(axis=(1, 2)) >= model.mel.quietest_peak_db
    reference_db = reference_levels(full[sounding], model.mel) if sounding.any() else None
    n_mixes = 2 ** len(joined)
    logits = np.zeros((n_mixes, len(model.card.labels)))
    for coalition in range(n_mixes if sounding.any() else 0):
        present = [stem for place, stem in enumerate(joined) if (coalition >> place) & 1]
        mix = mix_samples(present, residual) if present or residual else np.zeros_like(everything)
        levels = window_levels(level_db(mix, model.mel), windows)[sounding]
        logits[coalition] = model.logits(scaled(levels, model.mel, reference_db)).mean(
            axis=0, dtype=np.float64
        )
        if on_mix is not None:
            on_mix(1)
    return Coalitions(tuple(stem.instrument for stem in joined), logits)


def shapley_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shapley values of a game.

    Parameters
    ----------
    values : ndarray of float64, shape (2 ** n_players, ...)
        The value of each coalition; bit `j` of the row's number says whether player `j` is in it.

    Returns
    -------
    ndarray of float64, shape (n_players, ...)
        They add up to the value of all less that of none.
    """
    n_players = len(values).bit_length() - 1
    coalitions = np.arange(len(values))
    sizes = np.array([int(coalition).bit_count() for coalition in coalitions])
    orders = np.array(
        [
            factorial(size) * factorial(n_players - size - 1) / factorial(n_players)
            for size in range(n_players)
        ]
    )
    shapley = np.empty((n_players, *values.shape[1:]))
    for player in range(n_players):
        without = coalitions[(coalitions >> player) & 1 == 0]
        added = values[without | (1 << player)] - values[without]
        shapley[player] = np.tensordot(orders[sizes[without]], added, axes=1)
    return shapley


def shapley_correlation(stem_relevance: NDArray[np.floating], shapley: NDArray[np.floating]) -> float:
    """Pearson's correlation of the relevance on stems with what the stems really do, pooled.

    Parameters
    ----------
    stem_relevance : ndarray, shape (n,)
        Signed relevance share on a stem (`MapScores.stem_relevance`), for every clip, explained instrument
        and stem.
    shapley : ndarray, shape (n,)
        The stem's Shapley value of that instrument's logit, in units of the logit. Neither side is
        normalised within a clip: a stem that makes much of a logit has to hold much of its map.

    Returns
    -------
    float
        -1..1; NaN for fewer than two values, or where either side is constant.
    """
    if len(stem_relevance) < 2 or min(np.var(stem_relevance), np.var(shapley)) < _LEAST_SPREAD:
        return float("nan")
    return float(np.corrcoef(stem_relevance, shapley)[0, 1])

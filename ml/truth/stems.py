"""Which cell of a mix's spectrogram is whose, measured from its stems.

Conventions: arrays are `(n_mels, n_frames)` on the grid of the recording's log-mel (`ml.melspec`), stems come
first where there are several, in the order in which their instruments first appear. ``P_j`` is the mel power
of stem `j`, ``m_c = P_c / (sum_j P_j + P_rest)`` the share of a cell that instrument `c` owns, where the rest
is what belongs to no stem. A cell is *active* when the mix (the sum of the waveforms) reaches it within
`ACTIVE_DB` of its loudest cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError
from ml.melspec import SILENCE_DB, MelConfig, level_db
from ml.recording import Recording, Stem

__all__ = ["ACTIVE_DB", "MAX_STEMS", "Stem", "StemTruth", "joined_stems", "mix_samples", "stem_truth"]

ACTIVE_DB = 60.0
MAX_STEMS = 16  # different instruments; arrays grow with them


@dataclass(frozen=True)
class StemTruth:
    """Who owns what in a mix.

    Attributes
    ----------
    instruments : tuple of str
        One for each stem, all different.
    power : ndarray of float64, shape (n_stems, n_mels, n_frames)
        Mel power of each stem; 0 in silence.
    rest_power : ndarray of float64, shape (n_mels, n_frames)
        What belongs to no stem.
    shares : ndarray of float64, shape (n_stems, n_mels, n_frames)
        ``m_c``, 0..1; 0 where nothing sounds.
    active : ndarray of bool, shape (n_mels, n_frames)
    energy_shares : ndarray of float64, shape (n_stems,)
        ``E_c``: the share of the energy in the active cells that each stem owns; 0 where nothing sounds.
    """

    instruments: tuple[str, ...]
    power: NDArray[np.float64]
    rest_power: NDArray[np.float64]
    shares: NDArray[np.float64]
    active: NDArray[np.bool_]
    energy_shares: NDArray[np.float64]

    def index(self, instrument: str) -> int:
        """Place of an instrument's stem; raises `InvalidRequestError` when it has none."""
        if instrument not in self.instruments:
            raise InvalidRequestError(
                f"There is no stem of {instrument!r}; there are {', '.join(self.instruments)}."
            )
        return self.instruments.index(instrument)

    @property
    def rest_share(self) -> NDArray[np.float64]:
        """The share of each cell that belongs to no stem, `(n_mels, n_frames)`, 0 where nothing sounds."""
        total = self.power.sum(axis=0) + self.rest_power
        share: NDArray[np.float64] = np.divide(
            self.rest_power, total, out=np.zeros_like(total), where=total > 0.0
        )
        return share

    def true_mask(self, instrument: str, *, soft: bool = False) -> NDArray[np.float64]:
        """The map that tells the truth about an instrument, the ceiling of what maps can score.

        Parameters
        ----------
        instrument : str
        soft : bool
            The instrument's share of each active cell; else 1 where it owns more than half, 0 elsewhere.

        Returns
        -------
        ndarray of float64, shape (n_mels, n_frames)
            0..1; 0 where nothing is active.
        """
        share: NDArray[np.float64] = self.shares[self.index(instrument)] * self.active
        return share if soft else (share > 0.5).astype(np.float64)


def stem_truth(stems: Sequence[Stem], mel: MelConfig, residual: Recording | None = None) -> StemTruth:
    """Measure who owns what in the sum of some stems.

    Parameters
    ----------
    stems : sequence of Stem
        Of equal length, at the front end's sample rate. Several of one instrument count as one, their sum.
    mel : MelConfig
    residual : Recording, optional
        What the mix holds beside the stems (noise, sounds of other instruments).

    Returns
    -------
    StemTruth

    Raises
    ------
    InvalidRequestError
        When there are no stems or those of more than `MAX_STEMS` instruments, when they are empty, or when
        they differ in length or sample rate.
    """
    joined = joined_stems(stems, mel.sample_rate_hz, residual)
    power = np.stack([_mel_power(stem.recording, mel) for stem in joined])
    rest_power = _mel_power(residual, mel) if residual is not None else np.zeros_like(power[0])
    mix_db = level_db(mix_samples(joined, residual), mel)
    active = (mix_db > SILENCE_DB) & (mix_db >= mix_db.max() - ACTIVE_DB)
    total = power.sum(axis=0) + rest_power
    shares = np.divide(power, total, out=np.zeros_like(power), where=total > 0.0)
    energy = float(total[active].sum())
    energy_shares = power[:, active].sum(axis=1) / energy if energy > 0.0 else np.zeros(len(joined))
    instruments = tuple(stem.instrument for stem in joined)
    return StemTruth(instruments, power, rest_power, shares, active, energy_shares)


def joined_stems(
    stems: Sequence[Stem], sample_rate_hz: int, residual: Recording | None = None
) -> tuple[Stem, ...]:
    """One stem for each instrument, in the order of first appearance; those of one instrument are summed.

    Parameters
    ----------
    stems : sequence of Stem
    sample_rate_hz : int
        At which they have to be.
    residual : Recording, optional
        Checked against the stems.

    Raises
    ------
    InvalidRequestError
        As for `stem_truth`.
    """
    if not stems:
        raise InvalidRequestError("There are no stems.")
    named = [(f"The stem of {stem.instrument!r}", stem.recording) for stem in stems]
    if residual is not None:
        named.append(("What belongs to no stem", residual))
    n_samples = len(stems[0].recording.samples)
    if n_samples == 0:
        raise InvalidRequestError("The stems are empty.")
    for name, recording in named:
        if recording.sample_rate_hz != sample_rate_hz:
            raise InvalidRequestError(
                f"{name} is at {recording.sample_rate_hz} Hz, not at {sample_rate_hz} Hz."
            )
        if len(recording.samples) != n_samples:
            raise InvalidRequestError(
                f"{name} has {len(recording.samples)} samples, but the stem of {stems[0].instrument!r} has "
                f"{n_samples}: the stems of a mix are of equal length."
            )
    by_instrument: dict[str, Recording] = {}
    for stem in stems:
        before = by_instrument.get(stem.instrument)
        together = stem.recording.samples if before is None else before.samples + stem.recording.samples
        by_instrument[stem.instrument] = replace(before or stem.recording, samples=together)
    if len(by_instrument) > MAX_STEMS:
        raise InvalidRequestError(
            f"There are stems of {len(by_instrument)} instruments; at most {MAX_STEMS} can be told apart."
        )
    return tuple(Stem(instrument, recording) for instrument, recording in by_instrument.items())


def mix_samples(stems: Sequence[Stem], residual: Recording | None = None) -> NDArray[np.float32]:
    """The sum of some stems and the residual, `(n_samples,)`; of at least one of them."""
    parts = [stem.recording.samples for stem in stems]
    if residual is not None:
        parts.append(residual.samples)
    mix: NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
    return mix


def _mel_power(recording: Recording, mel: MelConfig) -> NDArray[np.float64]:
    levels = level_db(recording.samples, mel).astype(np.float64)
    power: NDArray[np.float64] = np.where(levels > SILENCE_DB, 10.0 ** (levels / 10.0), 0.0)
    return power

"""Which notes the evidence lies on: relevance maps summed over time and harmonics of the notes played.

Conventions: a note claims cells of the spectrogram, `(n_mels, n_frames)`, in proportion to a weight: in each
band the sum over the note's harmonics `h` of ``1 / h`` times their closeness to the band (1 on it, falling to
0 `REACH_BANDS` beside it; partials of instruments fall off at about that rate, 6 dB per octave), in each
frame 1 while the note sounds, falling to 0 within `RELEASE_S` after its end. A cell's relevance is shared
among the notes that claim it in proportion to their weights, whoever plays them; what no note claims is
stated apart, so that all together add up to the map. Equal temperament, A4 = 440 Hz; bends of pitch are not
followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.errors import InvalidRequestError

N_PITCHES = 128
REACH_BANDS = 1.5  # a partial between two bands is heard in both, and the window smears it a little further
ONSET_S = 0.03  # before its start: half of the window of the Fourier transform, and some rounding
RELEASE_S = 0.3


@dataclass(frozen=True)
class PlayedNote:
    """One note of a score; `instrument` is None for what the vocabulary does not know. A drum's `pitch` is
    its key: it sounds at no pitch, so it claims nothing.
    """

    instrument: str | None
    pitch: int
    start_s: float
    end_s: float
    is_drum: bool = False


@dataclass(frozen=True)
class NoteRelevance:
    """A note and what of a map lies on it: signed, and as a share of the sum of the map's magnitudes."""

    note: PlayedNote
    relevance: float
    share: float


@dataclass(frozen=True)
class NotesEvidence:
    """A map, shared among notes.

    Attributes
    ----------
    notes : tuple of NoteRelevance
        In the order of the score.
    off_relevance, off_share : float
        What lies on no note. With the notes' relevance it adds up to the sum of the map.
    """

    notes: tuple[NoteRelevance, ...]
    off_relevance: float
    off_share: float


def notes_within(notes: Sequence[PlayedNote], start_s: float, end_s: float) -> tuple[PlayedNote, ...]:
    """The notes that sound in a part of a piece, drums among them.

    Parameters
    ----------
    notes : sequence of PlayedNote
    start_s, end_s : float

    Raises
    ------
    InvalidRequestError
        When none does.
    """
    within = tuple(note for note in notes if note.start_s < end_s and note.end_s > start_s)
    if not within:
        raise InvalidRequestError(
            f"The MIDI file has no notes from {start_s:.2f} s to {end_s:.2f} s.",
            extra={"start_s": start_s, "end_s": end_s},
        )
    return within


@dataclass(frozen=True)
class NoteClaims:
    """Who claims which cell, for any number of maps of the same part.

    Attributes
    ----------
    notes : tuple of PlayedNote
        Those at a pitch.
    bands : ndarray of float64, shape (N_PITCHES, n_mels)
        Weight of a note of each pitch in each band.
    times_s : ndarray of float64, shape (n_frames,)
        Centres of the frames, rising.
    total : ndarray of float64, shape (n_mels, n_frames)
        The weights of all notes together.
    """

    notes: tuple[PlayedNote, ...]
    bands: NDArray[np.float64]
    times_s: NDArray[np.float64]
    total: NDArray[np.float64]

    @staticmethod
    def of(
        notes: Sequence[PlayedNote], frequencies_hz: NDArray[np.floating], times_s: NDArray[np.floating]
    ) -> NoteClaims:
        """Measure the claims of notes.

        Parameters
        ----------
        notes : sequence of PlayedNote
            Drums are passed over.
        frequencies_hz : ndarray, shape (n_mels,)
            Centres of the bands.
        times_s : ndarray, shape (n_frames,)
            Centres of the frames, on the notes' clock, rising.
        """
        bands, clock_s = pitch_bands(frequencies_hz), times_s.astype(np.float64)
        pitched = tuple(note for note in notes if not note.is_drum)
        of_pitches = np.zeros((N_PITCHES, len(clock_s)))
        for note in pitched:
            frames, weights = _frames_of(note, clock_s)
            of_pitches[note.pitch, frames] += weights
        return NoteClaims(pitched, bands, clock_s, bands.T @ of_pitches)

    def share(self, relevance: NDArray[np.floating]) -> NotesEvidence:
        """Share a map among the notes.

        Parameters
        ----------
        relevance : ndarray, shape (n_mels, n_frames)
            Signed.
        """
        signed = relevance.astype(np.float64)
        magnitude = float(np.abs(signed).sum()) or 1.0
        per_weight = np.divide(signed, self.total, out=np.zeros_like(signed), where=self.total > 0.0)
        of_pitches = self.bands @ per_weight  # (N_PITCHES, n_frames)
        found = []
        for note in self.notes:
            frames, weights = _frames_of(note, self.times_s)
            amount = float(of_pitches[note.pitch, frames] @ weights)
            found.append(NoteRelevance(note, amount, amount / magnitude))
        off = float(signed[self.total <= 0.0].sum())
        return NotesEvidence(tuple(found), off, off / magnitude)


def _frames_of(note: PlayedNote, times_s: NDArray[np.float64]) -> tuple[slice, NDArray[np.float64]]:
    """The frames in which a note sounds, and its weights there. (Of all frames, those of a dense score would
    take gigabytes.)
    """
    first, behind = np.searchsorted(times_s, [note.start_s - ONSET_S, note.end_s + RELEASE_S])
    frames = slice(int(first), int(behind))
    return frames, np.clip((note.end_s + RELEASE_S - times_s[frames]) / RELEASE_S, 0.0, 1.0)


def pitch_bands(frequencies_hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """How much each band hears of each pitch's harmonics.

    Parameters
    ----------
    frequencies_hz : ndarray, shape (n_mels,)
        Centres of the bands, rising.

    Returns
    -------
    ndarray of float64, shape (N_PITCHES, n_mels)
        Weights as stated above.
    """
    n_mels = len(frequencies_hz)
    places = np.arange(n_mels)
    weights = np.zeros((N_PITCHES, n_mels))
    for pitch in range(N_PITCHES):
        fundamental_hz = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
        number = np.arange(1, int(frequencies_hz[-1] / fundamental_hz) + 1)
        bands = np.interp(number * fundamental_hz, frequencies_hz, places)  # fractional, (n_harmonics,)
        closeness = np.clip(1.0 - np.abs(places - bands[:, None]) / REACH_BANDS, 0.0, None)
        weights[pitch] = (closeness / number[:, None]).sum(axis=0)
    return weights

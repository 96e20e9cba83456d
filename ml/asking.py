"""Asking: what may be asked of an explanation, which part of a recording that is about, and how it is to be
computed. Everything that only the model or the recording can tell is checked here, before anything is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml.errors import InvalidRequestError, RangeRequiredError, UnknownInstrumentError
from ml.model import Model
from ml.recording import RELEASE_S, Recording
from ml.relevance.engine import check_layer, choose_engine
from ml.relevance.methods import Method, method_named
from ml.truth.stems import Stem

LONGEST_WHOLE_S = 60.0
MAX_CONCEPTS = 64
MOST_MAPS = 4_000  # windows' maps of one explanation: about 2 GB where they are all together


@dataclass(frozen=True)
class Asked:
    """How maps are to be made, all names known: method, concept layer, engine, number of concepts, and the
    label that all are held against, if any.
    """

    method: Method
    layer: str
    engine: str
    n_concepts: int
    against: int | None = None

    @staticmethod
    def of(
        model: Model,
        *,
        method: str | None,
        layer: str | None,
        engine: str | None,
        n_concepts: int,
        contrast: str | None,
    ) -> Asked:
        """Look up what was named.

        Raises
        ------
        UnknownMethodError, UnknownLayerError, UnknownEngineError, UnknownInstrumentError
        InvalidRequestError
            When the number of concepts is out of range.
        """
        if not 0 <= n_concepts <= MAX_CONCEPTS:
            raise InvalidRequestError(f"concepts {n_concepts} is outside 0..{MAX_CONCEPTS}.")
        check_instruments(model, [contrast] if contrast is not None else [])
        return Asked(
            method_named(method),
            check_layer(model, layer),
            choose_engine(model, engine),
            n_concepts,
            None if contrast is None else model.card.labels.index(contrast),
        )


def asked_part(recording: Recording, start_s: float | None, duration_s: float | None) -> Recording:
    """Cut the part to explain out of a recording.

    Parameters
    ----------
    recording : Recording
    start_s, duration_s : float or None
        Without both, the whole; a recording longer than 60 s needs both.

    Returns
    -------
    Recording

    Raises
    ------
    RangeRequiredError
        When more than 60 s would have to be explained at once.
    InvalidRequestError
        When the part does not lie in the recording.
    """
    if start_s is None or duration_s is None:
        _refuse_longer(recording, LONGEST_WHOLE_S + RELEASE_S)  # the release that a rendering adds to MIDI
    if start_s is None and duration_s is None:
        return recording
    start_s = 0.0 if start_s is None else start_s
    part = recording.part(start_s, recording.duration_s if duration_s is None else duration_s)
    _refuse_longer(part, LONGEST_WHOLE_S)
    return part


def check_instruments(model: Model, instruments: Sequence[str], contrast: str | None = None) -> None:
    """Refuse instruments that a model does not know, and one that would be held against itself.

    Raises
    ------
    UnknownInstrumentError
        Its `extra` holds `unknown` and `available`.
    InvalidRequestError
    """
    unknown = [name for name in instruments if name not in model.card.labels]
    if unknown:
        raise UnknownInstrumentError(
            f"The model {model.card.id} does not know {', '.join(map(repr, unknown))}.",
            extra={"unknown": unknown, "available": list(model.card.labels)},
        )
    if contrast in instruments:
        raise InvalidRequestError(f"{contrast!r} cannot be held against itself: it is also to be explained.")


def check_size(n_instruments: int, n_concepts: int, n_windows: int) -> None:
    """Refuse an explanation whose maps would not fit into memory.

    Parameters
    ----------
    n_instruments : int
        To explain.
    n_concepts : int
        Of each; the whole and the remainder come on top.
    n_windows : int
        With sound.

    Raises
    ------
    InvalidRequestError
        Its `extra` holds `n_maps` and `most_maps`.
    """
    n_maps = n_instruments * (n_concepts + 2) * n_windows
    if n_maps > MOST_MAPS:
        raise InvalidRequestError(
            f"{n_instruments} instruments with {n_concepts} concepts each, in {n_windows} windows, take "
            f"{n_maps} maps; the limit is {MOST_MAPS}. Ask for fewer concepts, fewer instruments or a "
            "shorter part.",
            extra={"n_maps": n_maps, "most_maps": MOST_MAPS},
        )


def parts_of_stems(
    stems: Sequence[Stem], recording: Recording, start_s: float | None, duration_s: float | None
) -> tuple[Stem, ...]:
    """Cut the part to explain out of a recording's stems; parameters as for `asked_part`.

    Raises
    ------
    InvalidRequestError
        When a stem is not as long as the recording, or at another rate.
    """
    for stem in stems:
        own = stem.recording
        if (len(own.samples), own.sample_rate_hz) != (len(recording.samples), recording.sample_rate_hz):
            raise InvalidRequestError(
                f"The stem of {stem.instrument!r} has {len(own.samples)} samples at {own.sample_rate_hz} Hz, "
                f"the recording {len(recording.samples)} at {recording.sample_rate_hz} Hz."
            )
    return tuple(Stem(stem.instrument, asked_part(stem.recording, start_s, duration_s)) for stem in stems)


def _refuse_longer(recording: Recording, longest_s: float) -> None:
    if recording.duration_s > longest_s:
        raise RangeRequiredError(
            f"{recording.duration_s:.1f} s are too long to explain at once: name a part of at most "
            f"{LONGEST_WHOLE_S:g} s with start_s and duration_s.",
            extra={"duration_s": recording.duration_s, "longest_s": LONGEST_WHOLE_S},
        )

"""Attribution: an engine's evidence, window by window, as maps of the whole recording and their concepts.

Only windows with sound are attributed: silence is evidence of nothing. Merging is linear, so concepts and
their remainder still add up to the map. Instruments that were found but are not to be explained get their
maps too, without concepts: a map is judged, and its evidence cut out, beside all that was heard, so that
neither depends on what else was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.asking import Asked
from ml.classification import InstrumentScore, ListenedWindows
from ml.explained import ConceptExplanation
from ml.model import Model
from ml.quality import FoundMap
from ml.recording import Recording
from ml.relevance.engine import explain_targets
from ml.relevance.evidence import Evidence, OnMap
from ml.relevance.target import Target
from ml.windows import merge_windows


@dataclass(frozen=True)
class Sounding:
    """The windows with sound, and how their maps go back onto the whole recording.

    Attributes
    ----------
    heard : ListenedWindows
    indices : tuple of int
        Of the windows with sound.
    inputs : ndarray of float32, shape (n_sounding, n_mels, window_frames)
    """

    heard: ListenedWindows
    indices: tuple[int, ...]
    inputs: NDArray[np.float32]

    @staticmethod
    def of(heard: ListenedWindows) -> Sounding:
        """Pick the windows with sound."""
        indices = tuple(int(index) for index in np.flatnonzero(~heard.silent))
        return Sounding(heard, indices, heard.inputs[list(indices)])

    def merged(self, maps: NDArray[np.floating]) -> NDArray[np.float32]:
        """Maps of the sounding windows as one map of the recording; silent windows count as zero."""
        whole = np.zeros_like(self.heard.inputs)
        whole[list(self.indices)] = maps
        return merge_windows(whole, self.heard.windows, self.heard.levels_db.shape[1])


@dataclass(frozen=True)
class AttributedMap:
    """One instrument's evidence: its score, what relevance started at, what the engine gave for the windows
    with sound, and that merged, `(n_mels, n_frames)`.
    """

    score: InstrumentScore
    target: Target
    evidence: Evidence
    relevance: NDArray[np.float32]


@dataclass(frozen=True)
class Attribution:
    """The explained part, the windows of it that sound, and maps.

    Attributes
    ----------
    part : Recording
    sounding : Sounding
    asked : Asked
    maps : tuple of AttributedMap
        Of the instruments to explain.
    found : tuple of FoundMap
        Of all instruments that were found, explained or not, by falling probability; without the one that all
        are held against.
    """

    part: Recording
    sounding: Sounding
    asked: Asked
    maps: tuple[AttributedMap, ...]
    found: tuple[FoundMap, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The explained instruments."""
        return tuple(each.score.instrument for each in self.maps)

    @property
    def merged_maps(self) -> tuple[NDArray[np.float32], ...]:
        """Their maps."""
        return tuple(each.relevance for each in self.maps)


def attribute(
    model: Model,
    part: Recording,
    heard: ListenedWindows,
    scores: Sequence[InstrumentScore],
    asked: Asked,
    *,
    found: Sequence[str],
    on_map: OnMap,
) -> Attribution:
    """Make the maps of the instruments to explain, and of those found beside them.

    Parameters
    ----------
    model : Model
    part : Recording
    heard : ListenedWindows
        What the model made of it.
    scores : sequence of InstrumentScore
        Of the instruments to explain.
    asked : Asked
    found : sequence of str
        The instruments found, without the one that all are held against.
    on_map : callable
        Called with the number of windows' maps just finished, `maps_in_all` of them; may raise to cancel.
    """
    sounding = Sounding.of(heard)
    targets = _targets(model, [score.instrument for score in scores], asked)
    evidence = explain_targets(
        model,
        sounding.inputs,
        targets,
        asked.n_concepts,
        method=asked.method,
        layer=asked.layer,
        engine=asked.engine,
        on_map=on_map,
    )
    maps = tuple(
        AttributedMap(score, target, found, sounding.merged(found.maps))
        for score, target, found in zip(scores, targets, evidence, strict=True)
    )
    known = {each.score.instrument: each.relevance for each in maps}
    beside = [name for name in found if name not in known] if maps else []
    of_others = explain_targets(
        model,
        sounding.inputs,
        _targets(model, beside, asked),
        method=asked.method,
        layer=asked.layer,
        engine=asked.engine,
        on_map=on_map,
    )
    for name, other in zip(beside, of_others, strict=True):
        known[name] = sounding.merged(other.maps)
    return Attribution(
        part, sounding, asked, maps, tuple(FoundMap(name, known[name]) for name in found if name in known)
    )


def _targets(model: Model, instruments: Sequence[str], asked: Asked) -> list[Target]:
    return [Target(model.card.labels.index(name), asked.against) for name in instruments]


def maps_in_all(heard: ListenedWindows, n_explained: int, n_beside: int, n_concepts: int) -> int:
    """Windows' maps that an attribution takes: of each instrument to explain the whole, its concepts and
    their remainder; of those found beside them the whole, which the engine makes as a remainder.
    """
    return (n_explained * (n_concepts + 2) + n_beside * 2) * int((~heard.silent).sum())


def concepts_of(evidence: Evidence, sounding: Sounding, layer: str) -> tuple[ConceptExplanation, ...]:
    """The strongest concepts and their remainder, with their maps of the whole recording.

    Parameters
    ----------
    evidence : Evidence
        Of the sounding windows.
    sounding : Sounding
    layer : str
        Whose channels are the concepts.

    Returns
    -------
    tuple of ConceptExplanation
        Strongest first, the remainder last.
    """
    if sounding.indices:
        channel_relevance = evidence.channels.mean(axis=0)  # (n_channels,)
    else:
        channel_relevance = np.zeros(evidence.channels.shape[1])
    magnitude = float(np.abs(channel_relevance).sum()) or 1.0
    others = [k for k in range(len(channel_relevance)) if k not in evidence.strongest]
    groups: list[tuple[int | None, list[int]]] = [(channel, [channel]) for channel in evidence.strongest]
    groups.append((None, others))
    concepts = []
    for (channel, channels), concept_maps in zip(groups, evidence.concept_maps, strict=True):
        relevance = float(channel_relevance[channels].sum())
        concepts.append(
            ConceptExplanation(
                layer, channel, relevance, relevance / magnitude, sounding.merged(concept_maps)
            )
        )
    return tuple(concepts)

"""Describing: what was found of a layer's channels becomes records, with the moments measured and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.concepts.atlas import ConceptRecord, LayerRecord, ReferenceRecord, Status, TraitRecord
from ml.concepts.moments import Moment, traits_of
from ml.concepts.naming import BaseRates, Commonality, name_of
from ml.concepts.receptive_field import layer_shape, receptive_field
from ml.concepts.search import Found, Peaks
from ml.instruments import Instrument
from ml.model import Model
from ml.synthesis.plan import ClipPlan
from ml.windows import WINDOW_S

N_REFERENCES = 8
_SMALLEST_PART = 0.01  # of an instrument in a channel's relevance, worth telling
_WORTH_TELLING = 0.5  # purity of a trait that is not stated
_DIGITS = 4  # that are told of shares, relevances and moments


@dataclass(frozen=True)
class SearchedLayer:
    """What the search found of one layer.

    Attributes
    ----------
    layer : str
    peaks : tuple of Peaks
        Of every clip.
    found : tuple of tuple of Found
        Of every channel, the strongest clip first.
    moments_s : mapping of (channel, clip) to float
        When the clip uses the channel.
    """

    layer: str
    peaks: tuple[Peaks, ...]
    found: tuple[tuple[Found, ...], ...]
    moments_s: Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Describer:
    """Describes channels by what is played in the clips that use them.

    Attributes
    ----------
    plans : sequence of ClipPlan
        The clips that were searched.
    players : mapping of str to Instrument
        By name.
    rates : BaseRates
        Of the same clips.
    """

    plans: Sequence[ClipPlan]
    players: Mapping[str, Instrument]
    rates: BaseRates

    def layer(self, model: Model, searched: SearchedLayer) -> LayerRecord:
        """Describe all channels of a layer.

        Parameters
        ----------
        model : Model
        searched : SearchedLayer
        """
        positive = np.maximum([each.relevance for each in searched.peaks], 0.0).sum(axis=0)  # (n_channels,)
        shares = positive / (positive.sum() or 1.0)
        used = np.any([each.is_used for each in searched.peaks], axis=0)
        bands_hz, times_s = _extents(model, searched.layer)
        return LayerRecord(
            layer=searched.layer,
            bands_hz=bands_hz,
            times_s=times_s,
            concepts=tuple(
                self._concept(searched, channel, float(shares[channel]), is_used=bool(used[channel]))
                for channel in range(len(shares))
            ),
        )

    def _concept(
        self, searched: SearchedLayer, channel: int, share: float, *, is_used: bool
    ) -> ConceptRecord:
        found = searched.found[channel]
        moments = [
            Moment(each.clip, searched.moments_s[channel, each.clip], self._instrument(each))
            for each in found
        ]
        traits = [traits_of(self.plans[moment.clip], moment, self.players) for moment in moments]
        common = self.rates.measure(traits)
        name = name_of(common)
        status: Status = "named" if name else "unnamed"
        if not found:
            status = "against" if is_used else "dead"
        return ConceptRecord(
            channel=channel,
            status=status,
            name=name,
            share=round(share, _DIGITS),
            instruments=self._parts(found),
            n_measured=len(found),
            traits=_traits(common),
            references=tuple(
                ReferenceRecord(
                    clip=each.clip,
                    row=each.row,
                    column=each.column,
                    moment_s=round(moment.time_s, _DIGITS),
                    relevance=round(each.relevance, _DIGITS),
                    stem=each.target,
                )
                for each, moment in zip(found[:N_REFERENCES], moments, strict=False)
            ),
        )

    def _instrument(self, found: Found) -> str:
        return self.plans[found.clip].stems[found.target].instrument

    def _parts(self, found: Sequence[Found]) -> dict[str, float]:
        """Shares of the positive relevance of what was found, by instrument, the largest first."""
        parts: dict[str, float] = {}
        for each in found:
            for stem, part in zip(self.plans[each.clip].stems, each.parts, strict=True):
                parts[stem.instrument] = parts.get(stem.instrument, 0.0) + max(part, 0.0)
        total = sum(parts.values()) or 1.0
        ordered = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
        return {
            name: round(part / total, _DIGITS) for name, part in ordered if part >= _SMALLEST_PART * total
        }


def _traits(common: Sequence[Commonality]) -> tuple[TraitRecord, ...]:
    """What at least half of the references have in common, and in any case what most of them have."""
    purest = max(common, key=lambda each: each.purity, default=None)
    return tuple(
        TraitRecord(
            kind=each.kind,
            value=each.value,
            purity=round(each.purity, _DIGITS),
            base=round(each.base, _DIGITS),
            stated=each.stated,
        )
        for each in common
        if each.stated or each is purest or each.purity >= _WORTH_TELLING
    )


def _extents(
    model: Model, layer: str
) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
    """What each row of a layer sees in Hz, and each column in seconds of a window."""
    mel = model.mel
    shape = (mel.n_mels, mel.n_frames(round(WINDOW_S * mel.sample_rate_hz)))
    n_rows, n_columns = layer_shape(model.network, layer, shape)
    rows = [receptive_field(model.network, layer, (row, 0), shape) for row in range(n_rows)]
    columns = [receptive_field(model.network, layer, (0, column), shape) for column in range(n_columns)]
    hz, times_s = mel.frequencies_hz, mel.times_s(shape[1])
    bands_hz = tuple(
        (round(float(hz[row.first_band]), 1), round(float(hz[row.end_band - 1]), 1)) for row in rows
    )
    spans_s = tuple(
        (
            round(float(times_s[column.first_frame]), 3),
            round(float(times_s[column.end_frame - 1]), 3),
        )
        for column in columns
    )
    return bands_hz, spans_s

"""Sound and pictures of an atlas's references, rendered from what is played with Debian's bank.

The sound of a reference is cut to the receptive field of its position: in time, faded at the cuts, and, where
the field is not as high as the log-mel, in frequency. Its picture is the spectrogram of the same cells with
the concept's relevance over it, without the sum over time: a few of its steps would be all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.concepts.atlas import Atlas, InvalidAtlasError
from ml.concepts.pinpoint import field_maps
from ml.concepts.receptive_field import Field
from ml.drawing import draw_map
from ml.explanation import Spectrogram
from ml.melspec import MelConfig, level_db
from ml.model import Model
from ml.recording import Recording
from ml.relevance.layer_relevance import Start
from ml.relevance.methods import method_named
from ml.splitting import Splitter
from ml.synthesis.mix import render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import find_bank
from ml.windows import window_inputs

FADE_S = 0.005  # at either cut, so that it does not click
PEAK_CEILING = 0.98  # of full scale: quiet moments are made audible


@dataclass(frozen=True)
class RenderedReference:
    """A reference that can be heard and seen.

    Attributes
    ----------
    sound : Recording
        What the position sees, cut out and brought to `PEAK_CEILING`.
    clip : Recording
        The whole clip.
    spectrogram : Spectrogram
        Levels of what the position sees; its times count from the clip's beginning.
    relevance : ndarray of float32, shape of the spectrogram
        Where in it the concept's relevance lies.
    png : bytes
        Both as a picture.
    """

    sound: Recording
    clip: Recording
    spectrogram: Spectrogram
    relevance: NDArray[np.float32]
    png: bytes


def render_reference(model: Model, atlas: Atlas, layer: str, channel: int, place: int) -> RenderedReference:
    """Render a reference of a concept.

    Parameters
    ----------
    model : Model
        Of the weights that the atlas was made from.
    atlas : Atlas
    layer : str
    channel : int
    place : int
        Which reference; 0 is the strongest.

    Returns
    -------
    RenderedReference
        The same bytes for the same versions of the libraries and the same kind of processor (`ml.png`).

    Raises
    ------
    UnknownConceptError
        When the atlas has no such layer, channel or reference.
    InvalidAtlasError
        When it was made from other weights.
    SystemDependencyError
        When FluidSynth or the SoundFont is missing.
    """
    reference = atlas.reference(layer, channel, place)
    if atlas.model_sha256 != model.card.sha256:
        raise InvalidAtlasError(
            f"The atlas was made from weights {atlas.model_sha256[:16]}, not {model.card.sha256[:16]}."
        )
    plan = atlas.clip(reference.clip).plan(atlas.soundfont)
    mix = render_clip(plan, {atlas.soundfont: find_bank(atlas.soundfont)}).mix
    levels_db = level_db(mix, model.mel)
    inputs, _ = window_inputs(levels_db[None], model.mel)
    start = Start(channel, reference.row, reference.column, reference.relevance)
    ((field, relevance),) = field_maps(model, inputs[0], [start], method_named(atlas.method), layer)
    spectrogram = Spectrogram(
        levels_db[field.bands, field.frames],
        model.mel.frequencies_hz[field.bands],
        model.mel.times_s(levels_db.shape[1])[field.frames],
    )
    concept = atlas.concept(layer, channel)
    title = f"Channel {channel} of {layer}" + (f": {concept.name}" if concept.name else "")
    whole = Recording(mix, SAMPLE_RATE_HZ)
    return RenderedReference(
        sound=cut(whole, field, model.mel),
        clip=whole,
        spectrogram=spectrogram,
        relevance=relevance,
        png=draw_map(spectrogram, relevance, title, has_strip=False),
    )


def cut(recording: Recording, field: Field, mel: MelConfig) -> Recording:
    """What of a recording lies in a receptive field.

    Parameters
    ----------
    recording : Recording
        As long as its log-mel has frames.
    field : Field
    mel : MelConfig

    Returns
    -------
    Recording
        From the centre of the field's first frame to that of its last.
    """
    if field.end_band - field.first_band < mel.n_mels:
        mask = np.zeros((mel.n_mels, mel.n_frames(len(recording.samples))), dtype=np.float32)
        mask[field.bands] = 1.0
        recording, _ = Splitter.of(recording, mel).split(mask)
    first = field.first_frame * mel.hop_samples
    end = (field.end_frame - 1) * mel.hop_samples
    samples = recording.samples[first:end].copy()
    n_fade = min(round(FADE_S * recording.sample_rate_hz), len(samples) // 2)
    ramp = np.linspace(0.0, 1.0, n_fade, endpoint=False, dtype=np.float32)
    samples[:n_fade] *= ramp
    samples[len(samples) - n_fade :] *= ramp[::-1]
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > 0.0:
        samples *= np.float32(PEAK_CEILING / peak)
    return Recording(samples, recording.sample_rate_hz, first / recording.sample_rate_hz)

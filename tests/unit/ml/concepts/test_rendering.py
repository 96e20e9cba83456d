"""References that can be heard and seen: the clip that was found, cut to what its position sees."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ml.concepts.atlas import Atlas, InvalidAtlasError
from ml.concepts.receptive_field import Field
from ml.concepts.recipe import reference_recipe
from ml.concepts.rendering import PEAK_CEILING, RenderedReference, cut, render_reference
from ml.drawing import GAP_ROWS, LEFT, MAP_ROWS, N_COLUMNS, STRIP_ROWS, TOP, MapScale
from ml.errors import UnknownConceptError
from ml.melspec import MelConfig, level_db
from ml.model import Model
from ml.pictures import Canvas
from ml.recording import Recording
from ml.synthesis.instantiate import instantiate
from ml.synthesis.mix import render_clip
from ml.synthesis.render import SAMPLE_RATE_HZ
from ml.synthesis.soundfonts import find_bank
from tests.unit.ml.concepts.conftest import LAYER, N_CLIPS, SEED

MEL = MelConfig()
FIELD_FRAMES = 47  # of the default network's last convolution


@pytest.fixture(scope="module")
def channel(atlas: Atlas) -> int:
    """The channel with the largest share."""
    return max(atlas.layer(LAYER).concepts, key=lambda concept: concept.share).channel


@pytest.fixture(scope="module")
def rendered(atlas: Atlas, shipped: Model, channel: int) -> RenderedReference:
    return render_reference(shipped, atlas, LAYER, channel, 0)


def test_the_clip_is_that_which_was_searched(
    rendered: RenderedReference, atlas: Atlas, shipped: Model, channel: int
) -> None:
    plans = list(instantiate(reference_recipe(shipped.card, N_CLIPS, SEED)))
    plan = plans[atlas.reference(LAYER, channel, 0).clip]
    mix = render_clip(plan, {atlas.soundfont: find_bank(atlas.soundfont)}).mix
    assert np.array_equal(rendered.clip.samples, mix)


def test_sound_and_picture_are_of_what_the_position_sees(
    rendered: RenderedReference, atlas: Atlas, channel: int
) -> None:
    reference = atlas.reference(LAYER, channel, 0)
    start_s, end_s = atlas.layer(LAYER).times_s[reference.column]
    assert rendered.sound.start_s == pytest.approx(start_s, abs=1e-3)
    assert rendered.sound.duration_s == pytest.approx(end_s - start_s, abs=2e-3)
    assert np.abs(rendered.sound.samples).max() == pytest.approx(PEAK_CEILING, abs=1e-6)
    assert rendered.spectrogram.level_db.shape == rendered.relevance.shape
    assert rendered.relevance.shape[0] == MEL.n_mels
    assert rendered.relevance.shape[1] <= FIELD_FRAMES
    assert (
        start_s - 1e-3 <= rendered.spectrogram.times_s[0] <= rendered.spectrogram.times_s[-1] <= end_s + 1e-3
    )
    at = rendered.relevance.clip(min=0.0).sum(axis=0).argmax()
    assert rendered.spectrogram.times_s[at] == pytest.approx(reference.moment_s, abs=1e-3)
    with Image.open(io.BytesIO(rendered.png)) as picture:
        assert picture.format == "PNG"


def test_the_picture_is_all_map(rendered: RenderedReference) -> None:
    """A strip of sums below would have two or three steps, wider than what they are about."""
    with Image.open(io.BytesIO(rendered.png)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    spectrogram, n_rows = rendered.spectrogram, MAP_ROWS + GAP_ROWS + STRIP_ROWS
    canvas = Canvas.of(spectrogram, n_rows, N_COLUMNS)
    expected = canvas.over_levels(rendered.relevance, MapScale.of(rendered.relevance).cell)
    plot = pixels[TOP + 1 : TOP + n_rows - 1, LEFT + 1 : LEFT + N_COLUMNS - 1]
    assert np.array_equal(plot, expected[1:-1, 1:-1])


def test_rendering_again_gives_the_same(
    rendered: RenderedReference, atlas: Atlas, shipped: Model, channel: int
) -> None:
    again = render_reference(shipped, atlas, LAYER, channel, 0)
    assert again.png == rendered.png
    assert np.array_equal(again.sound.samples, rendered.sound.samples)


def test_a_field_of_some_bands_is_heard_in_those_bands() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.1, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    field = Field(40, 80, 20, 120)
    heard = cut(Recording(noise, SAMPLE_RATE_HZ), field, MEL)
    assert len(heard.samples) == 99 * MEL.hop_samples
    levels_db = level_db(heard.samples, MEL)[:, 10:-10].mean(axis=1)
    assert levels_db[45:75].min() > levels_db[:30].max() + 20.0
    assert levels_db[45:75].min() > levels_db[90:].max() + 20.0


def test_silence_stays_silent() -> None:
    silent = Recording(np.zeros(SAMPLE_RATE_HZ, dtype=np.float32), SAMPLE_RATE_HZ)
    assert not cut(silent, Field(0, 128, 10, 40), MEL).samples.any()


def test_what_cannot_be_rendered(atlas: Atlas, shipped: Model, channel: int) -> None:
    with pytest.raises(UnknownConceptError, match="99"):
        render_reference(shipped, atlas, LAYER, channel, 99)
    with pytest.raises(InvalidAtlasError, match="0000000000000000"):
        render_reference(shipped, atlas.model_copy(update={"model_sha256": "0" * 64}), LAYER, channel, 0)

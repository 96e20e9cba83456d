"""Effects: stems and residual always sum to the mix, and each effect does what its numbers say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.synthesis.effects.apply import (
    SAMPLE_RATE_HZ,
    apply_effects,
    code,
    compression_gain,
    equalise,
    limit_band,
    noise_for,
)
from ml.synthesis.effects.plans import (
    BandLimitsPlan,
    CodecPlan,
    CompressionPlan,
    EffectsPlan,
    EqualiserPlan,
    NoisePlan,
)
from ml.synthesis.instantiate import instantiate
from ml.synthesis.mix import PEAK_CEILING, render_clip
from ml.synthesis.plan import ClipPlan
from ml.synthesis.recipe import InvalidRecipeError, parse_recipe
from ml.synthesis.soundfonts import find_bank

FLOAT32 = 1e-6  # of full scale: sums of a few float32 stems
RECIPE = parse_recipe(
    "{name: fx, seed: 5, n_clips: 24, clip_duration_s: 1.0, instruments_per_clip: [3], level_db: [0, 12],"
    "effects: {equaliser: {}, compression: {}, noise: {}, band_limits: {}, codec: {}}}"
)

Sound = NDArray[np.float32]


def tone(frequency_hz: float, amplitude: float = 0.5, duration_s: float = 1.0) -> Sound:
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.asarray(amplitude * np.sin(2.0 * np.pi * frequency_hz * time_s), dtype=np.float32)


def level_db(sound: Sound) -> float:
    middle = sound[..., 8_820:-8_820]  # where filters have settled
    return float(10.0 * np.log10(np.mean(np.square(middle, dtype=np.float64))))


def test_stems_and_residual_sum_to_the_mix_whatever_is_drawn() -> None:
    banks = {"FluidR3_GM": find_bank("FluidR3_GM")}
    seen: set[str] = set()
    for plan in instantiate(RECIPE):
        clip = render_clip(plan, banks)
        parts = clip.stems if clip.residual is None else np.vstack([clip.stems, clip.residual[np.newaxis]])
        np.testing.assert_allclose(parts.sum(axis=0), clip.mix, atol=FLOAT32)
        assert clip.mix.dtype == clip.stems.dtype == np.float32
        assert np.abs(clip.mix).max() <= PEAK_CEILING + FLOAT32
        drawn = {name for name, effect in vars(plan.effects).items() if effect} if plan.effects else set()
        assert (clip.residual is not None) == bool(drawn & {"noise", "codec"})
        assert render_clip(ClipPlan.from_json(plan.to_json()), banks).mix.tobytes() == clip.mix.tobytes()
        seen |= drawn
    assert seen == {"equaliser", "compression", "noise", "band_limits", "codec"}


def test_the_equaliser_has_its_gains_without_delay() -> None:
    plan = EqualiserPlan((250.0, 1_000.0, 4_000.0), (-6.0, 6.0, 0.0))
    for frequency_hz, gain_db in (
        (250.0, -6.0),
        (500.0, 0.0),
        (1_000.0, 6.0),
        (4_000.0, 0.0),
        (9_000.0, 0.0),
    ):
        sound = tone(frequency_hz, 0.1)
        assert level_db(equalise(plan, sound)) - level_db(sound) == pytest.approx(gain_db, abs=0.3)
    click = np.zeros((2, 4_410), dtype=np.float32)
    click[:, 2_000] = 1.0
    assert np.abs(equalise(plan, click)).argmax(axis=1).tolist() == [2_000, 2_000]


def test_band_limits_are_where_they_are_said_to_be() -> None:
    plan = BandLimitsPlan(200.0, 4_000.0)
    for frequency_hz, gain_db in ((200.0, -3.0), (1_000.0, 0.0), (4_000.0, -3.0)):
        sound = tone(frequency_hz)
        assert level_db(limit_band(plan, sound)) - level_db(sound) == pytest.approx(gain_db, abs=0.2)
    for frequency_hz in (50.0, 12_000.0):
        sound = tone(frequency_hz)
        assert level_db(limit_band(plan, sound)) - level_db(sound) < -30.0


def slow_compression_gain(plan: CompressionPlan, mix: Sound) -> NDArray[np.float64]:
    """Sample by sample, as the paper's block diagram reads."""
    threshold_db = 20.0 * np.log10(np.abs(mix).max()) + plan.threshold_db
    reduction_db, gains = 0.0, []
    for sample in mix.tolist():
        over_db = max(20.0 * np.log10(max(abs(sample), 1e-6)) - threshold_db, 0.0)
        wanted_db = over_db - over_db / plan.ratio
        time_s = plan.attack_s if wanted_db > reduction_db else plan.release_s
        keep = np.exp(-1.0 / (time_s * SAMPLE_RATE_HZ))
        reduction_db = keep * reduction_db + (1.0 - keep) * wanted_db
        gains.append(10.0 ** (-reduction_db / 20.0))
    return np.array(gains)


def test_compression_turns_down_what_is_loud_by_its_ratio() -> None:
    plan = CompressionPlan(threshold_db=-20.0, ratio=4.0, attack_s=0.005, release_s=0.1)
    steady = np.concatenate([np.full(22_050, 0.5), np.full(44_100, 0.005)]).astype(np.float32)
    gain = compression_gain(plan, steady)
    assert 20.0 * np.log10(gain[20_000]) == pytest.approx(-20.0 * (1.0 - 1.0 / 4.0), abs=0.1)
    assert gain[-1] == pytest.approx(1.0, abs=0.01)
    one_level_db = 0.3  # levels come every 64 samples: 1.5 ms of an attack of 5 ms
    reference = slow_compression_gain(plan, steady)
    settled = slice(1_000, None)
    np.testing.assert_allclose(
        20.0 * np.log10(gain[settled]), 20.0 * np.log10(reference[settled]), atol=one_level_db
    )


def test_compression_is_the_same_gain_for_every_stem() -> None:
    stems = np.stack([tone(220.0, 0.6), tone(880.0, 0.05)])
    plan = EffectsPlan(compression=CompressionPlan(-20.0, 8.0, 0.005, 0.1))
    compressed, residual = apply_effects(plan, stems)
    gain = compression_gain(CompressionPlan(-20.0, 8.0, 0.005, 0.1), stems.sum(axis=0))
    np.testing.assert_allclose(compressed, stems * gain, atol=FLOAT32)
    assert residual is None
    assert gain.min() < 0.5


@pytest.mark.parametrize("fall_db_per_octave", [0.0, 3.0, 6.0])
def test_noise_has_its_level_and_its_colour(fall_db_per_octave: float) -> None:
    mix = tone(440.0, 0.5, 4.0)
    noise = noise_for(NoisePlan(7, 30.0, fall_db_per_octave), mix)
    distance_db = 10.0 * np.log10(
        np.mean(mix.astype(np.float64) ** 2) / np.mean(noise.astype(np.float64) ** 2)
    )
    assert distance_db == pytest.approx(30.0, abs=0.01)
    power = np.abs(np.fft.rfft(noise)) ** 2
    band_hz = np.fft.rfftfreq(len(noise), 1.0 / SAMPLE_RATE_HZ)
    octaves_db = [
        10.0 * np.log10(power[(band_hz >= low) & (band_hz < 2 * low)].mean())
        for low in (500, 1_000, 2_000, 4_000)
    ]
    assert np.diff(octaves_db).mean() == pytest.approx(-fall_db_per_octave, abs=0.3)
    np.testing.assert_array_equal(noise, noise_for(NoisePlan(7, 30.0, fall_db_per_octave), mix))
    assert not np.array_equal(noise, noise_for(NoisePlan(8, 30.0, fall_db_per_octave), mix))


@pytest.mark.parametrize("file_format", ["mp3", "ogg"])
def test_codecs_stay_in_time_and_get_worse(file_format: str) -> None:
    rng = np.random.default_rng(0)
    music = tone(440.0, 0.3) + 0.02 * rng.standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    music[:4_410] = 0.0
    distances_db = []
    for compression in (0.0, 0.9):
        coded = code(CodecPlan(file_format, compression), music)  # type: ignore[arg-type]
        assert coded.shape == music.shape
        lags = [
            float(np.dot(music[9_000:30_000], coded[9_000 + lag : 30_000 + lag])) for lag in range(-40, 41)
        ]
        assert int(np.argmax(lags)) - 40 == 0
        distances_db.append(level_db(coded - music) - level_db(music))
    assert distances_db[0] < distances_db[1] < -5.0


def test_a_codec_does_not_clip_what_is_louder_than_full_scale() -> None:
    loud = tone(440.0, 3.0)
    assert np.abs(code(CodecPlan("ogg", 0.1), loud)).max() == pytest.approx(3.0, rel=0.1)


def test_silence_survives_every_effect() -> None:
    silence = np.zeros((2, 22_050), dtype=np.float32)
    plan = EffectsPlan(
        EqualiserPlan((100.0, 1_000.0), (6.0, -6.0)),
        CompressionPlan(-20.0, 4.0, 0.01, 0.1),
        NoisePlan(1, 40.0, 3.0),
        BandLimitsPlan(100.0, 8_000.0),
        CodecPlan("mp3", 0.5),
    )
    stems, residual = apply_effects(plan, silence)
    assert residual is not None
    assert np.isfinite(residual).all()
    np.testing.assert_array_equal(stems, silence)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("compression: {ratio: [0.5, 2]}", "effects.compression.ratio: a ratio of 0.5 expands"),
        ("band_limits: {low_hz: [1, 100]}", "effects.band_limits.low_hz: [1.0, 100.0] Hz is outside"),
        (
            "band_limits: {low_hz: [20, 5000]}",
            "effects.band_limits: low_hz reaches 5000.0 Hz, high_hz begins at",
        ),
        ("codec: {formats: [aac]}", "effects.codec.formats.0: Input should be 'mp3' or 'ogg'"),
        ("codec: {compression: [0.9, 0.1]}", "effects.codec.compression: range [0.9, 0.1] is empty"),
        ("noise: {probability: 2}", "effects.noise.probability: Input should be less than or equal to 1"),
        ("echo: {}", "effects.echo: unknown field; known: "),
    ],
)
def test_faults_are_named(fields: str, fault: str) -> None:
    with pytest.raises(InvalidRecipeError) as caught:
        parse_recipe(f"{{name: a, n_clips: 1, effects: {{{fields}}}}}")
    assert fault in str(caught.value)

"""Who owns what: shares, active cells, energy, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.errors import InvalidRequestError
from ml.melspec import level_db
from ml.truth.stems import MAX_STEMS, Stem, joined_stems, mix_samples, stem_truth
from tests.reference import truth as slow
from tests.unit.ml.truth.sounds import LENGTH_S, MEL, RATE, burst, noise, recording, silent


def test_shares_activity_and_energy_are_the_slow_ones(together: tuple[Stem, ...]) -> None:
    residual = recording(noise(0.01, 99))
    fading = np.logspace(0, -6, round(0.1 * RATE))  # to 120 dB below, so that few cells are clear cases
    cut = [
        replace(stem, recording=recording(stem.recording.part(0.55, 0.1).samples * fading))
        for stem in together
    ]
    rest = recording(residual.part(0.55, 0.1).samples * fading)
    found = stem_truth(cut, MEL, rest)
    levels = [level_db(each.samples, MEL).astype(np.float64) for each in (*(s.recording for s in cut), rest)]
    *power, rest_power = [np.where(level > -100.0, 10 ** (level / 10), 0.0) for level in levels]
    is_active = slow.active(level_db(mix_samples(cut, rest), MEL))
    expected = slow.truth_of(np.stack(power), rest_power, is_active)
    np.testing.assert_allclose(found.shares, expected.shares, rtol=1e-12)
    np.testing.assert_array_equal(found.active, is_active)
    assert 0.2 < is_active.mean() < 0.9
    np.testing.assert_allclose(found.energy_shares, expected.energy_shares, rtol=1e-12)
    assert 0.0 < found.energy_shares.sum() < 1.0  # the rest owns some


def test_shares_add_up_to_what_the_rest_leaves(together: tuple[Stem, ...]) -> None:
    alone = stem_truth(together, MEL)
    np.testing.assert_allclose(alone.shares.sum(axis=0)[alone.active], 1.0)
    assert alone.energy_shares.sum() == pytest.approx(1.0)
    beside = stem_truth(together, MEL, recording(noise(0.1, 5)))
    total = beside.shares.sum(axis=0) + beside.rest_power / (beside.power.sum(axis=0) + beside.rest_power)
    np.testing.assert_allclose(total[beside.active], 1.0)


def test_cells_60_db_below_the_loudest_are_not_active() -> None:
    loud, soft = burst("A", 0.0, 0.5, 0.3), burst("B", 1.0, 1.5, 0.3 * 10 ** (-80 / 20))
    truth = stem_truth([loud, soft], MEL)
    half = round(0.75 * RATE / MEL.hop_samples)
    assert truth.active[:, :half].any()
    assert not truth.active[:, half:].any()
    assert truth.shares[1][:, half + 40].min() > 0.99  # it owns what is not active


def test_stems_of_one_instrument_are_one_waveform() -> None:
    a, b = burst("A", 0.0, 1.0, 0.1), burst("B", 0.0, 1.0, 0.1)
    opposite = Stem("A", recording(-a.recording.samples))
    truth = stem_truth([a, b, opposite], MEL)
    assert truth.instruments == ("A", "B")
    assert truth.energy_shares.tolist() == pytest.approx([0.0, 1.0])
    assert not truth.power[0].any()


def test_a_silent_stem_owns_nothing_and_silence_has_no_owner() -> None:
    truth = stem_truth([burst("A", 0.0, 1.0, 0.1), silent("B")], MEL)
    assert truth.energy_shares.tolist() == pytest.approx([1.0, 0.0])
    assert not truth.shares[1].any()
    nothing = stem_truth([silent("A"), silent("B")], MEL)
    assert not nothing.active.any()
    assert nothing.energy_shares.tolist() == [0.0, 0.0]
    assert not nothing.shares.any()


def test_masks_say_who_owns_active_cells(together: tuple[Stem, ...]) -> None:
    truth = stem_truth(together, MEL)
    masks = np.stack([truth.true_mask(name) for name in truth.instruments])
    assert set(np.unique(masks)) == {0.0, 1.0}
    assert masks.sum(axis=0).max() == 1.0  # nobody shares more than half
    soft = np.stack([truth.true_mask(name, soft=True) for name in truth.instruments])
    np.testing.assert_array_equal(masks == 1.0, soft > 0.5)
    assert not soft[:, ~truth.active].any()


def test_what_does_not_fit_together_is_refused(apart: tuple[Stem, ...]) -> None:
    a, b, _ = apart
    samples = b.recording.samples
    with pytest.raises(InvalidRequestError, match="no stems"):
        stem_truth([], MEL)
    with pytest.raises(InvalidRequestError, match=rf"'B' has {len(samples) - 1} samples.* {len(samples)}"):
        stem_truth([a, Stem("B", recording(samples[1:]))], MEL)
    with pytest.raises(InvalidRequestError, match="'B' is at 22050 Hz, not at 44100 Hz"):
        stem_truth([a, Stem("B", replace(b.recording, sample_rate_hz=22_050))], MEL)
    with pytest.raises(InvalidRequestError, match="belongs to no stem has 1 samples"):
        stem_truth([a, b], MEL, recording(np.zeros(1)))
    with pytest.raises(InvalidRequestError, match="empty"):
        stem_truth([Stem("A", recording(np.zeros(0)))], MEL)
    with pytest.raises(InvalidRequestError, match=f"{MAX_STEMS + 1} instruments; at most {MAX_STEMS}"):
        stem_truth([silent(str(number)) for number in range(MAX_STEMS + 1)], MEL)
    with pytest.raises(InvalidRequestError, match=r"no stem of 'Kazoo'; there are A, B, C"):
        stem_truth(apart, MEL).true_mask("Kazoo")


def test_joining_keeps_order_and_start() -> None:
    part = burst("A", 0.0, LENGTH_S, 0.1).recording.part(0.5, 0.5)
    joined = joined_stems([Stem("B", part), Stem("A", part), Stem("B", part)], RATE)
    assert [stem.instrument for stem in joined] == ["B", "A"]
    assert joined[0].recording.start_s == 0.5
    np.testing.assert_array_equal(joined[0].recording.samples, 2 * part.samples)

"""Remixing: mixes against a loop over parts, cells and steps; known truth; the seed decides every choice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from ml.dataset.manifest import InvalidDatasetError
from ml.dataset.reader import SplitReader
from ml.melspec import MelConfig
from ml.training.augment import (
    HIDDEN_PATCH,
    MOST_SCATTERED,
    Augmentation,
    change_mixes,
    change_parts,
    hide,
    power_of,
    reverberate,
    scattered_patches,
)
from ml.training.parts import Parts, draw_cast, find_parts
from ml.training.remix import (
    ACTIVE_DB,
    HEARD_CELLS,
    HEARD_SHARE,
    SOUNDING_CELLS,
    UNDECIDED,
    RemixPlan,
    draw_examples,
)

N_MELS, N_FRAMES, STEP = 128, 64, 16
MEL = MelConfig()
PLAIN = RemixPlan((1.0, 1.0, 1.0), {}, 6.0, N_FRAMES, STEP, 0, None)
EXACT = 1e-4  # dB: float32 sums of powers


def reader_of(levels: np.ndarray, labels: np.ndarray, soundfonts: list[str]) -> SplitReader:
    """A split in memory."""
    truth = np.zeros((len(labels), 4), dtype=bool)
    truth[np.arange(len(labels)), labels] = True
    return cast(
        SplitReader,
        SimpleNamespace(
            labels=truth,
            soundfonts=np.array(soundfonts),
            label_names=("a", "b", "c", "d"),
            clips=lambda indices: levels[indices],
        ),
    )


@pytest.fixture
def parts() -> Parts:
    rng = np.random.default_rng(1)
    levels = rng.uniform(-60.0, 20.0, (12, N_MELS, N_FRAMES)).astype(np.float16)
    levels[:, :, 48:] = -100.0  # the last step is silent
    labels = np.repeat([0, 1, 3], 4)
    return find_parts(reader_of(levels, labels, ["x", "x", "y", "z"] * 3))


def test_parts_are_clips_of_one_instrument_by_label_and_soundfont(parts: Parts) -> None:
    assert len(parts) == 12
    assert parts.n_labels == 4
    assert sorted(parts.groups) == [0, 1, 3]
    assert [group.members.tolist() for group in parts.groups[1]] == [[4, 5], [6], [7]]
    only_y = find_parts(parts.reader, frozenset({"y"}))
    assert only_y.indices.tolist() == [2, 6, 10]


def test_a_data_set_without_solos_cannot_be_remixed() -> None:
    reader = reader_of(np.zeros((1, 2, 2), np.float16), np.array([0]), ["x"])
    reader.labels[:] = True
    with pytest.raises(InvalidDatasetError, match="one instrument each"):
        find_parts(reader)


def test_casts_draw_each_label_once_and_all_labels_and_soundfonts_evenly(parts: Parts) -> None:
    cast_ = draw_cast(parts, 3_000, (0.2, 0.3, 0.5), {}, np.random.default_rng(2))
    numbers = np.bincount(cast_.example)
    np.testing.assert_allclose(np.bincount(numbers)[1:] / 3_000, [0.2, 0.3, 0.5], atol=0.03)
    pairs = list(zip(cast_.example.tolist(), parts.labels[cast_.part].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    of_label = parts.labels[cast_.part]
    np.testing.assert_allclose(np.bincount(of_label)[[0, 1, 3]] / len(of_label), 1 / 3, atol=0.02)
    # two of four clips are of SoundFont x: drawn evenly by SoundFont, each is drawn half as often
    drawn = np.bincount(cast_.part, minlength=12)[:4] / (of_label == 0).sum()
    np.testing.assert_allclose(drawn, [1 / 6, 1 / 6, 1 / 3, 1 / 3], atol=0.03)


def test_a_soundfont_is_drawn_as_often_as_its_weight_says(parts: Parts) -> None:
    cast_ = draw_cast(parts, 3_000, (1.0,), {"z": 6.0}, np.random.default_rng(2))
    played_by_z = parts.reader.soundfonts[cast_.part] == "z"
    assert played_by_z.mean() == pytest.approx(6 / 8, abs=0.03)


def test_a_mix_and_its_truth_are_those_of_a_loop(parts: Parts) -> None:
    examples = draw_examples(parts, 5, PLAIN, np.random.default_rng(3))
    rng = np.random.default_rng(3)  # the same draws, in the same order
    cast_ = draw_cast(parts, 5, PLAIN.number_weights, {}, rng)
    gains = rng.uniform(-6.0, 6.0, len(cast_.part)).astype(np.float32)
    for example in range(5):
        mine = np.flatnonzero(cast_.example == example)
        levels = [parts.levels_db(cast_.part[i : i + 1])[0].astype(np.float64) + gains[i] for i in mine]
        powers = [10.0 ** (level / 10) for level in levels]
        mix = np.sum(np.array(powers, dtype=np.float64), axis=0)
        found = examples.levels_db[example].numpy()
        np.testing.assert_allclose(found, 10 * np.log10(np.maximum(mix, 1e-10)), atol=EXACT)
        labels, sounding = np.zeros(4), np.zeros((4, N_FRAMES // STEP))
        for power, i in zip(powers, mine, strict=True):
            label, cells = int(parts.labels[cast_.part[i]]), np.zeros(N_FRAMES // STEP)
            for band in range(N_MELS):
                for frame in range(N_FRAMES):
                    is_active = mix[band, frame] > mix.max() * 10 ** (-ACTIVE_DB / 10)
                    cells[frame // STEP] += is_active and power[band, frame] > HEARD_SHARE * mix[band, frame]
            labels[label] = cells.sum() > HEARD_CELLS
            sounding[label] = [1.0 if n > SOUNDING_CELLS else UNDECIDED if n else 0.0 for n in cells]
        np.testing.assert_array_equal(examples.labels[example].numpy(), labels)
        assert examples.sounding is not None
        np.testing.assert_array_equal(examples.sounding[example].numpy(), sounding)


def test_an_inaudible_part_is_no_true_label() -> None:
    loud = np.full((1, N_MELS, N_FRAMES), 20.0, np.float16)
    faint = np.full((1, N_MELS, N_FRAMES), -60.0, np.float16)
    parts = find_parts(reader_of(np.concatenate([loud, faint]), np.array([0, 1]), ["x", "x"]))
    plan = RemixPlan((0.0, 1.0), {}, 0.0, N_FRAMES, STEP, 0, None)
    examples = draw_examples(parts, 3, plan, np.random.default_rng(0))
    assert examples.labels.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 3


def test_stretches_of_longer_parts_differ_and_the_seed_decides_everything(parts: Parts) -> None:
    plan = RemixPlan((1.0,), {}, 0.0, 16, STEP, 0, Augmentation(MEL))
    first, again, other = (draw_examples(parts, 8, plan, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first.levels_db.shape == (8, N_MELS, 16)
    assert torch.equal(first.levels_db, again.levels_db)
    assert not torch.equal(first.levels_db, other.levels_db)


def test_frequencies_move_by_the_drawn_scale() -> None:
    band = 60
    levels = torch.full((400, N_MELS, 4), -90.0)
    levels[:, band] = 0.0
    still = Augmentation(MEL, frequency_scale=0.1, part_equalizer_db=0.0, drift_db=0.0)
    moved = change_parts(levels, still, np.random.default_rng(0))
    peaks_hz = MEL.frequencies_hz[moved[:, :, 0].argmax(dim=1).numpy()] / MEL.frequencies_hz[band]
    assert 0.88 < peaks_hz.min() < 0.95
    assert 1.05 < peaks_hz.max() < 1.12


def test_reverberation_is_the_sum_of_its_decaying_echoes() -> None:
    rng = np.random.default_rng(5)
    power = torch.from_numpy(rng.random((2, 3, 40), dtype=np.float32))
    always = Augmentation(MEL, reverb_probability=1.0)
    wet = reverberate(power.clone(), torch.tensor([0, 1]), always, np.random.default_rng(9))
    rng = np.random.default_rng(9)
    for example in range(2):
        rng.random()
        decay = 10 ** (-6 * MEL.hop_samples / MEL.sample_rate_hz / rng.uniform(0.3, 2.0))
        share = 10 ** (rng.uniform(-25.0, -6.0) / 10)
        expected = power[example].numpy().astype(np.float64)
        for echo in range(1, 40):
            expected[:, echo:] += share * decay**echo * power[example].numpy()[:, :-echo]
        np.testing.assert_allclose(wet[example].numpy(), expected, rtol=1e-4)


def test_parts_stay_the_parts_of_their_mix_but_for_noise() -> None:
    rng = np.random.default_rng(6)
    power = torch.from_numpy(rng.random((5, N_MELS, 32), dtype=np.float32))
    owner = torch.tensor([0, 0, 1, 2, 2])
    mix = torch.zeros(3, N_MELS, 32).index_add_(0, owner, power)
    quiet = Augmentation(MEL, noise_probability=0.0, silent_tail_probability=0.5)
    changed, parts = change_mixes(mix.clone(), power, owner, quiet, rng)
    summed = torch.zeros_like(mix).index_add_(0, owner, parts)
    torch.testing.assert_close(changed, summed, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(changed, mix)


def test_hiding_changes_nothing_that_is_not_hidden() -> None:
    levels = torch.zeros(50, N_MELS, 32)
    hidden = hide(levels, Augmentation(MEL), np.random.default_rng(1))
    assert set(hidden.flatten().tolist()) == {-100.0, 0.0}
    assert 0.02 < float((hidden < 0).float().mean()) < 0.5
    assert float(levels.min()) == 0.0


def test_scattered_holes_are_whole_patches_and_never_most_of_the_example() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(20):
        holes = scattered_patches(5 * HIDDEN_PATCH + 3, 40 * HIDDEN_PATCH, rng).float()
        assert holes.shape == (5 * HIDDEN_PATCH + 3, 40 * HIDDEN_PATCH)
        patches = holes[: 5 * HIDDEN_PATCH].reshape(5, HIDDEN_PATCH, 40, HIDDEN_PATCH)
        assert set(patches.mean(dim=(1, 3)).flatten().tolist()) <= {0.0, 1.0}
        shares.append(float(holes.mean()))
    assert np.mean(shares) == pytest.approx(MOST_SCATTERED / 2, abs=0.05)
    assert max(shares) < 1.3 * MOST_SCATTERED


def test_power_of_decibels() -> None:
    torch.testing.assert_close(power_of(torch.tensor([-10.0, 0.0, 20.0])), torch.tensor([0.1, 1.0, 100.0]))

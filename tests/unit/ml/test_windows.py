"""Windows: where they lie, what they hold, and how maps come back together."""

from __future__ import annotations

import numpy as np
import pytest

from ml.melspec import SILENCE_DB, MelConfig
from ml.windows import cut_windows, merge_windows, window_inputs, window_levels

MEL = MelConfig()


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (0.1, [(0.0, 0.1)]),
        (5.0, [(0.0, 5.0)]),
        (5.01, [(0.0, 5.0), (2.5, 5.01)]),
        (10.0, [(0.0, 5.0), (2.5, 7.5), (5.0, 10.0)]),
        (11.0, [(0.0, 5.0), (2.5, 7.5), (5.0, 10.0), (7.5, 11.0)]),
    ],
)
def test_windows_begin_every_two_and_a_half_seconds(
    duration_s: float, expected: list[tuple[float, float]]
) -> None:
    assert [(window.start_s, window.end_s) for window in cut_windows(duration_s, MEL)] == expected


def test_a_ten_minute_recording_has_239_windows_on_the_frame_grid() -> None:
    windows = cut_windows(600.0, MEL)
    assert len(windows) == 239
    frame_s = MEL.hop_samples / MEL.sample_rate_hz
    for window in windows:
        assert abs(window.first_frame * frame_s - window.start_s) <= frame_s / 2 + 1e-9


def test_windows_hold_their_frames_and_silence_after_the_end() -> None:
    duration_s = 6.0
    n_frames = MEL.n_frames(round(duration_s * MEL.sample_rate_hz))
    levels = np.random.default_rng(0).normal(0.0, 10.0, (MEL.n_mels, n_frames)).astype(np.float32)
    windows = cut_windows(duration_s, MEL)
    cut = window_levels(levels, windows)
    second = windows[1]
    inside = n_frames - second.first_frame
    np.testing.assert_array_equal(cut[1][:, :inside], levels[:, second.first_frame :])
    assert (cut[1][:, inside:] == SILENCE_DB).all()
    inputs, silent = window_inputs(np.stack([cut[0], np.full_like(cut[0], SILENCE_DB)]), MEL)
    assert silent.tolist() == [False, True]
    assert not inputs[1].any()


def test_merging_is_the_mean_over_the_windows_that_cover_a_frame() -> None:
    windows = cut_windows(8.0, MEL)
    n_frames = MEL.n_frames(8 * MEL.sample_rate_hz)
    maps = np.random.default_rng(1).normal(size=(len(windows), 3, windows[0].n_frames)).astype(np.float32)
    merged = merge_windows(maps, windows, n_frames)
    for frame in (0, 100, 300, n_frames - 1):  # slow: ask every window for every frame
        values = [
            window_map[:, frame - window.first_frame]
            for window, window_map in zip(windows, maps, strict=True)
            if 0 <= frame - window.first_frame < window.n_frames
        ]
        np.testing.assert_allclose(merged[:, frame], np.mean(values, axis=0), rtol=1e-6)


def test_merging_is_linear() -> None:
    windows = cut_windows(7.0, MEL)
    n_frames = MEL.n_frames(7 * MEL.sample_rate_hz)
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, len(windows), 4, windows[0].n_frames)).astype(np.float32)
    np.testing.assert_allclose(
        merge_windows(one + other, windows, n_frames),
        merge_windows(one, windows, n_frames) + merge_windows(other, windows, n_frames),
        atol=1e-5,
    )

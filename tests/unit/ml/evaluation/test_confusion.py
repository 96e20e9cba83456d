"""Confusion against counting clip by clip."""

from __future__ import annotations

import numpy as np

from ml.evaluation.confusion import confusion


def test_it_is_what_counting_clip_by_clip_gives() -> None:
    rng = np.random.default_rng(6)
    truth = rng.random((80, 4)) < 0.4
    predicted = truth ^ (rng.random((80, 4)) < 0.25)
    found = confusion(truth, predicted)
    for i in range(4):
        for j in range(4):
            clips = [k for k in range(80) if truth[k, i] and not truth[k, j]]
            assert found.n_clips[i, j] == len(clips)
            if clips:
                assert found.reported[i, j] == sum(predicted[k, j] for k in clips) / len(clips)
            else:
                assert np.isnan(found.reported[i, j])
        without = [k for k in range(80) if not truth[k, i]]
        playing = [k for k in range(80) if truth[k, i]]
        assert found.added[i] == sum(predicted[k, i] for k in without) / len(without)
        assert found.missed[i] == sum(not predicted[k, i] for k in playing) / len(playing)


def test_one_that_is_mistaken_for_another_stands_out() -> None:
    """The first label is always reported as the second too; the third is left alone."""
    truth = np.array([[True, False, False]] * 5 + [[False, False, True]] * 5)
    predicted = truth.copy()
    predicted[:5, 1] = True
    found = confusion(truth, predicted)
    assert found.reported[0, 1] == 1.0
    assert found.reported[2, 1] == 0.0
    assert found.added[1] == 0.5
    assert found.missed.tolist()[0] == 0.0


def test_what_never_happens_is_undefined() -> None:
    truth = np.array([[True, True], [True, True]])
    found = confusion(truth, truth)
    assert np.isnan(found.reported).all()
    assert np.isnan(found.added).all()
    assert found.missed.tolist() == [0.0, 0.0]

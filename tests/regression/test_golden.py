"""The shipped model says about the example clips what it said when it was shipped."""

from __future__ import annotations

import numpy as np
import pytest

from tests.regression import golden

PROBABILITY_TOLERANCE = 1e-4  # float32 convolutions differ this little between processors
MAP_TOLERANCE = 2e-3  # of the largest patch


def test_the_golden_file_still_holds() -> None:
    found = golden.measure()
    with np.load(golden.GOLDEN, allow_pickle=False) as expected:
        assert set(found) == set(expected.files)
        for name in expected.files:
            if name.endswith("/channels"):
                np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
            elif name.endswith("/map"):
                tolerance = MAP_TOLERANCE * np.abs(expected[name]).max()
                np.testing.assert_allclose(found[name], expected[name], atol=tolerance, err_msg=name)
            else:
                np.testing.assert_allclose(
                    found[name], expected[name], atol=PROBABILITY_TOLERANCE, err_msg=name
                )


def test_patches_keep_the_sum() -> None:
    relevance = np.random.default_rng(0).normal(size=(16, 40)).astype(np.float32)
    sums = golden.patch_sums(relevance)
    assert sums.shape == (2, 2)
    assert sums.sum() == pytest.approx(float(relevance[:, :32].sum()), rel=1e-4)

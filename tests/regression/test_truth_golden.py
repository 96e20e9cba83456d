"""Truth scores say of sounds and maps that never change what they always said."""

from __future__ import annotations

import numpy as np

from tests.regression import truth_golden

TOLERANCE = (
    1e-5  # of each array's largest value; levels are float32, and transforms differ between processors
)


def test_the_golden_file_still_holds() -> None:
    found = truth_golden.measure()
    with np.load(truth_golden.GOLDEN, allow_pickle=False) as expected:
        assert set(found) == set(expected.files)
        for name in expected.files:
            tolerance = TOLERANCE * float(np.abs(expected[name]).max())
            np.testing.assert_allclose(found[name], expected[name], atol=tolerance, err_msg=name)

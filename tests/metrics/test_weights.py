"""Weights come in several forms and leave in one."""

import numpy as np
import pytest

from lmzoo.metrics.weights import spread_weights

VALUES = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, [[1, 1, 1], [1, 1, 1]]),
        ([2, 0], [[2, 2, 2], [0, 0, 0]]),
        ([[2], [0]], [[2, 2, 2], [0, 0, 0]]),
        ([[True, False, True]] * 2, [[1, 0, 1], [1, 0, 1]]),
        (np.ones((2, 3, 1)), [[1, 1, 1], [1, 1, 1]]),
    ],
)
def test_each_form_gives_each_value_its_weight(given, wanted):
    weights = spread_weights(given, VALUES)
    assert weights.dtype == "float64"
    assert weights.numpy().tolist() == wanted

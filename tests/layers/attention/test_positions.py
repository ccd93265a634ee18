"""Rotary positions against their paper."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import SinePositionEncoding
from lmzoo.layers.attention.positions import rotate_by_position
from tests.layers import reference

RANDOM = np.random.default_rng(4)


@pytest.mark.parametrize("max_wavelength", [10000.0, 500000.0])
def test_rotary_pairs_turn_by_their_angle(max_wavelength):
    heads = RANDOM.normal(size=(2, 3, 6, 8))
    positions = np.array([[0, 1, 2, 3, 4, 5], [7, 3, 0, 100, 2000, 5]])
    expected = [
        reference.rotate(x, p, max_wavelength) for x, p in zip(heads, positions, strict=True)
    ]
    turned = rotate_by_position(tf.constant(heads), positions, max_wavelength)
    np.testing.assert_allclose(turned, expected, rtol=0, atol=1e-12)


def test_rotary_scores_depend_on_the_distance_alone():
    query, key = (tf.constant(RANDOM.normal(size=(1, 1, 1, 8))) for _ in range(2))

    def score(query_position, key_position):
        turned = (
            rotate_by_position(query, [[query_position]]),
            rotate_by_position(key, [[key_position]]),
        )
        return np.sum(turned[0] * turned[1])

    np.testing.assert_allclose(score(3, 1), score(1002, 1000), rtol=1e-10)


def test_bfloat16_tells_neighbouring_positions_apart():
    heads = tf.ones((1, 1, 2, 8), "bfloat16")
    turned = rotate_by_position(heads, [[256, 257]])
    assert turned.dtype == "bfloat16"
    expected = reference.rotate(np.ones((2, 8)), [256, 257])
    np.testing.assert_allclose(tf.cast(turned, "float32")[0, 0], expected, atol=1e-2)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="hidden_dim=5"):
        SinePositionEncoding().build((None, None, 5))
    with pytest.raises(ValueError, match="head_dim=5"):
        rotate_by_position(tf.zeros((1, 1, 1, 5)), [[0]])

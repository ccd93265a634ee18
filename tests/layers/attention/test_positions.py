"""Learned, sinusoidal and rotary positions against their papers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import PositionEmbedding, SinePositionEncoding
from lmzoo.layers.attention.positions import rotate_by_position
from tests.layers import reference

RANDOM = np.random.default_rng(4)


def test_position_embeddings_are_the_rows_of_the_table():
    layer = PositionEmbedding(9, dtype="float64")
    hidden = RANDOM.normal(size=(2, 5, 4))
    layer.build(hidden.shape)
    table = reference.weights_of(reference.randomise(layer))["embeddings"]
    np.testing.assert_array_equal(layer(hidden), [table[:5]] * 2)
    positions = np.array([[8, 0, 0, 1, 2], [3, 3, 4, 5, 6]])
    np.testing.assert_array_equal(layer(hidden, positions), table[positions])
    np.testing.assert_array_equal(layer(hidden, positions[0]), table[positions[0]])


def test_position_embeddings_are_as_in_keras_hub():
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed")
    ours, theirs = PositionEmbedding(9), keras_hub.layers.PositionEmbedding(9)
    hidden = RANDOM.normal(size=(2, 5, 4)).astype("float32")
    ours.build(hidden.shape)
    theirs.build(hidden.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(ours(hidden), theirs(hidden))
    np.testing.assert_allclose(
        SinePositionEncoding()(hidden),
        keras_hub.layers.SinePositionEncoding()(hidden),
        atol=1e-6,
    )


def test_position_embeddings_are_added_under_a_keras_mask():
    token_ids = np.array([[5, 7, 0]])
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(token_ids)
    added = keras.layers.Add()([embedded, PositionEmbedding(9)(embedded)])
    np.testing.assert_array_equal(added._keras_mask, token_ids != 0)


def test_a_sequence_longer_than_the_table_is_refused():
    layer = PositionEmbedding(4)
    with pytest.raises(ValueError, match="length=5, max_sequence_length=4"):
        layer(np.zeros((1, 5, 2), "float32"))


def test_a_longer_sequence_may_name_positions_that_exist():
    layer = PositionEmbedding(2)
    assert layer(np.zeros((1, 5, 2), "float32"), np.array([0, 1, 0, 1, 0])).shape == (5, 2)


def test_a_position_beyond_the_table_is_refused():
    layer = PositionEmbedding(4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= 4 is not in \[0, 4\)"):
        layer(np.zeros((1, 2, 2), "float32"), np.array([0, 4]))


@pytest.mark.parametrize("max_wavelength", [10000.0, 100.0])
def test_sinusoids_are_those_of_the_paper(max_wavelength):
    layer = SinePositionEncoding(max_wavelength, dtype="float64")
    hidden = RANDOM.normal(size=(2, 50, 8))
    expected = reference.sinusoids(range(50), 8, max_wavelength)
    np.testing.assert_allclose(layer(hidden), [expected] * 2, rtol=0, atol=1e-13)
    positions = RANDOM.integers(0, 500, size=(2, 50))
    expected = [reference.sinusoids(row, 8, max_wavelength) for row in positions]
    np.testing.assert_allclose(layer(hidden, positions), expected, rtol=0, atol=1e-13)


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

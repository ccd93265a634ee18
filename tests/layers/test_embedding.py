"""Ids to vectors and back to scores, and positions to vectors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import PositionEmbedding, SinePositionEncoding, TokenEmbedding
from tests.layers import reference

RANDOM = np.random.default_rng(4)
IDS = np.array([[1, 0, 10], [4, 4, 9]])


@pytest.mark.parametrize("tied", [True, False])
def test_ids_become_rows_and_states_become_products(tied):
    layer = TokenEmbedding(11, 4, tied=tied, dtype="float64")
    layer.build((None, None))
    weights = reference.weights_of(reference.randomise(layer))
    np.testing.assert_array_equal(layer(IDS), weights["embeddings"][IDS])
    hidden = np.random.default_rng(5).normal(size=(2, 3, 4))
    table = weights["embeddings" if tied else "output_embeddings"]
    np.testing.assert_allclose(layer(hidden, reverse=True), hidden @ table.T, atol=1e-13)


def test_untied_tables_start_apart():
    layer = TokenEmbedding(11, 4, tied=False)
    layer.build((None, None))
    assert np.abs(layer.embeddings - layer.output_embeddings).max() > 1e-3


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        *(("float32", "float32"), ("mixed_float16", "float16")),
        *(("mixed_bfloat16", "bfloat16"), ("float64", "float64")),
    ],
)
def test_logits_have_at_least_float32(policy, states):
    logits = "float64" if states == "float64" else "float32"
    layer = TokenEmbedding(11, 4, dtype=policy)
    hidden = layer(IDS)
    assert hidden.dtype == states
    assert layer(hidden, reverse=True).dtype == logits
    symbolic = layer(keras.Input((None,), dtype="int32"))
    assert (symbolic.shape, symbolic.dtype) == ((None, None, 4), states)
    symbolic = layer(symbolic, reverse=True)
    assert (symbolic.shape, symbolic.dtype) == ((None, None, 11), logits)


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

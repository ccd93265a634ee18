"""Ids to vectors and back to scores."""

import keras
import numpy as np
import pytest

from lmzoo.layers import TokenEmbedding
from tests.layers import reference

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

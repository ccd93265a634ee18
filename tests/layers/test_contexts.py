"""Attention weights that are recorded, and embeddings that are replaced, in a context alone."""

import numpy as np
from keras import ops

from lmzoo.layers import CrossAttention, SelfAttention, TokenEmbedding
from lmzoo.layers.contexts import record_attention, replace_embeddings
from tests.layers.reference import attention_weights, dense, heads_of, weights_of

HIDDEN = np.random.default_rng(0).normal(size=(2, 5, 12)).astype("float32")


def test_the_weights_of_a_layer_are_recorded_within_the_context_alone():
    layer = SelfAttention(num_heads=3, causal=True)
    mask = np.array([[True] * 5, [True] * 3 + [False] * 2])
    plain = np.asarray(layer(HIDDEN, mask=mask))
    with record_attention() as outer:
        with record_attention() as weights:
            output = layer(HIDDEN, mask=mask)
        assert not outer
    layer(HIDDEN[:1])
    np.testing.assert_array_equal(output, plain)
    flat = dense(HIDDEN, weights_of(layer), "query_key_value")
    query, key, _ = (heads_of(part, 3) for part in np.split(flat, 3, axis=-1))
    seen = np.tril(np.ones((5, 5), bool)) & mask[:, None]
    expected = attention_weights(query, key, seen)
    np.testing.assert_allclose(weights[id(layer)], expected, rtol=0, atol=1e-6)
    assert list(weights) == [id(layer)]


def test_a_query_without_a_key_has_zeros():
    layer = SelfAttention(num_heads=3)
    with record_attention() as weights:
        layer(HIDDEN, attention_mask=np.zeros((1, 1, 5), bool))
    assert not np.asarray(weights[id(layer)]).any()


def test_cross_attention_is_recorded_over_the_context():
    layer = CrossAttention(num_heads=3)
    with record_attention() as weights:
        layer(HIDDEN, context=HIDDEN[:, :3])
    assert tuple(weights[id(layer)].shape) == (2, 3, 5, 3)


def test_the_embeddings_of_one_layer_are_replaced_within_the_context_alone():
    layer, other = (TokenEmbedding(vocabulary_size=9, hidden_dim=4) for _ in range(2))
    ids, given = ops.array([[1, 2]]), ops.ones((1, 2, 4))
    plain, others = np.asarray(layer(ids)), np.asarray(other(ids))
    with replace_embeddings(layer, given):
        np.testing.assert_array_equal(layer(ids), given)
        np.testing.assert_array_equal(other(ids), others)
        # The logits come from the table as ever.
        assert tuple(layer(given, reverse=True).shape) == (1, 2, 9)
    np.testing.assert_array_equal(layer(ids), plain)

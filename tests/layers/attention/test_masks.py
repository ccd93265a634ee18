"""Masks, place by place, and the masks that Keras's own layers hand to ours."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import (
    CrossAttention,
    FeedForward,
    SelfAttention,
    TransformerBlock,
    make_causal_mask,
    make_document_mask,
    make_padding_mask,
    make_window_mask,
)


@pytest.mark.parametrize("window", [None, 1, 2, 5, 100])
@pytest.mark.parametrize(("length", "slots", "position"), [(5, 5, 0), (3, 9, 4), (1, 6, 5)])
def test_a_query_sees_its_own_slot_and_those_before_in_the_window(length, slots, position, window):
    mask = make_causal_mask(length, slots, position, window)
    expected = [
        [
            key <= q + position and (window is None or q + position - key < window)
            for key in range(slots)
        ]
        for q in range(length)
    ]
    np.testing.assert_array_equal(mask, [expected])
    assert mask.dtype == "bool"


def test_lengths_and_position_may_be_tensors():
    made = tf.function(make_causal_mask)(*(tf.constant(x) for x in (3, 9, 4)))
    np.testing.assert_array_equal(made, make_causal_mask(3, 9, 4))


@pytest.mark.parametrize(("window", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError)])
def test_a_window_that_is_no_size_is_refused(window, error):
    with pytest.raises(error, match=f"window={window}"):
        make_causal_mask(3, 3, window=window)


@pytest.mark.parametrize("distance", [1, 3, 100])
def test_a_token_attends_to_its_neighbours_on_both_sides(distance):
    expected = [[abs(key - query) <= distance for key in range(7)] for query in range(7)]
    mask = tf.function(make_window_mask)(tf.constant(7), distance)
    np.testing.assert_array_equal(mask, [expected])


@pytest.mark.parametrize(("distance", "error"), [(0, ValueError), (1.5, TypeError)])
def test_a_distance_that_is_no_size_is_refused(distance, error):
    with pytest.raises(error, match=f"distance={distance}"):
        make_window_mask(3, distance)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_padding_is_hidden_from_every_query(dtype):
    mask = make_padding_mask(np.array([[1, 1, 0], [0, 1, 1]], dtype))
    assert mask.dtype == "bool"
    np.testing.assert_array_equal(mask, [[[True, True, False]], [[False, True, True]]])


def test_a_document_sees_itself_alone():
    ids = np.array([[0, 0, 1], [7, 3, 7]])
    mask = make_document_mask(ids)
    for b, t, s in np.ndindex(2, 3, 3):
        assert bool(mask[b, t, s]) == (ids[b, t] == ids[b, s])


TOKEN_IDS = np.array([[5, 7, 2, 0, 0], [3, 0, 0, 0, 0], [1, 2, 3, 4, 5]])
LAYERS = {
    "self-attention": lambda: SelfAttention(4),
    "causal self-attention": lambda: SelfAttention(4, causal=True),
    "block": lambda: TransformerBlock(4, 12),
    "causal block": lambda: TransformerBlock(4, 12, causal=True, rotary=True),
    "two blocks": lambda: chain(TransformerBlock(4, 12), TransformerBlock(2, 8)),
    "attention behind a feed-forward": lambda: chain(FeedForward(12), SelfAttention(2)),
}


def chain(first, second):
    return lambda hidden: second(first(hidden))


def keras_attention():
    """The control: Keras's own attention over itself."""
    layer = keras.layers.MultiHeadAttention(2, 4)
    return lambda hidden: layer(hidden, hidden)


def embed(token_ids, dtype="float32"):
    """Embeddings with a Keras mask, those of padding being large."""
    table = np.random.default_rng(3).normal(size=(11, 8))
    layer = keras.layers.Embedding(11, 8, mask_zero=True, dtype=dtype)
    layer.build()
    layer.embeddings.assign(table)
    return layer(token_ids)


def disturb_padding(embedded):
    changed = embedded + 100.0 * tf.cast(TOKEN_IDS == 0, "float32")[..., None]
    changed._keras_mask = embedded._keras_mask
    return changed


@pytest.mark.parametrize("name", [*LAYERS, "Keras's own"])
def test_tokens_hidden_by_a_keras_mask_change_nothing(name):
    layer = LAYERS.get(name, keras_attention)()
    embedded, real = embed(TOKEN_IDS), TOKEN_IDS != 0
    disturbed = disturb_padding(embedded)
    plain = layer(embedded)
    if name in LAYERS:
        np.testing.assert_array_equal(plain._keras_mask, real)
    changed = layer(disturbed)
    np.testing.assert_allclose(changed.numpy()[real], plain.numpy()[real], rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [LAYERS["self-attention"], LAYERS["block"]])
def test_an_explicit_mask_is_as_good_as_one_of_keras(make):
    layer, embedded = make(), embed(TOKEN_IDS)
    bare = tf.constant(embedded.numpy())
    expected = layer(bare, attention_mask=make_padding_mask(TOKEN_IDS != 0))
    for output in (layer(embedded), layer(bare, mask=TOKEN_IDS != 0)):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("make", [LAYERS["self-attention"], LAYERS["block"]])
def test_a_keras_mask_and_an_attention_mask_both_count(make):
    layer, embedded = make(), embed(TOKEN_IDS)
    mask = make_causal_mask(5, 5)
    expected = layer(
        tf.constant(embedded.numpy()),
        attention_mask=tf.logical_and(mask, make_padding_mask(TOKEN_IDS != 0)),
    )
    np.testing.assert_array_equal(layer(embedded, attention_mask=mask), expected)


@pytest.mark.parametrize("kind", ["cross-attention", "block"])
def test_the_keras_mask_of_a_context_hides_its_padding(kind):
    layer = CrossAttention(4) if kind == "cross-attention" else None
    layer = layer or TransformerBlock(4, 12, cross_attention=True)
    context, hidden = embed(TOKEN_IDS), tf.ones((3, 4, 8))
    plain = layer(hidden, context=context)
    np.testing.assert_allclose(
        layer(hidden, context=disturb_padding(context)), plain, rtol=0, atol=1e-6
    )
    bare = tf.constant(context.numpy())
    for mask in (TOKEN_IDS != 0, make_padding_mask(TOKEN_IDS != 0)):
        name = "context_mask" if mask.ndim == 2 or kind == "block" else "attention_mask"
        np.testing.assert_array_equal(layer(hidden, context=bare, **{name: mask}), plain)


def test_a_keras_mask_beside_a_cache_is_refused():
    layer = SelfAttention(4)
    layer.build((None, None, 8))
    with pytest.raises(ValueError, match=r"Received: mask of shape \(3, 5\)"):
        layer(embed(TOKEN_IDS), cache=layer.make_cache(3, 9))


@pytest.mark.parametrize("make", [LAYERS["causal self-attention"], LAYERS["causal block"]])
def test_a_causal_layer_is_one_with_a_causal_mask(make):
    layer = make()
    config = {**layer.get_config(), "causal": False}
    plain = type(layer).from_config(config)
    hidden = tf.random.stateless_normal((2, 5, 8), (1, 2))
    plain.build(hidden.shape)
    layer.build(hidden.shape)
    plain.set_weights(layer.get_weights())
    expected = plain(hidden, attention_mask=make_causal_mask(5, 5))
    np.testing.assert_array_equal(layer(hidden), expected)
    # A step at a time, over a cache.
    cache, steps = layer.make_cache(2, 7), []
    for position in range(5):
        step, cache = layer(hidden[:, position : position + 1], cache=cache, position=position)
        steps.append(step)
    np.testing.assert_allclose(tf.concat(steps, axis=1), expected, rtol=0, atol=1e-5)


def test_a_functional_model_of_any_length_is_masked_and_causal(tmp_path):
    token_ids = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(11, 8, mask_zero=True)(token_ids)
    hidden = TransformerBlock(4, 12, causal=True)(embedded)
    mask = make_causal_mask(token_ids, token_ids)
    assert mask.shape == (1, None, None)
    same = TransformerBlock(4, 12)
    model = keras.Model(token_ids, [hidden, same(embedded, attention_mask=mask)])
    same.set_weights(model.layers[2].get_weights())
    first, second = model(TOKEN_IDS)
    np.testing.assert_array_equal(first, second)
    shorter, _ = model(TOKEN_IDS[:, :3])
    np.testing.assert_allclose(shorter[0], first[0, :3], rtol=0, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(TOKEN_IDS)[1], second)


def test_a_masks_length_may_be_that_of_a_tensor():
    made = make_causal_mask(np.zeros((2, 3)), np.zeros((2, 9, 4)), position=4)
    np.testing.assert_array_equal(made, make_causal_mask(3, 9, 4))
    np.testing.assert_array_equal(make_window_mask(np.zeros((1, 4)), 1), make_window_mask(4, 1))

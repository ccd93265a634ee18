"""Attention in chunks of queries equals attention at once: outputs, gradients, all options."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import SelfAttention
from lmzoo.layers.attention.chunked import attend_in_chunks, count_chunks
from lmzoo.layers.attention.dot_product import attend

B, N, T, H = 2, 4, 11, 6
RANDOM = np.random.default_rng(5)
INDEX = np.arange(T)
CAUSAL = INDEX[:, None] >= INDEX
NEAR = np.abs(INDEX[:, None] - INDEX) <= 2
# name: (K, S, mask, reach, shape of the bias, scale)
CASES = {
    "plain": (4, T, None, None, None, None),
    "cross-attention with an empty row": (4, 7, RANDOM.random((B, T, 7)) < 0.3, None, None, None),
    "padding": (4, T, RANDOM.random((B, 1, T)) < 0.7, None, None, None),
    "causal": (4, T, CAUSAL[None], (None, 0), None, None),
    "causal window": (4, T, (CAUSAL & NEAR)[None], (2, 0), None, None),
    "window": (4, T, NEAR[None] & (RANDOM.random((B, 1, T)) < 0.7), (2, 2), None, None),
    "grouped queries": (2, T, CAUSAL[None], (None, 0), None, None),
    "shared bias": (4, T, CAUSAL[None], (None, 0), (1, N, T, T), 1.0),
    "bias of a row": (1, T, None, None, (B, N, T, T), 0.3),
}


def make_tensors(case, dtype="float64"):
    num_groups, length, mask, reach, bias_shape, scale = CASES[case]
    shapes = [(B, N, T, H), (B, num_groups, length, H), (B, num_groups, length, H)]
    shapes += [] if bias_shape is None else [bias_shape]
    tensors = [tf.constant(RANDOM.normal(size=shape), dtype) for shape in shapes]
    return tensors, None if mask is None else tf.constant(mask), reach, scale


def differentiate(function, tensors):
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = function(*tensors)
        loss = tf.reduce_sum(tf.sin(tf.cast(outputs, tf.float64) * 3))
    return [outputs, *tape.gradient(loss, tensors)]


def run_both(tensors, mask, reach, scale, num_chunks=3):
    no_dropout = keras.layers.Dropout(0.0)

    def in_chunks(query, key, value, bias=None):
        arguments = {"attention_mask": mask, "bias": bias, "scale": scale, "dropout": no_dropout}
        return attend_in_chunks(query, key, value, arguments, num_chunks, reach, training=True)

    def at_once(query, key, value, bias=None):
        return attend(query, key, value, mask, bias, scale)

    return differentiate(in_chunks, tensors), differentiate(at_once, tensors)


@pytest.mark.parametrize("case", CASES)
def test_chunks_give_the_outputs_and_gradients_of_attention_at_once(case):
    for got, wanted in zip(*run_both(*make_tensors(case)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


def test_lengths_may_be_unknown_when_the_graph_is_traced():
    tensors, mask, reach, scale = make_tensors("shared bias")
    specs = [tf.TensorSpec([None, N, None, H], tf.float64) for _ in range(3)]
    specs += [tf.TensorSpec([1, N, None, None], tf.float64), tf.TensorSpec(mask.shape, tf.bool)]
    traced = tf.function(
        lambda *given: run_both(list(given[:4]), given[4], reach, scale), input_signature=specs
    )
    for got, wanted in zip(*traced(*tensors, mask), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.05)])
def test_chunks_are_as_exact_in_other_precisions(dtype, tolerance):
    tensors, mask, reach, scale = make_tensors("grouped queries", dtype)
    for got, wanted in zip(*run_both(tensors, mask, reach, scale), strict=True):
        assert got.dtype == wanted.dtype == tf.as_dtype(dtype)
        got, wanted = np.array(got, "float64"), np.array(wanted, "float64")
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def test_the_gradient_is_that_of_the_dropout_which_was_drawn():
    layer = SelfAttention(2, dropout=0.4, chunks=3, causal=True, dtype="float64")
    hidden = tf.constant(RANDOM.normal(size=(2, 8, 4)))
    direction = RANDOM.normal(size=hidden.shape)
    layer.build(hidden.shape)
    state = layer.dropout_layer.seed_generator.state
    start = state.numpy()

    def compute(hidden):
        state.assign(start)
        return tf.reduce_sum(tf.sin(3 * layer(hidden, training=True)))

    with tf.GradientTape() as tape:
        tape.watch(hidden)
        loss = compute(hidden)
    slope = tf.reduce_sum(tape.gradient(loss, hidden) * direction)
    step = 1e-6
    numeric = (compute(hidden + step * direction) - compute(hidden - step * direction)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-7)
    # A draw for each chunk, and another one in the next step.
    assert state.numpy()[1] == start[1] + 3
    assert float(tf.reduce_sum(tf.sin(3 * layer(hidden, training=True)))) != float(loss)


def test_auto_takes_chunks_of_long_texts_in_training():
    long, unknown = (keras.KerasTensor((1, 2, length, 4)) for length in (2048, None))
    counts = {
        (heads, length): count_chunks("auto", one, one, training=True)
        for heads, length in ((2, 2047), (2, 2048), (12, 2048), (12, 4096), (32, 8192), (2, None))
        for one in [keras.KerasTensor((1, heads, length, 4))]
    }
    assert list(counts.values()) == [1, 4, 4, 16, 16, 1]
    assert count_chunks("auto", long, long, training=False) == 1
    assert count_chunks(3, unknown, unknown, training=None) == 3
    assert count_chunks(8, keras.KerasTensor((1, 2, 5, 4)), unknown, training=None) == 5


@pytest.mark.parametrize(
    ("chunks", "error"), [("all", TypeError), (None, TypeError), (1.5, TypeError), (0, ValueError)]
)
def test_a_wrong_number_of_chunks_is_refused(chunks, error):
    with pytest.raises(error, match=rf"`chunks` must be .*Received: chunks={chunks!r}"):
        SelfAttention(2, chunks=chunks)

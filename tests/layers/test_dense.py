"""The dense layer: in halves it says what it says at once, and where it is not in halves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers.contexts import compiled_step
from lmzoo.layers.dense import Dense


def make_dense(size=12, dtype="float64", **options):
    layer = Dense(5, bias_initializer="random_normal", dtype=dtype, **options)
    layer.build((None, size))
    return layer


def draw(*shape):
    return np.random.default_rng(3).normal(size=shape)


def product_shapes(layer, inputs):
    """The shapes of the matrix products that a layer is traced to."""
    graph = tf.function(lambda x: layer(x)).get_concrete_function(tf.constant(inputs)).graph
    kinds = ("MatMul", "BatchMatMul", "BatchMatMulV2")
    return [tuple(op.inputs[1].shape) for op in graph.get_operations() if op.type in kinds]


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}])
def test_the_halves_add_up_to_the_product(options):
    layer, inputs = make_dense(**options), draw(3, 12)
    expected = inputs @ np.array(layer.kernel)
    if layer.use_bias:
        expected = expected + np.array(layer.bias)
    if options.get("activation"):
        expected = np.maximum(expected, 0)
    np.testing.assert_allclose(layer(inputs), expected, rtol=0, atol=1e-14)
    with compiled_step():
        assert product_shapes(layer, inputs) == [(2, 6, 5)]
        np.testing.assert_allclose(layer(inputs), expected, rtol=0, atol=1e-14)
    assert product_shapes(layer, inputs) == [(12, 5)]


@pytest.mark.parametrize(
    ("size", "dtype", "shape"),
    [
        (11, "float32", (3, 11)),
        (12, "mixed_bfloat16", (3, 12)),
        (12, "float16", (3, 12)),
        (12, "float32", (1, 3, 12)),
    ],
)
def test_what_has_no_halves_or_would_be_rounded_stays_whole(size, dtype, shape):
    layer, inputs = make_dense(size, dtype), draw(*shape).astype("float32")
    expected = np.array(layer(inputs), "float32")
    with compiled_step():
        assert (2, 6, 5) not in product_shapes(layer, inputs)
        np.testing.assert_array_equal(np.array(layer(inputs), "float32"), expected)


def test_halves_end_with_an_error():
    layer = make_dense()
    with pytest.raises(RuntimeError, match="stop"), compiled_step():
        raise RuntimeError("stop")
    assert product_shapes(layer, draw(3, 12)) == [(12, 5)]


def test_weights_of_low_rank_are_in_the_halves():
    layer, inputs = make_dense(), draw(3, 12)
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(draw(2, 5))
    expected = np.array(layer(inputs))
    assert np.abs(expected - (inputs @ np.array(layer._kernel) + np.array(layer.bias))).max() > 0.1
    with compiled_step():
        np.testing.assert_allclose(layer(inputs), expected, rtol=0, atol=1e-14)


def test_it_is_quantized_as_keras_own_layer_is():
    inputs = draw(3, 12).astype("float32")
    layer, own = make_dense(dtype="float32"), keras.layers.Dense(5, dtype="float32")
    own.build((None, 12))
    own.set_weights(layer.get_weights())
    for dense in (layer, own):
        dense.quantize("int8")
    assert layer._kernel.dtype == "int8"
    np.testing.assert_array_equal(layer(inputs), own(inputs))
    with compiled_step():
        np.testing.assert_array_equal(layer(inputs), own(inputs))

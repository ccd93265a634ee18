"""Dropout against the binomial distribution that it promises."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers.dropout import Dropout

COUNT = 400_000


def drop(rate, dtype="float32", count=COUNT, seed=5):
    values = Dropout(rate, seed=seed, dtype=dtype)(tf.ones([count], dtype), training=True)
    assert values.dtype == dtype
    return np.array(values, "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("rate", [0.004, 0.01, 0.1, 0.5, 0.93])
def test_the_share_and_the_scale_are_those_of_the_rate_in_every_dtype(rate, dtype):
    values = drop(rate, dtype)
    dropped = (values == 0).mean()
    # Five standard deviations, and the rounding of the rate to 16 bits.
    assert abs(dropped - rate) < 5 * np.sqrt(rate * (1 - rate) / COUNT) + 2**-17
    kept = np.unique(values[values != 0])
    rounded = round(rate * 65536) / 65536
    expected = np.array(tf.cast(tf.constant(1 / (1 - rounded), tf.float64), dtype), "float64")
    np.testing.assert_array_equal(kept, expected)


def test_neighbours_are_dropped_independently():
    dropped = drop(0.3) == 0
    for distance in (1, 2, 3, 4, 8):
        both = (dropped[:-distance] & dropped[distance:]).mean()
        assert abs(both - 0.09) < 5 * np.sqrt(0.09 * 0.91 / COUNT)


def test_calls_differ_and_a_seed_repeats_them():
    layer, again = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    ones = tf.ones([64])
    first, second = layer(ones, training=True), layer(ones, training=True)
    assert np.any(first != second)
    np.testing.assert_array_equal(first, again(ones, training=True))
    np.testing.assert_array_equal(second, again(ones, training=True))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5, 7), (2, 0, 3)])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_any_shape_and_its_gradient(shape, jit_compile):
    layer = Dropout(0.5, seed=1)
    values = np.random.default_rng(0).normal(size=shape).astype("float32")

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec(shape if jit_compile else [None] * len(shape))],
    )
    def differentiate(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs, training=True)
        return output, tape.gradient(output, inputs)

    output, slope = differentiate(values)
    assert output.shape == shape
    np.testing.assert_array_equal(output, values * slope)
    assert set(np.unique(slope)) <= {0.0, 2.0}


def test_without_training_and_at_the_ends():
    ones = tf.ones([9])
    np.testing.assert_array_equal(Dropout(0.5)(ones), ones)
    np.testing.assert_array_equal(Dropout(0.0)(ones, training=True), ones)
    np.testing.assert_array_equal(Dropout(1.0)(ones, training=True), 0 * ones)


def test_it_has_the_config_of_keras():
    layer = Dropout(0.25, seed=4, name="dropout")
    config = keras.layers.Dropout(0.25, seed=4, name="dropout").get_config()
    assert layer.get_config() == config
    assert Dropout.from_config(config).rate == 0.25

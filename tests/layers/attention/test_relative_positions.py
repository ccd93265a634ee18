"""Relative positions against a count in whole numbers; the hub's tests have transformers' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import RelativePositionBias
from lmzoo.layers.attention.positions import make_distance_buckets
from tests.layers import reference

CASES = [(32, 128), (12, 9), (64, 300), (8, 128), (4, 2)]


def make_layer(*arguments, **options):
    layer = RelativePositionBias(*arguments, dtype="float64", **options)
    layer.build()
    return reference.randomise(layer)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), CASES)
def test_buckets_are_exact_from_512_before_to_512_behind(num_buckets, max_distance, bidirectional):
    if not bidirectional and num_buckets // 2 >= max_distance:
        max_distance += num_buckets
    layer = make_layer(1, bidirectional, num_buckets, max_distance)
    layer.embeddings.assign(np.arange(num_buckets)[:, None])
    got = layer(query_length=1, key_length=1025, position=512)[0, 0, 0]
    wanted = [
        reference.distance_bucket(distance, bidirectional, num_buckets, max_distance)
        for distance in range(-512, 513)
    ]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_each_head_has_a_number_for_each_distance(bidirectional):
    layer = make_layer(3, bidirectional, 8, 16)
    table = reference.weights_of(layer)["embeddings"]
    got = layer(query_length=5, key_length=9, position=2)
    assert got.shape == (1, 3, 5, 9)
    for n, t, s in np.ndindex(3, 5, 9):
        bucket = reference.distance_bucket(s - (t + 2), bidirectional, 8, 16)
        assert got[0, n, t, s] == table[bucket, n]


def test_a_later_query_has_its_row_of_the_whole():
    layer = make_layer(2, False, 8, 16)
    whole = layer(query_length=9, key_length=9)
    for position in range(9):
        row = layer(query_length=1, key_length=9, position=position)
        np.testing.assert_array_equal(row[:, :, 0], whole[:, :, position])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_position_may_be_a_tensor(jit_compile):
    layer = make_layer(2)

    @tf.function(jit_compile=jit_compile)
    def run(position, keys):
        return layer(query_length=3, key_length=tf.shape(keys)[0], position=position)

    got = run(tf.constant(4), tf.zeros([9]))
    np.testing.assert_array_equal(got, layer(query_length=3, key_length=9, position=4))


def test_a_gradient_reaches_the_numbers_that_are_used():
    layer = make_layer(2, True, 8, 16)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(query_length=2, key_length=2))
    # Distances 0 twice, 1 before, 1 behind.
    wanted = np.zeros((8, 2))
    wanted[[0, 1, 5]] = [[2], [1], [1]]
    gradient = tape.gradient(loss, layer.embeddings.value)
    np.testing.assert_array_equal(tf.convert_to_tensor(gradient), wanted)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_table_keeps_its_precision(policy):
    layer = RelativePositionBias(2, dtype=policy)
    assert layer(query_length=2, key_length=2).dtype == layer.embeddings.dtype == "float32"


def test_the_config_holds_every_argument_and_makes_the_same_layer():
    layer = RelativePositionBias(3, False, 8, 16, "he_normal", dtype="float64", name="mine")
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert twin.get_config() == layer.get_config()
    own = {"num_heads": 3, "bidirectional": False, "num_buckets": 8, "max_distance": 16}
    assert own.items() <= layer.get_config().items()
    assert isinstance(twin.initializer, keras.initializers.HeNormal)


def test_buckets_grow_with_the_distance_and_end_at_the_last():
    buckets = make_distance_buckets(16, 128)
    assert buckets.dtype == "int32" and buckets.shape == (129,)
    assert (np.diff(buckets) >= 0).all() and buckets[-1] == 15

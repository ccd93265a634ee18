"""The cache: writes land in their slots and nowhere else."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers.attention.cache import init_cache, update_cache, write_mask

RANDOM = np.random.default_rng(2)


def filled_cache(batch=3, num_heads=2, num_slots=7, dim=4):
    shape = (batch, num_heads, num_slots, dim)
    return {name: tf.constant(RANDOM.normal(size=shape)) for name in ("key", "value")}


def new_values(length, batch=3, num_heads=2, dim=4):
    return [RANDOM.normal(size=(batch, num_heads, length, dim)) for _ in range(2)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_an_empty_cache_is_zeros_of_the_dtype(dtype):
    cache = init_cache(3, 2, 7, 4, dtype)
    for name in ("key", "value"):
        assert cache[name].shape == (3, 2, 7, 4)
        assert cache[name].dtype == dtype
        assert not np.any(tf.cast(cache[name], "float32"))


@pytest.mark.parametrize(("position", "length"), [(0, 7), (0, 1), (6, 1), (2, 3), (4, 3)])
@pytest.mark.parametrize("kind", [int, np.int64, tf.constant])
def test_new_positions_land_in_their_slots_and_nowhere_else(position, length, kind):
    cache = filled_cache()
    before = {name: x.numpy() for name, x in cache.items()}
    key, value = new_values(length)
    after = update_cache(cache, key, value, kind(position))
    for name, new in (("key", key), ("value", value)):
        expected = before[name].copy()
        expected[:, :, position : position + length] = new
        np.testing.assert_array_equal(after[name], expected)
        np.testing.assert_array_equal(cache[name], before[name])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_may_be_unknown_when_the_graph_is_made(jit_compile):
    specs = [tf.TensorSpec((None, 2, None, 4), "float64")] * 4 + [tf.TensorSpec((), "int32")]

    @tf.function(input_signature=specs, jit_compile=jit_compile)
    def update(old_key, old_value, key, value, position):
        cache = update_cache({"key": old_key, "value": old_value}, key, value, position)
        return cache["key"], cache["value"]

    cache, (key, value) = filled_cache(), new_values(3)
    eager = update_cache(cache, key, value, 2)
    graph = update(cache["key"], cache["value"], key, value, 2)
    np.testing.assert_array_equal(graph[0], eager["key"])
    np.testing.assert_array_equal(graph[1], eager["value"])


@pytest.mark.parametrize("position", [-1, 5, 100])
def test_positions_that_do_not_fit_are_refused(position):
    with pytest.raises(ValueError, match=f"position={position}, 3 new positions, 7 slots"):
        update_cache(filled_cache(), *new_values(3), position)


@pytest.mark.parametrize(("position", "length"), [(0, 1), (0, 5), (2, 3), (4, 1)])
@pytest.mark.parametrize("kind", [int, tf.constant])
def test_a_mask_is_written_into_its_slots_and_nowhere_else(position, length, kind):
    generator = np.random.default_rng(1)
    slots, new = generator.random((3, 5)) < 0.5, generator.random((3, length)) < 0.5
    expected = slots.copy()
    expected[:, position : position + length] = new
    np.testing.assert_array_equal(write_mask(slots, new, kind(position)), expected)

"""The ops that suit LiteRT compute what the usual ones compute."""

import numpy as np
import tensorflow as tf

from lmzoo.layers.cache import init_cache, update_cache
from lmzoo.layers.litert_ops import is_litert, litert_ops, look_up

RANDOM = np.random.default_rng(0)


def draw(*shape):
    return RANDOM.normal(size=shape).astype("float32")


def test_a_look_up_is_a_take():
    table, ids = tf.constant(draw(7, 3)), tf.constant([[1, 6, 0], [2, 2, 5]])
    with litert_ops(tf.gather):
        found = look_up(table, ids)
    np.testing.assert_array_equal(found, table.numpy()[ids.numpy()])
    np.testing.assert_array_equal(found, look_up(table, ids))


def test_a_slice_update_writes_the_slots_that_a_scatter_writes():
    cache = init_cache(2, 3, 8, 4, "float32")
    key, value = draw(2, 3, 2, 4), draw(2, 3, 2, 4)
    wanted = update_cache(cache, key, value, 5)
    with litert_ops(tf.gather):
        found = update_cache(cache, key, value, tf.constant(5))
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_the_context_ends_with_its_block():
    with litert_ops(tf.gather):
        assert is_litert()
    assert not is_litert()

"""The ops that suit LiteRT compute what the usual ones compute."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers.attention.cache import init_cache, update_cache
from lmzoo.layers.attention.dot_product import attend
from lmzoo.layers.contexts import is_litert, litert_ops
from lmzoo.layers.tensors import hide, look_up, split_once

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


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("num_groups", [1, 2])
@pytest.mark.parametrize("with_bias", [False, True])
def test_attention_is_the_usual_one(length, num_groups, with_bias):
    query, bias = draw(2, 4, length, 5), draw(1, 4, length, 7) if with_bias else None
    key, value = draw(2, 4 // num_groups, 7, 5), draw(2, 4 // num_groups, 7, 5)
    mask = RANDOM.random((2, length, 7)) < 0.5
    mask[0, 0], mask[1, -1] = True, False
    wanted = attend(query, key, value, mask, bias)
    with litert_ops(tf.gather):
        found = attend(query, key, value, mask, bias)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert not np.any(found[1, :, -1]), "a row without any visible key is zeros"


def test_a_hidden_score_has_no_weight_however_high_it_is():
    scores, mask = tf.constant([[3.0, 9000.0, 2.0]]), tf.constant([[True, False, True]])
    with litert_ops(tf.gather):
        weights = tf.nn.softmax(hide(scores, mask, -65504.0))
    np.testing.assert_array_equal(weights, tf.nn.softmax([[3.0, -np.inf, 2.0]]))


def test_parts_are_those_of_a_split():
    tensor = draw(2, 5, 3)
    for context in (contextlib.nullcontext(), litert_ops(tf.gather)):
        with context:
            first, rest = split_once(tf.constant(tensor), 2, axis=1)
        np.testing.assert_array_equal(first, tensor[:, :2])
        np.testing.assert_array_equal(rest, tensor[:, 2:])


def test_the_context_ends_with_its_block():
    with litert_ops(tf.gather):
        assert is_litert()
    assert not is_litert()

"""A layer that is computed again backward: the same numbers, the same draws, in every mode."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import TransformerBlock
from lmzoo.layers.rematerialization import rematerialize

RANDOM = np.random.default_rng(6)


@functools.cache
def make_block(policy):
    options = {"dropout": 0.3, "feed_forward_dropout": 0.2, "cross_attention": True}
    block = TransformerBlock(2, 12, **options, dtype=policy)
    block.build((None, None, 8), (None, None, 8))
    return block


def train(block, rematerialized):
    """The loss, all gradients and the states of the seeds, after two calls of a block."""
    hidden, context = (
        tf.constant(np.random.default_rng(1).normal(size=(2, 5, 8)), "float32") for _ in range(2)
    )
    bias, mask = tf.ones((1, 2, 5, 5)), tf.linalg.band_part(tf.ones((1, 5, 5), "bool"), -1, 0)
    seeds = [one for one in block.variables if one.path.endswith("seed_generator_state")]
    for number, seed in enumerate(seeds):
        seed.assign([number, 0])
    call = functools.partial(rematerialize, block) if rematerialized else block
    with tf.GradientTape() as tape:
        tape.watch([hidden, context, bias])
        outputs = hidden
        for _ in range(2):
            outputs = call(outputs, bias=bias, context=context, attention_mask=mask, training=True)
        loss = tf.reduce_sum(tf.sin(tf.cast(outputs, "float32")))
    sources = [hidden, context, bias, *block.trainable_variables]
    return [loss, *tape.gradient(loss, sources), *(seed.value for seed in seeds)]


@pytest.mark.quick("graph-mixed_bfloat16", "eager-*")
@pytest.mark.parametrize(
    ("mode", "policy"),
    [
        ("eager", "mixed_bfloat16"),
        ("graph", "float32"),
        ("graph", "mixed_bfloat16"),
        pytest.param("XLA", "float32", marks=pytest.mark.slow),
        pytest.param("XLA", "mixed_bfloat16", marks=pytest.mark.slow),
    ],
)
def test_the_gradients_are_those_of_a_plain_call_with_the_same_dropout(mode, policy):
    block = make_block(policy)
    results = []
    for rematerialized in (False, True):
        run = functools.partial(train, block, rematerialized)
        if mode != "eager":
            run = tf.function(run, autograph=False, jit_compile=mode == "XLA")
        results.append(run())
    # XLA keeps other sums of bfloat16 in float32 where it compiles both passes as one.
    tolerance = 0.05 if (mode, policy) == ("XLA", "mixed_bfloat16") else 1e-5
    for plain, again in zip(*results, strict=True):
        scale = np.abs(plain).max()
        np.testing.assert_allclose(again, plain, rtol=0, atol=tolerance * scale)


def test_a_layer_draws_anew_in_each_call():
    block = make_block("float32")
    hidden = tf.ones((1, 5, 8))
    first, second = (rematerialize(block, hidden, context=hidden, training=True) for _ in range(2))
    assert np.abs(first - second).max() > 0.01

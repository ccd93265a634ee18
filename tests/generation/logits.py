"""Random logits, and a comparison that looks at which tokens are masked."""

import numpy as np
import tensorflow as tf

V = 37


def random_logits(rows=16, vocabulary_size=V, seed=0):
    logits = np.random.default_rng(seed).normal(0, 3, (rows, vocabulary_size))
    return logits.astype("float32")


def assert_same_kept(actual, expected):
    np.testing.assert_array_equal(np.isneginf(actual), np.isneginf(expected))
    kept = ~np.isneginf(expected)
    np.testing.assert_array_equal(np.asarray(actual)[kept], expected[kept].astype("float32"))


def assert_compiled_equals_plain(function, *arguments):
    """A graph of the function, plain or compiled by XLA, gives what the function gives."""
    plain = function(*arguments)
    for compiled in (False, True):
        actual = tf.function(function, jit_compile=compiled)(*arguments)
        np.testing.assert_allclose(actual, plain, rtol=1e-6)

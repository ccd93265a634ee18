"""Next-token selection: filters, draws and random numbers against NumPy in float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import selection
from tests.generation import oracle
from tests.generation.logits import V, assert_compiled_equals_plain, assert_same_kept, random_logits

MASKED = -math.inf


def by_row(function, logits, parameter):
    """A function of the oracle for one row, over all of them."""
    return np.stack([function(row, value) for row, value in zip(logits, parameter, strict=True)])


def test_top_k_keeps_the_k_likeliest():
    logits, top_k = random_logits(), np.arange(1, 17, dtype="int32")
    actual = selection.keep_top_k(logits, top_k)
    assert_same_kept(actual, by_row(oracle.keep_top_k, logits, top_k))
    assert (np.sum(np.isfinite(actual), axis=1) == top_k).all()


@pytest.mark.parametrize("top_k", [0, V, V + 1, 10**6])
def test_top_k_of_zero_or_of_the_vocabulary_keeps_all(top_k):
    logits = random_logits()
    np.testing.assert_array_equal(selection.keep_top_k(logits, tf.fill([16], top_k)), logits)


def test_top_k_keeps_ties_of_the_last_one():
    actual = selection.keep_top_k(tf.constant([[1.0, 2.0, 0.5, 1.0, 1.0]]), tf.constant([2]))
    np.testing.assert_array_equal(np.isfinite(actual), [[True, True, False, True, True]])


def test_minus_zero_ties_with_zero():
    logits = tf.constant([[-1.0, -0.0, 0.0, -1e-30], [0.0, -0.0, 1.0, -0.0]])
    actual = np.isfinite(selection.keep_top_k(logits, tf.constant([1, 2])))
    np.testing.assert_array_equal(actual, [[False, True, True, False], [True] * 4])
    actual = np.isfinite(selection.keep_top_p(logits[:1], tf.constant([0.01])))
    np.testing.assert_array_equal(actual, [[False, True, True, False]])


def test_top_p_keeps_the_fewest_that_reach_p():
    logits, top_p = random_logits(), np.linspace(0.05, 0.99, 16).astype("float32")
    actual = selection.keep_top_p(logits, top_p)
    assert_same_kept(actual, by_row(oracle.keep_top_p, logits, top_p))


def test_top_p_of_one_keeps_all_and_of_zero_the_likeliest():
    logits = random_logits()
    np.testing.assert_array_equal(selection.keep_top_p(logits, tf.ones([16])), logits)
    kept = np.isfinite(selection.keep_top_p(logits, tf.zeros([16])))
    np.testing.assert_array_equal(kept, logits == logits.max(axis=1, keepdims=True))


def test_min_p_keeps_what_is_near_the_likeliest():
    logits, min_p = random_logits(), np.linspace(0.001, 0.9, 16).astype("float32")
    actual = selection.keep_min_p(logits, min_p)
    assert_same_kept(actual, by_row(oracle.keep_min_p, logits, min_p))
    np.testing.assert_array_equal(selection.keep_min_p(logits, tf.zeros([16])), logits)


@pytest.mark.parametrize(
    ("rule", "parameter"),
    [
        (selection.keep_top_k, 3),
        (selection.keep_top_p, 0.9),
        (selection.keep_min_p, 0.5),
    ],
)
def test_the_only_token_that_is_not_masked_stays(rule, parameter):
    logits = np.full((2, V), MASKED, "float32")
    logits[0, 4], logits[1, 36] = -7.0, 5.0
    actual = rule(tf.constant(logits), tf.constant([parameter] * 2))
    np.testing.assert_array_equal(actual, logits)
    for uniform in (0.0, 0.5, 1 - 2.0**-24):
        drawn = selection.draw_token(actual, tf.fill([2], tf.constant(uniform)))
        np.testing.assert_array_equal(drawn, [4, 36])


def test_drawn_frequencies_pass_a_chi_square_test():
    rows = 20_000
    logits = np.array([1.0, -1.0, MASKED, 0.3, 2.0, -3.0, 0.0, MASKED], "float32")
    uniform = selection.compute_uniform(tf.fill([rows], 11), tf.range(rows), 3)
    drawn = selection.draw_token(tf.tile(logits[None], [rows, 1]), uniform)
    observed = np.bincount(drawn, minlength=8)
    expected = rows * np.exp(oracle.log_softmax(logits))
    assert observed[2] == observed[7] == 0
    real = expected > 0
    chi_square = np.sum((observed - expected)[real] ** 2 / expected[real])
    assert chi_square < 20.5  # 5 degrees of freedom: one draw in a thousand is above


@pytest.mark.parametrize("compiled", [False, True])
def test_a_masked_token_is_never_drawn(compiled):
    # XLA sums in blocks: the running sum may grow by rounding where nothing is added.
    rows, size = 1024, 4096
    generator = np.random.default_rng(1)
    logits = random_logits(1, size)
    logits[0, generator.permutation(size)[500:]] = MASKED
    sums = tf.function(lambda x: tf.cumsum(tf.nn.softmax(x), axis=-1), jit_compile=compiled)
    on_sums = generator.choice(sums(logits)[0], rows)
    draw = tf.function(selection.draw_token, jit_compile=compiled)
    for uniform in (on_sums, np.nextafter(on_sums, np.float32(0))):
        uniform = np.clip(uniform, 0, 1 - 2.0**-24).astype("float32")
        drawn = draw(np.tile(logits, (rows, 1)), uniform).numpy()
        assert np.isfinite(logits[0, drawn]).all()


def test_uniform_numbers_are_those_of_the_hash_and_below_one():
    seeds = tf.constant([0, 1, 2, -1, 2**31 - 1, -(2**31)])
    streams = tf.constant([0, 5, 2**31 - 1, 7, -3, 1])
    for step in (0, 1, 511):
        expected = [
            oracle.uniform(int(seed), int(stream), step)
            for seed, stream in zip(seeds, streams, strict=True)
        ]
        actual = selection.compute_uniform(seeds, streams, step)
        np.testing.assert_array_equal(actual, np.float32(expected))


@pytest.mark.parametrize("varied", ["seed", "rng_stream", "step"])
def test_uniform_numbers_are_uniform_and_know_no_neighbours(varied):
    count = 4096
    numbers = tf.range(count)
    if varied == "step":
        uniform = np.array([oracle.uniform(3, 4, step) for step in range(count)])
    elif varied == "seed":
        uniform = selection.compute_uniform(numbers, tf.zeros_like(numbers), 0).numpy()
    else:
        uniform = selection.compute_uniform(tf.zeros_like(numbers), numbers, 0).numpy()
    observed = np.histogram(uniform, 64, (0, 1))[0]
    chi_square = np.sum((observed - count / 64) ** 2 / (count / 64))
    assert chi_square < 103.4  # 63 degrees of freedom, one in a thousand
    for lag in (1, 2, 3, 8):
        correlation = np.corrcoef(uniform[lag:], uniform[:-lag])[0, 1]
        assert abs(correlation) < 4 / math.sqrt(count)


def test_a_rows_number_does_not_depend_on_its_batch():
    seeds, streams = tf.range(100, 110), tf.range(10)
    together = selection.compute_uniform(seeds, streams, 9)
    alone = [selection.compute_uniform(seeds[i : i + 1], streams[i : i + 1], 9) for i in range(10)]
    np.testing.assert_array_equal(together, tf.concat(alone, axis=0))


def compiled_functions():
    logits = tf.constant(random_logits(8))
    whole, real = tf.range(1, 9), tf.linspace(0.05, 0.95, 8)
    return {
        "keep_top_k": (selection.keep_top_k, logits, whole),
        "keep_top_p": (selection.keep_top_p, logits, real),
        "keep_min_p": (selection.keep_min_p, logits, real),
        "draw_token": (selection.draw_token, logits, real),
        "compute_uniform": (selection.compute_uniform, whole, whole, tf.constant(7)),
    }


@pytest.mark.parametrize("name", compiled_functions())
def test_compiled_equals_plain(name):
    assert_compiled_equals_plain(*compiled_functions()[name])

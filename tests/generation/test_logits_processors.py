import math

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import logits_processors as processors
from tests.generation import oracle

FORBIDDEN = -math.inf
V = 37


def random_logits(rows=16, vocabulary_size=V, seed=0):
    logits = np.random.default_rng(seed).normal(0, 3, (rows, vocabulary_size))
    return logits.astype("float32")


def by_row(rule, logits, parameter):
    """An oracle's rule for one row, over all of them."""
    return np.stack([rule(row, value) for row, value in zip(logits, parameter, strict=True)])


def buffer_of(texts, slot, length):
    """Texts that end right before `slot`, in a buffer of `length` slots."""
    token_ids = np.zeros((len(texts), length), "int32")
    mask = np.zeros((len(texts), length), bool)
    for row, text in enumerate(texts):
        token_ids[row, slot - len(text) : slot] = text
        mask[row, slot - len(text) : slot] = True
    return token_ids, mask


def assert_same_kept(actual, expected):
    np.testing.assert_array_equal(np.isneginf(actual), np.isneginf(expected))
    kept = ~np.isneginf(expected)
    np.testing.assert_array_equal(np.asarray(actual)[kept], expected[kept].astype("float32"))


def test_top_k_keeps_the_k_likeliest():
    logits, top_k = random_logits(), np.arange(1, 17, dtype="int32")
    actual = processors.keep_top_k(logits, top_k)
    assert_same_kept(actual, by_row(oracle.keep_top_k, logits, top_k))
    assert (np.sum(np.isfinite(actual), axis=1) == top_k).all()


@pytest.mark.parametrize("top_k", [0, V, V + 1, 10**6])
def test_top_k_of_zero_or_of_the_vocabulary_keeps_all(top_k):
    logits = random_logits()
    np.testing.assert_array_equal(processors.keep_top_k(logits, tf.fill([16], top_k)), logits)


def test_top_k_keeps_ties_of_the_last_one():
    actual = processors.keep_top_k(tf.constant([[1.0, 2.0, 0.5, 1.0, 1.0]]), tf.constant([2]))
    np.testing.assert_array_equal(np.isfinite(actual), [[True, True, False, True, True]])


def test_minus_zero_ties_with_zero():
    logits = tf.constant([[-1.0, -0.0, 0.0, -1e-30], [0.0, -0.0, 1.0, -0.0]])
    actual = np.isfinite(processors.keep_top_k(logits, tf.constant([1, 2])))
    np.testing.assert_array_equal(actual, [[False, True, True, False], [True] * 4])
    actual = np.isfinite(processors.keep_top_p(logits[:1], tf.constant([0.01])))
    np.testing.assert_array_equal(actual, [[False, True, True, False]])


def test_top_p_keeps_the_fewest_that_reach_p():
    logits, top_p = random_logits(), np.linspace(0.05, 0.99, 16).astype("float32")
    actual = processors.keep_top_p(logits, top_p)
    assert_same_kept(actual, by_row(oracle.keep_top_p, logits, top_p))


def test_top_p_of_one_keeps_all_and_of_zero_the_likeliest():
    logits = random_logits()
    np.testing.assert_array_equal(processors.keep_top_p(logits, tf.ones([16])), logits)
    kept = np.isfinite(processors.keep_top_p(logits, tf.zeros([16])))
    np.testing.assert_array_equal(kept, logits == logits.max(axis=1, keepdims=True))


def test_min_p_keeps_what_is_near_the_likeliest():
    logits, min_p = random_logits(), np.linspace(0.001, 0.9, 16).astype("float32")
    actual = processors.keep_min_p(logits, min_p)
    assert_same_kept(actual, by_row(oracle.keep_min_p, logits, min_p))
    np.testing.assert_array_equal(processors.keep_min_p(logits, tf.zeros([16])), logits)


@pytest.mark.parametrize(
    ("rule", "parameter"),
    [
        (processors.keep_top_k, 3),
        (processors.keep_top_p, 0.9),
        (processors.keep_min_p, 0.5),
    ],
)
def test_a_token_that_alone_is_allowed_stays_alone(rule, parameter):
    logits = np.full((2, V), FORBIDDEN, "float32")
    logits[0, 4], logits[1, 36] = -7.0, 5.0
    actual = rule(tf.constant(logits), tf.constant([parameter] * 2))
    np.testing.assert_array_equal(actual, logits)
    for uniform in (0.0, 0.5, 1 - 2.0**-24):
        drawn = processors.draw_token(actual, tf.fill([2], tf.constant(uniform)))
        np.testing.assert_array_equal(drawn, [4, 36])


def test_repetition_penalty_divides_what_is_positive_and_multiplies_the_rest():
    logits = tf.constant([[2.0, -2.0, 2.0, -2.0, 0.0], [2.0, -2.0, 2.0, -2.0, 0.0]])
    seen = tf.constant([[True, True, False, False, True]] * 2)
    actual = processors.penalize_repetition(logits, seen, tf.constant([2.0, 0.5]))
    expected = [[1.0, -4.0, 2.0, -2.0, 0.0], [4.0, -1.0, 2.0, -2.0, 0.0]]
    np.testing.assert_array_equal(actual, expected)


def test_presence_penalty_is_subtracted_once():
    seen = tf.constant([[True, False, True]])
    actual = processors.penalize_presence(tf.zeros([1, 3]), seen, tf.constant([0.75]))
    np.testing.assert_array_equal(actual, [[-0.75, 0.0, -0.75]])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_no_ngram_comes_twice(size):
    generator = np.random.default_rng(size)
    lengths = [0, 1, 2, 3, 6, 9, 12, 12]
    texts = [generator.integers(0, 3, length).tolist() for length in lengths]
    token_ids, mask = buffer_of(texts, slot=12, length=15)
    logits = random_logits(8, 4)
    actual = processors.forbid_repeated_ngrams(logits, token_ids, mask, 12, size)
    expected = [
        oracle.apply_rules(row, text, [], ngrams=size)
        for row, text in zip(logits, texts, strict=True)
    ]
    assert_same_kept(actual, np.stack(expected))


def test_a_forbidden_sequence_is_not_completed():
    words = [[5], [1, 2], [0, 1, 3], [1, 1, 1, 4]]
    texts = [[], [1], [0, 1], [1, 1, 1], [0, 0, 1], [2, 1, 1, 1], [3], [0]]
    token_ids, mask = buffer_of(texts, slot=5, length=6)
    sequences = np.array([[-1, -1, -1, 5], [-1, -1, 1, 2], [-1, 0, 1, 3], [1, 1, 1, 4]], "int32")
    logits = random_logits(8, 6)
    actual = processors.forbid_sequences(logits, token_ids, mask, 5, sequences)
    expected = [
        oracle.apply_rules(row, text, [], bad_words=words)
        for row, text in zip(logits, texts, strict=True)
    ]
    assert_same_kept(actual, np.stack(expected))


def test_padding_is_no_part_of_a_forbidden_sequence():
    # Padding has the id 0, and so has a real token.
    sequences = tf.constant([[0, 7, 1]])
    token_ids, mask = buffer_of([[7], [0, 7]], slot=2, length=3)
    actual = processors.forbid_sequences(tf.zeros([2, 9]), token_ids, mask, 2, sequences)
    np.testing.assert_array_equal(np.isfinite(actual[:, 1]), [True, False])


def test_tokens_are_forbidden_in_some_rows_only():
    actual = processors.forbid_tokens(tf.zeros([2, 4]), [1, 3], tf.constant([True, False]))
    np.testing.assert_array_equal(actual, [[0, FORBIDDEN, 0, FORBIDDEN], [0, 0, 0, 0]])


def test_find_tokens_sees_what_is_not_masked():
    token_ids, mask = buffer_of([[0, 2], [1]], slot=2, length=4)
    actual = processors.find_tokens(token_ids, mask, 4)
    np.testing.assert_array_equal(actual, [[True, False, True, False], [False, True, False, False]])


def test_drawn_frequencies_pass_a_chi_square_test():
    rows = 20_000
    logits = np.array([1.0, -1.0, FORBIDDEN, 0.3, 2.0, -3.0, 0.0, FORBIDDEN], "float32")
    uniform = processors.compute_uniform(tf.fill([rows], 11), tf.range(rows), 3)
    drawn = processors.draw_token(tf.tile(logits[None], [rows, 1]), uniform)
    observed = np.bincount(drawn, minlength=8)
    expected = rows * np.exp(oracle.log_softmax(logits))
    assert observed[2] == observed[7] == 0
    real = expected > 0
    chi_square = np.sum((observed - expected)[real] ** 2 / expected[real])
    assert chi_square < 20.5  # 5 degrees of freedom: one draw in a thousand is above


@pytest.mark.parametrize("compiled", [False, True])
def test_a_forbidden_token_is_never_drawn(compiled):
    # XLA sums in blocks: the running sum may grow by rounding where nothing is added.
    rows, size = 1024, 4096
    generator = np.random.default_rng(1)
    logits = random_logits(1, size)
    logits[0, generator.permutation(size)[500:]] = FORBIDDEN
    sums = tf.function(lambda x: tf.cumsum(tf.nn.softmax(x), axis=-1), jit_compile=compiled)
    on_sums = generator.choice(sums(logits)[0], rows)
    draw = tf.function(processors.draw_token, jit_compile=compiled)
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
        actual = processors.compute_uniform(seeds, streams, step)
        np.testing.assert_array_equal(actual, np.float32(expected))


@pytest.mark.parametrize("varied", ["seed", "stream", "step"])
def test_uniform_numbers_are_uniform_and_know_no_neighbours(varied):
    count = 4096
    numbers = tf.range(count)
    if varied == "step":
        uniform = np.array([oracle.uniform(3, 4, step) for step in range(count)])
    elif varied == "seed":
        uniform = processors.compute_uniform(numbers, tf.zeros_like(numbers), 0).numpy()
    else:
        uniform = processors.compute_uniform(tf.zeros_like(numbers), numbers, 0).numpy()
    observed = np.histogram(uniform, 64, (0, 1))[0]
    chi_square = np.sum((observed - count / 64) ** 2 / (count / 64))
    assert chi_square < 103.4  # 63 degrees of freedom, one in a thousand
    for lag in (1, 2, 3, 8):
        correlation = np.corrcoef(uniform[lag:], uniform[:-lag])[0, 1]
        assert abs(correlation) < 4 / math.sqrt(count)


def test_a_rows_number_does_not_depend_on_its_batch():
    seeds, streams = tf.range(100, 110), tf.range(10)
    together = processors.compute_uniform(seeds, streams, 9)
    alone = [processors.compute_uniform(seeds[i : i + 1], streams[i : i + 1], 9) for i in range(10)]
    np.testing.assert_array_equal(together, tf.concat(alone, axis=0))


def compiled_rules():
    logits = tf.constant(random_logits(8))
    token_ids, mask = (tf.constant(x) for x in buffer_of([[3, 1, 3, 2]] * 8, 4, 6))
    bools = tf.constant(np.random.default_rng(2).random((8, V)) < 0.3)
    whole, real = tf.range(1, 9), tf.linspace(0.05, 0.95, 8)
    return {
        "penalize_repetition": (processors.penalize_repetition, logits, bools, real),
        "penalize_presence": (processors.penalize_presence, logits, bools, real),
        "find_tokens": (lambda x, y: processors.find_tokens(x, y, V), token_ids, mask),
        "forbid_repeated_ngrams": (
            lambda *x: processors.forbid_repeated_ngrams(*x, 2),
            logits,
            token_ids,
            mask,
            tf.constant(4),
        ),
        "forbid_sequences": (
            processors.forbid_sequences,
            logits,
            token_ids,
            mask,
            tf.constant(4),
            tf.constant([[-1, 4], [2, 5], [3, 6]]),
        ),
        "forbid_tokens": (
            lambda x, y: processors.forbid_tokens(x, [1, 2], y),
            logits,
            bools[:, 0],
        ),
        "keep_top_k": (processors.keep_top_k, logits, whole),
        "keep_top_p": (processors.keep_top_p, logits, real),
        "keep_min_p": (processors.keep_min_p, logits, real),
        "draw_token": (processors.draw_token, logits, real),
        "compute_uniform": (processors.compute_uniform, whole, whole, tf.constant(7)),
    }


def test_every_rule_is_among_the_compiled_ones():
    assert set(processors.__all__) <= set(compiled_rules())


@pytest.mark.parametrize("name", compiled_rules())
def test_compiled_equals_plain(name):
    rule, *arguments = compiled_rules()[name]
    plain = rule(*arguments)
    for compiled in (False, True):
        actual = tf.function(rule, jit_compile=compiled)(*arguments)
        np.testing.assert_allclose(actual, plain, rtol=1e-6)

"""Penalties and masks against loops over lists."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import logits_processors as processors
from tests.generation import oracle
from tests.generation.logits import V, assert_compiled_equals_plain, assert_same_kept, random_logits

MASKED = -math.inf


def buffer_of(texts, slot, length):
    """Texts that end right before `slot`, in a buffer of `length` slots."""
    token_ids = np.zeros((len(texts), length), "int32")
    mask = np.zeros((len(texts), length), bool)
    for row, text in enumerate(texts):
        token_ids[row, slot - len(text) : slot] = text
        mask[row, slot - len(text) : slot] = True
    return token_ids, mask


def apply_rules(logits, texts, **rules):
    pairs = zip(logits, texts, strict=True)
    return np.stack([oracle.apply_rules(row, text, [], **rules) for row, text in pairs])


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


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 9, 11])
def test_no_ngram_comes_twice(size):
    generator = np.random.default_rng(size)
    lengths = [0, 1, 2, 3, 6, 9, 12, 12]
    texts = [generator.integers(0, 3, length).tolist() for length in lengths]
    # Periodic ones, which repeat long n-grams too.
    texts[-3:] = [[0] * 12, [0, 1] * 6, [0] * 11 + [1]]
    token_ids, mask = buffer_of(texts, slot=12, length=15)
    logits = random_logits(8, 4)
    actual = processors.mask_repeated_ngrams(logits, token_ids, mask, 12, size)
    assert_same_kept(actual, apply_rules(logits, texts, ngrams=size))


def test_the_graph_does_not_grow_with_the_ngram_size():
    token_ids, mask = buffer_of([[1]], slot=2, length=4)

    def count_nodes(size):
        traced = tf.function(
            lambda logits: processors.mask_repeated_ngrams(logits, token_ids, mask, 2, size)
        )
        graph = traced.get_concrete_function(tf.TensorSpec([1, V])).graph.as_graph_def()
        return len(graph.node) + sum(len(f.node_def) for f in graph.library.function)

    assert count_nodes(300) == count_nodes(30) < 150


def test_a_bad_word_is_not_completed():
    words = [[5], [1, 2], [0, 1, 3], [1, 1, 1, 4]]
    texts = [[], [1], [0, 1], [1, 1, 1], [0, 0, 1], [2, 1, 1, 1], [3], [0]]
    token_ids, mask = buffer_of(texts, slot=5, length=6)
    sequences = np.array([[-1, -1, -1, 5], [-1, -1, 1, 2], [-1, 0, 1, 3], [1, 1, 1, 4]], "int32")
    logits = random_logits(8, 6)
    actual = processors.mask_bad_words(logits, token_ids, mask, 5, sequences)
    assert_same_kept(actual, apply_rules(logits, texts, bad_words=words))


def test_padding_is_no_part_of_a_bad_word():
    # Padding has the id 0, and so has a real token.
    sequences = tf.constant([[0, 7, 1]])
    token_ids, mask = buffer_of([[7], [0, 7]], slot=2, length=3)
    actual = processors.mask_bad_words(tf.zeros([2, 9]), token_ids, mask, 2, sequences)
    np.testing.assert_array_equal(np.isfinite(actual[:, 1]), [True, False])


def test_tokens_are_masked_in_some_rows_only():
    actual = processors.mask_tokens(tf.zeros([2, 4]), [1, 3], tf.constant([True, False]))
    np.testing.assert_array_equal(actual, [[0, MASKED, 0, MASKED], [0, 0, 0, 0]])


def compiled_functions():
    logits = tf.constant(random_logits(8))
    token_ids, mask = (tf.constant(x) for x in buffer_of([[3, 1, 3, 2]] * 8, 4, 6))
    bools = tf.constant(np.random.default_rng(2).random((8, V)) < 0.3)
    real, slot = tf.linspace(0.05, 0.95, 8), tf.constant(4)
    words = tf.constant([[-1, 4], [2, 5], [3, 6]])
    return {
        "penalize_repetition": (processors.penalize_repetition, logits, bools, real),
        "penalize_presence": (processors.penalize_presence, logits, bools, real),
        "mask_repeated_ngrams": (
            lambda *x: processors.mask_repeated_ngrams(*x, 2),
            *(logits, token_ids, mask, slot),
        ),
        "mask_bad_words": (processors.mask_bad_words, logits, token_ids, mask, slot, words),
        "mask_tokens": (lambda x, y: processors.mask_tokens(x, [1, 2], y), logits, bools[:, 0]),
    }


@pytest.mark.parametrize("name", compiled_functions())
def test_compiled_equals_plain(name):
    assert_compiled_equals_plain(*compiled_functions()[name])

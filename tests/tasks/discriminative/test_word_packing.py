"""Words as tokens, and what each word hands on to them."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks import TokenClassifier
from lmzoo.tasks.discriminative.word_packing import as_ragged, pack_words
from tests.tasks.small_encoders import make_encoder, word_pieces

WORDS = [["the", "xy", "cat"], [], ["", "film", "abc"]]
# By hand: the start token, "the", "x", "##y", "cat", the end token; the words are counted through.
NUMBERS = [[-1, 0, 1, 1, 2, -1], [-1, -1], [-1, 4, 5, 5, 5, -1]]


@pytest.fixture(scope="module")
def tagger():
    return TokenClassifier(make_encoder(), word_pieces(), ["O", "B-X", "I-X"])


@pytest.fixture(scope="module")
def packed():
    return pack_words(tf.ragged.constant(WORDS), word_pieces(), 32)


def fill(rows, filler):
    return [row + [filler] * (8 - len(row)) for row in rows]


def test_each_token_knows_its_word(packed):
    np.testing.assert_array_equal(packed.word_ids, fill(NUMBERS, -1))
    starts = [[n >= 0 and row.index(n) == place for place, n in enumerate(row)] for row in NUMBERS]
    np.testing.assert_array_equal(packed.is_first, fill(starts, False))
    assert packed.lengths.numpy().tolist() == [3, 0, 3] and not packed.is_truncated.numpy().any()


def test_each_word_knows_its_first_token(packed):
    np.testing.assert_array_equal(packed.positions, [[1, 2, 4], [-1, -1, -1], [-1, 1, 2]])


def test_a_word_that_was_cut_off_has_no_token():
    packed = pack_words(tf.ragged.constant(WORDS), word_pieces(), 4)
    np.testing.assert_array_equal(packed.positions, [[1, 2, -1], [-1, -1, -1], [-1, 1, 2]])
    assert packed.is_truncated.numpy().tolist() == [True, False, True]


def test_rows_of_equal_length_may_come_dense():
    dense = tf.constant([[1, 2], [3, 4]])
    assert as_ragged(dense).to_list() == as_ragged(tf.ragged.constant(dense.numpy())).to_list()


def test_each_token_has_what_its_word_has(packed):
    values = [[0.5, 2.0, 3.0], [], [4.0, 5.0, 6.0]]
    flat = sum(values, [])
    wanted = [[flat[n] if n >= 0 else -7.0 for n in row] for row in NUMBERS]
    found = packed.to_tokens("x", tf.ragged.constant(values), -7.0)
    np.testing.assert_array_equal(found, fill(wanted, -7.0))
    with pytest.raises(tf.errors.InvalidArgumentError, match="`words` and `x` must be lists of"):
        packed.to_tokens("x", tf.ragged.constant([[1.0], [], [2.0]]), 0.0)


def test_the_tokens_of_a_word_have_its_weight(tagger):
    columns = {
        "words": tf.ragged.constant(WORDS),
        "tags": tf.ragged.constant([["O"] * len(words) for words in WORDS]),
    }
    flat = [0.5, 2.0, 0.0, 4.0, 1.0, 3.0]
    weights = tf.RaggedTensor.from_row_splits(flat, [0, 3, 3, 6])
    found = tagger.encode({**columns, "weight": weights}, 0).weights
    wanted = fill([[flat[n] if n >= 0 else 0.0 for n in row] for row in NUMBERS], 0.0)
    np.testing.assert_array_equal(found, wanted)
    of_rows = tagger.encode({**columns, "weight": tf.constant([0.5, 1.0, 2.0])}, 0).weights
    wanted = np.array(fill(NUMBERS, -1)) >= 0
    np.testing.assert_array_equal(of_rows, wanted * np.array([[0.5], [1.0], [2.0]]))


@pytest.mark.slow
def test_words_of_weight_nothing_count_nothing(tagger):
    words, tags = [["the", "xy"], ["cat", "film"]], [["O", "B-X"], ["B-X", "O"]]
    weights = [[1, 0.0], [1, 0.0]]
    wanted = tagger.evaluate(words, tags, sample_weight=weights, verbose=0)
    others = [["O", "O"], ["B-X", "I-X"]]
    found = tagger.evaluate(words, others, sample_weight=np.array(weights), verbose=0)
    assert found == pytest.approx(wanted, rel=1e-6)
    assert tagger.evaluate(words, others, verbose=0) != pytest.approx(wanted, rel=1e-3)
    assert np.isfinite(tagger.fit(words, tags, sample_weight=weights, verbose=0).history["loss"])


def test_weights_that_are_no_words_are_refused_with_their_row(tagger):
    message = r"index 1: `weight` must be .*words=\['c'\], weight=\[1.0, 2.0\]"
    with pytest.raises(ValueError, match=message):
        tagger.fit([["a", "b"], ["c"]], [["O", "O"], ["O"]], sample_weight=[[1, 2], [1, 2]])

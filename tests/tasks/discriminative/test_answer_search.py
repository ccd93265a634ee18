"""The best answer, beside all pairs of places in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks.discriminative.answer_search import AnswerSearch


def make_windows(generator, num_rows, length):
    """Random logits and places of one to four windows a row, some without a context."""
    rows = np.repeat(np.arange(num_rows), generator.integers(1, 5, num_rows))
    logits = generator.normal(size=(len(rows), length, 2)).astype(np.float32) * 3
    places = np.full((len(rows), length, 4), -1, np.int32)
    for window in range(len(rows)):
        first, count = generator.integers(1, 4), generator.integers(0, length - 4)
        bounds = np.sort(generator.integers(0, 60, count))
        places[window, first : first + count, 0] = bounds
        # Some tokens stand for white space alone.
        places[window, first : first + count, 1] = bounds + generator.integers(0, 3, count)
    return logits, places, rows


def search_all_pairs(logits, places, rows, longest):
    for row in range(rows[-1] + 1):
        found, nothing = [], []
        for window in np.flatnonzero(rows == row):
            nothing.append(logits[window, 0].astype(np.float64).sum())
            solid = np.flatnonzero(places[window, :, 1] > places[window, :, 0])
            for i in solid:
                for j in solid:
                    if i <= j < i + longest:
                        score = float(logits[window, i, 0]) + float(logits[window, j, 1])
                        bounds = (places[window, i, 0], places[window, j, 1])
                        found.append((score, *map(int, bounds)))
        yield found, min(nothing)


@pytest.mark.parametrize("longest", [1, 3, 40])
def test_the_best_answer_is_that_of_all_pairs(longest):
    generator = np.random.default_rng(longest)
    logits, places, rows = make_windows(generator, 40, 14)
    search = AnswerSearch(longest)
    bounds, scores = search.search(tf.constant(logits), tf.constant(places))
    found = search.choose(bounds, scores, tf.constant(rows, tf.int64))
    found = {name: values.numpy() for name, values in found.items()}
    num_without = 0
    for row, (pairs, nothing) in enumerate(search_all_pairs(logits, places, rows, longest)):
        assert found["no_answer_logit"][row] == pytest.approx(nothing, abs=1e-5)
        if not pairs:
            num_without += 1
            assert found["start"][row] == found["end"][row] == -1
            assert found["total"][row] < -1e4
            continue
        best = max(pairs, key=lambda pair: pair[0])
        assert (found["start"][row], found["end"][row]) == best[1:]
        assert found["logit"][row] == pytest.approx(best[0], abs=1e-5)
        total = np.log(np.sum(np.exp([pair[0] for pair in pairs])))
        assert found["total"][row] == pytest.approx(total, abs=1e-5)
    assert 0 < num_without < 20


def test_of_equal_answers_the_first_counts():
    places = np.full((2, 4, 4), -1, np.int32)
    places[:, 1:3, 0], places[:, 1:3, 1] = [[0, 2], [4, 6]], [[1, 3], [5, 7]]
    search = AnswerSearch(1)
    bounds, scores = search.search(tf.zeros([2, 4, 2]), tf.constant(places))
    found = search.choose(bounds, scores, tf.constant([0, 0], tf.int64))
    assert (found["start"].numpy().tolist(), found["end"].numpy().tolist()) == ([0], [1])


def test_an_answer_is_no_longer_than_its_window():
    logits, places, _ = make_windows(np.random.default_rng(0), 3, 8)
    wanted = AnswerSearch(8).search(tf.constant(logits), tf.constant(places))
    found = AnswerSearch(2**24, sequence_length=8).search(tf.constant(logits), tf.constant(places))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_window_has_no_answer():
    search = AnswerSearch(3)
    bounds, scores = search.search(tf.zeros([0, 8, 2]), tf.zeros([0, 8, 4], tf.int32))
    found = search.choose(bounds, scores, tf.zeros([0], tf.int64))
    assert {name: values.shape.as_list() for name, values in found.items()} == dict.fromkeys(
        ("start", "end", "logit", "total", "no_answer_logit"), [0]
    )


@pytest.mark.parametrize("longest", [0, 2.0, True, None])
def test_a_longest_answer_that_is_no_number_of_tokens_is_refused(longest):
    with pytest.raises(ValueError, match=f"positive int. Received: max_answer_tokens={longest!r}"):
        AnswerSearch(longest)

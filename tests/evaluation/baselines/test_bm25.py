"""BM25 beside its formula, written out for each word, query and text."""

import math

import numpy as np
import pytest

from lmzoo.evaluation.baselines import BM25
from lmzoo.evaluation.baselines.bm25 import find_words

TEXTS = [
    "the cat sat on the mat",
    "The dog sat.",
    "a cat and another cat, and the dog; the house of the cat",
    "",
    "我喜欢编程。",
]
QUERIES = ["the cat", "dog DOG", "unseen", "", "编程 cat"]


def score_by_the_formula(query, text, k1, b):
    corpus = [find_words(one) for one in TEXTS]
    words, mean = find_words(text), sum(map(len, corpus)) / len(corpus)
    total = 0.0
    for word in find_words(query):
        n = sum(word in one for one in corpus)
        frequency = words.count(word)
        idf = math.log(1 + (len(corpus) - n + 0.5) / (n + 0.5))
        length = 1 - b + b * len(words) / mean
        if frequency:
            total += idf * frequency * (k1 + 1) / (frequency + k1 * length)
    return total


@pytest.mark.parametrize("k1, b", [(1.2, 0.75), (2.0, 0.0), (0.0, 1.0)])
def test_scores_are_those_of_the_formula(k1, b):
    found = BM25(k1, b).make_scorer(TEXTS)(QUERIES)
    wanted = [[score_by_the_formula(query, text, k1, b) for text in TEXTS] for query in QUERIES]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_words_are_runs_of_letters_and_each_chinese_character():
    assert find_words("Don't stop, 我喜欢 x2_y") == [
        *("don", "t", "stop", "我", "喜", "欢", "x2", "y")
    ]


def test_texts_without_words_score_nothing():
    np.testing.assert_array_equal(BM25().make_scorer(["", "."])(["a", ""]), np.zeros([2, 2]))


def test_a_parameter_out_of_its_range_is_refused():
    with pytest.raises(ValueError, match="b=1.5"):
        BM25(b=1.5)
    with pytest.raises(ValueError, match="k1=-1"):
        BM25(k1=-1)

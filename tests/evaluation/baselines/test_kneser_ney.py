"""Kneser-Ney beside its definition, written out over dicts, and beside numbers found by hand."""

import collections
import math

import numpy as np
import pytest

from lmzoo.evaluation.baselines import KneserNeyLM
from lmzoo.tokenizers import ByteTokenizer

TEXTS = ["abracadabra", "a cat sat", "", "abba abba", "b", "cadabra!"]


class Letters:
    """A tokenizer of the letters a, b and c, which are 1, 2 and 3; 0 starts a document."""

    vocabulary_size = 4
    start_token_id = 0

    def tokenize(self, texts):
        return Row([["abc".index(letter) + 1 for letter in texts.numpy()[0].decode()]])


class Row(list):
    def numpy(self):
        return self

    def to_list(self):
        return self


def make_oracle(documents, order, size):
    """p(token | context) of lists of ids that begin with a start token, from the paper."""
    seen = collections.Counter()
    for ids in documents:
        for end in range(1, len(ids)):
            for length in range(min(order, end + 1)):
                seen[tuple(ids[end - length : end + 1])] += 1
    # The start token stands nowhere but at the start.
    start, counts = documents[0][0], {}
    highest = max(map(len, seen))
    for gram, count in seen.items():
        before = {longer[0] for longer in seen if longer[1:] == gram}
        is_plain = len(gram) == highest or gram[0] == start
        counts[gram] = count if is_plain else len(before)
    discounts = {}
    for length in range(1, highest + 1):
        once, twice = (
            sum(len(gram) == length and count == k for gram, count in counts.items())
            for k in (1, 2)
        )
        discounts[length] = once / (once + 2 * twice) if once and twice else 0.5

    def probability(token, context):
        lower = 1 / size
        if len(context):
            lower = probability(token, context[1:])
        if len(context) >= highest:
            return lower
        follow = {gram[-1]: c for gram, c in counts.items() if gram[:-1] == tuple(context)}
        if not follow:
            return lower
        discount, total = discounts[len(context) + 1], sum(follow.values())
        kept = max(follow.get(token, 0) - discount, 0)
        return (kept + discount * len(follow) * lower) / total

    return probability


@pytest.fixture(scope="module")
def tokenizer():
    return ByteTokenizer()


@pytest.fixture(scope="module")
def documents(tokenizer):
    return [[tokenizer.start_token_id, *tokenizer.tokenize(text).numpy()] for text in TEXTS]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_are_those_of_the_definition(tokenizer, documents, order):
    lm = KneserNeyLM(tokenizer, order).fit(TEXTS)
    oracle = make_oracle(documents, order, tokenizer.vocabulary_size)
    held_out = [tokenizer.start_token_id, *tokenizer.tokenize("a brat cab, abracadabra").numpy()]
    (found,) = lm.score_windows([(held_out[:1], held_out[1:])])
    wanted = [
        math.log(oracle(held_out[end], held_out[max(0, end - order + 1) : end]))
        for end in range(1, len(held_out))
    ]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("context", ["", "a", "ab", "abra", "xyz", "zab"])
def test_probabilities_of_all_tokens_sum_to_one(tokenizer, context):
    lm = KneserNeyLM(tokenizer, 4).fit(TEXTS)
    for start in ([tokenizer.start_token_id], [tokenizer.tokenize("q").numpy()[0]]):
        probabilities = lm.predict([*start, *tokenizer.tokenize(context).numpy()])
        assert probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert (probabilities > 0).all()


def test_a_bigram_model_of_two_words_is_what_a_pencil_finds():
    # Documents 0 a b a and 0 a c. Bigrams, with their plain counts: 0a 2, ab 1, ba 1, ac 1.
    # Unigrams, by how many tokens stand before them: a after 0 and b: 2 (a bigram with a start
    # counts as one); b after a: 1; c after a: 1. D of unigrams: two of 1, one of 2: 2 / 4 = 1/2.
    # D of bigrams: three of 1, one of 2: 3 / 5.
    lm = KneserNeyLM(Letters(), order=2).fit(["aba", "ac"])
    unigram = {
        1: (2 - 1 / 2) / 4 + (1 / 2) * 3 / 4 / 4,
        2: (1 - 1 / 2) / 4 + (1 / 2) * 3 / 4 / 4,
        0: (1 / 2) * 3 / 4 / 4,
    }
    np.testing.assert_allclose(
        lm.predict([0]),
        [
            0.6 / 2 * unigram[0],
            (2 - 0.6) / 2 + 0.6 / 2 * unigram[1],
            *(0.6 / 2 * unigram[2],) * 2,
        ],
        atol=1e-12,
    )
    # After a come b and c, once each.
    np.testing.assert_allclose(
        lm.predict([0, 1]),
        [
            0.6 * 2 / 2 * unigram[0],
            0.6 * 2 / 2 * unigram[1],
            *((1 - 0.6) / 2 + 0.6 * 2 / 2 * unigram[2],) * 2,
        ],
        atol=1e-12,
    )


def test_windows_change_nothing_that_the_context_reaches(tokenizer, documents):
    lm = KneserNeyLM(tokenizer, 3).fit(TEXTS)
    ids = documents[0]
    (whole,) = lm.score_windows([(ids[:1], ids[1:])])
    parts = lm.score_windows([(ids[:1], ids[1:6]), (ids[3:6], ids[6:])])
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_what_cannot_be_fitted_is_refused(tokenizer):
    with pytest.raises(ValueError, match="Received: no n-grams"):
        KneserNeyLM(tokenizer).score_windows([([0], [1])])
    with pytest.raises(ValueError, match="Received: none"):
        KneserNeyLM(tokenizer).fit(["", ""])
    with pytest.raises(ValueError, match="order=0"):
        KneserNeyLM(tokenizer, order=0)

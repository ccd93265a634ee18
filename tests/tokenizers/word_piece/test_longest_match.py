import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tokenizers.word_piece.longest_match import LongestMatcher, make_trie

UNKNOWN = 99


def match_one(word, first, further, longest_word):
    """The definition: the longest piece that the rest begins with, again and again."""
    found, start = [], 0
    while start < len(word) <= longest_word:
        pieces = further if start else first
        ends = [end for end in range(start + 1, len(word) + 1) if word[start:end] in pieces]
        if not ends:
            break
        found.append((pieces[word[start : ends[-1]]], start, ends[-1]))
        start = ends[-1]
    return found if start == len(word) else [(UNKNOWN, 0, len(word))]


def match(matcher, words):
    *columns, splits = matcher.match(tf.constant(words, tf.string))
    pieces = list(zip(*(column.numpy().tolist() for column in columns), strict=True))
    splits = splits.numpy().tolist()
    return [pieces[start:end] for start, end in zip(splits, splits[1:], strict=False)]


@pytest.mark.parametrize("alphabet", ["ab", "abé", "aé我\U00020000"])
def test_words_are_cut_as_the_definition_says(alphabet):
    for seed in range(5):
        generator = np.random.default_rng(seed)

        def draw(longest, count, generator=generator):
            letters = np.array(list(alphabet))
            sizes = generator.integers(1, longest + 1, size=count)
            return ["".join(letters[generator.integers(len(letters), size=n)]) for n in sizes]

        first = {piece: index for index, piece in enumerate(draw(5, 12))}
        further = {piece: 20 + index for index, piece in enumerate(draw(5, 12))}
        words = draw(14, 300)
        expected = [match_one(word, first, further, 11) for word in words]
        assert match(LongestMatcher(first, further, UNKNOWN, 11), words) == expected
        assert len({len(pieces) for pieces in expected}) > 2


def test_a_word_that_is_too_long_is_one_unknown_piece():
    matcher = LongestMatcher({"a": 0, "a" * 200: 1}, {"a": 2}, UNKNOWN, 100)
    assert match(matcher, ["a" * 101, "a" * 200]) == [[(99, 0, 101)], [(99, 0, 200)]]
    assert len(match(matcher, ["a" * 100])[0]) == 100


def test_no_word_and_no_piece():
    assert match(LongestMatcher({"a": 0}, {}, UNKNOWN, 100), []) == []
    assert match(LongestMatcher({}, {}, UNKNOWN, 100), ["ab"]) == [[(99, 0, 2)]]


def test_equal_beginnings_share_their_edges():
    keys, values = make_trie([{"ab": 5, "ac": 6}, {"ab": 7, "abcd": 8}], 3)
    assert len(keys) == len(set(keys.tolist())) == 3 + 2
    ids = sorted((values & ((1 << 21) - 1)).tolist())
    assert ids == [0, 0, 6, 7, 8]

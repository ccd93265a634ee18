import functools
import itertools

import pytest
import tensorflow as tf
from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

from lmzoo.tokenizers.unicode.split_patterns import NAMES, make_splitter

# Those of GPT-2's neighbours have tests of their own.
REGEXES = {regex: name for regex, name in NAMES.items() if name != "gpt2"}
IDS = [f"{name}-{place}" for place, name in enumerate(REGEXES.values())]
every_pattern = pytest.mark.parametrize("pattern", [*REGEXES, "gpt2_digits"], ids=[*IDS, "digits"])


@functools.cache
def make_graph(pattern):
    return tf.function(make_splitter(REGEXES.get(pattern, pattern)).split, reduce_retracing=True)


def split(pattern, texts):
    row_splits, code_points = tf.raw_ops.UnicodeDecode(input=texts, input_encoding="UTF-8")
    words, rows = make_graph(pattern)(code_points, row_splits)
    words, rows, row_splits = words.numpy(), rows.numpy(), row_splits.numpy()
    ends = [words[first + 1 : last + 1] for first, last in zip(rows, rows[1:], strict=False)]
    return [(end - start).tolist() for end, start in zip(ends, row_splits, strict=False)]


def split_with_reference(pattern, texts):
    if pattern == "gpt2_digits":
        byte_level = ByteLevel(add_prefix_space=False)
        splitter = Sequence([Digits(individual_digits=True), byte_level])
    else:
        splitter = Split(Regex(pattern), "isolated")
    return [[end for _, (_, end) in splitter.pre_tokenize_str(text)] for text in texts]


def assert_same_words(pattern, texts):
    wrong = [
        (text[:80], ours, theirs)
        for text, ours, theirs in zip(
            texts, split(pattern, texts), split_with_reference(pattern, texts), strict=True
        )
        if ours != theirs
    ]
    assert not wrong, wrong[:3]


@pytest.mark.quick("digits", "llama3-4", "qwen2-1")
@every_pattern
def test_words_end_where_the_reference_ends_them(pattern, nasty_texts, draw_texts):
    assert_same_words(pattern, [*nasty_texts, *draw_texts(11, 800)])


@every_pattern
def test_every_arrangement_of_five_kinds_of_character(pattern):
    kinds = itertools.product(" \n\t'sL1!", repeat=5)
    assert_same_words(pattern, ["".join(characters) for characters in kinds][::11])
    # Letters and marks of every case: with case, without, and both.
    kinds = itertools.product("aA\u0301\u4e2d\u02b0\u01c5 '!/\n", repeat=4)
    assert_same_words(pattern, ["".join(characters) for characters in kinds][::7])


@pytest.mark.slow
@every_pattern
def test_every_arrangement_of_seven_kinds_of_character(pattern):
    texts = ["".join(kinds) for kinds in itertools.product(" \n\t's1!", repeat=7)]
    for start in range(0, len(texts), 100_000):
        assert_same_words(pattern, texts[start : start + 100_000])


@every_pattern
def test_runs_longer_than_any_look_ahead(pattern):
    spaces = [" " * 50 + "\n" + " " * 50 + end for end in ("", "a", "!", "1", "\r\n")]
    runs = ["\n" * 40 + " " * 9 + "\n x", "!" * 9 + "\n" * 40 + " \n a", "1" * 50 + "a", "¹२3" * 9]
    assert_same_words(pattern, [*spaces, *runs])


@every_pattern
def test_contractions_in_any_case(pattern):
    ends = ["s", "t", "re", "ve", "m", "ll", "d", "\u017f", "\u212a", "l", "v", "r"]
    cases = [form for end in ends for form in (end, end.upper(), end.title(), end.swapcase())]
    texts = [f"{before}'{end}{after}" for before in ("a", " ", "\t", "'", "1", "\n", "") 
             for end in cases for after in ("", "s", " ", "'s", "\n", "1")]  # fmt: skip
    assert_same_words(pattern, texts)


@pytest.mark.slow
@every_pattern
def test_every_code_point_has_the_class_the_reference_gives_it(pattern):
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for start in range(0, len(points), 50_000):
        characters = [chr(point) for point in points[start : start + 50_000]]
        assert_same_words(pattern, [f"{before}{c}{before}" for c in characters for before in "a1 "])
        assert_same_words(pattern, [f"{form}{c}b" for c in characters for form in ("a", "!'", "'")])


@every_pattern
def test_no_row_and_empty_rows(pattern):
    assert split(pattern, tf.constant([], tf.string)) == []
    assert split(pattern, ["", "a", "", "", "b c", ""]) == [[], [1], [], [], [1, 3], []]
    assert split(pattern, ["", ""]) == [[], []]
    # What ends one row joins nothing of the next.
    texts = [" ", "a", "!", "b", "\n", "\n", " ", "\n", "'", "s", "12", "34", " ", "!", "!", "\n"]
    assert_same_words(pattern, texts)

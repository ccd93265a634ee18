import itertools

import pytest
import tensorflow as tf
from tokenizers.pre_tokenizers import ByteLevel

from lmzoo.tokenizers.unicode.gpt2_pre_tokenizer import GPT2PreTokenizer


def split(texts):
    row_splits, code_points = tf.raw_ops.UnicodeDecode(input=texts, input_encoding="UTF-8")
    words, rows = tf.function(GPT2PreTokenizer().split)(code_points, row_splits)
    words, rows, row_splits = words.numpy(), rows.numpy(), row_splits.numpy()
    ends = [words[first + 1 : last + 1] for first, last in zip(rows, rows[1:], strict=False)]
    return [(end - start).tolist() for end, start in zip(ends, row_splits, strict=False)]


def split_with_reference(texts):
    splitter = ByteLevel(add_prefix_space=False, use_regex=True)
    return [[end for _, (_, end) in splitter.pre_tokenize_str(text)] for text in texts]


def test_words_end_where_the_reference_ends_them(nasty_texts, draw_texts):
    texts = [*nasty_texts, *draw_texts(11, 2000)]
    assert split(texts) == split_with_reference(texts)


def test_every_arrangement_of_five_kinds_of_character():
    texts = ["".join(kinds) for kinds in itertools.product(" \n'sle1!v", repeat=5)][::3]
    assert split(texts) == split_with_reference(texts)


@pytest.mark.slow
def test_every_code_point_has_the_class_the_reference_gives_it():
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for start in range(0, len(points), 50_000):
        texts = [
            f"{before}{chr(point)}{before}"
            for point in points[start : start + 50_000]
            for before in "a1! "
        ]
        assert split(texts) == split_with_reference(texts)


def test_no_row_and_empty_rows():
    assert split(tf.constant([], tf.string)) == []
    assert split(["", "a", "", "", "b c", ""]) == [[], [1], [], [], [1, 3], []]

import functools
import itertools
import statistics
import time

import numpy as np
import pytest
import tensorflow as tf
from tokenizers.normalizers import NFC

from lmzoo.tokenizers.unicode.bert_characters import make_canonical_tables, read_compositions
from lmzoo.tokenizers.unicode.nfc import NFCNormalizer


@functools.cache
def make_graph():
    normalizer = NFCNormalizer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def normalize(texts):
        row_splits, code_points = tf.raw_ops.UnicodeDecode(input=texts, input_encoding="UTF-8")
        points, splits, sources = normalizer.normalize(code_points, row_splits)
        encoded = tf.raw_ops.UnicodeEncode(
            input_values=points, input_splits=splits, output_encoding="UTF-8"
        )
        return encoded, sources, splits, row_splits

    return normalize


def normalize(texts):
    return [text.decode() for text in make_graph()(tf.constant(texts, tf.string))[0].numpy()]


def assert_normalized(texts):
    wanted = [NFC().normalize_str(text) for text in texts]
    wrong = [
        [ascii(text) for text in row]
        for row in zip(texts, normalize(texts), wanted, strict=True)
        if row[1] != row[2]
    ]
    assert not wrong, wrong[:3]


def test_texts_are_those_of_the_library(nasty_texts, draw_texts, draw_mark_texts):
    assert_normalized(
        [*nasty_texts, *draw_texts(41, 500), *draw_mark_texts(41, 3000), "", "e\u0301"]
    )


def test_every_character_that_decomposes():
    entries = make_canonical_tables().entries
    characters = [chr(point) for point in np.flatnonzero(entries != np.arange(len(entries)))]
    assert_normalized(characters)
    assert_normalized([f"a{character}\u0301\u0327" for character in characters])


def test_every_pair_that_composes_in_every_surrounding():
    pairs = read_compositions()
    assert_normalized([chr(first) + chr(second) for first, second in pairs])
    # The syllables of Hangul are all alike.
    others = [pair for pair in pairs if not 0x1100 <= pair[1] < 0x1200][::3]
    marks = ["\u0301", "\u0327", "\u0334", "\u0345", "\u1161", "\u09be", "x"]
    between = [chr(a) + mark + chr(b) for (a, b), mark in itertools.product(others, marks)]
    assert_normalized([*between, *(text + "\u0301" for text in between[::3])])


@pytest.mark.slow
def test_every_code_point_alone_and_between_marks():
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for start in range(0, len(points), 100_000):
        characters = [chr(point) for point in points[start : start + 100_000]]
        assert_normalized(characters)
        assert_normalized([f"e\u0327{character}\u0301" for character in characters])


def test_hangul_is_composed_by_twos_and_threes():
    parts = "\u1100\u1161\u11a8\u1162\u1100\uac00"
    assert_normalized(["".join(text) for text in itertools.product(parts, repeat=4)])


def test_sources_are_in_order_and_where_characters_begin():
    texts = ["e\u0301a", "", "\u0958x", "a\u0301\u0327"]
    _, sources, splits, row_splits = (values.numpy() for values in make_graph()(texts))
    assert row_splits.tolist() == [0, 3, 3, 5, 8]
    assert splits.tolist() == [0, 2, 2, 5, 7]
    assert sources.tolist() == [0, 2, 3, 3, 4, 5, 6]


def test_cost_is_linear_however_many_marks_there_are():
    def time_call(size):
        text = "a\u0301\u0327" + "\u0301\u0334" * (size // 2)
        start = time.perf_counter()
        normalize([text])
        return time.perf_counter() - start

    time_call(1000)
    ratios = [time_call(200_000) / time_call(20_000) for _ in range(5)]
    assert statistics.median(ratios) < 20, ratios

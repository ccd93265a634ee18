"""Words to pieces and tags to spans, beside slow loops over lists."""

import random

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.metrics import find_spans
from lmzoo.tasks.discriminative.tagging import (
    TagScheme,
    decode_spans,
    find_visible_tokens,
    find_word_starts,
    join_words,
    split_words,
)

NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def decode(tags, rows):
    """[(type, first word, word behind the last)] of rows of tags, and the mean scores."""
    numbers = [[tags.index(tag) for tag in row] for row in rows]
    ragged = tf.RaggedTensor.from_row_lengths
    lengths = [len(row) for row in rows]
    flat = tf.constant([number for row in numbers for number in row], tf.int32)
    places = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    scheme = TagScheme(tags)
    found = decode_spans(
        scheme,
        ragged(flat, lengths),
        ragged(tf.cast(places, tf.float32), lengths),
        ragged(places, lengths),
        ragged(places + 1, lengths),
    )
    spans, types, scores = (found[name].numpy().tolist() for name in ("spans", "types", "scores"))
    return [
        [
            (scheme.types[kind], start, end, score)
            for (start, end), kind, score in zip(*row, strict=True)
            if start >= 0
        ]
        for row in zip(spans, types, scores, strict=True)
    ]


@pytest.mark.parametrize(
    "tags",
    [NAMES, ("I-A", "O", "B-A"), ("O", "B-A", "I-A", "E-A", "S-A", "I-B", "E-B")],
)
def test_spans_are_those_of_the_metric(tags):
    generator = random.Random(0)
    rows = [generator.choices(tags, k=generator.randrange(9)) for _ in range(3000)]
    for row, found in zip(rows, decode(tags, rows), strict=True):
        assert [span[:3] for span in found] == find_spans(row), row
        for _, start, end, score in found:
            assert score == pytest.approx((start + end - 1) / 2)


def test_a_wrong_inside_tag_begins_a_span_as_in_conlleval():
    rows = [["I-PER", "I-LOC", "O", "I-LOC", "I-LOC", "B-LOC"], ["I-PER"]]
    assert [[span[:3] for span in row] for row in decode(NAMES, rows)] == [
        [("PER", 0, 1), ("LOC", 1, 2), ("LOC", 3, 5), ("LOC", 5, 6)],
        [("PER", 0, 1)],
    ]


def test_a_plain_tag_makes_spans_of_one_word():
    rows = [["NN", "NN", ".", "O", "VB"]]
    found = decode(("NN", "VB", ".", "O"), rows)[0]
    assert [span[:3] for span in found] == [("NN", 0, 1), ("NN", 1, 2), (".", 2, 3), ("VB", 4, 5)]
    # Beside tags with prefixes too.
    rows = [["B-PER", "I-PER", "MISC", "MISC"]]
    found = decode(("B-PER", "I-PER", "MISC"), rows)[0]
    assert [span[:3] for span in found] == [("PER", 0, 2), ("MISC", 2, 3), ("MISC", 3, 4)]


def test_a_scheme_knows_what_goes_on_with_a_word_and_whether_spans_can_be_scored():
    scheme = TagScheme(("O", "B-PER", "I-PER", "B-LOC", "NN"))
    assert scheme.continuation_ids.tolist() == [0, 2, 2, 3, 4]
    assert not scheme.has_spans
    assert TagScheme(NAMES).has_spans
    assert TagScheme(("O", "B-PER")).has_spans
    assert not TagScheme(("NN", ".", "O")).has_spans


def random_words(generator):
    words = ["EU", "", "ö\u0301", "New York", " lead", "trail ", "猫猫", "🙂", "a"]
    return generator.choices(words, k=generator.randrange(6))


def test_words_lie_where_python_finds_them_in_their_text():
    generator = random.Random(1)
    rows = [random_words(generator) for _ in range(200)]
    texts, starts = join_words(tf.ragged.constant(rows, tf.string, ragged_rank=1))
    for row, text, places in zip(rows, texts.numpy(), starts.to_list(), strict=True):
        assert text.decode() == " ".join(row)
        for word, place in zip(row, places, strict=True):
            assert text.decode()[place : place + len(word)] == word


def test_dense_words_and_invalid_bytes_are_read():
    texts, starts = join_words(tf.constant([[b"a\x80\xff", b"b"]]))
    assert texts.numpy()[0].decode() == "a\ufffd\ufffd b"
    assert starts.to_list() == [[0, 4]]
    assert join_words(tf.zeros([0, 3], tf.string))[0].shape == (0,)


def test_pieces_find_their_words():
    """Pieces are drawn here: each non-empty word in one to three, and white space anywhere."""
    generator = random.Random(2)
    word_starts, starts, is_visible, wanted = [], [], [], []
    number = 0
    for _ in range(100):
        place, row = 0, ([], [])
        for _ in range(generator.randrange(5)):
            row[0].append(place)
            if generator.random() < 0.3:
                row[1].append(place)
                is_visible.append(False)
                wanted.append((number, False))
            for piece in range(generator.randrange(4)):
                row[1].append(place)
                is_visible.append(True)
                wanted.append((number, piece == 0))
                place += 2
            place += 1
            number += 1
        word_starts.append(row[0])
        starts.append(row[1])
    rows = [tf.ragged.constant(r, tf.int32, ragged_rank=1) for r in (starts, word_starts)]
    numbers, is_first = split_words(rows[0], tf.constant(is_visible), rows[1])
    found = zip(numbers.numpy().tolist(), is_first.numpy().tolist(), strict=True)
    assert list(found) == wanted


@pytest.mark.parametrize(
    ("text", "pieces", "begins"),
    [
        # Pieces of byte pairs: those that begin with white space are none that go on.
        ("EU call.", ["EU", " call", "."], [1, 1, 1]),
        ("(call)(ing)", ["(", "ca", "ll", ")(", "ing", ")"], [1, 1, 0, 1, 1, 1]),
        ("a\nb «b» c。c", ["a", "b", " «", "b", "»", " c", "。", "c"], [1] * 8),
        ("naïve", ["na", "ïve"], [1, 0]),
        # A character of two pieces, and a mark of three.
        ("x猫—", ["x", "猫", "猫", "—", "—", "—"], [1, 0, 0, 1, 0, 0]),
    ],
)
def test_words_of_running_text_end_at_spaces_and_marks(text, pieces, begins):
    starts, ends, place = [], [], 0
    for piece in pieces:
        start = text.index(piece.strip(), max(place - 1, 0) if starts else 0)
        starts.append(start)
        ends.append(start + len(piece.strip()))
        place = ends[-1]
    continues = np.array([not piece.startswith(" ") for piece in pieces])
    rows = [tf.ragged.constant([r], tf.int32) for r in (range(len(pieces)), starts, ends)]
    found = find_word_starts(tf.constant([text]), *rows, continues)
    assert found.numpy().astype(int).tolist() == begins


def test_a_row_begins_a_word_whatever_the_row_before_ends_with():
    rows = [
        tf.ragged.constant(r, tf.int32) for r in ([[0], [], [0]], [[0], [], [0]], [[2], [], [2]])
    ]
    found = find_word_starts(tf.constant(["ab", "", "ab"]), *rows, np.array([True]))
    assert found.numpy().tolist() == [True, True]


def test_pieces_of_white_space_alone_are_not_solid():
    texts = ["a b\n", "\u3000猫 \x85\x0b", ""]
    starts = tf.ragged.constant([[0, 1, 2, 3], [0, 1, 2, 2], []], tf.int32)
    ends = tf.ragged.constant([[1, 3, 2, 4], [1, 2, 5, 2], []], tf.int32)
    found = find_visible_tokens(tf.constant(texts), starts, ends)
    assert found.numpy().tolist() == [True, True, False, False, False, True, False, False]

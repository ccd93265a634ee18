"""Windows over long contexts, beside loops over lists of tokens."""

import random

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows
from lmzoo.data.rows.context_windows import Windows, label_windows, window_rows
from lmzoo.tokenizers import BytePairTokenizer, WordPieceTokenizer

TEXT = "Ada Lovelace wrote the first note, and 我喜欢编程 came to the café; nobody read it. "


@pytest.fixture(scope="module", params=[WordPieceTokenizer, BytePairTokenizer])
def text_tokenizer(request):
    size = {WordPieceTokenizer: 90, BytePairTokenizer: 300}[request.param]
    return request.param.train(iter([TEXT] * 9), size)


def draw_text(generator, longest):
    words = TEXT.split() + ["  ", "unread", "é\u0301", "🙂", "\u200b"]
    return " ".join(generator.choices(words, k=generator.randrange(longest)))


def cut(tokenizer, question, context, length, stride, longest_question):
    """From the definition: each window's ids and its tokens (id, start, end), and all tokens."""
    question_ids = tokenizer.tokenize(question).numpy().tolist()[:longest_question]
    ids, starts, ends = (row.numpy().tolist() for row in tokenizer.tokenize_with_offsets(context))
    tokens = list(zip(ids, starts, ends, strict=True))
    between = [tokenizer.end_token_id] * tokenizer.num_separators
    room = length - 2 - len(between) - len(question_ids)
    first, windows = 0, []
    while True:
        part = tokens[first : first + room]
        row = [tokenizer.start_token_id, *question_ids, *between]
        windows.append((row + [token[0] for token in part] + [tokenizer.end_token_id], part))
        if first + room >= len(tokens):
            return windows, tokens
        first += room - stride


CASES = [(24, 5, 6), (16, 0, 3), (20, 9, 4), (64, 16, 16)]


@pytest.mark.quick("BytePairTokenizer-*", "WordPieceTokenizer-20-*", "WordPieceTokenizer-16-*")
@pytest.mark.parametrize(("length", "stride", "longest_question"), CASES)
def test_windows_are_those_of_a_slow_loop(text_tokenizer, length, stride, longest_question):
    generator = random.Random(length)
    questions = [draw_text(generator, 8) for _ in range(16)] + ["", "who?"]
    contexts = [draw_text(generator, 60) for _ in range(16)] + ["Ada", ""]
    windows = Windows(text_tokenizer, length, stride, longest_question)
    inputs, offsets, rows = windows.make(tf.constant(questions), tf.constant(contexts))
    counts = windows.count(tf.constant(questions), tf.constant(contexts)).numpy().tolist()
    is_truncated = windows.is_truncated(tf.constant(questions)).numpy().tolist()
    lengths = [len(text_tokenizer.tokenize(question).numpy()) for question in questions]
    assert is_truncated == [length > longest_question for length in lengths]
    all_ids, masks = inputs["token_ids"].numpy(), inputs["padding_mask"].numpy()
    offsets = offsets.numpy()
    found = 0
    for row, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        wanted, tokens = cut(text_tokenizer, question, context, length, stride, longest_question)
        assert counts[row] == len(wanted)
        seen = set()
        for number, (ids, part) in enumerate(wanted):
            assert rows[found] == row
            assert all_ids[found][masks[found]].tolist() == ids
            assert (all_ids[found][~masks[found]] == text_tokenizer.pad_token_id).all()
            here = offsets[found][offsets[found][:, 0] >= 0]
            assert here[:, :2].tolist() == [list(token[1:]) for token in part]
            if part:
                # Neighbours share `stride` tokens.
                first = number * (len(wanted[0][1]) - stride)
                assert part == tokens[first : first + len(part)]
                seen.update(range(first, first + len(part)))
                before = tokens[first - 1][2] if first else 0
                behind = first + len(part)
                after = tokens[behind][1] if behind < len(tokens) else 2**31 - 1
                assert (here[0, 2], here[-1, 3]) == (before, after)
            found += 1
        assert seen == set(range(len(tokens)))
    assert found == len(rows)


def test_one_window_of_each_pair_is_that_of_its_number(text_tokenizer):
    generator = random.Random(3)
    questions = [draw_text(generator, 8) for _ in range(12)]
    contexts = [draw_text(generator, 60) for _ in range(12)]
    windows = Windows(text_tokenizer, 24, 5, 6)
    inputs, offsets, rows = windows.make(tf.constant(questions), tf.constant(contexts))
    numbers = np.concatenate([np.arange(n) for n in np.bincount(rows)])
    many = [tf.gather(tf.constant(texts), rows) for texts in (questions, contexts)]
    others, other_offsets = windows.make_one(*many, numbers)
    for name, values in inputs.items():
        np.testing.assert_array_equal(values, others[name])
    np.testing.assert_array_equal(offsets, other_offsets)


def test_segments_part_the_question_from_its_window(text_tokenizer):
    windows = Windows(text_tokenizer, 32, 4, 8)
    inputs, offsets, _ = windows.make(tf.constant(["who read?"]), tf.constant([TEXT]))
    in_context = offsets[..., 0].numpy() >= 0
    segments = inputs["segment_ids"].numpy()
    assert (segments[in_context] == 1).all()
    question = text_tokenizer.tokenize("who read?").shape[0]
    assert (segments[:, : question + 2] == 0).all()


def label(tokens, part, first, start, end, offset):
    """From the definition: the place in the row of the answer's first and last token, or (0, 0)."""
    inside = [n for n, (_, a, b) in enumerate(tokens) if start >= 0 and b > start and a < end]
    if not inside or inside[0] < first or inside[-1] >= first + len(part):
        return [0, 0]
    return [inside[0] - first + offset, inside[-1] - first + offset]


def test_labels_are_the_tokens_of_an_answer_that_is_whole(text_tokenizer):
    generator = random.Random(5)
    question, stride, length = "who?", 5, 24
    contexts = [draw_text(generator, 40) + " end" for _ in range(60)] + [TEXT] * 3 + ["a", ""]
    spans = []
    for context in contexts:
        # They begin and end anywhere: in the middle of words, at white space, at both ends.
        start = generator.randrange(len(context)) if context else -1
        spans.append((start, min(len(context), start + 1 + generator.randrange(12))))
    spans[60:64] = [(0, 3), (len(TEXT) - 4, len(TEXT)), (0, len(TEXT)), (-1, -1)]
    windows = Windows(text_tokenizer, length, stride, 6)
    _, offsets, rows = windows.make(tf.fill([len(contexts)], question), tf.constant(contexts))
    starts, ends = (tf.gather(tf.constant(side), rows) for side in zip(*spans, strict=True))
    labels = label_windows(offsets, starts, ends).numpy().tolist()
    found = num_whole = 0
    for context, (start, end) in zip(contexts, spans, strict=True):
        wanted, tokens = cut(text_tokenizer, question, context, length, stride, 6)
        for number, (ids, part) in enumerate(wanted):
            first = number * (len(wanted[0][1]) - stride)
            expected = label(tokens, part, first, start, end, len(ids) - len(part) - 1)
            assert labels[found] == expected, (context, start, end, number)
            num_whole += expected != [0, 0]
            found += 1
    assert found == len(labels) and 50 < num_whole < found


def test_rows_of_windows_repeat_their_row_and_know_its_place(text_tokenizer):
    generator = random.Random(7)
    contexts = [draw_text(generator, 60) for _ in range(150)]
    rows = make_rows(question=["who?"] * 150, context=contexts, label=list(range(150)))
    windows = Windows(text_tokenizer, 24, 5, 6)
    cut_rows = window_rows(rows, windows)
    counts = windows.count(tf.fill([150], "who?"), tf.constant(contexts)).numpy()
    assert len(cut_rows) == counts.sum()
    assert cut_rows.columns == ("question", "context", "label", "window")
    wanted = [(row, window) for row, count in enumerate(counts) for window in range(count)]
    assert [(row["label"], row["window"]) for row in cut_rows] == wanted
    assert cut_rows.place(-1) == "index 149"


def test_no_pair_has_no_window(text_tokenizer):
    nothing = tf.zeros([0], tf.string)
    inputs, offsets, rows = Windows(text_tokenizer, 24, 5, 6).make(nothing, nothing)
    assert inputs["token_ids"].shape[0] == offsets.shape[0] == rows.shape[0] == 0
    assert offsets.shape[2] == 4


def test_numbers_that_leave_no_room_are_refused(text_tokenizer):
    special = 2 + text_tokenizer.num_separators
    room = 24 - special - 6
    Windows(text_tokenizer, 24, room - 1, 6)
    for stride in (room, -1):
        with pytest.raises(ValueError, match=f"{room}. Received: stride={stride}, seq"):
            Windows(text_tokenizer, 24, stride, 6)
    with pytest.raises(ValueError, match="of at least 1. Received: max_question_tokens=0"):
        Windows(text_tokenizer, 24, 4, 0)
    with pytest.raises(TypeError, match="`stride` must be an int. Received: stride=2.5"):
        Windows(text_tokenizer, 24, 2.5, 6)

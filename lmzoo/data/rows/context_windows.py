"""Overlapping windows over long contexts, each packed with its question.

Shapes: B batch, W windows of a batch, T length.
"""

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_at_least
from lmzoo.data.corpus.packing import count_special_tokens, pack
from lmzoo.data.progress import progress_bar
from lmzoo.data.rows.rows import Rows
from lmzoo.tracing import trace_once

__all__ = ["Windows", "label_windows", "window_rows"]

_ROWS_PER_COUNT = 64


class Windows:
    """Splits contexts into overlapping windows.

    Args:
        tokenizer: tokenizer with `tokenize_with_offsets`.
        sequence_length: int. T, for question, window and special tokens.
        stride: int. How many tokens of the context two adjacent windows share.
        max_question_tokens: int. Longer questions are truncated.
        allow_special: tuple of str. The special tokens that texts may contain.
    Raises:
        TypeError: if a number is not an int.
        ValueError: if `max_question_tokens` is not positive, or `stride` is not below
            the number of context tokens that fit beside the longest question.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, and the SQuAD code published
        with it, whose "doc stride" is the distance between window starts, not their overlap.
    """

    def __init__(self, tokenizer, sequence_length, stride, max_question_tokens, allow_special=()):
        numbers = {"stride": stride, "max_question_tokens": max_question_tokens}
        for name, number in numbers.items():
            if type(number) is not int:
                raise TypeError(f"`{name}` must be an int. Received: {name}={number!r}.")
        check_at_least(1, max_question_tokens=max_question_tokens)
        self._tokenizer = tokenizer
        self._sequence_length = sequence_length
        self._stride = stride
        self._max_question_tokens = max_question_tokens
        self._allow_special = allow_special
        room = sequence_length - count_special_tokens(tokenizer, 2) - max_question_tokens
        if not 0 <= stride < room:
            raise ValueError(
                "`stride` must be at least 0 and below the number of context tokens beside the "
                f"longest question, {room}. Received: stride={stride}, sequence_length="
                f"{sequence_length}, max_question_tokens={max_question_tokens}."
            )

    def count(self, question, context):
        """In the graph: how many windows each pair of strings (B,) has, int64 (B,)."""
        question_ids, features = self._read(question, context)
        return self._count(question_ids, features)[0]

    def is_truncated(self, question):
        """In the graph: which questions, string (B,), are truncated, bool (B,)."""
        ids = self._tokenizer.tokenize(question, self._allow_special)
        return ids.row_lengths() > self._max_question_tokens

    def make(self, question, context):
        """In the graph: all windows of a batch.

        Args:
            question, context: string (B,).
        Returns:
            inputs: dict as the backbone takes it, (W, T).
            offsets: int32 (W, T, 4), in characters of the context: start and end of the token, the
                end of the token before it (0 for the first), and the start of the token after it
                (the largest int32 for the last). -1 for tokens that are not of the context.
            rows: int64 (W,). The pair of each window.
        """
        question_ids, features = self._read(question, context)
        counts, _ = self._count(question_ids, features)
        rows = tf.repeat(tf.range(tf.size(counts, tf.int64)), counts)
        numbers = tf.ragged.range(counts).flat_values
        return *self._pack(question_ids, features, rows, numbers), rows

    def make_one(self, question, context, number):
        """In the graph: one window of each pair, that of its `number` int64 (B,); see `make`.

        Returns:
            inputs and offsets, (B, T) and (B, T, 4).
        """
        question_ids, features = self._read(question, context)
        rows = tf.range(tf.size(number, tf.int64))
        return self._pack(question_ids, features, rows, tf.cast(number, tf.int64))

    def _read(self, question, context):
        question_ids = self._tokenizer.tokenize(question, self._allow_special)
        question_ids = question_ids[:, : self._max_question_tokens]
        ids, starts, ends = self._tokenizer.tokenize_with_offsets(context, self._allow_special)
        rows = ids.value_rowids()
        changes = rows[1:] != rows[:-1]
        before = tf.where(changes, 0, ends.flat_values[:-1])
        after = tf.where(changes, tf.int32.max, starts.flat_values[1:])
        columns = [
            ids.flat_values,
            starts.flat_values,
            ends.flat_values,
            # The first token has none before it, the last none after it.
            tf.concat([[0], before], 0)[: tf.size(rows)],
            tf.concat([after, [tf.int32.max]], 0)[: tf.size(rows)],
        ]
        return question_ids, ids.with_flat_values(tf.stack(columns, axis=-1))

    def _count(self, question_ids, features):
        special = count_special_tokens(self._tokenizer, 2)
        rooms = self._sequence_length - special - question_ids.row_lengths()
        steps = rooms - self._stride
        beyond = tf.maximum(features.row_lengths() - rooms, 0)
        return 1 + (beyond + steps - 1) // steps, (rooms, steps)

    def _pack(self, question_ids, features, rows, numbers):
        _, (rooms, steps) = self._count(question_ids, features)
        lengths = tf.gather(features.row_lengths(), rows)
        first = numbers * tf.gather(steps, rows)
        last = tf.minimum(first + tf.gather(rooms, rows), lengths)
        begin = tf.gather(features.row_splits, rows)
        indices = tf.ragged.range(begin + first, begin + last)
        window = indices.with_flat_values(tf.gather(features.flat_values, indices.flat_values))
        question = tf.gather(question_ids, rows)
        # The tokens of the question have no offsets in the context.
        ids = question.flat_values
        absent = tf.fill(tf.shape(ids), -1)
        question = question.with_flat_values(tf.stack([ids, *[absent] * 4], axis=-1))
        inputs, offsets, _ = pack([question, window], self._tokenizer, self._sequence_length)
        return inputs, offsets


def label_windows(offsets, starts, ends):
    """In the graph: the first and the last token of each window's answer.

    Args:
        offsets: int32 (W, T, 4), as `Windows` makes them.
        starts, ends: int32 (W,). The character offsets of each answer in its context; a negative
            start is no answer.
    Returns:
        int32 (W, 2). Both are 0, the start token, if there is no answer, if the window does not
        have all of its tokens, or if no token covers a character of it.
    """
    token_starts, token_ends, before, after = tf.unstack(offsets, axis=-1)
    is_context = token_starts >= 0
    touches = is_context & (token_ends > starts[:, None]) & (token_starts < ends[:, None])
    first = tf.argmax(tf.cast(touches, tf.int32), axis=1, output_type=tf.int32)
    from_end = tf.argmax(tf.cast(touches[:, ::-1], tf.int32), axis=1, output_type=tf.int32)
    last = tf.shape(offsets)[1] - 1 - from_end
    # Whether the answer reaches into the token before or after the window.
    before = tf.reduce_min(tf.where(is_context, before, tf.int32.max), axis=1)
    after = tf.reduce_max(tf.where(is_context, after, -1), axis=1)
    whole = (starts >= 0) & tf.reduce_any(touches, 1) & (before <= starts) & (ends <= after)
    return tf.where(whole[:, None], tf.stack([first, last], axis=-1), 0)


def window_rows(rows, windows):
    """Makes one row for each window: the columns of its row, and its index as `window`.

    Args:
        rows: Rows with columns `question` and `context`.
        windows: Windows.
    Returns:
        Rows.
    """
    counts = []
    spec = tf.TensorSpec([None], tf.string)
    count = trace_once(windows.count, [spec, spec])
    with progress_bar("Splitting contexts into windows", len(rows)) as advance:
        for start in range(0, len(rows), _ROWS_PER_COUNT):
            part = rows.select(range(start, min(start + _ROWS_PER_COUNT, len(rows))))
            pairs = [(row["question"], row["context"]) for row in part]
            counts.append(count(*(tf.constant(texts) for texts in zip(*pairs, strict=True))))
            advance(len(part))
    return Rows(_WindowSource(rows, np.concatenate(counts)))


class _WindowSource:
    def __init__(self, rows, counts):
        self.columns = (*rows.columns, "window")
        self._rows = rows
        self._ends = np.cumsum(counts)

    def __len__(self):
        return int(self._ends[-1])

    def _find(self, index):
        number = int(np.searchsorted(self._ends, index, side="right"))
        return number, index - (int(self._ends[number - 1]) if number else 0)

    def row(self, index):
        number, window = self._find(index)
        return {**self._rows[number], "window": window}

    def place(self, index):
        return self._rows.place(self._find(index)[0])

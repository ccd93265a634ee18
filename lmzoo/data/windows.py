"""Long contexts as overlapping windows, each beside its question.

Shapes: B batch, W windows of a batch, T length, C features a token.
"""

import numpy as np
import tensorflow as tf

from lmzoo.data.packing import count_special_tokens, pack
from lmzoo.data.rows import Rows

__all__ = ["Windows", "window_rows"]

_COUNTED_TOGETHER = 64


class Windows:
    """Cuts contexts into windows that overlap.

    Args:
        tokenizer: tokenizer with `tokenize_with_offsets`.
        sequence_length: int. T, for question, window and special tokens.
        stride: int. How many tokens of the context two neighbours share.
        max_question_tokens: int. Longer questions are cut.
    Raises:
        ValueError: if the numbers leave no room for a window to move on.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, and the SQuAD code published
        with it, whose "doc stride" is the distance of two windows and not their overlap.
    """

    def __init__(self, tokenizer, sequence_length, stride, max_question_tokens):
        self._tokenizer = tokenizer
        self._sequence_length = sequence_length
        self._stride = stride
        self._max_question_tokens = max_question_tokens
        room = sequence_length - count_special_tokens(tokenizer, 2) - max_question_tokens
        if not 0 <= stride < room:
            raise ValueError(
                "`stride` must be at least 0 and below what a window holds beside the longest "
                f"question, {room} tokens. Received: stride={stride}, sequence_length="
                f"{sequence_length}, max_question_tokens={max_question_tokens}."
            )

    def count(self, question, context):
        """In the graph: how many windows each pair of strings (B,) has, int64 (B,)."""
        question_ids, features = self._read(question, context)
        return self._count(question_ids, features)[0]

    def make(self, question, context):
        """In the graph: all windows of a batch.

        Args:
            question, context: string (B,).
        Returns:
            inputs: dict as the backbone takes it, (W, T).
            places: int32 (W, T, 2). Where each token lies in its context, start and end in
                characters; -1 for tokens that are not of the context.
            rows: int64 (W,). Which pair each window belongs to.
        """
        question_ids, features = self._read(question, context)
        counts, _ = self._count(question_ids, features)
        rows = tf.repeat(tf.range(tf.size(counts, tf.int64)), counts)
        numbers = tf.ragged.range(counts).flat_values
        return *self._pack(question_ids, features, rows, numbers), rows

    def make_one(self, question, context, number):
        """In the graph: one window of each pair, that of its `number` int64 (B,); see `make`.

        Returns:
            inputs and places, (B, T) and (B, T, 2).
        """
        question_ids, features = self._read(question, context)
        rows = tf.range(tf.size(number, tf.int64))
        return self._pack(question_ids, features, rows, tf.cast(number, tf.int64))

    def _read(self, question, context):
        question_ids = self._tokenizer.tokenize(question)[:, : self._max_question_tokens]
        columns = self._tokenizer.tokenize_with_offsets(context)
        flat = tf.stack([values.flat_values for values in columns], axis=-1)
        return question_ids, columns[0].with_flat_values(flat)

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
        places = tf.ragged.range(begin + first, begin + last)
        window = places.with_flat_values(tf.gather(features.flat_values, places.flat_values))
        question = tf.gather(question_ids, rows)
        # The question's tokens have no place in the context.
        ids = question.flat_values
        nowhere = tf.fill(tf.shape(ids), -1)
        question = question.with_flat_values(tf.stack([ids, nowhere, nowhere], axis=-1))
        inputs, places, _ = pack([question, window], self._tokenizer, self._sequence_length)
        return inputs, places


def window_rows(rows, windows):
    """Makes a row of each window: the rows' columns, repeated, and its number as `window`.

    Args:
        rows: Rows with columns `question` and `context`.
        windows: Windows.
    Returns:
        Rows.
    """
    counts = []
    spec = tf.TensorSpec([None], tf.string)
    count = tf.function(windows.count, input_signature=[spec, spec])
    for start in range(0, len(rows), _COUNTED_TOGETHER):
        part = rows.select(range(start, min(start + _COUNTED_TOGETHER, len(rows))))
        questions, contexts = zip(*((row["question"], row["context"]) for row in part), strict=True)
        counts.append(count(tf.constant(questions), tf.constant(contexts)).numpy())
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

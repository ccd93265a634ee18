"""From words to pieces and from the pieces' scores back to spans, in the graph.

Shapes: B batch, W words of a row, T pieces of a row, S spans of a row, C tags.
"""

import numpy as np
import tensorflow as tf

__all__ = ["TagScheme", "find_spans", "join_words", "number_words"]


class TagScheme:
    """What the names of tags say: `B-` begins a span of a type, `I-` goes on with it, `O` is none.

    A tag in no such form, such as a part of speech, is a type whose spans are single words.

    Args:
        tags: tuple of str.
    """

    def __init__(self, tags):
        ids = {tag: index for index, tag in enumerate(tags)}
        kinds = [_read_tag(tag) for tag in tags]
        self.types = tuple(dict.fromkeys(kind for _, kind in kinds if kind is not None))
        # By the number of a tag: its type (-1 for none), whether it begins a span, and the tag of
        # the pieces of a word behind the first one.
        self.type_ids = np.array(
            [-1 if kind is None else self.types.index(kind) for _, kind in kinds], np.int32
        )
        self.begins = np.array([begins for begins, _ in kinds], bool)
        self.going_on = np.array(
            [ids.get(f"I-{tag[2:]}", index) for index, tag in enumerate(tags)], np.int32
        )

    @property
    def has_spans(self):
        """bool. Whether a tag may go on with a span."""
        return not all(self.begins[self.type_ids >= 0])


def _read_tag(tag):
    """Whether a tag begins a span, and the span's type or None."""
    if tag == "O":
        return False, None
    if tag[:2] in ("B-", "I-"):
        return tag[0] == "B", tag[2:]
    return True, tag


def join_words(words):
    """Puts words together with spaces.

    Args:
        words: string ragged (B, W).
    Returns:
        texts: string (B,).
        starts: int32 ragged (B, W). Where each word begins in its text, in characters.
    """
    texts = tf.strings.reduce_join(words, axis=1, separator=" ")
    lengths = tf.strings.length(words.flat_values, unit="UTF8_CHAR") + 1
    # Counted from the beginning of the row.
    ends = tf.cumsum(lengths)
    before = tf.concat([[0], ends], 0)
    starts = before[:-1] - tf.gather(before, tf.gather(words.row_splits, words.value_rowids()))
    return texts, words.with_flat_values(starts)


def number_words(piece_starts, word_starts):
    """The word of each piece: int32 ragged (B, T) of places, and (B, W), to int32 flat (pieces,).

    Words are numbered through all rows, as the flat values of `word_starts` are.
    """
    # One number line for all rows: a row's places follow those of the row before.
    longest = tf.reduce_max(tf.concat([piece_starts.flat_values, word_starts.flat_values, [0]], 0))
    width = tf.cast(longest, tf.int64) + 1

    def unroll(places):
        return places.value_rowids() * width + tf.cast(places.flat_values, tf.int64)

    found = tf.searchsorted(unroll(word_starts), unroll(piece_starts), side="right")
    return found - 1


def find_spans(scheme, tags, scores, starts, ends):
    """The spans of rows of tagged words.

    A span begins at `B-`, at a type that the word before does not have, and nowhere else.

    Args:
        scheme: TagScheme.
        tags: int32 ragged (B, W).
        scores: float32 ragged (B, W).
        starts, ends: int32 ragged (B, W). Where each word lies in its text.
    Returns:
        dict of `spans` int32 (B, S, 2), start and end in characters, filled up with -1; `types`
        int32 (B, S), numbers of `scheme.types`, filled up with -1; and `scores` float32 (B, S), the
        mean over the words, filled up with 0.
    """
    rows = tags.value_rowids()
    types = tf.gather(scheme.type_ids, tags.flat_values)
    before = tf.concat([[-1], types], 0)[:-1]
    same_row = tf.concat([[-1], rows], 0)[:-1] == rows
    goes_on = same_row & (types == before) & ~tf.gather(scheme.begins, tags.flat_values)
    inside = types >= 0
    begins = inside & ~goes_on
    # The number of each word's span, through all rows.
    numbers = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int32)) - 1, inside)

    def pick(values, where):
        return tf.boolean_mask(values.flat_values, where)

    span_ends = tf.math.segment_max(pick(ends, inside), numbers)
    span_scores = tf.math.segment_mean(pick(scores, inside), numbers)
    bounds = tf.stack([pick(starts, begins), span_ends], axis=-1)
    row_of_span, num_rows = tf.boolean_mask(rows, begins), tags.nrows()

    def to_dense(values, filler):
        ragged = tf.RaggedTensor.from_value_rowids(values, row_of_span, num_rows)
        return ragged.to_tensor(filler)

    return {
        "spans": to_dense(bounds, -1),
        "types": to_dense(tf.boolean_mask(types, begins), -1),
        "scores": to_dense(span_scores, 0.0),
    }

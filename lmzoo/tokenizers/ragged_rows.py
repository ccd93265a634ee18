"""Rows of different lengths, concatenated in one tensor."""

import tensorflow as tf

__all__ = ["decode_utf8", "encode_utf8", "find_segments", "mark_starts"]


def decode_utf8(text):
    """Gives the code points of rows of text.

    Args:
        text: string (B,). Invalid UTF-8 is read as Python's `errors="replace"` reads it.
    Returns:
        row_splits: int64 (B + 1,). Row boundaries in the code points, from 0 to n.
        code_points: int32 (n,).
    """
    return tf.raw_ops.UnicodeDecode(input=text, input_encoding="UTF-8", errors="replace")


def encode_utf8(code_points, row_splits):
    """Gives the rows of text that `decode_utf8` reads, string (B,)."""
    return tf.raw_ops.UnicodeEncode(
        input_values=code_points, input_splits=row_splits, output_encoding="UTF-8"
    )


def mark_starts(splits):
    """Marks where rows begin.

    Args:
        splits: int (R + 1,). Row boundaries, from 0 to n.
    Returns:
        bool (n,). True at the first element of each row.
    """
    return _count_starts(splits) > 0


def find_segments(splits):
    """Gives the row index of each element.

    This is `tf.RaggedTensor.value_rowids` in linear time and memory. TensorFlow's own builds a mask
    of rows by longest row: 68 seconds for 20,000 empty rows beside one of 100,000 elements.

    Args:
        splits: int (R + 1,). Row boundaries, from 0 to n.
    Returns:
        int32 (n,).
    """
    return tf.cumsum(_count_starts(splits)) - 1


def _count_starts(splits):
    # One more element takes the end of the last row.
    ones = tf.ones_like(splits, tf.int32)
    shape = tf.reshape(splits[-1] + 1, [1])
    return tf.scatter_nd(tf.expand_dims(splits, 1), ones, shape)[:-1]

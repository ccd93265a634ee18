"""Rows of different lengths, one after the other in one tensor."""

import tensorflow as tf

__all__ = ["find_segments", "mark_starts"]


def mark_starts(splits):
    """Says where rows begin.

    Args:
        splits: int (R + 1,). Where each row begins, and the number n of elements.
    Returns:
        bool (n,). True at the first element of each row.
    """
    return _count_starts(splits) > 0


def find_segments(splits):
    """Gives each element the number of its row.

    This is `tf.RaggedTensor.value_rowids` in linear time and memory. That one goes through a mask
    of rows by longest row: 68 seconds for 20,000 empty rows beside one of 100,000 elements.

    Args:
        splits: int (R + 1,). Where each row begins, and the number n of elements.
    Returns:
        int32 (n,).
    """
    return tf.cumsum(_count_starts(splits)) - 1


def _count_starts(splits):
    starts = splits[:-1, None]
    shape = tf.reshape(splits[-1] + 1, [1])
    return tf.scatter_nd(starts, tf.ones_like(splits[:-1], tf.int32), shape)[:-1]

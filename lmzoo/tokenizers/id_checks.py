"""The check, within a graph, that token ids are some of a vocabulary's."""

import tensorflow as tf

__all__ = ["check_ids"]


def check_ids(ids, vocabulary_size):
    """Gives the ids on, to be looked up in tables of a vocabulary.

    Args:
        ids: int of any shape.
        vocabulary_size: int. V.
    Returns:
        `ids`. What is looked up with these waits for the check.
    Raises:
        tf.errors.InvalidArgumentError: if an id is not from 0 to V - 1, at run time.
    """
    wrong = (ids < 0) | (ids >= vocabulary_size)
    rule = f"`ids` must be token ids from 0 to {vocabulary_size - 1}. Received:"
    check = tf.debugging.Assert(~tf.reduce_any(wrong), [rule, tf.boolean_mask(ids, wrong)])
    # Eagerly there is no op to wait for.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(ids)

"""Looking up what belongs to token ids, with a check that they are some."""

import tensorflow as tf

__all__ = ["gather_tokens"]


def gather_tokens(table, ids):
    """Gives the entry of each id.

    Args:
        table: (V,). An entry for each token.
        ids: int of any shape.
    Returns:
        tensor of the shape of `ids` and the dtype of `table`.
    Raises:
        tf.errors.InvalidArgumentError: if an id is not from 0 to V - 1, at run time.
    """
    size = table.shape[0]
    wrong = (ids < 0) | (ids >= size)
    check = tf.debugging.Assert(
        ~tf.reduce_any(wrong),
        [f"`ids` must be token ids from 0 to {size - 1}. Received:", tf.boolean_mask(ids, wrong)],
    )
    # Eagerly there is no op to wait for; within a graph the gather must not run first.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.gather(table, tf.identity(ids))

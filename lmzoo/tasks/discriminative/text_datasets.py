"""From labelled text to a dataset that Keras takes."""

import tensorflow as tf

from lmzoo.data import Rows

__all__ = ["check_strings", "make_batches"]


def make_batches(rows, encode, batch_size, *, training=False, shuffle=False, initial_epoch=0):
    """Encodes text batch by batch.

    Args:
        rows: Rows, or a tf.data.Dataset of batches.
        encode: callable. Takes in the graph a batch, its number in the epoch, int64 (), and a
            seed, int64 (), and returns what Keras takes.
        batch_size: int. B, for Rows.
        training: bool. If True, a batch has another seed in each epoch; if False, the same one.
        shuffle: bool. For Rows.
        initial_epoch: int. For Rows.
    Returns:
        tf.data.Dataset.
    Raises:
        ValueError: if a number is out of its range.
    """
    if isinstance(rows, Rows):

        def encode_step(columns, step):
            number = step % -(-len(rows) // batch_size)
            return encode(columns, number, step if training else number)

        return rows.dataset(
            batch_size, shuffle=shuffle, initial_epoch=initial_epoch, encode=encode_step
        )
    # A dataset of the caller's own has no step numbers that go on from epoch to epoch.
    seeds = tf.data.Dataset.random(0, rerandomize_each_iteration=training)
    zipped = tf.data.Dataset.zip(rows.enumerate(), seeds)

    @tf.autograph.experimental.do_not_convert
    def encode_batch(numbered, seed):
        return encode(numbered[1], numbered[0], seed)

    batches = zipped.map(encode_batch, tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def check_strings(columns, names, rank=1):
    """Refuses columns of a batch that are not of strings, one for each row, or lists of them.

    Args:
        columns: dict of column to tensor.
        names: list of str. Those to look at.
        rank: int. 1 for a string in each row, 2 for a list of strings.
    Raises:
        ValueError: if there is no such column.
        TypeError: if one is of something else, or the rows are not in batches.
    """
    value = "a string" if rank == 1 else "a list of strings"
    for name in names:
        if name not in columns:
            raise ValueError(
                f"There must be a column `{name}`. Received: columns "
                f"{', '.join(columns) or 'of no name'}."
            )
        dtype, shape = columns[name].dtype, columns[name].shape
        if dtype != tf.string or shape.rank != rank:
            raise TypeError(
                f"`{name}` must hold {value} for each row, in batches. Received: "
                f"dtype={dtype.name}, shape={shape}."
            )

"""From labelled text to a dataset that Keras takes."""

import tensorflow as tf

from lmzoo.data import Rows

__all__ = ["holds_text", "make_batches", "widen_numbers"]


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
    batches = zipped.map(
        lambda numbered, seed: encode(numbered[1], numbered[0], seed), tf.data.AUTOTUNE
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def holds_text(x):
    """Whether Rows, datasets, lists, arrays, tensors or specs are of text and not of tokens."""
    if isinstance(x, Rows):
        return True
    if isinstance(x, tf.data.Dataset):
        x = x.element_spec
        x = x[0] if isinstance(x, tuple) else x
    if isinstance(x, dict):
        return "token_ids" not in x and bool(x) and holds_text(next(iter(x.values())))
    if hasattr(x, "dtype"):
        return x.dtype == tf.string or getattr(x.dtype, "kind", None) in ("O", "U", "S", "T")
    if isinstance(x, list | tuple) and x:
        return holds_text(x[0])
    return isinstance(x, str | bytes)


def widen_numbers(values):
    """Integers in lists become floats, so that both may stand in one column; the rest stays."""
    if isinstance(values, list | tuple):
        return [widen_numbers(value) for value in values]
    return float(values) if type(values) is int else values

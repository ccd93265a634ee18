"""From rows of text to token batches, with a count of the texts that were truncated."""

import functools
import threading
import typing
import warnings

import numpy as np
import tensorflow as tf

from lmzoo.data import Rows
from lmzoo.data.pipeline import without_owning

__all__ = ["TruncationReport", "Example", "check_strings", "make_batches"]


class Example(typing.NamedTuple):
    """A batch as Keras takes it, and which of its texts were too long.

    inputs: dict of tensors, what the task is called with.
    labels, weights: tensors or None.
    is_truncated: bool (B,); with several rows a text, one for each text that begins in the batch.
    """

    inputs: dict
    labels: typing.Any
    weights: typing.Any
    is_truncated: tf.Tensor


class TruncationReport:
    """Counts the truncated texts of a dataset, each batch of an epoch once.

    Args:
        sequence_length: int. The length they were truncated to, in tokens.
        name: str. The word for them in the warning.
    """

    def __init__(self, sequence_length, name="texts"):
        self._sequence_length = sequence_length
        self._name = name
        # By batch, because Keras reads some twice, and each epoch reads all again.
        self._counts = {}
        self._lock = threading.Lock()

    def count(self, example, number, part="training"):
        """In a dataset's graph: counts the truncated texts of a batch.

        Args:
            example: Example.
            number: int64 (). The index of the batch in its epoch.
            part: str, such as "validation". Batches are numbered within a part.
        Returns:
            tuple `(inputs,)`, `(inputs, labels)` or `(inputs, labels, weights)`.
        """
        # Who warns of the counts has the report; so has `encode`, which the dataset has.
        add = functools.partial(without_owning(self.add), part)
        counted = tf.numpy_function(add, [number, example.is_truncated], tf.int64)
        with tf.control_dependencies([counted]):
            inputs = tf.nest.map_structure(tf.identity, example.inputs)
        if example.labels is None:
            return (inputs,)
        if example.weights is None:
            return inputs, example.labels
        return inputs, example.labels, example.weights

    def add(self, part, number, is_truncated):
        """Counts a batch of a part: for each text, whether it was truncated."""
        with self._lock:
            self._counts[part, int(number)] = (np.size(is_truncated), int(np.sum(is_truncated)))
        return np.int64(number)

    def warn(self, stacklevel=3):
        """Warns once, with their number, if texts were truncated."""
        num_texts = sum(size for size, _ in self._counts.values())
        num_truncated = sum(cut for _, cut in self._counts.values())
        if num_truncated:
            warnings.warn(
                f"{num_truncated} of {num_texts} {self._name} "
                f"({num_truncated / num_texts:.1%}) were longer than {self._sequence_length} "
                "tokens and were truncated.",
                stacklevel=stacklevel,
            )


def make_batches(rows, encode, batch_size, *, training=False, shuffle=False, initial_epoch=0):
    """Encodes text batch by batch.

    Args:
        rows: Rows, or a tf.data.Dataset of batches.
        encode: callable. Takes in the graph a batch, its number in the epoch, int64 (), and a
            seed, int64 (), and returns `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: int. B, for Rows.
        training: bool. If True, the seed of a batch differs from epoch to epoch.
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
    """Refuses columns of a batch that do not hold a string, or a list of strings, for each row.

    Args:
        columns: dict of column to tensor.
        names: list of str. The columns to check.
        rank: int. 1 for a string in each row, 2 for a list of strings.
    Raises:
        ValueError: if there is no such column.
        TypeError: if a column is not of strings, or the rows are not batched.
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

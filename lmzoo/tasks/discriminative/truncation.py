"""Counting the texts that were too long, to say so once."""

import functools
import threading
import typing
import warnings

import numpy as np
import tensorflow as tf

__all__ = ["CutReport", "Example"]


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


class CutReport:
    """Counts texts on their way through a dataset, each batch of an epoch once.

    Args:
        sequence_length: int. What they were cut to, in tokens.
        name: str. What a message calls them.
    """

    def __init__(self, sequence_length, name="texts"):
        self._sequence_length = sequence_length
        self._name = name
        # By batch, because Keras reads some twice, and so does each epoch.
        self._counts = {}
        self._lock = threading.Lock()

    def count(self, example, number, part="training"):
        """In a dataset's graph: notes how many texts were cut, gives what Keras takes.

        Args:
            example: Example.
            number: int64 (). Which batch of an epoch it is.
            part: str. Batches of another part are other ones.
        Returns:
            tuple `(inputs,)`, `(inputs, labels)` or `(inputs, labels, weights)`.
        """
        add = functools.partial(self.add, part)
        counted = tf.numpy_function(add, [number, example.is_truncated], tf.int64)
        with tf.control_dependencies([counted]):
            inputs = tf.nest.map_structure(tf.identity, example.inputs)
        if example.labels is None:
            return (inputs,)
        if example.weights is None:
            return inputs, example.labels
        return inputs, example.labels, example.weights

    def add(self, part, number, is_truncated):
        """Notes a batch: its part and number, and for each text whether it was cut."""
        with self._lock:
            self._counts[part, int(number)] = (np.size(is_truncated), int(np.sum(is_truncated)))
        return np.int64(number)

    def warn(self):
        """Warns if texts were cut, once, with their number."""
        num_texts = sum(size for size, _ in self._counts.values())
        num_cut = sum(cut for _, cut in self._counts.values())
        if num_cut:
            warnings.warn(
                f"{num_cut} of {num_texts} {self._name} ({num_cut / num_texts:.1%}) were longer "
                f"than {self._sequence_length} tokens and were cut to that.",
                stacklevel=3,
            )

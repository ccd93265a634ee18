"""Counting the texts that were too long, to say so once."""

import threading
import warnings

import numpy as np
import tensorflow as tf

__all__ = ["CutReport"]


class CutReport:
    """Counts texts on their way through a dataset.

    Args:
        sequence_length: int. What they were cut to.
    """

    def __init__(self, sequence_length):
        self._sequence_length = sequence_length
        self._num_texts = 0
        self._num_cut = 0
        self._lock = threading.Lock()

    def count(self, example):
        """In a dataset's graph: notes how many texts were cut, gives what Keras takes.

        Args:
            example: `lmzoo.tasks.text_input.Example`.
        Returns:
            tuple `(inputs,)`, `(inputs, labels)` or `(inputs, labels, weights)`.
        """
        counted = tf.numpy_function(self._add, [example.is_cut], tf.int64)
        with tf.control_dependencies([counted]):
            inputs = tf.nest.map_structure(tf.identity, example.inputs)
        if example.labels is None:
            return (inputs,)
        if example.weights is None:
            return inputs, example.labels
        return inputs, example.labels, example.weights

    def _add(self, is_cut):
        with self._lock:
            self._num_texts += is_cut.size
            self._num_cut += int(is_cut.sum())
        return np.int64(self._num_cut)

    def warn(self):
        """Warns once of all that were cut; where there are several epochs, of the share."""
        if self._num_cut:
            share = self._num_cut / self._num_texts
            warnings.warn(
                f"{self._num_cut} of {self._num_texts} texts read ({share:.1%}) were longer than "
                f"{self._sequence_length} tokens and were cut to that.",
                stacklevel=3,
            )

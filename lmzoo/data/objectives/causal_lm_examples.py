"""The examples of a causal language model, each a pure function of its number."""

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_sizes
from lmzoo.data.objectives.stream_examples import StreamExamples

__all__ = ["CausalLMExamples"]


class CausalLMExamples(StreamExamples):
    """The examples of a causal language model, each a pure function of its number.

    Args:
        stream: TokenStream.
        sequence_length: int. T.
        batch_size: int. B.
        seed: int.
        shuffle: bool.
        document_mask: bool.
        drop_remainder: bool. If False, an epoch ends with a smaller batch where the examples
            do not fill it.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if a size is not positive, or if the stream is too short for one example (or
            one batch, with `drop_remainder`).
    """

    def __init__(
        self,
        stream,
        sequence_length,
        batch_size,
        *,
        seed=0,
        shuffle=True,
        document_mask=True,
        drop_remainder=True,
    ):
        check_sizes(sequence_length, batch_size)
        self.document_mask = document_mask
        super().__init__(
            stream,
            sequence_length,
            batch_size,
            window_size=sequence_length + 1,
            stride=sequence_length,
            seed=seed,
            shuffle=shuffle,
            drop_remainder=drop_remainder,
        )

    def example(self, epoch, index):
        """Returns one example of an epoch.

        Args:
            epoch: int.
            index: int. The place in the epoch's order, below `num_examples`.
        Returns:
            (inputs, labels): as `causal_lm` gives them, as NumPy arrays of shape (T,).
        """
        windows = self.find_windows(epoch, np.array([index]))
        return tf.nest.map_structure(lambda array: array[0], self._examples(windows))

    def batch(self, epoch, step):
        """Returns one batch of an epoch.

        Args:
            epoch: int.
            step: int. Below `steps_per_epoch`.
        Returns:
            (inputs, labels): as `causal_lm` gives them, as NumPy arrays of shape (B, T).
        """
        return self._examples(self.find_batch(epoch, step))

    def dataset(self, initial_epoch=0, initial_step=0):
        """Returns the batches as a dataset, from any step of any epoch on.

        Args:
            initial_epoch: int.
            initial_step: int.
        Returns:
            tf.data.Dataset with `steps_per_epoch` batches an iteration; see `causal_lm`.
        Raises:
            ValueError: if one of them is negative.
        """

        def fetch(epoch, step):
            return tf.nest.flatten(self.batch(epoch, step))

        return self.make_dataset(fetch, self._signature(), initial_epoch, initial_step)

    def _examples(self, windows):
        """Makes examples: int array (B, T + 1) -> arrays (B, T)."""
        token_ids, labels = windows[:, :-1], windows[:, 1:]
        inputs = {"token_ids": token_ids, "padding_mask": np.ones(token_ids.shape, dtype=bool)}
        if self.document_mask:
            # No text gives the end token, so wherever it stands a document begins.
            starts = token_ids == self.stream.end_token_id
            starts[:, 0] = False
            inputs["document_ids"] = np.cumsum(starts, axis=1, dtype=np.int32)
        return inputs, labels

    def _signature(self):
        batch_size = self.batch_size if self.drop_remainder else None
        shape = (batch_size, self.sequence_length)
        inputs = {
            "token_ids": tf.TensorSpec(shape, tf.int32),
            "padding_mask": tf.TensorSpec(shape, tf.bool),
        }
        if self.document_mask:
            inputs["document_ids"] = tf.TensorSpec(shape, tf.int32)
        return inputs, tf.TensorSpec(shape, tf.int32)

"""The examples of a causal language model, each a pure function of its number."""

import numbers

import numpy as np
import tensorflow as tf

from lmzoo.data.order import shuffled
from lmzoo.data.pipeline import step_dataset

__all__ = ["CausalLMExamples", "check_seed", "check_sizes", "check_start"]


class CausalLMExamples:
    """The examples of a token stream, each found by its number: no state, nothing to skip.

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
        check_seed(seed)
        self.stream = stream
        self.sequence_length = sequence_length
        self.batch_size = batch_size
        self.seed = int(seed)
        self.shuffle = shuffle
        self.document_mask = document_mask
        self.drop_remainder = drop_remainder
        self.num_examples = (len(stream) - 1) // sequence_length
        if self.num_examples < 1:
            raise ValueError(
                "`sequence_length` must be smaller than the number of tokens. Received: "
                f"sequence_length={sequence_length}, {len(stream)} tokens. Give more text or "
                "shorter sequences."
            )
        if self.steps_per_epoch < 1:
            raise ValueError(
                "`batch_size` must not exceed the number of examples. Received: "
                f"batch_size={batch_size}, {self.num_examples} examples of sequence_length="
                f"{sequence_length} in {len(stream)} tokens. Give more text, smaller batches or "
                "shorter sequences."
            )

    @property
    def steps_per_epoch(self):
        """int. How many batches an epoch has."""
        if self.drop_remainder:
            return self.num_examples // self.batch_size
        return -(-self.num_examples // self.batch_size)

    def example(self, epoch, index):
        """Returns one example of an epoch.

        Args:
            epoch: int.
            index: int. The place in the epoch's order, below `num_examples`.
        Returns:
            (inputs, labels): as `causal_lm` gives them, as NumPy arrays of shape (T,).
        """
        return tf.nest.map_structure(
            lambda array: array[0], self._examples(epoch, np.array([index]))
        )

    def batch(self, epoch, step):
        """Returns one batch of an epoch.

        Args:
            epoch: int.
            step: int. Below `steps_per_epoch`.
        Returns:
            (inputs, labels): as `causal_lm` gives them, as NumPy arrays of shape (B, T).
        """
        first = step * self.batch_size
        last = min(first + self.batch_size, self.num_examples)
        return self._examples(epoch, np.arange(first, last))

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
        check_start(initial_epoch, initial_step)
        steps = self.steps_per_epoch

        def fetch(step):
            return tf.nest.flatten(self.batch(*divmod(int(step), steps)))

        return step_dataset(
            fetch,
            self._signature(),
            num_steps=steps,
            initial_step=initial_epoch * steps + initial_step,
            advances=self.shuffle or initial_step % steps != 0,
        )

    def _examples(self, epoch, indices):
        """Gathers examples: int array (B,) of places in an epoch -> arrays (B, T)."""
        if self.shuffle:
            indices = shuffled(indices, self.num_examples, self.seed, epoch)
        # (B,) -> (B, T + 1)
        places = indices[:, None] * self.sequence_length + np.arange(self.sequence_length + 1)
        windows = self.stream.token_ids[places].astype(np.int32)
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


def check_sizes(sequence_length, batch_size):
    """Refuses sizes that are not positive integers.

    Raises:
        ValueError: if one is not.
    """
    for name, size in (("sequence_length", sequence_length), ("batch_size", batch_size)):
        if not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={size}.")


def check_start(initial_epoch, initial_step):
    """Refuses a place to begin that is not a pair of integers from 0 on.

    Raises:
        ValueError: if it is not.
    """
    for name, start in (("initial_epoch", initial_epoch), ("initial_step", initial_step)):
        if not isinstance(start, numbers.Integral) or start < 0:
            raise ValueError(
                f"`{name}` must be an integer of at least 0. Received: {name}={start}."
            )


def check_seed(seed):
    """Refuses a seed that is not an integer.

    Raises:
        TypeError: if it is not.
    """
    if not isinstance(seed, numbers.Integral):
        raise TypeError(f"`seed` must be an integer. Received: seed={seed!r}.")

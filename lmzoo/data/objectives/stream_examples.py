"""Training examples from windows of a token stream, each a pure function of its number."""

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_initial_step, check_seed, check_sizes
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.pipeline import step_dataset

__all__ = ["StreamExamples"]


class StreamExamples:
    """Windows of equal length in a token stream; window i begins at token i * `stride`.

    An objective derives from this class. It defines `make_batch` and `batch_signature`, and turns
    the windows into inputs and labels. Batches are computed from their number, so a run continues
    at any step without reading the data before it.

    Args:
        stream: TokenStream.
        sequence_length: int. T, the positions of an example.
        batch_size: int. B.
        window_size: int. W, how many tokens of the stream make one example.
        stride: int. The distance between the starts of two windows, in tokens.
        seed: int. Seed of the shuffle, and of the random numbers of an objective.
        shuffle: bool. If False, every epoch is in the order of the corpus.
        drop_remainder: bool. If False, an epoch ends with a smaller batch when the examples do
            not fill it.
        fixed_noise: bool. If True, every epoch draws the same random numbers.
        keep_rest: bool. If True, the tokens at the end that do not fill a window are one more
            window, padded.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if a size is not positive, or if the stream is too short for one example (or
            for one batch, with `drop_remainder`).
    """

    # Whether examples depend on random numbers beside the shuffle.
    draws_noise = False
    # The part of an objective that runs in the graph; see `step_dataset`.
    encode = None

    def __init__(
        self,
        stream,
        sequence_length,
        batch_size,
        *,
        window_size,
        stride,
        seed=0,
        shuffle=True,
        drop_remainder=True,
        fixed_noise=False,
        keep_rest=False,
    ):
        check_sizes(sequence_length, batch_size)
        check_seed(seed)
        self.stream = stream
        self.sequence_length = sequence_length
        self.batch_size = batch_size
        self.window_size = window_size
        self.stride = stride
        self.seed = int(seed)
        self.shuffle = shuffle
        self.drop_remainder = drop_remainder
        self.fixed_noise = fixed_noise
        rest = stride - 1 if keep_rest else 0
        self.num_examples = (len(stream) - window_size + rest) // stride + 1
        if self.num_examples < 1:
            raise ValueError(
                f"An example must have {window_size} tokens. Received: "
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

    def make_batch(self, epoch, step, indices):
        """Makes one batch; defined by each objective.

        Args:
            epoch: int.
            step: int. The step in the epoch.
            indices: int array (B,). The numbers of the batch's examples, before the shuffle.
        Returns:
            nested NumPy arrays of the structure of `batch_signature`.
        """
        raise NotImplementedError

    def batch_signature(self, batch_size):
        """Returns the nested tf.TensorSpec of what `make_batch` returns; B may be None."""
        raise NotImplementedError

    def batch(self, epoch, step):
        """Returns one batch of an epoch.

        Args:
            epoch: int.
            step: int. Below `steps_per_epoch`.
        Returns:
            the batch as the objective's dataset gives it, as arrays (B, ...).
        """
        return self._batch(epoch, step)

    def example(self, epoch, index):
        """Returns one example of an epoch.

        Args:
            epoch: int.
            index: int. Its number in the shuffled epoch, below `num_examples`.
        Returns:
            that row of its batch, without the batch axis.
        """
        batch = self.make_batch(epoch, index // self.batch_size, np.array([index]))
        return tf.nest.map_structure(lambda array: array[0], batch)

    def dataset(self, initial_epoch=0, initial_step=0):
        """Returns the batches as a dataset that starts at any step of any epoch.

        Args:
            initial_epoch: int.
            initial_step: int.
        Returns:
            tf.data.Dataset with `steps_per_epoch` batches an iteration; see `causal_lm`.
        Raises:
            ValueError: if one of them is negative.
        """
        check_initial_step(initial_epoch, initial_step)
        steps = self.steps_per_epoch

        redraws = self.draws_noise and not self.fixed_noise

        def find_samples(step):
            return self._shuffle(step // steps, self._find_indices(step % steps))

        return step_dataset(
            lambda step: tf.nest.flatten(self._batch(*divmod(int(step), steps))),
            self.batch_signature(self.batch_size if self.drop_remainder else None),
            num_steps=steps,
            initial_step=initial_epoch * steps + initial_step,
            advances=redraws or self.shuffle or initial_step % steps != 0,
            encode=self.encode,
            find_samples=find_samples,
        )

    def _batch(self, epoch, step):
        return self.make_batch(epoch, step, self._find_indices(step))

    def _find_indices(self, step):
        first = step * self.batch_size
        return np.arange(first, min(first + self.batch_size, self.num_examples))

    def _shuffle(self, epoch, indices):
        """The numbers of windows in the order of the stream: int array (n,)."""
        if not self.shuffle:
            return indices
        return shuffle_indices(indices, self.num_examples, self.seed, epoch)

    def find_windows(self, epoch, indices):
        """Returns windows of an epoch.

        Args:
            epoch: int.
            indices: int array (n,). Numbers in the shuffled epoch, each below `num_examples`.
        Returns:
            int32 array (n, W) of token ids, and bool array (n, W), False on padding.
        """
        indices = self._shuffle(epoch, indices)
        # (n,) -> (n, W)
        positions = indices[:, None] * self.stride + np.arange(self.window_size)
        mask = positions < len(self.stream)
        # The padding repeats the last token of the stream.
        positions = np.minimum(positions, len(self.stream) - 1)
        return self.stream.token_ids[positions].astype(np.int32), mask

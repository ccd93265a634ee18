"""The windows of a token stream, each a pure function of its number."""

import numpy as np

from lmzoo.data.checks import check_initial_step, check_seed
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.pipeline import step_dataset

__all__ = ["StreamExamples"]


class StreamExamples:
    """Windows of one size in a token stream, each found by its number: nothing to skip.

    An objective derives from it and makes examples of the windows.

    Args:
        stream: TokenStream.
        sequence_length: int. T, the positions of an example.
        batch_size: int. B.
        window_size: int. W, the tokens of the stream that an example is made of.
        stride: int. How far the next window is.
        seed: int.
        shuffle: bool.
        drop_remainder: bool. If False, an epoch ends with a smaller batch where the examples
            do not fill it.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if the stream is too short for one example (or one batch, with
            `drop_remainder`).
    """

    def __init__(
        self,
        stream,
        sequence_length,
        batch_size,
        *,
        window_size,
        stride,
        seed,
        shuffle,
        drop_remainder,
    ):
        check_seed(seed)
        self.stream = stream
        self.sequence_length = sequence_length
        self.batch_size = batch_size
        self.window_size = window_size
        self.stride = stride
        self.seed = int(seed)
        self.shuffle = shuffle
        self.drop_remainder = drop_remainder
        self.num_examples = (len(stream) - window_size) // stride + 1
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

    def find_windows(self, epoch, indices):
        """Returns windows of an epoch.

        Args:
            epoch: int.
            indices: int array (n,). Places in the epoch's order, each below `num_examples`.
        Returns:
            int32 array (n, W).
        """
        if self.shuffle:
            indices = shuffle_indices(indices, self.num_examples, self.seed, epoch)
        # (n,) -> (n, W)
        places = indices[:, None] * self.stride + np.arange(self.window_size)
        return self.stream.token_ids[places].astype(np.int32)

    def find_batch(self, epoch, step):
        """Returns the windows of a batch: int32 array (B, W)."""
        first = step * self.batch_size
        last = min(first + self.batch_size, self.num_examples)
        return self.find_windows(epoch, np.arange(first, last))

    def make_dataset(
        self, fetch, signature, initial_epoch, initial_step, advances=False, encode=None
    ):
        """Returns a dataset of batches, from any step of any epoch on.

        Args:
            fetch: callable. Takes an epoch and a step in it, returns arrays.
            signature, encode: as for `step_dataset`.
            initial_epoch: int.
            initial_step: int.
            advances: bool. Whether epochs differ though they are not shuffled.
        Raises:
            ValueError: if a start is negative.
        """
        check_initial_step(initial_epoch, initial_step)
        steps = self.steps_per_epoch
        return step_dataset(
            lambda step: fetch(*divmod(int(step), steps)),
            signature,
            num_steps=steps,
            initial_step=initial_epoch * steps + initial_step,
            advances=advances or self.shuffle or initial_step % steps != 0,
            encode=encode,
        )

"""Examples of an encoder and a decoder, made of the windows of a token stream.

Shapes: B batch, W window, T input, S target.
"""

import numbers

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_sizes
from lmzoo.data.corpus.index_shuffle import uniform_noise
from lmzoo.data.corpus.without_eos import without_eos
from lmzoo.data.objectives.stream_examples import StreamExamples

__all__ = ["Seq2SeqExamples", "check_tokens", "describe_tokenizer"]


class Seq2SeqExamples(StreamExamples):
    """Windows of a token stream as pairs of a source and a target, each found by its number.

    Documents follow one another without a border, so the end token ends an input or a target and
    stands nowhere else. An objective derives from it and defines `make_pairs`.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with padding and end tokens.
        sequence_length: int. T.
        batch_size: int. B.
        window_size: int. W.
        targets_length: int. S.
        num_draws: int. How many random numbers an example takes.
        seed: int. Decides the order of every epoch and what is drawn.
        shuffle: bool.
        drop_remainder: bool. If False, an epoch ends with a smaller batch where the examples
            do not fill it.
        fixed_noise: bool. If True, every epoch draws the same.
        start_token_id: int or None. What the decoder begins with; None for the padding token.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if the tokenizer has no padding or end token, `start_token_id` is not in its
            vocabulary, or the stream is too short for one example (or one batch, with
            `drop_remainder`).
    """

    def __init__(
        self,
        stream,
        tokenizer,
        sequence_length,
        batch_size,
        *,
        window_size,
        targets_length,
        num_draws,
        seed=0,
        shuffle=True,
        drop_remainder=True,
        fixed_noise=False,
        start_token_id=None,
    ):
        check_sizes(sequence_length, batch_size)
        super().__init__(
            without_eos(stream),
            sequence_length,
            batch_size,
            window_size=window_size,
            stride=window_size,
            seed=seed,
            shuffle=shuffle,
            drop_remainder=drop_remainder,
        )
        self.targets_length = targets_length
        self.fixed_noise = fixed_noise
        self.pad_token_id = find_token(tokenizer, "pad_token_id")
        self.end_token_id = find_token(tokenizer, "end_token_id")
        check_tokens(tokenizer, start_token_id)
        self.start_token_id = self.pad_token_id if start_token_id is None else int(start_token_id)
        self._num_draws = num_draws

    def make_pairs(self, windows, noise):
        """Makes sources and targets, both without end token and padding.

        Args:
            windows: int32 (B, W).
            noise: float64 (B, num_draws). Evenly drawn from [0, 1), other numbers in each example.
        Returns:
            (source, source_mask, target, target_mask): int32 and bool arrays of any lengths below
            T and S. A mask is True on the left, where there are tokens.
        """
        raise NotImplementedError

    def example(self, epoch, index):
        """Returns one example of an epoch.

        Args:
            epoch: int.
            index: int. The place in the epoch's order, below `num_examples`.
        Returns:
            (inputs, labels, weights): those of a batch, without the first axis.
        """
        arrays = self._examples(epoch, np.array([index]))
        return tf.nest.map_structure(lambda array: array[0], arrays)

    def pair(self, epoch, index):
        """Returns the tokens of one example of an epoch.

        Args:
            epoch: int.
            index: int. The place in the epoch's order, below `num_examples`.
        Returns:
            (source, target): lists of int, without end token and padding.
        """
        source, source_mask, target, target_mask = self._pairs(epoch, np.array([index]))
        return source[source_mask].tolist(), target[target_mask].tolist()

    def batch(self, epoch, step):
        """Returns one batch of an epoch.

        Args:
            epoch: int.
            step: int. Below `steps_per_epoch`.
        Returns:
            (inputs, labels, weights): as `span_corruption` gives them, as NumPy arrays.
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
            tf.data.Dataset with `steps_per_epoch` batches an iteration; see `span_corruption`.
        Raises:
            ValueError: if one of them is negative.
        """

        def fetch(epoch, step):
            return tf.nest.flatten(self.batch(epoch, step))

        return self.make_dataset(
            fetch, self._signature(), initial_epoch, initial_step, advances=not self.fixed_noise
        )

    def _pairs(self, epoch, indices):
        """What `make_pairs` gives of examples, with the numbers that each draws in this epoch."""
        windows = self.find_windows(epoch, indices)
        examples = indices + (0 if self.fixed_noise else epoch * self.num_examples)
        # (B,) -> (B, num_draws): no two examples of a run share a number
        draws = examples[:, None] * self._num_draws + np.arange(self._num_draws)
        noise = uniform_noise(draws.reshape(-1), self.seed).reshape(draws.shape)
        return self.make_pairs(windows, noise)

    def _examples(self, epoch, indices):
        source, source_mask, target, target_mask = self._pairs(epoch, indices)
        token_ids, padding_mask = self._finish(source, source_mask, self.sequence_length)
        labels, labels_mask = self._finish(target, target_mask, self.targets_length)
        start = np.full((len(labels), 1), self.start_token_id, np.int32)
        inputs = {
            "encoder_token_ids": token_ids,
            "encoder_padding_mask": padding_mask,
            "decoder_token_ids": np.concatenate([start, labels[:, :-1]], axis=1),
            "decoder_padding_mask": labels_mask,
        }
        return inputs, labels, labels_mask.astype(np.float32)

    def _finish(self, token_ids, mask, length):
        """Adds the end token and the padding: (B, any), bool (B, any) -> (B, length), bool."""
        sizes = mask.sum(axis=1, keepdims=True)
        finished = np.full((len(token_ids), length), self.pad_token_id, np.int32)
        finished[:, : token_ids.shape[1]] = np.where(mask, token_ids, self.pad_token_id)
        np.put_along_axis(finished, sizes, self.end_token_id, axis=1)
        return finished, np.arange(length) <= sizes

    def _signature(self):
        batch_size = self.batch_size if self.drop_remainder else None
        source, target = (batch_size, self.sequence_length), (batch_size, self.targets_length)
        inputs = {
            "encoder_token_ids": tf.TensorSpec(source, tf.int32),
            "encoder_padding_mask": tf.TensorSpec(source, tf.bool),
            "decoder_token_ids": tf.TensorSpec(target, tf.int32),
            "decoder_padding_mask": tf.TensorSpec(target, tf.bool),
        }
        return inputs, tf.TensorSpec(target, tf.int32), tf.TensorSpec(target, tf.float32)


def find_token(tokenizer, name):
    """Returns the id of a tokenizer's padding or end token.

    Raises:
        ValueError: if it has none.
    """
    token_id = getattr(tokenizer, name, None)
    if token_id is None:
        raise ValueError(
            f"`tokenizer` must have a `{name}`. Received: "
            f"{describe_tokenizer(tokenizer, f'{name}=None')}."
        )
    return int(token_id)


def describe_tokenizer(tokenizer, what):
    """What an error says of a tokenizer: its class and what is wrong, or that there is none."""
    return "tokenizer=None" if tokenizer is None else f"{type(tokenizer).__name__} with {what}"


def check_tokens(tokenizer, start_token_id=None):
    """Refuses tokens that do not do, before a corpus is read.

    Raises:
        ValueError: if the tokenizer lacks a padding or an end token, or `start_token_id` is neither
            None nor in its vocabulary.
    """
    for name in ("pad_token_id", "end_token_id"):
        find_token(tokenizer, name)
    if start_token_id is None:
        return
    last = tokenizer.vocabulary_size - 1
    if not isinstance(start_token_id, numbers.Integral) or not 0 <= start_token_id <= last:
        raise ValueError(
            f"`start_token_id` must be None or an integer from 0 to {last}. Received: "
            f"start_token_id={start_token_id!r}."
        )

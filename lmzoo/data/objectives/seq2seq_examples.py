"""Training examples for an encoder-decoder model, made from windows of a token stream.

Shapes: B batch, W window, T input, S target.
"""

import dataclasses
import numbers
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_sizes
from lmzoo.data.corpus.index_shuffle import uniform_noise
from lmzoo.data.objectives.stream_examples import StreamExamples

__all__ = ["PairSizes", "Seq2SeqExamples", "check_tokens", "describe_tokenizer", "without_eos"]


class PairSizes(NamedTuple):
    """The sizes of a pair.

    window_size: int. W, how many tokens of the stream make one.
    targets_length: int. S.
    num_draws: int. How many random numbers it needs.
    """

    window_size: int
    targets_length: int
    num_draws: int


class Seq2SeqExamples(StreamExamples):
    """Windows of a token stream as pairs of source and target.

    Documents are concatenated without EOS: the end token is the last token of each input and each
    target, and appears nowhere else. An objective derives from this class and defines
    `make_pairs`.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with padding and end tokens.
        sequence_length: int. T.
        batch_size: int. B.
        sizes: PairSizes.
        start_token_id: int or None. The first decoder token; None for the padding token.
        **options: `seed`, `shuffle`, `drop_remainder` and `fixed_noise`, as for `StreamExamples`.
    Raises:
        TypeError, ValueError: as `StreamExamples`. ValueError also if the tokenizer has no padding
            or end token, or `start_token_id` is not in its vocabulary.
    """

    draws_noise = True

    def __init__(
        self, stream, tokenizer, sequence_length, batch_size, sizes, start_token_id=None, **options
    ):
        check_sizes(sequence_length, batch_size)
        super().__init__(
            without_eos(stream),
            sequence_length,
            batch_size,
            window_size=sizes.window_size,
            stride=sizes.window_size,
            **options,
        )
        self.targets_length = sizes.targets_length
        self.pad_token_id = find_token(tokenizer, "pad_token_id")
        self.end_token_id = find_token(tokenizer, "end_token_id")
        check_tokens(tokenizer, start_token_id)
        self.start_token_id = self.pad_token_id if start_token_id is None else int(start_token_id)
        self._num_draws = sizes.num_draws

    def make_pairs(self, windows, noise):
        """Makes sources and targets, both without end token and padding.

        Args:
            windows: int32 (B, W).
            noise: float64 (B, num_draws). Uniform in [0, 1), independent for each example.
        Returns:
            (source, source_mask, target, target_mask): int32 and bool arrays (B, any length
            below T or S). A mask is True for tokens, which are on the left.
        """
        raise NotImplementedError

    def pair(self, epoch, index):
        """Returns the tokens of one example of an epoch.

        Args:
            epoch: int.
            index: int. Its number in the shuffled epoch, below `num_examples`.
        Returns:
            (source, target): lists of int, without end token and padding.
        """
        source, source_mask, target, target_mask = self._pairs(epoch, np.array([index]))
        return source[source_mask].tolist(), target[target_mask].tolist()

    def _pairs(self, epoch, indices):
        """Calls `make_pairs` with the windows and the random numbers of the examples."""
        windows, _ = self.find_windows(epoch, indices)
        examples = indices + (0 if self.fixed_noise else epoch * self.num_examples)
        # (B,) -> (B, num_draws). No two examples of a run share a random number.
        draws = examples[:, None] * self._num_draws + np.arange(self._num_draws)
        noise = uniform_noise(draws.reshape(-1), self.seed).reshape(draws.shape)
        return self.make_pairs(windows, noise)

    def make_batch(self, epoch, step, indices):
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

    def batch_signature(self, batch_size):
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
    """Describes a tokenizer for an error message."""
    return "tokenizer=None" if tokenizer is None else f"{type(tokenizer).__name__} with {what}"


def check_tokens(tokenizer, start_token_id=None):
    """Refuses a tokenizer or start token that cannot work, before a corpus is read.

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


def without_eos(stream):
    """Returns a view of a stream without the end tokens between documents; nothing is copied.

    Args:
        stream: TokenStream.
    Returns:
        TokenStream whose `token_ids` has a length and takes int arrays as indices. Its `starts` is
        empty.
    """
    return dataclasses.replace(
        stream, token_ids=_TokensWithoutEOS(stream), starts=stream.starts[:0]
    )


class _TokensWithoutEOS:
    def __init__(self, stream):
        self._token_ids = stream.token_ids
        self._starts = stream.starts

    def __len__(self):
        return len(self._token_ids) - len(self._starts)

    def __getitem__(self, indices):
        return self._token_ids[indices + self._count_end_tokens(indices)]

    def _count_end_tokens(self, indices):
        """How many end tokens precede each token: one binary search for all indices.

        Document k has `starts[k] - k` tokens before it. These numbers are computed where they are
        needed, because an array of them would take 8 bytes of memory a document.
        """
        low = np.zeros(indices.shape, dtype=np.int64)
        high = np.full(indices.shape, len(self._starts), dtype=np.int64)
        while (is_open := low < high).any():
            middle = (low + high) // 2
            starts = self._starts[np.minimum(middle, len(self._starts) - 1)].astype(np.int64)
            is_before = is_open & (starts - middle <= indices)
            low = np.where(is_before, middle + 1, low)
            high = np.where(is_open & ~is_before, middle, high)
        return low

"""Prefix language modelling: text to batches that are split into a prefix and its continuation."""

import functools

import numpy as np

from lmzoo.data.checks import check_sizes
from lmzoo.data.objectives.datasets import DatasetOptions, build_datasets
from lmzoo.data.objectives.seq2seq_examples import PairSizes, Seq2SeqExamples, check_tokens
from lmzoo.keywords import takes_options

__all__ = ["PrefixLMExamples", "prefix_lm"]


@takes_options(DatasetOptions)
def prefix_lm(files, tokenizer, sequence_length=512, batch_size=8, *, start_token_id=None, options):
    """Makes batches for prefix language modelling with an encoder and a decoder.

    Example i is the i-th window of `sequence_length` tokens. It is split at a position drawn
    uniformly from those that leave a token on both sides: the prefix is the input, the rest is the
    target. Both get the end token and are padded to `sequence_length`. Each epoch splits at other
    positions. All else is as in `span_corruption`.

    Args:
        files, tokenizer, batch_size, seed, shuffle, validation_split, field, document_separator,
            clean, initial_epoch, initial_step, cache_dir, verbose, limits, start_token_id: as for
            `span_corruption`; the tokenizer needs no sentinels.
        sequence_length: int. T, the positions of an input and of a target, at least 2.
    Returns:
        tf.data.Dataset of `(inputs, labels, weights)`, or a pair (training, validation) of them,
        as `span_corruption` gives them, with targets of T positions. Weights are 0 and masks False
        on padding.
    Raises:
        TypeError, FileNotFoundError, IsADirectoryError, ValueError, RuntimeError: as
            `span_corruption`.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, sections 3.2.1 and 3.3.1.

    Example:
    >>> data = lmzoo.data.prefix_lm("a.txt", tokenizer, sequence_length=32, batch_size=2)
    >>> [array.shape for array in next(iter(data))[1:]]
    [TensorShape([2, 32]), TensorShape([2, 32])]
    """
    sizes = check_sizes(sequence_length, batch_size)
    check_can_be_split(sequence_length)
    check_tokens(tokenizer, start_token_id)
    make_examples = functools.partial(
        PrefixLMExamples, tokenizer=tokenizer, start_token_id=start_token_id, **sizes
    )
    return build_datasets(make_examples, files, tokenizer, options)


class PrefixLMExamples(Seq2SeqExamples):
    """Windows of a token stream split in two; see `prefix_lm`.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with padding and end tokens.
        sequence_length: int. T, at least 2.
        batch_size: int. B.
        **options: `seed`, `shuffle`, `drop_remainder`, `fixed_noise` and `start_token_id`, as for
            `Seq2SeqExamples`.
    Raises:
        TypeError, ValueError: as `Seq2SeqExamples`.
    """

    def __init__(self, stream, tokenizer, sequence_length, batch_size, **options):
        check_can_be_split(sequence_length)
        sizes = PairSizes(sequence_length, targets_length=sequence_length, num_draws=1)
        super().__init__(stream, tokenizer, sequence_length, batch_size, sizes, **options)

    def make_pairs(self, windows, noise):
        # (B, 1): from 1 to W - 1, so that both sides have a token and room for the end token
        sizes = 1 + np.floor(noise * (self.window_size - 1)).astype(np.int64)
        positions = np.arange(self.window_size - 1)
        rest = np.minimum(positions + sizes, self.window_size - 1)
        return (
            windows[:, :-1],
            positions < sizes,
            np.take_along_axis(windows, rest, axis=1),
            positions < self.window_size - sizes,
        )


def check_can_be_split(sequence_length):
    """Refuses a window of one token; `BatchOptions` refuses everything else.

    Raises:
        ValueError: if `sequence_length` is 1.
    """
    if sequence_length == 1:
        raise ValueError(
            "`sequence_length` must be at least 2, a token on both sides of the split. Received: "
            f"sequence_length={sequence_length}."
        )

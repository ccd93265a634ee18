"""Text files to batches for a model that goes on with a text from a random place."""

import functools

import numpy as np

from lmzoo.data.objectives.datasets import make_datasets
from lmzoo.data.objectives.seq2seq_examples import Seq2SeqExamples, check_tokens

__all__ = ["PrefixLMExamples", "prefix_lm"]


def prefix_lm(
    files,
    tokenizer,
    sequence_length=512,
    batch_size=8,
    *,
    seed=0,
    shuffle=True,
    validation_split=None,
    field="text",
    document_separator=None,
    clean=None,
    initial_epoch=0,
    initial_step=0,
    cache_dir=None,
    verbose=True,
    start_token_id=None,
):
    """Makes batches for a text-to-text model that learns to go on with a text.

    Example i is the i-th window of `sequence_length` tokens. It is split at a place that is drawn
    evenly from all that leave a token on both sides: what stands before it is the input, the rest
    the target. Both get the end token and are padded to `sequence_length`, which always holds
    them. Each epoch splits at other places. All else is as in `span_corruption`.

    Args:
        files, tokenizer, batch_size, seed, shuffle, validation_split, field, document_separator,
            clean, initial_epoch, initial_step, cache_dir, verbose, start_token_id: as for
            `span_corruption`; the tokenizer needs no sentinels.
        sequence_length: int. T, the positions of an input and of a target, at least 2.
    Returns:
        tf.data.Dataset of `(inputs, labels, weights)`, or a pair (training, validation) of them,
        as `span_corruption` gives them, with targets of T positions. Weights are 0 and masks False
        at the padding.
    Raises:
        As `span_corruption`.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, sections 3.2.1 and 3.3.1.

    Example:
    >>> data = lmzoo.data.prefix_lm("a.txt", tokenizer, sequence_length=32, batch_size=2)
    >>> inputs, labels, weights = next(iter(data))
    >>> inputs["encoder_token_ids"].shape, labels.shape
    (TensorShape([2, 32]), TensorShape([2, 32]))
    """
    check_can_be_split(sequence_length)
    check_tokens(tokenizer, start_token_id)
    return make_datasets(
        functools.partial(PrefixLMExamples, tokenizer=tokenizer, start_token_id=start_token_id),
        files,
        tokenizer,
        {"fixed_noise": True},
        sequence_length=sequence_length,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        validation_split=validation_split,
        field=field,
        document_separator=document_separator,
        clean=clean,
        initial_epoch=initial_epoch,
        initial_step=initial_step,
        cache_dir=cache_dir,
        verbose=verbose,
    )


class PrefixLMExamples(Seq2SeqExamples):
    """Windows of a token stream split in two, each example found by its number.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with padding and end tokens.
        sequence_length: int. T, at least 2.
        batch_size: int. B.
        **options: as for `Seq2SeqExamples`.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if a number is out of its range, or the stream is too short for one example
            (or one batch, with `drop_remainder`).
    """

    def __init__(self, stream, tokenizer, sequence_length, batch_size, **options):
        check_can_be_split(sequence_length)
        super().__init__(
            stream,
            tokenizer,
            sequence_length,
            batch_size,
            window_size=sequence_length,
            targets_length=sequence_length,
            num_draws=1,
            **options,
        )

    def make_pairs(self, windows, noise):
        # (B, 1): from 1 to W - 1, so that both sides have a token and room for the end token
        sizes = 1 + np.floor(noise * (self.window_size - 1)).astype(np.int64)
        places = np.arange(self.window_size - 1)
        rest = np.minimum(places + sizes, self.window_size - 1)
        return (
            windows[:, :-1],
            places < sizes,
            np.take_along_axis(windows, rest, axis=1),
            places < self.window_size - sizes,
        )


def check_can_be_split(sequence_length):
    """Refuses a window of one token. `check_sizes` says what is wrong with other things.

    Raises:
        ValueError: if `sequence_length` is 1.
    """
    if sequence_length == 1:
        raise ValueError(
            "`sequence_length` must be at least 2, a token on both sides of the split. Received: "
            f"sequence_length={sequence_length}."
        )

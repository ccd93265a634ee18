"""Masked language modelling: text to batches in which some tokens are masked."""

import functools

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_sizes
from lmzoo.data.corpus.index_shuffle import uniform_noise
from lmzoo.data.corpus.packing import count_text_tokens
from lmzoo.data.objectives.datasets import DatasetOptions, build_datasets
from lmzoo.data.objectives.masking import Masking
from lmzoo.data.objectives.stream_examples import StreamExamples
from lmzoo.keywords import takes_options

__all__ = ["MaskedLMExamples", "masked_lm"]


@takes_options(DatasetOptions)
def masked_lm(
    files,
    tokenizer,
    sequence_length=128,
    batch_size=32,
    *,
    mask_rate=0.15,
    whole_word=False,
    options,
):
    """Makes batches for a masked language model from text files of any size.

    The corpus is tokenized, cached and concatenated as by `causal_lm`, and iterated in the same
    way. Example i is the i-th window of `sequence_length` - 2 tokens, between a start and an end
    token. No position is padding. Only the rest of the corpus that does not fill an example is
    dropped. Each epoch masks other tokens. A batch depends on `seed`, its epoch and its step alone.

    Args:
        files, batch_size, shuffle, field, document_separator, clean, initial_epoch, initial_step,
            cache_dir, verbose, limits: as for `causal_lm`.
        tokenizer: tokenizer with start, end and mask tokens.
        sequence_length: int. T, the positions of an example, at least 3.
        mask_rate: float in (0, 1). The share of an example's ordinary tokens to predict. Of them
            80 % become the mask token, 10 % a random token and 10 % stay as they are.
        whole_word: bool. If True, all tokens of a word are masked together.
        seed: int. Also the seed of the masks.
        validation_split: float or None. The share to hold out, whose masks never change.
    Returns:
        tf.data.Dataset of `(inputs, labels, weights)`, or a pair (training, validation) of them.
        Inputs are a dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T), all True,
        `segment_ids` int32 (B, T), all 0, and `mask_positions` int32 (B, P), the positions to
        predict. Labels are int32 (B, P), the original tokens, and weights float32 (B, P), 1, or 0
        where a row has fewer than P predictions. P is the same in all batches; with `whole_word`
        it is the largest number of predictions in the batch.
    Raises:
        TypeError, FileNotFoundError, IsADirectoryError, ValueError, RuntimeError: as `causal_lm`.
            ValueError also if the tokenizer has no start, end or mask token.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1, for the masks; Liu
        et al. 2019, https://arxiv.org/abs/1907.11692, section 4, for dynamic masking and for
        windows across documents (FULL-SENTENCES; there, windows hold whole sentences).
    Example:
    >>> inputs, labels, _ = next(iter(lmzoo.data.masked_lm("a.txt", tokenizer, 16, batch_size=2)))
    >>> inputs["token_ids"].shape, labels.shape
    (TensorShape([2, 16]), TensorShape([2, 2]))
    """
    sizes = check_sizes(sequence_length, batch_size)
    count_text_tokens(tokenizer, sequence_length, num_texts=1)
    masking = {"tokenizer": tokenizer, "mask_rate": mask_rate, "whole_word": whole_word}
    Masking(**masking)  # Refuses wrong arguments before the corpus is read.
    make_examples = functools.partial(MaskedLMExamples, **sizes, **masking)
    return build_datasets(make_examples, files, tokenizer, options)


class MaskedLMExamples(StreamExamples):
    """Windows of a token stream between a start and an end token, with masked tokens.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with start, end and mask tokens.
        sequence_length: int. T, at least 3.
        batch_size: int. B.
        mask_rate: float in (0, 1).
        whole_word: bool.
        **options: `seed`, `shuffle`, `drop_remainder` and `fixed_noise`, as for `StreamExamples`.
    Raises:
        TypeError, ValueError: as `StreamExamples`. ValueError also if a number is out of its range
            or the tokenizer has no start, end or mask token.
    """

    draws_noise = True

    def __init__(
        self,
        stream,
        tokenizer,
        sequence_length,
        batch_size,
        *,
        mask_rate=0.15,
        whole_word=False,
        **options,
    ):
        check_sizes(sequence_length, batch_size)
        window_size = count_text_tokens(tokenizer, sequence_length, num_texts=1)
        super().__init__(
            stream,
            sequence_length,
            batch_size,
            window_size=window_size,
            stride=window_size,
            **options,
        )
        self._masking = Masking(tokenizer, mask_rate, whole_word)
        # The first word is masked even if it is longer than the share, so with whole words the
        # number of masked tokens has no bound but T.
        self._num_predictions = None if whole_word else self._masking.count_chosen(window_size)
        self._ends = np.array([tokenizer.start_token_id, tokenizer.end_token_id], np.int32)

    def batch(self, epoch, step):
        """Returns (inputs, labels, weights) of one batch, as `masked_lm` gives them."""
        arrays = self._batch(epoch, step)
        return self.encode([tf.constant(array) for array in arrays], step)

    def make_batch(self, epoch, step, indices):
        """Returns the batch before masking, int32 (B, T), and the seed of its masks, int64 ()."""
        windows, _ = self.find_windows(epoch, indices)
        start, end = np.broadcast_to(self._ends[:, None, None], (2, len(windows), 1))
        number = step if self.fixed_noise else epoch * self.steps_per_epoch + step
        seed = uniform_noise(np.array([number]), self.seed)[0] * 2**53
        return np.concatenate([start, windows, end], axis=1), np.int64(seed)

    def batch_signature(self, batch_size):
        token_ids = tf.TensorSpec((batch_size, self.sequence_length), tf.int32)
        return token_ids, tf.TensorSpec((), tf.int64)

    def encode(self, batch, step):
        """Masks tokens, in the graph."""
        token_ids, seed = batch
        inputs = {
            "token_ids": token_ids,
            "padding_mask": tf.ones_like(token_ids, tf.bool),
            "segment_ids": tf.zeros_like(token_ids),
        }
        return self._masking.apply(inputs, seed, self._num_predictions)

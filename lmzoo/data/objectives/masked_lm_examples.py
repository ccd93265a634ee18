"""The examples of a masked language model, each batch a pure function of its number."""

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_sizes
from lmzoo.data.corpus.index_shuffle import uniform_noise
from lmzoo.data.corpus.packing import count_text_tokens
from lmzoo.data.objectives.masking import Masking
from lmzoo.data.objectives.stream_examples import StreamExamples

__all__ = ["MaskedLMExamples"]


class MaskedLMExamples(StreamExamples):
    """Windows of a token stream between a start and an end token, some of their tokens hidden.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with start, end and mask tokens.
        sequence_length: int. T, at least 3.
        batch_size: int. B.
        mask_rate: float in (0, 1).
        whole_word: bool.
        seed: int. Decides the order of every epoch and what is hidden.
        shuffle: bool.
        drop_remainder: bool. If False, an epoch ends with a smaller batch where the examples
            do not fill it.
        fixed_masks: bool. If True, every epoch hides the same tokens.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if a number is out of its range, the tokenizer has no start or mask token, or
            the stream is too short for one example (or one batch, with `drop_remainder`).
    """

    def __init__(
        self,
        stream,
        tokenizer,
        sequence_length,
        batch_size,
        *,
        mask_rate=0.15,
        whole_word=False,
        seed=0,
        shuffle=True,
        drop_remainder=True,
        fixed_masks=False,
    ):
        check_sizes(sequence_length, batch_size)
        window_size = count_text_tokens(tokenizer, sequence_length, num_texts=1)
        super().__init__(
            stream,
            sequence_length,
            batch_size,
            window_size=window_size,
            stride=window_size,
            seed=seed,
            shuffle=shuffle,
            drop_remainder=drop_remainder,
        )
        self.fixed_masks = fixed_masks
        self._masking = Masking(tokenizer, mask_rate, whole_word)
        # A word that is longer than its share is hidden all the same, so whole words need places
        # without a bound.
        self._num_places = None if whole_word else self._masking.count_chosen(window_size)
        self._ends = np.array([tokenizer.start_token_id, tokenizer.end_token_id], np.int32)

    def batch(self, epoch, step):
        """Returns one batch of an epoch.

        Args:
            epoch: int.
            step: int. Below `steps_per_epoch`.
        Returns:
            (inputs, labels, weights): as `masked_lm` gives them.
        """
        arrays = [tf.constant(array) for array in self._fetch(epoch, step)]
        return self._hide(arrays)

    def dataset(self, initial_epoch=0, initial_step=0):
        """Returns the batches as a dataset, from any step of any epoch on.

        Args:
            initial_epoch: int.
            initial_step: int.
        Returns:
            tf.data.Dataset with `steps_per_epoch` batches an iteration; see `masked_lm`.
        Raises:
            ValueError: if one of them is negative.
        """
        batch_size = self.batch_size if self.drop_remainder else None
        signature = (
            tf.TensorSpec((batch_size, self.sequence_length), tf.int32),
            tf.TensorSpec((), tf.int64),
        )
        return self.make_dataset(
            self._fetch,
            signature,
            initial_epoch,
            initial_step,
            advances=not self.fixed_masks,
            encode=lambda batch, step: self._hide(batch),
        )

    def _fetch(self, epoch, step):
        """The windows of a batch with their special tokens, (B, T), and the seed of its masks."""
        windows = self.find_batch(epoch, step)
        start, end = np.broadcast_to(self._ends[:, None, None], (2, len(windows), 1))
        number = step if self.fixed_masks else epoch * self.steps_per_epoch + step
        seed = uniform_noise(np.array([number]), self.seed)[0] * 2**53
        return [np.concatenate([start, windows, end], axis=1), np.int64(seed)]

    def _hide(self, batch):
        token_ids, seed = batch
        inputs = {
            "token_ids": token_ids,
            "padding_mask": tf.ones_like(token_ids, tf.bool),
            "segment_ids": tf.zeros_like(token_ids),
        }
        return self._masking.apply(inputs, seed, self._num_places)

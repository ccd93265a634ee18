"""Masking tokens for a masked language model, as a pure function of a seed.

Shapes: B batch, T length, P the largest number of predictions in a row.
"""

import numpy as np
import tensorflow as tf

__all__ = ["Masking"]


class Masking:
    """Chooses tokens to predict and masks most of them.

    Of the chosen tokens 80 % become the mask token, 10 % a random token and 10 % stay.

    Args:
        tokenizer: tokenizer with a mask token.
        mask_rate: float in (0, 1). The share of a row's ordinary tokens that is chosen, rounded; at
            least one.
        whole_word: bool. If True, all tokens of a word are chosen together. Words are taken in
            random order until the next one would exceed the share; the first is always taken.
    Raises:
        ValueError: if `mask_rate` is out of its range or the tokenizer has no mask token.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1, and for whole
        words the remarks published with its code. There, a random token may be a special token.
    """

    def __init__(self, tokenizer, mask_rate=0.15, whole_word=False):
        if not isinstance(mask_rate, int | float) or not 0 < mask_rate < 1:
            raise ValueError(
                f"`mask_rate` must be above 0 and below 1. Received: mask_rate={mask_rate!r}."
            )
        if tokenizer.mask_token_id is None:
            raise ValueError("`tokenizer` must have a mask token. Received: mask_token=None.")
        self._rate = mask_rate
        self._whole_word = whole_word
        self._mask_id = tokenizer.mask_token_id
        special = [tokenizer.token_to_id(token) for token in tokenizer.special_tokens]
        is_ordinary = np.ones(tokenizer.vocabulary_size, bool)
        is_ordinary[special] = False
        self._is_ordinary = is_ordinary
        self._ordinary_ids = np.flatnonzero(is_ordinary).astype(np.int32)
        self._continues_word = np.asarray(tokenizer.continues_word)

    def count_chosen(self, num_tokens):
        """How many of `num_tokens` ordinary tokens are chosen: an int, or int32 of any shape."""
        share = tf.cast(num_tokens, tf.float64) * self._rate
        count = tf.maximum(tf.cast(tf.round(share), tf.int32), 1)
        return int(count) if isinstance(num_tokens, int) else count

    def apply(self, inputs, seed, num_predictions=None):
        """In the graph: masks tokens of a batch.

        Args:
            inputs: dict with `token_ids` int32 (B, T); other entries are passed through.
            seed: int64 (). The same seed masks the same tokens.
            num_predictions: int or None. P, at least as many as are chosen in a row (with
                `whole_word` up to T); None for the largest number in the batch.
        Returns:
            inputs: the dict with masked `token_ids` and `mask_positions` int32 (B, P), padded with
                0.
            labels: int32 (B, P). The original tokens.
            weights: float32 (B, P). 1, and 0 for padding.
        """
        token_ids = inputs["token_ids"]
        chosen = self._choose(token_ids, tf.stack([seed, 0]))
        dice = tf.random.stateless_uniform(tf.shape(token_ids), tf.stack([seed, 1]))
        others = tf.random.stateless_uniform(
            tf.shape(token_ids),
            tf.stack([seed, 2]),
            maxval=len(self._ordinary_ids),
            dtype=tf.int32,
        )
        masked = tf.where(dice < 0.9, tf.gather(self._ordinary_ids, others), token_ids)
        masked = tf.where(dice < 0.8, self._mask_id, masked)
        # (B, T) -> (B, None) -> (B, P)
        chosen_positions = tf.ragged.boolean_mask(
            tf.broadcast_to(tf.range(tf.shape(token_ids)[1]), tf.shape(token_ids)), chosen
        )
        shape = [None, num_predictions]
        if num_predictions is None:
            # At least one: Keras's loss fails on logits of shape (B, 0, V).
            widest = tf.reduce_max(tf.concat([chosen_positions.row_lengths(), [1]], 0))
            shape = tf.stack([tf.constant(-1, tf.int64), widest])
        positions = chosen_positions.to_tensor(shape=shape)
        return (
            {
                **inputs,
                "token_ids": tf.where(chosen, masked, token_ids),
                "mask_positions": positions,
            },
            tf.gather(token_ids, positions, batch_dims=1),
            tf.sequence_mask(
                chosen_positions.row_lengths(), tf.shape(positions)[1], dtype=tf.float32
            ),
        )

    def _choose(self, token_ids, seed):
        """Chooses the tokens to predict, bool (B, T)."""
        is_ordinary = tf.gather(self._is_ordinary, token_ids)
        budget = self.count_chosen(tf.reduce_sum(tf.cast(is_ordinary, tf.int32), 1, True))
        noise = tf.random.stateless_uniform(tf.shape(token_ids), seed)
        if self._whole_word:
            words = self._number_words(token_ids, is_ordinary)
            noise = tf.gather(noise, words, batch_dims=1)
        noise = tf.where(is_ordinary, noise, 2.0)
        # The rank of each token in the random order is the argsort of the argsort.
        rank = tf.argsort(tf.argsort(noise, axis=1, stable=True), axis=1)
        if self._whole_word:
            last = _find_last_of_word(rank, words)
            first_word = tf.reduce_min(tf.where(rank == 0, words, tf.shape(words)[1]), 1)
            fits = (last < budget) | (words == first_word[:, None])
        else:
            fits = rank < budget
        return fits & is_ordinary

    def _number_words(self, token_ids, is_ordinary):
        """The number of each token's word in its row, from 0, int32 (B, T)."""
        # After a special token every token begins a word: the rest of one that a window has
        # split, or the first of a text, which has no space before it.
        follows = tf.pad(is_ordinary[:, :-1], [[0, 0], [1, 0]])
        continues = tf.gather(self._continues_word, token_ids) & is_ordinary & follows
        return tf.cumsum(tf.cast(~continues, tf.int32), axis=1) - 1


def _find_last_of_word(rank, words):
    """The highest rank among the tokens of each token's word, (B, T)."""
    batch_size, length = tf.shape(rank)[0], tf.shape(rank)[1]
    segments = words + tf.range(batch_size)[:, None] * length
    highest = tf.math.unsorted_segment_max(
        tf.reshape(rank, [-1]), tf.reshape(segments, [-1]), batch_size * length
    )
    return tf.gather(highest, segments)

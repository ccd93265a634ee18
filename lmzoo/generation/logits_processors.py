"""Logits processors: penalties and masks that hold for every way of selecting a token.

Pure functions of logits, one row a sequence. A masked token gets minus infinity. They apply in the
order of transformers: penalties and masks here, then temperature, top-k, top-p and min-p in
`lmzoo.generation.selection`. Shapes: R rows, V vocabulary, L slots.
"""

import numpy as np
import tensorflow as tf

__all__ = [
    "MASKED",
    "apply_logits_processors",
    "mask_bad_words",
    "mask_repeated_ngrams",
    "mask_tokens",
    "penalize_presence",
    "penalize_repetition",
]

MASKED = float("-inf")
# Larger n-grams are compared in a loop, whose trace does not grow with n.
_UNROLLED = 8


def apply_logits_processors(static, parameters, state, logits):
    """Applies the processors that are switched on.

    Args:
        static: StaticOptions. Which are on.
        parameters: dict of tensors, as for `lmzoo.generation.selection.make_token_selector`.
        state: DecodeState.
        logits: float (R, V), or log-probabilities.
    Returns:
        float (R, V).
    """
    vocabulary_size = logits.shape[-1]
    if static.repetition:
        # Where prompts join a running batch, each row has a length of its own.
        first = tf.expand_dims(state.prompt_length, -1)
        is_new = state.mask & (tf.range(tf.shape(state.mask)[1]) >= first)
        seen = _find_tokens(state.token_ids, state.mask, vocabulary_size)
        generated = _find_tokens(state.token_ids, is_new, vocabulary_size)
        logits = penalize_repetition(logits, seen, parameters["repetition_penalty"])
        logits = penalize_presence(logits, generated, parameters["presence_penalty"])
    if static.no_repeat_ngram_size:
        logits = mask_repeated_ngrams(
            logits, state.token_ids, state.mask, state.slot, static.no_repeat_ngram_size
        )
    if static.bad_words:
        logits = mask_bad_words(
            logits, state.token_ids, state.mask, state.slot, parameters["bad_words"]
        )
    if static.min_new_tokens and static.end_token_ids:
        too_early = state.slot - state.prompt_length < parameters["min_new_tokens"]
        logits = mask_tokens(logits, list(static.end_token_ids), too_early)
    return logits


def penalize_repetition(logits, seen, penalty):
    """Makes tokens that have been seen less likely, by a factor.

    Args:
        logits: float (R, V).
        seen: bool (R, V). Which tokens stand in the row, prompt included.
        penalty: float (R,). Above 1 discourages: positive logits are divided, negative multiplied.
    Returns:
        float (R, V).
    Reference: Keskar et al. 2019, https://arxiv.org/abs/1909.05858, section 4.1; the sign rule is
        that of transformers.
    """
    penalty = tf.expand_dims(tf.cast(penalty, logits.dtype), 1)
    return tf.where(seen, tf.where(logits > 0, logits / penalty, logits * penalty), logits)


def penalize_presence(logits, generated, penalty):
    """Subtracts `penalty` (R,) from the logits of tokens that were `generated`, bool (R, V)."""
    penalty = tf.expand_dims(tf.cast(penalty, logits.dtype), 1)
    return tf.where(generated, logits - penalty, logits)


def mask_repeated_ngrams(logits, token_ids, mask, slot, size):
    """Masks each token that would complete an n-gram which the row already has.

    Args:
        logits: float (R, V).
        token_ids: int32 (R, L). The row so far, prompt included, filled up to `slot`.
        mask: bool (R, L). True where a slot holds a token.
        slot: scalar int32. The next slot.
        size: int. n.
    Returns:
        float (R, V).
    Reference: Paulus et al. 2017, https://arxiv.org/abs/1705.04304, section 2.5.
    """
    length = tf.shape(token_ids)[1]

    # An n-gram ends at slot e if the n - 1 tokens before e equal the last n - 1 of the row.
    def match(back, matches):
        last = tf.gather(token_ids, tf.maximum(slot - back, 0), axis=1)
        # (R, L): the token `back` slots before each slot
        earlier = tf.roll(token_ids, back, axis=1)
        real = tf.roll(mask, back, axis=1) & (tf.range(length) >= back) & (slot >= back)
        return back + 1, matches & real & (earlier == tf.expand_dims(last, 1))

    matches = mask & (tf.range(length) < slot)
    if size <= _UNROLLED:
        for back in range(1, size):
            _, matches = match(back, matches)
    else:
        _, matches = tf.while_loop(lambda back, _: back < size, match, (1, matches))
    return tf.where(_find_tokens(token_ids, matches, logits.shape[-1]), MASKED, logits)


def mask_bad_words(logits, token_ids, mask, slot, bad_words):
    """Masks the last token of each bad word where the row ends with the tokens before it.

    Args:
        logits: float (R, V).
        token_ids: int32 (R, L).
        mask: bool (R, L).
        slot: scalar int32. The next slot.
        bad_words: int32 (W, M). The tokens of each bad word, filled on the left with -1.
    Returns:
        float (R, V).
    """
    width = tf.shape(bad_words)[1]
    # (R, M - 1): the tokens before the next slot, -2 where there is none
    slots = slot - width + 1 + tf.range(width - 1)
    tail = tf.gather(token_ids, tf.maximum(slots, 0), axis=1)
    real = tf.gather(mask, tf.maximum(slots, 0), axis=1) & (slots >= 0)
    tail = tf.where(real, tail, -2)
    # (R, W): whether all but the last token of each word is matched
    starts = tf.expand_dims(bad_words[:, :-1], 0)
    matched = tf.reduce_all((starts == -1) | (starts == tf.expand_dims(tail, 1)), axis=-1)
    # (W, R) -> (V, R) -> (R, V)
    counts = tf.math.unsorted_segment_sum(
        tf.cast(tf.transpose(matched), tf.int32), bad_words[:, -1], logits.shape[-1]
    )
    return tf.where(tf.transpose(counts) > 0, MASKED, logits)


def mask_tokens(logits, token_ids, rows):
    """Masks `token_ids` (list of int) in the rows where `rows`, bool (R,), is True."""
    is_masked = np.zeros([logits.shape[-1]], bool)
    is_masked[token_ids] = True
    return tf.where(tf.expand_dims(rows, 1) & is_masked, MASKED, logits)


def _find_tokens(token_ids, mask, vocabulary_size):
    """Which tokens of the vocabulary each row holds: int (R, L), bool (R, L) -> bool (R, V)."""
    rows = tf.expand_dims(tf.range(tf.shape(token_ids)[0]), 1)
    rows = tf.broadcast_to(rows, tf.shape(token_ids))
    shape = (tf.shape(token_ids)[0], vocabulary_size)
    indices = tf.stack([rows, token_ids], axis=-1)
    return tf.scatter_nd(indices, tf.cast(mask, tf.int32), shape) > 0

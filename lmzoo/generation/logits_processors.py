"""The rules by which the next token is chosen: pure functions of logits, one row a sequence.

Rules that forbid a token set its logit to minus infinity; rules that weigh tokens multiply or
subtract. They apply in the order of transformers: penalties and prohibitions, then temperature,
top-k, top-p and min-p. Shapes: R rows, V vocabulary, L length of the token buffer.
"""

import tensorflow as tf

__all__ = [
    "compute_uniform",
    "draw_token",
    "forbid_repeated_ngrams",
    "forbid_sequences",
    "forbid_tokens",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "penalize_presence",
    "penalize_repetition",
]

_FORBIDDEN = float("-inf")


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


def find_tokens(token_ids, mask, vocabulary_size):
    """Which words of the vocabulary stand in each row: int (R, L), bool (R, L) -> bool (R, V)."""
    rows = tf.expand_dims(tf.range(tf.shape(token_ids)[0]), 1)
    rows = tf.broadcast_to(rows, tf.shape(token_ids))
    shape = (tf.shape(token_ids)[0], vocabulary_size)
    places = tf.stack([rows, token_ids], axis=-1)
    return tf.scatter_nd(places, tf.cast(mask, tf.int32), shape) > 0


def forbid_repeated_ngrams(logits, token_ids, mask, slot, size):
    """Forbids a token that would complete an n-gram which the row already has.

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
    matches = mask & (tf.range(length) < slot)
    for back in range(1, size):
        last = tf.gather(token_ids, tf.maximum(slot - back, 0), axis=1)
        # (R, L): the token `back` slots before each slot
        earlier = tf.roll(token_ids, back, axis=1)
        real = tf.roll(mask, back, axis=1) & (tf.range(length) >= back) & (slot >= back)
        matches &= real & (earlier == tf.expand_dims(last, 1))
    return tf.where(find_tokens(token_ids, matches, logits.shape[-1]), _FORBIDDEN, logits)


def forbid_sequences(logits, token_ids, mask, slot, sequences):
    """Forbids the last token of each sequence where the row ends with what stands before it.

    Args:
        logits: float (R, V).
        token_ids: int32 (R, L).
        mask: bool (R, L).
        slot: scalar int32. The next slot.
        sequences: int32 (W, M). Forbidden sequences, filled on the left with -1.
    Returns:
        float (R, V).
    """
    width = tf.shape(sequences)[1]
    # (R, M - 1): what stands before the next slot, -2 where nothing does
    places = slot - width + 1 + tf.range(width - 1)
    tail = tf.gather(token_ids, tf.maximum(places, 0), axis=1)
    real = tf.gather(mask, tf.maximum(places, 0), axis=1) & (places >= 0)
    tail = tf.where(real, tail, -2)
    # (R, W): whether all but the last token of each sequence is matched
    starts = tf.expand_dims(sequences[:, :-1], 0)
    matched = tf.reduce_all((starts == -1) | (starts == tf.expand_dims(tail, 1)), axis=-1)
    # (R, W), (W, V) -> (R, V)
    last = tf.one_hot(sequences[:, -1], logits.shape[-1], dtype=tf.float32)
    forbidden = tf.matmul(tf.cast(matched, tf.float32), last) > 0
    return tf.where(forbidden, _FORBIDDEN, logits)


def forbid_tokens(logits, token_ids, rows):
    """Forbids `token_ids` (list of int) in the rows where `rows`, bool (R,), is True."""
    forbidden = tf.reduce_any(tf.one_hot(token_ids, logits.shape[-1], True, False), axis=0)
    return tf.where(tf.expand_dims(rows, 1) & forbidden, _FORBIDDEN, logits)


def keep_top_k(logits, top_k):
    """Forbids all but the k likeliest tokens; those as likely as the k-th are kept.

    Args:
        logits: float (R, V).
        top_k: int32 (R,). 0 keeps all.
    Returns:
        float (R, V).
    Reference: Fan et al. 2018, https://arxiv.org/abs/1805.04833, section 5.4.
    """
    top_k = tf.where(top_k > 0, top_k, logits.shape[-1])
    threshold = _find_threshold(
        logits, lambda kept: tf.math.count_nonzero(kept, axis=-1, dtype=tf.int32) >= top_k
    )
    return tf.where(logits >= threshold, logits, _FORBIDDEN)


def keep_top_p(logits, top_p):
    """Forbids all but the fewest likeliest tokens whose probabilities reach p (nucleus sampling).

    Args:
        logits: float (R, V).
        top_p: float (R,) in (0, 1]. 1 keeps all.
    Returns:
        float (R, V). Tokens as likely as the last one kept are kept too.
    Reference: Holtzman et al. 2019, https://arxiv.org/abs/1904.09751, section 3.1.
    """
    probabilities = tf.nn.softmax(logits)
    top_p = tf.cast(top_p, logits.dtype)

    def reaches(kept):
        return tf.reduce_sum(tf.where(kept, probabilities, 0.0), axis=-1) >= top_p

    # Rounding may leave the whole sum below a p of 1: then nothing is forbidden.
    keep = (logits >= _find_threshold(logits, reaches)) | tf.expand_dims(top_p >= 1.0, 1)
    return tf.where(keep, logits, _FORBIDDEN)


def keep_min_p(logits, min_p):
    """Forbids tokens with less than `min_p` (R,) times the probability of the likeliest.

    Reference: Nguyen et al. 2024, https://arxiv.org/abs/2407.01082, section 3.
    """
    best = tf.reduce_max(logits, axis=-1, keepdims=True)
    margin = tf.math.log(tf.cast(min_p, logits.dtype))
    return tf.where(logits >= best + tf.expand_dims(margin, 1), logits, _FORBIDDEN)


def _find_threshold(values, reaches):
    """The largest value t of each row for which `reaches(values >= t)` holds.

    Bisects the 32 bits of the floats instead of sorting: 32 passes over 50,000 values take about a
    third of the time of a sort, and need no constant k under XLA.

    Args:
        values: float32 (R, V).
        reaches: callable. bool (R, V) -> bool (R,), True for all-True masks.
    Returns:
        float32 (R, 1).
    """
    order = _order_of(values)
    low = tf.reduce_min(order, axis=-1)
    high = tf.reduce_max(order, axis=-1)

    def narrow(low, high):
        # Rounded up, without overflow where the signs differ.
        middle = tf.bitwise.bitwise_or(low, high) - tf.bitwise.right_shift(
            tf.bitwise.bitwise_xor(low, high), 1
        )
        enough = reaches(order >= tf.expand_dims(middle, 1))
        return tf.where(enough, middle, low), tf.where(enough, high, middle - 1)

    low, _ = tf.while_loop(lambda low, high: tf.reduce_any(low < high), narrow, (low, high))
    return tf.expand_dims(_order_to_float(low), 1)


def _order_of(values):
    """Integers that stand in the same order as the floats (IEEE 754, sign and magnitude)."""
    bits = tf.bitcast(values + 0.0, tf.int32)  # -0.0 + 0.0 is 0.0
    return tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, 0x7FFFFFFF), bits)


def _order_to_float(order):
    bits = tf.where(order < 0, tf.bitwise.bitwise_xor(order, 0x7FFFFFFF), order)
    return tf.bitcast(bits, tf.float32)


def draw_token(logits, uniform):
    """Draws a token of each row by its probability.

    Args:
        logits: float (R, V), minus infinity where forbidden.
        uniform: float32 (R,) in [0, 1).
    Returns:
        int32 (R,): the first token at which the summed probability exceeds `uniform`.
    """
    probabilities = tf.nn.softmax(logits)
    # XLA sums in blocks, where rounding can let the sum grow at a token of probability 0.
    cumulative = tf.where(probabilities > 0, tf.cumsum(probabilities, axis=-1), 0.0)
    # Scaled by the largest sum, so that rounding can never leave the draw beyond it.
    largest = tf.reduce_max(cumulative, axis=-1, keepdims=True)
    target = tf.expand_dims(tf.cast(uniform, logits.dtype), 1) * largest
    return tf.argmax(cumulative > target, axis=-1, output_type=tf.int32)


def compute_uniform(seed, stream, step):
    """A number in [0, 1) for each row that depends on its own seed, stream and step alone.

    Batched generators number their values through the batch, so that a row's draw would depend on
    its neighbours. These are three rounds of a 32-bit integer hash.

    Args:
        seed: int32 (R,).
        stream: int32 (R,). Tells rows of one seed apart.
        step: scalar int32.
    Returns:
        float32 (R,), multiples of 2 ** -24.
    Reference: Wellons 2018, https://nullprogram.com/blog/2018/07/31/ (`lowbias32`).
    """
    state = _hash(tf.cast(seed, tf.uint32) + tf.constant(0x9E3779B9, tf.uint32))
    state = _hash(tf.bitwise.bitwise_xor(state, tf.cast(stream, tf.uint32)))
    state = _hash(state + tf.cast(step, tf.uint32))
    return tf.cast(tf.bitwise.right_shift(state, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def _hash(state):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        state = tf.bitwise.bitwise_xor(
            state, tf.bitwise.right_shift(state, tf.constant(shift, tf.uint32))
        )
        state *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(state, tf.bitwise.right_shift(state, tf.constant(16, tf.uint32)))

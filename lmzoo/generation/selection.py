"""Next-token selection: the likeliest token of a row, or one drawn by temperature, top-k and top-p.

Random numbers come from a hash of seed, row and step. So a row's draw does not depend on its batch.
Shapes: R rows, V vocabulary.
"""

from typing import NamedTuple

import tensorflow as tf

from lmzoo.generation.logits_processors import MASKED, apply_logits_processors
from lmzoo.generation.loop import append_tokens

__all__ = [
    "StaticOptions",
    "compute_uniform",
    "draw_token",
    "is_any_of",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "make_token_selector",
]

# Below this a temperature counts as 0.
_MIN_TEMPERATURE = 1e-6


class StaticOptions(NamedTuple):
    """What is fixed when a graph is traced. Numbers that may differ by row and call are tensors.

    end_token_ids: tuple of int. Each ends its row.
    sampled: bool. Whether temperature, top-k, top-p and min-p are read at all.
    repetition: bool. Whether repetition and presence penalties are read.
    min_new_tokens: bool. Whether a least number of tokens is read.
    no_repeat_ngram_size: int. 0 for off.
    bad_words: bool. Whether bad words are read.
    stop: bool. Whether stop strings are read.
    """

    end_token_ids: tuple = ()
    sampled: bool = True
    repetition: bool = False
    min_new_tokens: bool = False
    no_repeat_ngram_size: int = 0
    bad_words: bool = False
    stop: bool = False


def make_token_selector(static, parameters, find_stop=None):
    """The function that selects and appends one token a row, for `lmzoo.generation.loop`.

    Args:
        static: StaticOptions.
        parameters: dict of tensors, one number a row (R,): `max_new_tokens` and, as `static` has
            them read, `temperature`, `top_k`, `top_p`, `min_p`, `seed`, `rng_stream`,
            `repetition_penalty`, `presence_penalty`, `min_new_tokens`; and `bad_words`, (W, M).
        find_stop: callable or None. `(state, token_ids (R,)) -> (hit bool (R,), memory)`.
    Returns:
        callable (DecodeState, logits (R, V)) -> DecodeState.
    """

    def select(state, logits):
        logits = tf.cast(logits, tf.float32)
        processed = apply_logits_processors(static, parameters, state, logits)
        token_ids = _select_tokens(static, parameters, state, processed)
        # The model's own probability, before processors: what `score` gives for the same text.
        log_prob = tf.gather(logits, token_ids, axis=1, batch_dims=1) - tf.reduce_logsumexp(
            logits, axis=1
        )
        new_tokens = state.slot + 1 - state.prompt_length
        finished = new_tokens >= parameters["max_new_tokens"]
        if static.end_token_ids:
            finished |= is_any_of(token_ids, static.end_token_ids)
        if static.stop:
            hit, memory = find_stop(state, token_ids)
            finished |= hit
            state = state._replace(memory=memory)
        return append_tokens(state, token_ids, log_prob, finished)

    return select


def is_any_of(token_ids, some):
    """Which ids are among `some`, a tuple of int: int32 (...) -> bool (...)."""
    return tf.reduce_any(tf.expand_dims(token_ids, -1) == tf.constant(some, tf.int32), axis=-1)


def _select_tokens(static, parameters, state, logits):
    """Token ids int32 (R,): the likeliest where the temperature is below 1e-6, else a draw."""

    def greedy():
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    def sampled():
        temperature = parameters["temperature"]
        # A division by less could make several logits infinite, and their softmax undefined.
        is_greedy = temperature < _MIN_TEMPERATURE
        warm = logits / tf.expand_dims(tf.where(is_greedy, 1.0, temperature), 1)
        warm = _keep_if(parameters["top_k"] > 0, keep_top_k, warm, parameters["top_k"])
        warm = _keep_if(parameters["top_p"] < 1, keep_top_p, warm, parameters["top_p"])
        warm = _keep_if(parameters["min_p"] > 0, keep_min_p, warm, parameters["min_p"])
        step = state.slot - state.prompt_length
        uniform = compute_uniform(parameters["seed"], parameters["rng_stream"], step)
        return tf.where(is_greedy, greedy(), draw_token(warm, uniform))

    if not static.sampled:
        return greedy()
    return tf.cond(tf.reduce_any(parameters["temperature"] >= _MIN_TEMPERATURE), sampled, greedy)


def _keep_if(rows, keep, logits, parameter):
    """Applies a filter unless no row asks for it: a pass over the vocabulary is not free."""
    return tf.cond(tf.reduce_any(rows), lambda: keep(logits, parameter), lambda: logits)


def keep_top_k(logits, top_k):
    """Masks all but the k likeliest tokens; those as likely as the k-th are kept.

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
    return tf.where(logits >= threshold, logits, MASKED)


def keep_top_p(logits, top_p):
    """Masks all but the fewest likeliest tokens whose probabilities reach p (nucleus sampling).

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

    # Rounding may leave the whole sum below a p of 1: then nothing is masked.
    keep = (logits >= _find_threshold(logits, reaches)) | tf.expand_dims(top_p >= 1.0, 1)
    return tf.where(keep, logits, MASKED)


def keep_min_p(logits, min_p):
    """Masks tokens with less than `min_p` (R,) times the probability of the likeliest.

    Reference: Nguyen et al. 2024, https://arxiv.org/abs/2407.01082, section 3.
    """
    best = tf.reduce_max(logits, axis=-1, keepdims=True)
    margin = tf.math.log(tf.cast(min_p, logits.dtype))
    return tf.where(logits >= best + tf.expand_dims(margin, 1), logits, MASKED)


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
        logits: float (R, V), minus infinity where masked.
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


def compute_uniform(seed, rng_stream, step):
    """A number in [0, 1) for each row that depends on its own seed, `rng_stream` and step alone.

    Batched generators number their values through the batch, so that a row's draw would depend on
    its neighbours. These are three rounds of a 32-bit integer hash.

    Args:
        seed: int32 (R,).
        rng_stream: int32 (R,). Tells rows of one seed apart.
        step: scalar int32.
    Returns:
        float32 (R,), multiples of 2 ** -24.
    Reference: Wellons 2018, https://nullprogram.com/blog/2018/07/31/ (`lowbias32`).
    """
    state = _hash(tf.cast(seed, tf.uint32) + tf.constant(0x9E3779B9, tf.uint32))
    state = _hash(tf.bitwise.bitwise_xor(state, tf.cast(rng_stream, tf.uint32)))
    state = _hash(state + tf.cast(step, tf.uint32))
    return tf.cast(tf.bitwise.right_shift(state, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def _hash(state):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        state = tf.bitwise.bitwise_xor(
            state, tf.bitwise.right_shift(state, tf.constant(shift, tf.uint32))
        )
        state *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(state, tf.bitwise.right_shift(state, tf.constant(16, tf.uint32)))

"""Next-token selection of one row, with the draws of `lmzoo.generation.selection`.

Shapes: V vocabulary, T tokens of a row.
"""

import dataclasses

import numpy as np

__all__ = [
    *("RowOptions", "compute_uniform", "draw_token", "keep_top_k", "keep_top_p"),
    *("process_logits", "select_token"),
]

MASKED = np.float32(-np.inf)
# Below this a temperature counts as 0.
_MIN_TEMPERATURE = np.float32(1e-6)
# How many of the likeliest tokens are sorted first for top-p.
_FIRST_SORTED = 256


@dataclasses.dataclass(frozen=True)
class RowOptions:
    """The options of one row: numbers as in `GenerationOptions`, and what they were turned into.

    Attributes:
        rng_stream: int. Tells rows of one seed apart.
        end_token_ids: tuple of int.
        bad_words: tuple of tuples of int. Their tokens.
    """

    max_new_tokens: int
    min_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    seed: int
    rng_stream: int
    no_repeat_ngram_size: int = 0
    end_token_ids: tuple = ()
    bad_words: tuple = ()


def select_token(options, logits, token_ids, num_new):
    """The next token and its log-probability.

    Args:
        options: RowOptions.
        logits: float32 (V,).
        token_ids: list of int. The row so far, prompt included.
        num_new: int. How many of them are new.
    Returns:
        (int, float): the log-probability is the model's own, before processors.
    """
    processed = process_logits(options, logits, token_ids, num_new)
    temperature = np.float32(options.temperature)
    if temperature < _MIN_TEMPERATURE:
        token_id = int(processed.argmax())
    else:
        warm = processed / temperature
        if options.top_k > 0:
            warm = keep_top_k(warm, options.top_k)
        if options.top_p < 1:
            warm = keep_top_p(warm, np.float32(options.top_p))
        if options.min_p > 0:
            margin = np.log(np.float32(options.min_p))
            warm = np.where(warm >= warm.max() + margin, warm, MASKED)
        uniform = compute_uniform(options.seed, options.rng_stream, num_new)
        token_id = draw_token(warm, uniform)
    highest = logits.max()
    total = np.log(np.exp(logits - highest).sum()) + highest
    return token_id, float(logits[token_id] - total)


def process_logits(options, logits, token_ids, num_new):
    """Applies the penalties and masks that are switched on.

    Args:
        options, logits, token_ids, num_new: as for `select_token`.
    Returns:
        float32 (V,).
    """
    ids = np.asarray(token_ids, np.int64)
    made = logits
    if options.repetition_penalty != 1 or options.presence_penalty != 0:
        made = logits.copy()
        penalty, seen = np.float32(options.repetition_penalty), np.unique(ids)
        values = made[seen]
        made[seen] = np.where(values > 0, values / penalty, values * penalty)
        made[np.unique(ids[len(ids) - num_new :])] -= np.float32(options.presence_penalty)
    banned = _find_repeated(ids, options.no_repeat_ngram_size)
    banned += [word[-1] for word in options.bad_words if _ends_with(token_ids, word[:-1])]
    if num_new < options.min_new_tokens:
        banned += options.end_token_ids
    if banned:
        made = made.copy()
        made[banned] = MASKED
    return made


def _find_repeated(ids, size):
    """The tokens that would complete an n-gram that the row already has."""
    if not size or len(ids) < size:
        return []
    # An n-gram ends at e if the n - 1 tokens before e equal the last n - 1 of the row.
    count, matches = len(ids), np.ones(len(ids) - size + 1, bool)
    for back in range(1, size):
        matches &= ids[size - 1 - back : count - back] == ids[count - back]
    return ids[size - 1 :][matches].tolist()


def _ends_with(token_ids, start):
    size = len(start)
    return size == 0 or (size <= len(token_ids) and tuple(token_ids[-size:]) == tuple(start))


def keep_top_k(logits, top_k):
    """Masks all but the k likeliest tokens; those as likely as the k-th are kept."""
    if top_k >= len(logits):
        return logits
    threshold = np.partition(logits, len(logits) - top_k)[len(logits) - top_k]
    return np.where(logits >= threshold, logits, MASKED)


def keep_top_p(logits, top_p):
    """Masks all but the fewest likeliest tokens whose probabilities reach p, with their equals."""
    probabilities, count = _softmax(logits), min(_FIRST_SORTED, len(logits))
    while True:
        # Most of a vocabulary need not be sorted: that would take as long as a step of the model.
        chosen = np.argpartition(probabilities, len(logits) - count)[len(logits) - count :]
        chosen = chosen[np.argsort(-logits[chosen])]
        place = int(np.searchsorted(np.cumsum(probabilities[chosen]), top_p))
        if place < count:
            return np.where(logits >= logits[chosen[place]], logits, MASKED)
        if count == len(logits):
            # Rounding left the whole sum below p.
            return logits
        count = min(8 * count, len(logits))


def draw_token(logits, uniform):
    """Draws a token by its probability.

    Args:
        logits: float32 (V,), minus infinity where masked.
        uniform: float32 in [0, 1).
    Returns:
        int: the first token at which the summed probability exceeds `uniform`.
    """
    kept = np.flatnonzero(logits > MASKED)
    if not len(kept):
        return 0
    probabilities = _softmax(logits[kept])
    cumulative = np.where(probabilities > 0, np.cumsum(probabilities), np.float32(0))
    # Scaled by the largest sum, so that rounding can never leave the draw beyond it.
    return int(kept[(cumulative > np.float32(uniform) * cumulative.max()).argmax()])


def _softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def compute_uniform(seed, rng_stream, step):
    """A number in [0, 1) that depends on seed, `rng_stream` and step alone.

    Args:
        seed, rng_stream, step: int.
    Returns:
        float32, a multiple of 2 ** -24.
    Reference: Wellons 2018, https://nullprogram.com/blog/2018/07/31/ (`lowbias32`).
    """
    state = _hash((seed + 0x9E3779B9) & 0xFFFFFFFF)
    state = _hash(state ^ (rng_stream & 0xFFFFFFFF))
    state = _hash((state + step) & 0xFFFFFFFF)
    return np.float32((state >> 8) * 2.0**-24)


def _hash(state):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        state ^= state >> shift
        state = state * factor & 0xFFFFFFFF
    return state ^ (state >> 16)

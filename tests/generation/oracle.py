"""Generation as one would write it on paper: one row, one token, the whole text anew each step.

Nothing here comes from the package: rules are loops over lists, numbers are float64.
"""

import itertools
import math

import numpy as np


def generate(compute_logits, prompt, max_new_tokens, ends=(), sample=None, **rules):
    """New token ids of one prompt, and their summed log-probability.

    `compute_logits(ids)` gives the logits (V,) after `ids`. `sample` is None for greedy, or a dict
    with `seed`, `rng_stream` and, optionally, `temperature, top_k, top_p, min_p`.
    """
    new, log_prob = [], 0.0
    while len(new) < max_new_tokens and not (new and new[-1] in ends):
        logits = np.asarray(compute_logits(prompt + new), np.float64)
        scores = apply_rules(logits, prompt, new, ends, **rules)
        token = int(np.argmax(scores))
        if sample is not None:
            token = draw(scores, len(new), **sample)
        log_prob += log_softmax(logits)[token]
        new.append(token)
    return new, log_prob


def beam_search(compute_logits, prompt, num_beams, max_new_tokens, ends=(), length_penalty=1.0):
    """Every end is kept, nothing stops early: [(score, new ids)], best first."""
    live, ended = [(0.0, [])], []
    for _ in range(max_new_tokens):
        grown = []
        for total, new in live:
            scores = log_softmax(compute_logits(prompt + new))
            grown += [(total + score, [*new, token]) for token, score in enumerate(scores)]
        grown.sort(key=lambda pair: -pair[0])
        over = [new[-1] in ends or len(new) == max_new_tokens for _, new in grown]
        for (total, new), is_over in list(zip(grown, over, strict=True))[:num_beams]:
            if is_over:
                ended.append((total / len(new) ** length_penalty, new))
        going_on = [pair for pair, is_over in zip(grown, over, strict=True) if not is_over]
        live = going_on[:num_beams]
    return sorted(ended, key=lambda pair: -pair[0])[:num_beams]


def search_everything(compute_logits, prompt, vocabulary_size, max_new_tokens, ends=()):
    """All sequences that end, or are full: [(summed log-probability, new ids)], best first."""
    found = []
    for length in range(1, max_new_tokens + 1):
        for new in itertools.product(range(vocabulary_size), repeat=length):
            if any(token in ends for token in new[:-1]):
                continue
            if new[-1] in ends or length == max_new_tokens:
                found.append((score_text(compute_logits, prompt, new), list(new)))
    return sorted(found, key=lambda pair: -pair[0])


def score_text(compute_logits, prompt, new):
    """Summed log-probability of the tokens `new` after `prompt`."""
    total = 0.0
    for place, token in enumerate(new):
        total += log_softmax(compute_logits(list(prompt) + list(new[:place])))[token]
    return total


def apply_rules(
    scores,
    prompt,
    new,
    ends=(),
    repetition_penalty=1.0,
    presence_penalty=0.0,
    ngrams=0,
    bad_words=(),
    min_new_tokens=0,
):
    scores, text = np.array(scores, np.float64), list(prompt) + list(new)
    for token in set(text):
        by_sign = scores[token] / repetition_penalty, scores[token] * repetition_penalty
        scores[token] = by_sign[0] if scores[token] > 0 else by_sign[1]
    for token in set(new):
        scores[token] -= presence_penalty
    if ngrams:
        known = {tuple(text[i : i + ngrams]) for i in range(len(text) - ngrams + 1)}
        tail = text[len(text) - ngrams + 1 :] if len(text) >= ngrams - 1 else None
        for token in range(len(scores)):
            if tail is not None and (*tail, token) in known:
                scores[token] = -math.inf
    for words in bad_words:
        before = list(words[:-1])
        if before == (text[-len(before) :] if before else []):
            scores[words[-1]] = -math.inf
    if len(new) < min_new_tokens:
        scores[list(ends)] = -math.inf
    return scores


def draw(scores, step, seed, rng_stream=0, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    scores = np.asarray(scores) / temperature
    if top_k:
        scores = keep_top_k(scores, top_k)
    if top_p < 1:
        scores = keep_top_p(scores, top_p)
    if min_p:
        scores = keep_min_p(scores, min_p)
    cumulative = np.cumsum(np.exp(log_softmax(scores)))
    return int(np.argmax(cumulative > uniform(seed, rng_stream, step)))


def keep_top_k(scores, k):
    return np.where(scores >= np.sort(scores)[::-1][min(k, len(scores)) - 1], scores, -math.inf)


def keep_top_p(scores, p):
    probabilities = np.exp(log_softmax(scores))
    total, last = 0.0, 0.0
    for last in np.sort(probabilities)[::-1]:
        total += last
        if total >= p:
            break
    return np.where(probabilities >= last, scores, -math.inf)


def keep_min_p(scores, p):
    probabilities = np.exp(log_softmax(scores))
    return np.where(probabilities >= p * probabilities.max(), scores, -math.inf)


def log_softmax(scores):
    scores = np.asarray(scores, np.float64)
    shifted = scores - scores.max()
    return shifted - math.log(np.exp(shifted).sum())


def uniform(seed, rng_stream, step):
    """Three rounds of the 32-bit hash `lowbias32`, in whole numbers of Python."""
    state = mix(seed + 0x9E3779B9)
    state = mix(state ^ (rng_stream % 2**32))
    return (mix(state + step) >> 8) / 2**24


def mix(state):
    state %= 2**32
    state = (state ^ (state >> 16)) * 0x7FEB352D % 2**32
    state = (state ^ (state >> 15)) * 0x846CA68B % 2**32
    return state ^ (state >> 16)

"""Greedy and sampled choice of the next token, by the rules that a caller has switched on."""

from typing import NamedTuple

import tensorflow as tf

from lmzoo.generation import logits_processors as processors
from lmzoo.generation.loop import append_tokens

__all__ = ["Rules", "make_chooser"]

_COLDEST = 1e-6


class Rules(NamedTuple):
    """What is fixed when a graph is traced; numbers that may differ by row and call are tensors.

    end_token_ids: tuple of int. Each ends its row.
    sampled: bool. Whether temperature, top-k, top-p and min-p are read at all.
    repetition: bool. Whether repetition and presence penalties are read.
    min_new_tokens: bool. Whether a least number of tokens is read.
    no_repeat_ngram_size: int. 0 for off.
    bad_words: bool. Whether forbidden sequences are read.
    stop: bool. Whether stop strings are read.
    """

    end_token_ids: tuple = ()
    sampled: bool = True
    repetition: bool = False
    min_new_tokens: bool = False
    no_repeat_ngram_size: int = 0
    bad_words: bool = False
    stop: bool = False


def make_chooser(rules, parameters, find_stop=None):
    """A chooser for `lmzoo.generation.loop`.

    Args:
        rules: Rules.
        parameters: dict of tensors, one number a row (R,): `max_new_tokens` and, as `rules` has
            them read, `temperature`, `top_k`, `top_p`, `min_p`, `seed`, `stream`,
            `repetition_penalty`, `presence_penalty`, `min_new_tokens`; and `bad_words`, (W, M).
        find_stop: callable or None. `(state, token_ids (R,)) -> (hit bool (R,), memory)`.
    Returns:
        callable (DecodeState, logits (R, V)) -> DecodeState.
    """

    def choose(state, logits):
        logits = tf.cast(logits, tf.float32)
        allowed = apply_prohibitions(rules, parameters, state, logits)
        token_ids = _pick(rules, parameters, state, allowed)
        # The model's own probability, before any rule: what `score` gives for the same text.
        log_prob = tf.gather(logits, token_ids, axis=1, batch_dims=1) - tf.reduce_logsumexp(
            logits, axis=1
        )
        new_tokens = state.slot + 1 - state.prompt_length
        finished = new_tokens >= parameters["max_new_tokens"]
        for end in rules.end_token_ids:
            finished |= token_ids == end
        if rules.stop:
            hit, memory = find_stop(state, token_ids)
            finished |= hit
            state = state._replace(memory=memory)
        return append_tokens(state, token_ids, log_prob, finished)

    return choose


def apply_prohibitions(rules, parameters, state, logits):
    """Penalties and prohibitions, which hold for every way of choosing."""
    vocabulary_size = logits.shape[-1]
    if rules.repetition:
        is_new = state.mask & (tf.range(tf.shape(state.mask)[1]) >= state.prompt_length)
        seen = processors.find_tokens(state.token_ids, state.mask, vocabulary_size)
        generated = processors.find_tokens(state.token_ids, is_new, vocabulary_size)
        logits = processors.penalize_repetition(logits, seen, parameters["repetition_penalty"])
        logits = processors.penalize_presence(logits, generated, parameters["presence_penalty"])
    if rules.no_repeat_ngram_size:
        logits = processors.forbid_repeated_ngrams(
            logits, state.token_ids, state.mask, state.slot, rules.no_repeat_ngram_size
        )
    if rules.bad_words:
        logits = processors.forbid_sequences(
            logits, state.token_ids, state.mask, state.slot, parameters["bad_words"]
        )
    if rules.min_new_tokens and rules.end_token_ids:
        too_early = state.slot - state.prompt_length < parameters["min_new_tokens"]
        logits = processors.forbid_tokens(logits, list(rules.end_token_ids), too_early)
    return logits


def _pick(rules, parameters, state, logits):
    """Token ids int32 (R,): the likeliest where the temperature is below 1e-6, else a draw."""

    def likeliest():
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    def drawn():
        temperature = parameters["temperature"]
        # A division by less could make several logits infinite, and their softmax undefined.
        greedy = temperature < _COLDEST
        warm = logits / tf.expand_dims(tf.where(greedy, 1.0, temperature), 1)
        warm = _only_if(parameters["top_k"] > 0, processors.keep_top_k, warm, parameters["top_k"])
        warm = _only_if(parameters["top_p"] < 1, processors.keep_top_p, warm, parameters["top_p"])
        warm = _only_if(parameters["min_p"] > 0, processors.keep_min_p, warm, parameters["min_p"])
        step = state.slot - state.prompt_length
        uniform = processors.compute_uniform(parameters["seed"], parameters["stream"], step)
        return tf.where(greedy, likeliest(), processors.draw_token(warm, uniform))

    if not rules.sampled:
        return likeliest()
    return tf.cond(tf.reduce_any(parameters["temperature"] >= _COLDEST), drawn, likeliest)


def _only_if(rows, rule, logits, parameter):
    """Applies a rule unless no row asks for it: a pass over the vocabulary is not free."""
    return tf.cond(tf.reduce_any(rows), lambda: rule(logits, parameter), lambda: logits)

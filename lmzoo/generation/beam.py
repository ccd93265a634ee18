"""Beam search: next-token selection that keeps the K likeliest beginnings of each prompt.

    state of B rows ──init_beams──▶ R = B * K rows ──decode──▶ state ──best_beams──▶ results

Shapes: C candidates a step, n results.

Reference: the stopping rules and the scores are those of `generate(num_beams=K)` in transformers 5.
Two things differ. A prompt ends on its own terms, not on those of its batch, and a beam that has no
continuation left never counts as ended; both only matter where that search returns padding.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from lmzoo.generation.beam_state import (
    NO_SCORE,
    check_num_beams,
    gather_beams,
    gather_rows,
    split_beams,
    to_rows,
)
from lmzoo.generation.logits_processors import apply_logits_processors
from lmzoo.generation.loop import append_tokens
from lmzoo.generation.selection import is_any_of

__all__ = ["make_beam_selector"]


class _Candidates(NamedTuple):
    """Continuations by one token, best first, all of shape (B, C)."""

    parents: Any  # which beam of the prompt is continued
    token_ids: Any
    log_prob: Any  # the model's own, of the token
    scores: Any  # the sum after logits processors, of the sequence


def make_beam_selector(static, parameters, num_beams, early_stopping=False, find_stop=None):
    """The function that selects the next tokens of beams, for `lmzoo.generation.loop`.

    It works on a state that `init_beams` made.

    Args:
        static: StaticOptions. `sampled` is not read.
        parameters: dict of tensors, one number a prompt (B,): `max_new_tokens`, `length_penalty`
            and what `static` switches on, as for `make_token_selector`. The score is the summed
            log-probability over (number of new tokens) ** length_penalty.
        num_beams: int. K.
        early_stopping: when a prompt ends. True: with K ended sequences. False: when the best live
            beam, taken at its present length, scores no better than the worst of K ended ones.
            "never": when it could not even at its best possible length.
        find_stop: callable or None, as for `make_token_selector`. It is asked about all C
            candidates of each prompt, in a state of B * C rows without a cache. Its memory has
            rows first.
    Returns:
        callable (DecodeState, logits (R, V)) -> DecodeState.
    Raises:
        ValueError: if `num_beams` is not positive or `early_stopping` is unknown.
    """
    check_num_beams(num_beams)
    if early_stopping not in (True, False, "never"):
        raise ValueError(
            "`early_stopping` must be True, False or 'never'. "
            f"Received: early_stopping={early_stopping!r}."
        )
    # Enough that K go on even if all end tokens of all beams are among the best.
    num_candidates = max(2, 1 + len(static.end_token_ids)) * num_beams
    by_row = {
        name: value if name == "bad_words" else tf.repeat(value, num_beams, axis=0)
        for name, value in parameters.items()
    }

    def select(state, logits):
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        scores = apply_logits_processors(static, by_row, state, log_probs)
        live_scores = state.memory["beams"]["live_scores"]
        candidates = _find_candidates(log_probs, scores, live_scores, num_candidates)
        hit, stop_memory = _find_ends(static, parameters, state, candidates, find_stop)
        ended = _keep_ended(parameters["length_penalty"], state, candidates, hit)
        return _go_on(parameters, early_stopping, state, candidates, hit, ended, stop_memory)

    return select


def _find_candidates(log_probs, scores, live_scores, num_candidates):
    """The best continuations of each prompt: float (R, V), (R, V), (B, K) -> _Candidates."""
    num_beams = live_scores.shape[1]
    width = min(num_candidates, scores.shape[-1])

    def flatten(x):
        # (R, W) -> (B, K * W)
        return tf.reshape(x, (-1, num_beams * width))

    # Each beam's own best first: the sums then touch K * W numbers, not K * V.
    best, token_ids = tf.math.top_k(scores, width)
    log_prob = tf.gather(log_probs, token_ids, axis=1, batch_dims=1)
    sums = flatten(best) + tf.repeat(live_scores, width, axis=1)
    sums, indices = tf.math.top_k(sums, min(num_candidates, num_beams * width))
    return _Candidates(
        parents=indices // width,
        token_ids=gather_beams(flatten(token_ids), indices),
        log_prob=gather_beams(flatten(log_prob), indices),
        scores=sums,
    )


def _find_ends(static, parameters, state, candidates, find_stop):
    """Which candidates end their sequence, bool (B, C), and what `find_stop` remembers of each."""
    limit = tf.minimum(
        parameters["max_new_tokens"], tf.shape(state.token_ids)[1] - state.prompt_length
    )
    out_of_room = state.slot + 1 - state.prompt_length >= limit
    hit = tf.broadcast_to(tf.expand_dims(out_of_room, 1), tf.shape(candidates.token_ids))
    if static.end_token_ids:
        hit |= is_any_of(candidates.token_ids, static.end_token_ids)
    if not static.stop:
        return hit, {}
    rows = to_rows(candidates.parents, state.memory["beams"]["live_scores"].shape[1])
    memory = {name: kept for name, kept in state.memory.items() if name != "beams"}
    continued = state._replace(
        token_ids=tf.gather(state.token_ids, rows),
        mask=tf.gather(state.mask, rows),
        finished=tf.gather(state.finished, rows),
        log_prob=tf.gather(state.log_prob, rows),
        cache=(),
        memory=gather_rows(memory, rows),
    )
    stopped, memory = find_stop(continued, tf.reshape(candidates.token_ids, (-1,)))
    return hit | tf.reshape(stopped, tf.shape(hit)), memory


def _keep_ended(length_penalty, state, candidates, hit):
    """The K best of the sequences that had ended and those that end now, as a dict.

    An end counts only among the K best candidates: the rest are there to keep K beams alive.
    """
    beams = state.memory["beams"]
    num_beams = beams["score"].shape[1]
    parents = candidates.parents[:, :num_beams]
    ends = hit[:, :num_beams] & ~split_beams(state.finished, num_beams)
    length = state.slot + 1 - state.prompt_length
    score = _normalize(candidates.scores[:, :num_beams], length, length_penalty)

    def continued(rows):
        # (R, ...) -> (B, K, ...)
        return gather_beams(split_beams(rows, num_beams), parents)

    here = tf.range(tf.shape(state.token_ids)[1]) == state.slot
    tokens = tf.expand_dims(candidates.token_ids[:, :num_beams], 2)
    new = {
        "token_ids": tf.where(here, tokens, continued(state.token_ids)),
        "mask": continued(state.mask) | here,
        "log_prob": continued(state.log_prob) + candidates.log_prob[:, :num_beams],
        "score": tf.where(ends, score, NO_SCORE),
    }
    both = {name: tf.concat([beams[name], new[name]], axis=1) for name in new}
    _, indices = tf.math.top_k(both["score"], num_beams)
    return {name: gather_beams(values, indices) for name, values in both.items()}


def _go_on(parameters, early_stopping, state, candidates, hit, ended, stop_memory):
    """Moves the live beams to the best candidates that go on, and ends prompts that are done."""
    num_beams = ended["score"].shape[1]
    finished = split_beams(state.finished, num_beams)
    live_scores, indices = tf.math.top_k(tf.where(hit, NO_SCORE, candidates.scores), num_beams)
    # The rows of a prompt that has finished stay where they are.
    parents = tf.where(finished, tf.range(num_beams), gather_beams(candidates.parents, indices))
    rows = to_rows(parents, num_beams)
    kept = to_rows(indices, candidates.parents.shape[1])
    length = state.slot + 1 - state.prompt_length
    done = _is_done(parameters, early_stopping, live_scores, length, ended["score"])
    state = state._replace(
        token_ids=tf.gather(state.token_ids, rows),
        mask=tf.gather(state.mask, rows),
        log_prob=tf.gather(state.log_prob, rows),
        cache=gather_rows(state.cache, rows),
        memory={
            **gather_rows(stop_memory, kept),
            "beams": {"live_scores": live_scores, **ended},
        },
    )
    return append_tokens(
        state,
        tf.reshape(gather_beams(candidates.token_ids, indices), (-1,)),
        tf.reshape(gather_beams(candidates.log_prob, indices), (-1,)),
        tf.repeat(done, num_beams),
    )


def _is_done(parameters, early_stopping, live_scores, length, ended_scores):
    """Whether each prompt needs no further step: bool (B,)."""
    length_penalty = parameters["length_penalty"]
    length = tf.fill(tf.shape(length_penalty), length)
    if early_stopping == "never":
        # Above 0 the penalty favours long sequences: then the longest is the best possible.
        length = tf.where(length_penalty > 0, parameters["max_new_tokens"], length)
    best = _normalize(live_scores[:, :1], tf.expand_dims(length, 1), length_penalty)
    # Holds too where no beam is alive: no minus infinity is larger than another.
    done = ~(best[:, 0] > tf.reduce_min(ended_scores, axis=1))
    if early_stopping is True:
        done |= tf.reduce_all(ended_scores > NO_SCORE, axis=1)
    return done


def _normalize(scores, length, length_penalty):
    """Sums (B, K) over length ** length_penalty (B,)."""
    return scores / tf.cast(length, tf.float32) ** tf.expand_dims(length_penalty, 1)

"""Beam search: a chooser that carries the K likeliest beginnings of each prompt side by side.

    state of B rows ──init_beams──▶ R = B * K rows ──decode──▶ state ──best_beams──▶ results

The beams of a prompt are neighbours. Live beams are the rows of the state; sequences that have
ended wait in `state.memory["beams"]` until none of the live ones can beat them. Shapes: C
candidates a step, n results.

Reference: the stopping rules and the scores are those of `generate(num_beams=K)` in transformers 5.
Two things differ. A prompt ends on its own terms, not on those of its batch, and a beam that has no
continuation left never counts as ended; both only matter where that search returns padding.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from lmzoo.generation.loop import append_tokens
from lmzoo.generation.selection import apply_prohibitions

__all__ = ["BeamResults", "best_beams", "init_beams", "make_beam_chooser"]

_NONE = float("-inf")


class BeamResults(NamedTuple):
    """The best sequences of each prompt, best first.

    token_ids: int32 (B, n, L). Prompt and new tokens; 0 where `mask` is False.
    mask: bool (B, n, L).
    log_prob: float32 (B, n). Sum of the model's log-probabilities of the new tokens, before rules.
    score: float32 (B, n). What the search ranks by: the sum after the rules, over
        length ** length_penalty. Minus infinity where a prompt has fewer sequences than n; its
        token_ids are then the bare prompt.
    """

    token_ids: Any
    mask: Any
    log_prob: Any
    score: Any


class _Candidates(NamedTuple):
    """Continuations by one token, best first, all of shape (B, C)."""

    parents: Any  # which beam of the prompt is continued
    token_ids: Any
    log_prob: Any  # the model's own, of the token
    scores: Any  # the sum after the rules, of the sequence


def init_beams(state, num_beams):
    """Spreads a state that has read its prompts, one a row, over K rows each.

    Args:
        state: DecodeState of B rows, before the first new token.
        num_beams: int. K.
    Returns:
        DecodeState of B * K rows.
    Raises:
        ValueError: if `num_beams` is not positive.
    """
    _check_num_beams(num_beams)

    def spread(x):
        return tf.repeat(x, num_beams, axis=0)

    def split(x):
        return _split_beams(x, num_beams)

    token_ids, mask = spread(state.token_ids), spread(state.mask)
    log_prob, finished = spread(state.log_prob), spread(state.finished)
    # All beams of a prompt are the same yet: only the first may be continued.
    first = tf.range(num_beams) == 0
    scores = tf.where(first, tf.zeros_like(split(log_prob)), _NONE)
    beams = {
        "live_scores": scores,
        "token_ids": split(token_ids),
        "mask": split(mask),
        "log_prob": split(log_prob),
        "score": tf.fill(tf.shape(scores), _NONE),
    }
    return state._replace(
        token_ids=token_ids,
        mask=mask,
        finished=finished,
        log_prob=log_prob,
        cache=tf.nest.map_structure(spread, state.cache),
        memory={**tf.nest.map_structure(spread, state.memory), "beams": beams},
    )


def make_beam_chooser(rules, parameters, num_beams, early_stopping=False, find_stop=None):
    """A chooser for `lmzoo.generation.loop` over a state that `init_beams` made.

    Args:
        rules: Rules. `sampled` is not read.
        parameters: dict of tensors, one number a prompt (B,): `max_new_tokens`, `length_penalty`
            and what `rules` switches on, as for `make_chooser`. A sequence's score is its summed
            log-probability over (number of new tokens) ** length_penalty.
        num_beams: int. K.
        early_stopping: when a prompt ends. True: with K ended sequences. False: when the best live
            beam, taken at its present length, scores no better than the worst of K ended ones.
            "never": when it could not even at its best possible length.
        find_stop: callable or None, as for `make_chooser`. It is asked about all C candidates of
            each prompt, in a state of B * C rows without a cache; its memory has rows first.
    Returns:
        callable (DecodeState, logits (R, V)) -> DecodeState.
    Raises:
        ValueError: if `num_beams` is not positive or `early_stopping` is unknown.
    """
    _check_num_beams(num_beams)
    if early_stopping not in (True, False, "never"):
        raise ValueError(
            "`early_stopping` must be True, False or 'never'. "
            f"Received: early_stopping={early_stopping!r}."
        )
    # Enough that K go on even if all end tokens of all beams are among the best.
    num_candidates = max(2, 1 + len(rules.end_token_ids)) * num_beams
    by_row = {
        name: value if name == "bad_words" else tf.repeat(value, num_beams, axis=0)
        for name, value in parameters.items()
    }

    def choose(state, logits):
        log_probs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        scores = apply_prohibitions(rules, by_row, state, log_probs)
        live_scores = state.memory["beams"]["live_scores"]
        candidates = _find_candidates(log_probs, scores, live_scores, num_candidates)
        hit, stop_memory = _find_ends(rules, parameters, state, candidates, find_stop)
        ended = _keep_ended(parameters["length_penalty"], state, candidates, hit)
        return _go_on(parameters, early_stopping, state, candidates, hit, ended, stop_memory)

    return choose


def best_beams(state, num_results):
    """The results of a search.

    Args:
        state: DecodeState as `decode` returns it with a chooser of this module.
        num_results: int. n, at most K.
    Returns:
        BeamResults.
    Raises:
        ValueError: if `num_results` is not between 1 and the number of beams.
    """
    beams = state.memory["beams"]
    num_beams = beams["score"].shape[1]
    if not 1 <= num_results <= num_beams:
        raise ValueError(
            "`num_results` must be at least 1 and at most `num_beams`. "
            f"Received: num_results={num_results}, num_beams={num_beams}."
        )
    return BeamResults(**{name: beams[name][:, :num_results] for name in BeamResults._fields})


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
    sums, places = tf.math.top_k(sums, min(num_candidates, num_beams * width))
    return _Candidates(
        parents=places // width,
        token_ids=_pick(flatten(token_ids), places),
        log_prob=_pick(flatten(log_prob), places),
        scores=sums,
    )


def _find_ends(rules, parameters, state, candidates, find_stop):
    """Which candidates end their sequence, bool (B, C), and what `find_stop` remembers of each."""
    limit = tf.minimum(
        parameters["max_new_tokens"], tf.shape(state.token_ids)[1] - state.prompt_length
    )
    out_of_room = state.slot + 1 - state.prompt_length >= limit
    hit = tf.broadcast_to(tf.expand_dims(out_of_room, 1), tf.shape(candidates.token_ids))
    for end in rules.end_token_ids:
        hit |= candidates.token_ids == end
    if not rules.stop:
        return hit, {}
    rows = _to_rows(candidates.parents, state.memory["beams"]["live_scores"].shape[1])
    memory = {name: kept for name, kept in state.memory.items() if name != "beams"}
    continued = state._replace(
        token_ids=tf.gather(state.token_ids, rows),
        mask=tf.gather(state.mask, rows),
        finished=tf.gather(state.finished, rows),
        log_prob=tf.gather(state.log_prob, rows),
        cache=(),
        memory=_gather_rows(memory, rows),
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
    ends = hit[:, :num_beams] & ~_split_beams(state.finished, num_beams)
    length = state.slot + 1 - state.prompt_length
    score = _normalize(candidates.scores[:, :num_beams], length, length_penalty)

    def continued(rows):
        # (R, ...) -> (B, K, ...)
        return _pick(_split_beams(rows, num_beams), parents)

    here = tf.range(tf.shape(state.token_ids)[1]) == state.slot
    tokens = tf.expand_dims(candidates.token_ids[:, :num_beams], 2)
    new = {
        "token_ids": tf.where(here, tokens, continued(state.token_ids)),
        "mask": continued(state.mask) | here,
        "log_prob": continued(state.log_prob) + candidates.log_prob[:, :num_beams],
        "score": tf.where(ends, score, _NONE),
    }
    both = {name: tf.concat([beams[name], new[name]], axis=1) for name in new}
    _, places = tf.math.top_k(both["score"], num_beams)
    return {name: _pick(values, places) for name, values in both.items()}


def _go_on(parameters, early_stopping, state, candidates, hit, ended, stop_memory):
    """Moves the live beams to the best candidates that go on, and ends prompts that are done."""
    num_beams = ended["score"].shape[1]
    finished = _split_beams(state.finished, num_beams)
    live_scores, places = tf.math.top_k(tf.where(hit, _NONE, candidates.scores), num_beams)
    # The rows of a prompt that has finished stay where they are.
    parents = tf.where(finished, tf.range(num_beams), _pick(candidates.parents, places))
    rows = _to_rows(parents, num_beams)
    kept = _to_rows(places, candidates.parents.shape[1])
    length = state.slot + 1 - state.prompt_length
    done = _is_done(parameters, early_stopping, live_scores, length, ended["score"])
    state = state._replace(
        token_ids=tf.gather(state.token_ids, rows),
        mask=tf.gather(state.mask, rows),
        log_prob=tf.gather(state.log_prob, rows),
        cache=_gather_rows(state.cache, rows),
        memory={
            **_gather_rows(stop_memory, kept),
            "beams": {"live_scores": live_scores, **ended},
        },
    )
    return append_tokens(
        state,
        tf.reshape(_pick(candidates.token_ids, places), (-1,)),
        tf.reshape(_pick(candidates.log_prob, places), (-1,)),
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
        done |= tf.reduce_all(ended_scores > _NONE, axis=1)
    return done


def _normalize(scores, length, length_penalty):
    """Sums (B, K) over length ** length_penalty (B,)."""
    return scores / tf.cast(length, tf.float32) ** tf.expand_dims(length_penalty, 1)


def _split_beams(x, num_beams):
    """(R, ...) -> (B, K, ...)"""
    return tf.reshape(x, tf.concat([[-1, num_beams], tf.shape(x)[1:]], axis=0))


def _pick(values, places):
    """(B, M, ...), int (B, K) -> (B, K, ...)"""
    return tf.gather(values, places, axis=1, batch_dims=1)


def _to_rows(places, group_size):
    """Places in each group of rows as row numbers: int (B, M) -> (B * M,)"""
    first = tf.range(tf.shape(places)[0]) * group_size
    return tf.reshape(tf.expand_dims(first, 1) + places, (-1,))


def _gather_rows(nested, rows):
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), nested)


def _check_num_beams(num_beams):
    if num_beams < 1:
        raise ValueError(f"`num_beams` must be positive. Received: num_beams={num_beams}.")

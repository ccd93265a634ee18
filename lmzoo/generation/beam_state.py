"""The state of a beam search: B prompts with K beams each, and the sequences that have ended.

The beams of a prompt are neighbours: R = B * K rows. Live beams are the rows of the state.
Sequences that have ended wait in `state.memory["beams"]` until no live beam can beat them.
Shapes: n results, M candidates or beams of a prompt.
"""

from typing import Any, NamedTuple

import tensorflow as tf

__all__ = [
    "NO_SCORE",
    "BeamResults",
    "best_beams",
    "check_num_beams",
    "gather_beams",
    "gather_rows",
    "init_beams",
    "split_beams",
    "to_rows",
]

NO_SCORE = float("-inf")


class BeamResults(NamedTuple):
    """The best sequences of each prompt, best first.

    token_ids: int32 (B, n, L). Prompt and new tokens; 0 where `mask` is False.
    mask: bool (B, n, L).
    log_prob: float32 (B, n). Sum of the model's log-probabilities of the new tokens, before logits
        processors.
    score: float32 (B, n). What the search ranks by: the sum after processors, over
        length ** length_penalty. Minus infinity where a prompt has fewer sequences than n; its
        token_ids are then the bare prompt.
    """

    token_ids: Any
    mask: Any
    log_prob: Any
    score: Any


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
    check_num_beams(num_beams)

    def spread(x):
        return tf.repeat(x, num_beams, axis=0)

    def split(x):
        return split_beams(x, num_beams)

    token_ids, mask = spread(state.token_ids), spread(state.mask)
    log_prob, finished = spread(state.log_prob), spread(state.finished)
    # All beams of a prompt are the same yet: only the first may be continued.
    first = tf.range(num_beams) == 0
    scores = tf.where(first, tf.zeros_like(split(log_prob)), NO_SCORE)
    beams = {
        "live_scores": scores,
        "token_ids": split(token_ids),
        "mask": split(mask),
        "log_prob": split(log_prob),
        "score": tf.fill(tf.shape(scores), NO_SCORE),
    }
    return state._replace(
        token_ids=token_ids,
        mask=mask,
        finished=finished,
        log_prob=log_prob,
        cache=tf.nest.map_structure(spread, state.cache),
        memory={**tf.nest.map_structure(spread, state.memory), "beams": beams},
    )


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


def split_beams(x, num_beams):
    """(R, ...) -> (B, K, ...)"""
    return tf.reshape(x, tf.concat([[-1, num_beams], tf.shape(x)[1:]], axis=0))


def gather_beams(values, indices):
    """(B, M, ...), int (B, K) -> (B, K, ...)"""
    return tf.gather(values, indices, axis=1, batch_dims=1)


def to_rows(indices, group_size):
    """Indices in each group of rows as row numbers: int (B, M) -> (B * M,)"""
    first = tf.range(tf.shape(indices)[0]) * group_size
    return tf.reshape(tf.expand_dims(first, 1) + indices, (-1,))


def gather_rows(nested, rows):
    return tf.nest.map_structure(lambda x: tf.gather(x, rows), nested)


def check_num_beams(num_beams):
    if num_beams < 1:
        raise ValueError(f"`num_beams` must be positive. Received: num_beams={num_beams}.")

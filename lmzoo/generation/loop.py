"""The decode loop: one for every task, for greedy, sampled and beam search; all of it is graph.

    prefill ──▶ logits ──select──▶ token ──step──▶ logits ──select──▶ token ──▶ ...

`step` runs the model: `step(token_ids (R, 1), padding_mask (R, 1), cache, slot)` gives the pair
(logits (R, V), cache).
`select` selects the next token: `select(state, logits) -> state` with one more token in each row.
Prompts are left-padded, so that all rows write the same slot. Shapes: R rows, L slots.
"""

from typing import Any, NamedTuple

import tensorflow as tf

__all__ = ["DecodeState", "append_tokens", "decode", "init_state"]


class DecodeState(NamedTuple):
    """What one step hands to the next.

    token_ids: int32 (R, L). Prompt and new tokens; 0 where `mask` is False.
    mask: bool (R, L). Where a slot holds a token.
    slot: int32 (). The next slot to be written.
    prompt_length: int32 (). Slots of the prompt, padding included.
    finished: bool (R,). Rows that take no more tokens.
    log_prob: float32 (R,). Sum of the model's log-probabilities of the new tokens.
    cache: nested tensors of the model, rows first.
    memory: dict of tensors that `select` keeps for itself.
    """

    token_ids: Any
    mask: Any
    slot: Any
    prompt_length: Any
    finished: Any
    log_prob: Any
    cache: Any
    memory: Any


def init_state(token_ids, padding_mask, num_slots, cache, memory=None):
    """The state after the prompt and before the first new token.

    Args:
        token_ids: int32 (R, P). Left-padded prompts.
        padding_mask: bool (R, P).
        num_slots: int or scalar int32. L, at least P.
        cache: the model's cache with the prompt in it.
        memory: dict or None.
    Returns:
        DecodeState.
    """
    length = tf.shape(token_ids)[1]
    room = [[0, 0], [0, num_slots - length]]
    rows = tf.shape(token_ids)[0]
    return DecodeState(
        token_ids=tf.pad(tf.where(padding_mask, token_ids, 0), room),
        mask=tf.pad(padding_mask, room),
        slot=length,
        prompt_length=length,
        finished=tf.zeros([rows], tf.bool),
        log_prob=tf.zeros([rows], tf.float32),
        cache=cache,
        memory={} if memory is None else memory,
    )


def append_tokens(state, token_ids, log_prob, finished):
    """Writes one token a row into the next slot; rows that were finished stay as they are.

    Args:
        state: DecodeState.
        token_ids: int32 (R,).
        log_prob: float (R,). The model's log-probability of each token.
        finished: bool (R,). Rows that end with this token.
    Returns:
        DecodeState.
    """
    going_on = ~state.finished
    here = tf.range(tf.shape(state.token_ids)[1]) == state.slot
    # (R, 1) & (L,) -> (R, L)
    write = tf.expand_dims(going_on, 1) & here
    return state._replace(
        token_ids=tf.where(write, tf.expand_dims(token_ids, 1), state.token_ids),
        mask=state.mask | write,
        slot=state.slot + 1,
        finished=state.finished | finished,
        log_prob=state.log_prob + tf.where(going_on, tf.cast(log_prob, tf.float32), 0.0),
    )


def decode(step, select, state, last_slot):
    """Steps and selects until every row is finished or `last_slot` has been written.

    Args:
        step: callable, see the module's text.
        select: callable, see the module's text.
        state: DecodeState with at least one new token, whose cache lacks that token.
        last_slot: int or scalar int32. One past the last slot that may be written.
    Returns:
        DecodeState.
    """

    def wants_more(state):
        return (state.slot < last_slot) & ~tf.reduce_all(state.finished)

    def advance(state):
        last = state.slot - 1
        logits, cache = step(
            _column(state.token_ids, last), _column(state.mask, last), state.cache, last
        )
        return (select(state._replace(cache=cache), logits),)

    # One iteration at a time: the cache can then be written in place.
    (state,) = tf.while_loop(wants_more, advance, (state,), parallel_iterations=1)
    return state


def _column(x, index):
    """(R, L) -> (R, 1), with the 1 known when the graph is traced."""
    return tf.expand_dims(tf.gather(x, index, axis=1), 1)

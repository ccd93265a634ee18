"""Stop strings against Python's own search in the decoded bytes."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import StopStrings, TextStart

TOKENS = [b"a", b"b", b"ab", b"\n", b"\n\nab", b"", "我".encode()[:2], "我".encode()[2:], b".*"]


def find_by_search(ids, stops):
    """After which of `ids` the text first contains a stop string."""
    text = b""
    for step, token_id in enumerate(ids):
        text += TOKENS[token_id]
        if any(stop.encode() in text for stop in stops):
            return step
    return None


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("stops", [["ba"], ["a\n", "bbb"], ["我"], [".*", "\n\n"]])
def test_a_stop_string_is_found_in_the_step_that_completes_it(stops, jit_compile):
    watch = StopStrings(TOKENS, stops)
    rows = np.random.default_rng(0).integers(0, len(TOKENS), (40, 12)).astype("int32")

    class State:
        memory = None

    @tf.function(jit_compile=jit_compile)
    def step(tail, token_ids):
        state = State()
        state.memory = {"tail": tail}
        hit, memory = watch.find(state, token_ids)
        return hit, memory["tail"]

    tail, found = watch.init_memory(len(rows))["tail"], [None] * len(rows)
    for index in range(rows.shape[1]):
        hits, tail = step(tail, tf.constant(rows[:, index]))
        for row in np.flatnonzero(hits.numpy()):
            found[row] = index if found[row] is None else found[row]
    assert found == [find_by_search(row, stops) for row in rows]
    assert any(step is not None for step in found)


def test_a_text_is_cut_before_the_first_stop_string_taken_literally():
    watch = StopStrings(TOKENS, ["\n\n", ".*", "我"])
    texts = ["one\n\ntwo.*", "x.*\n\n", "plain . *", "a我b", ""]
    assert watch.cut(tf.constant(texts)).numpy().tolist() == [b"one", b"x", b"plain . *", b"a", b""]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_space_that_is_not_in_the_text_is_no_stop_string(jit_compile):
    tokens = [b" a", b"a", b"", b" "]
    # As SentencePiece, where extra spaces go: neither nothing nor a space begins a text.
    start = TextStart(np.array([True, False, False, True]), np.array([True, True, False, False]))
    watch = StopStrings(tokens, [" a", "  "], start)
    rows = {(0, 1, 1): None, (2, 0, 0): 2, (3, 0, 1): None, (1, 0, 1): 1, (0, 3, 3): 2}

    class State:
        memory = None

    @tf.function(jit_compile=jit_compile)
    def step(memory, token_ids):
        state = State()
        state.memory = memory
        return watch.find(state, token_ids)

    memory = watch.init_memory(len(rows))
    found = [None] * len(rows)
    for index, ids in enumerate(np.array(list(rows), "int32").T):
        hits, memory = step(memory, tf.constant(ids))
        for row in np.flatnonzero(hits.numpy()):
            found[row] = index if found[row] is None else found[row]
    assert found == list(rows.values())

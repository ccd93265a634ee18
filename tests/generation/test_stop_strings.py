"""Stop strings against Python's own search in the decoded bytes."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation.stop_strings import StopStrings, TextStart, find_text_start, find_token_bytes
from lmzoo.tokenizers import SentencePieceTokenizer, WordPieceTokenizer
from tests.tasks.tiny_t5 import SOURCES, make_tokenizer
from tests.tasks.tiny_t5 import make_lm as make_t5

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


@pytest.fixture(scope="module")
def t5():
    """No test changes it."""
    return make_t5(make_tokenizer())


@pytest.fixture(scope="module")
def pieces():
    return SentencePieceTokenizer.train(iter(SOURCES * 9), 60, "bpe", num_sentinels=0)


def test_an_answer_ends_before_a_stop_string_also_in_a_stream(t5, eagerly):
    whole = t5.generate(SOURCES[:3], max_new_tokens=5)
    stop = whole[0][2:4]
    cut = t5.generate(SOURCES[:3], max_new_tokens=5, stop_strings=[stop])
    assert cut == [text.split(stop)[0] for text in whole] != whole
    streamed = "".join(t5.stream(SOURCES[0], max_new_tokens=5, stop_strings=stop))
    assert streamed == whole[0].split(stop)[0]


def test_a_stop_string_is_looked_for_in_the_text_that_is_read(pieces, eagerly):
    lm = make_t5(pieces, seed=5, vocabulary_size=pieces.vocabulary_size)
    whole = lm.generate(SOURCES, max_new_tokens=5)
    assert any(" " in text for text in whole)
    cut = lm.generate(SOURCES, max_new_tokens=5, stop_strings=[" "])
    assert cut == [text.split(" ")[0] for text in whole]
    index = next(index for index, text in enumerate(whole) if " " in text)
    streamed = lm.stream(SOURCES[index], max_new_tokens=5, stop_strings=" ")
    assert "".join(streamed) == cut[index]


def test_a_text_starts_as_the_tokenizer_writes_it(pieces):
    size = pieces.vocabulary_size + 3
    tokens, start = find_token_bytes(pieces, size), find_text_start(pieces, size)
    rows = np.random.default_rng(0).integers(0, pieces.vocabulary_size, (300, 6))
    # What begins no text comes first often enough.
    rows[::2, 0], rows[::4, 1] = pieces.token_to_id("\u2581"), pieces.pad_token_id
    for row, wanted in zip(rows, pieces.detokenize(rows).numpy(), strict=True):
        text, begun = b"", False
        for token in row:
            drops = start.drops_space[token] and not begun
            text += tokens[token][1:] if drops else tokens[token]
            begun |= start.begins[token]
        assert text == wanted
    assert tokens[-3:] == [b""] * 3 and not start.begins[-3:].any()
    assert find_text_start(make_tokenizer(), 300) is None


def test_words_that_do_not_say_where_spaces_are_know_no_stop_strings(t5, eagerly):
    words = WordPieceTokenizer.train(iter(SOURCES * 9), 80)
    with pytest.raises(ValueError, match="`stop_strings` needs .* Received: WordPieceTokenizer"):
        find_token_bytes(words, 80)

"""Selection in NumPy against that of the graph, on the same logits and seeds."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import selection as graph
from lmzoo.generation.loop import init_state
from lmzoo.runtime.generation import selection
from lmzoo.runtime.generation.selection import RowOptions

R, V, T = 64, 500, 40
PLAIN = {
    "max_new_tokens": 9, "min_new_tokens": 0, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
    "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "seed": 7, "rng_stream": 0,
}  # fmt: skip
BAD_WORDS = ((3,), (5, 6), (7, 8, 9), (1, 1, 1, 1))


@pytest.fixture(scope="module")
def rows():
    """Logits and rows with many repetitions; the last 15 of 40 tokens are new."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=3, size=(R, V)).astype("float32")
    logits[:, 100:110] = 2.5
    token_ids = generator.integers(12, size=(R, T)).astype("int32")
    token_ids[::4, -4:], token_ids[::7, -2:] = 1, (7, 8)
    return logits, token_ids


def select_in_graph(rows, num_new=15, **options):
    """Tokens and log-probabilities of the graph: the rows are its slots."""
    logits, token_ids = rows
    options, static = {**PLAIN, **options}, {}
    static["no_repeat_ngram_size"] = options.pop("no_repeat_ngram_size", 0)
    static["end_token_ids"] = options.pop("end_token_ids", ())
    words = options.pop("bad_words", ())
    integers = ("max_new_tokens", "min_new_tokens", "top_k", "seed", "rng_stream")
    parameters = {
        name: tf.constant(np.broadcast_to(value, R), tf.int32 if name in integers else tf.float32)
        for name, value in options.items()
    }
    width = max(map(len, words), default=1)
    filled = [[-1] * (width - len(word)) + list(word) for word in words]
    parameters["bad_words"] = tf.constant(filled, tf.int32, [len(words), width])
    state = init_state(tf.constant(token_ids), tf.ones([R, T], tf.bool), T + 1, {})
    state = state._replace(prompt_length=tf.constant(T - num_new))
    static = graph.StaticOptions(
        sampled=True, repetition=True, min_new_tokens=True, bad_words=bool(words), **static
    )
    state = graph.make_token_selector(static, parameters)(state, tf.constant(logits))
    return state.token_ids[:, T].numpy(), state.log_prob.numpy()


def select_here(rows, num_new=15, **options):
    options = {**PLAIN, **options}
    by_row = {name: value for name, value in options.items() if isinstance(value, np.ndarray)}
    found = []
    for index, (logits, token_ids) in enumerate(zip(*rows, strict=True)):
        own = {name: value[index].item() for name, value in by_row.items()}
        row_options = RowOptions(**{**options, **own})
        found.append(selection.select_token(row_options, logits, token_ids.tolist(), num_new))
    return [np.array(column) for column in zip(*found, strict=True)]


STREAMS = {"rng_stream": np.arange(R), "seed": np.arange(R) % 5 - 2}


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {},
        {"temperature": 0.7},
        {"temperature": 1e-7},
        {"top_k": 1},
        {"top_k": 40},
        {"top_k": 10**6},
        {"top_p": 0.9},
        {"top_p": 0.01},
        {"top_p": 0.9999, "temperature": 2.5},
        {"min_p": 0.1},
        {"top_k": 50, "top_p": 0.95, "min_p": 0.02, "temperature": 1.3},
        {"repetition_penalty": 1.7, "temperature": 0.0},
        {"repetition_penalty": 0.5, "presence_penalty": 1.5},
        {"presence_penalty": -2.0},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2, "temperature": 0.0},
        {"no_repeat_ngram_size": 3},
        {"no_repeat_ngram_size": 60},
        {"bad_words": BAD_WORDS, "temperature": 3.0},
        {"min_new_tokens": 16, "end_token_ids": (100, 101), "top_k": 20},
        {"min_new_tokens": 15, "end_token_ids": (100, 101), "top_k": 20},
        {"temperature": np.linspace(0, 2, R, dtype="float32")},
    ],
)
def test_tokens_are_those_of_the_graph(rows, options):
    tokens, log_probs = select_here(rows, **STREAMS, **options)
    wanted, wanted_log_probs = select_in_graph(rows, **STREAMS, **options)
    np.testing.assert_array_equal(tokens, wanted)
    np.testing.assert_allclose(log_probs, wanted_log_probs, rtol=1e-5, atol=1e-5)


def test_the_first_new_token_is_that_of_the_graph(rows):
    options = {**STREAMS, "presence_penalty": 1.0, "repetition_penalty": 1.2}
    tokens, _ = select_here(rows, num_new=0, **options)
    np.testing.assert_array_equal(tokens, select_in_graph(rows, num_new=0, **options)[0])


def test_random_numbers_are_those_of_the_graph():
    generator = np.random.default_rng(0)
    seeds = generator.integers(-(2**31), 2**31, size=200)
    streams = generator.integers(2000, size=200)
    for step in (0, 1, 1000):
        wanted = graph.compute_uniform(
            tf.constant(seeds, tf.int32), tf.constant(streams, tf.int32), tf.constant(step)
        )
        found = [
            selection.compute_uniform(seed, stream, step)
            for seed, stream in zip(seeds.tolist(), streams.tolist(), strict=True)
        ]
        np.testing.assert_array_equal(found, wanted)


def test_a_large_vocabulary_gives_the_draws_of_the_graph():
    generator = np.random.default_rng(1)
    logits = generator.normal(scale=4, size=(100, 50_000)).astype("float32")
    parameters = {"top_p": tf.fill([100], 0.95), "top_k": tf.fill([100], 64)}
    uniform = generator.random(100).astype("float32")
    wanted = [
        graph.draw_token(graph.keep_top_p(logits, parameters["top_p"]), uniform),
        graph.draw_token(graph.keep_top_k(logits, parameters["top_k"]), uniform),
    ]
    for keep, parameter, tokens in (
        (selection.keep_top_p, np.float32(0.95), wanted[0]),
        (selection.keep_top_k, 64, wanted[1]),
    ):
        found = [
            selection.draw_token(keep(row, parameter), number)
            for row, number in zip(logits, uniform, strict=True)
        ]
        np.testing.assert_array_equal(found, tokens)


def test_a_row_without_a_token_takes_the_first():
    assert selection.draw_token(np.full(5, -np.inf, np.float32), 0.5) == 0

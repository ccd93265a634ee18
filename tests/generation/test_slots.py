"""Prompts that join and leave a running batch: each gets the tokens that it gets alone."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import GenerationOptions
from lmzoo.generation.slots import make_slot_functions
from lmzoo.tasks import CausalLM
from tests.generation.tiny import PARAMETERS, make_backbone, pad_left

ROWS = 3


@pytest.fixture(scope="module")
def lm():
    return CausalLM(make_backbone(), end_token_ids=[7])


@pytest.fixture(scope="module")
def functions(lm):
    return make_slot_functions(lm, GenerationOptions(seed=0))


def make_empty(advance):
    state = {}
    for name, spec in advance.input_signature[1].items():
        sizes = [1 if size is None else size for size in spec.shape]
        state[name] = tf.zeros([ROWS, *sizes[1:]] if sizes else [], spec.dtype)
    return {**state, "finished": tf.ones([ROWS], tf.bool)}


def join(start, state, rows, requests):
    token_ids, mask = pad_left([request["prompt"] for request in requests])
    names = [name for name in PARAMETERS if name != "rng_stream"]
    given = {
        name: tf.constant([r.get(name, PARAMETERS[name][0]) for r in requests], PARAMETERS[name][1])
        for name in names
    }
    return start(tf.constant(rows), token_ids, mask, given, state)


def read(state, row):
    """The new tokens of a row."""
    mask = state["mask"][row].numpy()
    mask &= np.arange(len(mask)) >= int(state["prompt_length"][row])
    return state["token_ids"][row].numpy()[mask].tolist()


def make_requests(count):
    generator = np.random.default_rng(0)
    for index in range(count):
        yield {
            "prompt": generator.integers(8, 31, generator.integers(1, 60)).tolist(),
            "max_new_tokens": int(generator.integers(0, 90)),
            "temperature": float(generator.choice([0.0, 0.7, 1.3])),
            "top_k": int(generator.choice([0, 5])),
            "top_p": float(generator.choice([1.0, 0.8])),
            "presence_penalty": float(generator.choice([0.0, 1.5])),
            "seed": index,
        }


def test_each_text_is_the_one_it_is_alone_whoever_joins_and_leaves(lm, functions):
    start, advance = functions
    state, waiting, running, got = make_empty(advance), list(make_requests(14)), {}, []
    generator = np.random.default_rng(1)
    for _ in range(2000):
        free = [row for row in range(ROWS) if row not in running]
        # Now and then nobody joins, so that the timeline fills and is moved.
        if waiting and free and generator.random() < 0.5:
            count = int(generator.integers(1, min(len(free), len(waiting)) + 1))
            joining, waiting = waiting[:count], waiting[count:]
            state = join(start, state, free[:count], joining)
            running |= dict(zip(free, joining, strict=False))
        else:
            state = advance(tf.constant(int(generator.integers(1, 9))), state)
        for row in [row for row in running if bool(state["finished"][row])]:
            got.append((running.pop(row), read(state, row), float(state["log_prob"][row])))
        if not waiting and not running:
            break
    assert len(got) == 14
    for request, tokens, log_prob in got:
        options = {name: value for name, value in request.items() if name != "prompt"}
        (wanted,), (score,) = lm.generate(
            [request["prompt"]],
            **{**options, "seed": [options["seed"]]},
            return_prompt=False,
            return_scores=True,
        )
        assert tokens == wanted
        np.testing.assert_allclose(log_prob, score, rtol=1e-5, atol=1e-5)


def test_a_row_that_is_freed_takes_another_prompt_at_once(lm, functions):
    start, advance = functions
    long = {"prompt": [9, 10, 11], "max_new_tokens": 100, "temperature": 0.0}
    state = join(start, make_empty(advance), [0, 1], [long, {**long, "prompt": [20, 21]}])
    state = advance(tf.constant(5), state)
    state["finished"] = tf.constant([True, False, True])
    state = join(start, state, [0], [{**long, "prompt": [12, 13], "max_new_tokens": 4}])
    for _ in range(40):
        state = advance(tf.constant(4), state)
    for row, prompt, count in ((0, [12, 13], 4), (1, [20, 21], 100)):
        wanted = lm.generate([prompt], max_new_tokens=count, return_prompt=False)[0]
        assert read(state, row) == wanted


def test_a_prompt_beyond_the_context_is_refused_and_changes_nothing(functions):
    start, advance = functions
    with pytest.raises(tf.errors.InvalidArgumentError, match="row 0 of 129 tokens"):
        join(start, make_empty(advance), [0], [{"prompt": [9] * 129}])


def test_an_encoder_decoder_has_no_slots():
    class Other:
        is_encoder_decoder = True

    with pytest.raises(ValueError, match="a Other, an encoder-decoder"):
        make_slot_functions(Other(), GenerationOptions())

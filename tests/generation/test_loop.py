import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation.loop import append_tokens, init_state
from lmzoo.generation.selection import StaticOptions
from tests.generation import oracle, tiny

V = 31
PROMPTS = [[3, 14, 15, 9, 2, 6], [5], [30, 30, 1, 30], [7, 0, 0]]


RULES = {
    "nothing": {},
    "ends": {"ends": (14, 13, 24)},
    "repetition": {"repetition_penalty": 1.4},
    "repetition_below_one": {"repetition_penalty": 0.7, "presence_penalty": 0.3},
    "presence": {"presence_penalty": 2.5},
    "ngrams_1": {"ngrams": 1},
    "ngrams_2": {"ngrams": 2},
    "bad_words": {"bad_words": [[29], [11, 11], [19], [11, 2, 9]]},
    "min_new_tokens": {"ends": (14, 13, 24, 11), "min_new_tokens": 9},
    "all": {
        "ends": (14, 24),
        "repetition_penalty": 1.2,
        "presence_penalty": 0.5,
        "ngrams": 2,
        "bad_words": [[29], [11, 2, 9]],
        "min_new_tokens": 3,
    },
}
SAMPLES = {
    "plain": {},
    "warm": {"temperature": 1.7},
    "top_k": {"top_k": 5},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.1},
    "all": {"temperature": 1.3, "top_k": 12, "top_p": 0.9, "min_p": 0.02},
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_greedy_equals_the_oracle(model, uncached, rules):
    assert_equals_oracle(model, uncached, rules, None)


@pytest.mark.quick("all", "min_p", "plain", "warm")
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_sampling_equals_the_oracle(model, uncached, sample):
    assert_equals_oracle(model, uncached, RULES["ends"], sample)


def test_sampling_by_all_rules_equals_the_oracle(model, uncached):
    assert_equals_oracle(model, uncached, RULES["all"], SAMPLES["all"])


def assert_equals_oracle(model, uncached, rules, sample):
    limits = [16, 1, 12, 5]
    drawing = (
        {} if sample is None else {**sample, "seed": [7, 8, 9, -3], "rng_stream": [0, 1, 2, 3]}
    )
    state = tiny.generate(
        model, PROMPTS, sampled=sample is not None, max_new_tokens=limits, **rules, **drawing
    )
    expected = []
    for row, (prompt, limit) in enumerate(zip(PROMPTS, limits, strict=True)):
        if sample is not None:
            sample = {**sample, "seed": drawing["seed"][row], "rng_stream": row}
        expected.append(oracle.generate(uncached, prompt, limit, sample=sample, **rules))
    assert tiny.new_tokens(state) == [new for new, _ in expected]
    np.testing.assert_allclose(state.log_prob, [total for _, total in expected], rtol=1e-5)


def test_the_model_says_varied_things(model):
    # Otherwise a rule could be lost without any test here noticing.
    plain = tiny.new_tokens(tiny.generate(model, PROMPTS, max_new_tokens=16))
    assert all(len(set(new)) >= 6 for new in plain)
    for name, rules in RULES.items():
        if name != "nothing":
            changed = tiny.new_tokens(tiny.generate(model, PROMPTS, max_new_tokens=16, **rules))
            assert changed != plain, name


def test_cached_logits_equal_uncached_at_every_step(model, uncached):
    prompt = [3, 14, 15, 9]
    token_ids, mask = tiny.pad_left([prompt], length=9)
    state, logits = model.prefill(tf.constant(token_ids), tf.constant(mask), 9 + 64)
    text, cache = list(prompt), state.cache
    for step in range(64):
        np.testing.assert_allclose(logits[0], uncached(text), rtol=1e-10, atol=1e-10)
        text.append((step * 7 + 5) % V)
        last = tf.constant([text[-1:]])
        logits, cache = model.step(last, tf.constant([[True]]), cache, tf.constant(9 + step))


@pytest.mark.parametrize("sampled", [False, True])
def test_a_batch_is_its_rows(model, sampled):
    seeds = [1, 1, 2, 3]
    together = tiny.generate(model, PROMPTS, ends=(14, 24), sampled=sampled, seed=seeds)
    for row, prompt in enumerate(PROMPTS):
        alone = tiny.generate(model, [prompt], ends=(14, 24), sampled=sampled, seed=seeds[row])
        assert tiny.new_tokens(alone)[0] == tiny.new_tokens(together)[row]
        np.testing.assert_allclose(alone.log_prob[0], together.log_prob[row], rtol=1e-6)


@pytest.mark.parametrize("ngrams", [0, 2])
def test_left_padding_changes_no_id(model, ngrams):
    rules = {"ngrams": ngrams, "repetition_penalty": 1.1, "bad_words": [[0, 11], [11, 11], [9]]}
    first = tiny.generate(model, PROMPTS, length=6, **rules)
    for padding in (1, 2, 3, 7, 16, 32):
        state = tiny.generate(model, PROMPTS, length=6 + padding, **rules)
        assert tiny.new_tokens(state) == tiny.new_tokens(first)
        np.testing.assert_allclose(state.log_prob, first.log_prob, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 1e-4, 1e-20, 1e-38, 1e-42])
def test_a_vanishing_temperature_is_greedy(model, temperature):
    greedy = tiny.generate(model, PROMPTS, sampled=False)
    state = tiny.generate(model, PROMPTS, sampled=True, seed=[1, 2, 3, 4], temperature=temperature)
    assert tiny.new_tokens(state) == tiny.new_tokens(greedy)


@pytest.mark.parametrize("temperature", [1e-7, 1e-30, 2e-38, 1e-37])
def test_a_vanishing_temperature_makes_no_logit_infinite(temperature):
    script = tiny.Script(np.array([[[50.0, 90.0, 80.0]], [[-90.0, -80.0, -50.0]]]))
    state = tiny.generate(script, [[1]], sampled=True, max_new_tokens=2, temperature=temperature)
    assert tiny.new_tokens(state) == [[1, 2]]


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_a_choice_of_one_is_greedy(model, narrow):
    greedy = tiny.generate(model, PROMPTS, sampled=False)
    state = tiny.generate(
        model, PROMPTS, sampled=True, seed=[1, 2, 3, 4], temperature=5.0, **narrow
    )
    assert tiny.new_tokens(state) == tiny.new_tokens(greedy)


def test_rows_choose_by_their_own_parameters(model):
    rows = [PROMPTS[0]] * 4
    given = {"temperature": [0.0, 1.5, 1.5, 0.8], "top_k": [0, 0, 3, 1], "seed": 6}
    state = tiny.generate(model, rows, sampled=True, **given)
    for row in range(4):
        own = {name: np.broadcast_to(value, [4])[row] for name, value in given.items()}
        alone = tiny.generate(model, rows[:1], sampled=True, **own)
        assert tiny.new_tokens(alone)[0] == tiny.new_tokens(state)[row]
    assert tiny.new_tokens(state)[0] == tiny.new_tokens(state)[3]


def scripted(tokens, vocabulary_size=8):
    """Logits (T, R, V) whose likeliest token in step t and row r is `tokens[r][t]`."""
    return 3.0 * np.eye(vocabulary_size, dtype="float32")[np.array(tokens).T]


def test_rows_end_at_their_own_steps_with_padding_behind():
    # Row 0 ends in the first step, row 1 in the third, row 2 never, row 3 by its own limit.
    tokens = [[7, 1, 2, 3, 4], [1, 2, 7, 3, 4], [1, 2, 3, 4, 5], [6, 6, 6, 6, 6]]
    script = tiny.Script(scripted(tokens))
    state = tiny.generate(script, [[1]] * 4, ends=(7,), max_new_tokens=[5, 5, 5, 2])
    assert tiny.new_tokens(state) == [[7], [1, 2, 7], [1, 2, 3, 4, 5], [6, 6]]
    expected = [[1, 7, 0, 0, 0, 0], [1, 1, 2, 7, 0, 0], [1, 1, 2, 3, 4, 5], [1, 6, 6, 0, 0, 0]]
    np.testing.assert_array_equal(state.token_ids, expected)
    lengths = np.array([1, 3, 5, 2])
    np.testing.assert_array_equal(state.mask, np.arange(6) <= lengths[:, None])
    each = 3.0 - np.log(np.exp(3.0) + 7)
    np.testing.assert_allclose(state.log_prob, each * lengths, rtol=1e-6)


def test_the_loop_stops_when_all_rows_are_done():
    tokens = np.full((3, 512), 1)
    tokens[0, 2] = tokens[1, 1] = tokens[2, 0] = 7
    script = tiny.Script(scripted(tokens))
    state = tiny.generate(script, [[1]] * 3, ends=(7,), max_new_tokens=512)
    assert [len(new) for new in tiny.new_tokens(state)] == [3, 2, 1]
    assert script.num_steps == 2


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_limit_counts_new_tokens(limit):
    script = tiny.Script(scripted([[1, 2, 3, 4, 5]]))
    state = tiny.generate(script, [[6, 6]], max_new_tokens=limit)
    assert tiny.new_tokens(state) == [[1, 2, 3, 4, 5][:limit]]
    assert script.num_steps == limit - 1


def test_an_end_is_forbidden_until_the_least_number_of_tokens():
    logits = np.tile(np.array([0, 1, 2, 3, 9], "float32"), (6, 3, 1))
    state = tiny.generate(
        tiny.Script(logits), [[1]] * 3, ends=(4, 3), max_new_tokens=6, min_new_tokens=[0, 1, 4]
    )
    assert tiny.new_tokens(state) == [[4], [2, 4], [2, 2, 2, 2, 4]]


def test_a_stop_ends_its_row_and_keeps_its_own_memory():
    def find_stop(state, token_ids):
        total = state.memory["total"] + token_ids
        return total >= 6, {"total": total}

    script = tiny.Script(scripted([[1, 2, 3, 4], [6, 1, 1, 1], [1, 1, 1, 1]]))
    state, logits = script.prefill(tf.ones([3, 1], tf.int32), tf.ones([3, 1], tf.bool), 5)
    state = state._replace(memory={"total": tf.zeros([3], tf.int32)})
    script.prefill = lambda *_: (state, logits)
    parameters = tiny.make_parameters(3, max_new_tokens=4)
    rules = StaticOptions(sampled=False, stop=True)
    state = tiny.run(script, state.token_ids[:, :1], None, rules, parameters, find_stop=find_stop)
    assert tiny.new_tokens(state) == [[1, 2, 3], [6], [1, 1, 1, 1]]


def test_a_finished_row_takes_no_token_and_no_probability():
    state = init_state(tf.constant([[5], [6]]), tf.constant([[True], [True]]), 3, {})
    state = append_tokens(state, tf.constant([1, 2]), [-1.0, -2.0], tf.constant([True, False]))
    state = append_tokens(state, tf.constant([3, 4]), [-4.0, -8.0], tf.constant([False, False]))
    np.testing.assert_array_equal(state.token_ids, [[5, 1, 0], [6, 2, 4]])
    np.testing.assert_array_equal(state.mask, [[True, True, False], [True, True, True]])
    np.testing.assert_array_equal(state.log_prob, [-1.0, -10.0])
    np.testing.assert_array_equal(state.finished, [True, False])


def test_padding_of_a_prompt_leaves_no_id():
    token_ids, mask = tf.constant([[9, 9, 5]]), tf.constant([[False, False, True]])
    state = init_state(token_ids, mask, 4, {})
    np.testing.assert_array_equal(state.token_ids, [[0, 0, 5, 0]])
    assert int(state.slot) == int(state.prompt_length) == 3


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_graph_gives_what_eager_gives(model, compiled):
    rules = tiny.make_static_options((14, 24), True, 2, RULES["all"])
    given = {k: v for k, v in RULES["all"].items() if k not in ("ends", "ngrams")}
    parameters = tiny.make_parameters(
        4, **given, **SAMPLES["all"], seed=[1, 2, 3, 4], max_new_tokens=[9, 3, 9, 9]
    )
    token_ids, mask = (tf.constant(x) for x in tiny.pad_left(PROMPTS))
    eager = tiny.run(model, token_ids, mask, rules, parameters, num_slots=16)

    def whole(token_ids, mask, parameters):
        return tiny.run(model, token_ids, mask, rules, parameters, num_slots=16)

    if compiled:
        traced = tf.function(whole, jit_compile=True)
    else:  # every length unknown
        unknown = tf.nest.map_structure(
            lambda x: tf.TensorSpec([None] * x.shape.rank, x.dtype), (token_ids, mask, parameters)
        )
        traced = tf.function(whole, input_signature=unknown)
    state = traced(token_ids, mask, parameters)
    assert tiny.new_tokens(state) == tiny.new_tokens(eager)
    np.testing.assert_allclose(state.log_prob, eager.log_prob, rtol=1e-5)

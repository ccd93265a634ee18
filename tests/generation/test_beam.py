import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation.beam import make_beam_selector
from lmzoo.generation.beam_state import best_beams, init_beams
from lmzoo.models import GPTBackbone
from tests.generation import oracle, tiny

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "generation.npz")
RECORD = json.loads(str(GOLDEN["record"]))


def group_cases():
    """Cases of one graph, by what is fixed in it: all else differs by prompt, and runs together."""
    groups = {}
    for case in RECORD["cases"]:
        fixed = ("num_beams", "early_stopping", "ends", "no_repeat_ngram_size", "bad_words")
        name = "-".join(f"{word}={case[word]}" for word in fixed if word in case)
        groups.setdefault(name, []).append(case)
    return groups


def from_gpt2(sizes, weights):
    """Our backbone with the weights of transformers' GPT-2, found by their names."""
    backbone = GPTBackbone(
        vocabulary_size=sizes["vocab_size"],
        num_layers=sizes["n_layer"],
        num_heads=sizes["n_head"],
        hidden_dim=sizes["n_embd"],
        intermediate_dim=sizes["n_inner"],
        max_sequence_length=64,
        dtype="float64",
    )
    words = {
        "token_embedding/embeddings": "wte.weight",
        "position_embedding/embeddings": "wpe.weight",
        "self_attention/query_key_value": "attn.c_attn",
        "self_attention/output": "attn.c_proj",
        "self_attention_norm": "ln_1",
        "feed_forward/intermediate": "mlp.c_fc",
        "feed_forward/output": "mlp.c_proj",
        "feed_forward_norm": "ln_2",
        "final_norm": "ln_f",
        "block_": "h.",
        "gamma": "weight",
        "beta": "bias",
        "kernel": "weight",
        "/": ".",
    }
    for weight in backbone.weights:
        name = weight.path.split("/", 1)[1]
        for ours, theirs in words.items():
            name = name.replace(ours, theirs)
        weight.assign(weights[f"transformer.{name}"].astype("float64"))
    return backbone


@pytest.fixture(scope="module")
def golden_model():
    return tiny.Model(from_gpt2(RECORD["sizes"], GOLDEN))


@pytest.mark.quick(
    "num_beams=4-ends=[72, 89, 10]",
    "num_beams=2-early_stopping=never-ends=[72, 89, 10]",
    "num_beams=4-early_stopping=True-*",
    "num_beams=2-early_stopping=False-ends=[72]",
    "num_beams=2-ends=[72, 89, 10]-no_repeat_ngram_size=2",
    "num_beams=4-*-bad_words=*",
    "ends=[72, 89, 10]-no_repeat_ngram_size=1",
)
@pytest.mark.parametrize("cases", [pytest.param(v, id=k) for k, v in group_cases().items()])
def test_equals_transformers(golden_model, cases):
    # There each prompt ran alone; here they stand in one batch, left-padded.
    prompts = RECORD["prompts"] * len(cases)
    fixed, num_beams = cases[0], cases[0].get("num_beams", 1)
    given = {
        name: np.repeat([case.get(name, default) for case in cases], len(RECORD["prompts"]))
        for name, default in (
            ("max_new_tokens", None),
            ("length_penalty", 1.0),
            ("repetition_penalty", 1.0),
            ("min_new_tokens", 0),
        )
    }
    if "bad_words" in fixed:
        given["bad_words"] = fixed["bad_words"]
    static = tiny.make_static_options(
        fixed["ends"], False, fixed.get("no_repeat_ngram_size", 0), given
    )
    parameters = tiny.make_parameters(len(prompts), **given)
    token_ids, mask = (tf.constant(x) for x in tiny.pad_left(prompts))
    expected = [row for case in cases for row in case["expected"]]
    if num_beams == 1:
        state = tiny.run(golden_model, token_ids, mask, static, parameters)
        assert tiny.new_tokens(state) == [row["token_ids"][0] for row in expected]
        return
    options = {"early_stopping": fixed.get("early_stopping", False)}
    _, results = tiny.run_beams(
        golden_model, token_ids, mask, static, parameters, num_beams, **options
    )
    assert results_of(results, prompts) == [row["token_ids"] for row in expected]
    np.testing.assert_allclose(results.score, [row["scores"] for row in expected], rtol=1e-5)


def results_of(results, prompts):
    """The new ids of each result of each prompt; the prompt itself is compared and left out."""
    found = []
    for ids, mask, prompt in zip(results.token_ids, results.mask, prompts, strict=True):
        texts = [row[real].tolist() for row, real in zip(ids.numpy(), mask.numpy(), strict=True)]
        assert all(text[: len(prompt)] == prompt for text in texts)
        found.append([text[len(prompt) :] for text in texts])
    return found


PROMPTS = [[3, 14, 15, 9, 2, 6], [5], [30, 30, 1, 30]]
ENDS = (14, 24)


def search(model, prompts, num_beams, length=None, ends=(), ngrams=0, options=None, **parameters):
    token_ids, mask = (tf.constant(x) for x in tiny.pad_left(prompts, length))
    static = tiny.make_static_options(ends, False, ngrams, parameters)
    parameters = tiny.make_parameters(len(prompts), **parameters)
    arguments = (token_ids, mask, static, parameters, num_beams)
    return tiny.run_beams(model, *arguments, **(options or {}))[1]


def random_chain(vocabulary_size, seed=0):
    shape = (16, vocabulary_size, vocabulary_size)
    table = np.random.default_rng(seed).normal(0, 1.5, shape)
    return tiny.Chain(table), lambda ids: table[len(ids) - 1][ids[-1]]


def test_one_beam_is_greedy(model):
    rules = {"ends": ENDS, "max_new_tokens": [12, 3, 9], "ngrams": 3}
    greedy = tiny.generate(model, PROMPTS, **rules)
    results = search(model, PROMPTS, 1, **rules)
    assert results_of(results, PROMPTS) == [[new] for new in tiny.new_tokens(greedy)]
    np.testing.assert_allclose(results.log_prob[:, 0], greedy.log_prob, rtol=1e-6)


@pytest.mark.parametrize("ends", [(), (4,)])
def test_a_full_width_beam_finds_what_brute_force_finds(ends):
    chain, compute_logits = random_chain(5)
    every = oracle.search_everything(compute_logits, [2], 5, 5, ends)
    options = {"early_stopping": "never"}
    given = {"ends": ends, "max_new_tokens": 5, "length_penalty": 0.0}
    results = search(chain, [[2]], 5**4, options=options, **given)
    assert results_of(results, [[2]])[0][:200] == [new for _, new in every[:200]]
    np.testing.assert_allclose(results.score[0, :200], [s for s, _ in every[:200]], rtol=1e-5)


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 0.6, 2.0])
def test_a_search_that_never_stops_early_equals_the_oracle(length_penalty):
    chain, compute_logits = random_chain(9, seed=3)
    given = {"ends": (4, 7), "max_new_tokens": 8, "length_penalty": length_penalty}
    options = {"early_stopping": "never"}
    results = search(chain, [[1], [2]], 3, options=options, **given)
    for row, prompt in enumerate(([1], [2])):
        expected = oracle.beam_search(compute_logits, prompt, 3, **given)
        assert results_of(results, [[1], [2]])[row] == [new for _, new in expected]
        np.testing.assert_allclose(results.score[row], [s for s, _ in expected], rtol=1e-5)


def test_log_prob_is_the_models_own_before_the_rules(model, uncached):
    rules = {"repetition_penalty": 1.5, "ngrams": 2, "bad_words": [[11]], "ends": ENDS}
    results = search(model, PROMPTS, 3, max_new_tokens=10, **rules)
    for row, texts in enumerate(results_of(results, PROMPTS)):
        expected = [oracle.score_text(uncached, PROMPTS[row], new) for new in texts]
        np.testing.assert_allclose(results.log_prob[row], expected, rtol=1e-5)
    assert np.all(np.abs(results.log_prob / 10 - results.score) > 1e-3)


def test_a_batch_is_its_rows_and_left_padding_changes_nothing(model):
    limits, penalties = [10, 4, 7], [0.0, 1.0, -1.0]
    given = {"ends": ENDS, "ngrams": 2}
    numbers = {"max_new_tokens": limits, "length_penalty": penalties}
    together = search(model, PROMPTS, 3, length=11, **given, **numbers)
    for row, prompt in enumerate(PROMPTS):
        numbers = {"max_new_tokens": limits[row], "length_penalty": penalties[row]}
        alone = search(model, [prompt], 3, **given, **numbers)
        assert results_of(alone, [prompt])[0] == results_of(together, PROMPTS)[row]
        np.testing.assert_allclose(alone.score[0], together.score[row], rtol=1e-6)
        assert max(map(len, results_of(alone, [prompt])[0])) <= limits[row]


def test_only_padding_stands_behind_a_result(model):
    results = search(model, PROMPTS, 4, ends=ENDS, max_new_tokens=12, length_penalty=0.0)
    ids, mask = results.token_ids.numpy(), results.mask.numpy()
    assert (ids[~mask] == 0).all()
    lengths = [[len(new) for new in texts] for texts in results_of(results, PROMPTS)]
    assert len(set(np.ravel(lengths))) > 2
    np.testing.assert_array_equal(mask[:, :, 6:], np.arange(12) < np.array(lengths)[..., None])


@pytest.mark.parametrize(
    ("early_stopping", "length_penalty", "num_steps"),
    [(True, 0.0, 1), (False, 0.0, 1), ("never", 0.0, 1), (False, 2.0, 1), ("never", 2.0, 62)],
)
def test_the_loop_stops_when_no_live_beam_can_win(early_stopping, length_penalty, num_steps):
    # The end comes at once or after a 2, almost surely: both beams have ended after two tokens.
    # With a penalty of 2 even unlikely tokens win, if only there are 60 of them.
    table = np.zeros((64, 4, 4))
    table[:, 0], table[:, 2] = [0, 0, 5, 9], [0, 0, 0, 9]
    chain = tiny.Chain(table)
    given = {"ends": (3,), "max_new_tokens": 63, "length_penalty": length_penalty}
    search(chain, [[0]], 2, options={"early_stopping": early_stopping}, **given)
    assert chain.num_steps == num_steps


def test_fewer_sequences_than_beams_leave_the_prompt_and_no_score():
    chain, compute_logits = random_chain(3)
    results = search(chain, [[1]], 4, max_new_tokens=1)
    expected = oracle.search_everything(compute_logits, [1], 3, 1)
    assert results_of(results, [[1]]) == [[*[new for _, new in expected], []]]
    np.testing.assert_array_equal(np.isneginf(results.score), [[False, False, False, True]])
    assert np.isfinite(results.log_prob).all()


def test_beams_without_any_allowed_token_end_the_search():
    chain, _ = random_chain(4)
    results = search(chain, [[1]], 2, max_new_tokens=9, ngrams=1)
    assert results_of(results, [[1]]) == [[[], []]]
    assert np.isneginf(results.score).all()


def test_a_prompt_that_wants_no_token_gets_none():
    chain, _ = random_chain(5)
    state, logits = chain.prefill(tf.constant([[1], [2]]), tf.constant([[True], [True]]), 4)
    state = state._replace(finished=tf.constant([True, False]))
    chain.prefill = lambda *_: (state, logits)
    results = search(chain, [[1], [2]], 2, max_new_tokens=[0, 3])
    texts = results_of(results, [[1], [2]])
    assert texts[0] == [[], []]
    assert [len(new) for new in texts[1]] == [3, 3]
    np.testing.assert_array_equal(results.log_prob[0], [0.0, 0.0])


def test_a_stop_ends_a_beam_and_its_memory_follows_it():
    # A stop here is a sum of tokens, which only the right parent's memory can tell.
    chain, compute_logits = random_chain(7, seed=2)

    def find_stop(state, token_ids):
        total = state.memory["total"] + token_ids
        return total >= 11, {"total": total}

    token_ids, mask = tf.constant([[1], [5]]), tf.constant([[True], [True]])
    state, logits = chain.prefill(token_ids, mask, 13)
    state = state._replace(memory={"total": token_ids[:, 0]})
    chain.prefill = lambda *_: (state, logits)
    static = tiny.make_static_options((), False, 0, {})._replace(stop=True)
    parameters = tiny.make_parameters(2, max_new_tokens=12)
    arguments = (token_ids, mask, static, parameters, 3)
    _, results = tiny.run_beams(chain, *arguments, find_stop=find_stop, early_stopping="never")
    for prompt, texts in zip(([1], [5]), results_of(results, [[1], [5]]), strict=True):
        for new in texts:
            sums = np.cumsum([*prompt, *new])
            assert (sums[:-1] < 11).all()
            assert sums[-1] >= 11 or len(new) == 12


# The texts of beams in `test_text_generation.py` come from graphs.
@pytest.mark.slow
@pytest.mark.parametrize("way", ["saved", "compiled"])
def test_a_graph_gives_what_eager_gives(model, way, tmp_path):
    static = tiny.make_static_options(ENDS, False, 2, {"repetition_penalty": 1.2})
    numbers = {"max_new_tokens": [9, 3, 9], "repetition_penalty": 1.2}
    parameters = tiny.make_parameters(3, **numbers)
    token_ids, mask = (tf.constant(x) for x in tiny.pad_left(PROMPTS))
    eager = tiny.run_beams(model, token_ids, mask, static, parameters, 3, num_slots=15)[1]

    def whole(token_ids, mask, parameters):
        results = tiny.run_beams(model, token_ids, mask, static, parameters, 3, num_slots=15)[1]
        return results._asdict()

    if way == "compiled":
        traced = tf.function(whole, jit_compile=True)
    else:  # with every length unknown
        unknown = tf.nest.map_structure(
            lambda x: tf.TensorSpec([None] * x.shape.rank, x.dtype), (token_ids, mask, parameters)
        )
        module = tf.Module()
        module.whole = tf.function(whole, input_signature=unknown)
        module.weights = model.backbone.variables
        tf.saved_model.save(module, str(tmp_path))
        loaded = tf.saved_model.load(str(tmp_path))
        traced = loaded.whole
    results = traced(token_ids, mask, parameters)
    for name, expected in eager._asdict().items():
        np.testing.assert_allclose(results[name], expected, rtol=1e-5)


def test_wrong_numbers_are_refused():
    chain, _ = random_chain(4)
    state, _ = chain.prefill(tf.constant([[1]]), tf.constant([[True]]), 3)
    with pytest.raises(ValueError, match="`num_beams` must be positive.*num_beams=0"):
        init_beams(state, 0)
    static, parameters = tiny.make_static_options((), False, 0, {}), tiny.make_parameters(1)
    with pytest.raises(ValueError, match="`num_beams` must be positive.*num_beams=-1"):
        make_beam_selector(static, parameters, -1)
    with pytest.raises(ValueError, match="`early_stopping` must be.*early_stopping='always'"):
        make_beam_selector(static, parameters, 2, early_stopping="always")
    for num_results in (0, 3):
        with pytest.raises(ValueError, match=f"`num_results`.*num_results={num_results}"):
            best_beams(init_beams(state, 2), num_results)

import json
from pathlib import Path

import numpy as np
import oracle
import pytest
import tensorflow as tf
import tiny

from lmzoo.generation import Rules, init_beams, init_state, make_beam_chooser
from lmzoo.models import GPTBackbone

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "generation.npz")
RECORD = json.loads(str(GOLDEN["record"]))
RULES = ("repetition_penalty", "no_repeat_ngram_size", "min_new_tokens", "bad_words")


def name_of(case):
    return "-".join(f"{k}={v}" for k, v in case.items() if k not in ("expected", "ends"))


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


@pytest.fixture(scope="module")
def model():
    return tiny.Model(tiny.make_backbone())


@pytest.mark.parametrize("case", RECORD["cases"], ids=name_of)
def test_equals_transformers(golden_model, case):
    # There each prompt ran alone; here they stand in one batch, left-padded.
    prompts, num_beams = RECORD["prompts"], case.get("num_beams", 1)
    given = {name: case[name] for name in RULES if name in case}
    ngrams = given.pop("no_repeat_ngram_size", 0)
    rules = tiny.make_rules(case["ends"], False, ngrams, given)
    parameters = tiny.make_parameters(
        3,
        max_new_tokens=case["max_new_tokens"],
        length_penalty=case.get("length_penalty", 1.0),
        **given,
    )
    token_ids, mask = (tf.constant(x) for x in tiny.pad_left(prompts))
    if num_beams == 1:
        state = tiny.run(golden_model, token_ids, mask, rules, parameters)
        expected = [row["token_ids"][0] for row in case["expected"]]
        assert tiny.new_tokens(state) == expected
        return
    _, results = tiny.run_beams(
        golden_model,
        token_ids,
        mask,
        rules,
        parameters,
        num_beams,
        early_stopping=case.get("early_stopping", False),
    )
    assert results_of(results, prompts) == [row["token_ids"] for row in case["expected"]]
    scores = [row["scores"] for row in case["expected"]]
    np.testing.assert_allclose(results.score, scores, rtol=1e-5)


def results_of(results, prompts):
    """The new ids of each result of each prompt; the prompt itself is compared and left out."""
    found = []
    for ids, mask, prompt in zip(results.token_ids, results.mask, prompts, strict=True):
        texts = [row[real].tolist() for row, real in zip(ids.numpy(), mask.numpy(), strict=True)]
        assert all(text[: len(prompt)] == prompt for text in texts)
        found.append([text[len(prompt) :] for text in texts])
    return found

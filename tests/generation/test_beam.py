import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny

from lmzoo.models import GPTBackbone

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


@pytest.fixture(scope="module")
def model():
    return tiny.Model(tiny.make_backbone())


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
    rules = tiny.make_rules(fixed["ends"], False, fixed.get("no_repeat_ngram_size", 0), given)
    parameters = tiny.make_parameters(len(prompts), **given)
    token_ids, mask = (tf.constant(x) for x in tiny.pad_left(prompts))
    expected = [row for case in cases for row in case["expected"]]
    if num_beams == 1:
        state = tiny.run(golden_model, token_ids, mask, rules, parameters)
        assert tiny.new_tokens(state) == [row["token_ids"][0] for row in expected]
        return
    options = {"early_stopping": fixed.get("early_stopping", False)}
    _, results = tiny.run_beams(
        golden_model, token_ids, mask, rules, parameters, num_beams, **options
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

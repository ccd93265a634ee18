"""The estimate of memory: sizes as models have them, and growth where it must be."""

import pytest

from lmzoo import models, zoo
from lmzoo.runs.recipe import read_recipe
from lmzoo.tuning.memory import estimate_training_memory, find_free_memory, find_sizes


def make_recipe(**sections):
    recipe = {
        "data": {"files": ["x"], "sequence_length": 128, "batch_size": 8},
        "tokenizer": {"kind": "ByteTokenizer"},
        "model": {"task": "CausalLM", "backbone": "GPTBackbone"},
        "training": {"epochs": 1},
    }
    return read_recipe({name: {**recipe.get(name, {}), **sections.get(name, {})}
                        for name in recipe | sections})  # fmt: skip


@pytest.mark.parametrize(
    "name", ["BertBackbone", "GPTBackbone", "T5Backbone", "ModernBertBackbone"]
)
def test_parameters_are_counted_nearly(name):
    options = {"num_layers": 3, "num_heads": 4, "hidden_dim": 64, "intermediate_dim": 128}
    model = {"task": "MaskedLM", "backbone": name, "backbone_options": options}
    sizes = find_sizes(make_recipe(model=model), vocabulary_size=1000)
    wanted = getattr(models, name)(1000, **options).count_params()
    # Norms and biases are not counted, and there are as many positions as in GPT-2.
    assert 0.7 < sizes["num_parameters"] / wanted < 1.6


def test_published_sizes_are_known():
    recipe = make_recipe(model={"task": "CausalLM", "backbone": None, "size": "gpt2"})
    sizes = find_sizes(recipe, 50257)
    assert (sizes["hidden_dim"], sizes["num_layers"], sizes["num_heads"]) == (768, 12, 12)
    assert sizes["num_parameters"] == pytest.approx(zoo.find_entry("gpt2").num_parameters, rel=0.01)


def test_more_of_anything_needs_more():
    least = estimate_training_memory(make_recipe(), 1000)
    wider = {"backbone_options": {"hidden_dim": 1536}}
    for changes in (
        {"data": {"batch_size": 16}},
        {"data": {"sequence_length": 256}},
        {"model": wider},
    ):
        assert estimate_training_memory(make_recipe(**changes), 1000) > 1.2 * least
    assert estimate_training_memory(make_recipe(), 50_000) > least
    parts = make_recipe(data={"batch_size": 16}, training={"accumulation_steps": 2})
    assert estimate_training_memory(parts, 1000) == least


def test_free_memory_is_that_of_this_machine():
    assert 1e8 < find_free_memory() < 1e14

"""The estimate of memory: of each task, and growth where it must be."""

import pytest

from lmzoo.models import BertBackbone
from lmzoo.runs.recipe import read_recipe
from lmzoo.runs.schema import TASKS
from lmzoo.tasks import MaskedLM
from lmzoo.tuning.default_space import find_backbone_name
from lmzoo.tuning.trials.memory import estimate_training_memory, find_free_memory

TINY = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16}


def make_recipe(task="CausalLM", **sections):
    backbone = find_backbone_name(task)
    recipe = {
        "data": {"files": ["x"], "sequence_length": 32, "batch_size": 4},
        "tokenizer": {"kind": "ByteTokenizer"},
        "model": {"task": task, "backbone": backbone, "backbone_options": TINY},
        "training": {"epochs": 1},
    }
    return read_recipe({name: {**recipe.get(name, {}), **sections.get(name, {})}
                        for name in recipe | sections})  # fmt: skip


@pytest.mark.quick("Seq2SeqLM", "TextClassifier", "CausalLM")
@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_estimated(task):
    assert 1e6 < estimate_training_memory(make_recipe(task), 300) < 2e9


def test_more_of_anything_needs_more():
    large = {"backbone_options": {**TINY, "hidden_dim": 256}}
    least = estimate_training_memory(make_recipe(model=large), 3000)
    for changes in (
        {"data": {"batch_size": 256}, "model": large},
        {"data": {"sequence_length": 512}, "model": large},
        {"model": {"backbone_options": {**TINY, "hidden_dim": 512}}},
    ):
        assert estimate_training_memory(make_recipe(**changes), 3000) > 1.1 * least
    assert estimate_training_memory(make_recipe(model=large), 30_000) > 1.5 * least


def test_a_source_is_estimated_as_what_it_becomes(tmp_path):
    backbone = BertBackbone(300, max_sequence_length=64, **TINY)
    MaskedLM(backbone).save_pretrained(tmp_path / "bert")
    model = {"task": "TextClassifier", "source": str(tmp_path / "bert")}
    recipe = make_recipe(model={**model, "backbone": None, "backbone_options": {}}, tokenizer={
        "kind": None})  # fmt: skip
    options = {**TINY, "max_sequence_length": 64}
    fresh = make_recipe("TextClassifier", model={"backbone_options": options})
    source, wanted = (estimate_training_memory(each, 300) for each in (recipe, fresh))
    assert source == pytest.approx(wanted, rel=0.02)


def test_free_memory_is_that_of_this_machine():
    assert 1e8 < find_free_memory() < 1e14

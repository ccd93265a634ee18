import pytest

from lmzoo.hub import gpt2, plans
from lmzoo.hub.tensor_mapping import tensor_shapes
from lmzoo.models import GPTBackbone
from tests.hub.golden_encoders import FAMILIES, HEADS, read_folder

every_family = pytest.mark.parametrize("family", FAMILIES)


@every_family
@pytest.mark.parametrize("head", HEADS)
def test_a_plan_has_the_tensors_of_the_file_with_their_shapes(family, head):
    config, tensors, _ = read_folder(family, head)
    plan = plans.make_plan(config, tensors)
    assert plan.task == HEADS[head]
    assert plan.recipes.keys() == plan.shapes.keys()
    wanted = {name: array.shape for name, array in tensors.items()}
    assert tensor_shapes(plan.recipes, plan.shapes) == wanted
    assert plan.found == {name: name for name in tensors}


@every_family
@pytest.mark.parametrize("pooler", [True, False])
def test_a_backbone_alone_has_the_pooler_it_is_said_to_have(family, pooler):
    config, _, _ = read_folder(family, "Model")
    plan = plans.make_plan(config, pooler=pooler)
    assert plan.arguments["pooler"] == pooler == ("pooler/kernel" in plan.shapes)
    # A class that has none has none, whatever the backbone has.
    masked = plans.make_plan(read_folder(family, "ForMaskedLM")[0], pooler=pooler)
    assert masked.arguments["pooler"] is False


def test_a_decoder_is_planned_too():
    backbone = GPTBackbone(23, num_layers=1, num_heads=2, hidden_dim=8)
    plan = plans.make_plan(gpt2.make_config(backbone), ["transformer.wte.weight", "x"])
    assert (plan.task, plan.options) == ("CausalLM", {})
    assert plan.recipes.keys() == plan.shapes.keys()
    assert plan.found == {"transformer.wte.weight": "transformer.wte.weight", "x": "x"}

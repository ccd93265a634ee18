import pytest

from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.tensor_mapping import tensor_shapes
from lmzoo.models import GPTBackbone
from tests.hub.golden_encoders import FAMILIES, HEADS, read_folder
from tests.hub.records import make_config

every_family = pytest.mark.parametrize("family", FAMILIES)


@every_family
@pytest.mark.parametrize("head", HEADS)
def test_a_plan_has_the_tensors_of_the_file_with_their_shapes(family, head):
    config, tensors, _ = read_folder(family, head)
    spec = make_spec(config, tensors)
    assert spec.task == HEADS[head]
    assert spec.mapping.keys() == spec.shapes.keys()
    wanted = {name: array.shape for name, array in tensors.items()}
    assert tensor_shapes(spec.mapping, spec.shapes) == wanted
    assert spec.tensors == {name: name for name in tensors}


@every_family
@pytest.mark.parametrize("pooler", [True, False])
def test_a_backbone_alone_has_the_pooler_it_is_said_to_have(family, pooler):
    config, _, _ = read_folder(family, "Model")
    spec = make_spec(config, pooler=pooler)
    assert spec.arguments["pooler"] == pooler == ("pooler/kernel" in spec.shapes)
    # A class that has none has none, whatever the backbone has.
    masked = make_spec(read_folder(family, "ForMaskedLM")[0], pooler=pooler)
    assert masked.arguments["pooler"] is False


def test_a_decoder_is_planned_too():
    backbone = GPTBackbone(23, num_layers=1, num_heads=2, hidden_dim=8)
    spec = make_spec(make_config(backbone), ["transformer.wte.weight", "x"])
    assert (spec.task, spec.options) == ("CausalLM", {})
    assert spec.mapping.keys() == spec.shapes.keys()
    assert spec.tensors == {"transformer.wte.weight": "transformer.wte.weight", "x": "x"}

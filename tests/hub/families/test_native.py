"""What the three layouts of lmzoo itself share."""

import pytest

from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.families.native import read_object
from lmzoo.hub.tensor_mapping import make_native_mapping, tensor_shapes
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from tests.hub.records import make_config, read_arguments

# What a caller chooses anew each time stands in no config.json.
NOT_STORED = {"name", "dtype", "trainable", "remat", "attention_chunks"}

NATIVE = {
    "lmzoo_bert": BertBackbone(23, 1, 2, 8, 11, max_sequence_length=12),
    "lmzoo_gpt": GPTBackbone(23, 1, 2, 8, positions="rotary"),
    "lmzoo_t5": T5Backbone(23, 1, num_heads=2, hidden_dim=8),
}


@pytest.mark.parametrize("model_type", NATIVE)
def test_what_is_written_makes_the_backbone_again(model_type):
    backbone = NATIVE[model_type]
    arguments = read_arguments(make_config(backbone, model_type))
    own = backbone.get_config()
    assert arguments == {name: own[name] for name in own.keys() - NOT_STORED}
    again = type(backbone)(**arguments).get_config()
    assert {**again, "name": own["name"]} == own


@pytest.mark.parametrize("model_type", NATIVE)
def test_each_variable_is_a_tensor_of_its_shape_under_its_path(model_type):
    config = make_config(NATIVE[model_type], model_type)
    task = {"lmzoo_bert": ["TextEmbedder"], "lmzoo_gpt": None, "lmzoo_t5": None}[model_type]
    spec = make_spec({**config, "architectures": task} if task else config)
    weights = {
        weight.path.split("/", 1)[1]: tuple(weight.shape) for weight in NATIVE[model_type].weights
    }
    assert spec.shapes == weights
    assert tensor_shapes(spec.mapping, spec.shapes) == {
        path.replace("/", "."): shape for path, shape in weights.items()
    }
    assert spec.mapping == make_native_mapping(weights)


@pytest.mark.parametrize("found", [None, 3, [], "x"])
def test_what_is_no_object_is_refused(found):
    with pytest.raises(ValueError, match="`lmzoo_backbone` must be an object. Received: "):
        read_object({"lmzoo_backbone": found})


def test_a_missing_and_an_unknown_argument_are_named():
    config = make_config(NATIVE["lmzoo_gpt"], "lmzoo_gpt")
    config["lmzoo_backbone"]["extra"] = 1
    with pytest.raises(ValueError, match=r"each argument of `GPTBackbone` .* \['extra'\] is"):
        read_arguments(config)

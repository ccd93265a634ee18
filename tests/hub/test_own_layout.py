"""What the three model types of lmzoo itself share."""

import pytest

from lmzoo.hub import own_layout
from lmzoo.hub.tensor_mapping import tensor_shapes
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone

BACKBONES = (
    BertBackbone(23, 1, 2, 8, 11, max_sequence_length=12),
    GPTBackbone(23, 1, 2, 8, positions="rotary"),
    T5Backbone(23, 1, num_heads=2, hidden_dim=8),
)


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: type(backbone).__name__)
def test_a_description_makes_the_backbone_again(backbone):
    described = own_layout.describe_backbone(backbone)
    assert not {"name", "dtype"} & described.keys()
    again = type(backbone)(**described)
    assert own_layout.describe_backbone(again) == described
    own_layout.check_names(described, dict(described), type(backbone).__name__)


def test_each_variable_is_a_tensor_of_its_shape_under_its_path():
    shapes = {"block_0/self_attention/output/kernel": (3, 5), "final_norm/scale": (5,)}
    found = tensor_shapes(own_layout.make_recipes(shapes), shapes)
    assert found == {"block_0.self_attention.output.kernel": (3, 5), "final_norm.scale": (5,)}


@pytest.mark.parametrize("found", [None, 3, [], "x"])
def test_what_is_no_object_is_refused(found):
    with pytest.raises(ValueError, match="`lmzoo_backbone` must be an object. Received: "):
        own_layout.read_own({"lmzoo_backbone": found})


def test_a_missing_and_an_unknown_argument_are_named():
    with pytest.raises(ValueError, match=r"each argument of `X` .* \['a', 'c'\] is missing"):
        own_layout.check_names({"a": 1, "b": 2}, {"b": 2, "c": 3}, "X")

import json

import pytest

from lmzoo.hub.families.t5 import variable_shapes
from lmzoo.hub.tensor_mapping import make_native_mapping
from lmzoo.models import T5Backbone
from tests.hub.records import assert_argument_refused, find_model_type, make_config, read_arguments

# What a caller chooses anew each time stands in no config.json.
NOT_STORED = {"name", "dtype", "trainable", "remat", "attention_chunks"}


def make_backbone(**options):
    sizes = {"num_layers": 2, "num_decoder_layers": 1, "num_heads": 2, "hidden_dim": 8}
    sizes |= {"head_dim": 3, "intermediate_dim": 11, "max_sequence_length": 9}
    return T5Backbone(23, **sizes, **{"activation": "tanh", "dropout": 0.25, **options})


@pytest.fixture
def config():
    return json.loads(json.dumps(make_config(make_backbone())))


@pytest.mark.parametrize("options", [{}, {"gated": True, "tied": False, "num_buckets": 8}], ids=str)
def test_what_is_written_is_read_again(options):
    backbone = make_backbone(**options)
    assert find_model_type(backbone) == "lmzoo_t5"
    arguments = read_arguments(make_config(backbone))
    own = backbone.get_config()
    assert arguments == {name: own[name] for name in own.keys() - NOT_STORED}
    shapes = {variable.path.split("/", 1)[1]: variable.shape for variable in backbone.weights}
    assert variable_shapes(arguments) == {path: tuple(shape) for path, shape in shapes.items()}
    mapping = make_native_mapping(shapes)
    assert {sources.names for sources in mapping.values()} == {
        (path.replace("/", "."),) for path in shapes
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocabulary_size", 0),
        ("num_layers", 10**9),
        ("num_decoder_layers", None),
        ("head_dim", 2.0),
        ("max_distance", "128"),
        ("num_buckets", 7),
        ("norm_epsilon", float("nan")),
        ("dropout", 1),
        ("initializer_factor", -1),
        ("gated", 1),
        ("tied", None),
        ("activation", {"class_name": "Lambda"}),
    ],
)
def test_an_argument_that_cannot_be_is_refused_by_its_name(config, name, value):
    assert_argument_refused(config, name, value)

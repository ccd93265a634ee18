import numpy as np
import pytest

from lmzoo.hub.families.bert import MAX_SIZES, variable_shapes
from lmzoo.hub.heads import head_shapes
from lmzoo.hub.model_variables import variables_by_path
from lmzoo.layers import ClassificationHead, MaskedLMHead
from lmzoo.models import BertBackbone
from tests.hub.records import read_arguments

SIZES = {
    "vocabulary_size": 19,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 8,
    "intermediate_dim": 11,
    "max_sequence_length": 5,
    "num_segments": 2,
    "position_offset": 0,
    "pooler": True,
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooler": False, "num_segments": 0},
        {"num_segments": 1, "position_offset": 2},
        {"num_segments": 3, "num_layers": 1, "position_offset": 7},
        {"embedding_dim": 6, "pooler": False},
        {"relative_attention": True, "num_buckets": 12, "num_segments": 0},
    ],
    ids=str,
)
def test_shapes_are_known_without_a_backbone(options):
    arguments = {**SIZES, **options}
    variables = variables_by_path(BertBackbone(**arguments))
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    assert variable_shapes(arguments) == shapes


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (MaskedLMHead, {"vocabulary_size": 19}),
        (ClassificationHead, {"num_classes": 3, "hidden_activation": None}),
        (ClassificationHead, {"num_classes": 3, "hidden_activation": "tanh"}),
    ],
)
def test_shapes_are_known_without_a_head(kind, head):
    layer = kind(**head, name="head")
    layer.build((None, None, 8))
    shapes = {weight.path: tuple(weight.shape) for weight in layer.weights}
    assert head_shapes(head, SIZES) == shapes


def test_no_head_has_no_variables():
    assert head_shapes(None, SIZES) == {}


def test_the_largest_config_is_named_without_an_allocation():
    shapes = variable_shapes({**MAX_SIZES, "pooler": True})
    assert shapes["token_embedding/embeddings"] == (2**24, 2**18)
    assert len(shapes) == 7 + 12 * 2**10


@pytest.mark.parametrize(
    ("model_type", "count"),
    # As published: BERT base, RoBERTa base with 514 rows of positions and one segment, DistilBERT.
    [("bert", 109_482_240), ("roberta", 124_645_632), ("distilbert", 66_362_880)],
)
def test_the_published_sizes_are_counted(model_type, count):
    config = {"model_type": model_type}
    if model_type == "roberta":
        config |= {"max_position_embeddings": 514, "type_vocab_size": 1}
    arguments = {**read_arguments(config), "pooler": model_type != "distilbert"}
    assert sum(np.prod(shape) for shape in variable_shapes(arguments).values()) == count


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="Received: num_heads=3, hidden_dim=8"):
        variable_shapes({**SIZES, "num_heads": 3})
